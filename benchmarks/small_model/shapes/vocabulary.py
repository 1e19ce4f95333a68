"""The words that invented names and values are made of: ordinary ones, by how frequent they are."""

from __future__ import annotations

import json

from agentmem.embedding.weights_files import packaged_minilm
from benchmarks.small_model.shapes.values import Vocabulary

__all__ = ["common_words"]


def common_words(skip: int = 80, most: int = 9000) -> Vocabulary:
    """Return the ordinary words of MiniLM's vocabulary, which is in the order of their frequency, without the ``skip`` most frequent."""
    with (packaged_minilm() / "tokenizer.json").open() as file:
        numbers = dict(json.load(file)["model"]["vocab"])
    ordered = sorted(numbers, key=lambda word: int(numbers[word]))
    return Vocabulary(
        [word for word in ordered if word.isalpha() and word.isascii() and len(word) > 2][skip : skip + most]
    )
