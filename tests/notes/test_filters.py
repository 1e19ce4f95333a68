"""Filters: what may be written, and what it means."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from agentmem.errors import InvalidArgument
from agentmem.notes.filters import And, Compare, Filter, Not, Or, matches, parse
from agentmem.notes.note import Fact, MemoryState, Note, Scope

MAY = datetime(2026, 5, 1, tzinfo=UTC)
NOTE = Note(
    id="n1",
    content="Ana moved to Porto",
    kind="semantic",
    scope=Scope(user="ana", session="s1"),
    actor="ana",
    occurred_at=MAY,
    created_at=MAY,
    tags=("work", "city"),
    importance=0.7,
    facts=(Fact("Ana", "lives in", "Porto"),),
    metadata={"project": "x", "rank": 3, "done": True, "ratio": 0.1, "names": ["a", 1], "nothing": None},
    state=MemoryState(1.0, 5.0, MAY),
)


def hits(where: object) -> bool:
    return matches(parse(where), NOTE)


@pytest.mark.parametrize(
    "where",
    [
        {},
        None,
        {"kind": "semantic"},
        {"kind": {"$ne": "episodic"}, "user": "ana"},
        {"tags": "work"},
        {"tags": {"$contains": "city"}},
        {"tags": {"$in": ["nope", "city"]}},
        {"keywords": {"$exists": False}},
        {"occurred_at": {"$gte": MAY, "$lt": MAY + timedelta(days=1)}},
        {"occurred_at": MAY.astimezone(timezone(timedelta(hours=5)))},
        {"occurred_at": "2026-05-01T00:00:00Z"},
        {"valid_to": None},
        {"actor": {"$ne": None}},
        {"agent": {"$ne": "bot"}},
        {"agent": {"$nin": ["bot"]}},
        {"importance": {"$gt": 0.5, "$lte": 0.7}},
        {"archived": False},
        {"subject": "Ana", "relation": "lives in", "object": {"$in": ("Porto",)}},
        {"version": 1},
        {"content": {"$contains": "Porto"}},
        {"metadata.project": "x"},
        {"metadata.rank": {"$gte": 3}},
        {"metadata.rank": 3.0},
        {"metadata.done": True},
        {"metadata.names": {"$contains": 1}},
        {"metadata.names": {"$in": ["z", "a"]}},
        {"metadata.missing": {"$exists": False}},
        {"metadata.nothing": {"$exists": False}},
        {"$or": [{"kind": "episodic"}, {"actor": "ana"}]},
        {"$and": [{"kind": "semantic"}, {"actor": "ana"}]},
        {"$not": {"actor": "ben"}},
        {"$not": {"agent": {"$gt": "a"}}},
        {"id": {"$in": ["n1"]}},
    ],
)
def test_a_filter_that_holds(where: object) -> None:
    """Every operator finds the note it describes."""
    assert hits(where)


@pytest.mark.parametrize(
    "where",
    [
        {"kind": "episodic"},
        {"agent": "bot"},
        {"agent": {"$gt": ""}},
        {"agent": {"$in": ["bot"]}},
        {"thread": {"$exists": True}},
        {"tags": "wor"},
        {"tags": {"$nin": ["work"]}},
        {"metadata.done": 1},
        {"metadata.rank": True},
        {"metadata.rank": "3"},
        {"metadata.rank": {"$gt": "0"}},
        {"metadata.project": {"$in": []}},
        {"$or": [{"kind": "episodic"}, {"actor": "ben"}]},
        {"$not": {"actor": "ana"}},
        {"context": {"$exists": True}},
    ],
)
def test_a_filter_that_does_not_hold(where: object) -> None:
    """Missing values, other types and other values do not match."""
    assert not hits(where)


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ({"colour": "red"}, "the fields are"),
        ({"metadata.a-b": 1}, "the fields are"),
        ({"metadata.": 1}, "the fields are"),
        ({"metadata.x; DROP TABLE note": 1}, "the fields are"),
        ({"metadata.x\n": 1}, "the fields are"),
        ({"kind": {"$like": "s%"}}, "it has $eq"),
        ({"archived": {"$gt": True}}, "it has $eq"),
        ({"archived": None}, "True or False"),
        ({"tags": {"$eq": "a"}}, "it has $in"),
        ({"kind": 3}, "it needs text"),
        ({"importance": "high"}, "a number"),
        ({"importance": True}, "a number"),
        ({"importance": float("nan")}, "leave the bound out"),
        ({"importance": 10**400}, "leave the bound out"),
        ({"occurred_at": "yesterday"}, "ISO 8601"),
        ({"occurred_at": 5}, "ISO 8601"),
        ({"metadata.rank": {"$gt": True}}, "use $eq"),
        ({"kind": {"$in": "semantic"}}, "['a', 'b']"),
        ({"kind": {"$exists": 1}}, "$exists"),
        ({"kind": {}}, "$exists"),
        ({"kind": ["semantic"]}, "it needs text"),
        ({"content": "\ud800"}, "surrogates"),
        ({"$xor": []}, "$and, $or and $not"),
        ({"$or": []}, "$or"),
        ({"$or": [{}]}, "semantic"),
        ({"$not": []}, "semantic"),
        ({3: 4}, "semantic"),
        ("kind", "semantic"),
        ({"id": {"$in": ["x"] * 10_001}}, "several calls"),
    ],
)
def test_a_mistake_says_what_exists(where: object, says: str) -> None:
    """A wrong filter is refused before anything is read, and the hint names the cure."""
    with pytest.raises(InvalidArgument) as caught:
        parse(where)

    assert says in caught.value.hint


def test_nesting_has_an_end() -> None:
    """A filter cannot exhaust the stack."""
    where: dict[str, object] = {"kind": "semantic"}
    for _ in range(5000):
        where = {"$not": where}

    with pytest.raises(InvalidArgument, match="nested"):
        parse(where)


def test_the_tree_is_a_value() -> None:
    """Equal filters are equal trees, and a tree can be parsed again or combined."""
    one = parse({"kind": "semantic", "$or": [{"actor": "a"}, {"$not": {"actor": "b"}}]})

    assert one == And(
        (
            Compare("kind", "$eq", "semantic"),
            Or((Compare("actor", "$eq", "a"), Not(Compare("actor", "$eq", "b")))),
        )
    )
    assert parse(one) == one
    assert parse({"$and": [one, {"actor": "c"}]}) == And((one, Compare("actor", "$eq", "c")))


def test_huge_metadata_numbers_keep_their_value() -> None:
    """Metadata integers of any size compare exactly."""
    note = replace(NOTE, metadata={"n": 2**70 + 1})

    assert matches(parse({"metadata.n": 2**70 + 1}), note)
    assert not matches(parse({"metadata.n": 2**70}), note)


@pytest.mark.parametrize(
    "tree",
    [
        And(()),
        Or(()),
        Compare("secret", "$eq", "x"),
        Compare("kind", "$like", "x"),
        Compare("kind", "$in", "semantic"),
        Compare("kind", "$in", ((1,),)),  # type: ignore[arg-type]
        Compare("occurred_at", "$gt", "yesterday"),
        Compare("metadata.x') OR (1", "$eq", 1),
        Compare("archived", "$eq", 1),
        Not("kind"),  # type: ignore[arg-type]
        Compare(3, "$eq", 1),  # type: ignore[arg-type]
    ],
)
def test_a_tree_made_by_hand_is_checked_like_a_filter_that_is_written(tree: Filter) -> None:
    """A filter object is what a caller makes of it, so it is no more believed than a mapping."""
    with pytest.raises(InvalidArgument):
        parse(tree)


def test_a_filter_parsed_before_stays_as_it_is() -> None:
    """Parsing twice changes nothing."""
    written = {
        "kind": {"$in": ["semantic"]},
        "occurred_at": {"$gte": "2026-01-01T00:00:00Z"},
        "$not": {"tags": "x", "valid_to": None},
    }
    parsed = parse({"$or": [written, {"metadata.a": {"$gt": 1}}]})

    assert parse(parsed) == parsed
