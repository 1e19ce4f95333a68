"""The codebook: which edits there are, how far each key reaches, and which one answers a query."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from agentmem.editors.naming import Mention
from agentmem.editors.packs import Array, Calibration, Pack, PackedEdit, dump
from agentmem.notes import Scope

__all__ = ["Codebook", "Match", "covisible", "distances", "radii"]

Bools = npt.NDArray[np.bool_]
_SHRINK = 1 - 1e-6  # rounding must not let two balls touch
_RATIO = 0.8  # nearest to second nearest, from which a match is ambiguous (Lowe 2004, section 7.1)
_CLEAR_OF = 0.9  # a look-alike stays outside by a tenth of its distance


@dataclass(frozen=True, slots=True)
class Match:
    """The nearest key to one query; ``edit`` is ``None`` when the query lies outside its radius."""

    edit: PackedEdit | None
    nearest: PackedEdit | None = None
    distance: float = float("inf")
    radius: float = 0.0
    margin: float = float("inf")


@dataclass(frozen=True, eq=False)
class Codebook:
    """An immutable set of edits; everything else is derived from it.

    Radii depend on the set alone, never on the order in which it grew, so removing an edit restores its
    neighbours' reach exactly (the paper's split rule would leave a scar).
    """

    method: str
    fingerprint: str
    settings: tuple[tuple[str, object], ...]
    false_alarm: float
    look_alike_alarm: float
    calibration: Calibration | None = None
    edits: tuple[PackedEdit, ...] = ()

    def __len__(self) -> int:
        return len(self.edits)

    def with_edits(
        self, added: Iterable[PackedEdit], removed: Iterable[str] = (), calibration: Calibration | None = None
    ) -> Codebook:
        """A codebook with some edits more and some less, in canonical order."""
        gone = set(removed)
        edits = [edit for edit in self.edits if edit.id not in gone] + list(added)
        edits.sort(key=lambda edit: edit.id)
        kept = (calibration or self.calibration) if edits else None
        return replace(self, calibration=kept, edits=tuple(edits))

    @cached_property
    def ids(self) -> frozenset[str]:
        """The ids of all edits."""
        return frozenset(edit.id for edit in self.edits)

    @cached_property
    def bytes(self) -> bytes:
        """The canonical pack of this state."""
        return dump(Pack(self.method, self.fingerprint, dict(self.settings), self.calibration, self.edits))

    @cached_property
    def hash(self) -> str:
        """sha256 of :attr:`bytes`."""
        return hashlib.sha256(self.bytes).hexdigest()

    @cached_property
    def keys(self) -> Array:
        """[K, r] all keys, edit by edit."""
        width = self.calibration.projection.shape[1] if self.calibration is not None else 0
        return (
            np.concatenate([edit.keys for edit in self.edits])
            if self.edits
            else np.zeros((0, width), np.float32)
        )

    @cached_property
    def owners(self) -> npt.NDArray[np.int64]:
        """[K] the index of each key's edit."""
        return np.repeat(np.arange(len(self.edits)), [len(edit.keys) for edit in self.edits])

    @cached_property
    def label_codes(self) -> npt.NDArray[np.int64]:
        """[E] equal numbers for equal targets, compared as token tuples."""
        codes: dict[tuple[int, ...], int] = {}
        return np.array([codes.setdefault(edit.labels, len(codes)) for edit in self.edits], dtype=np.int64)

    @cached_property
    def reach(self) -> float:
        """The radius that no key exceeds: see :func:`radii`."""
        return base_radius(
            self.keys, self._background, self._negatives, (self.false_alarm, self.look_alike_alarm)
        )

    @cached_property
    def radii(self) -> npt.NDArray[np.float64]:
        """[K] the radius of each key."""
        scopes = [edit.request.scope for edit in self.edits]
        conflicts = (self.label_codes[:, None] != self.label_codes[None, :]) & covisible(scopes)
        limits = (
            np.concatenate([edit.limits for edit in self.edits]) if self.edits else np.zeros(0, np.float32)
        )
        return radii(self.keys, conflicts[self.owners][:, self.owners], self.reach, limits)

    @cached_property
    def mentions(self) -> tuple[Mention, ...]:
        """[E] what recognises the subject of each edit."""
        return tuple(Mention(edit.request) for edit in self.edits)

    @cached_property
    def named_radii(self) -> npt.NDArray[np.float64]:
        """[K] the radius of each key for requests that name its edit's subject; never less than the plain one.

        Unrelated prompts, and the same words about others, do not name it: what limits the reach is other questions about the
        same subject. Between edits of one subject a request decides by `_RATIO`.
        """
        if not self.edits:
            return np.zeros(0)
        asked = np.concatenate([edit.own_negatives for edit in self.edits])
        limits = np.concatenate([edit.own_limits for edit in self.edits])
        none = np.zeros((0, self.keys.shape[1]), np.float32)
        reach = base_radius(self.keys, none, asked, (self.false_alarm, self.look_alike_alarm))
        wide = np.minimum(max(reach, self.reach), _CLEAR_OF * limits.astype(np.float64))
        nameable = np.array([bool(mention) for mention in self.mentions])[self.owners]
        widest: npt.NDArray[np.float64] = np.where(nameable, np.maximum(wide, self.radii), self.radii)
        return widest

    @property
    def _background(self) -> Array:
        return self.calibration.background if self.calibration is not None else np.zeros((0, 0), np.float32)

    @property
    def _negatives(self) -> Array:
        return (
            np.concatenate([edit.negatives for edit in self.edits]) if self.edits else np.zeros(0, np.float32)
        )

    def visible(self, scope: Scope | None) -> Bools:
        """[E] which edits a request in this scope may see; ``None`` is a request without a scope."""
        shared = (
            not edit.request.scope or (scope is not None and scope.admits(edit.request.scope))
            for edit in self.edits
        )
        return np.fromiter(shared, dtype=bool, count=len(self.edits))

    def match(
        self, queries: Array, scopes: Sequence[Scope | None], texts: Sequence[str] | None = None
    ) -> list[Match]:
        """The nearest visible key of each query (paper: deferral), and whether the query is within its radius.

        An edit whose subject the request names comes first, and reaches farther.

        Args:
            queries: [n, r] keys of requests.
            scopes: [n] whose requests they are.
            texts: [n] the message that asks; without it nothing counts as named.
        """
        if not self.edits:
            return [Match(None) for _ in scopes]
        gaps = distances(queries, self.keys)
        masks = {scope: self.visible(scope)[self.owners] for scope in set(scopes)}
        asked = texts if texts is not None else [""] * len(scopes)
        rows = zip(queries, gaps, scopes, asked, strict=True)
        return [self._decide(query, row, masks[scope], text) for query, row, scope, text in rows]

    def _decide(self, query: Array, row: npt.NDArray[np.float64], mask: Bools, text: str) -> Match:
        if text:
            named = np.array([mention.in_text(text) for mention in self.mentions])[self.owners] & mask
            match = self._nearest(query, row, named, self.named_radii)
            if match.edit is not None and match.distance <= _RATIO * (match.distance + match.margin):
                return match
        return self._nearest(query, row, mask, self.radii)

    def _nearest(
        self, query: Array, row: npt.NDArray[np.float64], mask: Bools, reach: npt.NDArray[np.float64]
    ) -> Match:
        if not mask.any():
            return Match(None)
        row = np.where(mask, row, np.inf)
        best = int(np.argmin(row))
        edit = self.edits[self.owners[best]]
        distance = float(np.linalg.norm(query.astype(np.float64) - self.keys[best]))
        rivals = self.label_codes[self.owners] != self.label_codes[self.owners[best]]
        runner_up = float(np.min(row, where=rivals, initial=np.inf))
        radius = float(reach[best])
        fired = edit if distance <= radius else None
        return Match(fired, edit, distance, radius, runner_up - distance)


def radii(keys: Array, conflicts: Bools, reach: float, limits: Array) -> npt.NDArray[np.float64]:
    """How far each key reaches: ``min(reach, limit, half the distance to the nearest key with another target)``.

    So balls of different targets never overlap: r_i + r_j <= d(K_i, K_j).

    Args:
        keys: [K, r].
        conflicts: [K, K] True where two keys have different targets and one request may see both.
        reach: the radius that background prompts allow.
        limits: [K] distance to a look-alike that must stay unanswered.
    """
    if not len(keys):
        return np.zeros(0)
    wide = keys.astype(np.float64)
    nearest = np.full(len(keys), np.inf)
    for start in range(0, len(keys), 256):
        block = slice(start, start + 256)
        apart = np.where(conflicts[block], distances(keys[block], keys), np.inf)
        rival = np.argmin(apart, axis=1)  # exact distance for the one that counts
        exact = np.linalg.norm(wide[block] - wide[rival], axis=1)
        nearest[block] = np.where(np.isfinite(apart.min(axis=1)), exact, np.inf)
    apart_enough = np.minimum(0.5 * nearest * _SHRINK, _CLEAR_OF * limits.astype(np.float64))
    return np.minimum(reach, apart_enough)


def base_radius(keys: Array, background: Array, negatives: Array, alarms: tuple[float, float]) -> float:
    """The radius at which unrelated and look-alike prompts would raise no more false alarms than allowed.

    It shrinks as keys accumulate, because the nearest of many keys is nearer.

    Args:
        keys: [K, r] all keys.
        background: [n, r] keys of unrelated prompts.
        negatives: [m] distances from look-alike prompts to the keys that they resemble.
        alarms: the shares allowed among the background and among look-alikes, by the lower quantile. Look-alikes are
            made by rule, and some ask the same in other words; those must not decide how far every key reaches.
    """
    if not len(keys):
        return 0.0
    unrelated, alike = _nearest_to(background, keys), negatives.astype(np.float64)
    found = [_low(near, share) for near, share in ((unrelated, alarms[0]), (alike, alarms[1])) if len(near)]
    return min(found) * _SHRINK if found else 0.0


def _low(distances: npt.NDArray[np.floating], share: float) -> float:
    return float(np.quantile(distances.astype(np.float64), share, method="lower"))


def _nearest_to(queries: Array, keys: Array) -> npt.NDArray[np.float64]:
    return distances(queries, keys).min(axis=1) if len(queries) else np.zeros(0)


def distances(queries: Array, keys: Array) -> npt.NDArray[np.float64]:
    """[n, K] Euclidean distances by one matrix product, accurate to rounding of the squared norms."""
    left, right = queries.astype(np.float64), keys.astype(np.float64)
    squared = (left**2).sum(1)[:, None] + (right**2).sum(1)[None, :] - 2 * left @ right.T
    roots: npt.NDArray[np.float64] = np.sqrt(np.maximum(squared, 0))
    return roots


def covisible(scopes: Sequence[Scope | None]) -> Bools:
    """[E, E] True where some request may see both edits: users never meet, nor do agents without a user."""
    users, agents = (
        _codes([s.user if s else None for s in scopes]),
        _codes([s.agent if s else None for s in scopes]),
    )
    same_user, same_agent = users[:, None] == users[None, :], agents[:, None] == agents[None, :]
    has_user, has_agent = users >= 0, agents >= 0
    both_users = has_user[:, None] & has_user[None, :]
    agents_agree = same_agent | ~has_agent[:, None] | ~has_agent[None, :]
    together: Bools = np.where(both_users, same_user, agents_agree)
    return together


def _codes(names: Sequence[str | None]) -> npt.NDArray[np.int64]:
    codes: dict[str, int] = {}
    return np.array([-1 if n is None else codes.setdefault(n, len(codes)) for n in names], dtype=np.int64)
