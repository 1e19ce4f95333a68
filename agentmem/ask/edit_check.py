"""May an edit answer? Not when its note has changed, when the question is about another, or when the asker's own notes say otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from agentmem.ask.bearing import bearings
from agentmem.ask.clauses import Clause
from agentmem.ask.mention import is_about
from agentmem.consolidation.phrasing import paraphrases, question
from agentmem.core import Core
from agentmem.extract.english.names import compare
from agentmem.extract.words import entities
from agentmem.notes.clock import micros
from agentmem.notes.edit import Route
from agentmem.notes.note import Hit, Note, Scope
from agentmem.notes.rows import EditRow
from agentmem.projections.linking import conflicting
from agentmem.recall.query import query_words
from agentmem.records.transaction import Transaction

__all__ = ["in_force", "overruled", "says"]


def overruled(edit: str, why: str) -> str:
    """The warning of an answer that an edit might have given."""
    return f"edit {edit} {why}: the notes were asked instead"


def says(edit: EditRow, text: str) -> bool:
    """Whether an answer says what the edit that gave it was written for: a model that hesitates may say something else."""
    return set(query_words(str(edit.request.get("target") or ""))) <= set(query_words(text))


def in_force(
    core: Core, clause: Clause, asked: str, scope: Scope, route: Route, *, read: bool = False
) -> tuple[EditRow | None, str, tuple[str, ...]]:
    """The edit that fired, unless the notes have overtaken it or it says nothing to what is asked: a note beats an edit.

    And whom it is about, where the question spells the name otherwise; and a warning, where an edit fired that may not answer.

    Args:
        read: somebody has read both questions (:class:`agentmem.ask.gate.EditGate`): whether they ask for the same is no more looked for.
    """
    now = core.clock.now()
    with core.store.read() as tx:
        owners = core.admit(tx, scope)
        edit = next(iter(tx.ledger.edits(owners=owners, ids=[str(route.edit_id)])), None)
        if edit is None:
            return None, "", ("an edit fired that the registry does not hold: it was not used",)
        row = tx.notes.rows_of([edit.note_id]).get(edit.note_id)
        note = tx.notes.load([row])[row] if row is not None else None
        if note is not None and not scope.admits(note.scope):
            return None, "", ()  # what recall would not show is not told by heart either
        if note is None or note.version != edit.note_version or not note.fact_valid_at(now):
            return None, "", (overruled(edit.id, "is behind its note"),)
        rival = next(_rivals(tx, owners, note, now), None)
    why, name = _spelled(edit, asked) if read else _about(clause, asked, scope, note, now)
    if rival is not None:
        why = f"says otherwise than note {rival}"
    return (None, "", (overruled(edit.id, why),)) if why else (edit, name, ())


def _about(clause: Clause, asked: str, scope: Scope, note: Note, now: datetime) -> tuple[str, str]:
    """Why the note of an edit does not answer a question, or nothing; and whom it is about, where the question spells the name otherwise."""
    if not clause.asks:
        return "", ""
    if clause.sense != "holds":
        return "says what holds, which was not asked", ""
    (bearing,) = bearings(clause, [Hit(note, 1.0)], now, asker=scope.user)
    if bearing.whose == "other":
        return f"is about {bearing.name}", ""
    fact = note.fact
    if fact is not None and not is_about(asked, fact.subject, (question(fact), *paraphrases(fact), note.content)):
        return f"is about {fact.subject}, the question about another", ""
    return "", bearing.name


def _spelled(edit: EditRow, asked: str) -> tuple[str, str]:
    """The name in the edit's own question that the one asked spells otherwise."""
    matches = ((name, compare(name, asked)) for name in entities(str(edit.request["prompt"])))
    return "", next((name for name, match in matches if match.likeness == "slip"), "")


def _rivals(tx: Transaction, owners: Sequence[int], note: Note, now: datetime) -> Iterator[str]:
    """Notes of other owners among the asker's that say otherwise than the one an edit came from, a shared one, say.

    Notes of one owner close each other when they are stored; those of several stand side by side, and recall shows them all.
    """
    if note.fact is None:
        return
    own = tx.notes.owner(note.scope)
    for owner in owners:
        if owner != own:
            told = tx.notes.facts(owner, note.fact.subject, note.fact.relation, holding_from=micros(now))
            for row, _ in conflicting(note.fact, told):
                (rival,) = tx.notes.load([row]).values()
                if rival.valid_at(now):
                    yield rival.id
