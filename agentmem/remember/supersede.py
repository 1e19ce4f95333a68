"""Newer facts close older ones, and so do words that say that something holds no longer; what cannot be decided stays visible
as a contradiction.

What is closed is a fact: with it its note, where that tells nothing else, else that fact alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from agentmem.errors import InvalidNote
from agentmem.extract import Ending, Extractor, said_in, same_fact, tells_more
from agentmem.extract.relations import plain, same_value
from agentmem.notes.clock import micros
from agentmem.notes.note import Fact, Note, reaches_all
from agentmem.notes.rows import Facets, LinkRow, Selection
from agentmem.projections.linking import (
    SUPERSEDES,
    conflicting,
    link_contradicts,
    link_ended,
    link_supersedes,
)
from agentmem.records.transaction import Transaction
from agentmem.remember.next_version import carry_edits

__all__ = ["Closing", "Freed", "Superseder"]

TRUSTED = 0.5
_REASON: Final = 400
_CLOSED: Final = re.compile(r" by [0-9a-f]{8}-[0-9a-f-]{27}\b")
"""How the reason of a version reads that another note has ended."""
_WAS_TO_END: Final = re.compile(r"; it was to end on (?P<end>\S+)$")
MOST: Final = 8
"""Notes of one kind that a fact is linked with, the newest: what is said a thousand times must not become a hub."""


Mentions = Callable[[int, str], Sequence[int]]
"""The notes of an owner that mention a term."""

Freed = Mapping[int, tuple[Fact, ...]]
"""Notes that hold again, by row, or those of their facts that do; none of a note that was over as a whole with its only one."""


@dataclass(slots=True)
class Closing:
    """What became of older notes, as it goes on.

    Attributes:
        notes: ids of those that hold no longer.
        parts: ids of those of which a part does not, and the rest does.
        restated: ids of those whose fact, the first that holds, is another one now.
        links: to write; words: why anything was closed.
    """

    notes: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    restated: list[str] = field(default_factory=list)
    links: list[LinkRow] = field(default_factory=list)
    words: str = ""

    @property
    def why(self) -> str:
        """The reason in words."""
        kept = [f"note {id} keeps what else it says" for id in dict.fromkeys(self.parts) if id not in self.notes]
        return "; ".join(filter(None, (self.words, *kept)))

    @property
    def outdated(self) -> list[str]:
        """Ids of the notes whose edits say what holds no longer."""
        return [*self.notes, *self.restated]


class _Claim(NamedTuple):
    """A fact of another note, and what tells whether it is newer."""

    row: int
    fact: Fact
    began: int
    facets: Facets


class Superseder:
    """Compares what a note states and ends with the facts of the same subject and relation, in the same owner, that hold when it does.

    What one agent was told says nothing about what only another was told, and ends nothing that others see who were not told: to them it would
    be over, and nothing in its place.

    Args:
        tx: the write that stores the note; extractor: reads what a note ends; mentions: which notes mention a term, where the store does not know all of them yet.
    """

    def __init__(self, tx: Transaction, extractor: Extractor, mentions: Mentions | None = None) -> None:
        self._tx = tx
        self._extractor = extractor
        self._mentions = mentions or (lambda owner, term: tx.terms.find(owner, [term]).get(term, []))

    def apply(
        self, note: Note, row: int, owner: int, ended: Sequence[Ending] = (), *, facts: Sequence[Fact] | None = None
    ) -> Closing:
        """Closes what the facts of a note, or only ``facts``, replace, what it says to have ended, and those that others replaced."""
        done = Closing()
        for fact in note.facts if facts is None else facts:
            self._stated(note, fact, row, owner, done)
        for ending in ended:
            self._end(note, row, owner, ending, done)
        done.links = _joined(done.links)
        return done

    def judged(self, note: Note, row: int, facts: Sequence[Fact], how: str) -> Closing:
        """Ends what a model holds for replaced by a note: these facts of the older one in ``row``, or all of one that states no several."""
        assert note.valid_from is not None
        done = Closing()
        for fact in facts or (None,):
            self._close(row, fact, micros(note.valid_from), note.id, how, done)
        return done

    def _stated(self, note: Note, fact: Fact, row: int, owner: int, done: Closing) -> None:
        found = self._tx.notes.facts(owner, fact.subject, fact.relation, holding_from=_begins(note, fact))
        heard = self._heard_with(note, [(r, other) for r, other in found if r != row], owner)
        same = list(dict.fromkeys(c.row for c in heard if _same_object(c.fact, fact)))[-MOST:]
        against = conflicting(fact, [(place, claim.fact) for place, claim in enumerate(heard)])
        rivals = [heard[place] for place, other in against if other.functional]
        done.links += [LinkRow(row, r, "supports", 1.0, "says the same") for r in same]
        self._weighed(note, fact, row, _in_order(rivals), done)
        done.links += self._ended_later(note, fact, row, owner)

    def _end(self, note: Note, row: int, owner: int, ending: Ending, done: Closing) -> None:
        """Close the older notes that state what ended; a source that is not trusted only speaks against them."""
        assert note.valid_from is not None
        began = micros(note.valid_from)
        found = self._tx.notes.facts(owner, ending.subject, ending.relation, holding_from=began)
        rivals = self._heard_with(note, [(r, fact) for r, fact in found if r != row and _ends(ending, fact)], owner)
        for rival in _in_order(rivals):
            order = _order(note, began, rival)
            if order < 0:
                continue
            certain = order > 0 and not _doubted(note.trust, rival.facets.trust, order)
            certain = certain and reaches_all(note.scope.agent, rival.facets.agent)
            if certain:
                self._close(rival.row, rival.fact, began, note.id, "ended", done)
                done.words = done.words or f"no longer {ending.relation} of {ending.subject}"
            done.links.append(link_ended(row, rival.row, rival.fact, certain=certain))

    def _ended_later(self, note: Note, fact: Fact, row: int, owner: int) -> list[LinkRow]:
        """What is told late ends where words from a later time said that it ended, if they name the value."""
        began = _begins(note, fact)
        if began >= micros(note.created_at):
            return []
        after = self._tx.notes.facets(
            list(self._mentions(owner, plain(fact.object))), Selection((owner,), archived=True)
        )
        claims = [_Claim(f.row, fact, _began(f), f) for f in after if f.row != row and _both_seen(note, f)]
        for other in sorted((c for c in claims if _order(note, began, c) < 0), key=lambda c: (c.began, c.row)):
            ending = self._tx.notes.load([other.row])[other.row]
            if not _is_over(fact, self._ended_in(ending)):
                continue
            certain = not _doubted(ending.trust, note.trust, 1) and reaches_all(other.facets.agent, note.scope.agent)
            until = _until(self._tx.notes.load([row])[row], fact)
            if certain and (until is None or micros(until) > other.began):
                self._close(row, fact, other.began, ending.id, "was ended")
            return [link_ended(other.row, row, fact, certain=certain)]
        return []

    def _ended_in(self, note: Note) -> Sequence[Ending]:
        try:
            return said_in(note, self._extractor).ended
        except (
            InvalidNote
        ):  # a caller's own reader fails on an older note: neither a new one nor a forgetting must fail with it
            return ()

    # -- taking it back --------------------------------------------------------------------------------------

    def closed_by(self, rows: Sequence[int]) -> Freed:
        """Other notes that hold no longer because of ``rows``, or not as a whole: they end where what superseded them begins."""
        links = [k for k in self._tx.links.touching(rows, (SUPERSEDES,)) if k.source in rows and k.target not in rows]
        notes = self._tx.notes.load(sorted({end for link in links for end in link[:2]}))
        freed: dict[int, tuple[Fact, ...]] = {}
        for link in links:
            newer, older = notes[link.source], notes[link.target]
            if len(older.facts) > 1:
                facts = tuple(fact for fact in older.facts if fact.ended_by == newer.id)
                freed |= {link.target: (*freed.get(link.target, ()), *facts)} if facts else {}
            elif older.valid_to is not None and older.valid_to in _beginnings(newer):
                freed[link.target] = ()
        return freed

    def own_end(self, row: int) -> datetime | None:
        """The end that whoever told a note gave it, if another note has ended it before that."""
        for version in reversed(self._tx.notes.history(row)):
            if found := _WAS_TO_END.search(version.reason):
                return datetime.fromisoformat(found["end"])
            if not _CLOSED.search(version.reason):
                break
        return None

    def reopen(self, freed: Freed, why: str) -> Closing:
        """What superseded these is gone: they hold again, until the next value begins. Returns what that closes."""
        every = Closing()
        notes = self._tx.notes
        for row, note in sorted(notes.load(list(freed)).items(), key=lambda item: item[1].occurred_at):
            if not freed[row] or _over_by_facts(note):
                end = self.own_end(row)
                notes.close_validity(row, None if end is None else micros(end), why)
            for fact in freed[row]:
                notes.close_fact(row, fact, None, None, f"{why}: {fact}")
            owner = notes.owner(note.scope)
            assert owner is not None
            now = notes.load([row])[row]
            done = self.apply(now, row, owner, facts=[fact.stated for fact in freed[row]] or None)
            self._tx.links.put(done.links)
            every.notes += done.notes
            every.restated += done.restated
            if freed[row]:
                self._keep_edit(note, notes.load([row])[row], every)
        return every

    def released(self, row: int, note: Note, facts: Sequence[Fact], ended: Sequence[Ending] = ()) -> tuple[Freed, bool]:
        """Before a note says something else: what it does not supersede any more, and whether it is itself superseded no more."""
        links = self._tx.links.touching([row], (SUPERSEDES,))
        others = self._tx.notes.load([k.target if k.source == row else k.source for k in links])

        def held(fact: Fact) -> bool:
            return _is_over(fact, ended) or any(conflicting(new, [(row, fact)]) for new in facts)

        over: dict[int, tuple[Fact, ...]] = {}
        under = _over_by_facts(note)
        for link in links:
            place = link.target if link.source == row else link.source
            other = others[place]
            free = not any(map(held, other.facts))
            if free:
                self._tx.links.delete(link.source, link.target, SUPERSEDES)
            if link.target == row:
                under = under or ((free or len(facts) > 1) and note.valid_to in _beginnings(other))
            elif len(other.facts) > 1:
                told = tuple(fact for fact in other.facts if fact.ended_by == note.id and not held(fact))
                over |= {place: told} if told else {}
            elif free and other.valid_to in _beginnings(note):
                over[place] = ()
        return over, under

    # -- deciding and closing --------------------------------------------------------------------------------

    def _heard_with(self, note: Note, claims: Sequence[tuple[int, Fact]], owner: int) -> list[_Claim]:
        """Those claims of others that somebody sees who sees the note."""
        rows = list(dict.fromkeys(row for row, _ in claims))
        found = self._tx.notes.facets(rows, Selection((owner,), archived=True)) if rows else ()
        seen = {each.row: each for each in found if _both_seen(note, each)}
        return [
            _Claim(r, fact, _began(seen[r]) if fact.valid_from is None else micros(fact.valid_from), seen[r])
            for r, fact in claims
            if r in seen
        ]

    def _weighed(self, note: Note, fact: Fact, row: int, rivals: Sequence[_Claim], done: Closing) -> None:
        """Each value holds until the next one begins, unless that comes from a source that is not trusted.

        So the order in which statements arrive does not matter: one told late ends the one before it, and ends with the one after.
        """
        began, until = _begins(note, fact), _until(note, fact)
        against: list[tuple[int, Fact]] = []
        for rival in rivals:
            if until is not None and rival.began >= micros(until):
                break
            order = _order(note, began, rival)
            mine, other = note.scope.agent, rival.facets.agent
            heard = reaches_all(mine, other) if order > 0 else reaches_all(other, mine)
            if order == 0 or not heard or _doubted(note.trust, rival.facets.trust, order):
                against.append((rival.row, rival.fact))
            elif order > 0:
                self._close(rival.row, rival.fact, began, note.id, "superseded", done)
                done.words = done.words or f"newer {fact.relation} of {fact.subject}"
                done.links += link_supersedes(row, fact, [(rival.row, rival.fact)])
            else:
                newer = self._tx.notes.ids_of([rival.row])[rival.row]
                self._close(row, fact, rival.began, newer, "was superseded")
                done.links += link_supersedes(rival.row, rival.fact, [(row, fact)])
                break
        done.links += link_contradicts(row, fact, against[-MOST:])

    def _close(self, row: int, fact: Fact | None, at: int, by: str, how: str, done: Closing | None = None) -> None:
        """End a fact, and its note where that tells nothing else: what else it says still holds."""
        notes, done = self._tx.notes, done or Closing()
        before = now = notes.load([row])[row]
        until: int | None = at
        if len(before.facts) > 1:
            assert fact is not None
            told = next(each for each in before.facts if same_fact(each, fact))
            notes.close_fact(row, told, at, by, f"{how} by {by}: {told}")
            now = notes.load([row])[row]
            last = _last_end(now)
            until = None if last is None or tells_more(now.content, now.facts) else micros(last)
        if until is None:
            done.parts.append(before.id)
            self._keep_edit(before, now, done)
        else:
            notes.close_validity(row, until, f"{how} by {by}{self._own(before, row)}")
            done.notes.append(before.id)

    def _own(self, before: Note, row: int) -> str:
        """What the history keeps of an end that is about to be another: the one that a caller gave."""
        if before.valid_to is None:
            return ""
        closed = _CLOSED.search(self._tx.notes.history(row)[-1].reason) is not None
        end = self.own_end(row) if closed else before.valid_to
        return "" if end is None else f"; it was to end on {end.isoformat()}"

    def _keep_edit(self, before: Note, now: Note, done: Closing) -> None:
        """An edit of a note says what its fact does: it goes along while that stays the same."""
        if before.fact is not None and now.fact is not None and before.fact.stated == now.fact.stated:
            carry_edits(self._tx, before, now)
        else:
            done.restated.append(now.id)


def _joined(links: Sequence[LinkRow]) -> list[LinkRow]:
    """Two notes are linked once in each way, with all that there is to say of it."""
    found: dict[tuple[int, int, str], LinkRow] = {}
    for link in links:
        held = found.get(link[:3])
        found[link[:3]] = link if held is None else held._replace(reason=f"{held.reason}; {link.reason}"[:_REASON])
    return list(found.values())


def _both_seen(note: Note, other: Facets) -> bool:
    """Whether any agent sees both notes of an owner."""
    return reaches_all(note.scope.agent, other.agent) or reaches_all(other.agent, note.scope.agent)


def _begins(note: Note, fact: Fact) -> int:
    """When a fact of a note begins to hold."""
    begins = note.valid_from if fact.valid_from is None else fact.valid_from
    assert begins is not None
    return micros(begins)


def _until(note: Note, fact: Fact) -> datetime | None:
    """When a fact of a note ends, by itself or with it."""
    told = next((each for each in note.facts if same_fact(each, fact)), fact)
    return min((end for end in (note.valid_to, told.valid_to) if end is not None), default=None)


def _beginnings(note: Note) -> set[datetime | None]:
    """The moments from which what a note says holds."""
    return {note.valid_from, *(fact.valid_from for fact in note.facts)} - {None}


def _over_by_facts(note: Note) -> bool:
    """Whether a note with several facts ended with the last of them."""
    return len(note.facts) > 1 and note.valid_to is not None and note.valid_to == _last_end(note)


def _last_end(note: Note) -> datetime | None:
    """When the last of a note's facts ended; ``None`` where one still holds."""
    ends = [fact.valid_to for fact in note.facts if fact.valid_to is not None]
    return max(ends) if ends and len(ends) == len(note.facts) else None


def _is_over(fact: Fact, ended: Sequence[Ending]) -> bool:
    """Whether one of these endings is that of a fact."""
    said = (plain(fact.subject), plain(fact.relation))
    return any((plain(e.subject), plain(e.relation)) == said and _ends(e, fact) for e in ended)


def _ends(ending: Ending, fact: Fact) -> bool:
    return ending.object is None or same_value(fact.relation, fact.object, ending.object)


def _in_order(claims: Iterable[_Claim]) -> list[_Claim]:
    """Claims by the time from which they hold; those of one moment by their place in a conversation."""
    return sorted(claims, key=lambda c: (c.began, c.facets.position or 0, c.row))


def _began(facets: Facets) -> int:
    return facets.occurred_at if facets.valid_from is None else facets.valid_from


def _order(note: Note, begins: int, rival: _Claim) -> int:
    """Over zero when the note is the newer one, under zero when the rival is; of one moment, the turns of a conversation tell."""
    if begins != rival.began:
        return 1 if begins > rival.began else -1
    other = rival.facets
    if note.thread is None or note.thread != other.thread or note.position is None or other.position is None:
        return 0
    return note.position - other.position


def _doubted(trust: float, rival: float, order: int) -> bool:
    """Whether the note comes from a source that is not trusted and the rival does not; or the other way round, when the rival is newer."""
    return trust < TRUSTED <= rival or (rival < TRUSTED <= trust and order < 0)


def _same_object(one: Fact, other: Fact) -> bool:
    return same_value(one.relation, one.object, other.object)
