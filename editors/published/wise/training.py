"""Training as published: activations of edits and of unrelated prompts are kept apart, and a threshold lies between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from agentmem.editors.published.wise.activation import mean_norm
from agentmem.editors.wise.side import SideDelta
from agentmem.editors.wise.training import Chunk, Lesson, Trainer, listen
from agentmem.runtime.lazily import cached_property

__all__ = ["ActivationTrainer", "Background", "margin_loss"]

_BACKGROUND = 64


@dataclass(frozen=True, eq=False)
class Background:
    """What the projection reads on unrelated prompts.

    Attributes:
        activations: [m, T, d_ffn], fp32; ``real``: [m, T] True where there is a token.
        output: mean norm of what the projection writes there.
    """

    activations: Tensor
    real: Tensor
    output: float

    def scores(self, delta: SideDelta, *, held_out: bool) -> Tensor:
        """[m / 2] activation norms: one half of the prompts trains margins, the other, held out, sets thresholds."""
        start = int(held_out)
        return mean_norm(delta(self.activations[start::2]), self.real[start::2])


class ActivationTrainer(Trainer):
    """Learns shards whose activation norms tell edits from unrelated prompts."""

    @cached_property
    def background(self) -> Background:
        """Activations of some background prompts, over the tokens that a memory would govern."""
        texts = [group[0] for group in self._groups[::4]][:_BACKGROUND]
        heard = [listen(self.port, self.site, self.renderer.prompt(text))[0] for text in texts]
        heard = heard if self.config.span == "all" else [a[-1:] for a in heard]
        width = max(len(a) for a in heard)
        real = torch.stack([torch.arange(width) < len(a) for a in heard])
        stacked = torch.stack([torch.nn.functional.pad(a, (0, 0, 0, width - len(a))) for a in heard])
        with torch.no_grad():
            weights = next(iter(self.port.model.parameters())).dtype
            written = self.site.module(stacked.to(self.site.device, weights)).float().cpu()
        output = float(mean_norm(written, real).mean())
        return Background(stacked.to(self.site.device), real.to(self.site.device), output)

    def threshold(self, lessons: Sequence[Lesson], delta: SideDelta) -> float:
        """The activation norm above which a memory answers; 0 when keys alone decide."""
        if self.config.gate == "keys":
            return 0.0
        scores = []
        with self._training(), torch.no_grad():
            for chunk in self._chunks(lessons):
                _, heard = self._logits(chunk, delta)
                scores.append(mean_norm(delta(heard), chunk.scored))
            edits, apart = (
                torch.cat(scores).cpu().numpy(),
                self.background.scores(delta, held_out=True).cpu().numpy(),
            )
        if self.config.threshold == "minimum":
            return float(edits.min()) * self.config.activation_ratio
        return float((np.quantile(apart, 0.95) + np.quantile(edits, 0.05)) / 2)

    def margins(self, delta: SideDelta, heard: Tensor, chunk: Chunk) -> Tensor | None:
        """The paper's L_a, unless it has no weight."""
        config, apart = self.config, self.background
        if not config.margin_weight:
            return None
        unit = apart.output if config.margin_unit == "output" else 1.0
        edits = mean_norm(delta(heard), chunk.scored) / unit
        margins = (config.alpha, config.beta, config.gamma)
        return margin_loss(edits, apart.scores(delta, held_out=False) / unit, margins)

    def lets(self, delta: SideDelta, heard: Tensor, chunk: Chunk, threshold: float) -> Tensor | None:
        """[B] whether the memory would answer each prompt."""
        return mean_norm(delta(heard), chunk.scored) >= threshold


def margin_loss(edits: Tensor, apart: Tensor, margins: tuple[float, float, float]) -> Tensor:
    """The paper's L_a: max(0, d_i - alpha) + max(0, beta - d_e) + max(0, gamma - (d_e - d_i)), averaged.

    Args:
        edits: [B] activation norms d_e of edited prompts.
        apart: [m] activation norms d_i of unrelated prompts.
        margins: alpha, beta, gamma.
    """
    alpha, beta, gamma = margins
    gap = edits[:, None] - apart[None, :]
    return (apart - alpha).relu().mean() + (beta - edits).relu().mean() + (gamma - gap).relu().mean()
