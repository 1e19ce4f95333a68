"""Forgetting curves: how strongly a note is remembered, as pure functions of time.

A curve ranks and archives; it never says whether a note is true. Time is continuous, in days, and comes from the
caller. Elapsed time is never negative: a clock that went back makes a note look fresh, it cannot raise a strength
above 1 (``exp(-t/S)`` one year before the review would be 5e31).

All curves keep these promises: the strength lies in [0, 1], never rises while time passes, and never falls at any
later moment because of a successful recall.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from agentmem.errors import InvalidArgument
from agentmem.notes.clock import as_utc
from agentmem.notes.note import MemoryState

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from agentmem.notes.protocols import ForgettingCurve

__all__ = [
    "CURVES",
    "FSRS6",
    "FSRS6_PARAMETERS",
    "GRADES",
    "Ebbinghaus",
    "NoForgetting",
    "Power",
    "curve",
    "due",
    "elapsed_days",
    "sample",
]

GRADES = ("again", "hard", "good", "easy")
"""What a use was like: the memory failed, was hard to use, was used, was used and confirmed."""

CURVES = ("fsrs6", "ebbinghaus", "power", "none")

_STABILITY_MIN = 0.001
_STABILITY_MAX = 36_500.0  # 100 years: beyond it a number of days means nothing, and powers of it overflow
_DIFFICULTY_MIN, _DIFFICULTY_MAX = 1.0, 10.0
_MIDDLE = 5.0  # difficulty of the curves that know none
_DAY = 86_400.0
_HORIZON = 36_500  # days that `due` looks ahead

FSRS6_PARAMETERS = (
    *(0.212, 1.2931, 2.3065, 8.2956),  # w0-w3: stability after the first review, by grade
    *(6.4133, 0.8334, 3.0194, 0.001),  # w4-w7: difficulty
    *(1.8722, 0.1666, 0.796),  # w8-w10: stability after a recall
    *(1.4835, 0.0614, 0.2629, 1.6483),  # w11-w14: stability after a lapse
    *(0.6014, 1.8729),  # w15, w16: hard penalty, easy bonus
    *(0.5425, 0.0912, 0.0658),  # w17-w19: reviews on the same day
    0.1542,  # w20: decay
)
"""The published default parameters of FSRS-6, fitted on about 350 million reviews."""


def elapsed_days(state: MemoryState, now: datetime) -> float:
    """Days since the last review, never negative."""
    # Both ends go through UTC: two datetimes of one zone would subtract by wall clock, one hour wrong across DST.
    seconds = (as_utc(now) - as_utc(state.last_review)).total_seconds()
    return max(seconds, 0.0) / _DAY


def _rank(grade: str) -> int:
    """The grade as FSRS counts it: again 1, hard 2, good 3, easy 4."""
    if grade not in GRADES:
        raise InvalidArgument(f"Unknown grade {grade!r}.", hint=f"use one of: {', '.join(GRADES)}.")
    return GRADES.index(grade) + 1


def _checked_importance(importance: float) -> float:
    if not 0.0 <= importance <= 1.0:
        raise InvalidArgument(f"Importance {importance!r} is not in [0, 1].", hint="0.5 is an ordinary note.")
    return float(importance)


def _bounded(value: float, low: float, high: float) -> float:
    """``value`` within the bounds; not-a-number becomes the lower one."""
    return min(value, high) if value >= low else low


def _stability(state: MemoryState) -> float:
    return _bounded(state.stability, _STABILITY_MIN, _STABILITY_MAX)


def _reviewed(state: MemoryState, now: datetime, stability: float, difficulty: float) -> MemoryState:
    # The clock's present becomes the last review even when it lies before the former one: a note that was stored
    # under a clock in the far future would otherwise never fade again.
    return MemoryState(
        stability=_bounded(stability, _STABILITY_MIN, _STABILITY_MAX),
        difficulty=_bounded(difficulty, _DIFFICULTY_MIN, _DIFFICULTY_MAX),
        last_review=as_utc(now),
        recalls=state.recalls + 1,
    )


class FSRS6:
    """The Free Spaced Repetition Scheduler, version 6, in continuous time; the default.

    ``R(t, S) = (1 + F t/S)^D`` with ``D = -w20`` and ``F = 0.9^(1/D) - 1``, so that ``R(S, S) = 0.9``: stability is
    the days until the strength has fallen to 0.9. A recall that comes late strengthens more (spacing):
    ``S' = S (1 + e^w8 (11 - d) S^-w9 (e^(w10 (1 - R)) - 1) h)`` with ``h`` = w15 for hard, w16 for easy; a failed one
    leaves ``S' = min(w11 d^-w12 ((S + 1)^w13 - 1) e^(w14 (1 - R)), S / e^(w17 w18))``; within a day of the last review
    ``S' = S e^(w17 (G - 3 + w18)) S^-w19``, not less than S unless the recall failed.

    The reference implementation floors elapsed time to whole days, which leaves R at 1 for the first 24 hours; this
    one does not, and equals it at whole days.
    Source: https://github.com/open-spaced-repetition/awesome-fsrs/wiki/The-Algorithm

    Args:
        parameters: 21 weights; the published defaults unless you have fitted your own.
    """

    name: str = "fsrs6"

    def __init__(self, parameters: Sequence[float] = FSRS6_PARAMETERS) -> None:
        weights = tuple(float(w) for w in parameters)
        if len(weights) != len(FSRS6_PARAMETERS) or not all(map(math.isfinite, weights)):
            raise InvalidArgument(
                f"FSRS-6 needs 21 finite parameters, got {len(weights)}.",
                hint="FSRS6() has the published ones.",
            )
        if min(weights[:4]) <= 0 or not 0.1 <= weights[20] <= 0.8:
            raise InvalidArgument(
                "FSRS-6 needs positive initial stabilities (w0-w3) and a decay (w20) in [0.1, 0.8].",
                hint="FSRS6() has the published parameters.",
            )
        self.parameters = weights
        self._decay = -weights[20]
        self._factor = 0.9 ** (1 / self._decay) - 1

    def initial(self, now: datetime, *, importance: float = 0.5) -> MemoryState:
        """The state of a new note: importance 0, 0.5 and 1 count as a first review graded hard, good and easy."""
        grade = 2.0 + 2.0 * _checked_importance(importance)
        w = self.parameters
        lower = min(int(grade), 3)
        part = grade - lower
        stability = w[lower - 1] ** (1 - part) * w[lower] ** part  # geometric: stabilities differ by factors
        difficulty = _bounded(self._first_difficulty(grade), _DIFFICULTY_MIN, _DIFFICULTY_MAX)
        return MemoryState(stability, difficulty, as_utc(now))

    def retrievability(self, state: MemoryState, now: datetime) -> float:
        """Probability of recall after the elapsed time."""
        return self._strength(elapsed_days(state, now), _stability(state))

    def strengths(self, days: npt.ArrayLike, stabilities: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """:meth:`retrievability` of many notes, from days since the last review (not negative) and stabilities; both [n]."""
        import numpy as np

        stable = np.asarray(stabilities, dtype=float)
        stable = np.where(stable >= _STABILITY_MIN, np.minimum(stable, _STABILITY_MAX), _STABILITY_MIN)
        strengths: npt.NDArray[np.float64] = (1 + self._factor * np.asarray(days, dtype=float) / stable) ** self._decay
        return strengths

    def review(self, state: MemoryState, now: datetime, grade: str = "good") -> MemoryState:
        """The state after a use, by the published rules."""
        rank = _rank(grade)
        days, stability = elapsed_days(state, now), _stability(state)
        difficulty = _bounded(state.difficulty, _DIFFICULTY_MIN, _DIFFICULTY_MAX)
        if days < 1:
            new = self._same_day(stability, rank)
        elif rank == 1:
            new = self._lapse(stability, difficulty, self._strength(days, stability))
        else:
            new = self._recall(stability, difficulty, self._strength(days, stability), rank)
        return _reviewed(state, now, new, self._next_difficulty(difficulty, rank))

    def _strength(self, days: float, stability: float) -> float:
        return _bounded((1 + self._factor * days / stability) ** self._decay, 0.0, 1.0)

    def _first_difficulty(self, grade: float) -> float:
        return self.parameters[4] - math.exp(self.parameters[5] * (grade - 1)) + 1

    def _next_difficulty(self, difficulty: float, rank: int) -> float:
        """``d' = w7 D0(easy) + (1 - w7) (d - w6 (G - 3) (10 - d) / 9)``."""
        w = self.parameters
        damped = difficulty - w[6] * (rank - 3) * (10.0 - difficulty) / 9.0
        return w[7] * self._first_difficulty(4) + (1 - w[7]) * damped

    def _same_day(self, stability: float, rank: int) -> float:
        w = self.parameters
        growth = math.exp(w[17] * (rank - 3 + w[18])) * math.pow(stability, -w[19])
        return stability * (growth if rank == 1 else max(growth, 1.0))

    def _lapse(self, stability: float, difficulty: float, strength: float) -> float:
        w = self.parameters
        hardness, length = math.pow(difficulty, -w[12]), math.pow(stability + 1, w[13]) - 1
        forgotten = w[11] * hardness * length * math.exp(w[14] * (1 - strength))
        return min(forgotten, stability / math.exp(w[17] * w[18]))

    def _recall(self, stability: float, difficulty: float, strength: float, rank: int) -> float:
        w = self.parameters
        spacing = math.exp(w[10] * (1 - strength)) - 1
        weight = {2: w[15], 3: 1.0, 4: w[16]}[rank]
        gain = math.exp(w[8]) * (11 - difficulty) * math.pow(stability, -w[9]) * spacing * weight
        return stability * (1 + gain)


class Ebbinghaus:
    """The exponential curve of MemoryBank: ``R = exp(-t/S)``; S is 1 day at first and 1 more after each recall.

    The paper knows recalls but no grades and no importance: hard, good and easy all add a day, a failed recall starts
    again at one day. (The code that came with the paper multiplies by S where the paper divides, so that what is
    recalled more dies faster; this follows the paper.) Source: https://arxiv.org/abs/2305.10250, section 2.3.
    """

    name: str = "ebbinghaus"

    def initial(self, now: datetime, *, importance: float = 0.5) -> MemoryState:
        """The state of a new note; the paper has no importance, so it changes nothing here."""
        _checked_importance(importance)
        return MemoryState(1.0, _MIDDLE, as_utc(now))

    def retrievability(self, state: MemoryState, now: datetime) -> float:
        """``exp(-t/S)``."""
        return math.exp(-elapsed_days(state, now) / _stability(state))

    def review(self, state: MemoryState, now: datetime, grade: str = "good") -> MemoryState:
        """One more day of stability; one day in all after a failed recall."""
        stability = 1.0 if _rank(grade) == 1 else _stability(state) + 1.0
        return _reviewed(state, now, stability, state.difficulty)


class Power:
    """A power law with a plain spacing rule: ``R = (1 + F t/S)^-d`` with ``F = 0.9^(-1/d) - 1``, so ``R(S) = 0.9``.

    Forgetting follows a power function of time better than an exponential one (Wixted & Ebbesen 1991,
    https://doi.org/10.1111/j.1467-9280.1991.tb00175.x). A recall after the elapsed time t multiplies S by
    ``1 + (g - 1) min(1, t/S)``: a burst of recalls counts for little, a recall when due for the full growth g.

    Args:
        decay: the exponent d, in (0, 2]; 0.5 as in FSRS-4.5.
        growth: the factor g of a good recall that was due, at least 1.
    """

    name: str = "power"

    def __init__(self, decay: float = 0.5, growth: float = 2.0) -> None:
        if not 0 < decay <= 2:
            raise InvalidArgument(f"Decay {decay!r} is not in (0, 2].", hint="Power() uses 0.5.")
        if not 1 <= growth <= 100:
            raise InvalidArgument(f"Growth {growth!r} is not in [1, 100].", hint="Power() uses 2.")
        self.decay = decay
        self.growth = growth
        self._factor = 0.9 ** (-1 / decay) - 1

    def initial(self, now: datetime, *, importance: float = 0.5) -> MemoryState:
        """Half a day, two days or eight days of stability at importance 0, 0.5 and 1."""
        return MemoryState(2.0 * 4.0 ** (2 * _checked_importance(importance) - 1), _MIDDLE, as_utc(now))

    def retrievability(self, state: MemoryState, now: datetime) -> float:
        """``(1 + F t/S)^-d``."""
        relative = elapsed_days(state, now) / _stability(state)
        return _bounded((1 + self._factor * relative) ** -self.decay, 0.0, 1.0)

    def review(self, state: MemoryState, now: datetime, grade: str = "good") -> MemoryState:
        """Stability grown by the spacing rule (hard half of it, easy half as much again), or halved."""
        rank, stability = _rank(grade), _stability(state)
        if rank == 1:
            return _reviewed(state, now, stability / 2, state.difficulty)
        due_part = min(1.0, elapsed_days(state, now) / stability)
        gain = (self.growth - 1) * due_part * {2: 0.5, 3: 1.0, 4: 1.5}[rank]
        return _reviewed(state, now, stability * (1 + gain), state.difficulty)


class NoForgetting:
    """Everything stays as strong as on the first day; uses are still counted."""

    name: str = "none"

    def initial(self, now: datetime, *, importance: float = 0.5) -> MemoryState:
        """The state of a new note."""
        _checked_importance(importance)
        return MemoryState(_STABILITY_MAX, _MIDDLE, as_utc(now))

    def retrievability(self, state: MemoryState, now: datetime) -> float:
        """Always 1."""
        elapsed_days(state, now)  # a wrong type of `now` is an error with every curve
        return 1.0

    def review(self, state: MemoryState, now: datetime, grade: str = "good") -> MemoryState:
        """The same state, one use later."""
        _rank(grade)
        return _reviewed(state, now, state.stability, state.difficulty)


def curve(name: str) -> ForgettingCurve:
    """A new forgetting curve by name: ``fsrs6``, ``ebbinghaus``, ``power`` or ``none``.

    Raises:
        InvalidArgument: when no curve has this name.
    """
    key = str(name).strip().casefold().replace("-", "")
    if key in ("fsrs6", "fsrs"):
        return FSRS6()
    if key == "ebbinghaus":
        return Ebbinghaus()
    if key == "power":
        return Power()
    if key == "none":
        return NoForgetting()
    raise InvalidArgument(f"Unknown forgetting curve {name!r}.", hint=f"use one of: {', '.join(CURVES)}.")


def sample(
    state: MemoryState, curve: ForgettingCurve, start: datetime, end: datetime, n: int = 200
) -> list[tuple[datetime, float]]:
    """``n`` points (moment, retrievability) at equal distances from ``start`` to ``end``, for plotting."""
    start, end = as_utc(start), as_utc(end)
    if n < 2 or end <= start:
        raise InvalidArgument(
            f"Cannot sample {n} points from {start} to {end}.", hint="give n >= 2 and an end after the start."
        )
    step = (end - start) / (n - 1)
    moments = [start + i * step for i in range(n - 1)] + [end]
    return [(moment, curve.retrievability(state, moment)) for moment in moments]


def due(state: MemoryState, curve: ForgettingCurve, level: float = 0.9) -> datetime | None:
    """When the strength falls to ``level``; ``None`` when that takes longer than 100 years."""
    if not 0 < level < 1:
        raise InvalidArgument(f"Level {level!r} is not in (0, 1).", hint="0.9 is the usual moment to review.")
    reviewed = as_utc(state.last_review)
    left = datetime.max.replace(tzinfo=UTC) - reviewed
    low, high = timedelta(0), min(timedelta(days=_HORIZON), left)
    if curve.retrievability(state, reviewed + high) > level:
        return None
    # Strength never rises with time, so halving finds the one crossing.
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if curve.retrievability(state, reviewed + middle) > level:
            low = middle
        else:
            high = middle
    return reviewed + high
