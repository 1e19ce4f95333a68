"""More words for the small model: its tokenizer goes on merging where it stopped, and each new token starts near the words that mean the like.

A word of general English is two and a half tokens to the tokenizer of the generated world. More merges are learnt on top of its own (Sennrich et al. 2016), so that
all it knows stays as it is, token for token. The vector of a new token is what its neighbours in MiniLM's table of words predict (ridge regression on the
words that both know), and a direction of its own.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import Any

import torch
from safetensors import safe_open
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from agentmem.embedding.weights_files import packaged_minilm
from benchmarks.small_model.shapes.values import Vocabulary

__all__ = ["common_words", "more_merges", "vectors_for", "with_merges", "word_counts"]

_STRENGTH, _OWN = 10.0, 0.6


def _minilm_words() -> dict[str, int]:
    with (packaged_minilm() / "tokenizer.json").open() as file:
        return dict(json.load(file)["model"]["vocab"])


def common_words(skip: int = 80, most: int = 9000) -> Vocabulary:
    """Return the ordinary words of MiniLM's vocabulary, which is in the order of their frequency, without the ``skip`` most frequent."""
    ordered = sorted(_minilm_words().items(), key=lambda item: item[1])
    return Vocabulary(
        [word for word, _ in ordered if word.isalpha() and word.isascii() and len(word) > 2][skip : skip + most]
    )


def word_counts(tokenizer: Tokenizer, texts: Iterable[str], common: int = 12000) -> Counter[str]:
    """Count words as the tokenizer's merges see them: those of ``texts``, and common ones by their rank (Zipf)."""
    counts: Counter[str] = Counter()
    split = tokenizer.pre_tokenizer.pre_tokenize_str
    for text in texts:
        counts.update(word for word, _ in split(" " + text))
    for rank, word in enumerate(common_words(0, common).words):
        share = 30000 / (rank + 30)
        for form, part in ((f" {word}", 1.0), (f" {word.capitalize()}", 0.25), (word, 0.1)):
            counts[split(form)[0][0]] += max(1, round(part * share))
    # Digits stay single where they are: a number is copied digit by digit.
    return Counter({word: count for word, count in counts.items() if not any(sign.isdigit() for sign in word)})


def more_merges(tokenizer: Tokenizer, counts: Mapping[str, int], merges: int) -> list[tuple[str, str]]:
    """Go on with byte-pair encoding: the next ``merges`` pairs, the most frequent first."""
    words = [(tokenizer.model.tokenize(word), count) for word, count in counts.items()]
    pieces = [[token.value for token in tokens] for tokens, _ in words]
    weights = [count for _, count in words]
    totals: Counter[tuple[str, str]] = Counter()
    where: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    for number, parts in enumerate(pieces):
        for pair in pairwise(parts):
            totals[pair] += weights[number]
            where[pair].add(number)
    heap = [(-count, pair) for pair, count in totals.items()]
    heapify(heap)
    known, found = set(tokenizer.get_vocab()), []
    while heap and len(found) < merges:
        count, pair = heappop(heap)
        if -count != totals[pair]:
            if totals[pair] > 0:
                heappush(heap, (-totals[pair], pair))
            continue
        totals[pair] = 0
        joined = "".join(pair)
        if joined in known:
            continue
        known.add(joined)
        found.append(pair)
        for number in where.pop(pair):
            _join(pieces, number, pair, weights[number], totals, where, heap)
    return found


def _join(
    pieces: list[list[str]],
    number: int,
    pair: tuple[str, str],
    weight: int,
    totals: Counter[tuple[str, str]],
    where: defaultdict[tuple[str, str], set[int]],
    heap: list[tuple[int, tuple[str, str]]],
) -> None:
    """Merge a pair in one word, and keep the counts of its pairs."""
    old = pieces[number]
    new: list[str] = []
    i = 0
    while i < len(old):
        if i + 1 < len(old) and (old[i], old[i + 1]) == pair:
            new.append(old[i] + old[i + 1])
            i += 2
        else:
            new.append(old[i])
            i += 1
    if len(new) == len(old):
        return
    for gone in pairwise(old):
        if gone != pair:
            totals[gone] -= weight
    for come in pairwise(new):
        totals[come] += weight
        where[come].add(number)
        heappush(heap, (-totals[come], come))
    pieces[number] = new


def with_merges(tokenizer: PreTrainedTokenizerFast, merges: Iterable[tuple[str, str]]) -> PreTrainedTokenizerFast:
    """Return the tokenizer with further merges, each with a token of its own behind those it has."""
    core: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    vocab, rules = core["model"]["vocab"], core["model"]["merges"]
    for left, right in merges:
        vocab[left + right] = len(vocab)
        rules.append([left, right])
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(core)),
        bos_token=tokenizer.bos_token,
        eos_token=tokenizer.eos_token,
        pad_token=tokenizer.pad_token,
        additional_special_tokens=["<|system|>", "<|user|>", "<|assistant|>"],
        model_max_length=tokenizer.model_max_length,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        chat_template=tokenizer.chat_template,
    )


def vectors_for(tokenizer: PreTrainedTokenizerFast, known: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return vectors for the tokens behind those that have one.

    Args:
        tokenizer: All tokens.
        known: Vectors of the first ones, shape `(n, width)`.
        generator: For the part that is random.
    """
    numbers = _minilm_words()
    with safe_open(str(packaged_minilm() / "model.safetensors"), framework="pt") as file:
        name = next(key for key in file.keys() if key.endswith("word_embeddings.weight"))  # noqa: SIM118
        table = file.get_tensor(name).float()
    table = table - table.mean(0)
    words = [tokenizer.decode([token]).strip().lower() for token in range(len(tokenizer))]
    at = torch.tensor([numbers.get(word, -1) if len(word) > 2 else -1 for word in words])
    both = (at[: len(known)] >= 0).nonzero().flatten()
    centre = known[both].mean(0)
    meant, had = table[at[both]], known[both] - centre
    gram = meant.T @ meant + _STRENGTH * torch.eye(meant.shape[1])
    onto = torch.linalg.solve(gram, meant.T @ had)
    length = float(had.norm(dim=1).median())
    basis = torch.linalg.qr(torch.randn(table.shape[1], known.shape[1], generator=generator)).Q
    new = []
    for token in range(len(known), len(tokenizer)):
        own = torch.randn(known.shape[1], generator=generator)
        if at[token] >= 0:
            # What is like in meaning stays like also where the regression says nothing.
            own = table[at[token]] @ basis
        vector = own * (_OWN * length / own.norm())
        if at[token] >= 0:
            said = table[at[token]] @ onto
            vector = vector + said * min(1.0, length / float(said.norm()))
        new.append(centre + vector)
    return torch.stack(new)
