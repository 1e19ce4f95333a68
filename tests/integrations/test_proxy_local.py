"""The memory's own model behind the proxy's address: what it learned by heart answers first, then notes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

if not os.environ.get("AGENTMEM_FRAMEWORKS"):
    pytest.importorskip("fastapi")
    pytest.importorskip("openai")

sys.path.insert(0, str(Path(__file__).parent))

import openai
from proxied import LISBON, on_loopback

from agentmem import Memory
from agentmem.aio import AsyncMemory
from agentmem.integrations.server import Access, make_app
from agentmem.llm.small_model import small_model_path
from agentmem.notes.note import Scope


@contextmanager
def local(path: Path, **options: Any) -> Iterator[openai.OpenAI]:
    """A client of a proxy without an upstream, in Ana's scope."""
    scope = Scope(user="ana")
    memory = AsyncMemory(path, scope=scope, embedder="hash", **options)
    app = make_app(memory, tokens=None, access=Access.local(scope), close=True, upstream="local")
    with on_loopback(app) as url, openai.OpenAI(base_url=f"{url}/openai/v1", api_key="none", max_retries=0) as client:
        yield client


def say(client: openai.OpenAI, text: str, **options: Any) -> Any:
    return client.chat.completions.with_raw_response.create(
        model="whatever", messages=[{"role": "user", "content": text}], **options
    )


def kept(path: Path) -> list[tuple[str | None, str]]:
    with Memory(path, embedder="hash", read_only=True) as memory:
        return [(note.actor, note.content) for note in memory.notes(user="ana")]


@pytest.fixture
def shipped() -> str:
    if not list(small_model_path().glob("*.safetensors")):
        pytest.skip("the small model is not here")
    return "small"


def test_the_shipped_model_answers_from_what_it_was_told(tmp_path: Path, shipped: str) -> None:
    """Whole and streamed; said once and remembered once, after a restart too."""
    with local(tmp_path / "m", model=shipped) as client:
        say(client, "I live in Lisbon.")
        raw = say(client, "Where do I live?")
        whole = raw.parse()
    with local(tmp_path / "m", model=shipped) as client:
        options = {"stream": True, "stream_options": {"include_usage": True}}
        with client.chat.completions.with_streaming_response.create(
            model="m", messages=[{"role": "user", "content": "So where do I live?"}], **options
        ) as streamed:
            pieces = list(streamed.parse())

    said = "".join(each.choices[0].delta.content or "" for each in pieces if each.choices)
    assert whole.choices[0].message.content == said == "Lisbon."
    assert (raw.headers["x-agentmem-source"], streamed.headers["x-agentmem-source"]) == ("notes", "notes")
    assert raw.headers["x-agentmem-recalled"]
    assert whole.usage.prompt_tokens > 10
    assert pieces[-1].usage.total_tokens == pieces[-1].usage.prompt_tokens + pieces[-1].usage.completion_tokens
    assert pieces[-2].choices[0].finish_reason == "stop"
    told = [text for actor, text in kept(tmp_path / "m") if actor == "user"]
    assert told == ["I live in Lisbon.", "Where do I live?", "So where do I live?"]


def test_an_answer_that_quotes_a_note_goes_with_it(tmp_path: Path, shipped: str) -> None:
    """Also one that says that it is not known, and what is known instead."""
    with local(tmp_path / "m", model=shipped) as client:
        say(client, "My sister Mara lives in Graz.")
        said = say(client, "Where does my sister Mara live?").parse().choices[0].message.content
    with Memory(tmp_path / "m", embedder="hash") as memory:
        told = next(note for note in memory.notes(user="ana") if note.content == "My sister Mara lives in Graz.")
        memory.forget(told.id, user="ana")

    assert "Graz" in said
    assert "Graz" not in str(kept(tmp_path / "m"))


@pytest.mark.slow
def test_what_was_consolidated_answers_by_heart(tmp_path: Path, shipped: str) -> None:
    """No note is recalled for it."""
    with Memory(tmp_path / "m", embedder="hash", model=shipped) as memory:
        memory.remember({"role": "user", "content": "I live in Lisbon."}, user="ana")
        for _ in range(3):
            memory.ask("Where do I live?", user="ana")
        assert len(memory.consolidate(user="ana").promoted) == 1
    with local(tmp_path / "m", model=shipped) as client:
        raw = say(client, "Where do I live?")

    assert raw.parse().choices[0].message.content == "Lisbon."
    assert raw.headers["x-agentmem-source"] == "weights"
    assert "x-agentmem-recalled" not in raw.headers


def model(messages: Any) -> str:
    """One of the caller's own, which stands for any."""
    prompt = "\n".join(message["content"] for message in messages)
    return "In Lisbon, by the river." if "Lisbon" in prompt else "I do not know."


def test_any_model_of_the_memory_can_be_asked(tmp_path: Path) -> None:
    """With its conversation, its instructions, stop strings and modes."""
    with local(tmp_path / "m", llm=model) as client:
        say(client, LISBON)
        cut = say(client, "Where do I live?", stop=[", by"], extra_headers={"X-Agentmem": "recall"})
        off = say(client, "Where do I live?", extra_headers={"X-Agentmem": "off"})

        assert cut.parse().choices[0].message.content == "In Lisbon"
        assert off.parse().choices[0].message.content == "I do not know."
        assert off.headers["x-agentmem"] == "off"
        assert [each.id for each in client.models.list()] == ["agentmem-local"]
    assert [text for actor, text in kept(tmp_path / "m") if actor == "user"] == [LISBON]


@pytest.mark.parametrize(
    "wrong",
    [
        {"n": 2},
        {"tool_choice": "required"},
        {"response_format": {"type": "json_object"}},
        {"max_tokens": -1},
        {"messages": []},
    ],
)
def test_what_the_model_cannot_do_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    """Rather than passed over; nothing of it is remembered."""
    with local(tmp_path / "m", llm=model) as client:
        body = {"model": "m", "messages": [{"role": "user", "content": LISBON}], **wrong}
        with pytest.raises(openai.UnprocessableEntityError):
            client.post("/chat/completions", body=body, cast_to=object)
        with pytest.raises(openai.NotFoundError):
            client.embeddings.create(model="m", input="x")

    assert kept(tmp_path / "m") == []


def test_a_memory_without_a_model_says_so(tmp_path: Path) -> None:
    """The user's words are kept, as where any model fails."""
    with local(tmp_path / "m") as client, pytest.raises(openai.InternalServerError) as refused:
        say(client, LISBON)

    assert refused.value.status_code == 503
    assert kept(tmp_path / "m") == [("user", LISBON)]


def test_a_message_that_is_too_long_is_the_client_s_matter(tmp_path: Path, shipped: str) -> None:
    """One that is sent again is refused again: no failure of the server."""
    with local(tmp_path / "m", model=shipped) as client, pytest.raises(openai.APIStatusError) as refused:
        say(client, "word " * 20_000)

    assert refused.value.status_code == 413
    assert "at most" in refused.value.message
