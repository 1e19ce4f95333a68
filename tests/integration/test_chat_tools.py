"""A chat whose model calls the memory's tools itself, and messages that show more than words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentmem import AsyncMemory, Memory
from agentmem.errors import InvalidArgument, ModelError
from agentmem.integrations import AsyncChatAgent, ChatAgent
from agentmem.integrations.tools import INSTRUCTIONS, memory_tools
from tests.integration.scripted_server import serving

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGVsbG8gcGljdHVyZQ=="}}


def _told(body: dict[str, Any]) -> list[str]:
    return [message["content"] for message in body["messages"] if message["role"] == "tool"]


def looks_up(body: dict[str, Any]) -> Any:
    """A model that recalls what it is asked, and then says what it was told."""
    told = _told(body)
    question = body["messages"][-1]["content"]
    return f"As I see: {told[-1].splitlines()[-1]}" if told else [("recall", json.dumps({"query": question}))]


@pytest.mark.parametrize("streamed", [False, True])
def test_the_model_looks_up_what_it_wants_to_know(memory: Memory, streamed: bool):
    memory.remember("My sister lives in Porto.", user="ana")
    with serving(looks_up) as server:
        agent = ChatAgent(server.url, memory, user="ana", model_name="m", tools=True)
        text = (
            "".join(agent.stream("Where does my sister live?"))
            if streamed
            else agent.chat("Where does my sister live?").text
        )

    assert "Porto" in text
    assert agent.last is not None
    assert [note.content for note in agent.last.used] == ["My sister lives in Porto."]
    assert agent.last.source == "notes"
    first, second = server.seen
    assert [tool["function"]["name"] for tool in first["tools"]] == ["recall", "remember"]
    assert INSTRUCTIONS in first["messages"][0]["content"]
    assert [message["role"] for message in second["messages"]] == ["system", "user", "assistant", "tool"]


@pytest.mark.parametrize("streamed", [False, True])
def test_several_calls_at_once_are_answered_each_by_its_id(memory: Memory, streamed: bool):
    def answer(body: dict[str, Any]) -> Any:
        if _told(body):
            return "Noted."
        return [
            ("remember", '{"text": "Ana has two dogs."}'),
            ("remember", '{"text": "Ana sails."}'),
            ("recall", '{"query": "dogs"}'),
        ]

    with serving(answer) as server:
        agent = ChatAgent(server.url, memory, user="ana", model_name="m", tools=True)
        _ = list(agent.stream("I have two dogs and sail.")) if streamed else agent.chat("I have two dogs and sail.")

    results = [message for message in server.seen[1]["messages"] if message["role"] == "tool"]
    assert [message["tool_call_id"] for message in results] == ["c0", "c1", "c2"]
    assert "two dogs" in results[2]["content"]  # what was just kept
    kept = {note.content for note in memory.notes(user="ana")}
    assert {"Ana has two dogs.", "Ana sails.", "I have two dogs and sail."} <= kept


def test_what_goes_wrong_with_a_call_is_told_to_the_model_and_nothing_is_raised(memory: Memory):
    wrong = [
        ("recall", "no json"),
        ("dream", "{}"),
        ("remember", '{"text": 7}'),
        ("recall", '{"query": "x", "user": "ben"}'),
    ]
    memory.remember("Ben's secret.", user="ben")
    with serving(lambda body: "Well." if _told(body) else wrong) as server:
        agent = ChatAgent(server.url, memory, user="ana", model_name="m", tools=True)

        assert agent.chat("Go on.").text == "Well."
    told = _told(server.seen[1])
    assert all(text.startswith("InvalidArgument") for text in told)
    assert "secret" not in str(told)


def test_forget_is_only_there_when_it_is_given(memory: Memory):
    id = memory.remember("The code is 4711.", user="ana").id
    calls = [("forget", json.dumps({"ids": [id]}))]
    with serving(lambda body: "Done." if _told(body) else calls) as server:
        ChatAgent(server.url, memory, user="ana", model_name="m", tools=True).chat("Forget my code.")
        assert "There is no tool 'forget'" in _told(server.seen[1])[0]
        ChatAgent(server.url, memory, user="ana", model_name="m", tools=memory_tools(forget=True)).chat("Forget it.")

    assert "Forgotten everywhere" in _told(server.seen[3])[0]


def test_a_model_that_never_stops_calling_has_to_answer_in_the_end(memory: Memory):
    def answer(body: dict[str, Any]) -> Any:
        return "Enough." if body.get("tool_choice") == "none" else [("recall", '{"query": "more"}')]

    with serving(answer) as server:
        agent = ChatAgent(server.url, memory, model_name="m", tools=True, tool_steps=3)

        assert agent.chat("Think.").text == "Enough."
        assert "".join(agent.stream("Again.")).strip() == "Enough."
    assert len(server.seen) == 8


def test_more_calls_than_anybody_needs_are_an_error_and_nothing_is_done(memory: Memory):
    with (
        serving(lambda _: [("remember", '{"text": "Spam."}')] * 33) as server,
        pytest.raises(ModelError, match="33 tools"),
    ):
        ChatAgent(server.url, memory, model_name="m", tools=True).chat("Go.")

    assert [note.content for note in memory.notes()] == ["Go."]


def test_a_refusing_server_leaves_what_the_user_said(memory: Memory):
    with serving(lambda _: 400) as server:
        agent = ChatAgent(server.url, memory, model_name="m", tools=True)
        with pytest.raises(ModelError):
            agent.chat("I live in Porto.")

    assert [note.metadata for note in memory.notes()] == [{"unanswered": True}]


def test_the_conversation_goes_on_without_the_calls_of_before(memory: Memory):
    memory.remember("My sister lives in Porto.")
    with serving(looks_up) as server:
        agent = ChatAgent(server.url, memory, model_name="m", tools=True)
        agent.chat("Where does my sister live?")
        agent.chat("And who is she?")

    assert [message["role"] for message in server.seen[2]["messages"]] == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize("model", [lambda messages: "Hm.", None])
def test_who_has_no_tools_is_told_so(memory: Memory, model: Any):
    with pytest.raises(InvalidArgument, match="OpenAI-compatible"):
        ChatAgent(model, memory, tools=True)


async def test_tools_in_an_awaited_chat(tmp_path: Any):
    with serving(looks_up) as server:
        async with AsyncMemory(tmp_path, embedder="hash") as memory:
            await memory.remember("My sister lives in Porto.", user="ana")
            agent = AsyncChatAgent(server.url, memory, user="ana", model_name="m", tools=True)

            assert "Porto" in (await agent.chat("Where does my sister live?")).text
            assert "As I see" in "".join([piece async for piece in agent.stream("Where does she live, my sister?")])
    assert all("Porto" in _told(body)[0] for body in server.seen[1::2])


# -- parts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True])
def test_a_picture_is_shown_to_the_model_and_kept_nowhere(tmp_path: Any, streamed: bool):
    with Memory(tmp_path, embedder="hash") as memory, serving(lambda _: "A red boat.") as server:
        memory.remember("My boat is called Sigrid.", user="ana")
        agent = ChatAgent(server.url, memory, user="ana", model_name="m")
        parts = [{"type": "text", "text": "Is this my boat?"}, PICTURE]
        text = "".join(agent.stream(parts)).strip() if streamed else agent.chat(parts).text

        assert text == "A red boat."
        system, user = server.seen[0]["messages"]
        assert "Sigrid" in system["content"]
        assert user["content"] == parts
        assert [note.content for note in memory.notes(user="ana")][1:] == ["Is this my boat?", "A red boat."]
        agent.chat("What colour was it?")
        assert "image_url" not in json.dumps(server.seen[1])
    assert b"aGVsbG8gcGljdHVyZQ" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_a_picture_alone_is_answered_and_only_the_answer_is_kept(memory: Memory):
    with serving(lambda _: "A red boat.") as server:
        agent = ChatAgent(server.url, memory, model_name="m")
        agent.chat([PICTURE])
        agent.chat("Thanks!")

    assert server.seen[0]["messages"] == [{"role": "user", "content": [PICTURE]}]
    assert [note.content for note in memory.notes()][0] == "A red boat."
    assert [message["role"] for message in server.seen[1]["messages"]][-3:] == ["user", "assistant", "user"]


def test_parts_that_are_text_alone_are_a_text(memory: Memory):
    memory.remember("My sister lives in Porto.")
    with serving(lambda _: "Porto.") as server:
        reply = ChatAgent(server.url, memory, model_name="m").chat(
            [{"type": "text", "text": "Where does my sister live?"}]
        )

    assert reply.source == "notes"
    assert isinstance(server.seen[0]["messages"][-1]["content"], str)


@pytest.mark.parametrize("content", [[], [{"text": "no type"}], 7, "  ", [{"type": "text", "text": " "}], None])
def test_what_is_no_message_is_an_error_and_nothing_is_kept(memory: Memory, content: Any):
    with pytest.raises(InvalidArgument, match="nothing to answer"):
        ChatAgent(lambda messages: "Hm.", memory).chat(content)
    assert memory.notes() == []


def test_a_local_model_is_shown_no_pictures(small_model: tuple[Any, Any]):
    with Memory(None, embedder="hash", model=small_model) as memory:
        with pytest.raises(InvalidArgument, match="text alone"):
            ChatAgent(None, memory).chat([{"type": "text", "text": "What is this?"}, PICTURE])
        assert memory.notes() == []
