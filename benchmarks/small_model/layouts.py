"""The layouts of a block of notes: the one agentmem writes, and others so that the exact form does not matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentmem.evaluation.world import NOTES_HEADER, ToldNote, render_notes
from benchmarks.small_model import wording

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

__all__ = ["render"]

# A layout must name the speaker, or a note in the first person would not tell whom it is about.
_LINES = (
    "- {speaker}: {text}",
    "- ({date}, {speaker}) {text}",
    '- {speaker} said: "{text}"',
    "* [{speaker}] {text}",
    "{number}. {speaker}: {text}",
    "[{number}] {date} {speaker}: {text}",
    "- [{date} {speaker}] {text}",
)


def render(notes: Sequence[ToldNote], rng: Random) -> str:
    """Render ``notes`` as agentmem does (60 %) or in a random other layout."""
    if rng.random() < 0.6:
        return render_notes(notes)
    line = rng.choice(_LINES)
    lines = [rng.choice((NOTES_HEADER, *wording.NOTE_HEADERS))]
    for number, note in enumerate(notes, 1):
        lines.append(line.format(number=number, date=note.date, speaker=note.speaker, text=note.text))
    return "\n".join(lines)
