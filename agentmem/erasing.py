"""``forget``: a note leaves every place that knows of it, the weights included, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from agentmem.clock import micros
from agentmem.core import Core
from agentmem.dedup import content_hash
from agentmem.errors import StoreError, UnknownNote
from agentmem.evolving import describe, take_back
from agentmem.experience import texts_of
from agentmem.notes import ForgetReceipt, Note, Scope
from agentmem.querying import query_words
from agentmem.relating import WordLinks
from agentmem.remembering import key_hash
from agentmem.storage import EditRow, Selection, Transaction
from agentmem.superseding import Superseder
from agentmem.weights import WeightBook

__all__ = ["Eraser"]


@dataclass(slots=True)
class _Doomed:
    """All that one call removes."""

    notes: dict[int, Note]
    asked: tuple[str, ...]
    derived: tuple[str, ...]
    edits: list[EditRow]


class Eraser:
    """Removes notes, whatever was derived from them, and their weight edits; then looks whether they are gone.

    Args:
        purge_index: takes removed vectors out of the index's files; returns what is left to do, in words.
        fail: called with the name of each durable step; tests stop the process there.
    """

    def __init__(
        self,
        core: Core,
        weights: WeightBook,
        purge_index: Callable[[], str],
        fail: Callable[[str], None] = lambda step: None,
    ) -> None:
        self._core = core
        self._weights = weights
        self._purge_index = purge_index
        self._fail = fail

    def forget(self, selection: Selection, ids: Sequence[str] | None, scope: Scope, *, dry_run: bool) -> ForgetReceipt:
        """Forget the notes with these ids, or all that the selection admits.

        Raises:
            UnknownNote: an id is of no note that the selection admits; nothing was removed.
        """
        if dry_run:
            with self._core.store.read() as tx:
                doomed = self._doomed(tx, selection, ids, scope)
                return self._receipt(doomed, self._counts(tx, doomed), dry_run=True)
        with self._weights.lock:
            with self._core.store.write() as tx:
                doomed = self._doomed(tx, selection, ids, scope)
                places = self._erase(tx, doomed)
                self._fail("forget:before-commit")
            self._fail("forget:after-commit")
            left = self._clean(doomed) if doomed.notes else ""
            warnings = self._warnings(doomed, left) if doomed.notes else ("nothing matched: nothing was removed",)
        receipt = self._receipt(doomed, places, dry_run=False)
        probes = self._probe(doomed) | ({"free pages": False} if left else {})
        return replace(receipt, probes=probes, warnings=warnings)

    def _clean(self, doomed: _Doomed) -> str:
        """What a transaction cannot reach: the live model, caches, free pages; returns what could not be scrubbed, in words.

        The notes are gone by now, and a call that failed here could not be repeated: so that is told, not raised.
        """
        self._weights.refresh()
        self._core.discard([text for note in doomed.notes.values() for text in (note.content, *texts_of(note.metadata))])
        try:
            self._core.store.erase()
        except StoreError as error:
            return (
                f"the notes are gone, but copies of their bytes may stay in free pages or the log until the next forget(), or until "
                f"every process has closed this memory: {error.message}"
            )
        return ""

    def _warnings(self, doomed: _Doomed, left: str) -> tuple[str, ...]:
        said = [left, self._purge_index(), *(self._said_of_weights() if doomed.edits else ())]
        return tuple(text for text in said if text)

    def _said_of_weights(self) -> list[str]:
        """What became of edits that shared a shard, or a damaged pack, with a forgotten one."""
        pack = self._weights.contents()
        with self._core.store.read() as tx:
            lost = len({edit.id for edit in tx.ledger.edits()} - pack.edits)
        said = [f"{len(pack.waiting)} facts shared a shard with it: notes answer for them until the next consolidation"] if pack.waiting else []
        return [*said, f"the damaged pack went as a whole, and {lost} other edits with it: rebuild('weights') writes them anew"] if lost else said

    def _doomed(self, tx: Transaction, selection: Selection, ids: Sequence[str] | None, scope: Scope) -> _Doomed:
        selection = self._core.selection(tx, scope, selection)
        rows = self._named(tx, selection, ids) if ids is not None else tx.notes.select(selection)
        asked = tx.notes.load(rows)
        derived = self._derived(tx, rows)
        edits = tx.ledger.edits(state=None, note_ids=[n.id for n in (*asked.values(), *derived.values())])
        return _Doomed(
            asked | derived, tuple(n.id for n in asked.values()), tuple(n.id for n in derived.values()), edits
        )

    @staticmethod
    def _named(tx: Transaction, selection: Selection, ids: Sequence[str]) -> list[int]:
        known = tx.notes.rows_of(ids)
        rows = [facet.row for facet in tx.notes.facets(list(known.values()), selection)]
        seen = set(rows)
        unknown = next((id for id in ids if known.get(id) not in seen), None)
        if unknown is not None:
            raise UnknownNote(f"No note {unknown!r:.60} in this scope.", hint="memory.notes() lists what there is.")
        return rows

    @staticmethod
    def _derived(tx: Transaction, rows: Sequence[int]) -> dict[int, Note]:
        """Summaries and the like, however far down: they can be made again from what remains."""
        known, frontier = set(rows), list(rows)
        while frontier:
            frontier = [row for row in tx.links.derived_from(frontier) if row not in known]
            known.update(frontier)
        return tx.notes.load(sorted(known - set(rows)))

    def _erase(self, tx: Transaction, doomed: _Doomed) -> dict[str, int]:
        rows = sorted(doomed.notes)
        now = micros(self._core.clock.now())
        word_links = WordLinks(self._core, tx)
        touched = word_links.depending(rows)
        beside = {other for row, note in doomed.notes.items() if note.thread for other in tx.notes.neighbours_in_thread(row, 1)}
        superseder = Superseder(tx)
        freed = superseder.closed_by(rows)
        weights = self._weights.drop(tx, [e.id for e in doomed.edits if e.state == "active"])
        places = {"edits": weights, "links": tx.links.delete_rows(rows), "full text": tx.text.delete(rows)}
        places["vectors"] = tx.vectors.delete(rows)
        places["uses"] = tx.uses.delete(rows)
        places["experiences"] = tx.experiences.delete(rows)
        for row, note in doomed.notes.items():
            owner = tx.notes.owner(note.scope)
            assert owner is not None
            for version in tx.notes.history(row):
                tx.notes.tombstone_add(owner, content_hash(version.content), now)
            tx.outbox.put("remove", owner, [row])
        for owner, key in tx.notes.idempotency_keys(rows):
            tx.notes.tombstone_add(owner, key_hash(key), now)
        places["enrichment"] = take_back(tx, rows)
        places |= dict(tx.notes.delete(rows))
        word_links.renew(touched)
        for row, note in tx.notes.load(sorted(beside - set(rows))).items():  # found by the words of those that are its neighbours now
            describe(tx, row, note)
        self._weights.retire(tx, superseder.reopen(freed, "holds again: what superseded it was forgotten"), "superseded")
        places["books"] = tx.ledger.delete_edits([e.id for e in doomed.edits])
        for note in doomed.notes.values():
            tx.ledger.append(now, "forgotten", note_id=note.id)
        places["index"] = len(rows) if self._core.indexer is not None else 0
        return places

    def _counts(self, tx: Transaction, doomed: _Doomed) -> dict[str, int]:
        rows = sorted(doomed.notes)
        return {
            "notes": len(rows),
            "links": len(tx.links.touching(rows)),
            "vectors": len(tx.vectors.load(rows)[0]),
            "edits": sum(e.state == "active" for e in doomed.edits),
        }

    def _receipt(self, doomed: _Doomed, places: Mapping[str, int], *, dry_run: bool) -> ForgetReceipt:
        edits = tuple(e.id for e in doomed.edits if e.state == "active")
        return ForgetReceipt(doomed.asked, dict(places), doomed.derived, edits, dry_run=dry_run)

    def _probe(self, doomed: _Doomed) -> dict[str, bool]:
        """Ask every place for what should be gone."""
        if not doomed.notes:
            return {}
        rows, ids = sorted(doomed.notes), [n.id for n in doomed.notes.values()]
        with self._core.store.read() as tx:
            probes = {
                "notes": not tx.notes.rows_of(ids),
                "full text": not self._still_in_text(tx, doomed),
                "vectors": not len(tx.vectors.load(rows)[0]) and not tx.passages.load(rows),
                "links": not tx.links.touching(rows),
                "experiences": not tx.experiences.among(rows),
                "books": not tx.ledger.edits(state=None, note_ids=ids),
            }
        if doomed.edits:
            gone = {e.id for e in doomed.edits}
            probes["weights"] = not gone & self._weights.contents().edits
            if self._weights.editor is not None:
                live = self._weights.editor.edits()
                probes["model"] = not any(e.id in gone or e.note_id in ids for e in live)
                probes["routing"] = self._silent(doomed, gone)
        return probes

    @staticmethod
    def _still_in_text(tx: Transaction, doomed: _Doomed) -> bool:
        for row, note in doomed.notes.items():
            owner = tx.notes.owner(note.scope)
            words = query_words(note.content)[:16]
            if owner is not None and any(found == row for found, _ in tx.text.search(words, (owner,), 200)):
                return True
        return False

    def _silent(self, doomed: _Doomed, gone: set[str]) -> bool:
        """No forgotten edit answers its own question any more."""
        assert self._weights.editor is not None
        prompts = {str(e.request.get("prompt")): doomed_scope(doomed, e) for e in doomed.edits if e.request.get("prompt")}
        routes = [self._weights.editor.probe([prompt], scope)[0] for prompt, scope in prompts.items()]
        return not any(route.edit_id in gone for route in routes)


def doomed_scope(doomed: _Doomed, edit: EditRow) -> Scope | None:
    """The scope in which a forgotten edit used to answer."""
    return next((n.scope for n in doomed.notes.values() if n.id == edit.note_id), None)
