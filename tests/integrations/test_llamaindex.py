"""A memory as a block of LlamaIndex's ``Memory``, in the real class and in a chat engine with a scripted model."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

if "AGENTMEM_FRAMEWORKS" not in os.environ:
    pytest.importorskip("llama_index.core")

from llama_index.core.base.llms.types import ChatMessage, CompletionResponse, ImageBlock, LLMMetadata, TextBlock
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms import CustomLLM
from llama_index.core.memory import InsertMethod
from llama_index.core.memory import Memory as ShortTerm
from pydantic import PrivateAttr, ValidationError

from agentmem import AsyncMemory, Memory, Scope
from agentmem.errors import ScopeError
from agentmem.integrations.llamaindex import NotesMemoryBlock
from agentmem.notes.clock import ManualClock
from agentmem.notes.quoting import NOTES_HEADER

ANA = Scope(user="ana")


class Script(CustomLLM):
    """A model that says ``Fine.``, and what it was told."""

    _told: list[str] = PrivateAttr(default_factory=list)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata()

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        self._told.append(prompt)
        return CompletionResponse(text="Fine.")

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        yield self.complete(prompt)


def short_term(block: NotesMemoryBlock, session: str = "monday", **options: Any) -> ShortTerm:
    return ShortTerm.from_defaults(session_id=session, memory_blocks=[block], tokenizer_fn=str.split, **options)


def said(text: str, role: str = "user") -> ChatMessage:
    return ChatMessage(role=role, content=text)


async def test_what_leaves_the_short_term_memory_is_a_note_of_its_session_and_recalled(
    memory: Memory, clock: ManualClock
) -> None:
    block = NotesMemoryBlock(memory=memory, whose=ANA)
    history = short_term(block, token_limit=40, token_flush_size=10)
    for number in range(6):
        await history.aput(said(f"My boat number {number} is called Nimbus {number}."))
        await history.aput(said(f"Boat {number} is a fine boat indeed.", "assistant"))
        clock.advance(minutes=1)

    notes = memory.notes(user="ana")
    assert ("user", "My boat number 0 is called Nimbus 0.") in [(note.actor, note.content) for note in notes]
    assert {note.scope.session for note in notes} == {"monday"}
    other = await short_term(block, "tuesday").aget(input="What is boat number 0 called?")
    assert "Nimbus 0" in str(other[0].content)
    assert "<notes>" in str(other[0].content)


async def test_what_is_put_at_once_is_recalled_at_once_and_kept_once(memory: Memory) -> None:
    block = NotesMemoryBlock(memory=memory, whose=ANA)
    messages = [said("My boat is called Nimbus."), said("Noted.", "assistant")]

    await block.aput(messages, session_id="monday")
    await block.aput(messages, from_short_term_memory=True, session_id="monday")

    assert [note.content for note in memory.notes(user="ana")] == ["My boat is called Nimbus.", "Noted."]
    assert "Nimbus" in str((await short_term(block, "tuesday").aget(input="my boat?"))[0].content)


async def test_another_user_recalls_nothing_of_it(memory: Memory) -> None:
    await NotesMemoryBlock(memory=memory, whose=ANA).aput([said("My boat is called Nimbus.")], session_id="monday")

    found = await short_term(NotesMemoryBlock(memory=memory, whose=Scope(user="ben"))).aget(input="my boat?")

    assert "Nimbus" not in str(found)


async def test_what_the_short_term_memory_shows_is_not_told_again(memory: Memory) -> None:
    block = NotesMemoryBlock(memory=memory, whose=ANA)
    await block.aput([said("My boat is called Nimbus.")], session_id="monday")
    history = short_term(block)
    await history.aput(said("My boat is called Nimbus."))

    messages = await history.aget(input="What is my boat called?")

    assert sum("Nimbus" in str(message.content) for message in messages) == 1


async def test_only_words_of_user_and_assistant_are_kept(memory: Memory) -> None:
    picture = ChatMessage(role="user", blocks=[ImageBlock(url="https://example.com/a.png"), TextBlock(text="My boat.")])
    memory.remember("The sail is red.", user="ana")
    quoted = memory.recall("sail", user="ana").context()

    await NotesMemoryBlock(memory=memory, whose=ANA).aput(
        [
            said("a tool's result", "tool"),
            said("Talk of boats.", "system"),
            picture,
            said(""),
            said(quoted, "assistant"),
        ]
    )

    assert [note.content for note in memory.notes(user="ana")] == ["The sail is red.", "My boat."]


async def test_a_message_may_name_its_session(memory: Memory) -> None:
    named = ChatMessage(role="user", content="a boat", additional_kwargs={"session_id": "monday"})

    await NotesMemoryBlock(memory=memory, whose=Scope(user="ana", session="else")).aput([named, said("a ship")])

    assert [note.scope.session for note in memory.notes(user="ana")] == ["monday", "else"]


async def test_a_block_that_takes_nothing_from_the_short_term_memory_recalls_all_the_same(memory: Memory) -> None:
    memory.remember("My boat is called Nimbus.", user="ana")
    block = NotesMemoryBlock(memory=memory, whose=ANA, accept_short_term_memory=False)

    await block.aput([said("a secret")], from_short_term_memory=True)

    assert len(memory.notes(user="ana")) == 1
    assert "Nimbus" in await block.aget([said("my boat?")])
    assert await block.aget([]) == ""


async def test_truncation_drops_the_oldest_notes_and_at_last_the_block(memory: Memory, clock: ManualClock) -> None:
    for number in range(4):
        memory.remember(f"Boat {number} has a name that is fairly long, it is called Nimbus.", merge=False, user="ana")
        clock.advance(days=1)
    block = NotesMemoryBlock(memory=memory, whose=ANA, priority=1)
    content = await block.aget([said("boat")])

    less = await block.atruncate(content, 10)

    assert less is not None
    assert less.startswith(NOTES_HEADER)
    assert "Boat 3" in less
    assert "Boat 0" not in less
    assert await block.atruncate(content, 10_000) is None
    tight = await short_term(block, token_limit=30, chat_history_token_ratio=0.5).aget(input="boat")
    assert "Boat 0" not in str(tight)


def test_a_chat_engine_recalls_what_another_session_told(memory: Memory) -> None:
    """Synchronously, with either way of inserting; what is recalled is no message of the history, and no note."""
    memory.remember("My boat is called Nimbus.", user="ana")
    for method in (InsertMethod.SYSTEM, InsertMethod.USER):
        llm, block = Script(), NotesMemoryBlock(memory=memory, whose=ANA)
        history = short_term(block, f"day {method.value}", insert_method=method)

        SimpleChatEngine.from_defaults(llm=llm, memory=history).chat("What is my boat called?")

        assert llm._told[-1].count("Nimbus") == 1
        assert "Nimbus" not in str(history.get_all())
    assert len(memory.notes(user="ana")) == 1


async def test_an_async_memory_and_a_restart(open_memory: Callable[..., Memory], tmp_path: Any) -> None:
    async with AsyncMemory(tmp_path / "memory", embedder="hash") as memory:
        await NotesMemoryBlock(memory=memory, whose=ANA).aput([said("My boat is called Nimbus.")], session_id="monday")
    llm = Script()
    history = short_term(NotesMemoryBlock(memory=open_memory(), whose=ANA), "tuesday")

    await SimpleChatEngine.from_defaults(llm=llm, memory=history).achat("What is my boat called?")

    assert "Nimbus" in llm._told[-1]


@pytest.mark.parametrize("options", [{"memory": "path"}, {"k": 0}, {"max_tokens": 0}, {"whose": Scope(user=" ")}])
def test_wrong_arguments_are_refused(memory: Memory, options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        NotesMemoryBlock(**{"memory": memory, **options})


def test_a_memory_of_somebody_else_is_refused() -> None:
    with Memory(None, embedder="hash", scope=Scope(user="ben")) as memory, pytest.raises(ScopeError):
        NotesMemoryBlock(memory=memory, whose=ANA)


def test_a_block_is_dumped_without_its_memory(memory: Memory) -> None:
    assert "memory" not in NotesMemoryBlock(memory=memory, whose=ANA).model_dump()
