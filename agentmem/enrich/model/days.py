"""Which notes make up a day, and what is known about a day that has not changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from agentmem.extract.secrets import secrets
from agentmem.notes.note import Note
from agentmem.notes.quoting import UNTRUSTED_BELOW

__all__ = ["DayPart", "parts_of", "print_of", "readable"]


@dataclass(frozen=True, slots=True)
class DayPart:
    """A day's notes, or a part of a long day's, in the order of time; ``number`` counts from 1."""

    day: date
    number: int
    notes: tuple[Note, ...]

    @property
    def name(self) -> str:
        return f"{self.day.isoformat()}" + (f" (part {self.number})" if self.number > 1 else "")

    @property
    def print(self) -> str:
        """Changes when a note of it is added, forgotten or gets new words."""
        return print_of(self.notes)


def parts_of(notes: Iterable[Note], size: int) -> list[DayPart]:
    """Days (UTC) in order, in parts of at most ``size`` notes; a note that comes later changes the last part only."""
    days: dict[date, list[Note]] = {}
    for note in notes:
        days.setdefault(note.occurred_at.date(), []).append(note)
    return [
        DayPart(day, start // size + 1, tuple(days[day][start : start + size]))
        for day in sorted(days)
        for start in range(0, len(days[day]), size)
    ]


def print_of(notes: Sequence[Note]) -> str:
    """A digest of ids and words; it tells nothing about either."""
    digest = hashlib.sha256()
    for note in notes:
        digest.update(f"{note.id}\n{len(note.content)}\n{note.content}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:32]


def readable(note: Note, *, secrets_too: bool) -> bool:
    """Whether reflection may read a note: trusted, since one planted text would taint the whole day, and not a secret."""
    return note.trust >= UNTRUSTED_BELOW and (secrets_too or not secrets(note.content))
