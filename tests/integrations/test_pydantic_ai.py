"""A memory in Pydantic AI: recall before the answer, remember after the run, tools; each run for whom its dependencies name."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest

if "AGENTMEM_FRAMEWORKS" not in os.environ:
    pytest.importorskip("pydantic_ai")

from pydantic_ai import Agent, models
from pydantic_ai.messages import ImageUrl, ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel

from agentmem import AsyncMemory, Memory, Scope
from agentmem.errors import InvalidArgument, ScopeRequired
from agentmem.integrations.history import Spoken
from agentmem.integrations.pydantic_ai import MemoryCapability, memory_toolset
from agentmem.integrations.turns import keep_turns
from agentmem.notes.clock import ManualClock


@dataclass(frozen=True)
class Visitor:
    name: str | None


ANA, BEN = Visitor("ana"), Visitor("ben")


def whose(visitor: Visitor) -> Scope:
    return Scope(user=visitor.name)


@pytest.fixture(autouse=True)
def no_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "ALLOW_MODEL_REQUESTS", False)


class Script:
    """A model that answers from a list, and what it was told."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.told = list(answers), []  # type: ignore[var-annotated]

    def __call__(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.told.append(info.instructions or "")
        self.messages, self.info = messages, info
        answer = self.answers.pop(0)
        return ModelResponse(parts=[TextPart(answer) if isinstance(answer, str) else answer])

    async def stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        for word in self(messages, info).parts[0].content.split():  # type: ignore[union-attr]
            yield f"{word} "

    def agent(self, memory: Any, **options: Any) -> Agent[Any, str]:
        model = FunctionModel(self, stream_function=self.stream)
        instructions = options.pop("instructions", None)
        capability = MemoryCapability(memory, whose=whose, **options)
        return Agent(model, deps_type=Visitor, capabilities=[capability], instructions=instructions)


async def test_what_one_run_told_another_recalls_and_nobody_else(memory: Memory, clock: ManualClock) -> None:
    script = Script("Noted.", "Nimbus.", "I do not know.")
    agent = script.agent(memory, instructions="Be brief.")

    await agent.run("My boat is called Nimbus.", deps=ANA)
    clock.advance(days=1)
    await agent.run("What is my boat called?", deps=ANA)
    await agent.run("What is my boat called?", deps=BEN)

    assert ["Nimbus" in told for told in script.told] == [False, True, False]
    assert all("Be brief." in told for told in script.told)
    assert memory.recall("boat", user="ben").context().count("Nimbus") == 0


@pytest.mark.parametrize("instructions", [None, "Be brief."])
@pytest.mark.parametrize("tools", [True, False])
async def test_what_is_recalled_is_in_the_instructions_and_in_no_history(
    memory: Memory, instructions: str | None, tools: bool
) -> None:
    memory.remember("The boat is called Nimbus.", user="ana")
    script = Script("A fine boat.")

    result = await script.agent(memory, instructions=instructions, tools=tools).run("Which boat?", deps=ANA)

    assert "Nimbus" in script.told[0]
    assert "Nimbus" not in str(script.messages[0].parts)
    assert b"Nimbus" not in result.all_messages_json()
    assert [note.content for note in memory.notes(user="ana")] == [
        "The boat is called Nimbus.",
        "Which boat?",
        "A fine boat.",
    ]


async def test_both_turns_are_kept_in_the_conversation_they_belong_to(memory: Memory, clock: ManualClock) -> None:
    script = Script("Hello.", "Very well.", "Hello.")
    agent = script.agent(memory)

    first = await agent.run("Yes", deps=ANA)
    clock.advance(minutes=1)
    second = await agent.run("Yes", deps=ANA, message_history=first.all_messages())
    clock.advance(minutes=1)
    await agent.run("Yes", deps=ANA)

    notes = memory.notes(user="ana")
    assert [note.actor for note in notes] == ["user", "assistant"] * 3
    assert len({note.scope.session for note in notes}) == 2
    assert notes[0].scope.session == notes[2].scope.session
    assert len(second.all_messages()) == 4


async def test_what_the_conversation_shows_is_not_told_again(memory: Memory) -> None:
    script = Script("Noted.", "Nimbus.")
    agent = script.agent(memory)
    first = await agent.run("My boat is called Nimbus.", deps=ANA)

    await agent.run("What is my boat called?", deps=ANA, message_history=first.all_messages())

    assert "Nimbus" not in script.told[1]


async def test_a_streamed_run_recalls_and_remembers(memory: Memory) -> None:
    memory.remember("The boat is called Nimbus.", user="ana")
    script = Script("A fine boat.")

    async with script.agent(memory).run_stream("Which boat?", deps=ANA) as streamed:
        text = await streamed.get_output()

    assert "Nimbus" in script.told[0]
    assert text.strip() == "A fine boat."
    assert [note.content.strip() for note in memory.notes(user="ana")][1:] == ["Which boat?", "A fine boat."]


def test_a_synchronous_run_does_as_well(memory: Memory) -> None:
    assert Script("A fine boat.").agent(memory).run_sync("Which boat?", deps=ANA).output == "A fine boat."
    assert len(memory.notes(user="ana")) == 2


async def test_an_answer_that_repeats_a_note_is_forgotten_with_it(memory: Memory) -> None:
    id = memory.remember("The boat is called Nimbus.", user="ana").id
    await Script("It is called Nimbus.").agent(memory).run("What is the boat's name?", deps=ANA)
    assert len(memory.notes(user="ana")) == 3

    memory.forget(str(id), user="ana")

    assert [note.content for note in memory.notes(user="ana")] == ["What is the boat's name?"]


async def test_an_answer_that_repeats_what_was_forgotten_meanwhile_is_not_kept(memory: Memory) -> None:
    id = memory.remember("The boat is called Nimbus.", user="ana").id
    script = Script("It is called Nimbus.")
    answer = script.__call__

    def forgets(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        memory.forget(str(id), user="ana")
        return answer(messages, info)

    agent = Agent(FunctionModel(forgets), deps_type=Visitor, capabilities=[MemoryCapability(memory, whose=whose)])
    result = await agent.run("What is the boat's name?", deps=ANA)

    assert result.output == "It is called Nimbus."
    assert [note.content for note in memory.notes(user="ana")] == ["What is the boat's name?"]


async def test_the_tools_act_for_whom_the_run_is(memory: Memory) -> None:
    """Whatever the model writes; what it gets wrong it is told, and the notes are recalled once a run."""
    script = Script(
        ToolCallPart("remember", {"text": "Ana sails a boat called Nimbus."}),
        ToolCallPart("recall", {"query": "boat"}),
        ToolCallPart("recall", {"query": "boat", "user": "ana"}),
        "Done.",
        ToolCallPart("recall", {"query": "boat"}),
        "Nothing.",
    )
    agent = script.agent(memory, remember=())

    first = await agent.run("Remember it.", deps=ANA)
    second = await agent.run("Do you know it?", deps=BEN)

    results = [str(p.content) for m in first.all_messages() for p in m.parts if isinstance(p, ToolReturnPart)]
    assert results[0].startswith("Remembered.")
    assert "Nimbus" in results[1]
    assert "takes no such 'user'" in results[2]
    assert [str(p.content) for m in second.all_messages() for p in m.parts if isinstance(p, ToolReturnPart)] == [
        "Nothing in memory fits."
    ]
    assert "You have a long-term memory." in script.told[0]
    assert [note.content for note in memory.notes(user="ana")] == ["Ana sails a boat called Nimbus."]


async def test_the_toolset_stands_alone(memory: Memory) -> None:
    """With a model that calls every tool with what its schema allows."""
    agent = Agent(TestModel(), deps_type=Visitor, toolsets=[memory_toolset(memory, whose=whose, forget=True)])

    result = await agent.run("Try.", deps=ANA)

    assert {"recall", "remember", "forget"} <= {
        part.tool_name for message in result.all_messages() for part in message.parts if isinstance(part, ToolCallPart)
    }


async def test_a_run_that_names_nobody_is_refused_before_the_model_is_asked(memory: Memory) -> None:
    script = Script("x")

    with pytest.raises(ScopeRequired):
        await script.agent(memory).run("Where?", deps=Visitor(None))

    assert script.told == []
    assert memory.notes() == []


async def test_a_run_that_fails_leaves_nothing(memory: Memory) -> None:
    def fails(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        raise OSError("no line")

    agent = Agent(FunctionModel(fails), deps_type=Visitor, capabilities=[MemoryCapability(memory, whose=whose)])
    with pytest.raises(OSError, match="no line"):
        await agent.run("Where?", deps=ANA)

    assert memory.notes(user="ana") == []


async def test_a_run_that_is_cancelled_leaves_nothing(memory: Memory) -> None:
    asked = asyncio.Event()

    async def waits(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        asked.set()
        await asyncio.sleep(60)
        return ModelResponse(parts=[TextPart("Late.")])

    agent = Agent(FunctionModel(waits), deps_type=Visitor, capabilities=[MemoryCapability(memory, whose=whose)])
    run = asyncio.ensure_future(agent.run("Where?", deps=ANA))
    await asked.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run

    assert memory.notes(user="ana") == []


def test_a_run_that_is_ended_twice_is_kept_once(memory: Memory, clock: ManualClock) -> None:
    turns = (Spoken("user", "Where is the boat?"), Spoken("assistant", "In Porto."))
    for _ in range(2):
        keep_turns(memory, turns, Scope(user="ana", session="monday"), key="pydantic-ai:1")
        clock.advance(hours=1)

    assert [note.content for note in memory.notes(user="ana")] == ["Where is the boat?", "In Porto."]


def test_an_answer_goes_with_the_message_that_it_repeats_and_with_no_other(memory: Memory) -> None:
    words = ("My boat is called Nimbus.", "Nimbus is a good name.", "My cat is called Mia.", "Mia, how lovely.")
    turns = [Spoken(("user", "assistant")[place % 2], text) for place, text in enumerate(words)]
    receipts = keep_turns(memory, turns, Scope(user="ana"))

    memory.forget(receipts[0].id, user="ana")

    assert [note.content for note in memory.notes(user="ana")] == ["My cat is called Mia.", "Mia, how lovely."]


async def test_words_beside_pictures_are_asked_with_and_kept(memory: Memory) -> None:
    memory.remember("The boat is called Nimbus.", user="ana")
    script = Script("A fine boat.")

    await script.agent(memory).run(["Which boat?", ImageUrl("https://example.com/boat.png")], deps=ANA)

    assert "Nimbus" in script.told[0]
    assert "Which boat?" in [note.content for note in memory.notes(user="ana")]


async def test_runs_side_by_side_do_not_mix(memory: Memory) -> None:
    for name in ("ana", "ben"):
        memory.remember(f"The boat is called {name.upper()}.", user=name)
    told: list[tuple[str, str]] = []

    async def answers(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        await asyncio.sleep(0.01)
        told.append((str(messages[0].parts[0].content), info.instructions or ""))  # type: ignore[union-attr]
        return ModelResponse(parts=[TextPart("Fine.")])

    agent = Agent(FunctionModel(answers), deps_type=Visitor, capabilities=[MemoryCapability(memory, whose=whose)])
    await asyncio.gather(*(agent.run(f"Which boat, {v.name}?", deps=v) for v in (ANA, BEN) * 3))

    assert len(told) == 6
    assert all(("ANA" in block, "BEN" in block) == ("ana" in asked, "ben" in asked) for asked, block in told)


async def test_an_async_memory_and_a_restart(open_memory: Callable[..., Memory], tmp_path: Any) -> None:
    async with AsyncMemory(tmp_path / "memory", embedder="hash") as memory:
        await Script("Noted.").agent(memory).run("My boat is called Nimbus.", deps=ANA)
    script = Script("Nimbus.")

    await script.agent(open_memory()).run("What is my boat called?", deps=ANA)

    assert "Nimbus" in script.told[0]


@pytest.mark.parametrize(
    "options", [{"memory": "path"}, {"k": -1}, {"max_tokens": 0}, {"remember": "user"}, {"remember": ("all",)}]
)
def test_wrong_arguments_are_refused(memory: Memory, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        MemoryCapability(**{"memory": memory, **options})
