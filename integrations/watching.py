"""What every way of watching a memory shares: whose names are told, which counts are outcomes, and how much the memory holds."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from agentmem.aio import AsyncMemory
from agentmem.errors import AgentMemError, InvalidArgument
from agentmem.events import VerbEvent, unwatched
from agentmem.memory import Memory
from agentmem.runtime.awaiting import Waiter
from agentmem.transfer.format import signer

__all__ = ["BUCKETS", "Naming", "StoreGauges", "outcomes"]

LOG = logging.getLogger("agentmem.events")
BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
"""Seconds: from a look at one note to a consolidation."""
HELD: Final = ("notes", "edits", "outbox")
_NO_OUTCOMES: Final = frozenset(("prompt_tokens", "degraded", "candidates", "items", "bytes", "outstanding"))
_LOOKS: Final = frozenset(("check", "status", "verify", "verify_bytes", "edits", "jobs", "notes", "users", "stats"))
"""Verbs whose counts say how much there is, rather than how much was done: added up they would mean nothing."""


def outcomes(event: VerbEvent) -> Mapping[str, int]:
    """What a verb did, to be added up; of a dry run, nothing."""
    if event.verb in _LOOKS or "dry_run" in event.labels:
        return {}
    return {name: count for name, count in event.counts.items() if count > 0 and name not in _NO_OUTCOMES}


@dataclass(frozen=True, slots=True)
class Naming:
    """How users, agents and sessions are named to those who watch.

    Args:
        names: ``none`` leaves them out; ``hashed`` tells 16 hexadecimal digits of HMAC-SHA256 with ``key``, the same for the same name as
            long as the key is; ``plain`` tells them as they are.
        key: 16 bytes or more; without one, anybody could hash the names they know and compare.

    Raises:
        InvalidArgument: no such way, or ``hashed`` without a key, or a key without ``hashed``.
    """

    names: Literal["none", "hashed", "plain"] = "none"
    key: bytes | str | None = None

    def __post_init__(self) -> None:
        if self.names not in ("none", "hashed", "plain"):
            raise InvalidArgument(f"names is {self.names!r:.40}.", hint='names="none", "hashed" or "plain".')
        if (self.names == "hashed") != (signer(self.key) is not None):
            raise InvalidArgument(
                "Names are hashed with a key, and a key is for that alone.",
                hint='names="hashed", key=secrets.token_bytes(32); keep the key.',
            )

    @property
    def any(self) -> bool:
        """Whether names are needed at all."""
        return self.names != "none"

    def told(self, event: VerbEvent) -> dict[str, str]:
        """``user``, ``agent`` and ``session``, as far as there are any and they may be told."""
        said = {"user": event.user, "agent": event.agent, "session": event.session}
        return {what: self._one(what, name) for what, name in said.items() if name is not None and self.any}

    def _one(self, what: str, name: str) -> str:
        mac = signer(self.key)
        if mac is None:
            return name
        mac.update(f"{what}\0{name}".encode("utf-8", "surrogatepass"))
        return mac.hexdigest()[:16]


class StoreGauges:
    """How many notes, edits and items that the index has not seen a memory holds; asked at most once in a while, since counting looks
    at every note.

    Args:
        memory: of one that is bound to somebody, that one's notes and edits.
        every: seconds that figures are good for.
    """

    def __init__(self, memory: Memory | AsyncMemory, *, every: float = 30.0) -> None:
        self._every = every
        self._told = False
        self._held: Mapping[str, int] = {}
        self._until = 0.0
        self._ask = _asking(memory)

    def read(self) -> Mapping[str, int]:
        """The figures by name; none while the memory cannot be asked. From any thread, also beside a running event loop."""
        now = time.monotonic()
        if now >= self._until:
            self._held, self._until = self._asked(), now + self._every
        return self._held

    def _asked(self) -> Mapping[str, int]:
        try:
            with unwatched():
                found = self._ask()
        except AgentMemError as error:
            if not self._told:
                self._told = True
                LOG.warning(
                    "the memory cannot be asked how much it holds, which is told once: %s", type(error).__name__
                )
            return {}
        return {name: held for name in HELD if isinstance(held := found.get(name), int)}


def _asking(memory: Memory | AsyncMemory) -> Callable[[], Mapping[str, object]]:
    if isinstance(memory, Memory):
        return memory.stats
    if isinstance(memory, AsyncMemory):
        waiter = Waiter()
        return lambda: waiter.wait(memory.stats())
    raise InvalidArgument(
        f"A Memory or an AsyncMemory is watched, not {type(memory).__name__}.", hint="observe(Memory('my-memory'))."
    )
