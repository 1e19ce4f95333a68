"""How far a live model is behind the registry of edits, and when it tries again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agentmem.errors import PackMismatch, PackUnreachable

__all__ = ["Served"]

_FIRST: Final = 2.0
_LONGEST: Final = 60.0
"""Seconds between two attempts, at first and at last."""


@dataclass(frozen=True, slots=True)
class Served:
    """What a live editor was to be loaded with, and what became of it.

    Attributes:
        sha: the pack that was asked for last; ``None``: none.
        trouble: why nothing is served of it. behind: why an earlier one is served in its place.
        again_at: when it is asked for again, in seconds of a monotonic clock; ``None``: when the registry names another.
        pause: seconds that were waited before.
    """

    sha: str | None = None
    trouble: PackMismatch | PackUnreachable | None = None
    behind: PackMismatch | PackUnreachable | None = None
    again_at: float | None = None
    pause: float = 0.0

    def is_due(self, sha: str | None, now: float) -> bool:
        """Whether a pack has to be fetched before a request is served."""
        return sha != self.sha or (self.again_at is not None and now >= self.again_at)

    def without(self, sha: str, why: PackMismatch | PackUnreachable, now: float, *, goes_on: bool) -> Served:
        """After an attempt that failed; ``goes_on``: something is held of an earlier pack."""
        pause = min(_LONGEST, 2 * self.pause or _FIRST)
        return Served(sha, None if goes_on else why, why if goes_on else None, now + pause, pause)
