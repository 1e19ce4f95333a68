"""Filters over notes: a small, typed language that means the same in Python and in a database.

``parse`` turns what a caller writes into a frozen tree; :func:`matches` evaluates the tree on a note, and a store
compiles the same tree to its own query language. Where a value is missing, every comparison is false, except
``$ne``, ``$nin`` and ``{"$exists": False}``, which are true; ``$not`` turns the answer around. ``subject``, ``relation`` and
``object`` are those of any fact of a note; what is denied of them is denied of all.

    {"kind": "semantic", "tags": {"$contains": "work"}, "occurred_at": {"$gte": datetime(2026, 5, 1)},
     "metadata.project": "x", "$or": [{"actor": "ana"}, {"actor": "ben"}], "$not": {"archived": True}}
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

from agentmem.errors import InvalidArgument
from agentmem.notes.clock import micros
from agentmem.notes.names import plain
from agentmem.notes.note import Note

__all__ = [
    "MAX_DEPTH",
    "OF_FACTS",
    "And",
    "Compare",
    "Filter",
    "Not",
    "Or",
    "affirmed",
    "asks_for",
    "compare",
    "compare_any",
    "kind_of",
    "limited",
    "matches",
    "parse",
]

Scalar: TypeAlias = str | int | float | bool
Value: TypeAlias = Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """One test of one field. Times are microseconds since 1970; ``$in`` and ``$nin`` hold a tuple."""

    field: str
    op: str
    value: Value


@dataclass(frozen=True, slots=True)
class And:
    """True when every part is."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """True when any part is."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True when its part is not."""

    part: Filter


Filter: TypeAlias = Compare | And | Or | Not

_ORDER: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}
_EQUAL: Final = ("$eq", "$ne")
_MEMBER: Final = ("$in", "$nin")
_OPERATORS: Final[Mapping[str, tuple[str, ...]]] = {
    "text": (*_EQUAL, *_ORDER, *_MEMBER, "$contains", "$exists"),
    "time": (*_EQUAL, *_ORDER, *_MEMBER, "$exists"),
    "number": (*_EQUAL, *_ORDER, *_MEMBER, "$exists"),
    "flag": _EQUAL,
    "list": (*_MEMBER, "$contains", "$exists"),
    "any": (*_EQUAL, *_ORDER, *_MEMBER, "$contains", "$exists"),
}
_DENIED: Final[Mapping[str, str]] = {"$ne": "$eq", "$nin": "$in"}
OF_FACTS: Final = ("subject", "relation", "object")
"""Fields of facts, of which a note may have several."""
_TEXT: Final = "id content kind actor user agent session thread source context subject relation object".split()
_KINDS: Final[Mapping[str, str]] = (
    dict.fromkeys(_TEXT, "text")
    | dict.fromkeys(("occurred_at", "created_at", "valid_from", "valid_to"), "time")
    | dict.fromkeys(("importance", "trust", "version"), "number")
    | dict.fromkeys(("tags", "keywords"), "list")
    | {"archived": "flag"}
)
_METADATA: Final = re.compile(r"metadata\.([A-Za-z_][A-Za-z0-9_]{0,63})", re.ASCII)
MAX_DEPTH: Final = 32
_MAX_VALUES: Final = 10_000
_MAX_TESTS: Final = 1_000  # each is weighed against all the others when a store plans its search


def parse(where: Mapping[str, object] | Filter | None) -> Filter | None:
    """Check what a caller wrote and turn it into a filter.

    Args:
        where: a mapping in the syntax of this module, a filter parsed before, or ``None``.

    Returns:
        The filter, or ``None`` when nothing is asked.

    Raises:
        InvalidArgument: an unknown field or operator, or a value of the wrong type.
    """
    if where is None or where == {}:
        return None
    return limited(_group(where, 0))


def limited(parsed: Filter) -> Filter:
    """A filter that is not too large to be asked.

    Raises:
        InvalidArgument: it holds too many conditions or values.
    """
    if _tests(parsed) > _MAX_TESTS:
        raise InvalidArgument(
            f"The filter holds more than {_MAX_TESTS:,} conditions.",
            hint="for many values of one field write {'actor': {'$in': [...]}}.",
        )
    if _size(parsed) > _MAX_VALUES:
        raise InvalidArgument(f"The filter holds more than {_MAX_VALUES} values.", hint="split it into several calls.")
    return parsed


def matches(where: Filter | None, note: Note) -> bool:
    """True when ``note`` satisfies ``where`` (``None`` is satisfied by every note)."""
    if where is None:
        return True
    if isinstance(where, And):
        return all(matches(part, note) for part in where.parts)
    if isinstance(where, Or):
        return any(matches(part, note) for part in where.parts)
    if isinstance(where, Not):
        return not matches(where.part, note)
    if where.field in OF_FACTS:
        denied, where = affirmed(where)
        return denied != any(compare(where.op, getattr(fact, where.field), where.value) for fact in note.facts)
    return compare(where.op, _stored(note, where.field), where.value)


def affirmed(test: Compare) -> tuple[bool, Compare]:
    """A test of a field that a note may have several of, as one that any of them may pass; and whether that one is denied."""
    if test.op in _DENIED:
        return True, Compare(test.field, _DENIED[test.op], test.value)
    if test.op == "$exists" and not test.value:
        return True, Compare(test.field, test.op, True)
    return False, test


def asks_for(where: Filter | None, field: str, value: str) -> bool:
    """True when ``where`` names ``value`` as a wanted value of ``field``."""
    if isinstance(where, And | Or):
        return any(asks_for(part, field, value) for part in where.parts)
    if not isinstance(where, Compare) or where.field != field:
        return False
    wanted = where.value if isinstance(where.value, tuple) else (where.value,)
    return where.op in ("$eq", "$in") and value in wanted


def compare(op: str, stored: object, wanted: object) -> bool:
    """Evaluate one test; ``stored`` is ``None`` when the note has no such value.

    Values of different types are never equal and have no order; in particular ``True`` is not 1.
    """
    if stored is None:
        return op in ("$ne", "$nin") or (op == "$exists" and not wanted)
    if op == "$exists":
        return bool(wanted)
    if op in _ORDER:
        order = _class(stored)
        return order in ("number", "text") and order == _class(wanted) and _ORDER[op](stored, wanted)
    if op in ("$ne", "$nin"):
        return not compare("$eq" if op == "$ne" else "$in", stored, wanted)
    if op == "$contains":
        if isinstance(stored, str):
            return isinstance(wanted, str) and wanted in stored
        return isinstance(stored, list | tuple) and any(_same(item, wanted) for item in stored)
    if op == "$in":
        items = stored if isinstance(stored, list | tuple) else (stored,)
        assert isinstance(wanted, list | tuple)
        return any(_same(item, choice) for item in items for choice in wanted)
    return _same(stored, wanted)


def compare_any(field: str, op: object, value: object) -> Compare:
    """A checked test of a field that may hold anything.

    Raises:
        InvalidArgument: the operator is unknown, or the value of the wrong type.
    """
    return _test(field, "any", op, value)


def kind_of(field: str) -> str:
    """The type of a field: ``text``, ``time``, ``number``, ``flag``, ``list``, or ``any`` for metadata."""
    kind = "any" if _METADATA.fullmatch(field) else _KINDS.get(field)
    if kind is None:
        names = ", ".join([*sorted(_KINDS), "metadata.<name>"])
        raise InvalidArgument(f"Unknown filter field {field!r}.", hint=f"the fields are {names}.")
    return kind


def _group(where: object, depth: int) -> Filter:
    if depth > MAX_DEPTH:
        raise InvalidArgument(f"The filter is nested deeper than {MAX_DEPTH} levels.", hint="flatten it.")
    if isinstance(where, Compare | And | Or | Not):
        return _parsed(where, depth)
    if not isinstance(where, Mapping) or not where:
        raise InvalidArgument(
            f"A filter is a non-empty mapping, not {where!r:.80}.", hint="write {'kind': 'semantic'}."
        )
    parts: list[Filter] = []
    for key, value in where.items():
        if not isinstance(key, str):
            raise InvalidArgument(f"Filter keys are text, not {key!r:.80}.", hint="write {'kind': 'semantic'}.")
        if key.startswith("$"):
            parts.append(_combined(key, value, depth))
        else:
            parts.extend(_field(key, value))
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _parsed(where: Filter, depth: int) -> Filter:
    """A tree that a caller made, or parsed before: checked like one that is written out, since anybody can make one."""
    if isinstance(where, Not):
        return Not(_group(where.part, depth + 1))
    if isinstance(where, And | Or):
        return _combined("$and" if isinstance(where, And) else "$or", where.parts, depth)
    if not isinstance(where.field, str):
        raise InvalidArgument(f"A filter's field is text, not {where.field!r:.80}.", hint="write {'kind': 'semantic'}.")
    kind = kind_of(where.field)
    moments = kind == "time" and where.op != "$exists"  # microseconds by now, which nobody writes
    return _test(where.field, "number" if moments else kind, where.op, where.value)


def _combined(key: str, value: object, depth: int) -> Filter:
    if key == "$not":
        return Not(_group(value, depth + 1))
    if key not in ("$and", "$or"):
        raise InvalidArgument(f"Unknown filter operator {key!r}.", hint="between filters there are $and, $or and $not.")
    if not isinstance(value, list | tuple) or not value:
        raise InvalidArgument(f"{key} needs a non-empty list of filters.", hint=f"write {{'{key}': [{{…}}, {{…}}]}}.")
    parts = tuple(_group(part, depth + 1) for part in value)
    return And(parts) if key == "$and" else Or(parts)


def _field(name: str, spec: object) -> list[Filter]:
    kind = kind_of(name)
    if not isinstance(spec, Mapping):
        # {"tags": "work"} can only mean "has the tag"
        spec = {"$contains" if kind == "list" and spec is not None else "$eq": spec}
    if not spec:
        raise InvalidArgument(f"The filter on {name!r} is empty.", hint=f"write {{'{name}': {{'$exists': True}}}}.")
    return [_test(name, kind, op, value) for op, value in spec.items()]


def _test(name: str, kind: str, op: object, value: object) -> Compare:
    if value is None and op in _EQUAL and kind != "flag":
        return Compare(name, "$exists", op == "$ne")
    if op not in _OPERATORS[kind]:
        raise InvalidArgument(
            f"The field {name!r} has no operator {op!r}.", hint=f"it has {', '.join(_OPERATORS[kind])}."
        )
    assert isinstance(op, str)
    if op == "$exists":
        if not isinstance(value, bool):
            raise InvalidArgument(f"$exists on {name!r} needs True or False.", hint="write {'$exists': True}.")
        return Compare(name, op, value)
    if op in _MEMBER:
        if isinstance(value, str | bytes | Mapping) or not isinstance(value, Collection):
            raise InvalidArgument(f"{op} on {name!r} needs a list.", hint=f"write {{'{op}': ['a', 'b']}}.")
        return Compare(name, op, tuple(_value(name, kind, item) for item in value))
    checked = _value(name, kind, value)
    if op in _ORDER and isinstance(checked, bool):
        raise InvalidArgument(f"{op} on {name!r} needs a number or text.", hint="use $eq for true and false.")
    return Compare(name, op, checked)


def _value(name: str, kind: str, value: object) -> Scalar:
    if kind == "time":
        return _time(name, value)
    if isinstance(value, bool):
        if kind in ("flag", "any"):
            return value
    elif isinstance(value, int | float):
        if kind in ("number", "any"):
            return _number(name, kind, value)
    elif isinstance(value, str) and kind in ("text", "list", "any"):
        return _text(name, value)
    needed = {"text": "text", "list": "text", "number": "a number", "flag": "True or False"}
    raise InvalidArgument(
        f"The filter field {name!r} cannot be compared with {value!r:.80}.",
        hint=f"it needs {needed.get(kind, 'text, a number, True or False')}.",
    )


def _time(name: str, value: object) -> int:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        if isinstance(moment, datetime):
            return micros(moment)
    except (ValueError, OverflowError):
        pass  # reported below, together with the other wrong values
    raise InvalidArgument(
        f"The filter field {name!r} needs a time, not {value!r:.80}.",
        hint="pass a datetime or an ISO 8601 text such as '2026-03-01T12:00:00Z'.",
    )


def _number(name: str, kind: str, value: int | float) -> Scalar:  # noqa: PYI041 - the two differ here
    # a column compares 64-bit integers and doubles; metadata is compared by Python, whatever the size
    if isinstance(value, int) and (kind == "any" or -(2**63) <= value < 2**63):
        return value
    try:
        fitted = float(value)
    except OverflowError:
        fitted = math.inf
    if not math.isfinite(fitted):
        raise InvalidArgument(f"The filter field {name!r} needs a finite number.", hint="leave the bound out.")
    return fitted


def _text(name: str, value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(
            f"The filter on {name!r} holds text that is not valid Unicode.", hint="remove lone surrogates."
        ) from None
    return plain(value)


def _tests(where: Filter) -> int:
    if isinstance(where, And | Or):
        return sum(map(_tests, where.parts))
    return _tests(where.part) if isinstance(where, Not) else 1


def _size(where: Filter) -> int:
    if isinstance(where, And | Or):
        return sum(map(_size, where.parts))
    if isinstance(where, Not):
        return _size(where.part)
    return max(1, len(where.value)) if isinstance(where.value, tuple) else 1


def _stored(note: Note, field: str) -> object:
    if (named := _METADATA.fullmatch(field)) is not None:
        return note.metadata.get(named[1])
    if field in ("user", "agent", "session"):
        value: object = getattr(note.scope, field)
    elif field == "archived":
        value = note.archived_at is not None
    elif field in ("tags", "keywords", "context"):
        value = getattr(note, field) or None  # an empty list or sentence says no more than a missing one
    else:
        value = getattr(note, field) if kind_of(field) else None
    return micros(value) if isinstance(value, datetime) else value


def _same(stored: object, wanted: object) -> bool:
    return _class(stored) == _class(wanted) and stored == wanted


def _class(value: object) -> str:
    if isinstance(value, bool):
        return "flag"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else f"other:{type(value).__name__}"
