"""The one place where editors touch a model: reading keys, adding values, replaying the layers above.

Everything works through forward hooks. What a hook records or adds belongs to the calling context (a context
variable), so two threads that share a model never see each other's work, and an exception leaves nothing behind.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from agentmem.editors.caches import fresh_copy
from agentmem.editors.fingerprint import fingerprint
from agentmem.editors.hooks import Hook, Injection, KeyTap, injection, own_forward, taps
from agentmem.editors.positions import find_positions
from agentmem.editors.prefix import LayerCall, Prefix, PromptBatch
from agentmem.editors.straight_through import StraightThrough
from agentmem.editors.structure import Structure, find_structure, first_tensor, in_eval_mode, projection
from agentmem.errors import EditError, InvalidArgument, LayerNotFound
from agentmem.llm.local_model import context_length
from agentmem.llm.placement import device_of
from agentmem.runtime.forks import at_fork

__all__ = ["ModelPort"]


class ModelPort:
    """A causal language model seen through the few operations an editor needs.

    Args:
        model: the model; its modules and weights stay as they are.
        tokenizer: its tokenizer.
        layers: dotted path of the decoder layer list, when it cannot be found by structure.

    Attributes:
        positions: how the model knows where a token stands.
        differentiable: a context in which own forwards let gradients through layers that have none (quantised ones).
        agreeing: for shapes of batches, how far this model computes all rows alike (:class:`~agentmem.editors.lanes.Lanes`).

    Raises:
        LayerNotFound: no decoder layers were found.
    """

    def __init__(self, model: nn.Module, tokenizer: Any, *, layers: str | None = None) -> None:
        self.model = model
        self.tokenizer = tokenizer
        with own_forward():
            self.structure: Structure = find_structure(model, layers)
        self.differentiable = StraightThrough(model)
        self._free_lock()
        at_fork(self._free_lock)
        self._held: dict[int, tuple[int, list[Any]]] = {}
        self.agreeing: dict[tuple[int, ...], tuple[int, int]] = {}
        self._exact_layers = bool(self.structure.tail)
        self._seen_exact: set[tuple[int, ...]] = set()
        self.positions = find_positions(model, self.structure)
        self._fingerprint = ""
        self._key_layer = len(self.structure.layers) - 1

    def _free_lock(self) -> None:
        """Also in a forked child: who held it stayed with the parent."""
        self._lock = threading.Lock()

    @property
    def device(self) -> torch.device:
        """Where token ids go."""
        return cast("torch.device", device_of(self.model))

    @property
    def depth(self) -> int:
        """How many decoder layers there are."""
        return len(self.structure.layers)

    @property
    def key_layer(self) -> int:
        """The layer whose feed-forward input the raw keys are."""
        return self._key_layer

    def read_keys_at(self, layer: int | None) -> None:
        """Read keys at another layer from now on (``None``: the last); hooks that are held move along.

        Raises:
            LayerNotFound: that layer has no projection to read keys from.
        """
        with self._lock:
            before, self._key_layer = self._key_layer, self.depth - 1 if layer is None else layer
            if before == self._key_layer:
                return
            try:
                self._key_module()
            except LayerNotFound:
                self._key_layer = before
                raise
            for held, (count, handles) in list(self._held.items()):
                for handle in handles:
                    handle.remove()
                self._held[held] = (count, self._install(held))

    def _key_module(self) -> nn.Module | None:
        """What reads the key; ``None`` when it is the residual stream after the last layer."""
        if self._key_layer == self.depth - 1:
            return self.structure.ffn_out
        return projection(self.structure, self._key_layer)[0]

    @contextmanager
    def holding(self, layer: int) -> Iterator[None]:
        """Keep the hooks for a value after ``layer`` installed inside."""
        self.hold(layer)
        try:
            yield
        finally:
            self.release(layer)

    def hold(self, layer: int) -> None:
        """Install the hooks that read keys and add values after ``layer``; counted, so holders do not meet."""
        with self._lock:
            count, handles = self._held.get(layer, (0, []))
            self._held[layer] = (count + 1, handles or self._install(layer))

    def release(self, layer: int) -> None:
        """Undo one :meth:`hold`; the last one removes the hooks."""
        with self._lock:
            count, handles = self._held[layer]
            if count > 1:
                self._held[layer] = (count - 1, handles)
                return
            del self._held[layer]
            for handle in handles:
                handle.remove()

    def _install(self, layer: int) -> list[Any]:
        handles = [self.structure.layers[layer].register_forward_hook(Hook(self._add_values))]
        reader = self._key_module()
        if reader is not None:
            handles.append(reader.register_forward_pre_hook(Hook(self._read_input)))
        else:
            handles.append(self.structure.layers[-1].register_forward_hook(Hook(self._read_output)))
        return handles

    def _add_values(self, _module: nn.Module, _args: Any, output: Any) -> Any:
        adding = injection(self)
        if adding is None:
            return None
        hidden = cast("Tensor", first_tensor(output))
        rows, columns = adding.rows.to(hidden.device), adding.columns.to(hidden.device)
        values = adding.values.to(hidden.device)
        summed = (hidden[rows, columns].to(values.dtype) + values).to(hidden.dtype)
        changed = hidden.index_put((rows, columns), summed)
        return changed if isinstance(output, Tensor) else (changed, *output[1:])

    def _read_input(self, _module: nn.Module, args: Any) -> None:
        self._read(args[0])

    def _read_output(self, _module: nn.Module, _args: Any, output: Any) -> None:
        self._read(cast("Tensor", first_tensor(output)))

    def _read(self, value: Tensor) -> None:
        for tap in taps():
            if tap.port is self and value.shape[:-1] in ((tap.batch, tap.length), (tap.batch * tap.length,)):
                # some blocks flatten [batch, tokens] before the feed-forward part
                rows = value.view(tap.batch, -1, value.shape[-1]) if value.dim() == 2 else value
                tap.keys = rows[tap.rows.to(value.device), tap.columns.to(value.device)].detach().float()

    def keys(self, prompts: Sequence[Sequence[int]], *, batch_size: int = 64) -> Tensor:
        """Raw keys at the last token of each prompt: [n, d_key], fp32, on the CPU.

        Only the backbone runs, without the head. Prompts are padded on the right, which a causal model
        does not see.
        """
        order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), i))
        found: list[Tensor | None] = [None] * len(prompts)
        with torch.inference_mode(False), torch.no_grad(), in_eval_mode(self.model), self.holding(0):
            for start in range(0, len(order), batch_size):
                chosen = order[start : start + batch_size]
                keys = self._keys_of([tuple(prompts[i]) for i in chosen])
                for row, i in enumerate(chosen):
                    found[i] = keys[row]
        return torch.stack(cast("list[Tensor]", found)) if found else torch.empty(0, self.structure.d_key)

    def need_room(self, tokens: int) -> None:
        """Refuse what is longer than the model's context: position tables end there.

        Raises:
            InvalidArgument: ``tokens`` are more than the model reads.
        """
        limit = context_length(self.model)
        if limit is not None and tokens > limit:
            raise InvalidArgument(
                f"A prompt, or a prompt with its target, has {tokens} tokens; the model reads at most {limit}.",
                hint="shorten it; a long text is better looked up than learnt.",
            )

    def _keys_of(self, rows: Sequence[tuple[int, ...]]) -> Tensor:
        width = max(len(row) for row in rows)
        self.need_room(width)
        ids = torch.tensor([row + (row[-1],) * (width - len(row)) for row in rows], device=self.device)
        lengths = torch.tensor([len(row) for row in rows], device=self.device)
        mask = (torch.arange(width, device=self.device) < lengths[:, None]).long()
        tap = KeyTap(self, len(rows), width, torch.arange(len(rows), device=self.device), lengths - 1)
        with own_forward(tap=tap):
            self.structure.backbone(input_ids=ids, attention_mask=mask, use_cache=False)
        return _taken(tap).cpu()

    def prefix(self, batch: PromptBatch, *, layer: int, whole: bool = False) -> Prefix:
        """Run the model once without gradients and keep what the layers above ``layer`` received.

        All tokens before the key position are constant in every layer, so their keys and values stay in a
        cache and the window to replay is the key token and the target; with ``whole`` it is every token.
        """
        with torch.inference_mode(False), torch.no_grad(), in_eval_mode(self.model), self.holding(layer):
            ids, mask, at = self._aligned(batch)
            cache = self._prefill(ids[:, :at], mask[:, :at]) if at and not whole else None
            window = at if cache is not None else 0
            inputs = self._inputs(ids[:, window:], mask, window)
            prefix = self._record(batch, inputs, fresh_copy(cache) if cache else None, cache, at - window, layer)
            self._check(prefix)
        return prefix

    def suffix(self, prefix: Prefix, values: Tensor | None) -> Tensor:
        """Logits for the target tokens when ``values`` are added at the key position after the value layer.

        Args:
            prefix: what :meth:`prefix` recorded.
            values: [B, d_model] fp32, differentiable, or [B, n, d_model] for the key position and the first n - 1 target
                tokens after it; ``None`` for none.

        Returns:
            [B, Y, vocabulary]: row j predicts label j.
        """
        if values is not None and values.dim() == 2:
            values = values.unsqueeze(1)
        if not self._exact_layers:
            return self._through_model(prefix, values)
        hidden = prefix.hidden
        if values is not None:
            end = prefix.at + values.shape[1]
            here = (hidden[:, prefix.at : end].to(values.dtype) + values).to(hidden.dtype)
            hidden = torch.cat((hidden[:, : prefix.at], here, hidden[:, end:]), dim=1)
        cache = fresh_copy(prefix.cache) if prefix.cache is not None else None
        with own_forward(), self.differentiable():
            for call in prefix.calls:
                output = call.layer(*_swap(call.args, hidden, cache), **_swap_named(call, hidden, cache))
                hidden = cast("Tensor", first_tensor(output))
            logits = hidden[:, prefix.at :]
            for module in self.structure.tail:
                logits = cast("Tensor", first_tensor(module(logits)))
        return logits

    def fingerprint(self) -> str:
        """Hash of config, tokenizer (vocabulary and chat template) and a sample of every parameter."""
        if not self._fingerprint:
            self._fingerprint = fingerprint(self.model, self.tokenizer)
        return self._fingerprint

    def _aligned(self, batch: PromptBatch) -> tuple[Tensor, Tensor, int]:
        """Ids and mask [B, P + Y - 1] with prompts padded left and targets right, and the key's column P - 1."""
        if not batch.prompts or min(map(len, batch.prompts)) == 0 or min(map(len, batch.labels)) == 0:
            raise InvalidArgument("A prompt or a target has no tokens.", hint="give both at least one word.")
        before = max(batch.room[0], *map(len, batch.prompts))
        after = max(batch.room[1], *map(len, batch.labels)) - 1
        self.need_room(max(len(p) + len(y) - 1 for p, y in zip(batch.prompts, batch.labels, strict=True)))
        ids, mask = [], []
        for prompt, label in zip(batch.prompts, batch.labels, strict=True):
            left, right = before - len(prompt), after - len(label) + 1
            ids.append((prompt[0],) * left + prompt + label[:-1] + (prompt[0],) * right)
            mask.append((0,) * left + (1,) * (len(prompt) + len(label) - 1) + (0,) * right)
        device = self.device
        return torch.tensor(ids, device=device), torch.tensor(mask, device=device), before - 1

    def _inputs(self, ids: Tensor, mask: Tensor, start: int) -> dict[str, Any]:
        inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": mask}
        if self.positions.taken:
            inputs["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)[:, start : start + ids.shape[1]]
        return inputs

    def _prefill(self, ids: Tensor, mask: Tensor) -> Cache | None:
        """The cache of the constant tokens; ``None`` when this model's cache cannot be branched."""
        cache = DynamicCache(config=getattr(self.model, "config", None))
        with own_forward():
            output = self.structure.backbone(**self._inputs(ids, mask, 0), past_key_values=cache, use_cache=True)
        held = getattr(output, "past_key_values", None)
        plain = all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers)
        return cache if held is cache and plain else None

    def _record(
        self,
        batch: PromptBatch,
        inputs: dict[str, Any],
        cache: Cache | None,
        kept: Cache | None,
        at: int,
        layer: int,
    ) -> Prefix:
        rows = len(batch.prompts)
        tap = KeyTap(
            self, rows, inputs["input_ids"].shape[1],
            torch.arange(rows, device=self.device), torch.full((rows,), at, device=self.device),
        )  # fmt: skip
        calls: list[LayerCall] = []
        hidden: list[Tensor] = []

        def keep_hidden(_module: nn.Module, _args: Any, output: Any) -> None:
            if any(other is tap for other in taps()):
                hidden.append(cast("Tensor", first_tensor(output)))

        def keep_call(module: nn.Module, args: Any, kwargs: Any) -> None:
            if any(other is tap for other in taps()):
                calls.append(LayerCall(module, args, dict(kwargs)))

        upper = self.structure.layers[layer + 1 :]
        handles = [self.structure.layers[layer].register_forward_hook(keep_hidden)]
        handles += [block.register_forward_pre_hook(keep_call, with_kwargs=True) for block in upper]
        try:
            with own_forward(tap=tap):
                self.model(**inputs, past_key_values=cache, use_cache=cache is not None)
        finally:
            for handle in handles:
                handle.remove()
        labels, counted = _padded(batch.labels, self.device, batch.room[1])
        here = hidden[0][:, at].float()
        return Prefix(
            hidden=hidden[0], at=at, keys=_taken(tap), labels=labels, mask=counted, scale=here.square().mean(-1).sqrt(),
            layer=layer, calls=tuple(calls), cache=kept, inputs=inputs,
        )  # fmt: skip

    def _check(self, prefix: Prefix) -> None:
        """See, once for each shape, that replaying the layers gives what the model gives; else the whole model is replayed."""
        shape = (prefix.layer, prefix.cache is None, *prefix.hidden.shape[:2], *prefix.inputs["attention_mask"].shape)
        if not self._exact_layers or shape in self._seen_exact:
            return
        replayed, whole = self.suffix(prefix, None).float(), self._through_model(prefix, None).float()
        scale = float(whole.abs().max()) or 1.0
        if replayed.shape == whole.shape and float((replayed - whole).abs().max()) <= 1e-2 * scale:
            self._seen_exact.add(shape)
        else:
            self._exact_layers = False

    def _through_model(self, prefix: Prefix, values: Tensor | None) -> Tensor:
        cache = fresh_copy(prefix.cache) if prefix.cache is not None else None
        adding = None
        if values is not None:
            (batch, run), device = values.shape[:2], values.device
            rows = torch.arange(batch, device=device).repeat_interleave(run)
            columns = prefix.at + torch.arange(run, device=device).repeat(batch)
            adding = Injection(self, rows, columns, values.flatten(0, 1))
        with self.holding(prefix.layer), own_forward(adding), self.differentiable():
            output = self.model(**prefix.inputs, past_key_values=cache, use_cache=cache is not None)
        return cast("Tensor", output.logits[:, prefix.at :])


def _taken(tap: KeyTap) -> Tensor:
    if tap.keys is None:
        raise EditError(
            "The model ran without passing the module that keys are read from.",
            hint="detach other tools that replace modules of this model, then build the editor anew.",
        )
    return tap.keys


def _swap(args: tuple[Any, ...], hidden: Tensor, cache: Cache | None) -> tuple[Any, ...]:
    swapped = [cache if isinstance(item, Cache) else item for item in args]
    if swapped:
        swapped[0] = hidden
    return tuple(swapped)


def _swap_named(call: LayerCall, hidden: Tensor, cache: Cache | None) -> dict[str, Any]:
    named = {name: cache if isinstance(item, Cache) else item for name, item in call.kwargs.items()}
    if not call.args:
        named["hidden_states"] = hidden
    return named


def _padded(labels: Sequence[Sequence[int]], device: torch.device, least: int) -> tuple[Tensor, Tensor]:
    width = max(least, *map(len, labels))
    ids = torch.tensor([tuple(row) + (0,) * (width - len(row)) for row in labels], device=device)
    lengths = torch.tensor([len(row) for row in labels], device=device)
    return ids, torch.arange(width, device=device) < lengths[:, None]
