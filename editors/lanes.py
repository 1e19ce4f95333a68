"""Batches in which nobody's company shows: each edit comes out with the same bits whoever is computed beside it.

A matrix product adds up in an order that depends on its shape, so an edit that was padded to its neighbours' length, or that
stood in a batch of another width, came out with other last bits; a descent of some steps makes other numbers of them. Then
the state after a deletion would not be the one in which the deleted had never been. Here an edit's shape follows from the edit
alone, and batches have one fixed width: the edits that lack are filled in by copies. What remains is whether a batch treats
its rows alike, which is asked of the model itself once per shape (:meth:`Lanes._agreeing`); where it does not, and where routed
experts or quantised layers mix the rows, every edit is computed alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from agentmem.editors.gradients import gradients
from agentmem.editors.port import ModelPort
from agentmem.editors.prefix import Prefix, PromptBatch, joined, rows_of
from agentmem.editors.prompts import Rendered
from agentmem.editors.straight_through import is_quantised
from agentmem.editors.structure import in_eval_mode
from agentmem.llm.local_model import context_length

__all__ = [
    "LaneBatch",
    "Lanes",
    "Shape",
    "label_lead",
    "label_leads",
    "label_losses",
    "mixes_rows",
    "says_target",
    "shape_of",
]

_LABELS = 2  # targets are padded to whole multiples
_TURNS = 4  # edits that wait for each lane: what is kept of their prompts takes memory


@dataclass(frozen=True)
class Shape:
    """How many contexts an edit has, and the tokens to which its prompts and its targets are padded."""

    contexts: int
    before: int
    after: int


@dataclass(frozen=True, eq=False)
class LaneBatch:
    """Edits of one shape that take turns in the lanes.

    Attributes:
        edits: [n] which edits, by number.
        lanes: how many are computed at once, always.
        contexts: of each edit.
        prefix: [places * contexts] rows; the edits have the first places, copies of the last fill up whole lanes.
    """

    edits: tuple[int, ...]
    lanes: int
    contexts: int
    prefix: Prefix

    @property
    def places(self) -> int:
        """How many edits the prefix has rows for, copies included: whole lanes."""
        return self.prefix.hidden.shape[0] // self.contexts

    def in_lanes(self, places: Tensor) -> Prefix:
        """The rows of the edits at ``places`` [lanes], in the order of the lanes."""
        if len(places) == self.places and bool((places.cpu() == torch.arange(self.places)).all()):
            return self.prefix
        each = torch.arange(self.contexts, device=places.device)
        return rows_of(self.prefix, (places[:, None] * self.contexts + each).flatten())


def shape_of(contexts: Sequence[Rendered], limit: int | None = None) -> Shape:
    """The shape of one edit; where a model's ``limit`` of tokens leaves no room for padding, its exact lengths.

    Every prompt gets a pad at least: a model may leave out the mask of a batch in which nothing is padded, and computes
    otherwise then.
    """
    longest, labels = max(len(c.prompt) for c in contexts), max(len(c.labels) for c in contexts)
    unit = max(8, 1 << (longest.bit_length() - 2))
    before, after = -(-(longest + 1) // unit) * unit, -(-labels // _LABELS) * _LABELS
    if limit is not None and before + after - 1 > limit:
        return Shape(len(contexts), longest, labels)
    return Shape(len(contexts), before, after)


def mixes_rows(model: nn.Module) -> bool:
    """Whether a row of a batch may be computed otherwise for what stands in the others.

    Routed experts multiply as many tokens at once as chose them, and quantised layers may scale a batch as a whole.
    """
    if getattr(model, "is_quantized", False) or any("expert" in name for name, _ in model.named_modules()):
        return True
    if any(is_quantised(module) for module in model.modules()):
        return True
    return any(not p.is_floating_point() or p.dim() > 2 for p in model.parameters())


class Lanes:
    """Cuts edits into batches of fixed shapes.

    Args:
        port: the model; remembers what its rows agree on.
        layer: values are added after this layer.
        rows: contexts that are computed at once.
    """

    def __init__(self, port: ModelPort, layer: int, rows: int) -> None:
        self._port, self._layer, self._rows = port, layer, rows
        self._limit = context_length(port.model)
        self._alone = mixes_rows(port.model)

    def batches(self, edits: Sequence[Sequence[Rendered]]) -> Iterator[LaneBatch]:
        """Every edit once, those of one shape together; each is given by its contexts."""
        shapes: dict[Shape, list[int]] = {}
        for i, contexts in enumerate(edits):
            shapes.setdefault(shape_of(contexts, self._limit), []).append(i)
        for shape, chosen in shapes.items():
            lanes, turns = self._room(shape, edits[chosen[0]])
            for start in range(0, len(chosen), lanes * turns):
                part = chosen[start : start + lanes * turns]
                placed = [edits[i] for i in part] + [edits[part[-1]]] * (-len(part) % lanes)
                with torch.inference_mode(False):
                    parts = [self._prefix(placed[at : at + lanes], shape) for at in range(0, len(placed), lanes)]
                    batch = LaneBatch(tuple(part), lanes, shape.contexts, joined(parts))
                yield batch

    def _room(self, shape: Shape, contexts: Sequence[Rendered]) -> tuple[int, int]:
        """How many lanes edits of a shape have, and how many edits may take turns in each."""
        lanes = self._rows // shape.contexts
        unpadded = any(len(context.prompt) == shape.before for context in contexts)
        if self._alone or unpadded or lanes < 2:
            return 1, 1
        key = (self._layer, lanes, shape.contexts, shape.before, shape.after)
        if key not in self._port.agreeing:
            with torch.inference_mode(False):
                self._port.agreeing[key] = self._agreeing([contexts] * lanes, shape)
        return self._port.agreeing[key]

    def _prefix(self, edits: Sequence[Sequence[Rendered]], shape: Shape) -> Prefix:
        rows = [context for contexts in edits for context in contexts]
        room = (shape.before, shape.after)
        batch = PromptBatch(tuple(c.prompt for c in rows), tuple(c.labels for c in rows), room=room)
        return self._port.prefix(batch, layer=self._layer)

    def _agreeing(self, copies: Sequence[Sequence[Rendered]], shape: Shape) -> tuple[int, int]:
        """What :meth:`_room` says, found with one edit in every lane.

        What is added in which order depends on shapes and places, not on the numbers: what holds for one edit holds for all.
        So they must come to the same bits in every lane: logits, losses and gradient. To take turns, rows must be movable:
        in another order of the lanes it must be the same again.
        """
        lanes = len(copies)
        batch = LaneBatch(tuple(range(lanes)), lanes, shape.contexts, self._prefix(copies, shape))
        found = self._computed(batch.prefix)
        if not all(_same_in_all(tensor, lanes) for tensor in found):
            return 1, 1
        turned = self._computed(batch.in_lanes(torch.arange(lanes, device=self._port.device).flip(0)))
        same = all(torch.equal(*pair) for pair in zip(found, turned, strict=True))
        return lanes, _TURNS if same else 1

    def _computed(self, prefix: Prefix) -> tuple[Tensor, ...]:
        """The numbers that finding a value begins with."""
        with torch.enable_grad(), in_eval_mode(self._port.model):
            values = 0.1 * prefix.scale[:, None].expand(-1, prefix.hidden.shape[-1])
            values = values.detach().clone().requires_grad_()
            logits = self._port.suffix(prefix, values).float()
            losses = label_losses(logits, prefix)
            (gradient,) = gradients(losses.sum(), [values])
        return prefix.hidden, prefix.scale, logits.detach(), losses.detach(), gradient


def says_target(port: ModelPort, contexts: Sequence[Rendered], values: Tensor, layer: int) -> list[bool]:
    """Whether each context answers greedily with its labels when its value is added."""
    batch = PromptBatch(tuple(c.prompt for c in contexts), tuple(c.labels for c in contexts))
    prefix = port.prefix(batch, layer=layer)
    with torch.inference_mode(False), torch.no_grad(), in_eval_mode(port.model):
        logits = port.suffix(prefix, values.to(prefix.hidden.device))
    return [bool(row) for row in (label_lead(logits.float(), prefix) > 0).tolist()]


def _same_in_all(tensor: Tensor, lanes: int) -> bool:
    by_lane = tensor.reshape(lanes, -1)
    return bool((by_lane == by_lane[:1]).all())


def label_losses(logits: Tensor, prefix: Prefix) -> Tensor:
    """[B] negative log-likelihood per target token: pads are left out by position."""
    nll = torch.nn.functional.cross_entropy(logits.transpose(1, 2), prefix.labels, reduction="none")
    return (nll * prefix.mask).sum(-1) / prefix.mask.sum(-1)


def label_lead(logits: Tensor, prefix: Prefix) -> Tensor:
    """[B] by how much the least certain target token leads over every other token, in logits."""
    return label_leads(logits, prefix).masked_fill(~prefix.mask, float("inf")).amin(-1)


def label_leads(logits: Tensor, prefix: Prefix) -> Tensor:
    """[B, Y] by how much each target token, pads among them, leads over every other token, in logits."""
    own = logits.gather(-1, prefix.labels[..., None]).squeeze(-1)
    others = logits.scatter(-1, prefix.labels[..., None], float("-inf")).amax(-1)
    return own - others
