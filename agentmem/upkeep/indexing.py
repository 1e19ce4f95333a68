"""The vector index beside the requests: it is fed from the outbox, repaired, and rid of what was forgotten."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from agentmem.core import EVERYBODY, Core
from agentmem.errors import AgentMemError, IndexUnavailable, StoreError
from agentmem.records.transaction import Transaction
from agentmem.runtime.forks import at_fork

__all__ = ["IndexUpkeep"]

PURGE_AT_ONCE = 5_000
LOOK_EVERY = 64
REST = timedelta(minutes=1)
OWNED: Final = "the process that owns the vector index rewrites its files with its next delivery"


class IndexUpkeep:
    """Looks after the vector index, where there is one; what takes long is done beside the requests, on one thread."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._unlooked = 0
        self._purge_due = False
        self._trouble = ""
        self._failed_at: datetime | None = None
        self._begin_anew()
        at_fork(self._begin_anew)

    def _begin_anew(self) -> None:
        """Also in a forked child: the thread that worked beside the requests stayed with the parent."""
        self._repairing = threading.Lock()
        self._worker: threading.Thread | None = None

    def index_if_due(self) -> None:
        """Deliver the outbox once it holds a batch; until then its rows are compared exactly, so nothing waits for it.

        While the store is so small that no request can be large enough for the index, nothing is delivered at all: it would
        take a millisecond per vector, and nobody would read it. What waits is delivered when the store has grown.
        """
        if self._core.indexer is None:
            return
        if self._unlooked:
            self._unlooked -= 1
            return
        try:
            with self._core.reading(EVERYBODY) as tx:
                consulted = self._consulted(tx)
                due = consulted and tx.outbox.count() >= self._core.settings.index.batch
        except StoreError as error:  # what was written is written: its receipt must not be lost for this
            self._trouble = error.message
            return
        if not consulted:
            self._unlooked = LOOK_EVERY  # a store grows slowly; what a late look leaves waiting is compared exactly
        if due:
            self._in_background(self._deliver)

    def consulted(self) -> bool:
        """Whether there is an index, and a request could ask it."""
        if self._core.indexer is None:
            return False
        with self._core.reading(EVERYBODY) as tx:
            return self._consulted(tx)

    def _consulted(self, tx: Transaction) -> bool:
        """Never with fewer changes of vectors than a scope would need vectors."""
        return tx.vectors.counter() > self._core.settings.index.exact_limit

    def flush(self) -> None:
        """Deliver everything that the index has not seen, and repair it first if need be."""
        if self._core.indexer is None:
            return
        self.wait()
        self._repair()
        with self._core.reading(EVERYBODY) as tx:
            pending = tx.outbox.count()
        if pending or self._core.indexer.purge_wanted():
            self._deliver()
        self._recovered()

    def anew(self) -> None:
        """Build the index anew from the stored vectors."""
        if self._core.indexer is None:
            return
        self.wait()
        with self._repairing:
            self._core.indexer.rebuild()
        self._recovered()

    def repair_soon(self) -> None:
        """Rebuild a missing or damaged index beside the requests, which are answered exactly meanwhile."""
        if self._core.indexer is not None:
            self._in_background(self._repair)

    def _in_background(self, work: Callable[[], object]) -> bool:
        """Beside the requests; false when it failed lately, as on a full disk: not every request tries again."""
        if self._worker is not None and self._worker.is_alive():
            return True
        # however far a clock was set back, it goes on after a while
        if self._failed_at is not None and abs(self._core.clock.now() - self._failed_at) < REST:
            return False
        self._worker = threading.Thread(target=self._quietly, args=(work,), name="agentmem-index", daemon=True)
        self._worker.start()
        return True

    def _quietly(self, work: Callable[[], object]) -> None:
        """Nobody waits for a thread's errors: recall says that it is degraded, and check() says why."""
        try:
            work()
            while self._purge_due:  # asked for while this thread was busy
                self._purge_files()
        except (AgentMemError, OSError) as error:
            self._trouble = error.message if isinstance(error, AgentMemError) else str(error)
            self._failed_at = self._core.clock.now()
        else:
            self._recovered()

    def _recovered(self) -> None:
        self._trouble, self._failed_at = "", None

    def _deliver(self) -> None:
        assert self._core.indexer is not None
        with self._repairing:
            self._core.indexer.apply()

    def _repair(self) -> None:
        assert self._core.indexer is not None
        with self._repairing:
            if self._core.indexer.health() in ("missing", "damaged"):
                self._core.indexer.rebuild()

    def purge(self) -> str:
        """Take removed vectors out of the index's files: at once when it is small, else beside the requests.

        What is left to do, if the answer says so, stands in the store: the next delivery does it, also that of a later process.
        """
        indexer = self._core.indexer
        if indexer is None:
            return ""
        if indexer.health() == "unowned":
            indexer.want_purge()
            return OWNED if indexer.owner_waited_for() else ""
        with self._core.reading(EVERYBODY) as tx:
            small = tx.vectors.count() <= PURGE_AT_ONCE
        if not small and indexer.health() in ("empty", "missing"):
            return ""
        if not small:
            self._purge_due = True
            indexer.want_purge()  # kept in the store, too, for the case that this process is killed
            if self._in_background(self._purge_files):
                return "the files of the vector index are being rewritten in the background"
            return f"the vector index could not be rewritten yet ({self._trouble}); flush() or rebuild('vectors')"
        self.wait()
        try:
            indexer.purge()
        except IndexUnavailable as error:
            indexer.want_purge()
            return f"the vector index could not be rewritten ({error.message}); rebuild('vectors')"
        return ""

    def finish_purge(self) -> str:
        """At once, what :meth:`purge` had to leave; what this process cannot do either, in words."""
        indexer = self._core.indexer
        if indexer is None:
            return ""
        self.wait()
        try:
            if indexer.purge_wanted():
                self._deliver()
        except IndexUnavailable as error:
            return error.message
        return OWNED if indexer.owner_waited_for() else ""

    def resume_purge(self) -> None:
        """At open: go on with the files that a process before this one had no time for."""
        if self._core.indexer is not None and self._core.indexer.purge_wanted():
            self._in_background(self._deliver)

    def _purge_files(self) -> None:
        assert self._core.indexer is not None
        self._purge_due = False
        self._core.indexer.purge()

    def wait(self) -> None:
        """Wait for background work; called before anything is closed."""
        if self._worker is not None and self._worker is not threading.current_thread():
            self._worker.join()

    def check(self, *, deep: bool) -> tuple[str, list[str]]:
        """Its health, and what of its content is not as it was written, or not what the store holds."""
        indexer = self._core.indexer
        if indexer is None:
            return "none", []
        try:
            with self._repairing:
                found = [f"{text}: rebuild('vectors')" for text in indexer.compare(deep=deep)]
        except IndexUnavailable as error:
            found = [f"{error.message} rebuild('vectors')"]
        index = indexer.health()
        if index in ("missing", "damaged") and not found:
            why = f" ({self._trouble})" if self._trouble else ""
            found = [f"the vector index is {index}{why}: rebuild('vectors')"]
        if indexer.purge_wanted():
            found.append("files of the vector index may hold what was forgotten: flush() writes them anew")
        return index, found
