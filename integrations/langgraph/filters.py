"""The filters of LangGraph's stores as those of records."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from agentmem.errors import InvalidArgument

__all__ = ["record_filter"]

OPERATORS: Final = ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte")
_KEY: Final = re.compile(r"[A-Za-z0-9_.-]+")
_NEVER: Final[Mapping[str, Any]] = {"$in": []}
_SWAPPED: Final = {"$gt": "$gte", "$gte": "$gte", "$lt": "$lte", "$lte": "$lte"}


def record_filter(where: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What a search of records is asked for instead; ``None`` where nothing is asked.

    Several keys are all to hold, a dot leads into a mapping, a mapping without operators asks for each of its own keys. A list is equal to
    the same list. A key that is missing is as one that is ``None``: it equals ``None``, differs from all else, and has no order.

    Raises:
        InvalidArgument: a ``ValueError``: a key has other characters than letters, digits, ``_``, ``.`` and ``-``, or an operator is unknown.
    """
    if not where:
        return None
    tests = list(_tests(where, ""))
    return {"$and": tests} if tests else None


def _tests(where: Any, below: str) -> Iterator[dict[str, Any]]:
    if not isinstance(where, Mapping):
        raise InvalidArgument(f"A filter is a mapping, not {where!r:.80}.", hint="filter={'status': 'open'}.")
    for key, wanted in where.items():
        if not isinstance(key, str) or _KEY.fullmatch(key) is None:
            raise InvalidArgument(
                f"Invalid filter key: {key!r:.80}.", hint="letters, digits, '_', '-', and '.' to lead into a mapping."
            )
        path = f"{below}.{key}" if below else key
        if not isinstance(wanted, Mapping):
            yield from _test(path, "$eq", wanted)
        elif any(isinstance(name, str) and name.startswith("$") for name in wanted):
            for operator, value in wanted.items():
                yield from _test(path, operator, value)
        else:
            yield from _tests(wanted, path)


def _test(path: str, operator: Any, wanted: Any) -> Iterator[dict[str, Any]]:
    if operator not in OPERATORS:
        raise InvalidArgument(f"Unsupported operator: {operator!r:.80}.", hint=f"there are {', '.join(OPERATORS)}.")
    same, other = operator == "$eq", operator == "$ne"
    if wanted is None:
        yield {path: {"$exists": other} if same or other else _NEVER}
    elif not isinstance(wanted, float) or math.isfinite(wanted):
        yield {path: {operator: wanted}}
    elif not other:  # nothing equals infinity or NaN, and whatever is stored differs from them
        beyond = not same and not math.isnan(wanted) and (wanted > 0) == operator.startswith("$lt")
        yield {path: {_SWAPPED[operator]: math.copysign(sys.float_info.max, wanted)} if beyond else _NEVER}
