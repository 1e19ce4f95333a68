"""Messages of every form that chat APIs have are remembered, and one that cannot be does not take the others with it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from agentmem import Memory
from agentmem.errors import InvalidArgument, InvalidNote
from agentmem.llm.clients import LocalModel
from agentmem.llm.small_model import load_small_model
from agentmem.notes.messages import plain_messages

CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Porto"}'}}
TRANSCRIPT: list[dict[str, Any]] = [
    {"role": "user", "content": "How is the weather where I live, in Porto?"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {
        "role": "tool",
        "tool_call_id": "c1",
        "content": [{"type": "text", "text": "18 degrees"}, {"type": "text", "text": "some rain"}],
    },
    {"role": "assistant", "content": "It is 18 degrees, with some rain."},
    {
        "role": "user",
        "content": [{"type": "text", "text": "This is my cat."}, {"type": "image_url", "image_url": {"url": "data:…"}}],
    },
    {"role": "assistant", "content": "", "refusal": "I cannot say whose cat that is."},
]


def objects() -> list[Any]:
    """The same conversation as a client library hands it over."""
    chat = pytest.importorskip("openai.types.chat")
    message = chat.ChatCompletionMessage
    return [
        TRANSCRIPT[0], message.model_validate(TRANSCRIPT[1]), TRANSCRIPT[2],
        message.model_validate(TRANSCRIPT[3]), SimpleNamespace(**TRANSCRIPT[4]), message.model_validate(TRANSCRIPT[5]),
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["mappings", "objects"])
def test_a_transcript_is_remembered_whole(memory: Memory, form: str) -> None:
    """The words of parts and of refusals; what is no text is named; a call of a tool is no memory, and its receipt says so."""
    receipt = memory.remember(TRANSCRIPT if form == "mappings" else objects(), user="ana")

    assert [r.status for r in receipt.items] == ["stored", "rejected", "stored", "stored", "stored", "stored"]
    assert "tool" in receipt.items[1].reason
    assert [n.content for n in memory.notes(user="ana")] == [
        "How is the weather where I live, in Porto?", "18 degrees\nsome rain", "It is 18 degrees, with some rain.",
        "This is my cat.\n[image_url]", "I cannot say whose cat that is.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "bad",
    [
        {"role": "assistant", "content": None}, {"role": "user", "content": ""}, {"role": "user", "content": 7}, {"role": "wizard", "content": "x"},
        {"role": "user", "content": "a\0b"}, {"role": "user", "content": "x" * 70_000}, {"role": "user", "content": [3, object()]}, 7, None, "text",
        {"role": "user", "content": "x", "occurred_at": "yesterday-ish"}, {"text": "x"}, {"role": "user", "content": [{"type": []}]},
    ],
)  # fmt: skip
def test_one_bad_message_does_not_take_the_others_with_it(memory: Memory, bad: Any) -> None:
    """What is good is stored, in its place; what is not has a receipt with the reason. Alone, it is a typed error."""
    good = {"role": "user", "content": "I live in Porto."}
    receipt = memory.remember([good, bad, {"role": "assistant", "content": "Porto is lovely in spring."}], user="ana")

    stored = [n.content for n in memory.notes(user="ana")]
    assert (stored[0], stored[-1]) == ("I live in Porto.", "Porto is lovely in spring.")
    assert receipt.items[0].ok
    assert receipt.items[2].ok
    if not receipt.items[1].ok:
        assert receipt.items[1].reason.startswith("message 1: ")
        with pytest.raises((InvalidArgument, InvalidNote)):
            memory.remember([bad], user="ana")


def test_a_wrong_option_is_an_error_not_a_receipt_for_each(memory: Memory) -> None:
    with pytest.raises(InvalidArgument, match="poem"):
        memory.remember(TRANSCRIPT, kind="poem")

    assert memory.notes() == []


def test_a_transcript_stands_before_a_question(memory: Memory) -> None:
    """Calls of tools are told in words, because not every model knows them."""
    seen: list[Any] = []
    with Memory(embedder="hash", llm=lambda messages: (seen.append(messages), "It rained.")[1]) as asked:
        asked.ask("How was the weather?", history=objects())
        with pytest.raises(InvalidArgument):
            asked.ask("How was the weather?", history=[{"role": "user"}])

    assert seen[0][1] == {"role": "assistant", "content": '[calls weather({"city": "Porto"})]'}
    assert seen[0][2]["content"] == "18 degrees\nsome rain"
    assert all(isinstance(m["content"], str) for m in seen[0])


def test_a_local_model_reads_a_transcript() -> None:
    local = LocalModel(*load_small_model())

    assert "[image_url]" in local.prompt(objects())
    assert local.prompt(objects()) == local.prompt(plain_messages(TRANSCRIPT))
    assert isinstance(local.complete(objects(), max_tokens=2), str)
