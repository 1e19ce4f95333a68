"""The published deferral rules: balls around keys that are added, expanded and split as edits stream in.

Hartvigsen et al. 2023, "Aging with GRACE", section 3 and algorithm 1. Pure geometry; no model is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from agentmem.editors.core.scopes import covisible
from agentmem.editors.packs import Array
from agentmem.notes.note import Scope

__all__ = ["Ball", "Placed", "Query", "place", "stream"]

Action = Literal["add", "expand", "split", "inside", "refuse"]
_APART = 1 - 1e-6  # rounding must not let two balls touch


@dataclass(frozen=True, eq=False)
class Query:
    """The key [d] of one edit's prompt, what it shall answer with, and whose it is."""

    id: str
    key: Array
    labels: tuple[int, ...]
    scope: Scope | None = None


@dataclass(frozen=True, eq=False)
class Ball:
    """One entry of the codebook: whatever lies within ``radius`` of ``key`` gets its value.

    ``owners`` are the ids of the edits that share it, its founder first.
    """

    key: Array
    radius: float
    labels: tuple[int, ...]
    scope: Scope | None
    owners: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Placed:
    """What became of a query: the action, the index of its ball, and all balls afterwards.

    A refused query lies too close to a ball with another target; nothing has changed then.
    """

    action: Action
    ball: int
    balls: tuple[Ball, ...]


def place(balls: Sequence[Ball], query: Query, eps_init: float, floor: float = 0.0) -> Placed:
    """Take one query in by the paper's rules.

    The nearest ball decides. Farther away than its radius plus ``eps_init``: *Add* a ball of radius ``eps_init``. Same
    target: *Expand* the ball to contain the query. Another target: *Split*, half the distance for each. The paper
    looks at the nearest ball alone; here every other ball with another target that would overlap the result is split
    against as well, a split never widens a ball, and a ball that cannot expand without overlapping is left as it is
    and the query founds one of its own.

    Args:
        eps_init: radius of a new ball, in the units of the keys.
        floor: a ball must be wider than this to be told from rounding.
    """
    gaps = _gaps(balls, query.key)
    gaps[~_seen(balls, query.scope)] = np.inf
    if not len(gaps) or not np.isfinite(gaps.min()):
        return _found(balls, query, gaps, eps_init, "add", floor)
    near = int(gaps.argmin())
    ball, gap = balls[near], float(gaps[near])
    if gap > ball.radius + eps_init:
        return _found(balls, query, gaps, eps_init, "add", floor)
    if ball.labels != query.labels:
        return _found(balls, query, gaps, gap / 2, "split", floor)
    if ball.scope == query.scope and (gap <= ball.radius or _clear(balls, near, gap)):
        wide = replace(ball, radius=max(ball.radius, gap), owners=(*ball.owners, query.id))
        action: Action = "inside" if gap <= ball.radius else "expand"
        return Placed(action, near, (*balls[:near], wide, *balls[near + 1 :]))
    return _found(balls, query, gaps, eps_init, "add", floor)


def stream(queries: Iterable[Query], eps_init: float) -> tuple[Ball, ...]:
    """The balls after a stream of queries, in its order."""
    balls: tuple[Ball, ...] = ()
    for query in queries:
        balls = place(balls, query, eps_init).balls
    return balls


def _found(
    balls: Sequence[Ball],
    query: Query,
    gaps: npt.NDArray[np.float64],
    radius: float,
    action: Action,
    floor: float,
) -> Placed:
    """A ball of its own for a query; balls with other targets make room, the nearest first."""
    after = list(balls)
    for at in np.argsort(gaps, kind="stable"):
        other, half = after[at], 0.5 * float(gaps[at]) * _APART
        if np.isfinite(gaps[at]) and other.labels != query.labels and gaps[at] <= other.radius + radius:
            radius = min(radius, half)
            after[at] = replace(other, radius=min(other.radius, half))
    if radius <= floor:
        return Placed("refuse", int(gaps.argmin()), tuple(balls))
    after.append(Ball(query.key, radius, query.labels, query.scope, (query.id,)))
    return Placed(action, len(after) - 1, tuple(after))


def _clear(balls: Sequence[Ball], at: int, radius: float) -> bool:
    """Whether a ball may grow to ``radius`` without touching one with another target."""
    ball = balls[at]
    gaps, seen = _gaps(balls, ball.key), _seen(balls, ball.scope)
    rivals = [i for i, other in enumerate(balls) if seen[i] and other.labels != ball.labels]
    return all(radius + balls[i].radius < gaps[i] for i in rivals)


def _gaps(balls: Sequence[Ball], key: Array) -> npt.NDArray[np.float64]:
    """[E] Euclidean distances, summed in double precision."""
    if not balls:
        return np.zeros(0)
    keys = np.stack([ball.key for ball in balls]).astype(np.float64)
    gaps: npt.NDArray[np.float64] = np.linalg.norm(keys - key.astype(np.float64), axis=1)
    return gaps


def _seen(balls: Sequence[Ball], scope: Scope | None) -> npt.NDArray[np.bool_]:
    """[E] which balls some request may meet together with this scope's."""
    together = {other: bool(covisible([scope, other])[0, 1]) for other in {ball.scope for ball in balls}}
    return np.array([together[ball.scope] for ball in balls], dtype=bool)
