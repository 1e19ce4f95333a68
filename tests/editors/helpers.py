"""Small shared steps of the editor tests."""

from __future__ import annotations

import torch

from agentmem.editors.prompts import Renderer

OTHER = "What pet has Lea?"  # never edited, and not of an edited person


def ids(tok, texts, side="left"):
    """Rendered prompts as a padded batch: {"input_ids", "attention_mask"}."""
    rows = [Renderer(tok).prompt(text) for text in texts]
    width = max(map(len, rows))
    pads = [(3,) * (width - len(row)) for row in rows]
    left = side == "left"
    return {
        "input_ids": torch.tensor([p + r if left else r + p for p, r in zip(pads, rows, strict=True)]),
        "attention_mask": torch.tensor(
            [
                (0,) * len(p) + (1,) * len(r) if left else (1,) * len(r) + (0,) * len(p)
                for p, r in zip(pads, rows, strict=True)
            ]
        ),
    }


@torch.no_grad()
def logits(model, tok, texts, side="left", **options):
    """[B, vocabulary] logits after the last real token of each prompt."""
    batch = ids(tok, texts, side)
    positions = (batch["attention_mask"].cumsum(-1) - 1).clamp(min=0)
    out = model(**batch, position_ids=positions, **options).logits
    last = [row.nonzero().max().item() for row in batch["attention_mask"]]
    return torch.stack([out[i, at] for i, at in enumerate(last)])


def generate(model, tok, texts, **options):
    """Generated ids per prompt, cut at the stop token."""
    batch = ids(tok, texts)
    options = {"max_new_tokens": 8, "do_sample": False, "pad_token_id": 3, "eos_token_id": 0} | options
    out = model.generate(**batch, **options)[:, batch["input_ids"].shape[1] :].tolist()
    return [row[: row.index(0) + 1] if 0 in row else row for row in out]


def said(model, ids, **options):
    """The generated ids, cut at the stop token."""
    options = {"max_new_tokens": 8, "do_sample": False, "pad_token_id": 3, "eos_token_id": 0} | options
    tokens = torch.tensor([ids])
    row = model.generate(tokens, attention_mask=torch.ones_like(tokens), **options)[0, len(ids) :].tolist()
    return row[: row.index(0) + 1] if 0 in row else row
