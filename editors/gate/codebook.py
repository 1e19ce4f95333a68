"""The codebook: which edits there are, how far each key reaches, and which one answers a query."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Self

import numpy as np

from agentmem.editors.core.scopes import admits
from agentmem.editors.core.state import State
from agentmem.editors.gate.geometry import CLEAR_OF, Rivals, base_radius, radii
from agentmem.editors.gate.naming import AskedText, Mentions
from agentmem.editors.gate.nearest import Bools, Doubles, Integers, KeySearch, KeySieve
from agentmem.editors.packs import Array, Calibration, Pack, PackedEdit, dump
from agentmem.notes.note import Scope
from agentmem.runtime.lazily import cached_property

__all__ = ["Codebook", "KeyMatch"]

INDEXED_FROM = 20_000  # keys: from here on ruling most out first is faster than looking at all
_TRIED, _WORTH_IT = 64, 0.02  # unrelated prompts that try an index, and the share of keys that it may leave for them
_RATIO = 0.8  # nearest to second nearest, from which a match is ambiguous (Lowe 2004, section 7.1)
_MASKS = 16  # scopes whose edits are remembered


@dataclass(frozen=True, slots=True)
class KeyMatch:
    """The nearest key to one query; ``edit`` is ``None`` when the query lies outside its radius.

    Where the keys are indexed, nothing is known of those farther away than any key reaches: ``nearest`` is ``None`` when all are,
    and ``margin`` counts a next one from that distance on.

    Of a request that :meth:`Codebook.answer` let pass by its words alone, only :meth:`looked` says what lies near it.
    """

    edit: PackedEdit | None
    nearest: PackedEdit | None = None
    distance: float = float("inf")
    radius: float = 0.0
    margin: float = float("inf")
    look: Callable[[], KeyMatch] | None = field(default=None, compare=False, repr=False)

    def looked(self) -> KeyMatch:
        """The same with everything that a look at the keys tells."""
        return self if self.look is None else self.look()


@dataclass(frozen=True, eq=False)
class Codebook(State[PackedEdit]):
    """An immutable set of edits; everything else is derived from it.

    Radii depend on the set alone, never on the order in which it grew, so removing an edit restores its
    neighbours' reach exactly (the paper's split rule would leave a scar).
    """

    false_alarm: float
    look_alike_alarm: float
    calibration: Calibration | None = None

    def with_edits(
        self, added: Iterable[PackedEdit], removed: Iterable[str] = (), calibration: Calibration | None = None
    ) -> Self:
        """The state with some edits more and some less, in canonical order."""
        edits = self.changed(added, removed)
        return replace(self, calibration=(calibration or self.calibration) if edits else None, edits=edits)

    @cached_property
    def bytes(self) -> bytes:
        """The canonical pack of this state."""
        return dump(Pack(self.method, self.fingerprint, dict(self.settings), self.calibration, self.edits))

    @cached_property
    def keys(self) -> Array:
        """[K, r] all keys, edit by edit."""
        width = self.calibration.projection.shape[1] if self.calibration is not None else 0
        return np.concatenate([edit.keys for edit in self.edits]) if self.edits else np.zeros((0, width), np.float32)

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
    def search(self) -> KeySearch:
        """What finds the nearest of all keys."""
        return KeySearch(self.keys)

    @cached_property
    def index(self) -> KeySieve | None:
        """What rules out most of many keys; ``None`` for few, and where it would rule out too few to be worth its time."""
        if len(self.keys) <= INDEXED_FROM:
            return None
        shadow = KeySieve(self.search)
        return shadow if shadow.leaves(self._background.rows[:_TRIED], self.reach) <= _WORTH_IT else None

    @cached_property
    def reach(self) -> float:
        """The radius that no key exceeds: see :func:`radii`."""
        alarms = self.false_alarm, self.look_alike_alarm
        return base_radius(self.search, self._background.rows, self._negatives, alarms)

    @cached_property
    def radii(self) -> Doubles:
        """[K] the radius of each key; :meth:`radius_of` some is quadratically cheaper."""
        return self.radius_of(np.arange(len(self.keys)))

    def radius_of(self, keys: Integers) -> Doubles:
        """The radii of some keys, given by their numbers."""
        return radii(self.search, self._rivals, self.reach, self._limits, keys)

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

    def named_radius(self, query: Array, edit: int) -> float:
        """How far a request that names the edit's subject may lie from its keys, as far as other questions go.

        It asks what the edit answers if it lies nearer to the edit than to any other question about the same subject, and
        to any unrelated prompt: the cell of a nearest neighbour, which reaches farther than a ball that keeps clear of them.
        """
        held = self.edits[edit]
        if not len(held.others):
            return 0.0
        others = held.keys[0].astype(np.float64) + held.others.rows
        return CLEAR_OF * float(np.linalg.norm(others - query, axis=1).min())

    def unrelated(self, query: Array) -> float:
        """The distance from a query [r] to the nearest unrelated prompt; infinite without any."""
        return float(self._background.nearest(query[None])[1][0])

    @cached_property
    def _background(self) -> KeySearch:
        return KeySearch(self.calibration.background if self.calibration is not None else np.zeros((0, 0), np.float32))

    @property
    def _negatives(self) -> Array:
        return np.concatenate([edit.negatives for edit in self.edits]) if self.edits else np.zeros(0, np.float16)

    @cached_property
    def _scopes(self) -> tuple[tuple[Scope | None, ...], Integers]:
        """The different scopes, and [E] which of them each edit has."""
        codes: dict[Scope | None, int] = {}
        each = [codes.setdefault(edit.request.scope, len(codes)) for edit in self.edits]
        return tuple(codes), np.array(each, dtype=np.int64)

    def visible(self, scope: Scope | None) -> Bools:
        """[E] which edits a request in this scope may see; ``None`` is a request without a scope."""
        if scope in self._masks:
            return self._masks[scope]
        known, codes = self._scopes
        seen = np.array([admits(scope, owner) for owner in known], dtype=bool)
        mask: Bools = seen[codes]
        if len(self._masks) >= _MASKS:
            self._masks.clear()
        self._masks[scope] = mask
        return mask

    @cached_property
    def _masks(self) -> dict[Scope | None, Bools]:
        """What :meth:`visible` found for the last scopes."""
        return {}

    def match(
        self, queries: Array, scopes: Sequence[Scope | None], asked: Sequence[AskedText] | None = None
    ) -> list[KeyMatch]:
        """The nearest visible key of each query (paper: deferral), and whether the query is within its radius.

        An edit whose subject the request names comes first, and reaches farther.

        Args:
            queries: [n, r] keys of requests.
            scopes: [n] whose requests they are.
            asked: [n] the message that asks; without it nothing counts as named, and the key alone decides.
        """
        if not self.edits:
            return [KeyMatch(None) for _ in scopes]
        asked = asked or [AskedText()] * len(scopes)
        named = [self._named(each, scope) for each, scope in zip(asked, scopes, strict=True)]
        return self._found(queries, scopes, asked, named)

    def may_answer(self, asked: AskedText, scope: Scope | None) -> bool:
        """Whether a request with these words can be any edit's, whatever its key; for some whose words are known it cannot."""
        if not self.edits or not asked.whole or not self.mentions.all_needed:
            return bool(self.edits)
        return bool(self._named(asked, scope))

    def answer(self, raw: Array, scopes: Sequence[Scope | None], asked: Sequence[AskedText]) -> list[KeyMatch]:
        """What :meth:`match` says of raw keys [n, d_key], without a look at all keys where words say enough.

        Where every edit answers only requests that name its subject, one that names none is nobody's, however near it lies, and
        one that does is compared with the edits it names. So what a request costs does not grow with the number of edits.
        """
        if not self.edits or self.calibration is None:
            return [KeyMatch(None) for _ in scopes]
        named = [self._named(each, scope) for each, scope in zip(asked, scopes, strict=True)]
        space = self.calibration
        if not (self.mentions.all_needed and all(each.whole for each in asked)):
            return self._found(space.keys(raw), scopes, asked, named)
        keys = (
            dict(zip(at, space.keys(raw[at]), strict=True))
            if (at := [i for i, each in enumerate(asked) if named[i]])
            else {}
        )

        def look(i: int) -> KeyMatch:
            return self._found(space.keys(raw[i : i + 1]), scopes[i : i + 1], asked[i : i + 1], named[i : i + 1])[0]

        found = []
        for i, mine in enumerate(named):
            match = self._among_named(keys[i], mine) if mine else KeyMatch(None)
            if match.edit is None:
                found.append(KeyMatch(None, look=partial(look, i)))
            else:
                found.append(match if _is_clear(match) else look(i))
        return found

    def _named(self, asked: AskedText, scope: Scope | None) -> list[int]:
        """The edits that a request may see and may be about."""
        meant = self.mentions.meant(asked.text)
        return [at for at in meant if self.visible(scope)[at]] if meant else meant

    def _found(
        self, queries: Array, scopes: Sequence[Scope | None], asked: Sequence[AskedText], named: Sequence[Sequence[int]]
    ) -> list[KeyMatch]:
        found = self._nearest_seen(queries, [self.visible(scope) for scope in scopes])
        return [self._decide(*row) for row in zip(queries, found, asked, named, strict=True)]

    def _decide(self, query: Array, match: KeyMatch, asked: AskedText, named: Sequence[int]) -> KeyMatch:
        """``match``: what the key alone says; ``named``: the edits that the request may see and may be about."""
        if named:
            among = self._among_named(query, named)
            if among.edit is not None and _is_clear(among):
                return among
        if match.edit is None or not asked.whole:
            return match
        at = self._places[match.edit.id]
        of_another = at not in named and self.mentions.is_needed(
            at
        )  # all its words are known, and do not name the subject
        return replace(match, edit=None) if of_another else match

    @cached_property
    def _places(self) -> dict[str, int]:
        """The index of each edit."""
        return {edit.id: at for at, edit in enumerate(self.edits)}

    def _among_named(self, query: Array, named: Sequence[int]) -> KeyMatch:
        keys = self._keys_of(named)
        found = self._nearest(keys, self.search.exact(query, keys))
        assert found.nearest is not None  # every edit has keys
        reach = self.named_radius(query, self._places[found.nearest.id])
        if found.distance > max(found.radius, reach):
            return found
        radius = max(found.radius, min(reach, CLEAR_OF * self.unrelated(query)))
        return replace(found, edit=found.nearest if found.distance <= radius else None, radius=radius)

    def _keys_of(self, edits: Sequence[int]) -> Integers:
        """The keys of some edits, given ascending."""
        firsts = self._firsts
        return np.concatenate([np.arange(firsts[at], firsts[at + 1]) for at in edits])

    @cached_property
    def _firsts(self) -> Integers:
        """[E + 1] the number of each edit's first key, and of all keys."""
        return np.searchsorted(self.owners, np.arange(len(self.edits) + 1))

    def _nearest_seen(self, queries: Array, seen: Sequence[Bools]) -> list[KeyMatch]:
        """The nearest key of each query among those of the edits [E] that it may see."""
        if self.index is not None:
            within = zip(self.index.within(queries, self.reach), seen, strict=True)
            return [self._indexed(keys, gaps, edits) for (keys, gaps), edits in within]
        return [
            match for block in self.search.blocks(len(queries)) for match in self._scanned(queries[block], seen[block])
        ]

    def _scanned(self, queries: Array, seen: Sequence[Bools]) -> list[KeyMatch]:
        """By a look at every key."""
        rough, doubts = self.search.rough(queries), self.search.doubt(queries)
        found = []
        for query, row, edits, doubt in zip(queries, rough, seen, doubts, strict=True):
            if not edits.all():
                row[~edits[self.owners]] = np.inf
            key, gap = self.search.first(query, row, doubt)
            if key < 0:
                found.append(KeyMatch(None))
                continue
            row[self.key_codes == self.key_codes[key]] = np.inf
            found.append(self._match_of(key, gap, self.search.first(query, row)[1]))
        return found

    def _indexed(self, keys: Integers, gaps: Doubles, seen: Bools) -> KeyMatch:
        """Of the keys within reach, whose distances are ``gaps``."""
        mine = seen[self.owners[keys]]
        keys, gaps = keys[mine], gaps[mine]
        return self._nearest(keys, gaps, self.reach) if len(keys) else KeyMatch(None, radius=self.reach)

    def _nearest(self, keys: Integers, gaps: Doubles, farthest: float = np.inf) -> KeyMatch:
        """The nearest of some keys, by their distances; beyond ``farthest`` there may be others."""
        first = int(np.argmin(gaps))
        codes = self.key_codes[keys]
        runner_up = float(np.min(gaps, where=codes != codes[first], initial=farthest))
        return self._match_of(int(keys[first]), float(gaps[first]), runner_up)

    def _match_of(self, key: int, distance: float, runner_up: float) -> KeyMatch:
        edit, radius = self.edits[self.owners[key]], self._radius(key)
        return KeyMatch(edit if distance <= radius else None, edit, distance, radius, runner_up - distance)


def _is_clear(match: KeyMatch) -> bool:
    """Whether the nearest is so much nearer than the next with another target that it is meant."""
    return match.distance <= _RATIO * (match.distance + match.margin)
