"""What goes wrong behind the proxy, or before it: it is told as it is, and of an exchange that failed the user's words alone are kept."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

if not os.environ.get("AGENTMEM_FRAMEWORKS"):
    pytest.importorskip("fastapi")
    pytest.importorskip("openai")

sys.path.insert(0, str(Path(__file__).parent))

import httpx
import openai
from proxied import LISBON, WHERE, Placed, Raw, answers, event, piece, placed

from agentmem import Memory
from agentmem.aio import AsyncMemory
from agentmem.errors import InvalidArgument
from agentmem.integrations.server import make_app
from agentmem.integrations.server.proxy_upstream import Upstream
from agentmem.notes.quoting import NOTES_HEADER

REFUSED = {"error": {"message": "Nothing of that kind.", "type": "policy", "param": None, "code": "policy_violation"}}


def until(true: Callable[[], object]) -> None:
    """Wait for what happens on another thread."""
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def once(first: Any, then: Any = "All right, good to hear.") -> Callable[[dict[str, Any]], Any]:
    left = [first]
    return lambda _: left.pop() if left else then


def unanswered(proxy: Placed) -> dict[str, bool]:
    return {note.content: bool(note.metadata.get("unanswered")) for note in proxy.kept()}


def test_errors_of_the_upstream_are_passed_on_as_they_are(tmp_path: Path) -> None:
    """Status, body and headers, whole or streamed; sent again and again, the user's words are kept once."""
    with placed(tmp_path) as proxy:
        for status in (400, 401, 403, 404, 409, 422, 429, 500, 503):
            raw = Raw(json.dumps(REFUSED).encode(), status=status, **{"retry-after": "7"})
            proxy.model.answer = lambda _, raw=raw: raw
            for stream in (False, True):
                with pytest.raises(openai.APIStatusError) as refused:
                    proxy.say(LISBON, stream=stream)
                assert refused.value.status_code == status
                assert refused.value.body == REFUSED["error"]
                assert refused.value.response.headers["retry-after"] == "7"
        assert unanswered(proxy) == {LISBON: True}


def test_what_failed_and_is_answered_at_the_second_try_is_an_exchange_like_any_other(tmp_path: Path) -> None:
    """Also when the client tries again by itself."""
    with placed(tmp_path, once(Raw(b"{}", status=503, **{"retry-after-ms": "1"}))) as proxy:
        client = proxy.client().with_options(max_retries=1)
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": LISBON}])

        assert len(proxy.model.seen) == 2
        assert unanswered(proxy) == {LISBON: False, "All right, good to hear.": False}


def test_a_refusal_is_no_answer(tmp_path: Path) -> None:
    """A model's own, and a filter's."""
    filtered = event({"choices": [{"index": 0, "delta": {"content": "Here is"}, "finish_reason": "content_filter"}]})
    with placed(tmp_path, once({"content": None, "refusal": "I cannot help with that."})) as proxy:
        proxy.say("Tell me something bad.")
        proxy.model.answer = once(Raw(filtered, b"data: [DONE]\n\n", kind="text/event-stream"))
        list(proxy.say("Tell me something worse.", stream=True))

        assert unanswered(proxy) == {"Tell me something bad.": True, "Tell me something worse.": True}


def test_a_prompt_that_is_refused_with_notes_is_asked_without(tmp_path: Path) -> None:
    """Too long with them, or held back by a filter because of them: what would be answered without a memory is answered with one."""

    def strict(body: dict[str, Any]) -> Any:
        with_notes = NOTES_HEADER in str(body["messages"])
        return Raw(json.dumps(REFUSED).encode(), status=400) if with_notes else answers(body)

    with placed(tmp_path, strict) as proxy:
        proxy.say(LISBON)
        raw = proxy.client().chat.completions.with_raw_response.create(
            model="m", messages=[{"role": "user", "content": WHERE}]
        )

    assert raw.parse().choices[0].message.content == "All right, good to hear."
    assert raw.headers["x-agentmem-warning"] == "the upstream refused the request with notes in it"
    assert "x-agentmem-recalled" not in raw.headers


# -- an upstream that breaks off, is slow, or talks nonsense --------------------------------------------------------------


def test_an_upstream_that_dies_in_mid_stream_is_told_and_not_remembered(tmp_path: Path) -> None:
    """What came whole is given on, then an error; half an event is not."""
    dying = Raw(
        piece("In "), piece("Lis") + b'data: {"choices": [{"ind', 0.05, OSError("gone"), kind="text/event-stream"
    )
    with placed(tmp_path, once(dying)) as proxy:
        heard = []
        with pytest.raises(openai.APIError, match="broke off"):
            heard.extend(each.choices[0].delta.content for each in proxy.say(WHERE, stream=True))
        assert heard == ["In ", "Lis"]
        assert unanswered(proxy) == {WHERE: True}
        list(proxy.say(WHERE, stream=True))

        assert unanswered(proxy) == {WHERE: False, "All right, good to hear.": False}


def test_a_stream_that_ends_without_an_end_is_no_answer(tmp_path: Path) -> None:
    with placed(tmp_path, once(Raw(piece("In Lis"), kind="text/event-stream"))) as proxy:
        assert [each.choices[0].delta.content for each in proxy.say(WHERE, stream=True)] == ["In Lis"]

        assert unanswered(proxy) == {WHERE: True}


def test_an_error_within_a_stream_is_no_answer(tmp_path: Path) -> None:
    said = Raw(
        piece("In Lis"),
        b'data: {"error": {"message": "overloaded"}}\n\n',
        b"data: [DONE]\n\n",
        kind="text/event-stream",
    )
    with placed(tmp_path, once(said)) as proxy:
        with pytest.raises(openai.APIError, match="overloaded"):
            list(proxy.say(WHERE, stream=True))
        until(proxy.kept)

        assert unanswered(proxy) == {WHERE: True}


def test_a_slow_upstream_is_given_up_after_the_time_out(tmp_path: Path) -> None:
    """Before its answer, and within it; what trickles on in time is no time-out."""
    with placed(tmp_path, once(Raw(5.0)), timeout=0.4) as proxy:
        for slow in (Raw(5.0), Raw(b'{"choices"', 5.0)):
            proxy.model.answer = once(slow)
            with pytest.raises(openai.InternalServerError, match="in time") as late:
                proxy.say(LISBON)
            assert late.value.status_code == 504
        proxy.model.answer = once(Raw(piece("In "), 5.0, kind="text/event-stream"))
        with pytest.raises(openai.APIError, match="in time"):
            list(proxy.say(LISBON, stream=True))
        trickle = [part for word in ("In ", "my ", "own ", "time.") for part in (piece(word), 0.2)]
        proxy.model.answer = once(Raw(*trickle, b"data: [DONE]\n\n", kind="text/event-stream"))
        said = "".join(each.choices[0].delta.content for each in proxy.say(WHERE, stream=True))

        assert said == "In my own time."
        assert unanswered(proxy) == {LISBON: True, WHERE: False, said: False}


NONSENSE = (
    b"<html>Welcome</html>", b"", b"[1, 2]", b'{"choices": {"a": 1}}', b'{"choices": [7, {"message": 3}]}', b"\xff\xfe{", b"[" * 5000,
)  # fmt: skip


def test_nonsense_is_passed_on_as_it_is_and_is_no_answer(tmp_path: Path) -> None:
    with placed(tmp_path) as proxy:
        url, head = f"{proxy.url}/openai/v1/chat/completions", {"Authorization": f"Bearer {proxy.tokens['ana']}"}
        for body in NONSENSE:
            proxy.model.answer = lambda _, body=body: Raw(body)
            said = httpx.post(
                url, json={"model": "m", "messages": [{"role": "user", "content": LISBON}]}, headers=head, timeout=60
            )
            assert (said.status_code, said.content) == (200, body)

        assert unanswered(proxy) == {LISBON: True}


def test_a_stream_in_any_dress_is_read(tmp_path: Path) -> None:
    """Comments, other ends of lines, events in pieces, characters in halves, no empty line behind the last; byte for byte to the client."""
    sent = (
        b": hello\r\n\r\nevent: message\r\n"
        + piece("Schön ist es. ")[:-2]
        + b"\r\n\r\n"
        + piece("In Lisboa.")
        + b"data: [DONE]\n"
    )
    with placed(
        tmp_path, lambda _: Raw(*(sent[at : at + 7] for at in range(0, len(sent), 7)), kind="text/event-stream")
    ) as proxy:
        url, head = f"{proxy.url}/openai/v1/chat/completions", {"Authorization": f"Bearer {proxy.tokens['ana']}"}
        body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": WHERE}]}
        said = httpx.post(url, json=body, headers=head, timeout=60).content

        assert said == sent
        assert unanswered(proxy) == {WHERE: False, "Schön ist es. In Lisboa.": False}


async def test_an_upstream_that_is_not_there_is_a_bad_gateway() -> None:
    async with AsyncMemory(None, embedder="hash") as memory:
        app = make_app(memory, tokens=None, upstream="http://127.0.0.1:9/v1")
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            said = await client.post(
                "/openai/v1/chat/completions", json={"messages": [{"role": "user", "content": LISBON}]}
            )
            models = await client.get("/openai/v1/models")

        assert (said.status_code, models.status_code) == (502, 502)
        assert said.json()["error"]["code"] == "UpstreamFailed"
        assert [note.metadata for note in await memory.notes()] == [{"unanswered": True}]


@pytest.mark.parametrize("url", ["api.openai.com/v1", "ftp://x/v1", "http://", "http://x/v1?key=1", "locl"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(InvalidArgument, match="upstream"):
        Upstream(url)


@pytest.mark.parametrize(
    "wrong", [{"timeout": 0}, {"timeout": float("nan")}, {"key": "a\nb"}, {"key": "schlüssel"}, {"key": ""}]
)
def test_a_time_or_a_key_that_cannot_be_one_is_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        Upstream("http://127.0.0.1:9/v1", **wrong)


# -- a client that is gone, or says nonsense --------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_hangs_up_cancels_the_upstream(tmp_path: Path, stream: bool) -> None:
    """Even while the upstream is silent. What was heard of a stream is the answer; who heard nothing got none."""
    slow = Raw(piece("In Lisbon, I"), piece(" think"), 8.0, kind="text/event-stream") if stream else Raw(b" ", 8.0)
    with placed(tmp_path, lambda _: slow) as proxy:
        async with openai.AsyncOpenAI(
            base_url=f"{proxy.url}/openai/v1", api_key=proxy.tokens["ana"], max_retries=0
        ) as client:
            asking = asyncio.create_task(_heard(client, stream=stream))
            await asyncio.to_thread(until, lambda: proxy.model.seen)
            await asyncio.sleep(0.7)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        await asyncio.to_thread(until, lambda: proxy.model.hung_up and proxy.kept())
        await asyncio.to_thread(until, lambda: len(proxy.kept()) == 1 + stream)

        assert unanswered(proxy) == ({WHERE: False, "In Lisbon, I think": False} if stream else {WHERE: True})


async def _heard(client: openai.AsyncOpenAI, *, stream: bool) -> None:
    said = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": WHERE}], stream=stream)
    if stream:
        async for _ in said:
            pass


def test_a_server_that_stops_finishes_what_it_writes(tmp_path: Path) -> None:
    """The last exchange is there when the directory is opened again."""
    with placed(tmp_path) as proxy:
        proxy.say(LISBON)

    assert unanswered(proxy) == {LISBON: False, "All right, good to hear.": False}


NO_REQUESTS = (
    b"",
    b"[]",
    b"{",
    b'{"messages": [], "messages": []}',
    b'{"a": NaN}',
    b'"text"',
    b'{"a":' * 200 + b"1" + b"}" * 200,
)


def test_what_is_no_request_is_refused_as_clients_read_it(tmp_path: Path) -> None:
    with placed(tmp_path) as proxy:
        head = {"Authorization": f"Bearer {proxy.tokens['ana']}", "Content-Type": "application/json"}
        for body in NO_REQUESTS:
            said = httpx.post(f"{proxy.url}/openai/v1/chat/completions", content=body, headers=head, timeout=60)
            assert said.status_code in (400, 422), body
            assert said.json()["error"]["message"]

        assert proxy.model.seen == []


NO_MESSAGES: tuple[Any, ...] = (
    None, "hi", [], [3], [{"role": "user"}], [{"role": "user", "content": {"a": 1}}], [{"content": "x"}],
    [{"role": ["user"], "content": []}],
)  # fmt: skip


def test_messages_that_are_none_are_left_to_the_upstream(tmp_path: Path) -> None:
    """It knows what it takes; nothing of them is remembered."""
    with placed(tmp_path, lambda _: Raw(json.dumps(REFUSED).encode(), status=400)) as proxy:
        head = {"Authorization": f"Bearer {proxy.tokens['ana']}"}
        for messages in NO_MESSAGES:
            url = f"{proxy.url}/openai/v1/chat/completions"
            said = httpx.post(url, json={"messages": messages}, headers=head, timeout=60)
            assert (said.status_code, said.json()) == (400, REFUSED)

        assert proxy.model.seen == [{"messages": messages} for messages in NO_MESSAGES]
        assert proxy.notes() == []


async def test_a_memory_that_cannot_be_read_takes_no_answer_away() -> None:
    """The request goes on without notes, and its headers say so."""

    def failing(texts: Any) -> Any:
        raise RuntimeError("no vectors today")

    said = httpx.Response(
        200,
        json={"choices": [{"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}]},
    )
    upstream = Upstream("http://upstream/v1", transport=httpx.MockTransport(lambda _: said))
    async with AsyncMemory(None, embedder=failing) as memory:
        app = make_app(memory, tokens=None, upstream=upstream)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            told = await client.post(
                "/openai/v1/chat/completions", json={"messages": [{"role": "user", "content": LISBON}]}
            )

    assert told.status_code == 200
    assert told.json()["choices"][0]["message"]["content"] == "Yes."
    assert "x-agentmem-warning" in told.headers


async def test_a_memory_for_reading_alone_gives_notes_and_keeps_nothing(tmp_path: Path) -> None:
    with Memory(tmp_path / "m", embedder="hash") as memory:
        memory.remember(LISBON, user="ana")
    seen: list[bytes] = []
    said = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}]}
    transport = httpx.MockTransport(lambda r: seen.append(r.content) or httpx.Response(200, json=said))
    async with AsyncMemory(tmp_path / "m", embedder="hash", read_only=True) as memory:
        app = make_app(memory, tokens=None, upstream=Upstream("http://upstream/v1", transport=transport))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            body = {"user": "ana", "messages": [{"role": "user", "content": WHERE}]}
            told = await client.post("/openai/v1/chat/completions", json=body)
        kept = await memory.notes(user="ana")

    assert told.json() == said
    assert b"Lisbon" in seen[0]
    assert told.headers["x-agentmem-warning"] == "not everything was remembered"
    assert [note.content for note in kept] == [LISBON]


async def test_where_users_have_notes_somebody_has_to_be_named() -> None:
    """Without tokens too: nothing goes upstream before it is said whose conversation it is."""
    seen: list[Any] = []
    upstream = Upstream(
        "http://upstream/v1", transport=httpx.MockTransport(lambda r: seen.append(r) or httpx.Response(200, json={}))
    )
    async with AsyncMemory(None, embedder="hash") as memory:
        await memory.remember("I live in Rome.", user="ana")
        app = make_app(memory, tokens=None, upstream=upstream)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            body = {"messages": [{"role": "user", "content": LISBON}]}
            nobody = await client.post("/openai/v1/chat/completions", json=body)
            ben = await client.post("/openai/v1/chat/completions", json={**body, "user": "ben"})

    assert (nobody.status_code, ben.status_code) == (400, 200)
    assert "X-Agentmem-User" in nobody.json()["error"]["message"]
    assert len(seen) == 1
