"""Values of the published algorithm: one vector that replaces the layer's output, fitted prompt by prompt."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from agentmem.editors.caches import fresh_copy
from agentmem.editors.gate.intake import Fit
from agentmem.editors.gradients import gradients
from agentmem.editors.hooks import own_forward
from agentmem.editors.lanes import label_lead, label_losses
from agentmem.editors.packs import Array
from agentmem.editors.port import ModelPort
from agentmem.editors.prefix import Prefix, PromptBatch
from agentmem.editors.prompts import Rendered
from agentmem.editors.published.grace.config import PublishedGraceConfig
from agentmem.editors.published.grace.site import Replacement, Site
from agentmem.editors.structure import by_row, in_eval_mode

__all__ = ["Values"]


class Values:
    """Finds values at one layer of one model.

    Args:
        layer: the site's.
        site: its output is what a value replaces; its input is the key.
    """

    def __init__(self, port: ModelPort, layer: int, site: Site, config: PublishedGraceConfig) -> None:
        self.port, self.layer, self.site, self.config = port, layer, site, config

    def keys(self, prompts: Sequence[Sequence[int]]) -> Array:
        """[n, d_key] the layer's input at the last token of each prompt (at least one), fp32."""
        found = []
        with torch.inference_mode(False), torch.no_grad(), in_eval_mode(self.port.model):
            for prompt in prompts:
                self.port.need_room(len(prompt))
                ids = torch.tensor([list(prompt)], device=self.port.device)
                reading = Replacement(1)
                with self.site.acting(reading), own_forward():
                    self.port.structure.backbone(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)
                assert reading.read is not None
                found.append(reading.read[0, -1].float().cpu().numpy())
        return np.stack(found)

    def fitted(self, contexts: Sequence[Rendered], start: Array | None = None) -> Fit:
        """The value after ``config.steps`` steps of Adam on the mean loss of some prompts with one target.

        Unlike the official code, the token that ends the answer is learnt, and of all steps the best is kept.

        Args:
            start: where to start; without it, as ``config.init`` says, seeded by the first prompt.
        """
        prefix = self._prefix(contexts)
        rows, columns = self._places(prefix, contexts)
        with torch.inference_mode(False), torch.enable_grad(), in_eval_mode(self.port.model):
            value = self._start(prefix, contexts[0], start).requires_grad_()
            optimiser = torch.optim.Adam([value], lr=self.config.lr)
            best, least, steps = value.detach().clone(), float("inf"), 0
            for _ in range(self.config.steps + 1):  # the last look is after the last step
                loss = label_losses(self._logits(prefix, value, rows, columns).float(), prefix).mean()
                if float(loss.detach()) < least:
                    best, least = value.detach().clone(), float(loss.detach())
                if steps == self.config.steps:
                    break
                (value.grad,) = gradients(loss, [value])
                optimiser.step()
                steps += 1
        found = best.cpu().numpy()
        return Fit(found, self.says(contexts, found), least, steps)

    def says(self, contexts: Sequence[Rendered], value: Array) -> bool:
        """Whether every prompt is answered greedily with its target when the value is in place."""
        prefix = self._prefix(contexts)
        rows, columns = self._places(prefix, contexts)
        with torch.inference_mode(False), torch.no_grad(), in_eval_mode(self.port.model):
            held = torch.from_numpy(value.copy()).to(prefix.hidden.device)
            lead = label_lead(self._logits(prefix, held, rows, columns).float(), prefix)
        return bool((lead > 0).all())

    def _prefix(self, contexts: Sequence[Rendered]) -> Prefix:
        batch = PromptBatch(tuple(c.prompt for c in contexts), tuple(c.labels for c in contexts))
        return self.port.prefix(batch, layer=self.layer, whole=self.config.replacement != "replace_last")

    def _places(self, prefix: Prefix, contexts: Sequence[Rendered]) -> tuple[Tensor, Tensor]:
        """(rows, columns) of the window where the value stands."""
        device = prefix.hidden.device
        if self.config.replacement == "replace_last":
            rows = torch.arange(len(contexts), device=device)
            return rows, torch.full_like(rows, prefix.at)
        real = prefix.inputs["attention_mask"].bool().clone()
        if self.config.replacement == "replace_prompt":
            real[:, prefix.at + 1 :] = False
        rows, columns = real.nonzero(as_tuple=True)
        return rows, columns

    def _logits(
        self, prefix: Prefix, value: Tensor | None, rows: Tensor | None = None, columns: Tensor | None = None
    ) -> Tensor:
        """[B, Y, vocabulary] with the layer's output replaced at some places."""
        cache = fresh_copy(prefix.cache) if prefix.cache is not None else None
        instead = Replacement(len(prefix.hidden), rows, columns, value)
        with self.site.acting(instead), own_forward(), self.port.differentiable():
            output = self.port.model(**prefix.inputs, past_key_values=cache, use_cache=cache is not None)
        logits: Tensor = output.logits[:, prefix.at :]
        return logits

    def _own_output(self, prefix: Prefix) -> Tensor:
        """[d_model] what the layer itself writes at the first prompt's last token."""
        seen: list[Tensor] = []
        handles = self.site.hook(lambda _read: None, lambda output: seen.append(output.detach()))
        try:
            self._logits(prefix, None)
        finally:
            for handle in handles:
                handle.remove()
        return by_row(seen[-1], len(prefix.hidden))[0, prefix.at].float().clone()

    def _start(self, prefix: Prefix, first: Rendered, start: Array | None) -> Tensor:
        device = prefix.hidden.device
        if start is not None:
            return torch.from_numpy(start.copy()).to(device)
        if self.config.init == "warm":
            return self._own_output(prefix)
        seed = hashlib.sha256(repr((first.prompt, first.labels)).encode()).digest()[:8]
        drawn = np.random.default_rng(int.from_bytes(seed, "little")).random(prefix.hidden.shape[-1])
        return torch.from_numpy(drawn.astype(np.float32)).to(device)
