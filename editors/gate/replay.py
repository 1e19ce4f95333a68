"""Running fired rows once more, from the position of the value on, and putting the result where it belongs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Self, cast

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer, DynamicSlidingWindowLayer, StaticLayer

from agentmem.editors.caches import (
    cache_argument,
    fresh_copy,
    has_attention,
    is_recurrent,
    keeps_nothing,
    odd_layers,
    selected,
    states,
    tokens_in,
)
from agentmem.editors.gate.apart import Apart, hidden_from, seen_before
from agentmem.editors.gate.codebook import KeyMatch
from agentmem.editors.hooks import Injection, KeyTap, own_forward
from agentmem.editors.port import ModelPort
from agentmem.editors.positions import Positions
from agentmem.errors import EditError

__all__ = ["Forward", "Place", "Replay", "cache_of", "injected", "window_works"]

Place = tuple[int, int, Tensor]
"""(row, column, vector [d_model]) of a forward."""

_PER_TOKEN = ("input_ids", "inputs_embeds", "position_ids", "token_type_ids")


@dataclass
class Forward:
    """The arguments of one backbone forward, read but never changed.

    Attributes:
        arguments: by name.
        cache: the cache given, if any; ``before`` shares its tensors as they were before the forward.
        past: tokens already in the cache (1 when nobody counted them, and ``counted`` is false); ``length``: tokens of this forward.
    """

    arguments: dict[str, Any]
    cache: Cache | None
    before: Cache | None
    past: int
    batch: int
    length: int
    device: torch.device
    counted: bool = True

    @classmethod
    def of(cls, names: Sequence[str], args: Any, kwargs: Any) -> Forward:
        """Name what the backbone was called with; ``names`` are its parameters in order."""
        arguments: dict[str, Any] = dict(zip(names, args, strict=False)) | kwargs if args else kwargs
        given = arguments.get("input_ids")
        tokens: Tensor = given if given is not None else arguments["inputs_embeds"]
        cache = next((value for value in arguments.values() if isinstance(value, Cache)), None)
        read = tokens_in(cache) if cache is not None else 0
        past = 1 if read is None else read
        decoding = past > 0 and tokens.shape[1] == 1
        before = fresh_copy(cache) if cache is not None and past and not decoding else None
        return cls(arguments, cache, before, past, tokens.shape[0], tokens.shape[1], tokens.device, read is not None)

    @property
    def is_decoding(self) -> bool:
        """One more token on a filled cache: its answer was decided at prefill."""
        return self.past > 0 and self.length == 1

    def part(self, rows: Tensor, columns: Tensor) -> dict[str, Any]:
        """The arguments with only some columns [n] of what there is of each token of some rows [m]."""
        arguments = dict(self.arguments)
        for name in _PER_TOKEN:
            value = arguments.get(name)
            if isinstance(value, Tensor):
                rows_at = 1 if name == "position_ids" and value.dim() == 3 else 0  # [3, B, T] in multimodal models
                mine = value.index_select(rows_at, rows) if value.shape[rows_at] == self.batch else value
                arguments[name] = mine.index_select(rows_at + 1, columns)
        return arguments

    def cut_out(self, row: int, columns: Sequence[int], positions: Positions) -> Forward:
        """Some columns of one row as a forward of their own, which nothing came before.

        Each stands at the position that it has, if the model knows of distances alone; else they stand one after the other.
        """
        index, at = torch.tensor([row], device=self.device), torch.tensor(columns, device=self.device)
        arguments, mask = self.part(index, at), self.arguments.get("attention_mask")
        if isinstance(mask, Tensor):
            arguments["attention_mask"] = mask[index if mask.shape[0] == self.batch else slice(None)][:, at]
        if positions.absolute:
            arguments["position_ids"] = torch.arange(len(columns), device=self.device)[None]
        elif positions.taken and arguments.get("position_ids") is None:
            arguments["position_ids"] = at[None]
        return replace(self, arguments=arguments, batch=1, length=len(columns))

    def rows(self) -> tuple[list[tuple[int, ...]], list[int]]:
        """The real tokens of each row, and the column of the first one (0 when a row has none).

        Without ids, each embedded token is named by a hash of its bytes.
        """
        ids = self.arguments.get("input_ids")
        if ids is not None:
            listed: list[list[int]] = ids.tolist()
        else:
            embeds = self.arguments["inputs_embeds"].detach().float().cpu().numpy()
            listed = [[hash(token.tobytes()) for token in row] for row in embeds]
        mask = self.arguments.get("attention_mask")
        if not isinstance(mask, Tensor) or mask.dim() != 2:
            return [tuple(row) for row in listed], [0] * len(listed)
        real: list[list[int]] = mask[:, -self.length :].tolist()
        firsts = [row.index(1) if 1 in row else 0 for row in real]
        counts = [sum(1 for value in row if value) for row in real]
        rows = [tuple(row[f : f + n]) for row, f, n in zip(listed, firsts, counts, strict=True)]
        return rows, firsts


@dataclass
class Replay:
    """Reruns of some rows of one forward; ``output`` is the forward's output, patched.

    Args:
        cache: the cache as the forward left it.
    """

    port: ModelPort
    layer: int
    forward: Forward
    output: Any
    cache: Cache | None
    changed: bool = False
    applied: dict[int, list[tuple[int, KeyMatch]]] = field(default_factory=dict)

    def run(
        self, fired: Sequence[tuple[int, int, KeyMatch]], asked: Sequence[tuple[int, int]], apart: Apart | None = None
    ) -> Tensor | None:
        """Add values and recompute what depends on them.

        Args:
            fired: (row, column, match) where values are added, besides those of earlier runs.
            asked: (row, column) whose raw keys are wanted after that; only of fired rows.
            apart: where the message that is answered stands in company, which it shall not see; for one row.

        Returns:
            [len(asked), d_key] raw keys.
        """
        if apart is not None and self.cache is None:
            return self._run_cut_out(fired, asked, apart) if self._attends_to_all() else self.run(fired, asked)
        if apart is not None and not window_works(cast("Cache", self.cache)):
            apart = None
        for row, column, match in fired:
            self.applied.setdefault(row, []).append((column, match))
        rows = sorted({row for row, _, _ in fired})
        whole = self.cache is None or not window_works(self.cache)
        start = apart.begins if apart is not None else 0 if whole else min(column for _, column, _ in fired)
        places = [(r, c, m) for r in rows for c, m in self.applied[r] if whole or c >= start]
        device = self.forward.device
        tap = KeyTap(
            self.port,
            len(rows),
            self.forward.length - start,
            torch.tensor([rows.index(r) for r, _ in asked], dtype=torch.long, device=device),
            torch.tensor([c - start for _, c in asked], dtype=torch.long, device=device),
        )
        index = torch.tensor(rows, device=device)
        cache = self._branch(index, start, whole)
        with self._changing(places, rows, start, tap if asked else None):
            result = self.port.structure.backbone(**self._arguments(index, start, cache, apart))
        self._patch_output(result, index, start)
        if cache is not None and self.cache is not None:
            self._patch_cache(cache, index, start, self.layer + 1 if apart is None else 0)
        self.changed = True
        return tap.keys

    def _run_cut_out(
        self, fired: Sequence[tuple[int, int, KeyMatch]], asked: Sequence[tuple[int, int]], apart: Apart
    ) -> Tensor | None:
        """The same without a cache: what the message does not see is left out."""
        row, columns = fired[0][0], apart.seen(self.forward.length)
        inner = self._cut_out(row, columns)
        keys = inner.run(
            [(0, columns.index(column), match) for _, column, match in fired],
            [(0, columns.index(column)) for _, column in asked],
        )
        index = torch.tensor([row], device=self.forward.device)
        self._patch_output(
            _columns_of(inner.output, 0, range(columns.index(apart.begins), len(columns))), index, apart.begins
        )
        self.changed = True
        return keys

    def _cut_out(self, row: int, columns: Sequence[int]) -> Self:
        """Reruns of some columns of one row, which nothing came before."""
        forward = self.forward.cut_out(row, columns, self.port.positions)
        return replace(self, forward=forward, output=_columns_of(self.output, row, columns), applied={})

    def _attends_to_all(self) -> bool:
        """Whether every layer attends to every token, so that what is left out and what is hidden come to the same."""
        layers = DynamicCache(config=getattr(self.port.model, "config", None)).layers
        return all(type(layer) is DynamicLayer for layer in layers)

    def _changing(
        self, places: Sequence[tuple[int, int, KeyMatch]], rows: list[int], start: int, tap: KeyTap | None
    ) -> AbstractContextManager[None]:
        """Inside, a forward of these rows from column ``start`` on carries what answers at ``places``."""
        here = [(rows.index(row), column - start, vector) for row, column, vector in self._vectors(places)]
        return own_forward(injected(self.port, here, self.forward.device), tap)

    def _vectors(self, places: Sequence[tuple[int, int, KeyMatch]]) -> list[Place]:
        """What the matches at ``places`` add, and where in the whole forward."""
        return [(r, c, torch.from_numpy(m.edit.value.copy())) for r, c, m in places if m.edit is not None]

    def _branch(self, index: Tensor, start: int, whole: bool) -> Cache | None:
        """A cache of the fired rows alone, as it stood before the window.

        Raises:
            EditError: this kind of cache cannot be branched.
        """
        if self.cache is None:
            return None
        if not whole:
            return _cut(self.cache, index, self.forward.past + start)
        if kinds := odd_layers(self.cache):
            raise EditError(
                f"An edit answers here, but it cannot be written into this kind of cache ({', '.join(kinds)}).",
                hint='use cache_implementation="dynamic", use_cache=False, or editor.silence() for this request.',
            )
        if self.forward.before is not None:
            return selected(self.forward.before, index)
        branch = DynamicCache(config=getattr(self.port.model, "config", None))
        if any(getattr(layer, "record_past", False) for layer in self.cache.layers):
            branch.activate_past_recording()  # assisted decoding: windows are kept whole, to be cut back later
        return branch

    def _arguments(self, index: Tensor, start: int, cache: Cache | None, apart: Apart | None) -> dict[str, Any]:
        """The forward's own arguments, for the fired rows and from the window on."""
        arguments = self.forward.part(index, torch.arange(max(start, 0), self.forward.length, device=index.device))
        total = self.forward.past + self.forward.length
        mask = _mask(arguments.get("attention_mask"), index, start, total, self.forward.batch)
        if apart is not None:
            arguments |= _with_earlier(arguments, apart)
            mask = hidden_from(mask, [apart.company], total, self.forward.device)
            if apart.company[0] < apart.company[1] and self.port.positions.absolute:
                arguments["position_ids"] = seen_before(mask, self.forward.past + start)
        arguments["attention_mask"] = mask
        held = next((name for name, value in arguments.items() if isinstance(value, Cache)), None)
        arguments[held or cache_argument(self.port.structure.backbone)] = cache
        arguments["use_cache"] = cache is not None
        return arguments

    def _patch_output(self, result: Any, index: Tensor, start: int) -> None:
        """Replace the fired rows' states from the window on; other rows keep their storage's bits."""
        if self.output is None:
            return
        state = _last_state(self.output)
        patched = _put(state, _last_state(result), index, start)
        if isinstance(self.output, tuple):
            self.output = (patched, *self.output[1:])
            return
        changed: dict[str, Any] = {"last_hidden_state": patched}
        states = getattr(self.output, "hidden_states", None)
        news = getattr(result, "hidden_states", None)
        if states is not None and news is not None:
            changed["hidden_states"] = tuple(_put(o, n, index, start) for o, n in zip(states, news, strict=True))
        self.output = type(self.output)(**{**dict(self.output.items()), **changed})

    def _patch_cache(self, cache: Cache, index: Tensor, start: int, lowest: int) -> None:
        """Write the fired rows' new keys and values into the caller's cache, from the layer ``lowest`` on: what is below has not changed."""
        window = slice(self.forward.past + start, self.forward.past + self.forward.length)
        assert self.cache is not None
        for ours, theirs in list(zip(cache.layers, self.cache.layers, strict=True))[lowest:]:
            _patch_states(ours, theirs, index)
            if keeps_nothing(theirs) or (is_recurrent(theirs) and not has_attention(theirs)):
                continue
            sliding = isinstance(theirs, DynamicSlidingWindowLayer)
            at = slice(None) if sliding else window
            for name in ("keys", "values"):
                old, new = getattr(theirs, name), getattr(ours, name)
                # a graph may still need the old tensor; a static cache must keep its address
                shared = torch.is_grad_enabled() or (old.is_inference() and not torch.is_inference_mode_enabled())
                target = old.clone() if shared and type(theirs) is not StaticLayer else old
                target[index.to(old.device), :, at] = new[:, :, at].to(old.dtype)
                setattr(theirs, name, target)


def _patch_states(ours: Any, theirs: Any, index: Tensor) -> None:
    """Write the fired rows' recurrent states over those that read the prompt without the edit."""
    if is_recurrent(theirs):
        for (new, number), (old, _) in zip(states(ours), states(theirs), strict=True):
            target = old[number].clone() if torch.is_grad_enabled() else old[number]
            target[index.to(target.device)] = new[number].to(target.dtype)
            old[number] = target


def injected(port: ModelPort, places: Sequence[Place], device: torch.device) -> Injection:
    """What a port's hooks shall add in a forward, as tensors on its device."""
    return Injection(
        port,
        torch.tensor([row for row, _, _ in places], device=device),
        torch.tensor([column for _, column, _ in places], device=device),
        torch.stack([vector for _, _, vector in places]).to(device),
    )


def window_works(cache: Cache) -> bool:
    """Whether a cache still holds every token before a window, for all rows."""
    return all(type(layer) in (DynamicLayer, StaticLayer) for layer in cache.layers)


def cache_of(output: Any) -> Cache | None:
    """The cache in a backbone's output."""
    parts = output if isinstance(output, tuple) else tuple(output.values())
    return next((part for part in parts if isinstance(part, Cache)), None)


def _last_state(output: Any) -> Tensor:
    return cast("Tensor", output[0] if isinstance(output, tuple) else output.last_hidden_state)


def _columns_of(output: Any, row: int, columns: Sequence[int]) -> Any:
    """Some columns of one row of a backbone's output: its states, and nothing else of it."""

    def part(state: Tensor) -> Tensor:
        return state[row : row + 1, list(columns)]

    if isinstance(output, tuple):
        return (part(output[0]), *output[1:])
    states = getattr(output, "hidden_states", None)
    changed: dict[str, Any] = {"last_hidden_state": part(output.last_hidden_state)}
    if states is not None:
        changed["hidden_states"] = tuple(part(state) for state in states)
    return type(output)(**{**dict(output.items()), **changed})


def _put(old: Tensor, new: Tensor, index: Tensor, start: int) -> Tensor:
    """``old`` with some rows replaced from column ``start`` on; what is before its first column is left out."""
    patched = old.clone()
    patched[index.to(old.device), max(start, 0) :] = new[:, max(-start, 0) :].to(old.dtype)
    return patched


def _with_earlier(arguments: dict[str, Any], apart: Apart) -> dict[str, Any]:
    """What there is of the tokens of a forward, and before them of those of the message that are in the cache."""
    if not apart.earlier:
        return {}
    ids, given = arguments["input_ids"], arguments.get("position_ids")
    before = torch.tensor([apart.earlier], dtype=ids.dtype, device=ids.device)
    changed = {"input_ids": torch.cat((before.expand(len(ids), -1), ids), dim=-1)}
    if isinstance(given, Tensor):
        back = torch.arange(-len(apart.earlier), 0, dtype=given.dtype, device=given.device)
        changed["position_ids"] = torch.cat((given[..., :1] + back, given), dim=-1)
    return changed


def _cut(cache: Cache, index: Tensor, length: int) -> Cache:
    """The first ``length`` tokens of some rows, as a growing cache."""
    twin = DynamicCache()
    for layer in cast("list[Any]", cache.layers):
        copied: Any = DynamicLayer()
        if length:
            rows = index.to(layer.keys.device)
            copied.lazy_initialization(layer.keys, layer.values)
            copied.keys, copied.values = layer.keys[rows, :, :length], layer.values[rows, :, :length]
        twin.layers.append(copied)
    return twin


def _mask(mask: Any, index: Tensor, start: int, total: int, batch: int) -> Any:
    """The attention mask of the fired rows: 2D over all tokens, 4D from the window on, or one per layer kind."""
    if isinstance(mask, dict):
        return {name: _mask(item, index, start, total, batch) for name, item in mask.items()}
    if not isinstance(mask, Tensor):
        return mask
    rows = mask[index] if mask.shape[0] == batch else mask
    return rows[:, :, start:, :total] if mask.dim() == 4 else rows[:, :total]
