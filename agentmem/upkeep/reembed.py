"""Changing the embedder while the memory is in use: new vectors beside the old ones, then one switch.

Until every note has a new vector, the old ones serve, so that recall and remember go on with the former embedder. Batches
are durable as they come: a process that is killed loses the batch it was working on, and the next call goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agentmem.core import EVERYBODY, Core
from agentmem.errors import EmbedderMismatch
from agentmem.notes.note import Note
from agentmem.notes.passages import LONG, of_passages
from agentmem.notes.protocols import Embedder
from agentmem.projections.links import GRAPH_DUE
from agentmem.records.transaction import Transaction

__all__ = ["Reembedder", "add_passages", "under_way"]

CHUNK = 256
LATE = 64
Progress = Callable[[int, int], None]


class Reembedder:
    """Embeds every note anew and then switches, in one transaction.

    Args:
        fail: called with the name of each durable step; tests stop the process there.
    """

    def __init__(self, core: Core, fail: Callable[[str], None] = lambda step: None) -> None:
        self._core = core
        self._fail = fail

    def run(self, embedder: Embedder, report: Progress) -> bool:
        """True when vectors were exchanged; false when they were of this embedder already.

        Raises:
            EmbedderMismatch: another process began to change to yet another embedder meanwhile.
        """
        with self._core.writing(EVERYBODY) as tx:
            begun = self._begin(tx, embedder)
        if not begun:
            self._core.change_embedder(embedder)
            return False
        self._gather(embedder, report)
        while not self._switch(embedder):
            self._gather(embedder, report)
        self._fail("reembed:after-switch")
        return True

    @staticmethod
    def _begin(tx: Transaction, embedder: Embedder) -> bool:
        stored = tx.vectors.fingerprint()
        if stored is not None and stored[0] != embedder.fingerprint:
            tx.next_vectors.begin(embedder.fingerprint, embedder.dimension)
            return True
        tx.next_vectors.drop()  # what was begun for another embedder is given up
        if stored is None:
            tx.vectors.set_fingerprint(embedder.fingerprint, embedder.dimension)
        return False

    def _gather(self, embedder: Embedder, report: Progress) -> None:
        """Vectors for the notes that have none, each batch a transaction; embedding happens outside of it.

        The last few are left to the switch: somebody who writes all the time would otherwise keep it waiting for ever.
        """
        last = 0
        while True:
            with self._core.reading(EVERYBODY) as tx:
                rows = tx.next_vectors.missing(CHUNK, last)
                notes = tx.notes.load(rows)
            if len(rows) <= LATE:
                return
            last = rows[-1]
            texts = [note.content for note in notes.values()]
            vectors = dict(zip(notes, embedder.embed(texts), strict=True))
            _discard(embedder, texts)  # nothing may remember what is forgotten while this runs
            with self._core.writing(EVERYBODY) as tx:
                if self._arrived(tx, embedder):
                    return
                same = _unchanged(tx, notes)
                _put(tx, same, [vectors[row] for row in same])
                done, total = tx.next_vectors.count(), tx.notes.count()
                self._fail("reembed:before-commit")
            self._fail("reembed:after-batch")
            report(done, total)

    def _switch(self, embedder: Embedder) -> bool:
        """Exchange the vectors, what is held of them in memory, and the embedder; false when many notes came in between."""
        changed: list[Embedder | None] = []
        try:
            with self._core.writing(EVERYBODY) as tx:
                if not self._arrived(tx, embedder):
                    late = tx.next_vectors.missing(LATE + 1)
                    if len(late) > LATE:
                        return False
                    notes = tx.notes.load(late)
                    if notes:
                        _put(tx, notes, list(embedder.embed([note.content for note in notes.values()])))
                    tx.next_vectors.switch()
                    tx.meta_set(GRAPH_DUE, "1")
                # No other thread is inside a transaction now: none sees new vectors with the old embedder.
                self._core.exact.clear()
                if self._core.indexer is not None:
                    self._core.indexer.distrust("the notes were embedded anew")
                changed.append(self._core.change_embedder(embedder))
                self._fail("reembed:before-switch")
        except BaseException:
            if changed:
                self._core.change_embedder(changed[0])
            raise
        return True

    @staticmethod
    def _arrived(tx: Transaction, embedder: Embedder) -> bool:
        """Whether another process switched to this very embedder meanwhile; raises when it aims at yet another."""
        target, stored = tx.next_vectors.target(), tx.vectors.fingerprint()
        if target is not None and target[0] == embedder.fingerprint:
            return False
        if stored is not None and stored[0] == embedder.fingerprint:
            return True
        raise EmbedderMismatch(
            f"Another process has begun to change to {target[0]}."
            if target
            else "Another process gave this re-embedding up.",
            hint="let one process at a time change the embedder.",
        )


def add_passages(core: Core, report: Progress) -> int:
    """Embed the passages of long notes that have none: those of a store from before there were any, or whose embedder was changed.

    Each batch is a transaction, and embedding happens outside of it. Returns how many notes there were.
    """
    with core.reading(EVERYBODY) as tx:
        todo = tx.passages.missing(LONG)
    for start in range(0, len(todo), CHUNK):
        with core.reading(EVERYBODY) as tx:
            notes = tx.notes.load(todo[start : start + CHUNK])
        texts = [note.content for note in notes.values()]
        parts = dict(zip(notes, of_passages(core.embedder, texts), strict=True))
        core.discard(texts)  # nothing may remember what is forgotten while this runs
        with core.writing(EVERYBODY) as tx:
            core.check_embedder(tx)
            for row, space in tx.spaces(list(_unchanged(tx, notes))).items():
                if (vectors := parts[row]) is not None:
                    tx.passages.put(row, space, vectors)
        report(min(start + CHUNK, len(todo)), len(todo))
    return len(todo)


def under_way(tx: Transaction) -> str:
    """How far an unfinished change of the embedder has come, in words; empty when there is none."""
    target = tx.next_vectors.target()
    if target is None:
        return ""
    return f"{tx.next_vectors.count()} of {tx.notes.count()} notes are embedded anew by {target[0]}"


def _unchanged(tx: Transaction, notes: dict[int, Note]) -> dict[int, Note]:
    """Those of these notes that are still there and say what they said."""
    return {row: note for row, note in tx.notes.load(list(notes)).items() if note.content == notes[row].content}


def _put(tx: Transaction, notes: dict[int, Note], vectors: Sequence[object]) -> None:
    place = {row: number for number, row in enumerate(notes)}
    for space, rows in tx.by_space(list(notes)).items():
        tx.next_vectors.put(rows, space, [vectors[place[row]] for row in rows])  # type: ignore[arg-type]


def _discard(embedder: Embedder, texts: Sequence[str]) -> None:
    cached = getattr(embedder, "discard", None)
    if cached is not None:
        cached(texts)
