"""mem0: what ``get_all()`` returns, and what its exports and ``search()`` look like.

``{"results": [{"id", "memory", "hash", "metadata", "created_at", "updated_at", "user_id", "agent_id", "run_id"}]}``, or
the bare list; older versions call the list ``memories``. A run of mem0 is a session here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from agentmem.integrations.importers.items import Item, field, item, malformed, mapping, moment, text

__all__ = ["fits", "items"]

_LISTS: Final = ("results", "memories")


def _records(data: Any) -> Any:
    if isinstance(data, Mapping):
        # a single memory is what a file of JSON lines with one line holds
        return [data] if "memory" in data else next((data[name] for name in _LISTS if name in data), None)
    return data


def fits(data: Any) -> bool:
    """Whether this looks like a dump of mem0."""
    records = _records(data)
    return isinstance(records, list) and bool(records) and isinstance(records[0], Mapping) and "memory" in records[0]


def items(data: Any) -> Iterator[Item]:
    """One item per memory; an id is the key under which a second import stores nothing twice."""
    records = _records(data)
    if not isinstance(records, list):
        raise malformed("mem0", 'a list, or an object with "results", is expected')
    for number, given in enumerate(records):
        where = f"Memory {number}"
        record = mapping(given, where)
        extra = record.get("metadata")
        known = mapping(extra, f"{where}, metadata") if extra is not None else {}
        id = field(record, "id", where)
        yield item(
            text(record.get("memory"), f"{where}, memory"),
            user=field(record, "user_id", where),
            agent=field(record, "agent_id", where),
            session=field(record, "run_id", where),
            actor=field(record, "actor_id", where),
            occurred_at=moment(record.get("created_at"), f"{where}, created_at"),
            tags=_tags(record.get("categories"), where),
            metadata=dict(known),
            source="import:mem0",
            kind="semantic",
            idempotency_key=f"mem0:{id}" if id else None,
        )


def _tags(value: Any, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise malformed(f"{where}, categories", "a list is expected")
    return tuple(text(tag, f"{where}, categories") for tag in value)
