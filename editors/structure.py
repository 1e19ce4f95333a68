"""Finding the parts of a decoder by what they do in one small forward pass, never by the model's name."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from agentmem.errors import LayerNotFound
from agentmem.llm.placement import device_of

__all__ = [
    "Structure",
    "by_row",
    "find_structure",
    "first_tensor",
    "in_eval_mode",
    "projection",
    "projections",
    "side_projection",
    "widths",
]

_PROBE_LENGTH = 5


@dataclass(frozen=True)
class Structure:
    """The parts of a decoder that editors need.

    Attributes:
        backbone: the module that runs the layers: token ids in, last hidden state out.
        layers: the decoder layers, in the order in which they are called.
        layers_path: their dotted name in the model.
        ffn_out: the output projection of the last layer's feed-forward part; ``None`` when no module does that
            for every token (fused mixtures of experts): keys are then read from the residual stream.
        ffn_out_path: its dotted name, or ``""``.
        tail: what runs after the last layer (final norm … head); empty when chaining these modules does not
            reproduce the model's logits (soft-capping, scaling), so that the model itself has to be called.
        d_model: width of the residual stream.
        d_key: width of the raw key.
        way_out: where in a block what every token passes last comes out, if that is not the feed-forward projection: fused
            experts, or a norm behind the projection; ``""`` where the projection's output enters the stream as it is.
    """

    backbone: nn.Module
    layers: tuple[nn.Module, ...]
    layers_path: str
    ffn_out: nn.Module | None
    ffn_out_path: str
    tail: tuple[nn.Module, ...]
    d_model: int
    d_key: int
    way_out: str = ""


@dataclass
class _Event:
    """One call of one module during the probe."""

    path: str
    module: nn.Module
    entered: Tensor | None
    left: Tensor | None = None


@dataclass
class _Trace:
    """Every module call of the probe, in order of entry."""

    events: list[_Event] = field(default_factory=list)
    logits: Tensor | None = None

    def of(self, module: nn.Module) -> list[int]:
        return [i for i, event in enumerate(self.events) if event.module is module]


def first_tensor(value: Any) -> Tensor | None:
    """The first tensor in what a module was given or gave back."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, (tuple, list)):
        return next((item for item in value if isinstance(item, Tensor)), None)
    return None


def by_row(value: Tensor, batch: int) -> Tensor:
    """[batch, tokens, width]: some blocks flatten the first two before the feed-forward part."""
    return value.view(batch, -1, value.shape[-1]) if value.dim() == 2 else value


@contextmanager
def in_eval_mode(model: nn.Module) -> Iterator[None]:
    """Switch dropout off, and put every module's own training flag back afterwards."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


def find_structure(model: nn.Module, layers: str | None = None) -> Structure:
    """Find the decoder layers and the parts around them with one probe forward.

    Args:
        model: a causal language model whose forward takes ``input_ids``.
        layers: the dotted path of the decoder layer list, when the search finds none or the wrong one.

    Raises:
        LayerNotFound: no list of equal blocks was called in order; says which lists were seen.
    """
    with in_eval_mode(model), torch.no_grad():
        trace = _probe(model)
        path, blocks = _find_layers(model, trace, layers)
        tail = _find_tail(trace, blocks[-1])
    last = trace.events[trace.of(blocks[-1])[0]]
    assert last.left is not None
    d_model = last.left.shape[-1]
    ffn_path, ffn = _find_ffn_out(model, blocks[-1], trace, d_model)
    d_key = d_model
    if ffn is not None:
        entered = trace.events[trace.of(ffn)[0]].entered
        assert entered is not None
        d_key = entered.shape[-1]
    return Structure(
        backbone=_find_backbone(model, path, trace),
        layers=blocks,
        layers_path=path,
        ffn_out=ffn,
        ffn_out_path=ffn_path,
        tail=tail,
        d_model=d_model,
        d_key=d_key,
        way_out=_find_way_out(model, blocks[-1], trace, ffn_path, d_model),
    )


def projection(structure: Structure, layer: int) -> tuple[nn.Module, str]:
    """The feed-forward output projection of one layer, and its dotted name: the counterpart of the last layer's.

    Raises:
        LayerNotFound: no module does that for every token (fused mixtures of experts), or this layer has none.
    """
    last = f"{structure.layers_path}.{len(structure.layers) - 1}."
    inside = structure.ffn_out_path.removeprefix(last)
    if structure.ffn_out is None or not inside or inside == structure.ffn_out_path:
        raise LayerNotFound(
            "No feed-forward output projection that every token passes was found in this model.",
            hint='use make_editor("grace", …), which does not need one.',
        )
    try:
        return structure.layers[layer].get_submodule(inside), f"{structure.layers_path}.{layer}.{inside}"
    except AttributeError as error:
        raise LayerNotFound(
            f"Layer {layer} has no {inside!r} as the last one has.",
            hint='use make_editor("grace", …), or another layer.',
        ) from error


def side_projection(structure: Structure, layer: int) -> tuple[nn.Module, str]:
    """The module of one layer beside which a side memory computes, and its dotted name.

    It is the feed-forward projection, or what every token passes last where there is none, or where what the projection gives is
    scaled anew before it enters the stream: a change in front of a norm can turn the stream, but hardly add to it.

    Raises:
        LayerNotFound: this layer has neither.
    """
    if not structure.way_out:
        return projection(structure, layer)
    try:
        found = structure.layers[layer].get_submodule(structure.way_out)
    except AttributeError as error:
        raise LayerNotFound(
            f"Layer {layer} has no {structure.way_out!r} as the last one has.",
            hint='use make_editor("grace", …), or another layer.',
        ) from error
    return found, f"{structure.layers_path}.{layer}.{structure.way_out}"


def projections(structure: Structure) -> tuple[nn.Module, ...]:
    """The feed-forward output projection of every layer.

    Raises:
        LayerNotFound: as :func:`projection`.
    """
    return tuple(projection(structure, layer)[0] for layer in range(len(structure.layers)))


def _probe(model: nn.Module) -> _Trace:
    """Call the model on a handful of tokens and write down which module was called with what."""
    trace = _Trace()
    running: list[int] = []

    def enter(path: str) -> Any:
        def hook(module: nn.Module, args: Any, kwargs: Any) -> None:
            running.append(len(trace.events))
            trace.events.append(_Event(path, module, first_tensor(args) if args else first_tensor(kwargs)))

        return hook

    def leave(_module: nn.Module, _args: Any, output: Any) -> None:
        trace.events[running.pop()].left = first_tensor(output)

    handles = []
    for path, module in model.named_modules():
        handles.append(module.register_forward_pre_hook(enter(path), with_kwargs=True))
        handles.append(module.register_forward_hook(leave))
    ids = torch.arange(_PROBE_LENGTH, device=device_of(model)).unsqueeze(0)
    try:
        output = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)
    except (TypeError, ValueError) as error:  # what modules say to arguments they do not know, or miss
        raise LayerNotFound(
            f"{type(model).__name__} could not be called on input_ids alone, as a decoder is: {error}",
            hint="give a causal language model, e.g. AutoModelForCausalLM.from_pretrained(name).",
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    trace.logits = getattr(output, "logits", None)
    return trace


def _find_layers(model: nn.Module, trace: _Trace, path: str | None) -> tuple[str, tuple[nn.Module, ...]]:
    """The list of equal blocks that carries the residual stream; of several, the one with most parameters."""
    named = {name: m for name, m in model.named_modules() if isinstance(m, nn.ModuleList) and len(m)}
    if path is not None:
        if path not in named or not _is_stack(named[path], trace):
            raise LayerNotFound(
                f"{path!r} is not a list of decoder layers of {type(model).__name__}.",
                hint=f"name one of these lists: {', '.join(sorted(named)) or '(the model has none)'}.",
            )
        return path, tuple(named[path])
    stacks = {name: m for name, m in named.items() if _is_stack(m, trace)}
    if not stacks:
        seen = ", ".join(sorted(named)) or "none at all"
        raise LayerNotFound(
            f"No nn.ModuleList of blocks, called in order on [batch, tokens, width], was found in "
            f"{type(model).__name__}. Module lists seen: {seen}.",
            hint='pass layers="path.to.layers" with the dotted name of the decoder layer list.',
        )
    best = max(stacks, key=lambda name: sum(p.numel() for p in stacks[name].parameters()))
    return best, tuple(stacks[best])


def _is_stack(blocks: nn.ModuleList, trace: _Trace) -> bool:
    """True when blocks, of one kind or of several, were called once each, in order, from and to the residual stream."""
    calls = [trace.of(block) for block in blocks]
    if any(len(call) != 1 for call in calls):
        return False
    order = [call[0] for call in calls]
    events = [trace.events[i] for i in order]
    shapes = {tuple(t.shape) for e in events for t in (e.entered, e.left) if t is not None}
    missing = any(e.entered is None or e.left is None for e in events)
    stream = len(shapes) == 1 and not missing
    return stream and order == sorted(order) and next(iter(shapes))[:2] == (1, _PROBE_LENGTH)


def _find_backbone(model: nn.Module, path: str, trace: _Trace) -> nn.Module:
    """The nearest module around the layers that was itself called, on token ids."""
    while path:
        path = path.rpartition(".")[0]
        module = model.get_submodule(path)
        if trace.of(module) and "input_ids" in inspect.signature(module.forward).parameters:
            return module
    return model


def widths(module: nn.Module) -> tuple[int, int] | None:
    """(in, out) of anything linear-like: nn.Linear and its quantised or adapted kin, or GPT-2's Conv1D."""
    for names in (("in_features", "out_features"), ("infeatures", "outfeatures"), ("nx", "nf")):
        pair = tuple(getattr(module, name, None) for name in names)
        if isinstance(pair[0], int) and isinstance(pair[1], int):
            return pair[0], pair[1]
    return None


def _find_ffn_out(model: nn.Module, block: nn.Module, trace: _Trace, d_model: int) -> tuple[str, nn.Module | None]:
    """The last linear-like module outside attention that gives every token a vector of the stream's width."""
    prefix = next(name for name, module in model.named_modules() if module is block)
    found: tuple[str, nn.Module | None] = ("", None)
    outer = ""
    for event in trace.events:
        if not event.path.startswith(prefix + ".") or _is_attention(event, prefix + "."):
            continue
        wide = widths(event.module)
        if wide is None or (outer and event.path.startswith(outer + ".")):
            continue
        outer = event.path  # what lies inside (an adapter's base layer) is part of it
        entered = event.entered
        whole = entered is not None and entered.numel() == _PROBE_LENGTH * entered.shape[-1]
        if whole and wide[1] == d_model and len(trace.of(event.module)) == 1:
            found = (event.path, event.module)
    return found


def _find_way_out(model: nn.Module, block: nn.Module, trace: _Trace, ffn_path: str, d_model: int) -> str:
    """The child of a block that every token passes last, if the feed-forward projection is not the last to change what it gives."""
    prefix = next(name for name, module in model.named_modules() if module is block) + "."
    inside = [event for event in trace.events if event.path.startswith(prefix) and not _is_attention(event, prefix)]
    places = [i for i, event in enumerate(inside) if event.path == ffn_path]
    behind = (
        [event for event in inside[places[-1] + 1 :] if not event.path.startswith(ffn_path + ".")] if places else []
    )
    if places and all(_changes_nothing(event) for event in behind):
        return ""
    whole = [event for event in inside if "." not in event.path.removeprefix(prefix) and _is_stream(event, d_model)]
    return whole[-1].path.removeprefix(prefix) if whole else ""


def _is_attention(event: _Event, prefix: str) -> bool:
    inside = event.path.removeprefix(prefix).lower()
    return "attn" in inside or "attention" in inside


def _changes_nothing(event: _Event) -> bool:
    """Dropout at rest, and activations that only look so."""
    entered, left = event.entered, event.left
    return entered is not None and left is not None and entered.shape == left.shape and torch.equal(entered, left)


def _is_stream(event: _Event, d_model: int) -> bool:
    """Whether a module takes every token and gives each a vector of the stream's width."""
    sides = (event.entered, event.left)
    return all(t is not None and t.shape[-1:] == (d_model,) and t.numel() == _PROBE_LENGTH * d_model for t in sides)


def _find_tail(trace: _Trace, last: nn.Module) -> tuple[nn.Module, ...]:
    """The outermost modules entered after the last layer, if chaining them gives the model's logits."""
    start = trace.of(last)[0]
    path, value = trace.events[start].path, trace.events[start].left
    chain: list[_Event] = []
    for event in trace.events[start + 1 :]:
        nested = event.path.startswith(path + ".") or any(event.path.startswith(c.path + ".") for c in chain)
        if not nested:
            chain.append(event)
    if not chain or value is None or trace.logits is None:
        return ()
    for event in chain:
        try:
            value = first_tensor(event.module(value))
        except (
            TypeError,
            RuntimeError,
        ):  # a module that takes more than the stream: the model's own forward is used instead
            return ()
        if value is None:
            return ()
    same = value.shape == trace.logits.shape and torch.allclose(value.float(), trace.logits.float(), atol=1e-5)
    return tuple(event.module for event in chain) if same else ()
