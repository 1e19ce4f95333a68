"""A message that the model refuses blocks no other, and nothing that was said is lost; over the real client library."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from scripted_server import CUT, Scripted, serving

from agentmem import AsyncMemory, Memory
from agentmem.errors import AgentMemError, ModelError
from agentmem.integrations import ChatAgent
from agentmem.llm.clients import OpenAIModel
from agentmem.notes.clock import ManualClock

openai = pytest.importorskip("openai")

FORBIDDEN = "Please tell me about the forbidden thing in the cellar."
Talk = Callable[[ChatAgent, str], str]


def whole(agent: ChatAgent, text: str) -> str:
    return agent.chat(text).text


def streamed(agent: ChatAgent, text: str) -> str:
    return "".join(agent.stream(text)).strip()


def guarded(body: dict[str, Any]) -> str | int:
    """As a hosted model with a content filter: whatever quotes what is forbidden is refused, wherever it stands."""
    return 400 if "forbidden" in json.dumps(body["messages"]) else "In Porto."


def client(server: Scripted, kind: str) -> Any:
    make = openai.AsyncOpenAI if kind == "async" else openai.OpenAI
    return make(base_url=server.url, api_key="k", max_retries=0)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("talk", [whole, streamed])
@pytest.mark.parametrize("way", ["client", "llm of the memory"])
def test_a_refused_message_blocks_no_other(tmp_path: Path, clock: ManualClock, kind: str, talk: Talk, way: str) -> None:
    """Not the next one, not one that recalls it, not after a restart; and what was refused is kept as a note."""
    with serving(guarded) as server:
        for restarted in (False, True):
            model = OpenAIModel(client(server, kind), "m")
            with Memory(
                tmp_path / "memory", embedder="hash", clock=clock, llm=model if way != "client" else None
            ) as memory:
                agent = ChatAgent(model if way == "client" else None, memory, user="ana", session="s")
                assert talk(agent, "I live in Porto.") == "In Porto."
                clock.advance(minutes=1)
                if not restarted:
                    with pytest.raises(ModelError) as caught:
                        talk(agent, FORBIDDEN)
                    assert caught.value.hint
                for question in ("Where do I live?", "What is the thing in the cellar?"):
                    clock.advance(minutes=1)
                    assert talk(agent, question) == "In Porto."
                turns = [turn.content for turn in agent.turns]
                kept = [n for n in memory.notes(user="ana") if n.metadata.get("unanswered")]

            assert FORBIDDEN not in turns
            assert [(n.content, n.actor, n.thread) for n in kept] == [(FORBIDDEN, "user", "s")]


def test_what_was_said_during_an_outage_is_recalled_when_it_is_over(clock: ManualClock) -> None:
    down = [True]
    with serving(lambda body: 503 if down[0] else "Noted.") as server, Memory(embedder="hash", clock=clock) as memory:
        agent = ChatAgent(client(server, "sync"), memory, user="ana", model_name="m")
        with pytest.raises(ModelError):
            agent.chat("My sister Ines lives in Porto.")
        down[0] = False
        reply = agent.chat("Where does my sister Ines live?")

    assert [n.content for n in reply.notes] == ["My sister Ines lives in Porto."]
    assert [m["role"] for m in server.seen[-1]["messages"]] == ["system", "user"]


def test_a_session_that_an_older_version_left_blocked_goes_on(clock: ManualClock) -> None:
    """There the refused message was stored as if it had been answered."""
    with serving(guarded) as server, Memory(embedder="hash", clock=clock) as memory:
        memory.remember({"role": "user", "content": FORBIDDEN}, user="ana", session="s")
        agent = ChatAgent(client(server, "sync"), memory, user="ana", session="s", model_name="m")

        assert agent.chat("Where do I live?").text == "In Porto."
        assert streamed(agent, "And my sister?") == "In Porto."


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_answer_that_breaks_off_is_not_remembered(clock: ManualClock, kind: str) -> None:
    with serving(lambda body: f"One two {CUT}") as server, Memory(embedder="hash", clock=clock) as memory:
        agent = ChatAgent(client(server, kind), memory, user="ana", model_name="m")
        heard = agent.stream("Count for me, please.")
        first = next(heard)
        with pytest.raises(ModelError):
            list(heard)

        assert first.strip() == "One"
        assert [n.content for n in memory.notes(user="ana")] == ["Count for me, please."]
        assert agent.turns == ()


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("end", ["closed", "dropped", "raised at"])
def test_a_stream_that_nobody_listens_to_any_more_is_closed(clock: ManualClock, kind: str, end: str) -> None:
    """Its words so far are remembered, and the model is told; whether it is closed, dropped, or left by an exception."""
    closed = threading.Event()

    def pieces(messages: Any) -> Iterator[str]:
        try:
            yield from ("One ", "two ", "three")
        finally:
            closed.set()

    async def awaited(messages: Any) -> AsyncIterator[str]:
        try:
            for piece in ("One ", "two ", "three"):
                yield piece
        finally:
            closed.set()

    with Memory(embedder="hash", clock=clock) as memory:
        agent = ChatAgent(pieces if kind == "sync" else awaited, memory, user="ana")
        stream = agent.stream("Count for me, please.")
        first = next(stream)
        if end == "closed":
            stream.close()
        elif end == "raised at":
            with pytest.raises(ModelError):
                stream.throw(ModelError("nobody listens", hint="."))
        del stream
        gc.collect()

        assert first == "One "
        assert closed.wait(5)
        assert memory.notes(user="ana")[0].content == "Count for me, please."
        assert [t.content for t in agent.turns] == (["Count for me, please.", "One"] if end != "raised at" else [])


def test_a_stream_that_was_never_begun_asks_and_stores_nothing(clock: ManualClock) -> None:
    with Memory(embedder="hash", clock=clock) as memory:
        ChatAgent(lambda messages: 1 / 0, memory, user="ana").stream("Hello, here I am.")

        assert memory.notes(user="ana") == []


class Stubborn:
    """A caller's own model that fails in its own way."""

    def complete(self, messages: Any, **options: Any) -> str:
        raise KeyError("no such thing")

    def stream(self, messages: Any, **options: Any) -> Iterator[str]:
        yield "One "
        raise KeyError("no such thing")


def _raises(messages: Any) -> str:
    raise KeyError("no such thing")


async def _raises_later(messages: Any) -> str:
    raise KeyError("no such thing")


@pytest.mark.parametrize("model", [_raises, _raises_later, Stubborn()], ids=["function", "async function", "object"])
def test_whatever_a_callers_model_raises_is_a_typed_error_with_its_cause(clock: ManualClock, model: Any) -> None:
    """In ``ask``, chat, streams, ``enrich`` and ``reflect``; notes stay as they are."""
    with Memory(embedder="hash", clock=clock, llm=model) as memory:
        memory.remember("I live in Porto.", user="ana")
        before = memory.notes(user="ana")
        for call in (
            lambda: memory.ask("Where do I live?", user="ana"),
            lambda: ChatAgent(model, memory, user="ben").chat("Where do I live?"),
            lambda: list(ChatAgent(model, memory, user="ben").stream("Where do I live?")),
        ):
            with pytest.raises(ModelError) as caught:
                call()
            assert isinstance(caught.value.__cause__, KeyError)
            assert caught.value.hint
        clock.advance(days=2)
        reports = [memory.enrich(user="ana"), memory.reflect(user="ana")]

        assert all("no such thing" in report.failures[0].reason for report in reports)
        assert memory.notes(user="ana") == before


def test_whatever_a_reranker_raises_is_a_typed_error_with_its_cause() -> None:
    class Broken:
        def scores(self, query: str, texts: Any) -> list[float]:
            raise ZeroDivisionError("no scale")

    with Memory(embedder="hash", llm=lambda messages: "Porto.") as memory:
        memory.remember("I live in Porto.")
        memory.reranker = Broken()
        for call in (lambda: memory.recall("Where do I live?"), lambda: memory.ask("Where do I live?")):
            with pytest.raises(ModelError) as caught:
                call()
            assert isinstance(caught.value.__cause__, ZeroDivisionError)
        memory.reranker = None
        assert memory.recall("Where do I live?")


@pytest.mark.parametrize("answer", [None, 7, {"content": "Porto."}, b"Porto."])
def test_what_is_no_text_is_no_answer(answer: Any) -> None:
    class Odd:
        def complete(self, messages: Any, **options: Any) -> Any:
            return answer

        def stream(self, messages: Any, **options: Any) -> Any:
            return iter([answer or 7])

    with Memory(embedder="hash", llm=Odd()) as memory:
        with pytest.raises(ModelError, match="not text"):
            memory.ask("Where do I live?")
        with pytest.raises(ModelError, match="not text"):
            list(ChatAgent(Odd(), memory).stream("Where do I live?"))


async def _porto(messages: Any, max_tokens: int = 0) -> str:
    await asyncio.sleep(0)
    return f"Porto. {threading.current_thread().name}"


async def _pieces(messages: Any) -> AsyncIterator[str]:
    for piece in ("Por", "to."):
        await asyncio.sleep(0)
        yield piece


class _Awaited:
    async def complete(self, messages: Any, **options: Any) -> str:
        return "Porto."

    async def stream(self, messages: Any, **options: Any) -> AsyncIterator[str]:
        yield "Porto."


@pytest.mark.parametrize(
    "model",
    [_porto, _pieces, _Awaited(), partial(_porto, max_tokens=3)],
    ids=["function", "pieces", "object", "partial"],
)
def test_an_async_model_answers_where_nothing_is_awaited(model: Any) -> None:
    with Memory(embedder="hash", llm=model) as memory:
        assert memory.ask("Where do I live?").text.startswith("Porto.")
        assert ChatAgent(model, memory).chat("Where do I live?").text.startswith("Porto.")
        assert streamed(ChatAgent(model, memory), "Where do I live?").startswith("Porto.")


async def test_an_async_model_of_an_async_memory_runs_on_the_callers_loop() -> None:
    """Where its connections belong; and the loop is free meanwhile."""
    async with AsyncMemory(embedder="hash", llm=_porto) as memory:
        task = asyncio.create_task(memory.ask("Where do I live?"))
        ticks = 0
        while not task.done():
            await asyncio.sleep(0)
            ticks += 1

        assert (await task).text == f"Porto. {threading.current_thread().name}"
        assert ticks > 1


async def test_an_async_model_answers_inside_of_a_running_loop() -> None:
    """A plain memory used in an async function: it blocks, but it is no deadlock."""
    with Memory(embedder="hash", llm=_porto) as memory:
        assert memory.ask("Where do I live?").text.startswith("Porto.")


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_client_in_an_async_memory(kind: str) -> None:
    """Answers, descriptions and refusals; many at once, one client."""
    said = json.dumps({"keywords": ["porto"], "context": "Where Ana lives.", "tags": ["home"]})
    with serving(lambda body: 400 if "forbidden" in str(body) else said) as server:
        own = client(server, kind)
        async with AsyncMemory(embedder="hash", llm=OpenAIModel(own, "m")) as memory:
            await memory.remember("I live in Porto.", user="ana")
            answers = await asyncio.gather(*(memory.ask("Where do I live?", user="ana") for _ in range(4)))
            report = await memory.enrich(user="ana")
            with pytest.raises(ModelError):
                await memory.ask("What is forbidden?", user="ana")
        if kind == "async":
            await own.close()

    assert {a.text for a in answers} == {said}
    assert len(report.enriched) == 1


async def test_whoever_stops_waiting_for_an_async_model_leaves_a_memory_that_works() -> None:
    started = asyncio.Event()

    async def slow(messages: Any) -> str:
        started.set()
        await asyncio.sleep(0.2)
        return "Porto."

    async with AsyncMemory(embedder="hash", llm=slow) as memory:
        task = asyncio.create_task(memory.ask("Where do I live?"))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert (await memory.ask("Where do I live?")).text == "Porto."


def test_a_model_that_is_cancelled_is_a_typed_error() -> None:
    async def gone(messages: Any) -> str:
        raise asyncio.CancelledError

    with Memory(embedder="hash", llm=gone) as memory, pytest.raises(AgentMemError):
        memory.ask("Where do I live?")


def test_an_error_of_a_progress_callback_leaves_what_was_done(clock: ManualClock) -> None:
    """It comes to the caller as it is: it is the caller's own; the store is whole, and the next call goes on."""
    said = json.dumps({"keywords": ["porto"], "context": "Where Ana lives.", "tags": ["home"]})

    def nervous(*_: object) -> None:
        raise ZeroDivisionError

    with Memory(embedder="hash", clock=clock, llm=lambda messages: said) as memory:
        with pytest.raises(ZeroDivisionError):
            memory.remember_many([f"Note {n} about Porto." for n in range(100)], progress=nervous)
        with pytest.raises(ZeroDivisionError):
            memory.enrich(progress=nervous)

        assert memory.check().ok
        assert memory.enrich(limit=1).ok
