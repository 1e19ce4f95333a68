"""The state of the published algorithm: edits in the order in which they came; the balls follow from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from agentmem.editors.compact import Compact
from agentmem.editors.core.scopes import admits
from agentmem.editors.gate.codebook import Codebook, KeyMatch
from agentmem.editors.gate.naming import AskedText
from agentmem.editors.packs import Array, Calibration, Pack, PackedEdit, dump
from agentmem.editors.published.grace.balls import Ball, Query, stream
from agentmem.errors import PackMismatch
from agentmem.notes.edit import EditRequest
from agentmem.notes.note import Scope
from agentmem.runtime.lazily import cached_property

__all__ = ["PaperBook", "packed", "raw_space"]


@dataclass(frozen=True, eq=False)
class PaperBook(Codebook):
    """A codebook whose radii depend on the order of its edits, as the paper's do.

    Attributes:
        order: ids of the edits as they came; everything else is derived from it and the edits.
        eps_init: radius of a new ball.
    """

    order: tuple[str, ...] = ()
    eps_init: float = 1.0

    def with_edits(
        self, added: Iterable[PackedEdit], removed: Iterable[str] = (), calibration: Calibration | None = None
    ) -> Self:
        """The state with some edits more, at the end of the stream, and some less."""
        more, gone = list(added), set(removed)
        fresh = {edit.id for edit in more}
        stayed = [name for name in self.order if name not in gone | fresh]
        book = super().with_edits(more, gone, calibration)
        return replace(book, order=(*stayed, *(edit.id for edit in more)))

    def in_order(self) -> list[PackedEdit]:
        """The edits as they came."""
        held = self.by_id
        return [held[name] for name in self.order]

    @cached_property
    def balls(self) -> tuple[Ball, ...]:
        """The deferral balls after the stream."""
        return stream((query_of(edit) for edit in self.in_order()), self.eps_init)

    def following(self, edits: Sequence[PackedEdit], balls: tuple[Ball, ...], space: Calibration) -> PaperBook:
        """The book with these edits in this order, whose balls are known already: it has only just placed them."""
        book = self.with_edits((), self.ids).with_edits(edits, (), space)
        vars(book)["balls"] = balls  # what the cached property would find, one query at a time
        return book

    @cached_property
    def values(self) -> Array:
        """[E, d_model] the value of each ball."""
        return np.stack([self.by_id[ball.owners[0]].value for ball in self.balls])

    @cached_property
    def bytes(self) -> bytes:
        """The canonical pack of this state."""
        parts = {"order": list(self.order)} if self.order else {}
        return dump(Pack(self.method, self.fingerprint, dict(self.settings), self.calibration, self.edits, parts))

    @cached_property
    def reach(self) -> float:
        """The widest radius."""
        return max((ball.radius for ball in self.balls), default=0.0)

    def opened(self, pack: Pack) -> PaperBook:
        """The state that a pack holds.

        Raises:
            PackMismatch: its order does not name its edits.
        """
        order = tuple(str(name) for name in pack.parts.get("order", ()))
        if sorted(order) != sorted(edit.id for edit in pack.edits):
            raise PackMismatch("The pack's order does not name its edits.", hint="restore it from a copy.")
        return replace(self, calibration=pack.calibration, edits=pack.edits, order=order)

    def ball_masks(self, scopes: Iterable[Scope | None]) -> dict[Scope | None, npt.NDArray[np.bool_]]:
        """By scope, [E] which balls its requests may see."""
        return {
            scope: np.array([
                admits(scope, ball.scope) for ball in self.balls
            ], dtype=bool)
            for scope in set(scopes)
        }  # fmt: skip

    def nearest(
        self, queries: Array, scopes: Sequence[Scope | None]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """[n] the nearest visible ball of each query (-1: none is visible), and [n, E] all distances."""
        keys = np.stack([ball.key for ball in self.balls])
        gaps = _distances(queries, keys)
        masks = self.ball_masks(scopes)
        gaps[~np.stack([masks[scope] for scope in scopes])] = np.inf
        nearest, rows = gaps.argmin(1), np.arange(len(gaps))
        seen = np.isfinite(gaps[rows, nearest])
        exact = np.linalg.norm(keys[nearest].astype(np.float64) - queries.astype(np.float64), axis=1)
        gaps[rows[seen], nearest[seen]] = exact[seen]  # for the one that counts
        return np.where(seen, nearest, -1).astype(np.int64), gaps

    def answering(self, queries: Array, scopes: Sequence[Scope | None]) -> npt.NDArray[np.int64]:
        """[n] the ball whose value each query gets; -1 where it is left to the model."""
        if not self.balls or not len(queries):
            return np.full(len(queries), -1, dtype=np.int64)
        best, gaps = self.nearest(queries, scopes)
        radii = np.array([ball.radius for ball in self.balls])
        inside = (best >= 0) & (gaps[np.arange(len(best)), best] <= radii[best])
        answers: npt.NDArray[np.int64] = np.where(inside, best, -1)
        return answers

    def match(
        self,
        queries: Array,
        scopes: Sequence[Scope | None],
        asked: Sequence[AskedText] | None = None,  # noqa: ARG002
    ) -> list[KeyMatch]:
        """The nearest visible ball of each query, and whether the query is inside; ``asked`` decides nothing here."""
        if not self.balls or not len(queries):
            return [KeyMatch(None) for _ in scopes]
        best, gaps = self.nearest(queries, scopes)
        return [self._matched(query, int(at), row) for query, at, row in zip(queries, best, gaps, strict=True)]

    def _matched(self, query: Array, at: int, gaps: npt.NDArray[np.float64]) -> KeyMatch:
        if at < 0:
            return KeyMatch(None)
        ball, gap = self.balls[at], float(gaps[at])
        rivals = np.array([other.labels != ball.labels for other in self.balls])
        runner_up = float(np.min(gaps, where=rivals, initial=np.inf))
        owners = [self.by_id[name] for name in ball.owners]
        edit = min(owners, key=lambda owner: float(np.linalg.norm(owner.keys[0] - query)))
        return KeyMatch(edit if gap <= ball.radius else None, edit, gap, ball.radius, runner_up - gap)


def query_of(edit: PackedEdit) -> Query:
    """What the deferral rules need to know of an edit."""
    return Query(edit.id, edit.keys[0], edit.labels, edit.request.scope)


def packed(request: EditRequest, labels: tuple[int, ...], key: Array, value: Array) -> PackedEdit:
    """An edit of the published algorithm: one raw key, no look-alikes."""
    none, unlimited = np.zeros(0, np.float16), np.full(1, np.finfo(np.float32).max, np.float32)
    return PackedEdit(
        request, labels, key[None], value, none, unlimited, Compact(np.zeros((0, key.shape[-1]), np.float32))
    )


def raw_space(d_key: int) -> Calibration:
    """Stands for "nothing was calibrated": the published algorithm compares raw activations."""
    return Calibration(
        np.zeros(d_key, np.float32),
        np.zeros((d_key, 0), np.float32),
        False,
        np.zeros((0, 0), np.float32),
        0.0,
    )


def _distances(queries: Array, keys: Array) -> npt.NDArray[np.float64]:
    """[n, K] Euclidean distances by one matrix product, accurate to rounding of the squared norms."""
    left, right = queries.astype(np.float64), keys.astype(np.float64)
    squared = (left**2).sum(1)[:, None] + (right**2).sum(1)[None, :] - 2 * left @ right.T
    roots: npt.NDArray[np.float64] = np.sqrt(np.maximum(squared, 0))
    return roots
