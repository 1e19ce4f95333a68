"""The write path: drafts become notes, in one transaction per batch, without any language model.

Per item: echo of recalled notes? said before? forgotten before? a near-duplicate? does it supersede? Then the note, its full
text, its vector, its links and the outbox row are committed together, and only then is an id returned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from agentmem.core import Core
from agentmem.errors import UnknownNote
from agentmem.extract import AGENTS, Said, keywords, tags
from agentmem.notes.clock import micros
from agentmem.notes.note import Fact, Note, Receipt, Status
from agentmem.notes.passages import embedded
from agentmem.notes.protocols import Embedder
from agentmem.notes.rows import SAID, LinkRow, asks
from agentmem.projections.linking import link_words, terms_of
from agentmem.records.transaction import Transaction
from agentmem.remember.draft import Draft, check_places
from agentmem.remember.duplicates import content_hash, same_meaning_possible, same_words
from agentmem.remember.neighbours import Neighbourhood
from agentmem.remember.next_version import rewrite
from agentmem.remember.pending import PendingRows
from agentmem.remember.recalled_text import strip_notes
from agentmem.remember.relate import Relater
from agentmem.remember.supersede import TRUSTED, Superseder
from agentmem.weights.registry import WeightRegistry

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vector = npt.NDArray[np.float32]

__all__ = ["Batch", "Rememberer", "as_json", "key_hash", "other_words", "replayed"]

INSTRUCTIONS = ("system", "developer")
_ANOTHER_VALUE = 0.7
"""Cosine from which what was said since may be another value of the same."""
DERIVED = ("summary", "thought", "portrait")
REPEATS = 0.4
"""Weight of the link from words that only repeat a note, below what keeps a note from fading."""


class Rememberer:
    """Stores drafts; each gets a receipt that says what became of it.

    Args:
        weights: a note that a newer one closes leaves the weights in the same transaction.
        fail: called with the name of each durable step; tests stop the process there.
    """

    def __init__(self, core: Core, weights: WeightRegistry, fail: Callable[[str], None] = lambda step: None) -> None:
        self._core = core
        self._weights = weights
        self._relater = Relater(core, weights, fail)
        self._fail = fail

    def remember(
        self, drafts: Sequence[Draft | Receipt], progress: Callable[[int, int], None] | None = None
    ) -> list[Receipt]:
        """Receipts in the order of the drafts; a batch that fails leaves nothing of itself behind.

        A receipt among the drafts stands for an item that was refused before, and keeps its place.
        """
        check_places(drafts)
        receipts: list[Receipt] = []
        size = self._core.settings.remember.batch
        for start in range(0, len(drafts), size):
            receipts += self._batch(drafts[start : start + size], receipts)
            if progress is not None:
                progress(len(receipts), len(drafts))
        return receipts

    def _batch(self, drafts: Sequence[Draft | Receipt], before: Sequence[Receipt]) -> list[Receipt]:
        checked = [d if isinstance(d, Receipt) else self._without_echo(d) for d in drafts]
        return self._core.with_embedder(lambda embedder: self._stored(checked, embedder, before))

    def _stored(
        self, checked: Sequence[Draft | Receipt], embedder: Embedder, before: Sequence[Receipt]
    ) -> list[Receipt]:
        drafts = [d for d in checked if isinstance(d, Draft)]
        vectors, passages = embedded(embedder, [d.content for d in drafts]) if drafts else (None, [])
        self._fail("remember:before-begin")
        with self._core.writing_of(*dict.fromkeys(d.scope for d in drafts)) as (tx, owners):
            self._core.fix_embedder(tx, embedder)
            batch = Batch(self._core, tx, drafts, [owners[d.scope] for d in drafts], vectors, passages)
            places = iter(range(len(drafts)))
            batch.receipts += before
            for each in checked:
                batch.receipts.append(each if isinstance(each, Receipt) else batch.add(each, next(places)))
            receipts = batch.finish(batch.receipts[len(before) :])
            closed = [id for receipt in receipts for id in receipt.superseded]
            retired = self._weights.retire(tx, closed, "superseded") + self._weights.retire(
                tx, batch.restated, "updated"
            )
            self._fail("remember:before-commit")
        self._fail("remember:after-commit")
        if retired and (warnings := self._weights.follow()):
            receipts[-1] = replace(receipts[-1], warnings=(*receipts[-1].warnings, *warnings))
        return self._relater.follow(receipts, batch.told, list(owners.values()))

    @staticmethod
    def _without_echo(draft: Draft) -> Draft | Receipt:
        if draft.role in INSTRUCTIONS:
            return Receipt(None, "rejected", f"a {draft.role} message instructs the model; it is not a memory")
        text, removed = strip_notes(draft.content)
        if not removed:
            return draft
        if not any(ch.isalnum() for ch in text):
            return Receipt(None, "rejected", f"only an echo of {removed} recalled notes")
        return replace(draft, content=text, echoes=removed)


class _Words(NamedTuple):
    """What can be read off the words of an item before anything is known of the others."""

    digest: bytes
    keywords: tuple[str, ...]
    tags: tuple[str, ...]
    terms: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> _Words:
        return cls(content_hash(text), tuple(keywords(text)), tuple(tags(text)), tuple(terms_of(text)))


class Batch:
    """The items of one transaction: what earlier items stored is visible to later ones."""

    def __init__(
        self,
        core: Core,
        tx: Transaction,
        drafts: Sequence[Draft],
        owners: Sequence[int],
        vectors: Vector | None,
        passages: Sequence[Vector | None],
    ) -> None:
        self._core = core
        self._tx = tx
        self._owners = owners
        self._near = Neighbourhood(core, tx, self._owners, vectors)
        self._settings = core.settings.remember
        self._now = core.clock.now()
        self._tails: dict[tuple[int, str], int] = {}
        self._next: dict[tuple[int, str], int] = {}
        self._pending = PendingRows(tx, vectors, passages, self._settings.rare + 1)
        self._superseder = Superseder(tx, core.extractor, self._pending.mentioning)
        self._linked: dict[str, list[LinkRow]] = {}
        self._ids: dict[int, str] = {}
        self.receipts: list[Receipt] = []
        """Those of the items before, of the whole call."""
        self.restated: list[str] = []
        """Notes that state another fact since something was merged into them, or since the first that they stated ended."""
        self._words = [_Words.of(draft.content) for draft in drafts]
        self._expect()

    def _expect(self) -> None:
        """Ask at once what would have to be asked for every item: an answer costs less than a question."""
        terms: dict[int, dict[str, None]] = {}
        digests: dict[int, dict[bytes, None]] = {}
        for owner, words in zip(self._owners, self._words, strict=True):
            terms.setdefault(owner, {}).update(dict.fromkeys(words.terms))
            digests.setdefault(owner, {})[words.digest] = None
        notes = self._tx.notes
        self._same = {owner: set(notes.same_contents(owner, list(found))) for owner, found in digests.items()}
        self._buried = {owner for owner in digests if self._tx.tombstones.any(owner)}
        for owner, wanted in terms.items():
            self._pending.expect(owner, list(wanted))

    @property
    def told(self) -> list[str]:
        """The ids of the notes that were stored, not merged or known."""
        return list(self._linked)

    def finish(self, receipts: Sequence[Receipt]) -> list[Receipt]:
        """Write what is cheaper in one go; returns the receipts with the links of what was stored."""
        self._pending.write()
        public = dict(zip(self._linked, self._pending.public(list(self._linked.values()), self._ids), strict=True))
        # A later item may have been merged into a note of this batch: its receipt names the same note, and links nothing.
        return [
            replace(r, links=public.pop(r.id)) if r.status in ("stored", "superseded") and r.id in public else r
            for r in receipts
        ]

    def add(self, draft: Draft, place: int) -> Receipt:
        owner = self._owners[place]
        if draft.idempotency_key is not None:
            known = self._tx.keys.get(owner, draft.idempotency_key)
            if known is not None:
                return replayed(known) if self._same_words(known, place, owner) else other_words(draft.idempotency_key)
        receipt = self._add(draft, place, owner)
        if draft.idempotency_key is not None:
            row = self._tx.notes.rows_of([receipt.id]).get(receipt.id) if receipt.id else None
            self._tx.keys.put(owner, draft.idempotency_key, row, {**as_json(receipt), SAID: self._mark(place, owner)})
        return receipt

    def _mark(self, place: int, owner: int) -> str:
        """A digest of the words that nobody can test guesses against: it is kept as long as the key, which may be longer than the note."""
        return self._tx.experiences.mark(owner, key_hash(self._words[place].digest.hex())).hex()

    def _same_words(self, known: Mapping[str, object], place: int, owner: int) -> bool:
        """A retry says what it said before. Of a key that came from a file, or from an older version, that is not known."""
        return known.get(SAID) in (None, self._mark(place, owner))

    def _add(self, draft: Draft, place: int, owner: int) -> Receipt:
        words = self._words[place]
        if owner in self._buried and (refused := self._forgotten(draft, owner, words.digest)) is not None:
            return refused
        if draft.merge and (known := self._said_before(draft, place, owner, words.digest)) is not None:
            return known
        near = self._near.of(place)
        if draft.merge and (merged := self._near_duplicate(draft, owner, near)) is not None:
            return merged
        return self._store(draft, place, owner, words, near)

    # -- reasons not to store --------------------------------------------------------------------------------

    def _forgotten(self, draft: Draft, owner: int, digest: bytes) -> Receipt | None:
        """A late write of what was forgotten; said anew, after the forgetting, it is a new statement."""
        key = draft.idempotency_key
        if key is not None and self._tx.tombstones.find(owner, key_hash(key)) is not None:
            return Receipt(None, "rejected", "this very write was stored and forgotten: a retry does not bring it back")
        if draft.kind in DERIVED and draft.role == "tool":
            return None  # made just now, of notes that are there: that its words were lost with a former one does not make it late
        at = self._tx.tombstones.find(owner, digest)
        if at is None or draft.occurred_at is None or micros(draft.occurred_at) > at:
            return None
        return Receipt(None, "rejected", "forgotten after it happened: a late write does not bring it back")

    def _said_before(self, draft: Draft, place: int, owner: int, digest: bytes) -> Receipt | None:
        if digest not in self._same[owner] or draft.ends:
            return None
        notes = self._tx.notes
        if (
            draft.role == "assistant"
            and not draft.stated
            and (echoed := notes.said_by_another(owner, digest, draft.actor))
        ):
            return Receipt(None, "rejected", f"an echo of note {echoed}: the agent repeats what it recalled")
        at = None if draft.occurred_at is None else micros(draft.occurred_at)
        for row in notes.said(owner, digest, draft.scope, draft.actor, micros(self._begins(draft)), at):
            note = notes.load([row])[row]
            if same_words(note.content, draft.content):
                alike = _same_span(note, draft) and self._all_holds(note, draft)
                alike = alike and (draft.timed or not self._is_back(note, self._near.of(place)))
                return self._merge(row, note, draft, owner, "the same words") if alike else None
        return None

    def _is_back(self, note: Note, near: Sequence[tuple[int, float]]) -> bool:
        """Whether much the same was said with another value since a note: green, red, and green again is a change, and no repetition."""
        others = self._tx.notes.load([row for row, cosine in near if cosine >= _ANOTHER_VALUE])
        return any(
            other.occurred_at > note.occurred_at
            and (other.actor, other.scope, other.kind) == (note.actor, note.scope, note.kind)
            and not same_meaning_possible(other.content, note.content)
            and bool(asks(other.content)) is bool(asks(note.content))
            for other in others.values()
        )

    def _all_holds(self, note: Note, draft: Draft) -> bool:
        """Of what a note states, nothing had ended when the words are said again: what had, holds anew."""
        return all(fact.valid_at(self._begins(draft)) for fact in note.facts if fact.valid_to is not None)

    def _begins(self, draft: Draft) -> datetime:
        """From when the words hold, or now if they do already: a time ahead of the clock is no other time the second time."""
        return max(self._now, draft.valid_from or draft.occurred_at or self._now)

    def _near_duplicate(self, draft: Draft, owner: int, near: Sequence[tuple[int, float]]) -> Receipt | None:
        """Only for statements without a time of their own: said at another time, it is another occurrence."""
        if draft.timed or draft.stated or draft.ends:
            return None
        close = {row: cosine for row, cosine in near if cosine >= self._settings.near_duplicate}
        if not close:
            return None
        for row, note in self._tx.notes.load(list(close)).items():
            same = note.actor == draft.actor and note.scope == draft.scope and note.kind == draft.kind
            same = (
                same and note.valid_at(self._begins(draft)) and _same_span(note, draft) and self._all_holds(note, draft)
            )
            same = same and same_meaning_possible(note.content, draft.content)
            if same and not self._is_back(note, near):
                return self._merge(row, note, draft, owner, f"nearly the same words (cosine {close[row]:.3f})")
        return None

    def _merge(self, row: int, note: Note, draft: Draft, owner: int, why: str) -> Receipt:
        """Keep the older note; it gains what it lacked of tags, importance, trust, metadata and facts, and is used again.

        So it comes back when it had faded, and a fact that it states only now closes older ones as any newer fact does.
        """
        state = self._core.curve.review(note.state, self._now)
        self._tx.notes.set_states([(row, state.stability, state.difficulty, micros(state.last_review), state.recalls)])
        if note.archived_at is not None:
            self._tx.notes.set_archived([row], None)
        before = replace(note, state=state, archived_at=None)
        changed = _gained(before, draft)
        origins = [k for k in self._tx.links.touching([row], ("derived_from",)) if k.source == row]
        if origins and draft.derived_from:
            self._pending.link(self._provenance(draft, row))  # said again for another reason, it goes with that, too
        for link in () if draft.derived_from else origins:  # told by itself, it is derived from nothing any more
            self._tx.links.delete(link.source, link.target, "derived_from")
        superseded: tuple[str, ...] = ()
        if changed != before:
            changed = rewrite(self._tx, row, before, changed, "merged")
        if changed.facts != note.facts or note.trust < TRUSTED <= changed.trust:
            self.restated.append(note.id)
            done = self._superseder.apply(changed, row, owner)
            self.restated += done.restated
            superseded = tuple(done.notes)
            self._pending.link(done.links)
        return Receipt(note.id, "merged", f"{why} as note {note.id}", superseded=superseded)

    # -- storing ---------------------------------------------------------------------------------------------

    def _store(self, draft: Draft, place: int, owner: int, words: _Words, near: Sequence[tuple[int, float]]) -> Receipt:
        stated = self._stated(draft)
        note = self._note(draft, owner, words, stated.facts)
        row = self._tx.notes.insert(note, owner, words.digest)
        self._same[owner].add(words.digest)
        self._pending.store(row, owner, place, note)
        self._near.add(row, place)
        links = self._links(note, row, owner, words, near)
        done = self._superseder.apply(note, row, owner, stated.ended)
        self.restated += done.restated
        links += done.links + self._provenance(draft, row)
        self._pending.link(links)
        self._linked[note.id], self._ids[row] = links, note.id
        status: Status = "superseded" if done.notes else "stored"
        left_out = (f"{draft.echoes} lines of recalled notes were left out of it",) if draft.echoes else ()
        return Receipt(note.id, status, done.why, superseded=tuple(done.notes), warnings=left_out)

    def _note(self, draft: Draft, owner: int, words: _Words, facts: tuple[Fact, ...]) -> Note:
        occurred = draft.occurred_at or self._now
        return Note(
            id=self._core.new_id(),
            content=draft.content,
            kind=draft.kind,
            scope=draft.scope,
            actor=draft.actor,
            thread=draft.thread,
            position=self._position(owner, draft.thread),
            occurred_at=occurred,
            created_at=self._now,
            valid_from=draft.valid_from or occurred,
            valid_to=draft.valid_to,
            keywords=words.keywords,
            tags=tuple(dict.fromkeys((*draft.tags, *words.tags))),
            context=_context(draft),
            importance=0.5 if draft.importance is None else draft.importance,
            source=draft.source,
            trust=draft.trust,
            state=self._core.curve.initial(
                min(self._now, occurred), importance=0.5 if draft.importance is None else draft.importance
            ),
            facts=facts,
            metadata=draft.metadata,
        )

    def _stated(self, draft: Draft) -> Said:
        """What the caller says that the words state and end, or can be read off them; nothing off an agent's own answers."""
        if draft.stated or draft.ends or not draft.facts:
            return Said(draft.stated, draft.ends)
        actor = None if draft.actor in AGENTS else draft.actor
        return Said() if draft.role in AGENTS else self._core.extractor.said(draft.content, actor)

    def _links(
        self, note: Note, row: int, owner: int, words: _Words, near: Sequence[tuple[int, float]]
    ) -> list[LinkRow]:
        before = None
        if note.thread is not None:
            before = self._in_thread(note.thread, row, owner)
        return link_words(
            row, self._settings, before=before, near=near, mentions=self._pending.mention(row, owner, words.terms)
        )

    def _in_thread(self, thread: str, row: int, owner: int) -> int | None:
        """The turn before, if any."""
        key = (owner, thread)
        if key in self._tails:
            before: list[int] = [self._tails[key]]
        else:
            before = self._tx.threads.neighbours(row)  # which lies before it: it is the newest
        self._tails[key] = row
        return before[0] if before else None

    def _position(self, owner: int, thread: str | None) -> int | None:
        if thread is None:
            return None
        key = (owner, thread)
        if key not in self._next:
            last = self._tx.threads.tail(owner, thread)
            self._next[key] = 0 if last is None else last[1] + 1
        self._next[key] += 1
        return self._next[key] - 1

    def _provenance(self, draft: Draft, row: int) -> list[LinkRow]:
        """Links to what a note was made from; a summary rests on it (and keeps it from fading), anything else only repeats it.

        Raises:
            UnknownNote: one is not there, or no longer: words that were forgotten do not come back in what was made of them.
        """
        told = [self.receipts[each].id if isinstance(each, int) else each for each in draft.derived_from]
        rows = self._tx.notes.rows_of([id for id in told if id is not None]) if told else {}
        if rows:
            over = self._tx.keyed.hidden(tuple(set(self._owners)), micros(self._now))
            rows = {id: at for id, at in rows.items() if at not in over}
        missing = next((place for place, id in enumerate(told) if id is not None and id not in rows), None)
        if missing is not None:
            raise UnknownNote(
                f"derived_from[{missing}] names no note in this scope.", hint="memory.notes() lists what there is."
            )
        weight, why = (1.0, "made from it") if draft.kind in DERIVED else (REPEATS, "repeats it")
        return [LinkRow(row, source, "derived_from", weight, why) for source in rows.values() if source != row]


def key_hash(key: str) -> bytes:
    """What a tombstone keeps of an idempotency key."""
    return content_hash(f"idempotency key\n{key}")


def _gained(note: Note, draft: Draft) -> Note:
    """A note that was told again, with what it lacked; one who is trusted less adds no fact, and who is not trusted nothing."""
    if draft.trust < min(note.trust, TRUSTED):
        return note
    known = draft.stated in ((), tuple(fact.stated for fact in note.facts)) or draft.trust < note.trust
    more = draft.trust > note.trust
    return replace(
        note,
        tags=tuple(dict.fromkeys((*note.tags, *draft.tags))),
        importance=max(note.importance, draft.importance or 0.0),
        facts=note.facts if known else draft.stated,
        metadata={**note.metadata, **draft.metadata} if more else {**draft.metadata, **note.metadata},
        trust=max(note.trust, draft.trust),
        source=draft.source if more else note.source,
    )


def _same_span(note: Note, draft: Draft) -> bool:
    """False when the caller says that the words hold from or until another time than the note's."""
    starts, ends = draft.valid_from in (None, note.valid_from), draft.valid_to in (None, note.valid_to)
    return starts and ends


def _context(draft: Draft) -> str:
    """One sentence on where the note came from."""
    who = draft.actor or draft.source or "a note"
    where = f" in {draft.scope.session}" if draft.scope.session else ""
    when = f" on {draft.occurred_at:%Y-%m-%d}" if isinstance(draft.occurred_at, datetime) else ""
    return f"From {who}{where}{when}."


def as_json(receipt: Receipt) -> Mapping[str, object]:
    """What is kept of a receipt under its idempotency key."""
    return {
        "id": receipt.id,
        "status": receipt.status,
        "reason": receipt.reason,
        "superseded": list(receipt.superseded),
    }


def other_words(key: str) -> Receipt:
    """The receipt of a write whose key stood for another one before: nothing is stored, and that is said."""
    return Receipt(
        None,
        "rejected",
        f"the key {key!r:.80} was used with other words: a key stands for one write, so this one was not stored; give it a key of its own",
    )


def replayed(known: Mapping[str, object]) -> Receipt:
    """The receipt of an earlier call, for one that repeats it."""
    status = str(known.get("status"))
    assert status in ("stored", "merged", "superseded", "rejected")
    return Receipt(
        id=str(known["id"]) if known.get("id") else None,
        status=status,  # type: ignore[arg-type]  # checked on the line above
        reason=f"done before under this key: {known.get('reason') or status}",
        superseded=tuple(known.get("superseded", ())),  # type: ignore[arg-type]
    )
