"""Finishes what a forgetting has still to do after its commit: bytes in files, which no transaction reaches.

What is due stands in the store, written in the transaction that removed the rows. So whoever comes next finishes it: the call itself, a later
one, or the next open, whichever process that is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from agentmem.core import EVERYBODY, Core
from agentmem.errors import AgentMemError, PackUnreachable, StoreError, StoreFull
from agentmem.files.reserve import Reserve
from agentmem.forget.places import ADAPTERS, DUE, FILE, INDEX, PACKS
from agentmem.runtime.forks import at_fork
from agentmem.weights import adapters
from agentmem.weights.registry import WeightRegistry

__all__ = ["Scrubber"]

PATIENCE: Final = 2.0
PATIENCE_AT_OPEN: Final = 0.5
REST: Final = 5.0


class Scrubber:
    """Scrubs the places of :data:`agentmem.forget.places.DUE`.

    Args:
        purge_index: takes removed vectors out of the index's files; returns what is left to do, in words.
        reserve: room on the disk for the case that there is none.
        fail: called with the name of each durable step; tests stop the process there.
        monotonic: seconds, for the rest between two attempts in the background.
    """

    def __init__(
        self,
        core: Core,
        weights: WeightRegistry,
        purge_index: Callable[[], str],
        reserve: Reserve,
        fail: Callable[[str], None] = lambda step: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._core = core
        self._weights = weights
        self._purge_index = purge_index
        self._reserve = reserve
        self._fail = fail
        self._monotonic = monotonic
        self._again_at: float | None = None
        self._begin_anew()
        at_fork(self._begin_anew)

    def _begin_anew(self) -> None:
        """Also in a forked child: the thread that worked beside the requests stayed with the parent."""
        self._one = threading.Lock()
        self._worker: threading.Thread | None = None

    def due(self) -> Mapping[str, str]:
        """Places that wait to be scrubbed, with what they are."""
        with self._core.reading(EVERYBODY) as tx:
            return {place: DUE.get(place, place) for place in tx.erasing.due()}

    def finish(self, patience: float = PATIENCE) -> dict[str, str]:
        """Scrub what is due; returns what is left, in words, by place.

        The notes are gone by now, and a call that failed here could not be repeated: so trouble is told, not raised.
        """
        left: dict[str, str] = {}
        with self._one:  # who waited here mostly finds that it was done for him
            try:
                with self._core.reading(EVERYBODY) as tx:
                    due = dict(tx.erasing.due())
                for place in (
                    PACKS,
                    ADAPTERS,
                    INDEX,
                    FILE,
                ):  # the file last: what the others write there is scrubbed as well
                    if place in due:
                        left |= self._scrubbed(place, due[place], patience)
                        self._fail(f"forget:scrubbed-{place}")
            except AgentMemError as error:
                left[FILE] = error.message
            self._again_at = self._monotonic() + REST if left else None
        self._reserve.fill()
        return left

    def resume(self) -> None:
        """Beside the requests, and not more often than every few seconds: go on with what this process could not finish before."""
        if self._again_at is None and self._weights.owing and not self._core.store.read_only:
            self._again_at = self._monotonic()  # what other verbs had to leave of packs
        if (
            self._again_at is None
            or self._monotonic() < self._again_at
            or (self._worker is not None and self._worker.is_alive())
        ):
            return
        self._worker = threading.Thread(target=self.finish, name="agentmem-scrub", daemon=True)
        self._worker.start()

    def at_open(self) -> None:
        """What a process that was killed has left."""
        if self.due():
            self.finish(PATIENCE_AT_OPEN)
        else:
            self._reserve.fill()

    def wait(self) -> None:
        """Wait for background work; called before anything is closed."""
        if self._worker is not None and self._worker is not threading.current_thread():
            self._worker.join()

    def _scrubbed(self, place: str, up_to: int, patience: float) -> dict[str, str]:
        work: dict[str, Callable[[], str]] = {
            PACKS: self._packs,
            ADAPTERS: self._adapters,
            INDEX: self._purge_index,
            FILE: lambda: self._file(patience),
        }
        try:
            left = self._reserve.used(work[place])
            # The file's entry is taken off by who scrubs it; and the index remembers by itself what it has still to do.
            if place == INDEX or (not left and place != FILE):
                with self._core.writing(EVERYBODY) as tx:
                    tx.erasing.done(place, up_to)
        except (AgentMemError, OSError) as error:
            left = error.message if isinstance(error, AgentMemError) else str(error)
        return {place: left} if left else {}

    def _packs(self) -> str:
        try:
            self._weights.refresh()
        except PackUnreachable as error:
            return f"the copies there are not gone yet: {error.message}"
        left = self._weights.left()
        return (
            f"{left[0]} could not be removed: the rights of its folder do not allow it, or it is no longer the pack that was written"
            if left
            else ""
        )

    def _adapters(self) -> str:
        with self._core.reading(EVERYBODY) as tx:
            condemned = [row for row in adapters.rows(tx) if row.condemned]
        if not condemned:
            return ""
        left = {row.folder: adapters.scrub(row) for row in condemned}
        with self._core.writing(EVERYBODY) as tx:
            adapters.scrubbed(tx, [folder for folder, why in left.items() if not why])
        return "; ".join(why for why in left.values() if why)

    def _file(self, patience: float) -> str:
        try:
            self._core.store.erase(patience)
        except StoreFull:
            raise
        except StoreError as error:
            return error.message
        return ""
