"""What each part of a score is worth: figures that a measurement decides, in one value that is injected.

No user knows what a point of BM25 is worth; a benchmark does. So these are no settings: a memory has them from its composition
(``Memory(ranking=…)``), and what measures or tests a part switches it off there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Final

from agentmem.errors import InvalidArgument

__all__ = ["RankingWeights"]

_MOST: Final = {"together": math.nextafter(1.0, 0.0), "successor": 1.0}
"""Shares of what is left cannot be more than all of it."""


@dataclass(frozen=True, kw_only=True)
class RankingWeights:
    """The weights of recall, and two cosines that what is recalled has to reach; cosine has weight 1, so each is in units of cosine, and 0
    switches a part off.

    Behind each stands by how much recall@10 changes without it, where that was measured (``benchmarks/results/recall_parts.json``; L: LoCoMo,
    T: its texts alone, B: BEAM, F: a FAQ, X: XQuAD en / es / ru / zh).

    Raises:
        InvalidArgument: a weight is below 0, not finite, no number, or a share above its whole.
    """

    text: float = 0.08  # L -.099, T -.231, B -.071, F +.009, X -.022 / -.224 / -.496 / -.437
    """What a point of BM25 is worth."""
    foreign: float = 1.0
    """How much more than that it is worth where a query is in scripts that the embedder is not for."""
    spread: float = 0.3  # L -.010, B -.048
    """Share of its neighbours' activation that a note receives."""
    together: float = 0.3  # benchmarks/used_together.py
    """What a use together closes of the gap between a link's weight and 1; 0: no such links."""
    actor: float = 0.2  # L -.007, B -.017
    """Bonus of notes by an actor whom the query names, or means by "I" or "you"."""
    length: float = 0.05  # L -.001, T -.025, X 0 / -.005 / +.005 / 0
    """Per natural log of the note's length, up to two sentences: shorter ones say little."""
    session: float = 0.2  # L -.014, B -.014
    """Share of the best score in the same session."""
    time: float = 0.15  # L -.019, X ru +.002; benchmarks/named_days.py
    """Bonus of notes from the time that the query names, per natural log of how few they are."""
    answer: float = 0.2  # L -.010, B -.004
    """Share that a note receives of the cosine of the question asked right before it."""
    question: float = 0.1  # L -.008, T -.012, B -.006
    """Malus of notes that only ask: what answers comes after them."""
    reply: float = 0.15  # B -.011
    """Malus of what an assistant said, unless asked for: what holds is told by its user."""
    asked: float = 0.5  # L +.001, T -.002, B -.007; benchmarks/life.py
    """Share of its fit that what only asks loses: it tells nothing."""
    remembered: float = 0.8  # 0 on L, T, B, F, X; benchmarks/life.py
    """Share of all that lifts them that a question which was answered out of what was told before, and its answer, lose."""
    newer: float = 1.0  # order alone; benchmarks/life.py
    """1: of notes about the same matter that fit about equally well the newer one stands first; 0: they stand as they fit."""
    repeated: float = 1.0
    """Malus of a note that says the same as one before it, nearly word for word."""
    retrievability: float = 0.05  # 0 here; benchmarks/forgetting.py
    """Span between a forgotten and a fresh note; the curve itself is a setting."""
    interference: float = 1.0  # L -.002; benchmarks/forgetting.py
    """How much a stronger memory holds back one that says nearly the same, per difference of strength."""
    superseded: float = 0.25
    """Malus of notes whose validity has ended."""
    successor: float = 1.0
    """Share of what a note that no longer holds fits the query better than the one that superseded it, for the latter."""
    untrusted: float = 0.05
    """Malus of notes from sources of low trust."""
    rerank_weight: float = 1.0
    """What a reranker's best verdict adds to a score."""
    unnamed: float = 0.45
    """Cosine from which notes enter a prompt although they mention nobody whom the question names; 0: always."""
    unrelated: float = 0.16
    """Cosine under which what a note and a question do not share is about two matters, so that ``ask()`` does not answer from it; 0: never."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value, most = getattr(self, field.name), _MOST.get(field.name, math.inf)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or not 0 <= value <= most:
                within = "a number from 0" if most == math.inf else f"a number from 0 to {most:.0f}"
                raise InvalidArgument(
                    f"RankingWeights: {field.name}={value!r:.80} is not {within}{' (exclusive)' if most < 1 else ''}.",
                    hint=f"RankingWeights({field.name}={field.default}) is the measured one; 0 switches the part off.",
                )
