"""An agent of Google's ADK that remembers across sessions; the model is scripted, so that this runs without a key."""

import asyncio
from collections.abc import AsyncGenerator

from google.adk.agents import LlmAgent
from google.adk.models import BaseLlm, LlmRequest, LlmResponse
from google.adk.runners import Runner
from google.adk.sessions import InMemorySessionService
from google.adk.tools import preload_memory
from google.genai import types
from typing_extensions import override

from agentmem import AsyncMemory
from agentmem.integrations.adk import MemoryService


class Scripted(BaseLlm):
    """Answers from what it is shown, and from nothing else."""

    @override
    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        shown = " ".join(part.text or "" for each in llm_request.contents for part in each.parts or [])
        said = "No walnuts, then." if "allergic to walnuts" in shown else "I know of nothing."
        yield LlmResponse(content=types.Content(role="model", parts=[types.Part(text=said)]))


async def main() -> None:
    async with AsyncMemory(None, embedder="hash") as memory:
        sessions, service = InMemorySessionService(), MemoryService(memory)
        agent = LlmAgent(name="cook", model=Scripted(model="scripted"), tools=[preload_memory])
        runner = Runner(agent=agent, app_name="kitchen", session_service=sessions, memory_service=service)

        async def say(text: str, user: str, session: str) -> None:
            await sessions.create_session(app_name="kitchen", user_id=user, session_id=session)
            message = types.Content(role="user", parts=[types.Part(text=text)])
            async for event in runner.run_async(user_id=user, session_id=session, new_message=message):
                print(f"{user}, {session}: {event.content.parts[0].text}")

        await say("I am allergic to walnuts.", "ana", "monday")
        monday = await sessions.get_session(app_name="kitchen", user_id="ana", session_id="monday")
        for _ in range(2):  # as often as one likes
            await service.add_session_to_memory(monday)
        await say("What may I eat, being allergic?", "ana", "tuesday")
        await say("What may I eat, being allergic?", "ben", "wednesday")

        # -- deleted, it does not come back with the next adding ------------------------------------------------
        pair = {"app_name": "kitchen", "user_id": "ana"}
        for entry in (await service.search_memory(**pair, query="allergic")).memories:
            await service.delete_memory(**pair, memory_id=entry.id)
        await service.add_session_to_memory(monday)
        print("after deletion:", (await service.search_memory(**pair, query="allergic")).memories)


asyncio.run(main())
