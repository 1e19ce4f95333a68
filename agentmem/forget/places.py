"""Every place into which something of a note goes: how it is taken out there, and how one looks whether it is gone.

The list :data:`TRACES` is the only one: what ``forget`` removes, what its receipt counts and what its probes ask, all follow it. A place that
a transaction reaches has ``remove``; one that keeps bytes behind it has a name in :data:`DUE`, is written down in the same
transaction as still to be scrubbed, and is scrubbed after the commit (:mod:`agentmem.forget.finish`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from agentmem.core import Core
from agentmem.enrich.take_back import take_back
from agentmem.errors import PackUnreachable
from agentmem.experience.values import texts_of
from agentmem.notes.clock import micros
from agentmem.notes.note import Note, Scope
from agentmem.notes.rows import EditRow
from agentmem.projections.links import WordLinks
from agentmem.recall.query import query_words
from agentmem.records.transaction import Transaction
from agentmem.remember.duplicates import content_hash
from agentmem.remember.supersede import Freed, Superseder
from agentmem.remember.write import key_hash
from agentmem.weights import adapters, books
from agentmem.weights.registry import WeightRegistry

__all__ = ["ADAPTERS", "DUE", "FILE", "INDEX", "PACKS", "TRACES", "Doomed", "Removal", "Trace", "Traces"]

ADAPTERS: Final = "adapters"
FILE: Final = "file"
INDEX: Final = "index"
PACKS: Final = books.ERASING
DUE: Final[Mapping[str, str]] = {
    FILE: "copies of their bytes in the database file and its log",
    INDEX: "their vectors in the files of the index",
    PACKS: "packs of weights that nobody serves any more",
    ADAPTERS: "adapters that were exported with them, where they were written",
}
"""Places that keep bytes when their rows are gone."""


@dataclass(slots=True)
class Doomed:
    """All that one call removes; ``spaces`` tell where the vector and the words of each row lie, ``exports`` which folders hold adapters with it."""

    notes: dict[int, Note]
    asked: tuple[str, ...]
    derived: tuple[str, ...]
    edits: list[EditRow]
    spaces: dict[int, int]
    exports: tuple[str, ...] = ()

    @property
    def rows(self) -> list[int]:
        return sorted(self.notes)

    @property
    def ids(self) -> list[str]:
        return [note.id for note in self.notes.values()]

    @property
    def texts(self) -> list[str]:
        """What of it was embedded."""
        return [text for note in self.notes.values() for text in (note.content, *texts_of(note.metadata))]


@dataclass(slots=True)
class Removal:
    """One transaction that removes, or one that looks afterwards."""

    core: Core
    weights: WeightRegistry
    tx: Transaction
    doomed: Doomed
    owners: list[int] = field(init=False)
    freed: Freed = field(default_factory=dict)
    touched: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        scopes = dict.fromkeys(note.scope.owner for note in self.doomed.notes.values())
        self.owners = [owner for scope in scopes if scope and (owner := self.tx.notes.owner(scope)) is not None]

    @property
    def now(self) -> int:
        return micros(self.core.clock.now())

    def owner(self, note: Note) -> int:
        owner = self.tx.notes.owner(note.scope)
        assert owner is not None
        return owner


@dataclass(frozen=True, slots=True)
class Trace:
    """One place.

    Attributes:
        name: as the receipt says it.
        holds: what of a note goes there.
        remove: inside the transaction; how much was removed, by place if there are several.
        gone: afterwards; whether nothing is found there. ``None``: nothing to ask, as of a place with no look-up by note.
    """

    name: str
    holds: str
    remove: Callable[[Removal], int | Mapping[str, int]] = lambda removal: {}
    gone: Callable[[Removal], bool] | None = None


def _edits(r: Removal) -> int:
    r.freed = Superseder(r.tx, r.core.extractor).closed_by(r.doomed.rows)
    return r.weights.drop(r.tx, [edit.id for edit in r.doomed.edits if edit.state == "active"])


def _packs_gone(r: Removal) -> bool:
    gone = {edit.id for edit in r.doomed.edits}
    try:
        return not gone & r.weights.contents().edits
    except PackUnreachable:  # that nobody can look is no proof
        return False


def _adapters(r: Removal) -> int:
    return adapters.condemn(r.tx, [edit.id for edit in r.doomed.edits], r.doomed.ids)


def _model_gone(r: Removal) -> bool:
    if r.weights.editor is None:
        return True
    gone, ids = {edit.id for edit in r.doomed.edits}, set(r.doomed.ids)
    return not any(edit.id in gone or edit.note_id in ids for edit in r.weights.editor.edits())


def _routing_gone(r: Removal) -> bool:
    """No forgotten edit answers its own question any more."""
    if r.weights.editor is None:
        return True
    scopes = {note.id: note.scope for note in r.doomed.notes.values()}
    asked: dict[str, Scope | None] = {
        str(e.request["prompt"]): scopes.get(e.note_id) for e in r.doomed.edits if e.request.get("prompt")
    }
    gone = {edit.id for edit in r.doomed.edits}
    return not any(r.weights.editor.probe([prompt], scope)[0].edit_id in gone for prompt, scope in asked.items())


def _links(r: Removal) -> int:
    """And noted is whose links by words depended on it, as long as it is known what it said."""
    r.touched = list(WordLinks(r.core, r.tx).depending(r.doomed.rows))
    return r.tx.links.delete_rows(r.doomed.rows)


def _relinked(r: Removal) -> Mapping[str, int]:
    """What is rare now, or nearest, may be so only since it is gone."""
    WordLinks(r.core, r.tx).renew(r.touched)
    return {}


def _text_gone(r: Removal) -> bool:
    for row, note in r.doomed.notes.items():
        words, spaces = query_words(note.content)[:16], (r.doomed.spaces[row],)
        if any(found == row for found, _ in r.core.text.search(r.tx, words, spaces, 200)):
            return False
    return True


def _vectors_gone(r: Removal) -> bool:
    rows = r.doomed.rows
    return not len(r.tx.vectors.load(rows)[0]) and not r.tx.passages.load(rows)


def _memory_gone(r: Removal) -> bool:
    """What this process holds of vectors: blocks for exact comparison, and the embedder's cache."""
    r.core.exact.refresh(r.tx)
    return not r.core.exact.held(r.doomed.rows) and not r.core.cached(r.doomed.texts)


def _tombstones(r: Removal) -> Mapping[str, int]:
    """So that a late write does not bring it back: digests under a key of this store."""
    for row, note in r.doomed.notes.items():
        for version in filter(lambda each: each.content, r.tx.notes.history(row)):
            r.tx.tombstones.add(r.owner(note), content_hash(version.content), r.now)
    for owner, key in r.tx.keys.of(r.doomed.rows):
        r.tx.tombstones.add(owner, key_hash(key), r.now)
    return {}


def _evidence(r: Removal) -> int:
    """What was answered from it, and what else its owner asked, or was answered, in its words: a question is often a note, too."""
    count, said = r.tx.evidence.delete(r.doomed.rows), dict[int, list[str]]()
    for row, note in r.doomed.notes.items():
        said.setdefault(r.owner(note), []).extend(version.content for version in r.tx.notes.history(row))
    return count + sum(r.tx.evidence.delete_repeating(owner, texts) for owner, texts in said.items())


def _index(r: Removal) -> int:
    for row, space in r.doomed.spaces.items():
        r.tx.outbox.put("remove", space, [row])
    return len(r.doomed.notes) if r.core.indexer is not None else 0


def _followers(r: Removal) -> Mapping[str, int]:
    """What a forgotten note had ended holds again."""
    reopened = Superseder(r.tx, r.core.extractor).reopen(r.freed, "holds again: what superseded it was forgotten")
    r.weights.retire(r.tx, reopened.outdated, "superseded")
    return {}


def _books(r: Removal) -> int:
    count = r.tx.ledger.delete_edits([edit.id for edit in r.doomed.edits])
    for note in r.doomed.notes.values():
        r.tx.ledger.append(r.now, "forgotten", note_id=note.id, owner=r.owner(note))
    return count


def _names(r: Removal) -> int:
    """Of whom nothing is left, nothing is kept but a keyed digest, by which who comes back is known."""
    empty = r.tx.notes.empty_owners(r.owners)
    r.tx.evidence.delete_of(empty)
    whose = {(r.tx.notes.owner(note.scope), note.scope) for note in r.doomed.notes.values()}
    for owner, scope in whose:
        if owner is not None and scope.agent is not None:
            r.tx.evidence.delete_within(owner, agent=scope.agent)
        if owner is not None and scope.session is not None:
            r.tx.evidence.delete_within(owner, session=scope.session)
    r.weights.unlearn(r.tx, sorted({owner for owner, _ in whose if owner is not None}))
    r.tx.notes.unname(empty)
    return len(empty)


# In this order: what has to know the note comes before the note, what has to know that it is gone after it.
TRACES: Final[tuple[Trace, ...]] = (
    Trace("edits", "its facts, as keys, values, prompts and targets of edits in the active pack", _edits),
    Trace("weights", "the same, in the file of the pack", gone=_packs_gone),
    Trace("exported adapters", "the same, in adapters that were exported: they are removed where they were written, afterwards", _adapters),
    Trace("model", "the same, in the live editor of this process; others load the new pack before their next request", gone=_model_gone),
    Trace("routing", "the way from its question to its answer", gone=_routing_gone),
    Trace(
        "links", "reasons that quote it, and which notes it was near to",
        _links, lambda r: not r.tx.links.touching(r.doomed.rows),
    ),
    Trace("full text", "its words, as keyed digests, in the table and in memory", lambda r: r.tx.text.delete(r.doomed.rows), _text_gone),
    Trace("vectors", "its vector, those of its passages, those of an embedder to come", lambda r: r.tx.vectors.delete(r.doomed.rows), _vectors_gone),
    Trace("memory", "its vectors in this process: blocks, and the embedder's cache", gone=_memory_gone),
    Trace("readings", "which days it tells of, and whether it asks", lambda r: r.tx.readings.delete(r.doomed.rows), lambda r: not r.tx.readings.kept(r.doomed.rows)),
    Trace("uses", "when it was used", lambda r: r.tx.uses.delete(r.doomed.rows)),
    Trace(
        "evidence", "questions that were answered from it, or that it repeats, with the answers",
        _evidence, lambda r: not r.tx.evidence.under(r.doomed.rows),
    ),
    Trace(
        "experiences", "values and keyed digests of what was done",
        lambda r: r.tx.experiences.delete(r.doomed.rows), lambda r: not r.tx.experiences.among(r.doomed.rows),
    ),
    Trace(
        "records", "its value, under its key",
        lambda r: r.tx.keyed.delete(r.doomed.rows), lambda r: not r.tx.keyed.of(r.doomed.rows),
    ),
    Trace("tombstones", "keyed digests of its words and keys, written here", _tombstones),
    Trace("index", "its vector, in the index; its files are scrubbed afterwards", _index),
    Trace("enrichment", "what a model said of other notes after reading it", lambda r: take_back(r.tx, r.doomed.rows)),
    Trace(
        "notes", "its words, history, facts, terms, and the receipts kept under its keys",
        lambda r: r.tx.notes.delete(r.doomed.rows), lambda r: not r.tx.notes.rows_of(r.doomed.ids),
    ),
    Trace("links of others", "that it stood between them, or made a word common", _relinked),
    Trace("followers", "what it had ended", _followers),
    Trace("registry", "edits of any state with their requests; the ledger keeps its id, and whose it was", _books, lambda r: not r.tx.ledger.edits(state=None, note_ids=r.doomed.ids)),
    Trace(
        "names", "whose it was, with all that was asked of shared notes, once no note is left of that user or agent; what stays is a keyed digest",
        _names, lambda r: not r.tx.notes.empty_owners(r.owners),
    ),
)  # fmt: skip
"""Besides these there are the bytes of files, :data:`DUE`, and what a user wrote elsewhere: exports, pages, backups."""

_OF_EDITS: Final = ("weights", "model", "routing")


class Traces:
    """What can be done with a list of places."""

    def __init__(self, traces: Sequence[Trace] = TRACES) -> None:
        self.traces = tuple(traces)

    def remove(self, removal: Removal) -> dict[str, int]:
        """Inside a write: take everything out, and write down what has to be scrubbed; how much was removed, by place."""
        counts: dict[str, int] = {}
        for trace in self.traces:
            removed = trace.remove(removal)
            counts |= removed if isinstance(removed, Mapping) else {trace.name: removed}
        if removal.doomed.notes:
            removal.tx.erasing.add(tuple(DUE), removal.now)
        return counts

    def look(self, removal: Removal) -> dict[str, bool]:
        """After the commit: whether nothing is found, by place."""
        asked = [
            trace
            for trace in self.traces
            if trace.gone is not None and (removal.doomed.edits or trace.name not in _OF_EDITS)
        ]
        return {trace.name: trace.gone(removal) for trace in asked if trace.gone is not None}
