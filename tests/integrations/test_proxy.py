"""The proxy, by OpenAI's own client: a memory for whoever changes the base URL, and otherwise nothing but what the upstream says."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if not os.environ.get("AGENTMEM_FRAMEWORKS"):
    pytest.importorskip("fastapi")
    pytest.importorskip("openai")

sys.path.insert(0, str(Path(__file__).parent))

import httpx
import openai
from proxied import LISBON, WHERE, Placed, Raw, answers, on_loopback, placed, scripted

from agentmem import Memory
from agentmem.aio import AsyncMemory
from agentmem.integrations.server import make_app
from agentmem.notes.quoting import NOTES_HEADER


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Placed]:
    with placed(tmp_path) as found:
        yield found


# -- a memory by changing the base URL -----------------------------------------------------------------------------


def test_what_one_conversation_told_is_known_in_another(proxy: Placed) -> None:
    """The words of both stand in the memory, the notes in the prompt alone, and the headers say which they were."""
    proxy.say(LISBON)
    raw = proxy.client().chat.completions.with_raw_response.create(
        model="m", messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": WHERE}]
    )

    assert raw.parse().choices[0].message.content == "You live in Lisbon."
    told = {note.content: note for note in proxy.kept()}
    assert told[LISBON].id in raw.headers["x-agentmem-recalled"].split(",")
    assert raw.headers["x-agentmem"] == "on"
    assert proxy.model.prompts[-1].startswith(f"Be brief.\n\n{NOTES_HEADER}")
    assert LISBON in proxy.model.prompts[-1]
    assert proxy.notes() == [
        ("user", LISBON), ("assistant", "All right, good to hear."), ("user", WHERE), ("assistant", "You live in Lisbon."),
    ]  # fmt: skip
    assert not any(NOTES_HEADER in text for _, text in proxy.notes())


def test_users_do_not_meet(proxy: Placed) -> None:
    """What Ana told is neither in Ben's prompt nor in his notes, by whatever name he asks."""
    proxy.say(LISBON)
    said = proxy.say(WHERE, "ben", user="ana")
    with pytest.raises(openai.PermissionDeniedError):
        proxy.say(WHERE, "ben", extra_headers={"X-Agentmem-User": "ana"})

    assert "Lisbon" not in said.choices[0].message.content
    assert "Lisbon" not in str(proxy.model.seen[-1])
    assert {text for _, text in proxy.notes("ben")} == {WHERE, said.choices[0].message.content}


def test_a_token_for_many_names_the_user_by_field_or_header(proxy: Placed) -> None:
    """The header goes before the field; without either nothing is asked and nothing stored."""
    proxy.say(LISBON, "many", user="ana")
    named = proxy.say(WHERE, "many", user="someone", extra_headers={"X-Agentmem-User": "ana"})
    with pytest.raises(openai.BadRequestError, match="X-Agentmem-User"):
        proxy.say("Who am I?", "many")

    assert named.choices[0].message.content == "You live in Lisbon."
    assert len(proxy.model.seen) == 2
    assert proxy.model.seen[-1]["user"] == "someone"


def test_a_name_in_a_header_is_read_as_utf8(proxy: Placed) -> None:
    """One in another encoding would name somebody else, and so would the second of two."""
    url, key = f"{proxy.url}/openai/v1/chat/completions", f"Bearer {proxy.tokens['many']}".encode()
    body = {"model": "m", "messages": [{"role": "user", "content": LISBON}]}
    name, names = b"X-Agentmem-User", ("zoë".encode(), "zoë".encode("latin-1"))
    good, bad = (
        httpx.post(url, json=body, headers=[(b"Authorization", key), (name, each)], timeout=60) for each in names
    )
    twice = httpx.post(url, json=body, headers=[(b"Authorization", key), (name, b"ana"), (name, b"ben")], timeout=60)

    assert (good.status_code, bad.status_code, twice.status_code) == (200, 422, 422)
    assert proxy.notes("zoë")[0] == ("user", LISBON)
    assert proxy.notes() == []


def test_nobody_is_let_in_without_a_token(proxy: Placed) -> None:
    for key in ("wrong", proxy.tokens["ana"] + "x"):
        client = openai.OpenAI(base_url=f"{proxy.url}/openai/v1", api_key=key, max_retries=0)
        with pytest.raises(openai.AuthenticationError):
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
        with pytest.raises(openai.AuthenticationError):
            client.models.list()

    assert proxy.model.seen == []


def test_the_token_stays_here_and_the_key_goes_upstream(proxy: Placed) -> None:
    """Also that of a token that is called as the access without tokens is."""
    proxy.say("Hello there.", "local", extra_headers={"X-Agentmem-Session": "s", "Cookie": "c=1", "X-Title": "mine"})

    sent = proxy.model.headers[-1]
    assert sent["authorization"] == "Bearer sk-upstream"
    assert sent["x-title"] == "mine"
    assert not [name for name in sent if name.startswith("x-agentmem") or name == "cookie"]
    assert proxy.tokens["local"] not in str(proxy.model.headers)


def test_without_tokens_the_client_brings_the_key_of_the_upstream(tmp_path: Path) -> None:
    with scripted(answers) as model:
        app = make_app(AsyncMemory(None, embedder="hash"), tokens=None, close=True, upstream=model.url)
        with on_loopback(app) as url:
            client = openai.OpenAI(base_url=f"{url}/openai/v1", api_key="sk-mine", max_retries=0)
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": LISBON}])
            known = client.chat.completions.create(model="m", messages=[{"role": "user", "content": WHERE}])

    assert model.headers[-1]["authorization"] == "Bearer sk-mine"
    assert known.choices[0].message.content == "You live in Lisbon."


# -- what passes ------------------------------------------------------------------------------------------------------


def test_what_is_unknown_passes_both_ways(proxy: Placed) -> None:
    """Fields, parts, parameters and headers; what goes upstream without notes is the request byte for byte."""
    content = [
        {"type": "text", "text": "What is in this picture?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
    ]
    options = {"seed": 7, "stop": ["\n"], "temperature": 0.25, "logit_bias": {"5": -100}, "metadata": {"a": "b"}}
    raw = proxy.client().chat.completions.with_raw_response.create(
        model="m", messages=[{"role": "user", "content": content, "name": "x"}], extra_query={"api-version": "3"},
        extra_body={"x_new": {"deep": [1, 2.50, None]}}, **options,
    )  # fmt: skip

    sent = proxy.model.seen[-1]
    assert sent == {
        "model": "m",
        "messages": [{"role": "user", "content": content, "name": "x"}],
        "x_new": {"deep": [1, 2.5, None]},
        **options,
    }
    assert proxy.model.paths[-1] == "/chat/completions?api-version=3"
    said = raw.parse()
    assert said.usage.total_tokens == 18
    assert said.x_extra == {"kept": [1]}
    assert raw.headers["x-ratelimit-remaining-requests"] == "9"
    assert raw.headers["x-upstream-request-id"] == "up-1"
    assert len(raw.headers["x-request-id"]) == 32
    assert "set-cookie" not in raw.headers
    assert proxy.notes()[0] == ("user", "What is in this picture?")
    assert "QUJD" not in str(proxy.notes())


def test_notes_go_behind_whatever_instructions_there_are(proxy: Placed) -> None:
    proxy.say(LISBON)
    parts = [{"type": "text", "text": "Be brief."}]
    for system in ([], [{"role": "developer", "content": "Be brief."}], [{"role": "system", "content": parts}]):
        proxy.say(WHERE, before=system, extra_headers={"X-Agentmem": "recall"})

    none, developer, listed = (body["messages"] for body in proxy.model.seen[1:])
    assert none[0]["role"] == "system"
    assert none[0]["content"].startswith(NOTES_HEADER)
    assert developer[0]["content"].startswith(f"Be brief.\n\n{NOTES_HEADER}")
    assert (listed[0]["content"][0], listed[0]["content"][1]["text"].startswith(NOTES_HEADER)) == (parts[0], True)
    assert {len(none), len(developer), len(listed)} == {2}


def test_what_the_request_shows_is_not_recalled_besides(proxy: Placed) -> None:
    said = proxy.say(LISBON).choices[0].message.content
    proxy.say(WHERE, before=[{"role": "user", "content": LISBON}, {"role": "assistant", "content": said}])

    assert NOTES_HEADER not in proxy.model.prompts[-1]


def test_several_choices_pass_and_the_first_is_remembered(tmp_path: Path) -> None:
    with placed(tmp_path, lambda _: ["In the hills, I think.", "By the sea, I think."]) as proxy:
        said = proxy.say("Where is it nice?", n=2)
        pieces = list(proxy.say("Where is it nicer?", n=2, stream=True))

    assert [each.message.content for each in said.choices] == ["In the hills, I think.", "By the sea, I think."]
    assert {each.choices[0].index for each in pieces} == {0, 1}
    assert [text for _, text in proxy.notes()] == [
        "Where is it nice?", "In the hills, I think.", "Where is it nicer?", "In the hills, I think.",
    ]  # fmt: skip


def test_models_and_embeddings_are_the_upstreams(proxy: Placed) -> None:
    client = proxy.client()

    assert [each.id for each in client.models.list()] == ["scripted"]
    client.models.retrieve("org/scripted")
    client.post("/embeddings", body={"model": "m", "input": "x"}, cast_to=object)
    assert [path.rstrip("?") for path in proxy.model.paths] == ["/models", "/models/org/scripted", "/embeddings"]
    with pytest.raises(openai.NotFoundError, match="chat completions"):
        client.responses.create(model="m", input="hi")


def test_no_name_of_a_model_leads_anywhere_else(proxy: Placed) -> None:
    """The key of the upstream opens more than models there."""
    head = {"Authorization": f"Bearer {proxy.tokens['ana']}"}
    for name in ("..%2f..%2fadmin", "%2e%2e/%2e%2e/admin", "a/..%2f..%2f..%2fadmin", "a%2f%2e%2e%2f%2e%2e", "%2fadmin"):
        with httpx.stream("GET", f"{proxy.url}/openai/v1/models/{name}", headers=head) as refused:
            assert refused.status_code == 404, name
    httpx.get(f"{proxy.url}/openai/v1/models/a%3Fb=c%23d", headers=head, timeout=60)

    assert proxy.model.paths == ["/models/a?b=c#d?"]


def test_what_the_upstream_sets_for_one_client_no_other_one_sends(proxy: Placed) -> None:
    """Every answer of this upstream sets a cookie."""
    proxy.say(LISBON, "ana")
    proxy.say(WHERE, "ben")
    proxy.say(WHERE, "ana")

    assert len(proxy.model.headers) == 3
    assert not any("cookie" in each for each in proxy.model.headers)


def test_no_answer_of_the_upstream_is_a_page_of_this_server(tmp_path: Path) -> None:
    """Nor does it command a browser that was led here."""
    commands = {
        "Content-Security-Policy": "default-src * 'unsafe-inline'",
        "Access-Control-Allow-Origin": "*",
        "Clear-Site-Data": "*",
        "Location": "http://evil.example",
        "Retry-After": "7",
    }
    page = Raw(b"<script>alert(1)</script>", kind="text/html", **commands)
    with placed(tmp_path / "memory", lambda _: page) as proxy:
        head = {"Authorization": f"Bearer {proxy.tokens['ana']}"}
        body = {"model": "m", "messages": [{"role": "user", "content": WHERE}]}
        told = httpx.post(f"{proxy.url}/openai/v1/chat/completions", json=body, headers=head, timeout=60)

    assert told.headers["content-type"] == "application/octet-stream"
    assert told.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert told.headers["retry-after"] == "7"
    assert not {"access-control-allow-origin", "clear-site-data", "location"} & set(told.headers)


# -- streams ----------------------------------------------------------------------------------------------------------


def test_a_stream_passes_piece_by_piece_and_is_remembered_at_its_end(proxy: Placed) -> None:
    proxy.say(LISBON)
    options = {"stream": True, "stream_options": {"include_usage": True}}
    with proxy.client().chat.completions.with_streaming_response.create(
        model="m", messages=[{"role": "user", "content": WHERE}], **options
    ) as raw:
        pieces = list(raw.parse())

    assert "".join(each.choices[0].delta.content or "" for each in pieces if each.choices) == "You live in Lisbon."
    assert len(pieces) == 7
    assert pieces[-1].usage.total_tokens == 18
    assert pieces[0].x_extra == "kept"
    assert raw.headers["x-agentmem-recalled"]
    assert raw.headers["content-type"].startswith("text/event-stream")
    assert [text for _, text in proxy.notes()][2:] == [WHERE, "You live in Lisbon."]


async def test_the_awaited_client_gets_the_same(proxy: Placed) -> None:
    async with openai.AsyncOpenAI(base_url=f"{proxy.url}/openai/v1", api_key=proxy.tokens["ana"]) as client:
        await client.chat.completions.create(model="m", messages=[{"role": "user", "content": LISBON}])
        stream = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": WHERE}], stream=True
        )
        said = [each.choices[0].delta.content or "" async for each in stream]

    assert "".join(said) == "You live in Lisbon."
    assert len(proxy.notes()) == 4


# -- what of it is remembered, and whether it may be --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "recalls", "stores"),
    [("off", False, False), ("recall", True, False), ("remember", False, True), ("ON", True, True)],
)
def test_a_header_says_what_the_memory_does(proxy: Placed, mode: str, recalls: bool, stores: bool) -> None:
    proxy.say(LISBON)
    said = proxy.say(WHERE, extra_headers={"X-Agentmem": mode})

    assert (said.choices[0].message.content == "You live in Lisbon.") == recalls
    assert (len(proxy.notes()) == 4) == stores


def test_a_header_that_makes_no_sense_is_refused(proxy: Placed) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match="on, off, recall, remember"):
        proxy.say(LISBON, extra_headers={"X-Agentmem": "maybe"})
    with pytest.raises(openai.UnprocessableEntityError, match="in its address"):
        proxy.say(LISBON, extra_query={"user": "ben"})

    assert proxy.model.seen == []


def test_a_token_does_what_its_rights_allow(proxy: Placed) -> None:
    """One that may read is given notes and is not remembered; one that may only write asks no model."""
    proxy.say(LISBON)
    said = proxy.say(WHERE, "reader")

    assert said.choices[0].message.content == "You live in Lisbon."
    assert len(proxy.notes()) == 2
    with pytest.raises(openai.PermissionDeniedError):
        proxy.say(WHERE, "reader", extra_headers={"X-Agentmem": "on"})
    with pytest.raises(openai.PermissionDeniedError):
        proxy.say(WHERE, "writer")


def test_an_answer_that_is_drawn_from_notes_is_evidence(proxy: Placed) -> None:
    proxy.say(LISBON)
    proxy.say(WHERE)

    with Memory(proxy.path, embedder="hash", read_only=True) as memory:
        found = memory.evidence(user="ana")
        told = next(note for note in memory.notes(user="ana") if note.content == LISBON)
    assert [(each.question, each.answer, each.notes) for each in found] == [(WHERE, "You live in Lisbon.", (told.id,))]
    assert told.state.recalls == 1


def test_an_answer_goes_with_what_it_repeats(proxy: Placed) -> None:
    """Notes that stood in the prompt, and earlier turns of the conversation."""
    said = proxy.say(LISBON).choices[0].message.content
    before = [{"role": "user", "content": LISBON}, {"role": "assistant", "content": said}]
    proxy.say(WHERE, before=before)
    proxy.say("So where do I live?")
    told = next(note for note in proxy.kept() if note.content == LISBON)
    proxy.forget(told.id)

    assert proxy.notes() == [("assistant", said), ("user", WHERE), ("user", "So where do I live?")]
