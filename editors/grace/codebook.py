"""The codebook: which edits there are, how far each key reaches, and which one answers a query."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from agentmem.editors.grace.geometry import (
    CLEAR_OF,
    Bools,
    Doubles,
    Integers,
    Rivals,
    base_radius,
    from_wide,
    radii,
)
from agentmem.editors.naming import Asked, Mentions
from agentmem.editors.packs import Array, Calibration, Pack, PackedEdit, dump
from agentmem.notes import Scope

__all__ = ["Codebook", "Match"]

_RATIO = 0.8  # nearest to second nearest, from which a match is ambiguous (Lowe 2004, section 7.1)


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
    def owners(self) -> Integers:
        """[K] the index of each key's edit."""
        return np.repeat(np.arange(len(self.edits)), [len(edit.keys) for edit in self.edits])

    @cached_property
    def label_codes(self) -> Integers:
        """[E] equal numbers for equal targets, compared as token tuples."""
        codes: dict[tuple[int, ...], int] = {}
        return np.array([codes.setdefault(edit.labels, len(codes)) for edit in self.edits], dtype=np.int64)

    @cached_property
    def key_codes(self) -> Integers:
        """[K] the label code of each key's edit."""
        codes: Integers = self.label_codes[self.owners]
        return codes

    @cached_property
    def _wide(self) -> tuple[Doubles, Doubles]:
        """[K, r] the keys in double precision, and [K] their squared lengths: what every distance needs."""
        wide = self.keys.astype(np.float64)
        return wide, (wide**2).sum(1)

    @cached_property
    def reach(self) -> float:
        """The radius that no key exceeds: see :func:`radii`."""
        return base_radius(
            self.keys, self._background, self._negatives, (self.false_alarm, self.look_alike_alarm)
        )

    @cached_property
    def radii(self) -> Doubles:
        """[K] the radius of each key; :meth:`radius_of` some is quadratically cheaper."""
        return self.radius_of(np.arange(len(self.keys)))

    def radius_of(self, keys: Integers) -> Doubles:
        """The radii of some keys, given by their numbers."""
        wide, squares = self._wide
        return radii(wide, self._rivals, self.reach, self._limits, keys, squares)

    @cached_property
    def _rivals(self) -> Rivals:
        return Rivals.of(self.key_codes, [edit.request.scope for edit in self.edits], self.owners)

    @cached_property
    def _limits(self) -> Array:
        return np.concatenate([edit.limits for edit in self.edits]) if self.edits else np.zeros(0, np.float32)

    @cached_property
    def _reached(self) -> dict[int, float]:
        """The radii asked for so far: only a key that is some request's nearest needs one."""
        return {}

    def _radius(self, key: int) -> float:
        if key not in self._reached:
            self._reached[key] = float(self.radius_of(np.array([key]))[0])
        return self._reached[key]

    @cached_property
    def mentions(self) -> Mentions:
        """What recognises the subjects of the edits."""
        return Mentions([edit.request for edit in self.edits])

    def named_radius(self, query: Array, edit: int, unrelated: float) -> float:
        """How far a request that names the edit's subject may lie from its keys.

        It asks what the edit answers if it lies nearer to the edit than to any other question about the same subject, and
        to any unrelated prompt: the cell of a nearest neighbour, which reaches farther than a ball that keeps clear of them.
        """
        held = self.edits[edit]
        if not len(held.others):
            return 0.0
        others = held.keys[0].astype(np.float64) + held.others.rows
        return CLEAR_OF * min(unrelated, float(np.linalg.norm(others - query, axis=1).min()))

    def unrelated(self, queries: Array) -> Doubles:
        """[n] the distance from each query to the nearest unrelated prompt; infinite without any."""
        background, squares = self._wide_background
        if not len(background):
            return np.full(len(queries), np.inf)
        wide = queries.astype(np.float64)
        closest = background[np.argmin(squares - 2 * wide @ background.T, axis=1)]
        nearest: Doubles = np.linalg.norm(closest - wide, axis=1)  # exact for the one that counts
        return nearest

    @cached_property
    def _wide_background(self) -> tuple[Doubles, Doubles]:
        """The background keys in double precision, and their squared lengths."""
        wide = self._background.astype(np.float64)
        return wide, (wide**2).sum(1)

    @property
    def _background(self) -> Array:
        return self.calibration.background if self.calibration is not None else np.zeros((0, 0), np.float32)

    @property
    def _negatives(self) -> Array:
        return (
            np.concatenate([edit.negatives for edit in self.edits]) if self.edits else np.zeros(0, np.float16)
        )

    @cached_property
    def _scopes(self) -> tuple[tuple[Scope | None, ...], Integers]:
        """The different scopes, and [E] which of them each edit has."""
        codes: dict[Scope | None, int] = {}
        each = [codes.setdefault(edit.request.scope, len(codes)) for edit in self.edits]
        return tuple(codes), np.array(each, dtype=np.int64)

    def visible(self, scope: Scope | None) -> Bools:
        """[E] which edits a request in this scope may see; ``None`` is a request without a scope."""
        known, codes = self._scopes
        seen = np.array([not s or (scope is not None and scope.admits(s)) for s in known], dtype=bool)
        mask: Bools = seen[codes]
        return mask

    def match(
        self, queries: Array, scopes: Sequence[Scope | None], asked: Sequence[Asked] | None = None
    ) -> list[Match]:
        """The nearest visible key of each query (paper: deferral), and whether the query is within its radius.

        An edit whose subject the request names comes first, and reaches farther.

        Args:
            queries: [n, r] keys of requests.
            scopes: [n] whose requests they are.
            asked: [n] the message that asks; without it nothing counts as named, and the key alone decides.
        """
        if not self.edits:
            return [Match(None) for _ in scopes]
        gaps = from_wide(queries.astype(np.float64), *self._wide)
        masks = {scope: self.visible(scope) for scope in set(scopes)}
        asked = asked or [Asked()] * len(scopes)
        named = [
            [at for at in self.mentions.meant(each.text) if masks[scope][at]] for each, scope in zip(asked, scopes, strict=True)
        ]
        unrelated = self.unrelated(queries) if any(named) else np.zeros(len(queries))
        rows = zip(queries, gaps, scopes, asked, named, unrelated.tolist(), strict=True)
        return [self._decide(query, row, masks[scope], *rest) for query, row, scope, *rest in rows]

    def _decide(
        self, query: Array, row: Doubles, seen: Bools, asked: Asked, named: Sequence[int], unrelated: float
    ) -> Match:
        """``seen`` [E]: the edits that the request may see; ``named``: those of them that it may be about."""
        if named:
            match = self._among_named(query, row, named, unrelated)
            if match.edit is not None and match.distance <= _RATIO * (match.distance + match.margin):
                return match
        chosen = None if seen.all() else np.flatnonzero(seen[self.owners])
        match = self._nearest(query, row, chosen)
        if match.edit is None or not asked.whole:
            return match
        at = self._places[match.edit.id]
        of_another = at not in named and self.mentions.is_needed(at)  # all its words are known, and do not name the subject
        return replace(match, edit=None) if of_another else match

    @cached_property
    def _places(self) -> dict[str, int]:
        """The index of each edit."""
        return {edit.id: at for at, edit in enumerate(self.edits)}

    def _among_named(self, query: Array, row: Doubles, named: Sequence[int], unrelated: float) -> Match:
        found = self._nearest(query, row, self._keys_of(named))
        assert found.nearest is not None  # every edit has keys
        radius = max(found.radius, self.named_radius(query, self._places[found.nearest.id], unrelated))
        return replace(found, edit=found.nearest if found.distance <= radius else None, radius=radius)

    def _keys_of(self, edits: Sequence[int]) -> Integers:
        """The keys of some edits, given ascending."""
        firsts = self._firsts
        return np.concatenate([np.arange(firsts[at], firsts[at + 1]) for at in edits])

    @cached_property
    def _firsts(self) -> Integers:
        """[E + 1] the number of each edit's first key, and of all keys."""
        return np.searchsorted(self.owners, np.arange(len(self.edits) + 1))

    def _nearest(self, query: Array, row: Doubles, chosen: Integers | None) -> Match:
        """The nearest of the chosen keys, or of all; ``row`` [K] are the query's distances."""
        if chosen is not None and not len(chosen):
            return Match(None)
        among, codes = (row, self.key_codes) if chosen is None else (row[chosen], self.key_codes[chosen])
        first = int(np.argmin(among))
        best = first if chosen is None else int(chosen[first])
        edit = self.edits[self.owners[best]]
        distance = float(np.linalg.norm(query.astype(np.float64) - self.keys[best]))
        runner_up = float(np.min(among, where=codes != codes[first], initial=np.inf))
        radius = self._radius(best)
        fired = edit if distance <= radius else None
        return Match(fired, edit, distance, radius, runner_up - distance)
