"""A chat function of one's own, with a memory around it: what it is given, what its caller gets, and what is kept."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from agentmem import AsyncMemory, Memory, Scope
from agentmem.errors import InvalidArgument
from agentmem.integrations import with_memory
from agentmem.integrations.wrapping import NotRemembered
from agentmem.notes.quoting import NOTES_HEADER
from tests.integration.scripted_server import serving

ASKED = [{"role": "user", "content": "Where does my sister live?"}]
seen: ContextVar[list[Any]] = ContextVar("seen")


def says(messages: list[Any], *, loud: bool = False) -> str:
    """Answers, and keeps what it was given."""
    seen.get().append(messages)
    return "PORTO!" if loud else "In Porto, I was told."


def pieces(messages: list[Any]) -> Iterator[str]:
    seen.get().append(messages)
    yield from ("In ", "Porto, ", "I was told.")


async def awaited(messages: list[Any]) -> str:
    await asyncio.sleep(0)
    return says(messages)


async def iterated(messages: list[Any]) -> AsyncIterator[str]:
    for piece in pieces(messages):
        await asyncio.sleep(0)
        yield piece


class Model:
    async def __call__(self, messages: list[Any]) -> str:
        return says(messages)

    def plain(self, messages: list[Any]) -> str:
        return says(messages)


@pytest.fixture(autouse=True)
def given() -> Iterator[list[Any]]:
    token = seen.set([])
    yield seen.get()
    seen.reset(token)


def contents(memory: Memory, **whose: Any) -> list[str]:
    return [note.content for note in memory.notes(**whose)]


KEPT = ["My sister lives in Porto.", "Where does my sister live?", "In Porto, I was told."]


@pytest.fixture
def told(memory: Memory) -> Memory:
    memory.remember("My sister lives in Porto.", user="ana")
    return memory


def test_the_function_is_given_notes_and_what_was_said_is_kept(told: Memory, given: list[Any]):
    chat = with_memory(says, told, user="ana")
    asked = [{"role": "system", "content": "Be brief."}, *ASKED]

    assert chat(asked) == "In Porto, I was told."
    assert given[0][0]["content"].startswith(f"Be brief.\n\n{NOTES_HEADER}")
    assert "My sister lives in Porto." in given[0][0]["content"]
    assert given[0][1:] == ASKED
    assert asked == [{"role": "system", "content": "Be brief."}, *ASKED]  # the caller's list is the caller's
    assert contents(told, user="ana") == KEPT
    used = told.notes(user="ana")[0]
    assert used.state.recalls == 1
    assert told.evidence(used.id, user="ana")[0].question == "Where does my sister live?"
    told.forget(used.id, user="ana")
    assert contents(told, user="ana") == ["Where does my sister live?"]  # the answer repeats what was forgotten


def test_its_signature_its_name_and_its_other_arguments_stay(told: Memory):
    chat = with_memory(says, told, user="ana")

    assert inspect.signature(chat) == inspect.signature(says)
    assert (chat.__name__, chat.__doc__) == (says.__name__, says.__doc__)
    assert chat(messages=ASKED, loud=True) == "PORTO!"


def test_without_notes_that_fit_the_messages_are_the_callers(memory: Memory, given: list[Any]):
    with_memory(says, memory)(ASKED)

    assert given[0] is ASKED


def test_pieces_come_as_they_come_and_are_kept_at_the_end(told: Memory):
    stream = with_memory(pieces, told, user="ana")(ASKED)

    assert next(stream) == "In "
    assert contents(told, user="ana") == KEPT[:1]
    assert list(stream) == ["Porto, ", "I was told."]
    assert contents(told, user="ana") == KEPT


def test_who_stops_listening_keeps_what_was_heard(told: Memory):
    for piece in with_memory(pieces, told, user="ana")(ASKED):
        if piece == "Porto, ":
            break
    gc.collect()

    assert contents(told, user="ana") == [*KEPT[:2], "In Porto,"]


@pytest.mark.parametrize("fn", [awaited, Model(), functools.partial(awaited)], ids=["function", "object", "partial"])
async def test_what_is_awaited_stays_awaited(told: Memory, fn: Any):
    assert await with_memory(fn, told, user="ana")(ASKED) == "In Porto, I was told."
    assert contents(told, user="ana") == KEPT


async def test_what_is_iterated_stays_iterated(told: Memory):
    assert [piece async for piece in with_memory(iterated, told, user="ana")(ASKED)] == [
        "In ",
        "Porto, ",
        "I was told.",
    ]
    assert contents(told, user="ana") == KEPT


@pytest.mark.parametrize("fn", [awaited, iterated], ids=["awaited", "iterated"])
async def test_with_an_async_memory(tmp_path: Any, fn: Any, given: list[Any]):
    async with AsyncMemory(tmp_path, embedder="hash") as memory:
        await memory.remember("My sister lives in Porto.", user="ana")
        chat = with_memory(fn, memory, user="ana")
        answer = chat(ASKED)
        text = await answer if fn is awaited else "".join([piece async for piece in answer])

        assert text == "In Porto, I was told."
        assert "lives in Porto" in given[0][0]["content"]
        assert [note.content for note in await memory.notes(user="ana")] == KEPT


async def test_many_calls_at_once_stay_apart(tmp_path: Any):
    """Whose each is, is told by a context variable."""
    who: ContextVar[str] = ContextVar("who")

    async def chat(messages: list[Any]) -> str:
        await asyncio.sleep(0.001)
        return messages[0]["content"]

    async with AsyncMemory(tmp_path, embedder="hash") as memory:
        wrapped = with_memory(chat, memory, user=who.get, remember=False)

        async def one(name: str) -> str:
            who.set(name)
            await memory.remember(f"The word of {name} is {name * 3}.", user=name)
            return await wrapped([{"role": "user", "content": "What is the word?"}])

        names = [f"user{number}" for number in range(12)]
        answers = await asyncio.gather(*map(one, names))
    for name, answer in zip(names, answers, strict=True):
        assert f"The word of {name} is" in answer
        assert sum(f"The word of {other} is" in answer for other in names) == 1


@pytest.mark.parametrize("value", ["", None, 7])
def test_nobody_is_nobody(memory: Memory, value: Any, given: list[Any]):
    """Else what one user says would be everybody's."""
    with pytest.raises(InvalidArgument, match="user is to be told"):
        with_memory(says, memory, user=lambda: value)(ASKED)
    assert given == []
    assert memory.notes() == []


def test_a_call_that_fails_leaves_nothing(told: Memory):
    def fails(messages: list[Any]) -> str:
        raise RuntimeError("no")

    def breaks_off(messages: list[Any]) -> Iterator[str]:
        yield "In "
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        with_memory(fails, told, user="ana")(ASKED)
    with pytest.raises(RuntimeError):
        list(with_memory(breaks_off, told, user="ana")(ASKED))
    assert contents(told, user="ana") == KEPT[:1]


async def test_a_call_that_is_cancelled_leaves_nothing(told: Memory):
    async def slow(messages: list[Any]) -> str:
        await asyncio.sleep(60)
        return "late"

    task = asyncio.create_task(with_memory(slow, told, user="ana")(ASKED))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert contents(told, user="ana") == KEPT[:1]


def test_of_a_round_with_tools_each_thing_is_kept_once(told: Memory):
    """The caller comes back with what a tool said: the user has said nothing new."""
    calls = [{"id": "1", "type": "function", "function": {"name": "map", "arguments": "{}"}}]

    def model(messages: list[Any]) -> dict[str, Any]:
        last = messages[-1]["role"]
        message = (
            {"role": "assistant", "content": "In Porto, I was told."}
            if last == "tool"
            else {"content": None, "tool_calls": calls}
        )
        return {"choices": [{"message": message}]}

    chat = with_memory(model, told, user="ana")
    first = chat(ASKED)
    chat(
        [
            *ASKED,
            {**first["choices"][0]["message"], "role": "assistant"},
            {"role": "tool", "tool_call_id": "1", "content": "x"},
        ]
    )

    assert contents(told, user="ana") == KEPT


def test_what_stands_in_the_messages_already_is_not_shown_again(told: Memory, given: list[Any]):
    chat = with_memory(says, told, user="ana")
    chat([{"role": "user", "content": "My sister lives in Porto."}, {"role": "assistant", "content": "Noted."}, *ASKED])

    assert all(message["role"] != "system" for message in given[0])


def test_parts_are_passed_on_and_their_words_kept(told: Memory, given: list[Any]):
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    asked = [{"role": "user", "content": [{"type": "text", "text": "Where does my sister live?"}, picture]}]
    system = {"role": "system", "content": [{"type": "text", "text": "Be brief."}]}
    with_memory(says, told, user="ana")([system, *asked])

    assert given[0][1:] == asked
    assert NOTES_HEADER in given[0][0]["content"][1]["text"]
    assert contents(told, user="ana") == KEPT
    with_memory(says, told, user="ana")([{"role": "user", "content": [picture]}])
    assert "image" not in str(contents(told, user="ana"))


def test_what_cannot_be_remembered_is_said_and_the_answer_is_given(memory: Memory):
    chat = with_memory(lambda messages: "x" * 70_000, memory, user="ana")
    with pytest.warns(NotRemembered, match="bytes"):
        chat([{"role": "assistant", "content": "Hello."}])

    assert memory.notes(user="ana") == []


def test_recalled_text_is_not_remembered_again(told: Memory):
    chat = with_memory(lambda messages: messages[0]["content"], told, user="ana")
    chat(ASKED)

    assert contents(told, user="ana") == KEPT[:2]


def test_a_bound_memory_stays_bound(given: list[Any]):
    with Memory(None, embedder="hash", scope=Scope(user="ana")) as memory:
        with_memory(says, memory)(ASKED)
        assert [note.scope.user for note in memory.notes()] == ["ana", "ana"]
        with pytest.raises(PermissionError):
            with_memory(says, memory, user="ben")(ASKED)
    assert len(given) == 1


@pytest.mark.parametrize("messages", [None, "Hello.", {"role": "user", "content": "x"}, [1], ["Hello."]])
def test_a_call_without_messages_is_an_error(memory: Memory, messages: Any, given: list[Any]):
    with pytest.raises(InvalidArgument, match="messages"):
        with_memory(says, memory)(messages)
    assert given == []


def test_what_cannot_be_wrapped_is_told_at_once(memory: Memory):
    with pytest.raises(InvalidArgument, match="function"):
        with_memory("gpt", memory)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="Memory"):
        with_memory(says, "my-memory")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="not awaited"):
        with_memory(says, AsyncMemory(None, embedder="hash"))
    with pytest.raises(InvalidArgument, match="k must be"):
        with_memory(says, memory, k=0)


def test_a_clients_create_in_one_line(told: Memory):
    """The OpenAI client, whole and streamed; what it returns is its own."""
    openai = pytest.importorskip("openai")
    with serving(lambda _: "In Porto, I was told.") as server:
        client = openai.OpenAI(base_url=server.url, api_key="none")
        create = with_memory(client.chat.completions.create, told, user="ana")
        whole = create(model="m", messages=ASKED)
        stream = create(model="m", messages=[{"role": "user", "content": "And where is it?"}], stream=True)
        with stream as chunks:
            text = "".join(chunk.choices[0].delta.content for chunk in chunks)

        assert stream.response.status_code == 200
    assert whole.choices[0].message.content == "In Porto, I was told."
    assert text.strip() == "In Porto, I was told."
    assert "My sister lives in Porto." in server.seen[0]["messages"][0]["content"]
    assert contents(told, user="ana")[:3] == KEPT


async def test_an_async_clients_create_in_one_line(tmp_path: Any):
    openai = pytest.importorskip("openai")
    async with AsyncMemory(tmp_path, embedder="hash") as memory:
        await memory.remember("My sister lives in Porto.", user="ana")
        with serving(lambda _: "In Porto, I was told.") as server:
            async with openai.AsyncOpenAI(base_url=server.url, api_key="none") as client:
                create = with_memory(client.chat.completions.create, memory, user="ana")
                whole = await create(model="m", messages=ASKED)
                chunks = await create(model="m", messages=[{"role": "user", "content": "Say it again."}], stream=True)
                text = "".join([chunk.choices[0].delta.content async for chunk in chunks])

        assert whole.choices[0].message.content == text.strip() == "In Porto, I was told."
        assert [note.content for note in await memory.notes(user="ana")][:4] == [*KEPT, "Say it again."]


@pytest.mark.parametrize(
    ("told", "question"),
    [
        ("I live in Porto.", "Where do I live?"),
        ("My name is Max.", "What is my name?"),
        ("I drive a Golf.", "What do I drive?"),
        ("I am looking for a flat in Graz.", "What am I looking for?"),
        ("Please call me Max.", "What should you call me?"),
    ],
)
def test_a_statement_in_the_words_of_the_question_is_shown(told: str, question: str) -> None:
    """It is as near to the question as the question itself, and was replied to as one is."""
    seen: list[str] = []

    def model(messages: list[dict[str, str]]) -> str:
        seen.append(messages[0]["content"])
        return "x"

    with Memory(None) as memory:
        memory.remember({"role": "user", "content": told}, user="a", session="1")
        memory.remember({"role": "assistant", "content": "Noted."}, user="a", session="1")
        with_memory(model, memory, user="a", remember=False)([{"role": "user", "content": question}])

    assert told in seen[0]
