"""The projections: are they what the notes say, and how are they made so again?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agentmem.consolidation.figures import counted
from agentmem.consolidation.rewriting import request_in_registry
from agentmem.core import EVERYBODY, Core
from agentmem.errors import AgentMemError, InvalidArgument
from agentmem.notes.edit import EditRequest
from agentmem.notes.note import Scope
from agentmem.notes.passages import embedded
from agentmem.notes.protocols import Embedder
from agentmem.projections.links import GRAPH_DUE, WordLinks
from agentmem.projections.readings import NoteReadings
from agentmem.projections.text import FullText
from agentmem.records.enrichment import ATTEMPTS
from agentmem.records.transaction import Transaction
from agentmem.upkeep.check import Comparison, lacking_vectors, told, unfinished, unlike_vectors
from agentmem.upkeep.indexing import IndexUpkeep
from agentmem.upkeep.reembed import Reembedder, add_passages, under_way
from agentmem.weights.registry import METHOD, WeightRegistry

__all__ = ["PROJECTIONS", "CheckReport", "Upkeep"]

PROJECTIONS = ("vectors", "text", "readings", "graph", "weights")
CHUNK = 256
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What ``check`` found. ``problems`` are sentences, each with its cure; ``counts`` are per place; ``notices`` ask for nothing."""

    problems: tuple[str, ...]
    counts: Mapping[str, int]
    index: str
    notices: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.problems

    def __str__(self) -> str:
        return "all projections agree with the notes" if self.ok else "; ".join(self.problems)


class Upkeep:
    """Checks and rebuilds the projections.

    Args:
        indexing: looks after the vector index.
        text: the words of the notes in full text; readings: what is read off them.
        rewrite: writes the edits of the registry into the weights anew.
        notices: says what lies in the directory and is not touched.
    """

    def __init__(
        self,
        core: Core,
        weights: WeightRegistry,
        indexing: IndexUpkeep,
        text: FullText,
        readings: NoteReadings,
        rewrite: Callable[[Progress], int],
        notices: Callable[[], list[str]] = list,
    ) -> None:
        self._core = core
        self._text, self._readings = text, readings
        self._weights = weights
        self._rewrite = rewrite
        self._notices = notices
        self._indexing = indexing

    def flush(self) -> None:
        """Finish what a re-embedding left to do, and deliver everything that the vector index has not seen."""
        with self._core.reading(EVERYBODY) as tx:
            due = tx.meta_get(GRAPH_DUE) is not None
        if due:
            self._graph(lambda done, total: None)
        self._indexing.flush()

    def flush_if_consulted(self) -> None:
        """:meth:`flush`, unless no request can be large enough for the index."""
        if self._indexing.consulted():
            self.flush()

    # -- check -----------------------------------------------------------------------------------------------

    def check(self, *, deep: bool = False) -> CheckReport:
        """Compare by content: every note with its seal, and of a sample, or all if ``deep``, what each projection holds."""
        problems = [f"store: {p}" for p in self._core.store.check()]
        try:
            return self._compared(problems, deep=deep)
        except AgentMemError as error:
            if not problems:
                raise
            return CheckReport((*problems, error.message), {}, "unknown")  # damage keeps the rest from being looked at

    def _compared(self, problems: list[str], *, deep: bool) -> CheckReport:
        with self._core.reading(EVERYBODY) as tx:
            counts = {
                "notes": tx.notes.count(),
                "full text": tx.text.count(),
                "vectors": tx.vectors.count(),
                "links": tx.links.count(),
                "outbox": tx.outbox.count(),
                "edits": tx.ledger.held(),
                "experiences": tx.experiences.count(),
            }
            problems += told(lambda: lacking_vectors(tx, counts), "vectors")
            problems += told(lambda: self._check_edits(tx), "edits")
            problems += told(lambda: unfinished(tx), "what is left to do")
        problems += told(lambda: Comparison(self._core, deep=deep).problems(), "projections")
        index = "unknown"

        def indexed() -> list[str]:
            nonlocal index
            index, found = self._indexing.check(deep=deep)
            return found

        problems += told(indexed, "the vector index")
        return CheckReport(tuple(problems), counts, index, (*self._notices(), *self._unclear()))

    def _unclear(self) -> list[str]:
        """Files among the packs that have a pack's name and not its bytes: nobody serves them, and nobody removes them."""
        names = self._weights.unclear()
        return (
            [f"among the packs of weights, named like one and not one, and not touched: {', '.join(names)}"]
            if names
            else []
        )

    def _check_edits(self, tx: Transaction) -> list[str]:
        """Books, pack and live model hold the same edits, and each edit says what its note says."""
        edits = tx.ledger.edits()
        listed = {edit.id for edit in edits}
        try:
            held = self._weights.contents(fresh=True).edits
        except AgentMemError as error:
            return [f"weights: {error.message} rebuild('weights')"]
        problems = []
        if listed != held:
            problems.append(
                f"the registry holds {counted(len(listed), 'edit')}, the pack {len(held)}: rebuild('weights')"
            )
        if self._weights.editor is not None:
            live = {e.id for e in self._weights.editor.edits()}
            if live != held:
                problems.append(
                    f"the pack holds {counted(len(held), 'edit')}, the model {len(live)}: attach the model again"
                )
        rows = tx.notes.rows_of([e.note_id for e in edits])
        notes = {n.id: n for n in tx.notes.load(list(rows.values())).values()}
        stale = [e for e in edits if e.note_id not in notes or notes[e.note_id].version != e.note_version]
        if stale:
            problems.append(f"behind their notes: {counted(len(stale), 'edit')}; consolidate() takes them out")
        return problems

    # -- rebuild ---------------------------------------------------------------------------------------------

    def rebuild(self, projection: str, progress: Progress | None = None) -> int:
        if projection not in PROJECTIONS:
            raise InvalidArgument(f"No projection {projection!r}.", hint=f"one of {', '.join(PROJECTIONS)}.")
        report = progress or (lambda done, total: None)
        work: dict[str, Callable[[Progress], int]] = {
            "vectors": self._vectors,
            "text": self._text.rebuild,
            "readings": self._readings.rebuild,
            "graph": self._graph,
            "weights": self._rewrite,
        }
        return work[projection](report)

    def _vectors(self, report: Progress) -> int:
        """Embed every note and store what is missing or not of its words; then the index anew."""
        changed = Reembedder(self._core).run(self._core.embedder, report)
        if changed:
            self._graph(report)
        else:
            self._embed_again(report)
        add_passages(self._core, report)
        if self._core.indexer is not None and not (changed and self._core.indexer.health() == "unowned"):
            self._indexing.anew()
        with self._core.reading(EVERYBODY) as tx:
            return tx.vectors.count()

    def _embed_again(self, report: Progress) -> None:
        with self._core.reading(EVERYBODY) as tx:
            rows = tx.notes.select_all()
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            with self._core.reading(EVERYBODY) as tx:
                texts = [note.content for note in tx.notes.load(part).values() if note.content]
            embedded(
                self._core.embedder, texts
            )  # outside of the write, which finds what was computed in the embedder's cache
            with self._core.writing(EVERYBODY) as tx:
                tx.vectors.drop_unsound(part)
                self._embed(tx, unlike_vectors(self._core, tx, part))
            report(min(start + CHUNK, len(rows)), len(rows))

    def reembed(self, embedder: Embedder, report: Progress, fail: Callable[[str], None]) -> int:
        """Change to another embedder; the former one serves until all is ready. Returns how many vectors there are."""
        changed, indexer = Reembedder(self._core, fail).run(embedder, report), self._core.indexer
        add_passages(self._core, report)
        if changed:
            self._graph(report)
        if changed and indexer is not None and indexer.health() != "unowned":  # else its owner finds it out of date
            self._indexing.anew()
        with self._core.reading(EVERYBODY) as tx:
            return tx.vectors.count()

    def _embed(self, tx: Transaction, rows: list[int]) -> None:
        notes = tx.notes.load(rows)
        for space, members in tx.by_space(rows).items():
            tx.vectors.put(members, space, self._core.embed([notes[row].content for row in members]))

    def _graph(self, report: Progress) -> int:
        """Terms, and the links that words make, anew; any other link is left as it is."""
        with self._core.writing(EVERYBODY) as tx:
            tx.meta_set(GRAPH_DUE, None)
            rows = tx.notes.select_all()
            links = WordLinks(self._core, tx)
            for start in range(0, len(rows), CHUNK):
                wanted, held = links.terms(rows[start : start + CHUNK])
                unlike = [row for row, terms in wanted.items() if terms != held[row]]
                for row, owner in tx.notes.owners_of(unlike).items():
                    tx.terms.replace(owner, row, wanted[row])
            for start in range(0, len(rows), CHUNK):
                links.renew(rows[start : start + CHUNK])
                report(min(start + CHUNK, len(rows)), len(rows))
            return tx.links.count()

    # -- numbers ---------------------------------------------------------------------------------------------

    def edits(self, scope: Scope) -> list[EditRequest]:
        """The active edits that a scope may see, as the registry holds them."""
        with self._core.reading(scope) as tx:
            return [
                request_in_registry(edit) for edit in tx.ledger.edits(owners=self._core.selection(tx, scope).owners)
            ]

    def stats(self) -> Mapping[str, object]:
        values: dict[str, object] = {"bytes": self._core.store.size()}
        with self._core.reading(EVERYBODY) as tx:
            values |= tx.counts()
            stored = tx.vectors.fingerprint()
            active = tx.ledger.active_pack(METHOD)
            values["enrichment"] = tx.enrichment.counts(tx.notes.all_owners(), ATTEMPTS)
            values["reembedding"] = under_way(tx) or None
        values["embedder"] = stored[0] if stored else None
        values["pack"] = active[0] if active else None
        values["index"] = self._core.indexer.health() if self._core.indexer is not None else "none"
        if self._weights.editor is not None:
            status = self._weights.editor.status()
            values["side_memory"] = {"edits": status.edits, "keys": status.keys, "bytes": status.size_bytes}
        return values
