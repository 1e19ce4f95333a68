"""Values under namespaces and keys, beside the notes that their text is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from agentmem.notes.tables import RECORD, Among, Span, Value
from agentmem.records.area import Area

__all__ = ["Address", "Keyed", "KeyedRow"]

_BEHIND: Final = "/"
"""The character after the dot that ends a label."""


class Address(NamedTuple):
    """Where a record lies: whose it is, its namespace with a dot behind each label, and its key."""

    owner: int
    whose: str
    namespace: str
    key: str


class KeyedRow(NamedTuple):
    """A record as it is stored: ``value`` and ``fields`` as JSON, times and ``ttl`` in microseconds."""

    row: int
    owner: int
    whose: str
    namespace: str
    key: str
    value: str
    fields: str
    ttl: int | None
    expires_at: int | None
    created_at: int
    put_at: int

    def gone(self, now: int) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= now


class Keyed(Area):
    """One record at each address; it vanishes with its note."""

    def find(self, address: Address) -> KeyedRow | None:
        """The record at an address, also one whose time is over."""
        found = self._tables.find(RECORD, address._asdict(), limit=1)
        return KeyedRow._make(found[0]) if found else None

    def put(self, record: KeyedRow) -> None:
        """Write a record beside its note."""
        self._tables.put(RECORD, [record])

    def change(self, row: int, **values: Value) -> None:
        """Write other values into some columns of a record."""
        self._tables.change(RECORD, {"row": row}, values)

    def of(self, rows: Sequence[int]) -> dict[int, KeyedRow]:
        """Those of ``rows`` that are notes of records."""
        return {row[0]: KeyedRow._make(row) for row in self._tables.find(RECORD, {"row": Among(rows)})}

    def below(self, owner: int, whose: str, namespace: str, columns: Sequence[str]) -> list[tuple[Any, ...]]:
        """These columns of every record in a namespace and those below it, also of such whose time is over."""
        asked: dict[str, Any] = {"owner": owner, "whose": whose}
        if namespace:
            asked["namespace"] = Span(least=namespace, below=namespace[:-1] + _BEHIND)
        return self._tables.find(RECORD, asked, columns=columns, order=())

    def expiring(self, owners: Sequence[int]) -> bool:
        """Whether some owners have a record that expires at any time."""
        asked: Mapping[str, Any] = {"owner": Among(owners), "expires_at": Span(least=0)}
        return bool(self._tables.find(RECORD, asked, columns=("row",), order=(), limit=1, often=True))

    def expired(self, owners: Sequence[int], now: int, limit: int | None = None) -> list[int]:
        """Rows of records whose time is over, longest first."""
        asked: Mapping[str, Any] = {"owner": Among(owners), "expires_at": Span(most=now)}
        found = self._tables.find(RECORD, asked, columns=("row",), order=("expires_at", "row"), limit=limit)
        return [row for (row,) in found]

    def hidden(self, owners: Sequence[int], now: int) -> tuple[int, ...]:
        """:meth:`expired`, at the cost of one look where nothing expires at any time."""
        return tuple(self.expired(owners, now)) if self.expiring(owners) else ()

    def due(self, now: int) -> list[int]:
        """The owners of records whose time is over."""
        found = self._tables.find(RECORD, {"expires_at": Span(most=now)}, columns=("owner",), order=())
        return sorted({owner for (owner,) in found})

    def count(self) -> int:
        """How many records there are."""
        return self._tables.count(RECORD, {})

    def delete(self, rows: Sequence[int]) -> int:
        """Remove the values of some notes; returns how many there were."""
        return self._tables.delete(RECORD, {"row": Among(rows)})
