"""Filters over the values of records: the operators of :mod:`agentmem.notes.filters`, of any key, however deep.

    {"status": "open", "due.week": {"$gte": 3}, "author": {"name": "Ana"}, "tags": {"$contains": "work"},
     "$or": [{"score": {"$gt": 0.5}}, {"$not": {"draft": True}}]}

A dot leads into a mapping, or is part of a name where the value has such a name. What leads into a list means any of its parts, a number
the one at that place. ``None`` in a value is like no value. A mapping without operators asks for each of its own keys; a list asks for
a list equal to it, and so does a mapping behind ``$eq``. Where several values are meant, ``$ne``, ``$nin`` and ``{"$exists": False}`` ask that none of them is so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from agentmem.errors import InvalidArgument
from agentmem.notes.filters import MAX_DEPTH, And, Compare, Filter, Not, Or, compare, compare_any, limited

__all__ = ["matches", "parse"]

_HINT: Final = "filter={'status': 'open', 'author.name': {'$in': ['Ana', 'Ben']}}."
_OTHERWISE: Final[Mapping[str, str]] = {"$ne": "$eq", "$nin": "$in"}


def parse(where: Any) -> Filter | None:
    """Check what a caller wrote.

    Raises:
        InvalidArgument: it is no mapping, an operator is unknown, or a value is of the wrong type.
    """
    if where is None or where == {}:
        return None
    return limited(_group(where, "", 0))


def matches(where: Filter | None, value: Any) -> bool:
    """True when a value satisfies a filter."""
    if where is None:
        return True
    if isinstance(where, And):
        return all(matches(part, value) for part in where.parts)
    if isinstance(where, Or):
        return any(matches(part, value) for part in where.parts)
    if isinstance(where, Not):
        return not matches(where.part, value)
    return _holds(where, [found for found in _at(value, where.field) if found is not None])


def _holds(test: Compare, found: list[Any]) -> bool:
    if test.op == "$exists":
        return bool(found) == bool(test.value)
    if test.op in _OTHERWISE:
        return not any(_one(_OTHERWISE[test.op], each, test.value) for each in found)
    return any(_one(test.op, each, test.value) for each in found)


def _one(op: str, stored: Any, wanted: Any) -> bool:
    if isinstance(wanted, list | dict):
        same = type(stored) is type(wanted)
        return same and json.dumps(stored, sort_keys=True) == json.dumps(wanted, sort_keys=True)
    return compare(op, stored, wanted)


def _at(value: Any, path: str) -> Iterator[Any]:
    if isinstance(value, list):
        head, _, rest = path.partition(".")
        if head.isascii() and head.isdigit():
            inner = value[int(head)] if len(head) < 10 and int(head) < len(value) else None
            yield from _at(inner, rest) if rest else (inner,)
        else:
            for inner in value:
                yield from _at(inner, path)
    elif isinstance(value, dict):
        if path in value:
            yield value[path]
        at = path.find(".")
        while at >= 0:  # a name may hold dots itself
            if path[:at] in value:
                yield from _at(value[path[:at]], path[at + 1 :])
            at = path.find(".", at + 1)


def _group(where: Any, below: str, depth: int) -> Filter:
    if depth > MAX_DEPTH:
        raise InvalidArgument(f"The filter is nested deeper than {MAX_DEPTH} levels.", hint="flatten it.")
    if not isinstance(where, Mapping) or not where:
        raise InvalidArgument(f"A filter is a non-empty mapping, not {where!r:.80}.", hint=_HINT)
    parts: list[Filter] = []
    for key, spec in where.items():
        if not isinstance(key, str) or not key:
            raise InvalidArgument(f"Filter keys are texts, not {key!r:.80}.", hint=_HINT)
        if key in ("$and", "$or", "$not") or (key.startswith("$") and not below):
            parts.append(_combined(key, spec, below, depth))
        elif key.startswith("$"):
            parts.append(_test(below, key, spec))
        else:
            path = f"{below}.{key}" if below else key
            parts.append(_group(spec, path, depth + 1) if isinstance(spec, Mapping) else _test(path, "$eq", spec))
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _combined(key: str, spec: Any, below: str, depth: int) -> Filter:
    if key == "$not":
        return Not(_group(spec, below, depth + 1))
    if key not in ("$and", "$or"):
        raise InvalidArgument(
            f"Unknown filter operator {key!r:.80}.", hint="between filters there are $and, $or and $not."
        )
    if not isinstance(spec, list | tuple) or not spec:
        raise InvalidArgument(f"{key} needs a non-empty list of filters.", hint=f"write {{'{key}': [{{…}}, {{…}}]}}.")
    parts = tuple(_group(part, below, depth + 1) for part in spec)
    return And(parts) if key == "$and" else Or(parts)


def _test(path: str, op: Any, wanted: Any) -> Filter:
    if isinstance(wanted, list | tuple | Mapping) and op in ("$eq", "$ne"):
        try:
            same: Any = json.loads(json.dumps(wanted, allow_nan=False))
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidArgument(f"The filter on {path!r:.80} is not JSON: {error}.", hint=_HINT) from error
        return Compare(path, op, same)
    return compare_any(path, op, wanted)
