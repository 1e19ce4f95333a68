"""One write or delete: from records to trained memories, or to an exception and nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from agentmem.editors.core.requests import in_order
from agentmem.editors.gate.intake import EditDraft, Fit, Intake, receipts_of
from agentmem.editors.packs import Array, PackedEdit
from agentmem.editors.wise.library import Library, shard_digest
from agentmem.editors.wise.memory import SideMemory
from agentmem.editors.wise.sharding import Cell, partition
from agentmem.editors.wise.training import NOTHING, Trainer
from agentmem.notes.edit import EditReceipt, EditRequest

__all__ = ["WiseIntake", "trained"]

Progress = Callable[[int, int], None]


def trained(
    library: Library, trainer: Trainer, known: Sequence[Library], progress: Progress | None = None
) -> tuple[Library, dict[str, Fit]]:
    """Train the memories of a library's records; what is known already is not trained again.

    Args:
        library: its memories are ignored.
        known: states of the same editor, whose memories and shards are taken over where the records are the same.

    Returns:
        The library with its memories, and how the records of newly trained memories are answered.
    """
    config, edits = trainer.config, {edit.id: edit for edit in library.edits}
    whole = {memory.digests: memory for other in known for memory in other.memories}
    shards = {digest: packed for other in known for digest, packed in other.trained.items()}
    memories: list[SideMemory] = []
    fits: dict[str, Fit] = {}
    done = 0
    for cell in partition(library.edits, config.shard_size, config.shards):
        digests = tuple(
            shard_digest(cell.name, number, [edits[name] for name in ids]) for number, ids in enumerate(cell.shards)
        )
        memory = whole.get(digests)
        done += len(cell.ids)
        if memory is None:
            memory, found = _learnt(cell, digests, edits, trainer, shards)
            fits |= found
            if progress is not None:
                progress(done, len(edits))
        memories.append(memory)
    return library.with_memories(memories), fits


def _learnt(
    cell: Cell,
    digests: tuple[str, ...],
    edits: Mapping[str, PackedEdit],
    trainer: Trainer,
    shards: Mapping[str, Array],
) -> tuple[SideMemory, dict[str, Fit]]:
    lessons = {name: trainer.lesson(edits[name].request) for name in cell.ids}
    packed: list[Array | None] = []
    steps = 0
    for number, ids in enumerate(cell.shards):
        held = shards.get(digests[number])
        if ids and held is None:
            held, took = trainer.learn(cell.name, number, [lessons[name] for name in ids])
            steps = max(steps, took)
        packed.append(held if ids else None)
    memory, told = SideMemory(cell, trainer.plan, tuple(packed), digests), list(lessons.values())
    delta = memory.delta(trainer.site.device)
    memory = replace(memory, threshold=trainer.threshold(told, delta))
    return memory, trainer.check(told, delta, memory.threshold, steps)


@dataclass
class WiseIntake(Intake):
    """A write: GRACE's checks at the door, then training by the shard."""

    book: Library
    trainer: Trainer = field(kw_only=True)

    def run(self, requests: Sequence[EditRequest], progress: Progress | None) -> tuple[dict[str, EditReceipt], Library]:
        """Write requests; neither their order nor their grouping makes a difference to the state.

        Returns:
            Receipts by id, and the library afterwards.
        """
        drafts = self.drafts(in_order(requests))
        self.refuse_conflicts(drafts)
        for draft in drafts:
            if draft.status != "failed":
                draft.value = NOTHING
        self.settle(drafts)
        after = self._learn(drafts, progress) if any(d.value is not None for d in drafts) else self.book
        return receipts_of(drafts), after

    def _learn(self, drafts: Sequence[EditDraft], progress: Progress | None) -> Library:
        """Train with the drafts; those whose shard cannot hold them beside the others fail, and it is tried anew."""
        known = [self.book]
        while True:
            kept = [draft for draft in drafts if draft.value is not None]
            book = self.book.with_edits([d.packed() for d in kept], (), self.calibration)
            after, fits = trained(book, self.trainer, known, progress)
            known.append(after)
            for draft in kept:
                draft.fit = fits.get(draft.id, draft.fit)
            if not self.trainer.config.verify:
                return after
            failing = _failing(after, kept, fits)
            if not failing:
                return after
            for draft, reason in failing:
                draft.fail(reason)


def _failing(library: Library, drafts: Sequence[EditDraft], fits: Mapping[str, Fit]) -> list[tuple[EditDraft, str]]:
    """Drafts that are not said; or, if they cost an older record its answer, all drafts of that memory."""
    unsaid = {name for name, fit in fits.items() if not fit.converged}
    mine = {draft.id for draft in drafts}
    failing = [
        (d, f"its shard did not learn to recognise it or to say the target (loss {fits[d.id].loss:.3f})")
        for d in drafts if d.id in unsaid
    ]  # fmt: skip
    if failing:
        return failing
    spoilt = {id(library.memory_of[name]): name for name in sorted(unsaid - mine)}
    return [
        (d, f"its shard would lose {spoilt[id(library.memory_of[d.id])]}")
        for d in drafts if id(library.memory_of[d.id]) in spoilt
    ]  # fmt: skip
