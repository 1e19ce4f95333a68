"""One job of a kind at a time over one store, whichever process runs it."""

from __future__ import annotations

import os
import socket
import threading
import uuid
from datetime import timedelta
from typing import Self

from agentmem.core import EVERYBODY, Core
from agentmem.errors import AgentMemError, JobLocked
from agentmem.notes.clock import micros

__all__ = ["Lease"]


class Lease:
    """A lease that is held while the job runs, however long that takes: a thread renews it.

    What a killed process left is free again at once on the same machine, and elsewhere when it has run out.

    Args:
        core: the store and the clock.
        name: of the job; busy: what is said to who asks for it meanwhile.
        minutes: until it runs out when nobody renews it.
    """

    def __init__(self, core: Core, name: str, busy: str, minutes: float) -> None:
        self._core = core
        self._name, self._busy, self._minutes = name, busy, minutes
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._pid = os.getpid()
        self._over = threading.Event()
        self._renewer = threading.Thread(target=self._keep, name=f"agentmem-lease-{name}", daemon=True)

    def __enter__(self) -> Self:
        """Take it; raises :class:`~agentmem.errors.JobLocked` when somebody else holds it."""
        if not self._take():
            raise JobLocked(
                self._busy,
                hint=f"wait for it; a lease left by a dead process runs out after {self._minutes:g} minutes.",
            )
        self._renewer.start()
        return self

    def __exit__(self, *_: object) -> None:
        if os.getpid() != self._pid:  # a child that was forked inside the block: the job is the parent's
            return
        self._over.set()
        self._renewer.join()
        with self._core.writing(EVERYBODY) as tx:
            tx.ledger.release(self._name, self._holder)

    def _take(self) -> bool:
        now = self._core.clock.now()
        until = micros(now + timedelta(minutes=self._minutes))
        with self._core.writing(EVERYBODY) as tx:
            former = tx.ledger.lease_holder(self._name)
            if former is not None and _is_dead(former):
                tx.ledger.release(self._name, former)
            return tx.ledger.lease(self._name, self._holder, micros(now), until)

    def _keep(self) -> None:
        while not self._over.wait(20 * self._minutes):
            try:
                if not self._take():
                    return  # it ran out while this process slept; who commits finds out
            except AgentMemError:
                continue  # a store that is busy or full now may be neither before the lease runs out


def _is_dead(holder: str) -> bool:
    """True when the holder was a process of this machine that no longer runs: a killed job must not block the next."""
    host, _, pid = holder.rpartition(":")[0].rpartition(":")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
