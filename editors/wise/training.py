"""Training a shard: all its records together from nothing, replaying only the window that it governs.

The state after training is a function of the records, the recipe and the model alone; that is what makes deletion
exact.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from agentmem.editors.gate.intake import Fit
from agentmem.editors.gradients import gradients
from agentmem.editors.lanes import label_lead, label_losses
from agentmem.editors.packs import Array
from agentmem.editors.port import ModelPort
from agentmem.editors.prefix import Prefix, PromptBatch
from agentmem.editors.prompts import Rendered, Renderer
from agentmem.editors.structure import in_eval_mode
from agentmem.editors.wise.config import WiseConfig
from agentmem.editors.wise.memory import Blueprint
from agentmem.editors.wise.side import Governed, SideDelta, SideSite
from agentmem.notes.edit import EditRequest

__all__ = ["NOTHING", "Chunk", "Lesson", "Trainer", "listen"]

_APART = 0.02  # an activation loss below it counts as kept margins
NOTHING: Array = np.zeros(0, dtype=np.float32)


@dataclass(frozen=True)
class Lesson:
    """A record as it is taught: its prompt first, then paraphrases and prefixed prompts."""

    id: str
    contexts: tuple[Rendered, ...]


@dataclass(frozen=True, eq=False)
class Chunk:
    """Contexts replayed together: [n] governed rows and columns, [B, W] which prompt tokens are scored."""

    prefix: Prefix
    rows: Tensor
    columns: Tensor
    scored: Tensor
    owners: tuple[str, ...]
    first: tuple[bool, ...]


class Trainer:
    """Learns shards on one model.

    Args:
        site: where the side memory sits.
        background: prompts in groups, for prefixes.
    """

    def __init__(
        self,
        port: ModelPort,
        renderer: Renderer,
        site: SideSite,
        config: WiseConfig,
        background: Sequence[Sequence[str]],
    ) -> None:
        self.port, self.renderer, self.site, self.config = port, renderer, site, config
        self._groups = background
        self._plan: Blueprint | None = None

    @property
    def plan(self) -> Blueprint:
        """The widths of the projection, found by one small forward: quantised weights have other shapes."""
        if self._plan is None:
            heard, _ = listen(self.port, self.site, self.renderer.prompt("1"))
            self._plan = Blueprint(self.port.structure.d_model, heard.shape[-1], self.config)
        return self._plan

    def lesson(self, request: EditRequest) -> Lesson:
        """A request with its contexts: at most ``contexts``, and ``prefixes`` more."""
        texts = [request.prompt, *dict.fromkeys(p for p in request.paraphrases if p != request.prompt)]
        texts = texts[: self.config.contexts]
        for number in range(self.config.prefixes):
            seed = hashlib.sha256(f"{request.id}/{number}".encode()).digest()
            group = self._groups[int.from_bytes(seed[:8], "little") % len(self._groups)]
            ids = self.renderer.tokenizer(group[0], add_special_tokens=False)["input_ids"]
            before = self.renderer.tokenizer.decode(ids[: self.config.prefix_tokens], skip_special_tokens=True)
            texts.append(f"{before.strip()} {request.prompt}")
        return Lesson(str(request.id), tuple(self.renderer.pair(text, request.target) for text in texts))

    def learn(self, name: str, shard: int, lessons: Sequence[Lesson]) -> tuple[Array, int]:
        """Train a shard from nothing.

        Returns:
            The packed delta, and the optimiser steps that it took.
        """
        with self._training():
            descent = _ShardDescent(self, name, shard)
            groups = [lessons] if self.config.training == "together" else [[lesson] for lesson in lessons]
            for group in groups:
                descent.run(list(self._chunks(group)))
            return descent.packed(), descent.steps

    def check(self, lessons: Sequence[Lesson], delta: SideDelta, threshold: float, steps: int) -> dict[str, Fit]:
        """How each record's own prompt is answered, if the gate lets it: a :class:`Fit` without a value."""
        found: dict[str, Fit] = {}
        with self._training(), torch.no_grad():
            for chunk in self._chunks([Lesson(lesson.id, lesson.contexts[:1]) for lesson in lessons]):
                logits, heard = self._logits(chunk, delta)
                loss, lead = label_losses(logits, chunk.prefix).tolist(), label_lead(logits, chunk.prefix)
                lets, says = self.lets(delta, heard, chunk, threshold), lead > 0
                said = (says if lets is None else says & lets.to(says.device)).tolist()
                found |= {
                    owner: Fit(NOTHING, ok, nats, steps)
                    for owner, ok, nats in zip(chunk.owners, said, loss, strict=True)
                }
        return found

    def threshold(self, lessons: Sequence[Lesson], delta: SideDelta) -> float:
        """The activation norm above which a memory answers: 0, for keys alone decide."""
        del lessons, delta
        return 0.0

    def margins(self, delta: SideDelta, heard: Tensor, chunk: Chunk) -> Tensor | None:
        """What else the loss has, besides the targets: nothing."""
        del delta, heard, chunk
        return None

    def lets(self, delta: SideDelta, heard: Tensor, chunk: Chunk, threshold: float) -> Tensor | None:
        """[B] whether the memory would answer each prompt; ``None`` when keys alone decide."""
        del delta, heard, chunk, threshold
        return None

    @contextmanager
    def _training(self) -> Iterator[None]:
        with torch.inference_mode(False), torch.enable_grad(), in_eval_mode(self.port.model):
            yield

    def _chunks(self, lessons: Sequence[Lesson]) -> Iterator[Chunk]:
        """Contexts in canonical order, the short ones first, so that padding does not depend on chance."""
        listed = [(context, lesson.id, i) for lesson in lessons for i, context in enumerate(lesson.contexts)]
        listed.sort(key=lambda item: (len(item[0].prompt), item[1], item[2]))
        for start in range(0, len(listed), self.config.batch):
            part = listed[start : start + self.config.batch]
            batch = PromptBatch(tuple(c.prompt for c, _, _ in part), tuple(c.labels for c, _, _ in part))
            whole = self.config.span == "all"
            prefix = self.port.prefix(batch, layer=self.site.layer - 1, whole=whole)
            width = prefix.hidden.shape[1]
            real = prefix.inputs["attention_mask"][:, -width:].bool()
            columns = torch.arange(width, device=real.device)
            governed = real if whole else real & (columns >= prefix.at)
            rows, at = governed.nonzero(as_tuple=True)
            scored = governed & (columns <= prefix.at)
            yield Chunk(
                prefix,
                rows,
                at,
                scored,
                tuple(name for _, name, _ in part),
                tuple(i == 0 for _, _, i in part),
            )

    def _logits(self, chunk: Chunk, delta: SideDelta) -> tuple[Tensor, Tensor]:
        """[B, Y, vocabulary] logits with the delta in place, and [B, W, d_ffn] what the projection read."""
        count = len(chunk.owners)
        governed = Governed(chunk.rows, chunk.columns, delta)
        with self.site.hearing(count) as heard, self.site.adding(count, [governed]):
            logits = self.port.suffix(chunk.prefix, None).float()
        return logits, heard[0].float()


class _ShardDescent:
    """One shard's parameter and its optimiser."""

    def __init__(self, trainer: Trainer, name: str, shard: int) -> None:
        self.trainer, self.config = trainer, trainer.config
        plan, device = trainer.plan, trainer.site.device
        self.inputs: Tensor | None = None
        self.mask: Tensor | None = None
        if self.config.mask == "columns":
            self.inputs = torch.from_numpy(plan.columns(name, shard)).to(device)
        else:
            self.mask = torch.from_numpy(plan.elements(name, shard)).to(device)
        width = plan.d_ffn if self.inputs is None else len(self.inputs)
        self.parameter = torch.zeros(plan.d_model, width, device=device, requires_grad=True)
        self.optimiser: torch.optim.Optimizer | None = None
        self.steps = 0

    def run(self, chunks: Sequence[Chunk]) -> None:
        """Descend until every context leads by the margin for a whole round, or the steps are used up."""
        optimiser = self._optimiser(chunks[0])
        least = [float("-inf")] * len(chunks)
        for step in range(self.config.steps):
            number = step % len(chunks)
            least[number] = self._step(optimiser, chunks[number])
            self.steps += 1
            if number == len(chunks) - 1 and min(least) >= self.config.margin:
                return

    def _step(self, optimiser: torch.optim.Optimizer, chunk: Chunk) -> float:
        """One step; the smallest lead before it, or minus infinity while the activation margins are not kept."""
        delta = SideDelta(self.parameter, self.inputs)
        logits, heard = self.trainer._logits(chunk, delta)
        loss = label_losses(logits, chunk.prefix).mean()
        apart = 0.0
        if (margins := self.trainer.margins(delta, heard, chunk)) is not None:
            margins = margins.to(loss.device)
            loss, apart = loss + self.config.margin_weight * margins, float(margins.detach())
        (gradient,) = gradients(loss, [self.parameter])
        self.parameter.grad = gradient if self.mask is None else gradient * self.mask
        optimiser.step()
        if (most := self.config.largest_change) is not None:
            with torch.no_grad():
                self.parameter.clamp_(-most, most)
        lead = float(label_lead(logits.detach(), chunk.prefix).amin())
        return lead if apart <= _APART else float("-inf")

    def _optimiser(self, chunk: Chunk) -> torch.optim.Optimizer:
        """Adam keeps its moments for a whole shard; the paper starts SGD anew for every record."""
        if self.config.optimiser == "sgd":
            return torch.optim.SGD([self.parameter], lr=self.config.lr)
        if self.optimiser is None:
            with torch.no_grad():
                _, heard = self.trainer._logits(chunk, SideDelta(self.parameter, self.inputs))
            read = heard if self.inputs is None else heard[..., self.inputs]
            share = 1.0 if self.mask is None else self.config.ratio
            reach = float(read[chunk.rows, chunk.columns].abs().sum(-1).mean()) * share
            unit = float(chunk.prefix.scale.mean()) / max(reach, 1e-12)
            self.optimiser = torch.optim.Adam([self.parameter], lr=self.config.lr * unit)
        return self.optimiser

    def packed(self) -> Array:
        """What is stored: the columns, or the entries of the mask in row-major order."""
        whole: Array = self.parameter.detach().cpu().numpy()
        if self.mask is None:
            return whole.copy()
        entries: Array = whole[self.mask.cpu().numpy()].copy()
        return entries


def listen(port: ModelPort, site: SideSite, prompt: Sequence[int]) -> tuple[Tensor, Array]:
    """[T, d_ffn] what the projection reads on a prompt, fp32 on the CPU, and [d_key] the prompt's raw key."""
    with site.hearing(1) as heard:
        key: Array = port.keys([prompt]).numpy()[0]
    return heard[0][0].float().cpu(), key
