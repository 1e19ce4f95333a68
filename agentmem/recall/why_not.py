"""Why a note was not among the hits: its place in the ranking, part by part, or what left it out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from agentmem.notes.note import Note
from agentmem.notes.rows import Selection
from agentmem.recall.rank import Ranking

__all__ = ["WhyNot", "explain"]


@dataclass(frozen=True, slots=True)
class WhyNot:
    """Why a note was not among the first hits: its place and its parts, or the reason it was left out.

    ``rank`` counts from 1 and is ``None`` when the note was not a candidate.
    """

    id: str
    reason: str
    rank: int | None = None
    score: float | None = None
    cutoff: float | None = None
    parts: Mapping[str, float] | None = None

    def __str__(self) -> str:
        return self.reason


def explain(
    note: Note, row: int, ranking: Ranking, candidates: Collection[int], k: int, selection: Selection
) -> WhyNot:
    """Where a note came out in a ranking, and what the last hit had more of."""
    if row not in ranking:
        why = (
            "it has faded: ask with faded=True"
            if note.archived_at and not selection.archived
            else "it has no words to be found by"
            if not note.content
            else "the filter leaves it out"
        )
        return WhyNot(note.id, f"Not a candidate: {why}.")
    (_, score, parts, _), (_, cutoff, bar, _) = ranking.of(row), ranking.best(k)[-1]
    place = ranking.place(row)
    if place <= k:
        return WhyNot(note.id, f"It is hit number {place}.", place, score, cutoff, parts)
    best = max(dict.fromkeys((*bar, *parts)), key=lambda name: bar.get(name, 0.0) - parts.get(name, 0.0))
    origin = "" if row in candidates else " Neither its words nor its vector were among the first candidates."
    reason = (
        f"It is number {place}, at {score:.3f}; hit {k} has {cutoff:.3f}, mostly by {best} "
        f"({bar.get(best, 0.0):.3f} against {parts.get(best, 0.0):.3f}).{origin}"
    )
    return WhyNot(note.id, reason, place, score, cutoff, parts)
