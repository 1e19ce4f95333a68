"""Cursors: where the page before ended, so that the next begins behind it whatever was stored or forgotten meanwhile.

A cursor is a moment, and how many notes of that very moment were told: notes that one call stored may share it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from agentmem.errors import InvalidArgument
from agentmem.notes.note import Note

__all__ = ["after", "next_cursor"]

_START: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)
_SHAPE: Final = re.compile(r"(-?\d{1,17})-(\d{1,9})", re.ASCII)


def after(cursor: str | None, where: Mapping[str, Any] | None) -> tuple[dict[str, Any] | None, int]:
    """The conditions of the page behind a cursor, and how many notes to skip of those that they admit.

    Raises:
        InvalidArgument: it is no cursor that was given out.
    """
    given = None if where is None else dict(where)
    if cursor is None:
        return given, 0
    moment, told = _read(cursor)
    since = {"created_at": {"$gte": moment}}
    return ({"$and": [since, given]} if given else since), told


def next_cursor(cursor: str | None, page: Sequence[Note]) -> str | None:
    """The cursor behind a page."""
    if not page:
        return cursor
    last = page[-1].created_at
    told = sum(note.created_at == last for note in page)
    if cursor is not None:
        moment, before = _read(cursor)
        told += before if moment == last else 0
    return f"{(last - _START) // _TICK}-{told}"


def _read(cursor: str) -> tuple[datetime, int]:
    found = _SHAPE.fullmatch(cursor)
    try:
        if found is not None:
            return _START + int(found[1]) * _TICK, int(found[2])
    except OverflowError:
        pass
    raise InvalidArgument("This is no cursor.", hint="pass `next` of the page before, as it is.")
