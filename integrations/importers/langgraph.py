"""LangGraph: items of a ``BaseStore``, as ``Item.dict()`` gives them.

``[{"namespace": ["memories", "ana"], "key": …, "value": {…}, "created_at": …, "updated_at": …}]``. The last part of a
namespace says whose it is, where there is more than one part: so LangMem and the documentation lay them out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from agentmem.integrations.importers.items import Item, item, malformed, mapping, moment, text

__all__ = ["fits", "items"]

_WORDS: Final = ("content", "text", "memory", "data", "value")


def _records(data: Any) -> Any:
    if not isinstance(data, Mapping):
        return data
    # a single item is what a file of JSON lines with one line holds
    return [data] if "namespace" in data else data.get("items")


def fits(data: Any) -> bool:
    """Whether this looks like a dump of a store."""
    records = _records(data)
    return (
        isinstance(records, list)
        and bool(records)
        and isinstance(records[0], Mapping)
        and {"namespace", "key", "value"} <= set(records[0])
    )


def items(data: Any) -> Iterator[Item]:
    """One item per stored value; namespace, key and the whole value are kept in the metadata."""
    records = _records(data)
    if not isinstance(records, list):
        raise malformed("LangGraph", "a list of items is expected")
    for number, given in enumerate(records):
        where = f"Item {number}"
        record = mapping(given, where)
        namespace = record.get("namespace")
        if not isinstance(namespace, list) or not namespace:
            raise malformed(f"{where}, namespace", "a list of texts is expected")
        parts = [text(part, f"{where}, namespace") for part in namespace]
        key, value = text(record.get("key"), f"{where}, key"), mapping(record.get("value"), f"{where}, value")
        yield item(
            _words(value, where),
            user=parts[-1] if len(parts) > 1 else None,
            occurred_at=moment(record.get("created_at"), f"{where}, created_at"),
            metadata={"namespace": parts, "key": key, "value": dict(value)},
            source="import:langgraph",
            kind="semantic",
            idempotency_key=_key(parts, key),
        )


def _key(namespace: list[str], key: str) -> str:
    """Of one length, however long the names are."""
    name = json.dumps([namespace, key]).encode()
    return f"langgraph:{hashlib.sha256(name).hexdigest()}"


def _words(value: Mapping[str, Any], where: str) -> str:
    """What a value says: the text of a usual field, also one level down (LangMem's ``{"kind", "content"}``), else all of it."""
    for name in _WORDS:
        found = value.get(name)
        if isinstance(found, Mapping):
            return _words(found, where)
        if isinstance(found, str) and found.strip():
            return found
    if not value:
        raise malformed(f"{where}, value", "it is empty")
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
