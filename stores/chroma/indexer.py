"""Keeps the vector index in step with the notes: outbox in, generations out.

The index lives in ``<root>/chroma-<generation>/``, in a folder of its own. Which generation counts, what its files looked like after the last
write, and whether a write was going on, is one value in the store, changed in the same transaction as the outbox. So
after a crash at any point the store knows whether the directory can be trusted; if not, it is built anew from the
stored vectors.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from agentmem.errors import EmbedderMismatch, IndexUnavailable
from agentmem.notes.clock import micros
from agentmem.notes.protocols import Clock
from agentmem.records.transaction import NoteStore, Transaction
from agentmem.runtime.forks import at_fork
from agentmem.stores.chroma import generations
from agentmem.stores.chroma.comparing import compare
from agentmem.stores.chroma.digests import digests
from agentmem.stores.chroma.filling import Progress, deliver, fill
from agentmem.stores.chroma.manifest import IndexState, inode, probe, restamp, snapshot, synced
from agentmem.stores.lock import take

if TYPE_CHECKING:
    from agentmem.notes.arrays import Vectors
    from agentmem.stores.chroma.chroma import ChromaIndex

__all__ = ["STATE", "Indexer"]

T = TypeVar("T")

_BATCH: Final = 500
STATE: Final = "index_state"
_WANTED: Final = "index_purge_wanted"
_CURE: Final = 'call memory.rebuild("vectors"); until then every vector is compared exactly.'


class Indexer:
    """The vector index behind the outbox, owned by one process at a time.

    Args:
        store: the notes, their vectors and the outbox.
        root: the folder of the index, made when it is needed; a lock file and the generations lie in it.
        clock: dates the state of the index.
        fail: called with the name of each durable step; tests stop the process there.
    """

    way: Final = "chroma"

    def __init__(
        self,
        store: NoteStore,
        root: Path | str,
        clock: Clock,
        *,
        fail: Callable[[str], None] | None = None,
    ) -> None:
        self.root = Path(root)
        self._store = store
        self._clock = clock
        self._fail = fail or _carry_on
        self._closed = False
        self._pid = os.getpid()
        self._lock_file: int | None = None
        self._index: ChromaIndex | None = None
        self._state = IndexState()
        self._trusted: int | None = None  # the inode of the directory that was found to be as recorded
        self._damage = ""
        self._live = False  # a batch is being written by this process
        self._make_locks()
        at_fork(self._in_child)
        self._own()

    def _make_locks(self) -> None:
        self._busy = threading.RLock()
        self._opening = threading.Lock()
        self._owning = threading.Lock()

    def _in_child(self) -> None:
        """In a forked child: the index belongs to the parent, and so does the lock, which must end with the parent."""
        self._make_locks()
        self._index, self._live = None, False
        descriptor, self._lock_file = self._lock_file, None
        if descriptor is not None:
            os.close(descriptor)

    @property
    def directory(self) -> Path:
        """Where the present generation lies."""
        return self._folder(self._state.generation)

    def in_use(self) -> Path | None:
        """Where the present generation of whoever owns the index lies; ``None`` when nothing was applied yet."""
        state = self._state
        if not self._own():
            with self._store.read() as tx:
                state = IndexState.load(tx.meta_get(STATE))
        return self._folder(state.generation) if state.generation else None

    def health(self) -> str:
        """``ok``, ``empty`` (nothing applied yet), ``missing``, ``damaged`` or ``unowned``; a few stat calls.

        After an unclean stop the index counts as damaged until :meth:`apply` has looked into it.
        """
        if not self._own():
            return "unowned"
        state = self._state
        if state.generation == 0:
            return "empty"
        present = inode(self.directory)
        if present is None:
            if self._live and not state.manifest:
                return "empty"  # the first write is just about to create it
            self._replace_index(None)
            return "missing"
        if self._damage or state.damaged or (state.applying and not self._live):
            return "damaged"
        if self._trusted != present and not self._live:
            if snapshot(self.directory) != state.manifest:
                self._damage = "its files are not as they were left"
                return "damaged"
            self._trusted = present
        return "ok"

    def distrust(self, why: str) -> None:
        """Answer nothing from now on, until the index is built anew; for who knows that its vectors are out of date."""
        self._damage = why

    def reason(self) -> str:
        """Why the index is damaged, in words; empty when it is not."""
        return self._damage or self._state.damaged or ("it was being written" if self._state.applying else "")

    def search(self, owner: int, vector: Vectors, k: int) -> list[tuple[int, float]]:
        """Up to ``k`` pairs (row, cosine) of what has been applied, best first.

        Raises:
            IndexUnavailable: the index cannot be used; compare exactly instead.
        """
        return self._ask(lambda index: index.search(owner, vector, k))

    def count(self, owner: int) -> int:
        """How many vectors of an owner the index holds."""
        return self._ask(lambda index: index.count(owner))

    def apply(self, limit: int | None = None) -> int:
        """Bring the index up to date from the outbox; returns how many items were applied.

        Does nothing in a process that does not own the index, or while the index is missing or damaged. Must not be
        called inside a transaction.

        Raises:
            IndexUnavailable: the index failed; it counts as damaged from now on.
        """
        with self._busy:
            if not self._own():
                return 0
            self._recover()
            if self.health() not in ("ok", "empty"):
                self._record_damage()
                return 0
            self._fail("after-commit")
            applied = self._drain(limit)
            self._seal()
            if self._wanted():
                if self._state.stained:
                    self.rebuild()
                else:
                    self._spare_purge()
            return applied

    def rebuild(self, progress: Progress | None = None) -> int:
        """Build a new generation from the stored vectors and drop the old one; returns how many vectors it holds.

        Raises:
            IndexUnavailable: another process owns the index.
        """
        with self._busy:
            if not self._own():
                raise IndexUnavailable("Another process owns the vector index.", hint="rebuild it there.")
            generation = max([self._state.generation, *self._generations()]) + 1
            with self._store.read() as tx:
                waiting, stored = tx.outbox.take(2**62), tx.vectors.fingerprint()
            last = waiting[-1].seq if waiting else 0
            fresh = _create(self._folder(generation))
            try:
                count = fill(fresh, self._store, progress, self._fail)
                self._fail("before-swap")
                self._swap(generation, last, stored[0] if stored else "")
            except BaseException:
                fresh.close()
                generations.remove(fresh.directory)
                raise
            self._fail("after-swap")
            self._replace_index(fresh)
            self._sweep()
            return count

    def purge(self) -> None:
        """Make sure that no file of the index holds a vector that was removed: apply, then rebuild if one does.

        In a process that does not own the index, the owner is asked to do so with its next :meth:`apply`.
        """
        with self._busy:
            if not self._own():
                self.want_purge()
                return
            if self.health() in ("empty", "missing"):
                return
            self.apply()
            if self._state.stained or self.health() == "damaged":
                self.rebuild()

    def compare(self, *, deep: bool = False) -> list[str]:
        """What in the index is not as it was written, or not what the store holds, in words; it is distrusted from then on.

        Files are compared whole, by their digests; vectors with those of the store: a sample, or all of them when ``deep``.
        """
        with self._busy:
            if self.health() != "ok":
                return []
            changed = sorted(
                name
                for name, digest in digests(self.directory).items()
                if self._state.digests.get(name, digest) != digest
            )
            if changed:
                found = [
                    f"{len(changed)} files of the vector index are not as they were written, though of the same size and time"
                ]
            else:
                found = self._ask(lambda index: compare(self._store, index, deep=deep))
            if found:
                self.distrust("; ".join(found))
            return found

    def want_purge(self) -> None:
        """Let the next :meth:`apply`, of whichever process owns the index, do what :meth:`purge` does."""
        with self._store.write() as tx:
            tx.meta_set(_WANTED, "1")

    def purge_wanted(self) -> bool:
        """Whether files that may hold what was removed wait for an :meth:`apply` to rewrite them."""
        return self._own() and self._state.generation > 0 and self._wanted()

    def owner_waited_for(self) -> bool:
        """Whether such files are another process's, which rewrites them."""
        return not self._own() and self._wanted() and self.in_use() is not None

    def _spare_purge(self) -> None:
        """What was removed had not been delivered, unless some of it still waits in the outbox."""
        with self._store.write() as tx:
            if not tx.outbox.count():
                tx.meta_set(_WANTED, None)

    def close(self) -> None:
        """Close the index and let another process own it; closing twice does no harm."""
        with self._busy:
            self._closed = True
            if self._lock_file is None or self._pid != os.getpid():
                return
            self._replace_index(None)
            try:
                self._record_damage()
            finally:
                os.close(self._lock_file)
                self._lock_file = None

    def _own(self) -> bool:
        """Hold the lock, or try to get it; never waits."""
        if self._pid != os.getpid():
            return False
        return self._lock_file is not None or self._acquire()

    def _acquire(self) -> bool:
        # whoever waited here could hold the store that the other one is about to read
        from agentmem.stores.chroma.chroma import inherited

        if self._closed or inherited() or not self._owning.acquire(blocking=False):
            return False
        try:
            if self._lock_file is None and (descriptor := take(self.root / "index.lock")) is not None:
                try:
                    with self._store.read() as tx:
                        self._state = IndexState.load(tx.meta_get(STATE))
                        self._damage = _foreign(tx, self._state)
                except BaseException:
                    os.close(descriptor)
                    raise
                self._trusted = None
                self._lock_file = descriptor
                self._sweep()
            return self._lock_file is not None
        finally:
            self._owning.release()

    def _drain(self, limit: int | None) -> int:
        applied = 0
        try:
            while limit is None or applied < limit:
                done = self._batch(_BATCH if limit is None else min(_BATCH, limit - applied))
                if not done:
                    break
                applied += done
        except (IndexUnavailable, EmbedderMismatch) as error:
            self._damage = str(error)
            self._record_damage()
            raise
        return applied

    def _ask(self, question: Callable[[ChromaIndex], T]) -> T:
        health = self.health()
        if health != "ok":
            raise IndexUnavailable(f"The vector index is {health}.", hint=_CURE)
        index = self._opened()
        try:
            answer = question(index)
        except IndexUnavailable as error:
            if self._index is index:  # else it was closed under our feet, because a newer one is there
                self._damage = str(error)
            raise
        self._unmark(index)
        return answer

    def _opened(self) -> ChromaIndex:
        with self._opening:
            if self._index is None:
                try:
                    index = _create(self.directory)
                except IndexUnavailable as error:
                    self._damage = str(error)
                    raise
                if not self._live:
                    restamp(self.directory, self._state.manifest)
                self._index = index
            return self._index

    def _unmark(self, index: ChromaIndex) -> None:
        """Opening a small segment writes it anew, although it says what it said: give its files their times back."""
        state = self._state
        if index.touched and not self._live and index.directory == self._folder(state.generation):
            index.touched = False
            restamp(index.directory, state.manifest)

    def _recover(self) -> None:
        """After a write that did not end: look into the index in another process, and trust it or build it anew."""
        if not self._state.applying or self._state.damaged:
            return
        self._replace_index(None)
        if not self.directory.is_dir() or not probe(self.directory):
            self.rebuild()
            return
        # a removal may have reached the index without being recorded
        self._save(replace(self._state, applying=False, stained=True, manifest=synced(self.directory, {}), digests={}))

    def _batch(self, size: int) -> int:
        with self._store.read() as tx:
            if foreign := _foreign(tx, self._state):  # another process changed the embedder
                raise IndexUnavailable(f"The vector index is out of date: {foreign}.", hint=_CURE)
            stored = tx.vectors.fingerprint()
            items = tx.outbox.take(size)
            newest = {item.row: item for item in items}
            rows, vectors = tx.vectors.load([row for row, item in newest.items() if item.op == "upsert"])
        if not items:
            return 0
        generation = self._state.generation or max(self._generations(), default=0) + 1
        before = self._state.manifest
        embedder = self._state.embedder or (stored[0] if stored else "")
        self._save(replace(self._state, generation=generation, applying=True, embedder=embedder))
        self._live = True
        try:
            stained = deliver(self._opened(), newest, rows, vectors, self._fail)
            self._fail("after-upsert")
            state = replace(
                self._state,
                applying=False,
                stained=self._state.stained or stained,
                changed_at=micros(self._clock.now()),
                manifest=synced(self.directory, before),
                digests={},
            )
            self._save(state, done=items[-1].seq)
        finally:
            self._live = False
        return len(items)

    def _swap(self, generation: int, last: int, embedder: str) -> None:
        folder = self._folder(generation)
        now = micros(self._clock.now())
        state = IndexState(
            generation, changed_at=now, embedder=embedder, manifest=synced(folder, {}), digests=digests(folder)
        )
        self._save(state, done=last, purged=True)

    def _save(self, state: IndexState, *, done: int = 0, purged: bool = False) -> None:
        """Record a new state, and with it what it makes true, in one transaction."""
        with self._store.write() as tx:
            if done:
                tx.outbox.done(done)
            if purged:
                tx.meta_set(_WANTED, None)
            tx.meta_set(STATE, state.dump())
            if not state.applying:
                self._fail("before-done")
            foreign = _foreign(tx, state)
        self._state = state
        if not state.applying and not state.damaged:
            self._damage = foreign
            self._trusted = inode(self._folder(state.generation))

    def _seal(self) -> None:
        """Take digests once all is delivered, rather than with every batch."""
        if self._state.generation and not self._state.digests and self.health() == "ok":
            self._save(replace(self._state, digests=digests(self.directory)))

    def _record_damage(self) -> None:
        """Damage is often noticed inside a read, where nothing can be written; here it becomes durable."""
        if self._damage and not self._state.damaged:
            self._save(replace(self._state, damaged=self._damage))

    def _wanted(self) -> bool:
        with self._store.read() as tx:
            return tx.meta_get(_WANTED) is not None

    def _replace_index(self, index: ChromaIndex | None) -> None:
        with self._opening:
            former, self._index = self._index, index
        if former is not None:
            former.close()

    def _folder(self, generation: int) -> Path:
        return generations.folder(self.root, generation)

    def _generations(self) -> list[int]:
        return generations.numbers(self.root)

    def _sweep(self) -> None:
        """Remove generations that nothing points at: what a rebuild replaced, or left when it was killed."""
        for generation in self._generations():
            if generation != self._state.generation:
                generations.remove(self._folder(generation))


def _create(directory: Path) -> ChromaIndex:
    from agentmem.stores.chroma.chroma import ChromaIndex

    return ChromaIndex(directory)


def _foreign(tx: Transaction, state: IndexState) -> str:
    """Why an index cannot serve the present embedder; empty when it can."""
    stored = tx.vectors.fingerprint()
    same = stored is None or not state.generation or state.embedder in ("", stored[0])
    return "" if same else f"its vectors are those of {state.embedder}"


def _carry_on(_step: str) -> None:
    """What a failpoint does outside of tests."""
