"""The features that :class:`~agentmem.embedding.embedders.HashEmbedder` hashes: words, word pairs, groups of letters."""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections import Counter
from functools import lru_cache
from itertools import pairwise

from agentmem.extract.lexicon import COMMONEST

__all__ = ["feature_code", "features"]

_WORD = re.compile(r"\w+")
# Part of what a stored vector is made with: other words are another embedder.
_LIGHT = COMMONEST | {"no", "not"}


def features(text: str) -> dict[str, float]:
    """Words, word pairs, and the groups of four letters that inflected forms of a word share."""
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    counts: Counter[str] = Counter()
    weight: dict[str, float] = {}
    for word in words:
        light = word in _LIGHT
        groups = [] if light else [f"{word}$"[i : i + 4] for i in range(max(1, len(word) - 2))]
        for feature, value in [(word, 0.2 if light else 1.0)] + [("#" + g, 1.2 / len(groups)) for g in groups]:
            counts[feature] += 1
            weight[feature] = max(value, weight.get(feature, 0.0))
    for pair in pairwise(words):
        feature = " ".join(pair)
        counts[feature] += 1
        weight[feature] = 0.3
    return {feature: weight[feature] * (1 + math.log(count)) for feature, count in counts.items()}


@lru_cache(maxsize=65536)
def feature_code(feature: str) -> int:
    """64 bits that depend on the feature alone: the same on every machine, in every process."""
    return int.from_bytes(hashlib.blake2b(feature.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
