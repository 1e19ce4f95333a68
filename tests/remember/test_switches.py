"""What is true or false is said so: a text that reads "false" is true to Python."""

from __future__ import annotations

import inspect

import pytest

from agentmem import Memory
from agentmem.errors import InvalidArgument
from agentmem.events.watched import WATCHED

SWITCHES = [
    (name, parameter.name)
    for name, method in inspect.getmembers(Memory, lambda each: hasattr(each, WATCHED))
    for parameter in inspect.signature(method).parameters.values()
    if parameter.annotation == "bool"
]


def test_there_are_switches() -> None:
    assert {("forget", "shared"), ("export", "everything"), ("consolidate", "dry_run")} <= set(SWITCHES)


@pytest.mark.parametrize(("verb", "switch"), SWITCHES)
@pytest.mark.parametrize("value", ["false", 0, None])
def test_a_switch_is_true_or_false(memory: Memory, verb: str, switch: str, value: object) -> None:
    memory.remember("The office is closed on Fridays.")
    method = getattr(memory, verb)
    needed = [
        "x"
        for each in inspect.signature(method).parameters.values()
        if each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD
    ]
    with pytest.raises(InvalidArgument, match=f"{switch} must be True or False"):
        method(*needed, **{switch: value})
    assert len(memory.notes()) == 1


def test_shared_notes_stay_where_a_text_says_no(memory: Memory) -> None:
    memory.remember("The office is closed on Fridays.")
    memory.remember("Ana's note.", user="ana")
    with pytest.raises(InvalidArgument):
        memory.forget({"kind": "episodic"}, user="ana", shared="false")  # type: ignore[arg-type]
    assert len(memory.notes(user="ana")) == 2


def test_a_memory_is_opened_for_reading_or_not() -> None:
    with pytest.raises(InvalidArgument, match="read_only"):
        Memory(None, embedder="hash", read_only="no")  # type: ignore[arg-type]


def test_a_switch_by_its_place_is_one_as_well(memory: Memory) -> None:
    with pytest.raises(InvalidArgument, match="dry_run must be True or False"):
        memory.fade("false")  # type: ignore[arg-type]
