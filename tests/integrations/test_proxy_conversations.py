"""Clients send the whole conversation every time: what of it is remembered, and how often."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

if not os.environ.get("AGENTMEM_FRAMEWORKS"):
    pytest.importorskip("fastapi")
    pytest.importorskip("openai")

sys.path.insert(0, str(Path(__file__).parent))

import httpx
from proxied import LISBON, WHERE, Placed, answers, placed

from agentmem.notes.clock import ManualClock

CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Lisbon"}'}}
OTHER = {"id": "call_2", "type": "function", "function": {"name": "time", "arguments": "{}"}}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def script(*said: Any) -> Callable[[dict[str, Any]], Any]:
    """A model that says these one after the other, and the last of them from then on."""
    left = list(said)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def texts(proxy: Placed, who: str = "ana") -> list[str]:
    return [text for _, text in proxy.notes(who)]


def test_a_conversation_is_remembered_once_and_as_one(tmp_path: Path) -> None:
    """Three turns, each sent with all before it: six notes of one session; another conversation is another session."""
    with placed(tmp_path, script("One thing.", "Another thing.", "A third thing.")) as proxy:
        history: list[dict[str, Any]] = [{"role": "system", "content": "It is 10:31."}]
        for number, text in enumerate(("I keep bees.", "They fly far.", "I sell honey.")):
            history[0] = {"role": "system", "content": f"It is 10:3{number}."}
            said = proxy.say(text, before=history).choices[0].message.content
            history += [user(text), assistant(said)]
        proxy.say("I own a boat.")
        kept = proxy.kept()

    assert [note.content for note in kept][:6] == [message["content"] for message in history[1:]]
    assert len({note.scope.session for note in kept[:6]}) == 1
    assert [note.position for note in kept[:6]] == list(range(6))
    assert kept[6].scope.session != kept[0].scope.session


def test_a_conversation_goes_on_after_a_restart(tmp_path: Path) -> None:
    """In the same session, and without the turns that are known already."""
    with placed(tmp_path) as proxy:
        said = proxy.say(LISBON).choices[0].message.content
    with placed(tmp_path) as proxy:
        proxy.say(LISBON)
        proxy.say("It is sunny there.", before=[user(LISBON), assistant(said)])
        answer = proxy.say(WHERE)
        kept = proxy.kept()

    assert answer.choices[0].message.content == "You live in Lisbon."
    assert [note.content for note in kept].count(LISBON) == 1
    assert len({note.scope.session for note in kept[:4]}) == 1


def test_a_turn_with_tools_is_remembered_once(tmp_path: Path) -> None:
    """Parallel calls and their results pass as they are; of three requests the user's words and the last answer are kept."""
    calls = {"content": "Let me look.", "tool_calls": [CALL, OTHER]}
    with placed(
        tmp_path, script(calls, {"content": None, "tool_calls": [OTHER]}, "It is sunny in Lisbon at noon.")
    ) as proxy:
        messages: list[dict[str, Any]] = [user("How is the weather in Lisbon?")]
        for _ in range(3):
            said = proxy.client().chat.completions.create(model="m", messages=messages, tools=TOOLS)
            message = said.choices[0].message.model_dump(exclude_none=True)
            messages.append(message)
            results = [
                {"role": "tool", "tool_call_id": call["id"], "content": "sunny, 25°"}
                for call in message.get("tool_calls", [])
            ]
            messages += results
            kept = proxy.kept()
            assert len(kept) == (1 if results else 2)
        sent = proxy.model.seen[-1]

    assert sent["messages"] == messages[:-1]
    assert sent["tools"] == TOOLS
    assert [each["id"] for each in messages[1]["tool_calls"]] == ["call_1", "call_2"]
    assert [note.content for note in kept] == ["How is the weather in Lisbon?", "It is sunny in Lisbon at noon."]
    assert not any(note.metadata.get("unanswered") for note in kept)


def test_calls_of_tools_pass_in_a_stream(tmp_path: Path) -> None:
    with placed(tmp_path, script({"content": "", "tool_calls": [CALL, OTHER]})) as proxy:
        pieces = list(proxy.say("How is the weather?", stream=True, tools=TOOLS))

    calls = [call for each in pieces for call in each.choices[0].delta.tool_calls or []]
    assert [(call.index, call.function.name) for call in calls] == [(0, "weather"), (1, "time")]
    assert texts(proxy) == ["How is the weather?"]


def test_a_turn_that_is_sent_again_is_not_remembered_again(tmp_path: Path) -> None:
    """Another answer to it takes the place of the former, which stays in its history; the same answer changes nothing."""
    with placed(tmp_path, script("Bees, certainly.", "Bees, certainly.", "Wasps, perhaps.")) as proxy:
        for _ in range(3):
            proxy.say("What buzzes in my garden?")
        kept = proxy.kept()

    assert [note.content for note in kept] == ["What buzzes in my garden?", "Wasps, perhaps."]
    assert kept[1].version == 2


def test_another_answer_goes_with_the_notes_that_it_is_drawn_from(tmp_path: Path) -> None:
    """Although the first one was drawn from none."""
    with placed(tmp_path, script("All right.", "Nobody told me, I am afraid.", "You live in Lisbon.")) as proxy:
        proxy.say(LISBON)
        proxy.say(WHERE, extra_headers={"X-Agentmem": "remember"})
        proxy.say(WHERE)
        assert "You live in Lisbon." in texts(proxy)
        proxy.forget(proxy.kept()[0].id)

        assert not [text for text in texts(proxy) if "Lisbon" in text]


def test_an_edited_turn_is_another_turn(tmp_path: Path) -> None:
    """Both were said; of two that contradict each other the later one holds."""
    with placed(tmp_path) as proxy:
        before = [user("Hello there, friend."), assistant(proxy.say("Hello there, friend.").choices[0].message.content)]
        proxy.say("I live in Porto.", before=before)
        proxy.say("I live in Braga.", before=before)
        kept = {note.content: note for note in proxy.kept()}

    assert kept["I live in Porto."].valid_to is not None
    assert kept["I live in Braga."].valid_to is None
    assert kept["I live in Porto."].scope.session == kept["I live in Braga."].scope.session


def test_the_same_words_again_in_a_conversation_are_said_again(tmp_path: Path) -> None:
    with placed(tmp_path, script("First stretch.", "Then bend.", "Then rest.")) as proxy:
        history: list[dict[str, Any]] = []
        for _ in range(3):
            said = proxy.say("And what next?", before=history).choices[0].message.content
            history += [user("And what next?"), assistant(said)]

    assert texts(proxy).count("And what next?") == 3


def test_the_same_words_another_day_are_said_again(tmp_path: Path) -> None:
    """Within the hour it is a client that tries once more; between calls of tools it is the same turn however long these take."""
    clock = ManualClock()
    with placed(tmp_path, script("Oh dear."), clock=clock) as proxy:
        proxy.say("I have a headache today.")
        clock.advance(minutes=50)
        proxy.say("I have a headache today.")
        assert texts(proxy).count("I have a headache today.") == 1
        clock.advance(hours=26)
        calls = [
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": "25°"},
        ]
        proxy.client().chat.completions.create(model="m", messages=[user("I have a headache today."), *calls])
        assert texts(proxy).count("I have a headache today.") == 1
        proxy.say("I have a headache today.")
        kept = [note for note in proxy.kept() if note.actor == "user"]

    assert [note.content for note in kept] == ["I have a headache today."] * 2
    assert kept[1].occurred_at - kept[0].occurred_at > timedelta(hours=24)
    assert kept[1].scope.session != kept[0].scope.session


def test_a_named_session_is_the_one_that_was_named(tmp_path: Path) -> None:
    """It says where a turn is kept; what is recalled is not narrowed to it."""
    with placed(tmp_path) as proxy:
        proxy.say(LISBON, extra_headers={"X-Agentmem-Session": "monday"})
        said = proxy.say(WHERE, extra_headers={"X-Agentmem-Session": "friday"})
        kept = proxy.kept()

    assert [note.scope.session for note in kept] == ["monday", "monday", "friday", "friday"]
    assert said.choices[0].message.content == "You live in Lisbon."


def test_notes_that_a_program_hands_on_are_not_stored_again(tmp_path: Path) -> None:
    with placed(tmp_path) as proxy:
        proxy.say(LISBON)
        proxy.say(WHERE)
        block = proxy.model.prompts[-1]
        proxy.say(f"{block}\n\nTell me about trams.")

    assert texts(proxy)[4] == "Tell me about trams."


def test_a_history_that_no_note_can_hold_passes(tmp_path: Path) -> None:
    """NUL, halves of characters, and pages of text: what can be a note is kept, and the request is served all the same."""
    with placed(tmp_path) as proxy:
        before = [user("a\0b"), assistant("\ud83d half"), user("word " * 40_000), assistant("ok")]
        latest = (LISBON, "I live in \0 Rome.", "word " * 40_000)
        fine, nul, long = (posted(proxy, [*before, user(text)]) for text in latest)

    assert (fine.status_code, nul.status_code, long.status_code) == (200, 200, 200)
    assert "x-agentmem-warning" not in fine.headers
    assert nul.headers["x-agentmem-warning"] == long.headers["x-agentmem-warning"] == "not everything was remembered"
    assert texts(proxy) == [LISBON, "All right, good to hear."]


def posted(proxy: Placed, messages: list[dict[str, Any]]) -> httpx.Response:
    """Without a client that would mend it."""
    head = {"Authorization": f"Bearer {proxy.tokens['ana']}", "Content-Type": "application/json"}
    body = json.dumps({"model": "m", "messages": messages})
    return httpx.post(f"{proxy.url}/openai/v1/chat/completions", content=body, headers=head, timeout=60)


def test_twenty_clients_at_once(tmp_path: Path) -> None:
    """Each of two users in conversations of their own: nothing is lost, doubled or mixed up."""

    def live(number: int) -> None:
        who = ("ana", "ben")[number % 2]
        text = f"My locker at the {who} pool is number {number}."
        said = proxy.say(text, who, stream=bool(number % 3)) if number % 3 == 0 else proxy.say(text, who)
        answer = said if isinstance(said, str) else said.choices[0].message.content
        list(proxy.say("Thank you kindly.", who, before=[user(text), assistant(answer)], stream=True))

    with placed(tmp_path, lambda body: f"Noted: {body['messages'][-1]['content'][-12:]}") as proxy:
        with ThreadPoolExecutor(20) as pool:
            list(pool.map(live, range(20)))
        kept = {who: proxy.kept(who) for who in ("ana", "ben")}

    for at, who in enumerate(("ana", "ben")):
        told = [note for note in kept[who] if note.content.startswith("My locker")]
        assert sorted(note.content for note in told) == sorted(
            f"My locker at the {who} pool is number {n}." for n in range(at, 20, 2)
        )
        assert len({note.scope.session for note in told}) == 10
        thanks = [note for note in kept[who] if note.content == "Thank you kindly."]
        assert {note.scope.session for note in thanks} == {note.scope.session for note in told}
        assert len(kept[who]) == 40


def test_the_same_request_twenty_times_at_once_is_one_turn(tmp_path: Path) -> None:
    with placed(tmp_path) as proxy, ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda _: proxy.say(LISBON), range(20)))

        assert texts(proxy) == [LISBON, answers({"messages": [user(LISBON)]})]
