"""Rows that do not fit each other: what belongs to a note is its owner's, and what follows from it is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from agentmem.stores.sqlite.connection import Database

__all__ = ["misfits"]

_SPACE: Final = "CASE WHEN n.id IN (SELECT row FROM experience) THEN -n.owner ELSE n.owner END"
"""Where the vector and the words of a note belong (:mod:`agentmem.notes.spaces`)."""
_SPACED: Final[Mapping[str, str]] = {
    "words": "words",
    "vectors": "vector",
    "passages": "passage",
    "changes": "(SELECT row, owner FROM vector_change UNION ALL SELECT row, owner FROM words_change)",
}
_MISFITS: Final[Mapping[str, str]] = {
    **{
        f"{what} of another owner than their note, or not in its space": (
            f"SELECT count(*) FROM {rows} s JOIN note n ON n.id = s.row WHERE s.owner <> {_SPACE}"  # noqa: S608 - constants
        )
        for what, rows in _SPACED.items()
    },
    "notes without words": "SELECT count(*) FROM note WHERE id NOT IN (SELECT row FROM words)",
    "words that the change log does not know": (
        "SELECT count(*) FROM words w LEFT JOIN words_change c ON c.row = w.row WHERE c.removed IS NOT 0"
    ),
    "uses of another owner than their note": "SELECT count(*) FROM use u JOIN note n ON n.id = u.row WHERE n.owner <> u.owner",
    "terms of another owner than their note": "SELECT count(*) FROM term t JOIN note n ON n.id = t.row WHERE n.owner <> t.owner",
    "times of another owner than their note": "SELECT count(*) FROM telling t JOIN note n ON n.id = t.row WHERE n.owner <> t.owner",
    "changes of notes that are gone, and no removals": (
        "SELECT count(*) FROM (SELECT row, removed FROM vector_change UNION ALL SELECT row, removed FROM words_change) c "
        "LEFT JOIN note n ON n.id = c.row WHERE n.id IS NULL AND c.removed IS NOT 1"
    ),
    "facts of another owner than their note": (
        "SELECT count(*) FROM fact f JOIN note n ON n.id = f.row WHERE n.owner <> f.owner"
    ),
    "experiences of another owner than their note": (
        "SELECT count(*) FROM experience e JOIN note n ON n.id = e.row WHERE n.owner <> e.owner"
    ),
    "records of another owner than their note": "SELECT count(*) FROM record k JOIN note n ON n.id = k.row WHERE n.owner <> k.owner",
    "records without a value, or notes of records without one": (
        "SELECT count(*) FROM note n LEFT JOIN record k ON k.row = n.id WHERE (n.kind = 'record') <> (k.row IS NOT NULL)"
    ),
    "questions that do not stand under all the notes that they were answered from": (
        "SELECT count(*) FROM (SELECT 1 FROM evidence GROUP BY owner, mark HAVING count(*) <> min(notes) OR count(*) <> max(notes))"
    ),
    "steps of an episode without their experience": (
        "SELECT count(*) FROM experience_step WHERE row NOT IN (SELECT row FROM experience)"
    ),
    "vectors of different lengths": "SELECT max(count(DISTINCT length(data)) - 1, 0) FROM vector",
    "vectors that the change log does not know": (
        "SELECT count(*) FROM vector v LEFT JOIN vector_change c ON c.row = v.row WHERE c.removed IS NOT 0"
    ),
}


def misfits(database: Database) -> list[str]:
    """How many there are of each kind, in words; empty when all fit."""
    counts = {what: int(database.value(sql)) for what, sql in _MISFITS.items()}
    return [f"{number} {what}" for what, number in counts.items() if number]
