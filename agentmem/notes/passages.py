"""Long texts in passages: one vector for all of a long text says little of any part of it, and the model stops reading it at 256 tokens.

A note longer than ``LONG`` characters has a vector for each of its passages besides the one for the whole. How well it fits a query
is told by both: by the whole of it, and for ``NEAREST`` of the way by its nearest passage (MaxP: Dai and Callan 2019,
https://doi.org/10.1145/3331184.3331303). The nearest passage alone would let long notes crowd out short ones: of ever so many
passages, one comes near to anything.

A text whose parts were named one by one, as the fields of a record are, has a vector for each of its parts instead, however short they are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from agentmem.notes.protocols import Embedder

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]

__all__ = ["LONG", "NEAREST", "PART", "SENTENCE_END", "embedded", "of_passages", "passages"]

LONG: Final = 480
"""Characters from which a note is read in passages."""
NEAREST: Final = 0.7
"""How far the nearest passage moves the cosine of a note from that of the whole of it: ``benchmarks/recall_parts.py`` compares others."""
SIZE: Final = 320
"""Characters of a passage, about sixty words: ``benchmarks/passage_study.py`` compares half to twice as many."""
MOST: Final = 128
"""Passages of a note; beyond, they get longer."""
PART: Final = "\u2029"
"""The paragraph separator: stands before each further part of a text in parts."""
SENTENCE_END: Final = re.compile(r"(?<=[.!?…])\s+|\n+")


def passages(text: str, size: int = SIZE) -> list[str]:
    """The passages of a long text, about ``size`` characters each; none of a short one. They break between sentences where they can.

    Those of a text in parts are its parts, several of them together where there are more than passages may be.
    """
    if PART in text:
        parts = [part for each in text.split(PART) if (part := each.strip())]
        some = -(-len(parts) // MOST) or 1
        return [" ".join(parts[at : at + some]) for at in range(0, len(parts), some)]
    if len(text) <= LONG:
        return []
    size = max(size, -(-len(text) // MOST))
    found: list[str] = []
    open_ = ""
    for sentence in filter(None, map(str.strip, SENTENCE_END.split(text))):
        if open_ and len(open_) + len(sentence) >= size:
            found.append(open_)
            open_ = ""
        *full, rest = _pieces(sentence, size)
        found += [f"{open_} {full[0]}".lstrip(), *full[1:]] if full else []
        open_ = rest if full else f"{open_} {rest}".lstrip()
    found += [open_] if open_ else []
    return found


def _pieces(sentence: str, size: int) -> list[str]:
    """A sentence that is longer than a passage and a half, in pieces that break between words where they can."""
    pieces: list[str] = []
    while len(sentence) > size + size // 2:
        at = sentence.rfind(" ", size // 2, size)
        at = size if at < 0 else at
        pieces.append(sentence[:at])
        sentence = sentence[at:].lstrip()
    return [*pieces, sentence]


def embedded(embedder: Embedder, texts: Sequence[str]) -> tuple[Vectors, list[Vectors | None]]:
    """The vector of each text, shape (texts, dimension), and of each long one the vectors of its passages, in one call."""
    parts = [passages(text) for text in texts]
    vectors = embedder.embed([*texts, *(part for each in parts for part in each)])
    return vectors[: len(texts)], _shares(vectors[len(texts) :], parts)


def of_passages(embedder: Embedder, texts: Sequence[str]) -> list[Vectors | None]:
    """Of each long text the vectors of its passages."""
    parts = [passages(text) for text in texts]
    wanted = [part for each in parts for part in each]
    return _shares(embedder.embed(wanted), parts) if wanted else [None] * len(texts)


def _shares(vectors: Vectors, parts: Sequence[Sequence[str]]) -> list[Vectors | None]:
    shares: list[Vectors | None] = []
    at = 0
    for each in parts:
        shares.append(vectors[at : at + len(each)] if each else None)
        at += len(each)
    return shares
