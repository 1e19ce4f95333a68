"""What a model holds for replaced becomes a mark or an end, and is taken back.

A mark is a link of kind ``updates`` from the newer note to the older one; nothing ends by it. An end is as by a rule: of the facts that are over, or of a
note that tells nothing else. Whoever judged stands in the reason of the link, and where a language model did, in the history of the older note.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from agentmem.extract import Extractor, same_fact, several
from agentmem.notes.note import Fact, Link, Note, Receipt, Status
from agentmem.notes.rows import LinkRow
from agentmem.projections.linking import SUPERSEDES, UPDATES
from agentmem.records.transaction import Transaction
from agentmem.remember.next_version import rewrite
from agentmem.remember.older_notes import may_update
from agentmem.remember.supersede import Superseder

__all__ = ["ASKED", "READ", "Consequences", "Judgement", "Retire", "carry_out", "take_back", "told_of"]

READ: Final = "read as replaced, "
"""How the reason of a link begins that the learned model made."""
ASKED: Final = "a language model: "
"""… and of one that a language model was asked for."""

Retire = Callable[[Transaction, Sequence[str], str], int]
"""Takes the edits of notes out of the weights, inside a transaction."""


class Judgement(NamedTuple):
    """What a note does to an older one, by row.

    Attributes:
        ends: whether it may end anything; else it marks. facts: which of several facts of the older one are over.
        how: the words of the history, which go on with "by" and the id; marked: those for a mark, empty where none are written.
    """

    later: int
    before: int
    weight: float
    reason: str
    kind: str = UPDATES
    ends: bool = False
    facts: tuple[Fact, ...] = ()
    how: str = "superseded"
    marked: str = ""


class Consequences(NamedTuple):
    """What became of the notes near a new one: the ids of those that are closed, and the links to them by rows."""

    closed: tuple[str, ...] = ()
    links: tuple[LinkRow, ...] = ()


def carry_out(
    tx: Transaction, extractor: Extractor, judgements: Sequence[Judgement], read: Mapping[int, Note], retire: Retire
) -> tuple[dict[str, Consequences], int]:
    """Writes marks and ends; returns what they are by the id of the newer note, and how many edits have left the weights.

    A pair is passed over of which either note is gone or was reworded since it was ``read``, may not update the other, or that a rule has closed.
    """
    done: dict[str, Consequences] = {}
    outdated: list[str] = []
    notes = tx.notes.load(sorted({row for each in judgements for row in each[:2]}))
    standing = {link[:3] for link in tx.links.touching([each.later for each in judgements])}
    for each in judgements:
        note, older = notes.get(each.later), notes.get(each.before)
        if note is None or older is None or (*each[:2], SUPERSEDES) in standing or not may_update(note, older):
            continue
        if (note.content, older.content) != (read[each.later].content, read[each.before].content):
            continue
        closed, links = done.get(note.id, Consequences())
        now = tx.notes.load([each.before])[each.before]
        over = _over(each, now)
        link = LinkRow(each.later, each.before, each.kind, each.weight, each.reason)
        if over is not None:
            closing = Superseder(tx, extractor).judged(note, each.before, over, each.how)
            outdated += closing.outdated
            closed, link = (*closed, *closing.notes), link._replace(kind=SUPERSEDES, weight=1.0)
        elif each.marked and link[:3] not in standing:
            rewrite(tx, each.before, now, now, f"{each.marked} by {note.id}")
        done[note.id] = Consequences(closed, (*links, link))
    tx.links.put([link for each in done.values() for link in each.links])
    return done, retire(tx, outdated, "superseded")


def _over(judgement: Judgement, older: Note) -> tuple[Fact, ...] | None:
    """What of a note ends by a judgement: facts, with none of them all of it; ``None``: nothing."""
    if not judgement.ends or older.valid_to is not None:
        return None
    if len(older.facts) < 2:
        return None if several(older.content) else ()
    holding = [fact for fact in older.facts if fact.valid_to is None]
    return tuple(fact for fact in holding if any(same_fact(fact, over) for over in judgement.facts)) or None


def told_of(receipt: Receipt, related: Consequences, ids: Mapping[int, str]) -> Receipt:
    """A receipt with what its note does to others; ``ids`` of the rows that are still there."""
    links = [Link(ids[k.source], ids[k.target], k.kind, k.weight, k.reason) for k in related.links if k.target in ids]
    if not links:
        return receipt
    closed = (*receipt.superseded, *related.closed)
    status: Status = "superseded" if closed else receipt.status
    reason = receipt.reason or (f"replaces what note {related.closed[0]} says" if related.closed else "")
    return replace(receipt, status=status, reason=reason, superseded=closed, links=(*receipt.links, *links))


def take_back(tx: Transaction, extractor: Extractor, row: int, retire: Retire) -> tuple[str, ...]:
    """What models judged a note to replace is as if they had not: marks go, and what it ended holds again; ids of the older notes."""
    links = [k for k in tx.links.touching([row]) if k.source == row and k.reason.startswith((READ, ASKED))]
    superseder, taken = Superseder(tx, extractor), {link.target for link in links}
    freed = {place: facts for place, facts in superseder.closed_by([row]).items() if place in taken}
    ids = tx.notes.ids_of([row, *sorted(taken)])
    for link in links:
        tx.links.delete(*link[:3])
    why = f"holds again: that note {ids[row]} replaces it was taken back"
    again = superseder.reopen(freed, why)
    retire(tx, again.outdated, "superseded")
    for place in sorted({link.target for link in links if link.kind == UPDATES and link.reason.startswith(ASKED)}):
        note = tx.notes.load([place])[place]
        rewrite(tx, place, note, note, f"what was said of it by note {ids[row]} was taken back")
    return tuple(ids[place] for place in sorted(taken))
