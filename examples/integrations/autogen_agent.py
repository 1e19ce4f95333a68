"""An AutoGen agent with a memory, in an environment of its own; the model is scripted, so that this runs without a key."""

import asyncio
from collections.abc import Sequence
from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_core.memory import MemoryContent
from autogen_core.models import CreateResult, LLMMessage
from autogen_ext.models.replay import ReplayChatCompletionClient

from agentmem import AsyncMemory
from agentmem.integrations.autogen import AutoGenMemory


class Scripted(ReplayChatCompletionClient):
    """Answers from what it is shown, and from nothing else."""

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        shown = "\n".join(str(message.content) for message in messages)
        self.chat_completions[0] = "No walnuts." if "allergic to walnuts" in shown else "I know of nothing."
        self.reset()
        return await super().create(messages, **options)


async def main() -> None:
    async with AsyncMemory(None, embedder="hash") as memory:
        notes = AutoGenMemory(memory, user="ana")
        await notes.add(MemoryContent(content="Ana is allergic to walnuts.", mime_type="text/plain"))
        agent = AssistantAgent("cook", Scripted(["…"]), memory=[notes])

        async def ask(text: str) -> None:
            print("cook:", (await agent.run(task=text)).messages[-1].content)

        await ask("What may I eat, being allergic?")
        other = AssistantAgent("cook", Scripted(["…"]), memory=[AutoGenMemory(memory, user="ben")])
        print("to ben:", (await other.run(task="What may I eat, being allergic?")).messages[-1].content)

        # -- forgotten, it leaves the conversation that goes on ---------------------------------------------------
        for hit in await memory.recall("walnuts", user="ana"):
            await memory.forget(hit.note.id, user="ana")
        await ask("And what now, being allergic?")
        print("in the saved state:", "walnuts." in str(await agent.save_state()).replace("No walnuts.", ""))


asyncio.run(main())
