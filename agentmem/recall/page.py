"""Which hits of a recall are wanted, and by which score."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

from agentmem.errors import InvalidArgument

if TYPE_CHECKING:
    from agentmem.recall.rank import Ranked

__all__ = ["ALL", "MAX_OFFSET", "MOST", "Page", "Score"]

Score = Literal["hybrid", "cosine"]
MAX_OFFSET: Final = 100_000
ALL: Final = "all"
MOST: Final = 200
"""Hits that there are at most when all are asked for."""
FITS: Final = 0.5
"""Share of the best score from which a hit belongs to all of them: of what several turns of LoCoMo tell it leaves out a tenth of what
the first 200 hold, and six of ten hits (``benchmarks/lists.py``).
"""


@dataclass(frozen=True, slots=True)
class Page:
    """``k`` hits after the first ``offset``, of those with a score of ``least`` or more, and of ``share`` of the best one's."""

    k: int
    offset: int = 0
    least: float | None = None
    score: Score = "hybrid"
    share: float | None = None

    @classmethod
    def of(cls, k: int | Literal["all"], offset: object, least: object, score: object) -> Page:
        """Checked, but for a ``k`` that is a number.

        Raises:
            InvalidArgument: ``offset`` is no whole number from 0 to ``MAX_OFFSET``, or not 0 where all are asked for; ``least`` not
                finite; ``score`` unknown.
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
        if k != ALL:
            return cls(k, offset, least, score)  # type: ignore[arg-type]  # checked above
        if offset:
            raise InvalidArgument(
                'k="all" has no further pages.', hint="leave out offset, or ask for pages: k=50, offset=50."
            )
        return cls(MOST, 0, least, score, FITS)  # type: ignore[arg-type]

    @property
    def end(self) -> int:
        """How many hits there are up to its last."""
        return self.offset + self.k

    def first(self, reread: int | None) -> int:
        """How many hits to rank first; ``reread``: hits that a reranker reads, if there is one."""
        if reread is None:
            return self.k
        return reread if self.share is not None else max(self.k, reread)

    def admits(self, score: float) -> bool:
        """Whether a score is high enough."""
        return self.least is None or score >= self.least

    def fitting(self, best: list[Ranked]) -> list[Ranked]:
        """Those that fit well enough beside the first, which they follow in order of their scores."""
        if self.share is None or not best:
            return best
        least = self.share * best[0].score
        return [best[0], *(ranked for ranked in best[1:] if ranked.score >= least)]

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
