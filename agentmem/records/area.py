"""What every area is made of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from agentmem.notes.engine import Tables
from agentmem.notes.guarded_tables import GuardedTables
from agentmem.notes.rows import Change
from agentmem.notes.tables import Span, Table

__all__ = ["Area", "Logged", "dumps"]


class Area:
    """The tables as the request of this transaction may use them.

    Args:
        tables: behind the guard.
        everybodys: without it, for the few questions whose answer tells nothing of anybody's notes.
    """

    def __init__(self, tables: GuardedTables, everybodys: Tables) -> None:
        self._tables = tables
        self._everybodys = everybodys


class Logged(Area):
    """An area with a log of its changes, which an index in memory follows."""

    log: Table

    def changes(self, after: int) -> list[Change]:
        """The newest change of each row that changed after the counter, oldest first."""
        found = self._tables.find(self.log, {"seq": Span(above=after)})
        return [Change(seq, owner, row, bool(removed)) for seq, owner, row, removed in found]

    def counter(self) -> int:
        """Grows with every change, and tells nothing of anybody's notes."""
        found = self._everybodys.find(self.log, {}, columns=("seq",), newest=True, limit=1, often=True)
        return int(found[0][0]) if found else 0


def dumps(value: object) -> str:
    """Compact JSON; filters and seals rely on this exact form."""
    return _ENCODER.encode(value) if value else _EMPTY.get(type(value)) or _ENCODER.encode(value)


def _plain(value: object) -> object:
    """A mapping that is not a dict, as one."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
_EMPTY: Final[Mapping[type, str]] = {tuple: "[]", list: "[]", dict: "{}"}
