"""The OpenAI Agents SDK on a memory: sessions that keep every item, instructions that recall, tools."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

if "AGENTMEM_FRAMEWORKS" not in os.environ:
    pytest.importorskip("agents")

from agents import Agent, RunConfig, Runner, Session, SessionSettings, set_tracing_disabled
from agents.testing import ScriptedModel
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

from agentmem import AsyncMemory, Memory, Scope
from agentmem.errors import InvalidArgument, ScopeError, ScopeRequired
from agentmem.integrations import history
from agentmem.integrations.openai_agents import (
    MemorySession,
    SessionClosed,
    memory_function_tools,
    recalled_instructions,
)
from agentmem.notes.clock import ManualClock

ROOT = Path(__file__).parents[2]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@dataclass(frozen=True)
class Visitor:
    name: str | None


def whose(visitor: Visitor) -> Scope:
    return Scope(user=visitor.name)


@pytest.fixture(autouse=True)
def untraced() -> None:
    set_tracing_disabled(True)


def user(text: str) -> Any:
    return {"role": "user", "content": text}


def says(text: str) -> list[Any]:
    part = ResponseOutputText(text=text, type="output_text", annotations=[], logprobs=[])
    return [ResponseOutputMessage(id="1", type="message", role="assistant", content=[part], status="completed")]


def calls(name: str, arguments: str) -> list[Any]:
    return [
        ResponseFunctionToolCall(
            id="2", call_id=f"{name} {arguments}", type="function_call", name=name, arguments=arguments
        )
    ]


# -- items -----------------------------------------------------------------------------------------------------------


def test_it_is_a_session_of_the_sdk(memory: Memory) -> None:
    assert isinstance(MemorySession("monday", memory), Session)


async def test_items_come_back_exactly_and_in_order(memory: Memory) -> None:
    items: list[Any] = [
        user("yes"),
        {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a": 1}'},
        {"type": "function_call_output", "call_id": "c", "output": "4711 \u0000 \ud83d"},
        {"role": "assistant", "type": "message", "content": [{"type": "output_text", "text": "Done."}]},
        user("yes"),
    ]
    session = MemorySession("monday", memory, user="ana")

    await session.add_items(items[:1])
    await session.add_items(items[1:5])
    await session.add_items(items[5:])

    assert await session.get_items() == items
    assert [await session.get_items(limit) for limit in (0, 1, 2, 99)] == [[], items[-1:], items[-2:], items]


@settings(max_examples=25, deadline=None)
@given(batches=st.lists(st.lists(st.dictionaries(st.text(max_size=8), JSON, max_size=4), max_size=4), max_size=4))
def test_any_json_comes_back(batches: list[list[Any]]) -> None:
    async def walk() -> list[Any]:
        with Memory(None, embedder="hash") as memory:
            session = MemorySession("monday", memory)
            for batch in batches:
                await session.add_items(batch)
            return await session.get_items()

    assert asyncio.run(walk()) == [item for batch in batches for item in batch]


async def test_only_what_was_said_in_words_is_a_note(memory: Memory) -> None:
    """Told as the words of who said it; the same words twice are two."""
    session = MemorySession("monday", memory, user="ana")

    await session.add_items(
        [
            user("My boat lies in Porto."),
            {"role": "user", "content": [{"type": "input_image", "image_url": "data:xyz"}]},
            {"type": "function_call_output", "call_id": "c", "output": "a boat from a tool"},
            {"role": "system", "content": "Talk of boats."},
            {"role": "assistant", "content": [{"type": "output_text", "text": "A fine boat."}]},
            user("yes"),
            user("yes"),
        ]
    )

    told = [(note.actor, note.content) for note in memory.notes(user="ana") if note.content]
    assert told == [("user", "My boat lies in Porto."), ("assistant", "A fine boat."), ("user", "yes"), ("user", "yes")]
    assert " user] My boat lies in Porto." in memory.recall("Where is the boat?", user="ana").context()
    assert memory.check(deep=True).ok


async def test_whose_words_become_notes_can_be_said(memory: Memory) -> None:
    await MemorySession("monday", memory, notes=("user",)).add_items(
        [user("a boat"), {"role": "assistant", "content": "b"}]
    )
    await MemorySession("tuesday", memory, notes=()).add_items([user("a ship")])

    assert [note.content for note in memory.notes() if note.content] == ["a boat"]


async def test_recalled_notes_in_an_item_are_not_remembered_again(memory: Memory) -> None:
    """The item is exact all the same."""
    memory.remember("The boat is blue.")
    quoted = f"Here:\n{memory.recall('boat').context()}"
    session = MemorySession("monday", memory)

    await session.add_items([user(quoted)])

    assert await session.get_items() == [user(quoted)]
    assert [note.content for note in memory.notes()] == ["The boat is blue.", "Here:"]


async def test_a_later_statement_replaces_an_earlier_one_in_recall_and_in_no_history(
    memory: Memory, clock: ManualClock
) -> None:
    session = MemorySession("monday", memory, user="ana")
    await session.add_items([user("I live in Porto.")])
    clock.advance(days=1)

    await session.add_items([user("I live in Rome.")])

    assert "Porto" not in memory.recall("Where do I live?", user="ana").context()
    assert [item["content"] for item in await session.get_items()] == ["I live in Porto.", "I live in Rome."]  # type: ignore[typeddict-item]


async def test_an_item_larger_than_a_record_is_kept_whole(memory: Memory) -> None:
    """And a very long text is found by its beginning; forgetting its note takes all of it."""
    picture = {"type": "input_image", "image_url": "data:" + "x" * (2 * history.MAX_VALUE)}
    item = {"role": "user", "content": [{"type": "input_text", "text": "a boat " + "é" * 70_000}, picture]}
    session = MemorySession("monday", memory)

    await session.add_items([user("before"), item, user("behind")])  # type: ignore[list-item]

    assert await session.get_items() == [user("before"), item, user("behind")]
    memory.forget(memory.recall("a boat")[0].note.id)
    assert await session.get_items() == [user("before"), user("behind")]
    assert memory.stats()["notes"] == 2


async def test_pop_takes_the_latest_item_with_its_note(memory: Memory) -> None:
    session = MemorySession("monday", memory)
    await session.add_items([user("yes"), user("a secret boat")])

    assert await session.pop_item() == user("a secret boat")
    assert not any("secret" in hit.note.content for hit in memory.recall("secret boat"))
    assert await session.pop_item() == user("yes")
    assert await session.pop_item() is None
    await session.add_items([user("yes")])
    assert await session.get_items() == [user("yes")]


async def test_clearing_leaves_nothing_of_this_session_and_all_of_others(memory: Memory) -> None:
    monday, tuesday = MemorySession("monday", memory), MemorySession("tuesday", memory)
    await monday.add_items([user("a boat"), {"type": "reasoning", "id": "r", "summary": []}])
    await tuesday.add_items([user("a ship")])
    memory.remember("A sail.", session="monday")

    await monday.clear_session()
    await monday.clear_session()

    assert (await monday.get_items(), await tuesday.get_items()) == ([], [user("a ship")])
    assert [note.content for note in memory.notes()] == ["a ship", "A sail."]


async def test_users_agents_and_sessions_are_kept_apart(memory: Memory) -> None:
    """Under one id, and with labels that would be paths or patterns elsewhere."""
    scopes: list[Any] = [
        ("a.b", "ana", None),
        ("a.b", "ben", None),
        ("a.b", "ana", "cook"),
        ("*", "ana", None),
        ("a", "ana", None),
    ]
    sessions = [MemorySession(id, memory, user=user_, agent=agent) for id, user_, agent in scopes]
    for number, session in enumerate(sessions):
        await session.add_items([user(f"boat {number}")])

    assert [await session.get_items() for session in sessions] == [[user(f"boat {n}")] for n in range(len(sessions))]
    await sessions[0].clear_session()
    assert [len(await session.get_items()) for session in sessions] == [0, 1, 1, 1, 1]


async def test_what_is_not_json_is_refused_and_nothing_is_written(memory: Memory) -> None:
    session = MemorySession("monday", memory)

    with pytest.raises(InvalidArgument, match="not JSON"):
        await session.add_items([user("a boat"), {"role": "user", "content": object()}])  # type: ignore[typeddict-item, list-item]

    assert await session.get_items() == []
    assert memory.notes() == []


@pytest.mark.parametrize("bad", ["", " ", None, 7, "x" * 300, "a\0b"])
def test_an_id_that_is_none_is_refused(memory: Memory, bad: Any) -> None:
    with pytest.raises(InvalidArgument):
        MemorySession(bad, memory)


def test_wrong_arguments_are_refused(memory: Memory) -> None:
    with pytest.raises(InvalidArgument, match="AsyncMemory"):
        MemorySession("monday", "a/path")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="notes"):
        MemorySession("monday", memory, notes=("everybody",))
    with pytest.raises(TypeError, match="limitt"):
        MemorySession("monday", memory, session_settings={"limitt": 1})
    with Memory(None, embedder="hash", scope=Scope(user="ana")) as bound, pytest.raises(ScopeError):
        MemorySession("monday", bound, user="ben")


async def test_settings_say_how_many_are_read_and_a_call_overrules_them(memory: Memory) -> None:
    session = MemorySession("monday", memory, session_settings={"limit": 1})
    await session.add_items([user("a"), user("b")])

    assert session.session_settings == SessionSettings(limit=1)
    assert await session.get_items() == [user("b")]
    assert await session.get_items(limit=5) == [user("a"), user("b")]


async def test_a_closed_session_takes_no_call_and_the_memory_stays_open(memory: Memory) -> None:
    session = MemorySession("monday", memory)
    session.close()
    session.close()

    for call in (session.get_items, session.pop_item, session.clear_session, lambda: session.add_items([])):
        with pytest.raises(SessionClosed, match="MemorySession is closed"):
            await call()
    assert memory.notes() == []


# -- restarts, processes, threads, cancellation -------------------------------------------------------------------------


async def test_a_session_survives_a_restart(open_memory: Callable[..., Memory]) -> None:
    first = open_memory()
    await MemorySession("monday", first, user="ana").add_items([user("a boat"), user("a boat")])
    first.close()

    again = MemorySession("monday", open_memory(), user="ana")
    await again.add_items([user("later")])

    assert await again.get_items() == [user("a boat"), user("a boat"), user("later")]


def test_processes_share_a_session(tmp_path: Path) -> None:
    """What two processes add at the same time is all there, each one's in its order."""
    code = f"""
import asyncio, sys
from agentmem import Memory
from agentmem.integrations.openai_agents import MemorySession
async def main(name):
    with Memory({str(tmp_path / "memory")!r}, embedder="hash") as memory:
        for number in range(6):
            await MemorySession("monday", memory).add_items([{{"role": "user", "content": f"{{name}} {{number}} {{p}}"}} for p in (0, 1)])
asyncio.run(main(sys.argv[1]))
"""
    Memory(tmp_path / "memory", embedder="hash").close()
    runs = [subprocess.Popen([sys.executable, "-c", code, name], cwd=ROOT) for name in ("a", "b")]
    assert [run.wait(timeout=100) for run in runs] == [0, 0]

    with Memory(tmp_path / "memory", embedder="hash") as memory:
        items = [str(item["content"]) for item in asyncio.run(MemorySession("monday", memory).get_items())]  # type: ignore[typeddict-item]
    assert sorted(items) == sorted(f"{name} {n} {p}" for name in "ab" for n in range(6) for p in (0, 1))
    for name in "ab":
        assert [item for item in items if item[0] == name] == [f"{name} {n} {p}" for n in range(6) for p in (0, 1)]
    assert all(items[at][:-1] == items[at + 1][:-1] for at in range(0, len(items), 2))  # nothing between two of a batch


async def test_many_at_once_lose_nothing(memory: Memory) -> None:
    sessions = [MemorySession("monday", memory) for _ in range(3)]

    await asyncio.gather(*(session.add_items([user(f"{n}")]) for n in range(8) for session in sessions))
    popped = await asyncio.gather(*(sessions[0].pop_item() for _ in range(6)))

    assert len(await sessions[1].get_items()) == 24 - 6
    assert None not in popped


@pytest.mark.parametrize("operation", ["add", "pop", "clear"])
async def test_a_change_that_has_begun_is_carried_out(memory: Memory, monkeypatch: Any, operation: str) -> None:
    """Its caller is cancelled, twice, and hears so when the outcome is there."""
    session = MemorySession("monday", memory)
    if operation != "add":
        await session.add_items([user("once")])
    begun, go_on = threading.Event(), threading.Event()
    verb = {"add": "put_many", "pop": "forget", "clear": "forget"}[operation]
    through = getattr(memory, verb)

    def slowly(*args: Any, **kwargs: Any) -> Any:
        begun.set()
        assert go_on.wait(timeout=10)
        return through(*args, **kwargs)

    monkeypatch.setattr(memory, verb, slowly)
    call = {"add": lambda: session.add_items([user("once")]), "pop": session.pop_item, "clear": session.clear_session}
    task: asyncio.Task[Any] = asyncio.ensure_future(call[operation]())
    await asyncio.to_thread(begun.wait, 10)
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0.01)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await session.get_items() == ([user("once")] if operation == "add" else [])


async def test_the_event_loop_is_free_while_a_memory_works(memory: Memory, monkeypatch: Any) -> None:
    """What is awaited beside it goes on; here it is what lets the memory go on."""
    go_on = threading.Event()
    through = memory.search
    monkeypatch.setattr(memory, "search", lambda *args, **kwargs: (go_on.wait(timeout=10), through(*args, **kwargs))[1])

    reading = asyncio.ensure_future(MemorySession("monday", memory).get_items())
    await asyncio.sleep(0.01)
    go_on.set()

    assert await reading == []


async def test_an_async_memory_serves_as_well() -> None:
    async with AsyncMemory(None, embedder="hash") as memory:
        session = MemorySession("monday", memory, user="ana")
        await session.add_items([user("a boat"), user("a ship")])
        assert await session.pop_item() == user("a ship")
        await session.clear_session()
        assert await session.get_items() == []


# -- in the framework ----------------------------------------------------------------------------------------------------


async def test_a_conversation_goes_on_where_it_ended(open_memory: Callable[..., Memory]) -> None:
    """In the real runner, streamed and not, across a restart."""
    model = ScriptedModel([says("Hello Ana."), says("Porto."), says("Yes.")])
    agent = Agent(name="a", model=model)
    first = open_memory()
    await Runner.run(agent, "I am Ana.", session=MemorySession("monday", first, user="ana"))
    first.close()
    session = MemorySession("monday", open_memory(), user="ana")

    streamed = Runner.run_streamed(agent, "I live in Porto.", session=session)
    async for _ in streamed.stream_events():
        pass
    await Runner.run(agent, "Really?", session=session, run_config=RunConfig(session_settings=SessionSettings(limit=2)))

    assert len(await session.get_items()) == 6
    assert len(model.calls[1].input) == 3
    assert len(model.calls[2].input) == 3  # two of history, and the question


async def test_recall_brings_what_was_said_in_another_session_and_of_nobody_else(memory: Memory) -> None:
    await MemorySession("monday", memory, user="ana").add_items([user("My boat is called Nimbus.")])
    await MemorySession("monday", memory, user="ben").add_items([user("My boat is called Cirrus.")])
    model = ScriptedModel([says("Nimbus.")] * 2)
    agent = Agent[Visitor](
        name="a", model=model, instructions=recalled_instructions(memory, lambda c, a: "Be brief.", whose=whose)
    )
    session = MemorySession("tuesday", memory, user="ana")

    await Runner.run(agent, "What is my boat called?", session=session, context=Visitor("ana"))
    told = str(model.calls[0].system_instructions)
    assert told.startswith("Be brief.")
    assert "Nimbus" in told
    assert "Cirrus" not in told
    assert "What is my boat called?" not in told  # the conversation shows it
    assert "Nimbus" not in str((await session.get_items())[0])
    await Runner.run(agent, "What is my boat called?", session=session, context=Visitor("ana"))
    assert str(model.calls[1].system_instructions).count("Nimbus") == 1  # nor is its own answer a source
    assert sum("Nimbus" in note.content for note in memory.notes(user="ana")) == 3


async def test_a_run_that_names_nobody_reads_and_writes_nothing(memory: Memory) -> None:
    agent = Agent[Visitor](
        name="a", model=ScriptedModel([says("x")]), instructions=recalled_instructions(memory, whose=whose)
    )

    with pytest.raises(ScopeRequired):
        await Runner.run(agent, "Where?", context=Visitor(None))


async def test_the_tools_write_and_read_for_whom_the_run_is(memory: Memory) -> None:
    """Whatever the model writes into its arguments; what it gets wrong it is told."""
    model = ScriptedModel(
        [
            calls("remember", '{"text": "Ana sails a boat called Nimbus."}'),
            calls("recall", '{"query": "boat"}'),
            calls("recall", '{"query": "boat", "user": "ana"}'),
            says("Done."),
            calls("recall", '{"query": "boat"}'),
            says("Nothing."),
        ]
    )
    agent = Agent[Visitor](name="a", model=model, tools=list(memory_function_tools(memory, whose=whose)))

    await Runner.run(agent, "Remember it.", context=Visitor("ana"))
    await Runner.run(agent, "Do you know it?", context=Visitor("ben"))

    outputs = [
        item["output"] for call in model.calls for item in call.input if item.get("type") == "function_call_output"
    ]
    assert "Remembered." in outputs[0]
    assert any("Nimbus" in output for output in outputs)
    assert any("takes no such 'user'" in output for output in outputs)
    assert outputs[-1] == "Nothing in memory fits."
    assert [tool.name for tool in memory_function_tools(memory, forget=True)] == ["recall", "remember", "forget"]
