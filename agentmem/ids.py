"""Sortable identifiers: UUIDv7 (RFC 9562) from an injected clock and generator."""

from __future__ import annotations

import random
import uuid
from threading import Lock

from agentmem.clock import micros
from agentmem.protocols import Clock

__all__ = ["IdMaker"]


class IdMaker:
    """Makes UUIDv7 ids that sort by creation, also when many are made in one millisecond or the clock goes back."""

    def __init__(self, clock: Clock, rng: random.Random | None = None) -> None:
        self._clock = clock
        self._rng = rng or random.SystemRandom()
        self._lock = Lock()
        self._last = 0

    def __call__(self) -> str:
        with self._lock:
            # 60 bits of time: milliseconds, then a 12-bit fraction that also serves as a counter.
            now = micros(self._clock.now())
            stamp = max((now // 1000 << 12) | (now % 1000 * 4096 // 1000), self._last + 1)
            self._last = stamp
        value = (stamp >> 12) << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64 | 0b10 << 62 | self._rng.getrandbits(62)
        return str(uuid.UUID(int=value))
