"""The memory middleware in real agents of LangChain, with a scripted model."""

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

if not os.environ.get("AGENTMEM_FRAMEWORKS"):
    pytest.importorskip("langchain")

from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver

from agentmem import AsyncMemory, Memory, Scope
from agentmem.errors import InvalidArgument, ScopeError, ScopeRequired
from agentmem.integrations.langchain import MemoryMiddleware
from agentmem.notes.quoting import NOTES_HEADER

ROOT = Path(__file__).parents[2]


@dataclass
class Context:
    user_id: str | None = None


class Scripted(GenericFakeChatModel):
    """Answers what stands in its script, and keeps what it was shown."""

    prompts: list[list[BaseMessage]]

    def bind_tools(self, tools: Any, **options: Any) -> Scripted:
        return self

    def _generate(self, messages: list[BaseMessage], *args: Any, **options: Any) -> Any:
        self.prompts.append(messages)
        return super()._generate(messages, *args, **options)

    def system(self, call: int = -1) -> str:
        first = self.prompts[call][0]
        return str(first.text) if first.type == "system" else ""


def scripted(*answers: str | AIMessage) -> Scripted:
    return Scripted(messages=iter([AIMessage(a) if isinstance(a, str) else a for a in answers]), prompts=[])


def calling(name: str, **arguments: Any) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": name, "args": arguments, "id": f"call-{name}"}])


def agent_of(model: Scripted, memory: Memory | AsyncMemory, checkpointer: Any = None, **options: Any) -> Any:
    middleware = MemoryMiddleware(memory, **options)
    return create_agent(model, middleware=[middleware], context_schema=Context, checkpointer=checkpointer)


def thread(name: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": name}}


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [HumanMessage(text, **more)]}


Run = Callable[..., Any]


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Run:
    """One run of an agent, waited for or awaited."""

    def invoke(agent: Any, *args: Any, **options: Any) -> Any:
        if request.param == "sync":
            return agent.invoke(*args, **options)
        return asyncio.run(agent.ainvoke(*args, **options))

    return invoke


def contents(memory: Memory, user: str) -> list[str]:
    return [note.content for note in memory.notes(user=user)]


def test_what_one_conversation_told_is_known_in_the_next_and_by_nobody_else(memory: Memory, run: Run) -> None:
    model = scripted("Nice.", "In Porto.", "I do not know.")
    agent = agent_of(model, memory, InMemorySaver())

    run(agent, said("I live in Porto."), thread("a"), context=Context("ana"))
    run(agent, said("Where do I live?"), thread("b"), context=Context("ana"))
    run(agent, said("Where do I live?"), thread("c"), context=Context("ben"))

    assert model.system(0) == ""
    assert "I live in Porto." in model.system(1)
    assert model.system(2) == ""
    assert contents(memory, "ben") == ["Where do I live?", "I do not know."]
    assert [note.scope.session for note in memory.notes(user="ana")] == ["a", "a", "b", "b"]


def test_recalled_notes_are_in_no_state_no_checkpoint_and_no_note(memory: Memory, run: Run) -> None:
    memory.remember("Ana keeps a zebrafish.", user="ana")
    saver = InMemorySaver()
    model = scripted("Fine.", "Fine again.")
    agent = agent_of(model, memory, saver)

    result = run(agent, said("What animal do I keep?"), thread("a"), context=Context("ana"))
    run(agent, said("And which animal else?"), thread("a"), context=Context("ana"))

    assert all("zebrafish" in model.system(call) for call in (0, 1))
    assert all("zebrafish" not in str(message) for prompt in model.prompts for message in prompt[1:])
    assert "zebrafish" not in str(result)
    assert "zebrafish" not in str(list(saver.list(None))) + str(saver.storage) + str(saver.writes) + str(saver.blobs)
    assert sum("zebrafish" in text for text in contents(memory, "ana")) == 1


def test_a_turn_with_tool_calls_is_recalled_for_once_and_remembered_once(memory: Memory, run: Run) -> None:
    memory.remember("Ana likes green tea.", user="ana")
    queries: list[str] = []
    inner = memory._parts.recaller.recall
    memory._parts.recaller.recall = lambda query, *rest: (queries.append(query), inner(query, *rest))[1]  # type: ignore[method-assign]
    model = scripted(calling("look"), calling("look"), "It is tea.")

    def look() -> str:
        """Look into the cupboard."""
        return "There is tea in it."

    agent = create_agent(
        model, [look], middleware=[MemoryMiddleware(memory)], context_schema=Context, system_prompt="Be brief."
    )
    run(agent, said("Which tea do I like?"), context=Context("ana"))

    assert queries == ["Which tea do I like?"]
    assert [model.system(n).count("green tea") for n in range(3)] == [1, 1, 1]
    assert model.system().startswith("Be brief.\n\n" + NOTES_HEADER)
    assert contents(memory, "ana") == ["Ana likes green tea.", "Which tea do I like?", "It is tea."]


def test_only_the_last_turn_of_a_long_thread_is_remembered(memory: Memory, run: Run) -> None:
    agent = agent_of(scripted("One.", "Two.", "Three."), memory, InMemorySaver())
    for text in ("first matter", "second matter", "third matter"):
        run(agent, said(text), thread("a"), context=Context("ana"))

    assert contents(memory, "ana") == ["first matter", "One.", "second matter", "Two.", "third matter", "Three."]


def test_history_that_a_caller_passes_again_is_not_remembered_again(memory: Memory, run: Run) -> None:
    agent = agent_of(scripted("Two."), memory)
    history = [HumanMessage("first matter"), AIMessage("One."), HumanMessage("second matter")]

    run(agent, {"messages": history}, context=Context("ana"))

    assert contents(memory, "ana") == ["second matter", "Two."]


def test_a_run_that_is_repeated_keeps_its_turn_once(memory: Memory, run: Run) -> None:
    for _ in range(2):
        agent = agent_of(scripted(AIMessage("Noted.", id="a1")), memory)
        run(agent, said("The boat is blue.", id="m1"), thread("a"), context=Context("ana"))

    assert contents(memory, "ana") == ["The boat is blue.", "Noted."]


def test_a_summary_in_the_user_s_name_is_not_what_the_user_said(memory: Memory, run: Run) -> None:
    agent = agent_of(scripted("Yes."), memory)
    summary = HumanMessage("Here is a summary.", additional_kwargs={"lc_source": "summarization"})

    run(agent, {"messages": [summary, HumanMessage("Is it blue?")]}, context=Context("ana"))

    assert contents(memory, "ana") == ["Is it blue?", "Yes."]


def test_the_tools_act_in_the_scope_of_the_run_whatever_the_model_says(memory: Memory, run: Run) -> None:
    memory.remember("Ben lives in Graz.", user="ben")
    model = scripted(
        calling("remember", text="Ana owns a blue boat."), calling("recall", query="Who lives in Graz?", user="ben"),
        calling("recall", query="Who lives in Graz?"), "Done.",
    )  # fmt: skip
    agent = agent_of(model, memory, InMemorySaver(), tools=True)

    result = run(agent, said("Remember my boat."), thread("a"), context=Context("ana"))

    told = [message.text for message in result["messages"] if message.type == "tool"]
    assert told[0].startswith("Remembered.")
    assert "InvalidArgument" in told[1]
    assert "Graz" not in told[2]
    boat = next(note for note in memory.notes(user="ana") if "blue boat" in note.content)
    assert boat.scope == Scope(user="ana", session="a")
    assert contents(memory, "ben") == ["Ben lives in Graz."]


def test_what_a_tool_forgets_is_not_shown_to_the_next_call_of_the_same_turn(memory: Memory, run: Run) -> None:
    id = memory.remember("Ana owns a blue boat.", user="ana").id
    model = scripted(calling("forget", ids=[id]), "It is forgotten.")
    agent = agent_of(model, memory, tools=True, forget=True)

    run(agent, said("Forget my boat."), context=Context("ana"))

    assert "blue boat" in model.system(0)
    assert "blue boat" not in model.system(1)
    assert not any("blue boat" in text for text in contents(memory, "ana"))


def test_what_a_tool_forgot_does_not_come_back_in_the_answer(memory: Memory, run: Run) -> None:
    id = memory.remember("Ana keeps a zebrafish.", user="ana").id
    model = scripted(calling("forget", ids=[id]), "You keep a zebrafish.")
    run(agent_of(model, memory, tools=True, forget=True), said("Forget what I keep."), context=Context("ana"))

    assert contents(memory, "ana") == ["Forget what I keep."]


def test_an_answer_goes_with_the_note_that_it_repeats(memory: Memory, run: Run) -> None:
    id = memory.remember("Ana keeps a zebrafish.", user="ana").id
    run(agent_of(scripted("You keep a zebrafish."), memory), said("What do I keep?"), context=Context("ana"))

    receipt = memory.forget(id, user="ana")

    assert receipt.gone
    assert contents(memory, "ana") == ["What do I keep?"]


def test_nothing_is_done_where_nobody_says_whose_memory_it_is(memory: Memory, run: Run) -> None:
    with pytest.raises(ScopeRequired, match="user_id"):
        run(agent_of(scripted("Yes."), memory), said("The boat is blue."), context=Context())
    with pytest.raises(ScopeError):
        run(agent_of(scripted("Yes."), memory, user="ben"), said("The boat is blue."), context=Context("ana"))

    assert memory.stats()["notes"] == 0


def test_whose_it_is_may_be_said_by_a_function(memory: Memory, run: Run) -> None:
    agent = agent_of(scripted("Yes."), memory, whose=lambda context: Scope(user="org", agent=context.user_id))

    run(agent, said("The boat is blue."), context=Context("helper"))

    assert {note.scope.agent for note in memory.notes(user="org")} == {"helper"}


def test_a_turn_that_cannot_be_a_note_is_told_and_costs_no_answer(memory: Memory, run: Run) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        result = run(agent_of(scripted("y" * 70_000), memory), said("x" * 70_000), context=Context("ana"))

    assert len(result["messages"][-1].text) == 70_000
    assert any("not remembered" in str(each.message) for each in told)
    assert contents(memory, "ana") == []


def test_a_failed_run_remembers_nothing(memory: Memory, run: Run) -> None:
    with pytest.raises(RuntimeError):
        run(agent_of(scripted(), memory), said("The boat is blue."), context=Context("ana"))

    assert contents(memory, "ana") == []


def test_everything_is_there_after_a_restart(open_memory: Callable[..., Memory], run: Run) -> None:
    first = open_memory()
    run(agent_of(scripted("Nice."), first), said("I live in Porto."), context=Context("ana"))
    first.close()
    model = scripted("In Porto.")

    run(agent_of(model, open_memory()), said("Where do I live?"), context=Context("ana"))

    assert "I live in Porto." in model.system()


async def test_many_users_at_once_on_an_awaited_memory_see_their_own() -> None:
    async with AsyncMemory(None, embedder="hash") as memory:
        cities = {"ana": "Porto", "ben": "Graz", "eva": "Rome", "kim": "Oslo"}
        models = {user: scripted("Nice.", "I know.") for user in cities}
        agents = {user: agent_of(models[user], memory) for user in cities}

        async def talk(user: str) -> None:
            await agents[user].ainvoke(said(f"I live in {cities[user]}."), context=Context(user))
            await agents[user].ainvoke(said("Where do I live?"), context=Context(user))

        await asyncio.gather(*map(talk, cities))

        for user, model in models.items():
            assert [city for city in cities.values() if city in model.system()] == [cities[user]]
        with pytest.raises(InvalidArgument, match="awaited"):
            agents["ana"].invoke(said("Where do I live?"), context=Context("ana"))


async def test_users_at_once_through_one_agent_on_a_plain_memory(memory: Memory) -> None:
    async def answered(user: str, city: str) -> list[str]:
        model = scripted("Nice.", "I know.")
        agent = create_agent(model, middleware=[middleware], context_schema=Context)
        await agent.ainvoke(said(f"I live in {city}."), context=Context(user))
        await agent.ainvoke(said("Where do I live?"), context=Context(user))
        return [name for name in ("Porto", "Graz") if name in model.system()]

    middleware = MemoryMiddleware(memory)

    assert await asyncio.gather(answered("ana", "Porto"), answered("ben", "Graz")) == [["Porto"], ["Graz"]]
    assert not middleware._turns


@pytest.mark.parametrize("options", [{"k": 0}, {"context_tokens": True}, {"tools": "yes"}, {"user": 7}, {"forget": 1}])
def test_wrong_options_are_refused_with_their_cure(memory: Memory, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument) as error:
        MemoryMiddleware(memory, **options)

    assert error.value.hint
