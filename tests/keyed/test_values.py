"""What of a value is its text, and which values satisfy a filter: pure functions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem.errors import InvalidArgument
from agentmem.keyed.filters import matches, parse
from agentmem.keyed.record import checked_value, labels, written
from agentmem.keyed.text import checked_index, text_of
from agentmem.notes import filters as notes_filters
from agentmem.notes.passages import PART, passages

VALUE = {
    "title": "A boat", "n": 3, "done": True, "none": None, "author": {"name": "Ana", "age": 41, "tags": ["x", "y"]},
    "chapters": [{"text": "one", "page": 1}, {"text": "two", "page": 20}], "a.b": "dotted", "a-c": 1, "0": "zero", "empty": [],
}  # fmt: skip


# -- the text ------------------------------------------------------------------------------------------------------


def test_the_text_is_every_string_in_the_order_of_the_names() -> None:
    assert text_of(VALUE, None) == "zero\ndotted\nAna\nx\ny\none\ntwo\nA boat"
    assert text_of(dict(reversed(VALUE.items())), None) == text_of(VALUE, None)


@pytest.mark.parametrize(
    ("index", "text"),
    [
        (False, ""), (["title"], "A boat"), (["title", "author.name"], "A boat\nAna"), (["chapters[*].text"], "one\ntwo"),
        (["chapters[1].text"], "two"), (["chapters[-1].text"], "two"), (["author"], "Ana\nx\ny"), (["n", "done"], "3\ntrue"),
        (["author.*"], "41\nAna\nx\ny"), (["chapters[9].text", "nothing.there"], ""), (["none", "empty"], ""), (["$"], text_of(VALUE, None)),
        (["author.tags[0]"], "x"), (["a-c"], "1"),
    ],
)  # fmt: skip
def test_paths_lead_to_what_is_read(index: Any, text: str) -> None:
    assert text_of(VALUE, checked_index(index)).replace(PART, "") == text


def test_what_paths_lead_to_are_parts_each_compared_by_itself() -> None:
    value = {"title": f"A boat{PART}", "tags": ["blue", "", "in Porto"], "more": {"x": "one", "y": "two"}}

    assert passages(text_of(value, ["title", "tags[*]", "more"])) == ["A boat", "blue", "in Porto", "one\ntwo"]
    assert passages(text_of(value, ["title"])) == passages(text_of(value, None)) == []
    assert len(passages(text_of({"tags": [str(n) for n in range(1000)]}, ["tags[*]"]))) <= 128


@pytest.mark.parametrize(
    "index", [True, "title", [], [""], ["a..b"], ["a["], ["a[x]"], [".a"], ["a."], [3], {"a": 1}, ["x"] * 99]
)
def test_what_is_no_index_is_refused(index: Any) -> None:
    with pytest.raises(InvalidArgument) as error:
        checked_index(index)

    assert error.value.hint


def test_a_text_that_is_too_long_is_refused_with_a_way_out() -> None:
    with pytest.raises(InvalidArgument) as error:
        text_of({"a": "x" * 70_000}, None)

    assert "index=False" in error.value.hint


# -- filters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ({"title": "A boat"}, True), ({"title": "a boat"}, False), ({"n": {"$gte": 3, "$lt": 4}}, True), ({"n": {"$gt": 3}}, False),
        ({"n": "3"}, False), ({"n": True}, False), ({"done": True}, True), ({"done": 1}, False), ({"author.name": "Ana"}, True),
        ({"author": {"name": "Ana", "age": {"$gt": 40}}}, True), ({"author": {"name": "Ben"}}, False),
        ({"author.tags": {"$contains": "x"}}, True), ({"author.tags": {"$contains": "z"}}, False), ({"author.tags": ["x", "y"]}, True),
        ({"author.tags": ["y", "x"]}, False), ({"author.tags": {"$ne": ["x"]}}, True), ({"author.tags": {"$in": ["y", "q"]}}, True),
        ({"chapters.page": {"$gt": 10}}, True), ({"chapters.page": {"$gt": 30}}, False), ({"chapters.page": {"$ne": 1}}, False),
        ({"chapters.page": {"$nin": [5, 6]}}, True), ({"chapters.0.page": 1}, True), ({"chapters.1.page": 1}, False),
        ({"chapters.7.page": {"$exists": False}}, True), ({"none": None}, True), ({"none": {"$exists": False}}, True),
        ({"missing": {"$ne": 1}}, True), ({"missing": 1}, False), ({"title": {"$exists": True}}, True), ({"a.b": "dotted"}, True),
        ({"a-c": {"$in": [1, 2]}}, True), ({"0": "zero"}, True), ({"empty": []}, True), ({"title": {"$contains": "boat"}}, True),
        ({"$or": [{"n": 9}, {"title": "A boat"}]}, True), ({"$and": [{"n": 9}, {"title": "A boat"}]}, False),
        ({"$not": {"n": 9}}, True), ({"author": {"$not": {"age": {"$gt": 40}}}}, False), ({"n": {"$not": {"$gt": 5}}}, True),
        ({"title": "A boat", "n": 4}, False), (None, True), ({}, True),
    ],
)  # fmt: skip
def test_a_filter_says_which_values_are_meant(where: Any, holds: bool) -> None:
    assert matches(parse(where), VALUE) is holds


@pytest.mark.parametrize(
    "where",
    [
        [], "x", {1: 2}, {"": 1}, {"$gt": 3}, {"a": {"$bad": 1}}, {"a": {}}, {"$or": []}, {"$or": {"a": 1}}, {"a": {"$in": "x"}},
        {"a": {"$gt": True}}, {"a": float("nan")}, {"a": [float("nan")]}, {"a": {1}}, {"a": {"$exists": 1}}, {"$nor": [{"a": 1}]},
        {"a": "\ud800"}, {"$or": [{"a": 1}] * 2000},
    ],
)  # fmt: skip
def test_what_is_no_filter_is_refused(where: Any) -> None:
    with pytest.raises(InvalidArgument) as error:
        parse(where)

    assert error.value.hint


def test_a_filter_that_is_nested_without_end_is_refused() -> None:
    where: Any = {"a": 1}
    for _ in range(100):
        where = {"$not": where}
    with pytest.raises(InvalidArgument):
        parse(where)


PLAIN = st.one_of(st.booleans(), st.integers(-3, 3), st.sampled_from(["a", "b", ""]), st.floats(-2, 2))
OPERATORS = st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"])


@given(st.one_of(st.none(), PLAIN), OPERATORS, PLAIN)
def test_an_operator_means_what_it_means_of_notes(stored: Any, op: str, wanted: Any) -> None:
    """On a plain value the two languages agree."""
    if op not in ("$eq", "$ne") and isinstance(wanted, bool):
        return
    where = parse({"x": {op: wanted}})

    assert matches(where, {"x": stored}) == notes_filters.compare(op, stored, wanted)


# -- names and values ------------------------------------------------------------------------------------------------

LABELS = st.lists(st.text(min_size=1).filter(lambda label: "." not in label), max_size=4).map(tuple)


@given(LABELS, LABELS)
def test_a_written_namespace_begins_with_exactly_those_above_it(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert labels(written(one)) == one
    assert written(one).startswith(written(other)) == (one[: len(other)] == other)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)), max_leaves=10,
)  # fmt: skip


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_a_value_reads_as_it_was_written(value: dict[str, Any]) -> None:
    import json

    again = json.loads(checked_value(value))

    assert again == value
    assert repr(again) == repr(value)
