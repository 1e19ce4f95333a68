"""Full text in memory: BM25 over the words of some owners' notes, kept in step with the store.

What a word is worth is told by the notes that a request may see, and by nobody else's: how many there are, how many have the word, how
long they are on average. A stranger's notes are in another owner's postings, which a request does not even open.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from agentmem.notes.arrays import TextRows
from agentmem.notes.columns import places
from agentmem.notes.rows import Change
from agentmem.records.transaction import Transaction
from agentmem.stores.following import Following, Store
from agentmem.stores.holding import ROOM, Holding
from agentmem.stores.text.field import Found
from agentmem.stores.text.postings import Matches, Postings

if TYPE_CHECKING:
    import numpy.typing as npt

    from agentmem.notes.arrays import Digests, Rows

    Values = npt.NDArray[np.float64]
    _Held = tuple[Postings, tuple[Found, Found]]

__all__ = ["TextIndex", "worth"]

_K1: Final = 1.2
_B: Final = 0.75
_COMMON: Final = 5.0
"""Inverse document frequency at which a word counts for half of it: what many notes have tells them apart by less than its bits."""
_UNSEEN: Final = 20
"""Notes without any of the words that are taken to be there besides: among three notes alone no word would be rare."""
_NEAREST: Final = 50
"""Notes nearest to a query in meaning among which its words are counted once more."""
_ANSWERS: Final = 3
"""As many of them may have a word that tells the answers from the rest."""
_MAX_WORDS: Final = 64
_MAX_LENGTH: Final = 200
_SCORED: Final = 5_000
"""Places of a query's words that are scored in a scope where they stand at more: a fifth of a microsecond each."""
_LOADED: Final = 16_384  # notes read at a time
_BATCH: Final = 4_096
_NOBODY: Final = np.zeros(0, np.int64)


class TextIndex(Following):
    """Finds the notes of some owners by words: BM25 (Robertson et al. 1994, Okapi at TREC-3; k1 = 1.2, b = .75) over a note's own
    words, and for half as much those around it.

    What a word is worth depends on where the query looks as well: among thousands of notes of all kinds "coronavirus" is rare, and among
    those that a question about it is near to it tells nothing apart. So a word counts as common as it is, on average, in the scope and
    among the notes nearest to the query in meaning (measured in ``benchmarks/mixed_scope.py``).

    Scores can be compared between queries and between stores, as a share of the best one could not: where nothing but common words is
    shared, as in a handful of answers to much the same questions, they stay low (measured in ``benchmarks/recall_parts.py``).

    Args:
        store: tells when a write was rolled back; room: how many notes are held for all owners together.
    """

    def __init__(self, store: Store, room: int = ROOM) -> None:
        self._room = room
        super().__init__(store, lambda tx: tx.text)

    def _kinds(self) -> tuple[Holding[Postings]]:
        return (Holding(self._room),)

    @property
    def _postings(self) -> Holding[Postings]:
        return self._held_now.kinds[0]

    def search(
        self,
        tx: Transaction,
        words: Sequence[str],
        owners: Sequence[int],
        limit: int,
        rows: Sequence[int] | None = None,
        near: Rows | None = None,
        again: Rows | None = None,
    ) -> list[tuple[int, float]]:
        """(row, score), best first, equal ones by row; any of ``words`` may match, several words in one as a phrase.

        Args:
            tx: the transaction to read in.
            words: data, whatever is in them; at most 64 that have a letter or digit are looked for.
            owners: whose notes to look at; their notes together tell what a word is worth.
            limit: how many to return at most.
            rows: when given, return these rows only.
            near: when given, the rows that are nearest to the query in meaning, best first.
            again: when given, rows that say what another says in the same words: they tell nothing of what a word is worth.
        """
        wanted = _cleaned(words)
        if not wanted or limit < 1:
            return []
        with self._looking(tx):
            tx.need(owners)
            among = [(owner, self._loaded(tx, owner)) for owner in dict.fromkeys(map(int, owners))]
            found = [
                (postings, postings.find(_known(tx.text.digests(owner, wanted))))
                for owner, postings in among
                if len(postings)
            ]
            scores = _scores(
                [(postings, postings.matches(*pair, len(wanted))) for postings, pair in _telling(found, len(wanted))],
                np.sort(near[:_NEAREST]) if near is not None else _NOBODY,
                np.sort(again) if again is not None else _NOBODY,
            )
            if rows is not None:
                only = np.unique(np.asarray(rows, np.int64))
                scores = [(here[kept], values[kept]) for here, values in scores for kept in [places(here, only) >= 0]]
            return _best(scores, limit)

    def size(self) -> int:
        """How many bytes the postings take."""
        with self._lock:
            return sum(postings.nbytes for postings in self._shared.all(0))

    def _loaded(self, tx: Transaction, owner: int) -> Postings:
        self.refresh(tx)
        postings: Postings = self._held_now.ask(0, owner, lambda: self._as_read(_load(tx, owner)))
        return postings

    def _follow(self, tx: Transaction, changes: Sequence[Change]) -> None:
        added: dict[int, list[int]] = {}
        for change in changes:
            postings = self._postings.get(change.owner)
            if postings is None:
                continue
            if change.removed:
                postings.remove(change.row)
            else:
                added.setdefault(change.owner, []).append(change.row)
        for owner, new in added.items():
            new.sort()
            postings = self._postings[owner]
            parts = [new[start : start + _BATCH] for start in range(0, len(new), _BATCH)]
            if all(postings.put(tx.text.load(part)) for part in parts):
                for part in parts:
                    postings.join(tx.threads.pairs(owner, part))
            else:
                del self._postings[owner]  # it is loaded in order of the rows when it is asked for next
        for owner in [owner for owner, postings in self._postings.items() if postings.worn]:
            del self._postings[owner]


def _load(tx: Transaction, owner: int) -> Postings:
    postings, last = Postings(), -1
    parts: list[TextRows] = []
    while len((found := tx.text.batch(owner, last, _LOADED)).rows):
        parts.append(found)
        last = int(found.rows[-1])
    if parts:
        postings.put(TextRows(*(np.concatenate(columns, axis=-1) for columns in zip(*parts, strict=True))))
        postings.join(tx.threads.pairs(owner))
    return postings


def _cleaned(words: Sequence[str]) -> list[str]:
    """The words that can be looked for, each once."""
    found: dict[str, None] = {}
    for word in words:
        if any(map(str.isalnum, word := word[:_MAX_LENGTH])):
            found[word] = None
        if len(found) == _MAX_WORDS:
            break
    return list(found)


def _known(phrases: Sequence[Digests]) -> list[Digests]:
    return [digests for digests in phrases if len(digests)]


def _telling(found: Sequence[_Held], phrases: int) -> Sequence[_Held]:
    """What was found of those phrases that are scored: all of them, or in a large scope the rarest, as far as that many places.

    The commonest words stand in nearly every note, decide next to nothing, and would take nearly all of the time. One is scored at
    least that stands anywhere.

    Args:
        found: of each owner; phrases: how many were looked for.
    """
    owns = [own for _, (own, _) in found]
    if sum(int(own.counts.sum()) for own in owns) <= _SCORED:
        return found
    counts = np.sum([np.bincount(own.which, own.counts, phrases) for own in owns], axis=0)
    order = np.argsort(counts, kind="stable")
    so_far = np.cumsum(counts[order])
    telling = np.zeros(phrases, bool)
    telling[order[(so_far <= _SCORED) | (so_far == counts[order])]] = (
        True  # the latter: nothing before it stands anywhere
    )
    return [
        (postings, (own.of(telling[own.which]), context.of(telling[context.which])))
        for postings, (own, context) in found
    ]


def _scores(found: Sequence[tuple[Postings, Matches]], near: Rows, again: Rows) -> list[tuple[Rows, Values]]:
    """The rows and the scores of what each of some owners has; all of it together but what is said ``again``, and what is ``near``, tells
    what a phrase is worth.
    """
    count = sum(len(postings) for postings, _ in found)
    if not count:
        return []
    average = sum(postings.words for postings, _ in found) / count
    phrases = max(int(matches.which.max(initial=-1)) for _, matches in found) + 1
    having = np.bincount(np.concatenate([matches.which for _, matches in found]), minlength=phrases)
    having -= _having(found, phrases, again)
    values = np.array(
        [
            worth(count - len(again), *both)
            for both in zip(having.tolist(), _having(found, phrases, near).tolist(), strict=True)
        ]
    )
    scores: list[tuple[Rows, Values]] = []
    for postings, (which, slots, often) in found:
        length = postings.lengths[slots] / average if average else 1.0
        parts = values[which] * (often * (_K1 + 1.0) / (often + _K1 * (1.0 - _B + _B * length)))
        whole = np.bincount(slots, weights=parts).astype(np.float64, copy=False)
        there = whole.nonzero()[0]
        scores.append((postings.rows[there], whole[there]))
    return scores


def _having(found: Sequence[tuple[Postings, Matches]], phrases: int, near: Rows) -> Rows:
    """[phrases] how many of the notes at ``near``, ascending, have each."""
    having = np.zeros(phrases, np.int64)
    if len(near):
        for postings, (which, slots, _) in found:
            having += np.bincount(which[places(postings.rows[slots], near) >= 0], minlength=phrases)
    return having


def worth(count: int, having: int, near: int = 0) -> float:
    """What a phrase is worth that so many of the notes have: its inverse document frequency, less of it the commoner it is.

    Args:
        count, having: notes, and how many of them have it; near: how many of those have it that are nearest to the query.
    """
    share = (having + 0.5) / (_UNSEEN + count + 1.0)
    common = max(0, near - _ANSWERS) / (_NEAREST - _ANSWERS)
    share = max(share, (share + common) / 2)
    rarity = -math.log(share)
    return rarity * rarity / (rarity + _COMMON)


def _best(scores: Sequence[tuple[Rows, Values]], limit: int) -> list[tuple[int, float]]:
    if not scores:
        return []
    rows, values = (np.concatenate(parts) for parts in zip(*scores, strict=True))
    if len(values) > 4 * limit:
        kept = values >= np.partition(values, len(values) - limit)[len(values) - limit]
        rows, values = rows[kept], values[kept]
    order = np.lexsort((rows, -values))[:limit]
    return list(zip(rows[order].tolist(), values[order].tolist(), strict=True))
