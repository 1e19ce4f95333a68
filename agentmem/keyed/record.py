"""A record as callers get it, and what they may say of one: namespaces, keys, values, lifetimes, each checked."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from agentmem.errors import InvalidArgument
from agentmem.notes.clock import from_micros
from agentmem.notes.names import plain
from agentmem.notes.note import Scope
from agentmem.records.area import dumps
from agentmem.records.keyed import Address, KeyedRow

__all__ = [
    "MAX_VALUE", "Record", "address", "checked_count", "checked_key", "checked_namespace", "checked_ttl", "checked_value", "labels", "space",
    "written",
]  # fmt: skip

MAX_LABELS: Final = 32
MAX_NAME: Final = 1024
MAX_VALUE: Final = 1_048_576
"""The largest value, in bytes of its JSON."""
MAX_LEVELS: Final = 60
_LATEST: Final = timedelta(days=365 * 1000)


@dataclass(frozen=True, slots=True)
class Record:
    """A value under a key.

    ``id`` is that of the note that its text is; ``expires_at`` is when it is gone by itself, ``None`` for never; ``score``, of a search in
    words, is the cosine of the query and the text.
    """

    namespace: tuple[str, ...]
    key: str
    value: dict[str, Any]
    id: str
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None = None
    score: float | None = None

    @classmethod
    def of(cls, row: KeyedRow, id: str, score: float | None = None) -> Record:
        """Out of what is stored."""
        ends = None if row.expires_at is None else from_micros(row.expires_at)
        made, put, value = from_micros(row.created_at), from_micros(row.put_at), json.loads(row.value)
        return cls(labels(row.namespace), row.key, value, id, made, put, ends, score)


def space(scope: Scope) -> str:
    """For which agent and session of its owner a record is: each has keys of its own."""
    return dumps([scope.agent if scope.user is not None else None, scope.session])


def written(namespace: Sequence[str]) -> str:
    """A namespace as one text: behind each label stands a dot, which no label holds."""
    return "".join(f"{label}." for label in namespace)


def labels(namespace: str) -> tuple[str, ...]:
    """The inverse of :func:`written`."""
    return tuple(namespace.split(".")[:-1])


def address(owner: int, scope: Scope, namespace: Sequence[str], key: str) -> Address:
    """Where a record of a scope lies."""
    return Address(owner, space(scope), written(namespace), key)


# -- checks ----------------------------------------------------------------------------------------------------


def checked_namespace(namespace: Any, name: str = "namespace", *, empty: bool = False) -> tuple[str, ...]:
    """A tuple of labels.

    Args:
        empty: whether there may be none, as of the prefix of all.

    Raises:
        InvalidArgument: it is no sequence of texts, is too long, or a label is empty or holds a dot or a NUL.
    """
    hint = f"{name}=('users', 'ana'): labels without dots, at most {MAX_LABELS}, of at most {MAX_NAME} characters."
    if isinstance(namespace, str) or not isinstance(namespace, Sequence):
        raise InvalidArgument(f"{name} must be a tuple of texts, not {namespace!r:.80}.", hint=hint)
    if not namespace and not empty:
        raise InvalidArgument(f"{name} is empty.", hint=hint)
    if len(namespace) > MAX_LABELS:
        raise InvalidArgument(f"{name} has {len(namespace)} labels.", hint=hint)
    for label in namespace:
        if not _is_name(label) or "." in label:
            raise InvalidArgument(f"{label!r:.80} is no label of a {name}.", hint=hint)
    return tuple(map(plain, namespace))


def checked_key(key: Any) -> str:
    """A key; any text will do.

    Raises:
        InvalidArgument: it is no text, is empty or too long, or holds a NUL or half a character.
    """
    if not _is_name(key):
        raise InvalidArgument(
            f"A key must be a text of 1 to {MAX_NAME} characters without NUL, not {key!r:.80}.", hint="key='profile'."
        )
    return plain(key)


def checked_value(value: Any) -> str:
    """A value as JSON, which reads as the very same value again.

    Raises:
        InvalidArgument: it is no mapping, is not JSON, or is too large or too deep.
    """
    hint = "a mapping of texts to texts, finite numbers, booleans, None, lists and such mappings."
    if not isinstance(value, Mapping):
        raise InvalidArgument(f"A value must be a JSON object, not {value!r:.80}.", hint=hint)
    try:
        text = _ENCODER.encode(_plain(value, 0))
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(f"The value is not JSON: {error}.", hint=hint) from error
    if size > MAX_VALUE:
        raise InvalidArgument(
            f"The value has {size:,} bytes of JSON.", hint=f"at most {MAX_VALUE:,}: split it, or keep a reference."
        )
    return text


def checked_ttl(ttl: Any) -> int | None:
    """A lifetime in microseconds, given in minutes or as a span.

    Raises:
        InvalidArgument: it is not above zero, not finite, or over a thousand years.
    """
    if ttl is None:
        return None
    hint = "ttl=60 for an hour, or timedelta(days=7); None for ever."
    if isinstance(ttl, int | float) and not isinstance(ttl, bool) and math.isfinite(ttl) and abs(ttl) < 1e9:
        ttl = timedelta(minutes=ttl)
    if not isinstance(ttl, timedelta) or not timedelta(0) < ttl <= _LATEST:
        raise InvalidArgument(f"ttl must be minutes above zero, or a timedelta, not {ttl!r:.80}.", hint=hint)
    return max(1, ttl // timedelta(microseconds=1))


def checked_count(value: Any, name: str, least: int = 0) -> int:
    """A whole number.

    Raises:
        InvalidArgument: it is none, or below ``least``.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidArgument(
            f"{name} must be a whole number of {least} or more, not {value!r:.80}.", hint=f"{name}=10."
        )
    return value


def _is_name(value: Any) -> bool:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME or "\0" in value:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _plain(value: Any, level: int) -> Any:
    """Dicts and lists all the way down. What JSON would turn into something else is refused: tuples, keys that are no texts."""
    if level > MAX_LEVELS:
        raise ValueError(f"it is nested deeper than {MAX_LEVELS} levels")
    if isinstance(value, Mapping):
        if strange := [key for key in value if not isinstance(key, str)]:
            raise TypeError(f"{strange[0]!r:.80} is no text, as a key must be")
        return {key: _plain(inner, level + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner, level + 1) for inner in value]
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"a {type(value).__name__} is none of its values")


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
