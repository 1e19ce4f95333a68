"""What the readers of all shapes share: positions in errors, texts, times."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from agentmem.errors import InvalidImport

__all__ = ["Item", "field", "item", "malformed", "mapping", "moment", "text"]

Item = dict[str, Any]
"""Keywords of :meth:`agentmem.Memory.remember`."""


def malformed(where: str, what: str) -> InvalidImport:
    """The error for an item that is not what its shape asks for."""
    return InvalidImport(f"{where}: {what}.", hint="mend or remove it, or name another format. Nothing was written.")


def item(content: str, **given: Any) -> Item:
    """An item without what is not known."""
    return {"content": content} | {name: value for name, value in given.items() if value not in (None, (), {}, [])}


def mapping(value: Any, where: str) -> Mapping[str, Any]:
    """``value`` as a mapping, or an error."""
    if not isinstance(value, Mapping):
        raise malformed(where, f"a JSON object is expected, not {_kind(value)}")
    return value


def text(value: Any, where: str) -> str:
    """``value`` as a text that says something, or an error."""
    if not isinstance(value, str) or not value.strip():
        raise malformed(where, f"a text is expected, not {_kind(value)}")
    return value


def field(record: Mapping[str, Any], name: str, where: str) -> str | None:
    """A text that may be missing; numbers, as ids often are, become texts."""
    value = record.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return text(value, f"{where}, {name}")


def moment(value: Any, where: str) -> datetime | None:
    """An ISO 8601 time or seconds since 1970; a time without a zone is taken as UTC."""
    if value is None or value == "":
        return None
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise malformed(where, f"{value!r:.60} is no time") from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "an empty text"
    return {dict: "an object", list: "a list", bool: "true or false", type(None): "null"}.get(type(value), "a number")
