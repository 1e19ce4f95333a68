"""Finding values: one vector per edit, many edits at once, replaying only what lies above the value's layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from agentmem.editors.grace.config import GraceConfig
from agentmem.editors.packs import Array
from agentmem.editors.port import ModelPort, Prefix, PromptBatch
from agentmem.editors.prompts import Rendered
from agentmem.editors.structure import in_eval_mode

__all__ = ["Fit", "fit_values", "label_lead", "label_losses", "says_target"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Fit:
    """What optimising one value came to; ``loss`` is in nats per target token."""

    value: Array
    converged: bool
    loss: float
    steps: int


@dataclass
class _Adam:
    """Adam on independent rows: an edit's steps do not depend on who else is in the batch."""

    first: Tensor
    second: Tensor
    step: int = 0

    def update(self, gradient: Tensor, scale: Tensor) -> Tensor:
        """The step to subtract, in units of ``scale`` per row."""
        self.step += 1
        self.first = 0.9 * self.first + 0.1 * gradient
        self.second = 0.999 * self.second + 0.001 * gradient.square()
        mean = self.first / (1 - 0.9**self.step)
        square = self.second / (1 - 0.999**self.step)
        return scale[:, None] * mean / (square.sqrt() + 1e-8 * square.sqrt().amax(-1, keepdim=True) + 1e-20)

    def keep(self, rows: Tensor) -> None:
        self.first, self.second = self.first[rows], self.second[rows]


def fit_values(
    port: ModelPort,
    edits: Sequence[Sequence[Rendered]],
    layer: int,
    config: GraceConfig,
    progress: Progress | None = None,
) -> list[Fit]:
    """Optimise one value per edit until every context of the edit answers with the target.

    Args:
        edits: for each edit the contexts (prompt, labels) in which the value has to work.
        layer: the value is added after this layer.
        progress: called with (edits done, total).
    """
    order = sorted(range(len(edits)), key=lambda i: (max(len(c.prompt) for c in edits[i]), i))
    fits: list[Fit | None] = [None] * len(edits)
    for start in range(0, len(order), config.batch):
        chosen = order[start : start + config.batch]
        for i, fit in zip(chosen, _fit_batch(port, [edits[i] for i in chosen], layer, config), strict=True):
            fits[i] = fit
        if progress is not None:
            progress(min(start + config.batch, len(order)), len(order))
    return [fit for fit in fits if fit is not None]


def says_target(port: ModelPort, contexts: Sequence[Rendered], values: Tensor, layer: int) -> list[bool]:
    """Whether each context answers greedily with its labels when its value is added."""
    prefix = port.prefix(_batch(contexts), layer=layer)
    with torch.inference_mode(False), torch.no_grad(), in_eval_mode(port.model):
        logits = port.suffix(prefix, values.to(prefix.hidden.device))
    lead = label_lead(logits.float(), prefix)
    return [bool(row) for row in (lead > 0).tolist()]


def _batch(contexts: Sequence[Rendered]) -> PromptBatch:
    return PromptBatch(tuple(c.prompt for c in contexts), tuple(c.labels for c in contexts))


def _fit_batch(
    port: ModelPort, edits: Sequence[Sequence[Rendered]], layer: int, config: GraceConfig
) -> list[Fit]:
    owners = [i for i, contexts in enumerate(edits) for _ in contexts]
    prefix = port.prefix(_batch([context for contexts in edits for context in contexts]), layer=layer)
    with torch.inference_mode(False), torch.enable_grad(), in_eval_mode(port.model):
        return _Descent(
            port, prefix, torch.tensor(owners, device=prefix.hidden.device), len(edits), config
        ).run()


class _Descent:
    """The optimisation of one batch; edits that are done leave it, so late ones do not pay for early ones."""

    def __init__(
        self, port: ModelPort, prefix: Prefix, owners: Tensor, count: int, config: GraceConfig
    ) -> None:
        device, width = prefix.hidden.device, prefix.hidden.shape[-1]
        self.port, self.config = port, config
        self.prefix, self.owners = prefix, owners
        rms = torch.zeros(count, device=device).scatter_reduce(
            0, owners, prefix.scale, "mean", include_self=False
        )
        self.scale = config.lr * rms
        self.cap = config.norm_cap * rms * width**0.5
        self.values = torch.zeros(count, width, device=device)
        self.final = torch.zeros(count, width, device=device)
        self.loss = torch.full((count,), float("nan"), device=device)
        self.steps = torch.zeros(count, dtype=torch.long, device=device)
        self.streak = torch.zeros(count, dtype=torch.long, device=device)
        self.done = torch.zeros(count, dtype=torch.bool, device=device)
        self.live = torch.arange(count, device=device)
        self.adam = _Adam(torch.zeros_like(self.values), torch.zeros_like(self.values))

    def run(self) -> list[Fit]:
        for _ in range(self.config.steps):
            self._step()
            if not len(self.live):
                break
        self._last_look()
        values, rows = (
            self.final.cpu().numpy(),
            zip(self.done.tolist(), self.loss.tolist(), self.steps.tolist(), strict=True),
        )
        return [Fit(values[i].copy(), ok, loss, steps) for i, (ok, loss, steps) in enumerate(rows)]

    def _step(self) -> None:
        values = self.values.detach().requires_grad_()
        logits = self.port.suffix(self.prefix, values[self.owners]).float()
        per_row = label_losses(logits, self.prefix)
        per_edit = torch.zeros(len(self.live), device=logits.device).index_add(0, self.owners, per_row)
        (gradient,) = torch.autograd.grad(per_edit.sum(), values)
        counts = torch.bincount(self.owners, minlength=len(self.live))
        with torch.no_grad():
            self._note(per_edit.detach() / counts, label_lead(logits.detach(), self.prefix))
            moved = self.values - self.adam.update(gradient, self.scale)
            self.values = moved * (self.cap / moved.norm(dim=-1).clamp(min=1e-12)).clamp(max=1.0)[:, None]
            self._leave()

    def _note(self, loss: Tensor, lead: Tensor) -> None:
        """Write down this step's values, and who has been leading long enough."""
        open_rows = ~self.done[self.live]
        rows = self.live[open_rows]
        self.steps[rows] += 1
        self.loss[rows], self.final[rows] = loss[open_rows], self.values[open_rows]
        leading = self._least(lead) >= self.config.margin
        self.streak = torch.where(leading, self.streak + 1, torch.zeros_like(self.streak))
        self.done[rows] = self.streak[open_rows] >= self.config.patience

    def _least(self, lead: Tensor) -> Tensor:
        """[live] the smallest lead over the contexts of each edit."""
        least = torch.full((len(self.live),), float("inf"), device=lead.device)
        return least.scatter_reduce(0, self.owners, lead, "amin")

    def _leave(self) -> None:
        """Drop finished edits once they are a quarter of the batch; until then they only stand still."""
        finished = self.done[self.live]
        if int(finished.sum()) * 4 < len(self.live) and not bool(finished.all()):
            return
        stay = (~finished).nonzero().squeeze(-1)
        rows = (~finished)[self.owners].nonzero().squeeze(-1)
        renumber = torch.cumsum((~finished).long(), 0) - 1
        if len(stay):
            self.prefix = self.port.select(self.prefix, rows)
        self.owners = renumber[self.owners[rows]]
        self.live, self.values, self.streak = self.live[stay], self.values[stay], self.streak[stay]
        self.scale, self.cap = self.scale[stay], self.cap[stay]
        self.adam.keep(stay)

    def _last_look(self) -> None:
        """Accept what says its target at the end, even if not by the margin for long enough."""
        if not len(self.live):
            return
        with torch.no_grad():
            logits = self.port.suffix(self.prefix, self.values[self.owners]).float()
            least = self._least(label_lead(logits, self.prefix))
            late = ~self.done[self.live]
            rows = self.live[late]
            self.final[rows], self.done[rows] = self.values[late], least[late] > 0


def label_losses(logits: Tensor, prefix: Prefix) -> Tensor:
    """[B] negative log-likelihood per target token: pads are left out by position."""
    nll = torch.nn.functional.cross_entropy(logits.transpose(1, 2), prefix.labels, reduction="none")
    return (nll * prefix.mask).sum(-1) / prefix.mask.sum(-1)


def label_lead(logits: Tensor, prefix: Prefix) -> Tensor:
    """[B] by how much the least certain target token leads over every other token, in logits."""
    own = logits.gather(-1, prefix.labels[..., None]).squeeze(-1)
    others = logits.scatter(-1, prefix.labels[..., None], float("-inf")).amax(-1)
    return (own - others).masked_fill(~prefix.mask, float("inf")).amin(-1)
