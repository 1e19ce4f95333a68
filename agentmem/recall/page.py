"""Which hits of a recall are wanted, and by which score."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, get_args

from agentmem.errors import InvalidArgument

__all__ = ["MAX_OFFSET", "Page", "Score"]

Score = Literal["hybrid", "cosine"]
MAX_OFFSET: Final = 100_000


@dataclass(frozen=True, slots=True)
class Page:
    """``k`` hits after the first ``offset``, of those with a score of ``least`` or more."""

    k: int
    offset: int = 0
    least: float | None = None
    score: Score = "hybrid"

    @classmethod
    def of(cls, k: int, offset: object, least: object, score: object) -> Page:
        """Checked.

        Raises:
            InvalidArgument: ``offset`` is no whole number from 0 to ``MAX_OFFSET``, ``least`` not finite, or ``score`` unknown.
        """
        if isinstance(offset, bool) or not isinstance(offset, int) or not 0 <= offset <= MAX_OFFSET:
            raise InvalidArgument(
                f"offset must be a whole number from 0 to {MAX_OFFSET:,}, not {offset!r:.80}.", hint="offset=10."
            )
        number = isinstance(least, int | float) and not isinstance(least, bool) and math.isfinite(least)
        if least is not None and not number:
            raise InvalidArgument(f"min_score must be a finite number, not {least!r:.80}.", hint="min_score=0.3.")
        if score not in get_args(Score):
            raise InvalidArgument(f"Unknown score {score!r:.80}.", hint=f"one of {', '.join(get_args(Score))}.")
        return cls(k, offset, least, score)  # type: ignore[arg-type]  # checked above

    @property
    def end(self) -> int:
        """How many hits there are up to its last."""
        return self.offset + self.k

    def admits(self, score: float) -> bool:
        """Whether a score is high enough."""
        return self.least is None or score >= self.least

    def depths(self, first: int) -> Iterator[int]:
        """Depths to rank down to, each twice the one before, until this page is reached.

        A deeper ranking may order what it shares with a shallower one a little otherwise, since more notes take part. What was on a page
        stays there because every page is read off the same rankings, whichever of them comes first.
        """
        depth = first
        while depth < self.end:
            yield depth
            depth *= 2
        yield depth
