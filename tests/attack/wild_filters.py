"""Random filters: nested, of every operator, about every field, and wrong in every way that a caller could think of."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any

from agentmem.notes.filters import And, Compare, Not, Or, kind_of

FIELDS = (
    "id content kind actor user agent session thread source context subject relation object occurred_at created_at valid_from "
    "valid_to importance trust version tags keywords archived metadata.a metadata.mark"
).split()
ORDER = ["$gt", "$gte", "$lt", "$lte"]
OPERATORS = {
    "text": ["$eq", "$ne", *ORDER, "$in", "$nin", "$contains", "$exists"],
    "any": ["$eq", "$ne", *ORDER, "$in", "$nin", "$contains", "$exists"],
    "time": ["$eq", "$ne", *ORDER, "$in", "$nin", "$exists"],
    "number": ["$eq", "$ne", *ORDER, "$in", "$nin", "$exists"],
    "list": ["$in", "$nin", "$contains", "$exists"],
    "flag": ["$eq", "$ne"],
}
WORDS = ["", "a", "the", "work", "episodic", "semantic", "user", "'", "') OR (1", "%", "1=1", "n.owner > 0", "\0", "é"]
EITHER: dict[str, Any] = {"$or": [{"kind": "semantic"}, {"kind": {"$ne": "semantic"}}]}
WRONG: list[Any] = [
    {"$or": []}, {"$and": [{}]}, {"$nor": [{"kind": "semantic"}]}, {"kind": {"$like": "%"}}, {"owner": 1}, {"n.owner": {"$gt": 0}},
    {"metadata.a') OR 1 --": 1}, {"metadata.a.b": 1}, {"kind": {"$in": "semantic"}}, {"importance": {"$gt": "1 OR 1"}}, {"archived": "no"},
    {"$not": []}, {1: 2}, "1 OR 1", ["kind"], 7, {"created_at": {"$gt": "now"}}, {"$or": [{"kind": "semantic"}, "1"]}, {"kind": {}},
    And(()), Or(()), Not("1"), Compare("1) OR (1", "$eq", 1), Compare("kind", ") OR (", "x"), {"tags": {"$contains": ["x"]}},
    {"metadata.a": {"$gt": float("nan")}}, {"kind": "\ud800"}, {"$and": {"kind": "semantic"}}, {"kind": {"$exists": "yes"}},
]  # fmt: skip


def wild_filter(rng: Random, words: list[str]) -> Any:
    """One in six is wrong; of the others many hold for everything, so that what they are joined with is all that keeps them in."""
    draw = rng.random()
    if draw < 0.16:
        return rng.choice(WRONG)
    if draw < 0.3:
        return rng.choice(
            [EITHER, {"$and": [EITHER]}, {"$not": {"$not": EITHER}}, {"$or": [EITHER, {"$and": [EITHER]}]}]
        )
    made = _filter(rng, words, 3)
    return {"$or": [made, {"$not": made}]} if draw < 0.5 else made


def _filter(rng: Random, words: list[str], depth: int) -> dict[str, Any]:
    shape = rng.choice(["test", "test", "$and", "$or", "$or", "$not", "both"]) if depth else "test"
    if shape in ("$and", "$or"):
        return {shape: [_filter(rng, words, depth - 1) for _ in range(rng.randint(1, 3))]}
    if shape == "$not":
        return {"$not": _filter(rng, words, depth - 1)}
    if shape == "both":
        return {**_test(rng, words), "$or": [_filter(rng, words, depth - 1) for _ in range(2)]}
    return _test(rng, words)


def _test(rng: Random, words: list[str]) -> dict[str, Any]:
    field = rng.choice(FIELDS)
    kind = kind_of(field)
    op = rng.choice(OPERATORS[kind])
    if op == "$exists":
        return {field: {op: rng.random() < 0.5}}
    if op in ("$in", "$nin"):
        return {field: {op: [_value(rng, kind, words) for _ in range(rng.randint(0, 3))]}}
    value = _value(rng, kind, words)
    if op in ORDER and isinstance(value, bool):
        value = 0
    return {field: {op: value}}


def _value(rng: Random, kind: str, words: list[str]) -> Any:
    if kind == "time":
        return datetime(2026, rng.randint(1, 12), 1, tzinfo=UTC)
    if kind == "number":
        return rng.choice([0, 0.5, 1, -1, 2**63])
    if kind == "flag":
        return rng.random() < 0.5
    if kind == "any" and rng.random() < 0.5:
        return rng.choice([0, 1, 2.5, True, False])
    return rng.choice([*WORDS, *words])
