"""LlamaIndex with a memory: what leaves the short-term memory of one session is recalled in another."""

from typing import Any

from llama_index.core.base.llms.types import CompletionResponse, LLMMetadata
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms import CustomLLM
from llama_index.core.memory import Memory as ShortTerm

from agentmem import Memory, Scope
from agentmem.integrations.llamaindex import NotesMemoryBlock


class Parrot(CustomLLM):
    """Says what it was told of a boat; in a program of yours: a model."""

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata()

    def complete(self, prompt: str, *_: Any, **__: Any) -> CompletionResponse:
        notes = [line for line in prompt.splitlines() if line.startswith("- [") and "Nimbus" in line]
        return CompletionResponse(text=notes[0] if notes else "I do not know.")

    def stream_complete(self, prompt: str, *_: Any, **__: Any) -> Any:
        yield self.complete(prompt)


def engine(memory: Memory, user: str, session: str) -> SimpleChatEngine:
    block = NotesMemoryBlock(memory=memory, whose=Scope(user=user))
    history = ShortTerm.from_defaults(
        session_id=session, memory_blocks=[block], token_limit=60, token_flush_size=20, tokenizer_fn=str.split
    )
    return SimpleChatEngine.from_defaults(llm=Parrot(), memory=history)


with Memory(None, embedder="hash") as memory:
    # -- a session that is longer than its short-term memory -----------------------------------------------------
    monday = engine(memory, "ana", "monday")
    monday.chat("My boat is called Nimbus.")
    for number in range(8):
        monday.chat(f"Today, on day {number} of the journey, the weather was fine and the sea was calm.")
    print("kept:", len(memory.notes(user="ana")) > 0, "| of session:", memory.notes(user="ana")[0].scope.session)

    # -- recalled in another session, and by nobody else ---------------------------------------------------------
    print("ana:", engine(memory, "ana", "tuesday").chat("What is my boat called?").response)
    print("ben:", engine(memory, "ben", "tuesday").chat("What is my boat called?").response)
