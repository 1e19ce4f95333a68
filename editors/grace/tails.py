"""Values for answers that one vector cannot hold: one more vector for each token of the answer, added as the token is read.

A vector at the end of a prompt has to carry the whole answer through the layers above it. Large models can be made to say dozens of tokens so
(Kuratov et al. 2025); a small one that never said such a string hardly two. Where each token brings the vector that makes the next one
(after prefix tuning, Li & Liang 2021, with the answer itself as the prefix), every vector has one token to bring about, which any model can.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from agentmem.editors.compact import FINE, coarse
from agentmem.editors.gate.intake import Fit
from agentmem.editors.grace.config import GraceConfig
from agentmem.editors.grace.writer import Adam
from agentmem.editors.gradients import gradients
from agentmem.editors.lanes import Lanes, label_lead, label_leads, label_losses
from agentmem.editors.packs import Array
from agentmem.editors.port import ModelPort
from agentmem.editors.prefix import Prefix
from agentmem.editors.prompts import Rendered
from agentmem.editors.structure import in_eval_mode

__all__ = ["fit_run", "run_says"]

MOST_STEPS = 60
"""Each vector has one token to bring about, which takes some ten; a token that is not there by then no vector brings about."""
BEGIN = (1.0, 2.0, 4.0, 8.0)
"""How long vectors are at first, in norms of the residual stream at the end of the prompt: no longer than it takes."""
REACH = 4.0
"""A vector that has one token to bring about may be so many times longer than one that has an answer to carry."""


def fit_run(port: ModelPort, contexts: Sequence[Rendered], layer: int, config: GraceConfig) -> Fit:
    """Optimise a vector for the end of the prompt and one for each token of the answer but its end, alone, so that nobody's company shows.

    Args:
        contexts: (prompt, labels) in which they have to work; all have the same labels.
        layer: the vectors are added after this layer.
    """
    prefix = _prefix(port, contexts, layer)
    count, width = len(contexts[0].labels), prefix.hidden.shape[-1]
    rms = prefix.scale.mean()
    cap = REACH * config.norm_cap * rms * width**0.5
    values, lead = _begun(port, prefix, contexts, rms * width**0.5, config)
    adam, steps, loss = Adam.at_rest(values), 0, float("nan")
    with torch.inference_mode(False), torch.enable_grad(), in_eval_mode(port.model):
        while steps < min(config.steps, MOST_STEPS) and lead < config.margin:
            steps += 1
            held = values.detach().requires_grad_()
            logits = port.suffix(prefix, _spread(held, contexts)).float()
            losses = label_losses(logits, prefix)
            (gradient,) = gradients(losses.sum(), [held])
            with torch.no_grad():
                loss = float(losses.mean())
                lead = float(label_lead(logits, prefix).min())
                if lead < config.margin:
                    moved = values - adam.update(gradient, (config.lr * rms).expand(count))
                    values = moved * (cap / moved.norm(dim=-1).clamp(min=1e-12)).clamp(max=1.0)[:, None]
    kept = coarse(values.cpu().numpy(), FINE)
    leads = _leads(port, prefix, contexts, kept)
    said = tuple((leads > 0).all(-1).tolist())
    done = lead >= config.margin or all(said)
    lacks = "" if done else _lacking(port, contexts[0].labels, leads.amin(0).tolist())
    return Fit(kept[0].copy(), done, loss, steps, said, kept[1:].copy(), lacks)


def _begun(
    port: ModelPort, prefix: Prefix, contexts: Sequence[Rendered], length: Tensor, config: GraceConfig
) -> tuple[Tensor, float]:
    """Where the search begins, [n, d], and by how much the target leads there: the shortest of a few runs that leads by the margin, else the longest.

    Each vector lies along what the head reads its token by, seen through the last norm's weight: what is added early passes all layers above, and most of
    it arrives, since the residual stream is read by the head as it was written (the logit lens, nostalgebraist 2020).
    """
    along = _read_by_head(port, contexts[0].labels, prefix.hidden.shape[-1]).to(prefix.hidden.device)
    values, lead = torch.zeros_like(along), float("-inf")
    allowed = [times for times in BEGIN if times <= REACH * config.norm_cap]
    with torch.inference_mode(False), torch.no_grad(), in_eval_mode(port.model):
        for times in allowed if along.any() else ():
            values = times * length * along
            lead = float(label_lead(port.suffix(prefix, _spread(values, contexts)).float(), prefix).min())
            if lead >= config.margin:
                break
    return values, lead


def _read_by_head(port: ModelPort, labels: Sequence[int], width: int) -> Tensor:
    """Unit vectors [n, d] that make the head say these tokens; zeros where it has no such rows."""
    head: Any = cast("Any", port.model).get_output_embeddings()
    rows = getattr(head, "weight", None)
    if not isinstance(rows, Tensor) or not rows.is_floating_point() or rows.shape[-1] != width:
        return torch.zeros(len(labels), width)
    with torch.no_grad():
        along = rows[list(labels)].float() - rows.float().mean(0)
        norm = getattr(port.structure.tail[0], "weight", None) if port.structure.tail else None
        if isinstance(norm, Tensor) and norm.shape == (width,):
            along = along * norm.float().to(along.device)
        unit: Tensor = along / along.norm(dim=-1, keepdim=True).clamp(min=1e-12)
    return unit


def run_says(port: ModelPort, contexts: Sequence[Rendered], values: Array, layer: int) -> tuple[bool, ...]:
    """Which contexts a run of vectors [n, d_model] answers with the target."""
    leads = _leads(port, _prefix(port, contexts, layer), contexts, values)
    return tuple((leads > 0).all(-1).tolist())


def _prefix(port: ModelPort, contexts: Sequence[Rendered], layer: int) -> Prefix:
    (batch,) = Lanes(port, layer, len(contexts)).batches([contexts])
    return batch.prefix


def _spread(values: Tensor, contexts: Sequence[Rendered]) -> Tensor:
    """The same run for each context: [contexts, n, d_model]."""
    return values[None].expand(len(contexts), -1, -1)


def _leads(port: ModelPort, prefix: Prefix, contexts: Sequence[Rendered], values: Array) -> Tensor:
    """[contexts, n] by how much each token of the target leads over every other, in logits."""
    run = torch.from_numpy(np.ascontiguousarray(values)).to(prefix.hidden.device)
    with torch.inference_mode(False), torch.no_grad(), in_eval_mode(port.model):
        logits = port.suffix(prefix, _spread(run, contexts)).float()
    return label_leads(logits, prefix)[:, : len(values)]


def _lacking(port: ModelPort, labels: Sequence[int], leads: Sequence[float]) -> str:
    """The first token of the target that is not said."""
    token = next((token for token, lead in zip(labels, leads, strict=True) if lead <= 0), labels[-1])
    return f": not {port.tokenizer.decode([token])!r}"
