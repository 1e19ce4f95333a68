"""A second look at the first hits: a cross-encoder reads query and note together, which vectors made apart cannot.

Optional, and slow: one forward of a model per hit. Its verdict is one more part of a hit's score, with its reason beside
the others; nothing enters the hits that the ranking did not bring near the top.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from agentmem.errors import EmbedderError
from agentmem.notes.note import Hit
from agentmem.notes.protocols import Reranker
from agentmem.notes.speaking import failures

__all__ = ["reranked"]

REASON = "reranker"


def reranked(reranker: Reranker, query: str, hits: Sequence[Hit], weight: float) -> tuple[Hit, ...]:
    """The hits in the order of their scores plus ``weight`` times what the reranker says; ties keep their order.

    Raises:
        ModelError: the reranker failed.
        EmbedderError: the reranker gave another number of scores, or one that is not a number from 0 to 1.
    """
    if not hits:
        return ()
    with failures("The reranker"):
        said = [float(score) for score in reranker.scores(query, [hit.passage or hit.note.content for hit in hits])]
    if len(said) != len(hits) or not all(math.isfinite(s) and 0.0 <= s <= 1.0 for s in said):
        raise EmbedderError(
            f"The reranker gave {len(said)} scores for {len(hits)} notes, or some outside of [0, 1].",
            hint="scores(query, texts) returns one number from 0 to 1 per text; a sigmoid makes one of a logit.",
        )
    again = [
        replace(hit, score=hit.score + weight * score, reasons={**hit.reasons, REASON: weight * score})
        for hit, score in zip(hits, said, strict=True)
    ]
    return tuple(sorted(again, key=lambda hit: -hit.score))
