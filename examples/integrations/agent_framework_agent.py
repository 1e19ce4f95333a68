"""An agent of Microsoft's Agent Framework with history and memory; the model is scripted, so that this runs without a key."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from agent_framework import Agent, AgentSession, BaseChatClient, ChatResponse, Message
from typing_extensions import override

from agentmem import AsyncMemory
from agentmem.integrations.agent_framework import MemoryContextProvider, MemoryHistoryProvider


class Scripted(BaseChatClient):
    """Answers from what it is shown, and from nothing else."""

    @override
    async def _inner_get_response(
        self, *, messages: Sequence[Message], stream: bool, options: Mapping[str, Any], **kwargs: Any
    ) -> ChatResponse:
        shown = "\n".join([str(options.get("instructions")), *(message.text for message in messages)])
        said = "No walnuts, then." if "allergic to walnuts" in shown else "I know of nothing."
        return ChatResponse(messages=[Message(role="assistant", contents=[said])])


def whose(session: AgentSession) -> str:
    """Set where somebody logs in; a session of nobody is an error."""
    return session.state["user"]


async def main() -> None:
    async with AsyncMemory(None, embedder="hash") as memory:
        history = MemoryHistoryProvider(memory, user=whose, recalled=True)
        knowledge = MemoryContextProvider(memory, user=whose, remember=False)  # the history keeps the words already
        agent = Agent(Scripted(), "You are a cook.", context_providers=[history, knowledge])

        async def say(text: str, user: str, id: str) -> None:
            session = AgentSession(session_id=id)
            session.state["user"] = user
            print(f"{user}, {id}:", (await agent.run(text, session=session)).text)

        await say("I am allergic to walnuts.", "ana", "monday")
        await say("What may I eat, being allergic?", "ana", "tuesday")  # recalled from Monday
        await say("What may I eat, being allergic?", "ben", "wednesday")

        # -- forgotten, it is gone from the conversation as well ------------------------------------------------
        for hit in await memory.recall("allergic to walnuts", user="ana"):
            await memory.forget(hit.note.id, user="ana")
        print("monday is now:", [each.text for each in await history.get_messages("monday", user="ana")])
        await say("What may I eat, being allergic?", "ana", "thursday")


asyncio.run(main())
