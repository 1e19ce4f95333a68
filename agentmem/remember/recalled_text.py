"""What was recalled is recognised when it comes back in a prompt or an answer that is to be stored."""

from __future__ import annotations

import re

from agentmem.notes.quoting import NOTES_HEADER

__all__ = ["strip_notes"]

_NOTE_LINE = re.compile(r"[-*•–]\s?\[\d{4}-\d{2}-\d{2} (?!\d)[^\]\n]{1,120}\] ")
_OF_A_ROLE = re.compile(r"[-*•–]\s?\[\d{4}-\d{2}-\d{2} (?:user|assistant|note|tool)\b[^\]\n]{0,40}\] ")
"""The same for those that :func:`agentmem.notes.quoting.speaker` names by their role; a list of a user's own may well have dates and names."""
_MARGIN = " \t>|\"'`\\n"
"""What a line that quotes others begins with."""


def strip_notes(text: str) -> tuple[str, int]:
    """``text`` without what :func:`agentmem.notes.quoting.note_line` wrote, and how many such lines were taken out.

    An agent that stores its own prompt, or an answer that repeats it, would otherwise store its memories again, and recall them twice as
    strongly the next time. A line is known by its form, wherever it stands: quoted, behind other words, and without its header where it
    names a role.
    """
    form = _NOTE_LINE if NOTES_HEADER in text else _OF_A_ROLE
    if form.search(text) is None:
        return (text, 0) if NOTES_HEADER not in text else (text.replace(NOTES_HEADER, "").strip(), 0)
    kept: list[str] = []
    removed = 0
    for line in text.replace(NOTES_HEADER, "\n").split("\n"):
        before, *lines = form.split(line)
        removed += len(lines)
        if before.strip(_MARGIN) or not lines:
            kept.append(before.rstrip() if lines else line)
    return "\n".join(kept).strip(), removed
