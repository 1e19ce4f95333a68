"""Sortable identifiers: UUIDv7 (RFC 9562) from an injected clock and generator."""

from __future__ import annotations

import os
import random
from threading import Lock

from agentmem.notes.clock import micros
from agentmem.notes.protocols import Clock
from agentmem.runtime.forks import at_fork

__all__ = ["IdMaker"]

_PAGE = 1024


class IdMaker:
    """Makes UUIDv7 ids that sort by creation, also when many are made in one millisecond or the clock goes back."""

    def __init__(self, clock: Clock, rng: random.Random | None = None) -> None:
        self._clock = clock
        self._bits = _SystemBits() if rng is None else rng
        self._last = 0
        self._begin_anew()
        at_fork(self._begin_anew)

    def _begin_anew(self) -> None:
        self._lock = Lock()

    def __call__(self) -> str:
        with self._lock:
            # 60 bits of time: milliseconds, then a 12-bit fraction that also serves as a counter.
            now = micros(self._clock.now())
            stamp = max((now // 1000 << 12) | (now % 1000 * 4096 // 1000), self._last + 1)
            self._last = stamp
            value = (stamp >> 12) << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64 | 0b10 << 62 | self._bits.getrandbits(62)
        digits = f"{value:032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class _SystemBits:
    """The system's randomness, a page at a time: a call to the system for every id costs as much as an SQL statement."""

    def __init__(self) -> None:
        self._page, self._process = b"", 0

    def getrandbits(self, k: int) -> int:
        size = (k + 7) // 8
        if len(self._page) < size or self._process != os.getpid():  # after a fork both must not draw the same
            self._page, self._process = os.urandom(_PAGE), os.getpid()
        drawn, self._page = self._page[:size], self._page[size:]
        return int.from_bytes(drawn, "big") >> (8 * size - k)
