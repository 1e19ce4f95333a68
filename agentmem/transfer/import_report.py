"""What became of the lines of a file that was imported, counted, and in words what is left to do."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

__all__ = ["ImportReport"]


@dataclass(slots=True)
class ImportReport:
    """What became of a file's lines.

    ``notes`` were stored, ``skipped`` were there already; ``conflicts`` are ids that the memory knows with other words
    (the memory's stay), or that are, or were, another owner's; ``forgotten`` ids of notes that were forgotten here, or derived from one that was (they stay so). ``embedded`` counts vectors that
    were computed, ``carried`` those taken from the file. ``met`` are experiences that the memory had made itself, as other notes:
    the notes were stored, the values that the memory had learnt stay. ``evidence`` counts questions that are new here. ``edits`` are those that the file calls active, ``proven`` says
    that its signature fits the key that was given, and ``capped`` counts the notes that were stored with less trust than it claims.
    """

    path: Path
    notes: int = 0
    skipped: int = 0
    conflicts: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    met: list[str] = field(default_factory=list)
    links: int = 0
    evidence: int = 0
    edits: int = 0
    ledger: int = 0
    embedded: int = 0
    carried: int = 0
    capped: int = 0
    proven: bool = False
    dry_run: bool = False

    def add(self, other: ImportReport) -> None:
        """Count what another report of the same import has counted."""
        for each in fields(self):
            if each.name not in ("path", "proven", "dry_run"):
                setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is left to do, in words."""
        found = []
        if self.edits and self.proven:
            found.append("the registry holds edits that no weights hold yet: memory.rebuild('weights')")
        elif self.edits:
            found.append(
                f"{self.edits} edits of the file are candidates: memory.consolidate() decides on their notes, and verifies what it writes"
            )
        if self.capped:
            found.append(
                f"{self.capped} notes claim more trust than this import grants: trust='trusted' grants what the file says, and so does its key"
            )
        if self.met:
            found.append(
                f"{len(self.met)} experiences were known here already: their values stay as they were learnt here"
            )
        return tuple(found)
