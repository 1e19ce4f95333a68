"""The operations of LangGraph's stores as calls of a memory, all checked before the first is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal

from langgraph.store.base import (
    GetOp,
    InvalidNamespaceError,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    validate_op_namespace,
)

from agentmem.errors import InvalidArgument
from agentmem.integrations.langgraph.filters import record_filter
from agentmem.keyed.asking import Namespaces, WantedRecords
from agentmem.keyed.putting import checked_puts
from agentmem.keyed.record import Record, checked_key
from agentmem.notes.note import Scope

__all__ = ["Fields", "StoreCall", "StorePlan"]

Fields = Literal[False] | Sequence[str] | None
"""What of a value is found by meaning where an operation does not say: nothing at all, these paths, or all its strings."""


@dataclass(frozen=True, slots=True)
class StoreCall:
    """A verb of a memory with its keywords; what it returns is the result in ``place`` once it is ``told``."""

    verb: str
    keywords: Mapping[str, Any]
    place: int = -1
    told: Callable[[Any], Result] = lambda found: found


@dataclass(frozen=True, slots=True)
class StorePlan:
    """The calls that a batch means: reads, which see what was there before it, then one put of everything, then what is deleted."""

    size: int
    reads: Sequence[StoreCall]
    writes: Sequence[StoreCall]

    @classmethod
    def of(cls, ops: Iterable[Op], fields: Fields) -> StorePlan:
        """Everything checked; of several puts and deletions of one key the last counts.

        Raises:
            InvalidNamespaceError, InvalidArgument, InvalidNote: something is wrong with one of them; all are ``ValueError``.
        """
        asked = list(ops)
        reads: list[StoreCall] = []
        last: dict[tuple[tuple[str, ...], str], PutOp] = {}
        for place, op in enumerate(asked):
            _check_namespace(op)
            if isinstance(op, PutOp):
                last[tuple(op.namespace), checked_key(op.key)] = op
            else:
                reads.append(_read(op, place, fields))
        puts = [_item(op, fields) for op in last.values() if op.value is not None]
        if reads:  # putting checks them itself; with reads before it, which may give a lifetime anew, that is too late
            checked_puts(puts, Scope())
        gone = [
            StoreCall("delete", {"namespace": at, "key": key}) for (at, key), op in last.items() if op.value is None
        ]
        return cls(len(asked), reads, [*([StoreCall("put_many", {"items": puts})] if puts else []), *gone])


def _check_namespace(op: Op) -> None:
    if isinstance(op, GetOp | PutOp) and not op.namespace:
        raise InvalidNamespaceError("A namespace is empty. Hint: namespace=('users', 'ana').")
    validate_op_namespace(op)


def _read(op: Op, place: int, fields: Fields) -> StoreCall:
    if isinstance(op, GetOp):
        keywords = {"id": tuple(op.namespace), "key": checked_key(op.key), "refresh": bool(op.refresh_ttl)}
        return StoreCall("get", keywords, place, _item_of)
    if isinstance(op, SearchOp):
        return StoreCall("search", _search(op, fields), place, lambda found: [_found(record) for record in found])
    if isinstance(op, ListNamespacesOp):
        return StoreCall("list_namespaces", _listing(op), place)
    raise InvalidArgument(
        f"Unknown operation type: {type(op).__name__}.", hint="GetOp, PutOp, SearchOp or ListNamespacesOp."
    )


def _search(op: SearchOp, fields: Fields) -> dict[str, Any]:
    query = op.query if op.query and op.query.strip() and fields is not False else None
    prefix, where = tuple(op.namespace_prefix), record_filter(op.filter)
    WantedRecords.of(prefix, query, where, op.limit, op.offset, None, unscored=True, refresh=bool(op.refresh_ttl))
    return {
        "namespace_prefix": prefix, "query": query, "filter": where, "limit": op.limit, "offset": op.offset,
        "unscored": True, "refresh": bool(op.refresh_ttl),
    }  # fmt: skip


def _listing(op: ListNamespacesOp) -> dict[str, Any]:
    conditions = op.match_conditions or ()
    if strange := [each.match_type for each in conditions if each.match_type not in ("prefix", "suffix")]:
        raise InvalidArgument(f"Unsupported match type: {strange[0]!r:.80}.", hint="'prefix' or 'suffix'.")
    prefix, suffix = _all_of(conditions, "prefix"), _all_of(conditions, "suffix")
    limit = 0 if prefix is None or suffix is None else op.limit
    Namespaces.of(prefix or (), suffix or (), op.max_depth, op.limit, op.offset)
    return {
        "prefix": prefix or (), "suffix": suffix or (), "max_depth": op.max_depth, "limit": limit, "offset": op.offset,
    }  # fmt: skip


def _all_of(conditions: Iterable[MatchCondition], kind: str) -> tuple[str, ...] | None:
    """One path that is matched where all of a kind are; ``None`` where no namespace matches them all."""
    step = -1 if kind == "suffix" else 1
    paths = [tuple(each.path)[::step] for each in conditions if each.match_type == kind]
    merged: list[str] = []
    for labels in zip_longest(*paths, fillvalue="*"):
        named = set(labels) - {"*"}
        if len(named) > 1:
            return None
        merged.append(named.pop() if named else "*")
    return tuple(merged[::step])


def _item(op: PutOp, fields: Fields) -> dict[str, Any]:
    """What ``put_many`` takes."""
    index: Any = op.index if op.index is False or (op.index is not None and fields is not False) else fields or None
    if index == []:
        index = False
    elif isinstance(index, list | tuple):
        index = [path for given in index for path in _spelled(given)]
    return {"namespace": tuple(op.namespace), "key": op.key, "value": op.value, "index": index, "ttl": op.ttl}


def _spelled(path: Any) -> list[Any]:
    """The paths that one with a choice such as ``about.{title,author.name}`` stands for."""
    start, end = (path.find("{"), path.find("}")) if isinstance(path, str) else (-1, -1)
    if not 0 <= start < end:
        return [path]
    return [
        spelled
        for name in path[start + 1 : end].split(",")
        for spelled in _spelled(f"{path[:start]}{name.strip()}{path[end + 1 :]}")
    ]


def _item_of(record: Record | None) -> Item | None:
    if record is None:
        return None
    return Item(
        value=record.value, key=record.key, namespace=record.namespace, created_at=record.created_at,
        updated_at=record.updated_at,
    )  # fmt: skip


def _found(record: Record) -> SearchItem:
    return SearchItem(
        namespace=record.namespace, key=record.key, value=record.value, created_at=record.created_at,
        updated_at=record.updated_at, score=record.score,
    )  # fmt: skip
