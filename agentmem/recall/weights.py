"""What each part of a score is worth: figures that a measurement decides, in one value that is injected.

No user knows what a point of BM25 is worth; a benchmark does. So these are no settings: a memory has them from its composition
(``Memory(ranking=…)``), and what measures or tests a part switches it off there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Final

from agentmem.errors import InvalidArgument

__all__ = ["SWAMPS", "RankingWeights"]

_SHARES: Final = ("spread", "session", "answer", "asked", "remembered", "newer", "successor", "unnamed", "unrelated")
"""Shares of something, and cosines: none of them is more than 1."""
_MOST: Final = dict.fromkeys(_SHARES, 1.0) | {"together": math.nextafter(1.0, 0.0)}
SWAMPS: Final = 10.0
"""Ten times all that a cosine can say: beyond that nothing else would count."""


@dataclass(frozen=True, kw_only=True)
class RankingWeights:
    """The weights of recall, and two cosines that what is recalled has to reach; cosine has weight 1, so each is in units of cosine, and 0
    switches a part off.

    A score is the sum of ``hit.reasons``. Of cosines that come with a query .1 is much: between the first and the tenth hit lie about as
    many as that. So a bonus or malus is sensible from 0 to .5, a share from 0 to 1.

    Behind each stands by how much recall@10 changes without it, where that was measured (``benchmarks/results/recall_parts.json``; L: LoCoMo,
    T: its texts alone, B: BEAM, F: a FAQ, X: XQuAD en / es / ru / zh).

    Raises:
        InvalidArgument: a weight is below 0, above 1 if it is a share or a cosine and above 10 if it is not, not finite, or no number.
    """

    text: float = 0.08  # L -.099, T -.231, B -.071, F +.009, X -.022 / -.224 / -.496 / -.437
    """Cosine per point of BM25, of which a rare word has several, among up to 600 notes; less among more (``rank.calibrated``); sensible to .2."""
    foreign: float = 1.0
    """Factor: how much more than ``text`` a point is worth where all of a query is in scripts that the embedder is not for; 1 doubles it."""
    spread: float = 0.3  # L -.010, B -.048
    """Share, from 0 to 1, of the mean activation of its neighbours that a note receives."""
    together: float = 0.3  # benchmarks/used_together.py
    """Share, from 0 to below 1: what a use together closes of the gap between a link's weight and 1; 0: no such links."""
    actor: float = 0.2  # L -.007, B -.017
    """Cosine, sensible to .5: bonus of notes by an actor whom the query names, or means by "I" or "you"."""
    length: float = 0.05  # L -.001, T -.025, X 0 / -.005 / +.005 / 0
    """Cosine per natural log of the note's length in characters, up to two sentences: shorter ones say little; sensible to .1."""
    session: float = 0.2  # L -.014, B -.014
    """Share, from 0 to 1, of the best score in the same session, as far as it stands out."""
    time: float = 0.15  # L -.019, X ru +.002; benchmarks/named_days.py
    """Cosine per natural log of how few notes are of the time that the query names: bonus of these; sensible to .3."""
    answer: float = 0.2  # L -.010, B -.004
    """Share, from 0 to 1, that a note receives of the cosine of the question asked right before it."""
    question: float = 0.1  # L -.008, T -.012, B -.006
    """Cosine, sensible to .3: malus of notes that only ask; what answers comes after them."""
    reply: float = 0.15  # B -.011
    """Cosine, sensible to .3: malus of what an assistant said, unless asked for; what holds is told by its user."""
    asked: float = 0.5  # L +.001, T -.002, B -.007; benchmarks/life.py
    """Share, from 0 to 1, of its fit that what only asks loses: it tells nothing."""
    remembered: float = 0.8  # 0 on L, T, B, F, X; benchmarks/life.py
    """Share, from 0 to 1, of all that lifts them that a question which was answered out of what was told before, and its answer, lose."""
    newer: float = 1.0  # order alone; benchmarks/life.py
    """Share, from 0 to 1, of the way by which the newer of two notes about the same matter, that fit about equally well, is behind the older
    one: 1 puts it first, 0 leaves both as they fit, and between them it comes nearer. How much worse it may fit (.05) is no weight.
    """
    repeated: float = 1.0
    """Cosine: malus of a note that says the same as one before it, nearly word for word; 1 puts it behind whatever fits at all."""
    retrievability: float = 0.05  # 0 here; benchmarks/forgetting.py
    """Cosine, sensible to .2: span between a forgotten and a fresh note; lifts whatever is recent or often used, about the matter or not. The
    curve itself is a setting.
    """
    interference: float = 1.0  # L -.002; benchmarks/forgetting.py
    """Cosine per difference of retrievability, sensible to 1: by how much a stronger memory holds back one that says nearly the same."""
    superseded: float = 0.25
    """Cosine, sensible from .1 to 1: malus of notes whose validity has ended."""
    successor: float = 1.0
    """Share, from 0 to 1, of what a note that no longer holds fits the query better than the one that superseded it, for the latter."""
    untrusted: float = 0.05
    """Cosine, sensible to .3: malus of notes from sources of low trust."""
    rerank_weight: float = 1.0
    """Cosine: what a reranker's best verdict adds to a score; 1 lets it decide among the first hits."""
    unnamed: float = 0.45
    """A cosine, from 0 to 1: from here on notes enter a prompt although they mention nobody whom the question names; 0: always."""
    unrelated: float = 0.16
    """A cosine, from 0 to 1, under which what a note and a question do not share is about two matters, so that ``ask()`` does not answer
    from it; 0: never.
    """

    def __post_init__(self) -> None:
        for field in fields(self):
            value, most = getattr(self, field.name), _MOST.get(field.name, SWAMPS)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or not 0 <= value <= most:
                within = f"a number from 0 to {most:.0f}{' (exclusive)' if most < 1 else ''}"
                raise InvalidArgument(
                    f"RankingWeights: {field.name}={value!r:.80} is not {within}.",
                    hint=f"RankingWeights({field.name}={field.default}) is the measured one; 0 switches the part off.",
                )
