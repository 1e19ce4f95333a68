"""What a memory that is bound to somebody tells of its own state: how that one's notes stand, and nothing that counts others'."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from agentmem.consolidation.figures import counted
from agentmem.core import EVERYBODY, Core
from agentmem.errors import AgentMemError
from agentmem.notes.note import Scope
from agentmem.notes.rows import Selection
from agentmem.notes.spaces import both
from agentmem.records.transaction import Transaction
from agentmem.upkeep.rebuild import CheckReport
from agentmem.weights.registry import WeightRegistry

__all__ = ["OwnUpkeep", "in_percent"]

PAGE = 512
Progress = Callable[[int, int], None]


def in_percent(report: Progress) -> Progress:
    """Progress of work on everybody's notes, for somebody who may not know how many there are."""
    return lambda done, total: report(100 * done // total if total else 100, 100)


class OwnUpkeep:
    """:class:`~agentmem.upkeep.rebuild.Upkeep` as one owner gets to see it: a user, or an agent; shared notes are everybody's own."""

    def __init__(self, core: Core, weights: WeightRegistry, scope: Scope) -> None:
        self._core = core
        self._weights = weights
        self._scope = scope.owner

    def check(self) -> CheckReport:
        """Own notes, and whether the parts that all share are sound; what is wrong with those is for who runs the memory to see."""
        unsound = bool(self._core.store.check())
        with self._core.reading(self._scope) as tx:
            owners = self._core.selection(tx, self._scope).owners
            counts = self._counts(tx, owners)
            problems = self._problems(tx, counts, tx.notes.wordless(owners))
            if half := _under_way(tx):
                problems.append(f"{half}: memory.reembed(embedder) goes on")
        if unsound:
            problems.insert(0, "store: the file is damaged; check() of a memory that is bound to nobody says how")
        index = self._core.indexer.health() if self._core.indexer is not None else "none"
        if index in ("missing", "damaged"):
            problems.append(f"the vector index is {index}: rebuild('vectors')")
        return CheckReport(tuple(problems), counts, index)

    def stats(self) -> Mapping[str, object]:
        """Own counts; sizes are those of all, and so are not told."""
        with self._core.reading(self._scope) as tx:
            counts = self._counts(tx, self._core.selection(tx, self._scope).owners)
            stored, half = tx.vectors.fingerprint(), _under_way(tx)
        embedder = stored[0] if stored and counts["vectors"] else None  # others' first note fixes it, too
        return {**counts, "embedder": embedder, "reembedding": half or None}

    def held(self, projection: str) -> int:
        """How many own items a projection holds."""
        with self._core.reading(self._scope) as tx:
            owners = self._core.selection(tx, self._scope).owners
            counts = self._counts(tx, owners)
            return counts[
                {"vectors": "vectors", "text": "notes", "readings": "notes", "graph": "links", "weights": "edits"}[
                    projection
                ]
            ]

    def is_alone(self) -> bool:
        """Whether nobody else has anything that is embedded."""
        with self._core.reading(EVERYBODY) as tx:  # one look: somebody may be writing
            mine = sum(map(tx.vectors.size_of, both(tx.notes.visible_owners(self._scope))))
            return mine == tx.vectors.count()

    def _counts(self, tx: Transaction, owners: Sequence[int]) -> dict[str, int]:
        selection = Selection(tuple(owners), archived=True)
        return {
            "notes": tx.notes.count(selection),
            "vectors": sum(map(tx.vectors.size_of, both(owners))),
            "links": _links(tx, selection),
            "edits": len(tx.ledger.edits(owners=owners)),
            "experiences": tx.experiences.count(owners),
        }

    def _problems(self, tx: Transaction, counts: Mapping[str, int], wordless: int) -> list[str]:
        problems, worded = [], counts["notes"] - wordless
        if counts["vectors"] != worded:
            problems.append(f"{counts['vectors']} of {worded} notes have a vector: rebuild('vectors')")
        edits = tx.ledger.edits()
        if not edits:
            return problems
        try:
            lost = {edit.id for edit in edits} - self._weights.contents().edits
        except AgentMemError as error:
            return [*problems, f"weights: {error.message} rebuild('weights')"]
        if lost:
            problems.append(f"the pack lacks {len(lost)} of {counted(len(edits), 'edit')}: rebuild('weights')")
        notes = {
            note.id: note
            for note in tx.notes.load(list(tx.notes.rows_of([e.note_id for e in edits]).values())).values()
        }
        stale = [e for e in edits if e.note_id not in notes or notes[e.note_id].version != e.note_version]
        if stale:
            problems.append(f"behind their notes: {counted(len(stale), 'edit')}; consolidate() takes them out")
        return problems


def _under_way(tx: Transaction) -> str:
    """That the embedder is being changed, in words: that concerns everybody, how many notes there are does not."""
    target = tx.next_vectors.target()
    return f"notes are embedded anew by {target[0]}" if target else ""


def _links(tx: Transaction, selection: Selection) -> int:
    """Links between notes that are admitted, each counted where it starts."""
    count, rows = 0, list[int]()
    while rows := tx.notes.page(selection, rows[-1] if rows else 0, PAGE):
        count += tx.links.starting(rows)
    return count
