"""A note is the same note after it was plain values."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem import Fact, Memory, Note, Scope
from agentmem.errors import InvalidArgument
from agentmem.notes.note import MemoryState

MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - given a zone
NAMES = st.one_of(st.none(), st.text())
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), NUMBERS, st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=8,
)
FACTS = st.builds(
    Fact, st.text(), st.text(), st.text(), st.booleans(), NAMES, st.lists(st.text(), max_size=2).map(tuple),
    st.none() | MOMENTS, st.none() | MOMENTS, NAMES,
)  # fmt: skip
NOTES = st.builds(
    Note, id=st.text(), content=st.text(), kind=st.sampled_from(("episodic", "semantic", "experience", "thought")),
    scope=st.builds(Scope, NAMES, NAMES, NAMES), actor=NAMES, thread=NAMES, position=st.one_of(st.none(), st.integers()),
    occurred_at=MOMENTS, created_at=MOMENTS, valid_from=st.one_of(st.none(), MOMENTS), valid_to=st.one_of(st.none(), MOMENTS),
    keywords=st.lists(st.text(), max_size=2).map(tuple), tags=st.lists(st.text(), max_size=2).map(tuple), context=st.text(),
    importance=NUMBERS, source=NAMES, trust=NUMBERS, state=st.builds(MemoryState, NUMBERS, NUMBERS, MOMENTS, st.integers()),
    archived_at=st.one_of(st.none(), MOMENTS), facts=st.lists(FACTS, max_size=3).map(tuple), metadata=st.dictionaries(st.text(), JSON, max_size=3),
    version=st.integers(),
)  # fmt: skip


@given(NOTES)
def test_any_note_comes_back_from_json_as_it_was(note: Note) -> None:
    assert Note.from_dict(json.loads(json.dumps(note.to_dict()))) == note


def test_a_stored_note_comes_back_as_it_was(memory: Memory) -> None:
    note = memory.get(
        str(memory.remember("I live in Porto.", user="ana", tags=["home"], metadata={"a": [1, {"b": None}]}).id),
        user="ana",
    )

    assert note.fact is not None
    assert Note.from_dict(json.loads(json.dumps(note.to_dict()))) == note


def _plain(**changed: Any) -> dict[str, Any]:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    note = Note(id="1", content="x", occurred_at=now, created_at=now, state=MemoryState(1.0, 5.0, now))
    return note.to_dict() | changed


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (_plain(colour="red"), "'colour'"), (_plain(fact={"subject": "a", "relation": "b", "object": "c", "d": 1}), "'d'"),
        (_plain(content=3), "'content'"), (_plain(content=None), "'content'"), (_plain(version=True), "'version'"),
        (_plain(importance=float("nan")), "'importance'"), (_plain(occurred_at="2026-03-01"), "zone"),
        (_plain(kind="other"), "'kind'"), (_plain(metadata={"a": {1}}), "'metadata'"), (_plain(tags="work"), "'tags'"),
        (_plain(state={"stability": 1.0}), "difficulty"), (_plain(scope=["ana"]), "mapping"), (["id"], "mapping"),
        ({"id": "1"}, "lacks"),
    ],
)  # fmt: skip
def test_what_is_no_note_is_told_with_its_place(values: Any, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said) as error:
        Note.from_dict(values)

    assert error.value.hint


def test_metadata_that_is_no_json_is_told() -> None:
    note = Note.from_dict(_plain())
    object.__setattr__(note, "metadata", {"a": float("nan")})

    with pytest.raises(InvalidArgument, match="not JSON"):
        note.to_dict()
