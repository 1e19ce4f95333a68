"""Finding values: the vector that, added at the subject's last token, makes the model say the target.

ROME, section 3.1: v* maximises the target's probability in several contexts while what the model thinks of the
subject otherwise stays (KL divergence on essence prompts). Only the layers above the edit are replayed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from agentmem.editors.gradients import gradients
from agentmem.editors.port import ModelPort
from agentmem.editors.prefix import Prefix, PromptBatch
from agentmem.editors.reading import read
from agentmem.editors.rome.config import LocateConfig
from agentmem.editors.rome.subject import LocatedPrompt
from agentmem.editors.structure import in_eval_mode

__all__ = ["Share", "Task", "Value", "fit_values", "spread"]


@dataclass(frozen=True)
class Task:
    """One edit to find a value for.

    Attributes:
        contexts: the prompt first, then other ways to come to the subject; the target follows each.
        labels: target token ids, the stop token included.
        essence: other prompts about the subject, whose answers shall stay.
    """

    contexts: tuple[LocatedPrompt, ...]
    labels: tuple[int, ...]
    essence: tuple[LocatedPrompt, ...] = ()


@dataclass(frozen=True, eq=False)
class Value:
    """What optimising came to.

    Attributes:
        residual: [d_model] fp32, v* - W k*.
        converged: the model says the target in every context with it.
        known: the model said the target in the first context without it.
        loss: nats per target token.
    """

    residual: Tensor
    converged: bool
    known: bool
    loss: float
    steps: int


def fit_values(port: ModelPort, tasks: Sequence[Task], layer: int, config: LocateConfig) -> list[Value]:
    """Optimise one value per task, all at once; a task's result depends on the others by rounding alone."""
    rows = [(i, c.head, (*c.rest, *t.labels), len(c.rest)) for i, t in enumerate(tasks) for c in t.contexts]
    said = len(rows)
    blank = (0,)  # nothing is asked to follow an essence prompt; its last position is only looked at
    rows += [(i, e.head, (*e.rest, *blank), len(e.rest)) for i, t in enumerate(tasks) for e in t.essence]
    prefix = port.prefix(PromptBatch(tuple(r[1] for r in rows), tuple(r[2] for r in rows)), layer=layer)
    with torch.inference_mode(False), torch.enable_grad(), in_eval_mode(port.model):
        return _Search(port, prefix, [r[0] for r in rows], [r[3] for r in rows], said, len(tasks), config).run()


class _Search:
    """One batch of values on their way; a task that is done stands still."""

    def __init__(
        self, port: ModelPort, prefix: Prefix, owners: list[int], starts: list[int], said: int, count: int,
        config: LocateConfig,
    ) -> None:  # fmt: skip
        device = prefix.hidden.device
        self.port, self.prefix, self.config, self.said, self.count = port, prefix, config, said, count
        self.owners = torch.tensor(owners, device=device)
        start = torch.tensor(starts, device=device)[:, None]
        position = torch.arange(prefix.labels.shape[1], device=device)[None, :]
        self.asked = (prefix.mask & (position >= start))[:said]
        self.watched = ((position == 0) | (position == start))[said:]
        with torch.no_grad():
            self.base = port.suffix(prefix, None).float()
        self.base_essence = self.base[said:].log_softmax(-1)
        self.essence_weight = self._essence_weights(start[:, 0])
        first = torch.tensor([owners.index(i) for i in range(count)], device=device)
        here = prefix.hidden[first, prefix.at].float()
        self.norm = here.norm(dim=-1)
        self.scale = config.lr * here.square().mean(-1).sqrt()
        self.known = self._lead(self.base[:said])[first] > 0

    def run(self) -> list[Value]:
        config, device = self.config, self.scale.device
        unit = torch.zeros(self.count, self.prefix.hidden.shape[-1], device=device, requires_grad=True)
        optimiser = torch.optim.Adam([unit], lr=1.0)
        streak = torch.zeros(self.count, dtype=torch.long, device=device)
        done = self.known.clone()
        final, loss = torch.zeros_like(unit), torch.full((self.count,), float("nan"), device=device)
        steps = torch.zeros(self.count, dtype=torch.long, device=device)
        for step in range(config.steps):
            if bool(done.all()):
                break
            optimiser.param_groups[0]["lr"] = 1 - step / config.steps  # large steps first, then settle
            values = self._capped(unit)
            nll, cost, lead = self._losses(values)
            (unit.grad,) = gradients(cost[~done].sum(), [unit])
            with torch.no_grad():
                open_ = ~done
                final[open_], loss[open_] = values[open_].detach(), nll[open_].detach()
                steps[open_] += 1
                streak = torch.where(lead >= config.margin, streak + 1, torch.zeros_like(streak))
                done = done | (streak >= config.patience)
            optimiser.step()
        with torch.no_grad():
            late = ~done
            final[late] = self._capped(unit)[late]
            converged = done | (self._losses(final)[2] > 0)
        return [
            Value(
                final[i].detach().cpu(),
                bool(converged[i]),
                bool(self.known[i]),
                float(loss[i]),
                int(steps[i]),
            )
            for i in range(self.count)
        ]

    def _capped(self, unit: Tensor) -> Tensor:
        values = unit * self.scale[:, None]
        cap = self.config.norm_cap * self.norm[:, None]
        capped: Tensor = values * (cap / values.norm(dim=-1, keepdim=True).clamp(min=1e-12)).clamp(max=1.0)
        return capped

    def _losses(self, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[count] negative log-likelihood, whole cost, and the least lead over all contexts."""
        logits = self.port.suffix(self.prefix, values[self.owners]).float()
        nll = cross_entropy(logits[: self.said].transpose(1, 2), self.prefix.labels[: self.said], reduction="none")
        nll = self._mean((nll * self.asked).sum(-1) / self.asked.sum(-1), self.owners[: self.said])
        cost = nll + self.config.weight_decay * (values.norm(dim=-1) / self.norm).square()
        if len(self.base_essence):
            now = logits[self.said :].log_softmax(-1)
            apart = (self.base_essence.exp() * (self.base_essence - now)).sum(-1)
            apart = (apart * self.watched).sum(-1) / self.watched.sum(-1) * self.essence_weight
            cost = cost + self.config.kl_weight * self._mean(apart, self.owners[self.said :])
        lead = torch.full((self.count,), float("inf"), device=logits.device)
        lead = lead.scatter_reduce(0, self.owners[: self.said], self._lead(logits[: self.said].detach()), "amin")
        return nll, cost, lead

    def _lead(self, logits: Tensor) -> Tensor:
        """[rows] by how much the least certain target token leads over every other token."""
        labels = self.prefix.labels[: self.said, :, None]
        own = logits.gather(-1, labels).squeeze(-1)
        others = logits.scatter(-1, labels, float("-inf")).amax(-1)
        return (own - others).masked_fill(~self.asked, float("inf")).amin(-1)

    def _mean(self, per_row: Tensor, owners: Tensor) -> Tensor:
        zeros = torch.zeros(self.count, device=per_row.device)
        counts = torch.bincount(owners, minlength=self.count).clamp(min=1)
        return zeros.index_add(0, owners, per_row) / counts

    def _essence_weights(self, start: Tensor) -> Tensor:
        """0 for a prompt that the model answers as it answers the edit's: it may ask the same in other words."""
        rows = torch.arange(len(self.owners), device=start.device)
        top = self.base[rows, start].argmax(-1)
        owners = self.owners.tolist()
        first = torch.tensor(
            [owners.index(owner) for owner in owners[self.said :]], dtype=torch.long, device=start.device
        )
        return (top[self.said :] != top[first]).float()


@dataclass(frozen=True, eq=False)
class Share:
    """What each written layer keeps of an edit: keys [L, d_key] and residuals [L, d_model], fp32."""

    keys: Tensor
    residuals: Tensor


def spread(port: ModelPort, task: Task, value: Tensor, layers: Sequence[int]) -> Share:
    """Share a value out over the layers, and read the keys where each will meet its share.

    MEMIT, algorithm 1: layer i gets the part (z - h) / (layers left) of what the last layer still lacks, with keys
    and h recomputed after each layer. Here they are recomputed with this edit's own shares added, not with the
    deltas of the whole batch: so they belong to the edit alone, and any set of edits can be solved for again from
    what is stored.
    """
    rows = [(*c.head, *c.rest) for c in task.contexts]
    at = [len(c.head) - 1 for c in task.contexts]
    index, columns = torch.arange(len(rows)), torch.tensor(at)
    shares: dict[int, Tensor] = {}
    keys: list[Tensor] = []
    bare: Tensor | None = None
    for i, layer in enumerate(layers):
        reading = read(port, rows, [layer], hidden_after=layers[-1], adding=shares, columns=at)
        assert reading.hidden is not None
        here = reading.hidden[index, columns].float().cpu()
        bare = here if bare is None else bare
        keys.append(reading.keys[layer][index, columns].float().cpu().mean(0))
        shares[layer] = (value + (bare - here).mean(0)) / (len(layers) - i)
    return Share(torch.stack(keys), torch.stack([shares[layer] for layer in layers]))
