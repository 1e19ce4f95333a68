"""Measuring edits by what the model says: greedy, free generation, the stop token honoured, in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch

from agentmem.editors.prompts import Rendered, Renderer
from agentmem.errors import InvalidArgument
from agentmem.llm.local_model import context_length
from agentmem.llm.placement import device_of
from agentmem.notes.protocols import Editor

__all__ = ["Case", "Report", "answer", "answer_readable", "evaluate", "fitting", "likelihoods"]


@dataclass(frozen=True, slots=True)
class Case:
    """One edit to check.

    Args:
        prompt, target: the edit itself.
        paraphrases: other ways to ask, best ones that the edit has never seen.
        untouched: prompts whose answers must stay what they were.
    """

    prompt: str
    target: str
    paraphrases: tuple[str, ...] = ()
    untouched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """Shares in [0, 1], ``nan`` where nothing was asked, and what went wrong.

    Attributes:
        reliability: edited prompts answered with their target.
        generality: paraphrases answered with the target.
        locality: other prompts answered exactly as without edits.
        wrong: (prompt, what was wanted, what was said), at most a few of each kind.
    """

    reliability: float
    generality: float
    locality: float
    asked: tuple[int, int, int]
    wrong: tuple[tuple[str, str, str], ...] = field(default=(), repr=False)


def answer(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    *,
    max_new_tokens: int = 24,
    batch_size: int = 16,
    chat: bool | None = None,
) -> list[str]:
    """What the model says to each prompt: greedy, through the chat template, up to the stop token.

    Args:
        prompts: as a user would type them.
        chat: use the chat template; by default, when there is one.

    Returns:
        The answers without special tokens and surrounding space, in the order of the prompts.

    Raises:
        InvalidArgument: a prompt is longer than the model's context; see :func:`fitting`.
    """
    if batch_size < 1 or max_new_tokens < 1:
        raise InvalidArgument("batch_size and max_new_tokens must be at least 1.", hint="leave them at their defaults.")
    renderer = Renderer(tokenizer, chat=chat)
    rows = [renderer.prompt(text) for text in prompts]
    context = _context(model, rows)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    said = [""] * len(rows)
    for chosen in _chunks(order, batch_size):
        # Near the end of the context each prompt has another room: the longest must not cut the others' answers short.
        tight = len(rows[chosen[-1]]) + max_new_tokens > context
        for batch in [[i] for i in chosen] if tight else [chosen]:
            limit = min(max_new_tokens, context - len(rows[batch[-1]]))
            for i, text in zip(batch, _generate(model, renderer, [rows[i] for i in batch], limit), strict=True):
                said[i] = text
    return said


def fitting(model: Any, tokenizer: Any, prompts: Sequence[str], *, chat: bool | None = None) -> list[int]:
    """Which prompts, by their places, the model can read and say at least one token to."""
    limit, renderer = context_length(model), Renderer(tokenizer, chat=chat)
    return [at for at, prompt in enumerate(prompts) if limit is None or len(renderer.prompt(prompt)) < limit]


def answer_readable(model: Any, tokenizer: Any, prompts: Sequence[str], max_new_tokens: int) -> list[str]:
    """:func:`answer`; what the model cannot read it has no answer to: a note longer than the context is no reason to stop a night's work."""
    readable = fitting(model, tokenizer, prompts)
    told = answer(model, tokenizer, [prompts[i] for i in readable], max_new_tokens=max_new_tokens)
    said = [""] * len(prompts)
    for i, text in zip(readable, told, strict=True):
        said[i] = text
    return said


def likelihoods(
    model: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]], *, batch_size: int = 16, chat: bool | None = None
) -> list[float]:
    """How likely the model finds answers, by teacher forcing.

    Args:
        pairs: prompts, as a user would type them, each with an answer.

    Returns:
        The mean log-likelihood of each answer's tokens, the stop token among them, in nats; minus infinity where prompt and answer
        are longer than the model's context, or have no tokens.
    """
    renderer, limit = Renderer(tokenizer, chat=chat), context_length(model)
    found, rows = [float("-inf")] * len(pairs), {}
    for at, (prompt, said) in enumerate(pairs):
        if prompt.strip() and said.strip():
            rendered = renderer.pair(prompt, said)
            if limit is None or len(rendered.prompt) + len(rendered.labels) <= limit:
                rows[at] = rendered
    for chosen in _chunks(sorted(rows, key=lambda at: len(rows[at].prompt)), batch_size):
        found_here = _teacher_forced(model, [rows[at] for at in chosen])
        for at, value in zip(chosen, found_here, strict=True):
            found[at] = value
    return found


def _teacher_forced(model: Any, rows: Sequence[Rendered]) -> list[float]:
    """One batch, padded on the right: what follows a position does not change it."""
    width = max(len(row.prompt) + len(row.labels) for row in rows)
    device = device_of(model)
    ids = torch.zeros((len(rows), width), dtype=torch.long, device=device)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        whole = (*row.prompt, *row.labels)
        ids[i, : len(whole)] = torch.tensor(whole, device=device)
        mask[i, : len(whole)] = 1
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask).logits
    means = []
    for i, row in enumerate(rows):
        start, count = len(row.prompt) - 1, len(row.labels)
        chances = torch.log_softmax(logits[i, start : start + count].float(), dim=-1)
        labels = torch.tensor(row.labels, device=device)
        means.append(float(chances.gather(1, labels[:, None]).mean()))
    return means


def _context(model: Any, rows: Sequence[tuple[int, ...]]) -> int:
    """How many tokens the model reads at most, which all prompts must leave room in."""
    limit, longest = context_length(model) or 1 << 30, max(map(len, rows), default=0)
    if longest >= limit:
        raise InvalidArgument(
            f"A prompt has {longest} tokens; the model reads at most {limit}.", hint="shorten it, or leave it out."
        )
    return limit


def evaluate(
    model: Any,
    tokenizer: Any,
    cases: Sequence[Case],
    *,
    editor: Editor | None = None,
    max_new_tokens: int = 24,
    batch_size: int = 16,
) -> Report:
    """Reliability, generality and locality of the edits that the model has now.

    Args:
        editor: whose ``silence()`` gives the unedited model; without it locality is not measured.
    """

    def ask(prompts: Sequence[str]) -> list[str]:
        return answer(model, tokenizer, prompts, max_new_tokens=max_new_tokens, batch_size=batch_size)

    edited = [(case.prompt, case.target) for case in cases]
    asked = [(text, case.target) for case in cases for text in case.paraphrases]
    kept = list(dict.fromkeys(text for case in cases for text in case.untouched)) if editor is not None else []
    with editor.silence() if editor is not None else nullcontext():
        before = list(zip(kept, ask(kept), strict=True))
    shares, wrong = [], []
    for wanted in (edited, asked, before):
        said = ask([prompt for prompt, _ in wanted])
        misses = [(p, w, s) for (p, w), s in zip(wanted, said, strict=True) if s != w.strip()]
        shares.append(1 - len(misses) / len(wanted) if wanted else float("nan"))
        wrong += misses[:5]
    return Report(shares[0], shares[1], shares[2], (len(edited), len(asked), len(before)), tuple(wrong))


def _chunks(items: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _generate(model: Any, renderer: Renderer, rows: Sequence[tuple[int, ...]], limit: int) -> list[str]:
    """One batch, padded on the left."""
    tokenizer, width = renderer.tokenizer, max(map(len, rows))
    stops = {token for token in (renderer.stop, tokenizer.eos_token_id) if token is not None}
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(stops, default=0)
    device = device_of(model)
    ids = torch.tensor([(pad,) * (width - len(row)) + row for row in rows], device=device)
    mask = torch.tensor([(0,) * (width - len(row)) + (1,) * len(row) for row in rows], device=device)
    with torch.no_grad():
        out = model.generate(
            input_ids=ids, attention_mask=mask, max_new_tokens=limit, do_sample=False, num_beams=1,
            pad_token_id=pad, eos_token_id=sorted(stops) or None, temperature=None, top_p=None, top_k=None,
        )  # fmt: skip
    return [tokenizer.decode(row[width:], skip_special_tokens=True).strip() for row in out]
