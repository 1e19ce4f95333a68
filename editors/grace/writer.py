"""Finding values: one vector per edit, many edits at once, replaying only what lies above the value's layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from agentmem.editors.compact import FINE, coarse
from agentmem.editors.gate.intake import Fit
from agentmem.editors.grace.config import GraceConfig
from agentmem.editors.gradients import gradients
from agentmem.editors.lanes import LaneBatch, Lanes, label_lead, label_losses
from agentmem.editors.packs import Array
from agentmem.editors.port import ModelPort
from agentmem.editors.prompts import Rendered
from agentmem.editors.structure import in_eval_mode

__all__ = ["Adam", "fit_values", "promising", "says_each"]

_TRIED, _HOPELESS = 40, 2.0
"""A value that is still so far off after so many steps, in nats per target token, is not found by going on."""
_FIRST, _SHARE = 6, 0.5
"""Nor is one, as a rule, that has not brought down its first loss to this share after the first steps (measured in ``benchmarks/any_string.py``)."""
Progress = Callable[[int, int], None]


@dataclass
class Adam:
    """Adam on independent rows, each with its own count of steps: none depends on who else is in the batch."""

    first: Tensor
    second: Tensor
    steps: list[int]

    @classmethod
    def at_rest(cls, values: Tensor) -> Adam:
        """Before the first step of rows like ``values`` [n, d]."""
        return cls(torch.zeros_like(values), torch.zeros_like(values), [0] * len(values))

    def begin(self, row: int) -> None:
        """Forget what a row has been through."""
        self.first[row], self.second[row], self.steps[row] = 0, 0, 0

    def update(self, gradient: Tensor, scale: Tensor) -> Tensor:
        """The step to subtract, in units of ``scale`` per row."""
        self.steps = [step + 1 for step in self.steps]
        self.first = 0.9 * self.first + 0.1 * gradient
        self.second = 0.999 * self.second + 0.001 * gradient.square()
        mean = self.first / gradient.new_tensor([1 - 0.9**step for step in self.steps])[:, None]
        square = self.second / gradient.new_tensor([1 - 0.999**step for step in self.steps])[:, None]
        return scale[:, None] * mean / (square.sqrt() + 1e-8 * square.sqrt().amax(-1, keepdim=True) + 1e-20)


def fit_values(
    port: ModelPort,
    edits: Sequence[Sequence[Rendered]],
    layer: int,
    config: GraceConfig,
    progress: Progress | None = None,
) -> list[Fit]:
    """Optimise one value per edit until every context of the edit answers with the target.

    An edit comes to the same bits whatever else is given: see :mod:`agentmem.editors.lanes`.

    Args:
        edits: for each edit the contexts (prompt, labels) in which the value has to work.
        layer: the value is added after this layer.
        progress: called with (edits done, total).
    """
    fits: dict[int, Fit] = {}

    def tell(over: int) -> None:
        if progress is not None:
            progress(len(fits) + over, len(edits))

    for batch in Lanes(port, layer, config.batch_on(port.device.type)).batches(edits):
        with torch.inference_mode(False), torch.enable_grad(), in_eval_mode(port.model):
            fits |= dict(zip(batch.edits, _Descent(port, batch, config).run(tell), strict=True))
    return [fits[i] for i in range(len(edits))]


def promising(port: ModelPort, edits: Sequence[Sequence[Rendered]], layer: int, config: GraceConfig) -> list[bool]:
    """Of which edits it is worth trying to make one value: a few steps for the question alone tell, before they are taken for every wording.

    What one value cannot bring about for one context it cannot for several. Each is tried alone, in which nobody's company shows.
    """
    found: dict[int, bool] = {}
    brief = config.model_copy(update={"steps": min(config.steps, _FIRST)})
    for batch in Lanes(port, layer, 1).batches([own[:1] for own in edits]):
        with torch.inference_mode(False), torch.enable_grad(), in_eval_mode(port.model):
            found |= dict(zip(batch.edits, _Descent(port, batch, brief).promising(), strict=True))
    return [found[i] for i in range(len(edits))]


def says_each(
    port: ModelPort, edits: Sequence[Sequence[Rendered]], values: Sequence[Array], layer: int, rows: int
) -> list[tuple[bool, ...]]:
    """Which of each edit's contexts its value [d_model] answers, in batches in which nobody's company shows.

    Args:
        rows: contexts in one batch.
    """
    found: dict[int, tuple[bool, ...]] = {}
    for batch in Lanes(port, layer, rows).batches(edits):
        with torch.inference_mode(False), torch.no_grad(), in_eval_mode(port.model):
            said = _said(port, batch, [values[i] for i in batch.edits])
        found |= dict(zip(batch.edits, said, strict=True))
    return [found[i] for i in range(len(edits))]


def _said(port: ModelPort, batch: LaneBatch, values: Sequence[Array]) -> list[tuple[bool, ...]]:
    """Which contexts of each edit of a batch are answered with its value [d_model]."""
    device = batch.prefix.hidden.device
    found: list[tuple[bool, ...]] = []
    for start in range(0, len(values), batch.lanes):
        here = np.stack([values[min(at, len(values) - 1)] for at in range(start, start + batch.lanes)])
        prefix = batch.in_lanes(torch.arange(start, start + batch.lanes, device=device))
        added = torch.from_numpy(here).to(device).repeat_interleave(batch.contexts, 0)
        lead = label_lead(port.suffix(prefix, added).float(), prefix)
        found += [tuple(row) for row in (lead > 0).view(batch.lanes, batch.contexts).tolist()]
    return found[: len(values)]


class _Descent:
    """The optimisation of one batch: an edit that is done leaves its lane to one that waits, or stands still in it.

    Args:
        batch: ``places`` below are those of its edits, ``lanes`` those that are computed now.
    """

    def __init__(self, port: ModelPort, batch: LaneBatch, config: GraceConfig) -> None:
        device, width = batch.prefix.hidden.device, batch.prefix.hidden.shape[-1]
        self.port, self.config, self.batch = port, config, batch
        self.rms = batch.prefix.scale.view(-1, batch.contexts).mean(-1)
        places = batch.places
        self.final = torch.zeros(places, width, device=device)
        self.loss = torch.full((places,), float("nan"), device=device)
        self.first = torch.full((places,), float("nan"), device=device)
        self.steps = torch.zeros(places, dtype=torch.long, device=device)
        self.streak = torch.zeros(places, dtype=torch.long, device=device)
        self.done = torch.zeros(places, dtype=torch.bool, device=device)
        self.waiting = list(range(batch.lanes, len(batch.edits)))
        self.at = torch.arange(batch.lanes, device=device)
        self.prefix = batch.in_lanes(self.at)
        self.values = torch.zeros(batch.lanes, width, device=device)
        self.adam = Adam.at_rest(self.values)

    def run(self, tell: Callable[[int], None]) -> list[Fit]:
        """One fit for each edit; those that are not done at the end may still say their target, if not by the margin.

        ``tell`` hears how many are over, whenever that changes.
        """
        self._descend(tell)
        count = len(self.batch.edits)
        kept = [coarse(value[None], FINE)[0] for value in self.final[:count].cpu().numpy()]
        with torch.no_grad():
            said = _said(self.port, self.batch, kept)
        rows = zip(kept, self.done.tolist(), self.loss.tolist(), self.steps.tolist(), said, strict=False)
        return [Fit(value.copy(), done or all(each), loss, steps, each) for value, done, loss, steps, each in rows]

    def promising(self) -> list[bool]:
        """Which edits are not given up within the steps that are allowed."""
        self._descend(lambda over: None)
        return (~self._hopeless())[: len(self.batch.edits)].tolist()

    def _descend(self, tell: Callable[[int], None]) -> None:
        count, told = len(self.batch.edits), 0
        while told < count:
            self._step((~self._over())[self.at])
            over = self._over()
            if (now := int(over[:count].sum())) != told:
                tell(told := now)
            self._refill(over[self.at].nonzero().squeeze(-1).tolist())

    def _over(self) -> Tensor:
        """[places] whether nothing more is to be done for an edit; for copies there never was."""
        copies = torch.arange(self.batch.places, device=self.at.device) >= len(self.batch.edits)
        return self.done | copies | self._hopeless() | (self.steps >= self.config.steps)

    def _hopeless(self) -> Tensor:
        """[places] which values are so far off that going on does not find them."""
        slow = (self.steps >= _FIRST) & (self.loss > _SHARE * self.first)
        return ~self.done & (self.loss > _HOPELESS) & ((self.steps >= _TRIED) | slow)

    def _step(self, open_still: Tensor) -> None:
        """One step of every lane; it counts for those of ``open_still`` [lanes]."""
        batch, rms = self.batch, self.rms[self.at]
        values = self.values.detach().requires_grad_()
        added = values[:, None].expand(-1, batch.contexts, -1).reshape(-1, values.shape[-1])
        logits = self.port.suffix(self.prefix, added).float()
        losses = label_losses(logits, self.prefix).view(batch.lanes, batch.contexts).sum(-1)
        (gradient,) = gradients(losses.sum(), [values])
        with torch.no_grad():
            lead = label_lead(logits.detach(), self.prefix).view(batch.lanes, batch.contexts).amin(-1)
            moved = self.values - self.adam.update(gradient, self.config.lr * rms)
            cap = self.config.norm_cap * rms * values.shape[-1] ** 0.5
            moved = moved * (cap / moved.norm(dim=-1).clamp(min=1e-12)).clamp(max=1.0)[:, None]
            self._note(open_still, losses.detach() / batch.contexts, lead, moved)
            self.values = moved

    def _note(self, open_still: Tensor, loss: Tensor, lead: Tensor, moved: Tensor) -> None:
        """Write down who has been leading long enough, and by which value; the others go on from ``moved``."""
        at = self.at[open_still]
        self.steps[at] += 1
        self.loss[at] = loss[open_still]
        self.first[at] = torch.where(self.steps[at] == 1, self.loss[at], self.first[at])
        leading = lead[open_still] >= self.config.margin
        self.streak[at] = torch.where(leading, self.streak[at] + 1, torch.zeros_like(self.streak[at]))
        self.done[at] = self.streak[at] >= self.config.patience
        self.final[at] = torch.where(self.done[at][:, None], self.values[open_still], moved[open_still])

    def _refill(self, free: Sequence[int]) -> None:
        """Let waiting edits into free lanes, once a quarter of the lanes is free: moving rows has its price as well."""
        if not self.waiting or len(free) * 4 < self.batch.lanes:
            return
        for lane in free[: len(self.waiting)]:
            self.at[lane] = self.waiting.pop(0)
            self.values[lane] = 0
            self.adam.begin(lane)
        self.prefix = self.batch.in_lanes(self.at)
