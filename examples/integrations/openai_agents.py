"""The OpenAI Agents SDK with a memory: one conversation goes on after a restart, another one recalls it, nobody else does."""

import asyncio
import tempfile
from pathlib import Path

from agents import Agent, Runner, set_tracing_disabled
from agents.testing import ScriptedModel
from openai.types.responses import ResponseOutputMessage, ResponseOutputText

from agentmem import Memory, Scope
from agentmem.integrations.openai_agents import MemorySession, memory_function_tools, recalled_instructions


def says(text: str) -> list[ResponseOutputMessage]:  # what a model would answer; in a program of yours: leave it out
    part = ResponseOutputText(text=text, type="output_text", annotations=[])
    return [ResponseOutputMessage(id="m", type="message", role="assistant", content=[part], status="completed")]


def whose(visitor: str) -> Scope:  # read off the context of each run
    return Scope(user=visitor)


async def main(path: Path) -> None:
    set_tracing_disabled(True)
    model = ScriptedModel([says(text) for text in ("A fine name.", "You are welcome.", "Nimbus.", "I do not know.")])

    def agent(memory: Memory) -> Agent[str]:
        return Agent(
            name="skipper", model=model, tools=list(memory_function_tools(memory, whose=whose)),
            instructions=recalled_instructions(memory, "Be brief.", whose=whose),
        )  # fmt: skip

    # -- a conversation, and the program ends -------------------------------------------------------------------
    with Memory(path, embedder="hash") as memory:
        session = MemorySession("monday", memory, user="ana")
        await Runner.run(agent(memory), "My boat is called Nimbus.", session=session, context="ana")

    # -- it goes on where it ended; another one recalls what was said in it -------------------------------------
    with Memory(path, embedder="hash") as memory:
        session = MemorySession("monday", memory, user="ana")
        await Runner.run(agent(memory), "Thank you.", session=session, context="ana")
        print("items of monday:", len(await session.get_items()))
        for visitor in ("ana", "ben"):
            other = MemorySession("tuesday", memory, user=visitor)
            await Runner.run(agent(memory), "What is my boat called?", session=other, context=visitor)
            told = str(model.calls[-1].system_instructions)
            print(f"the model of {visitor} is told of Nimbus:", "Nimbus" in told)
        await session.clear_session()
        print("cleared:", await session.get_items())


with tempfile.TemporaryDirectory() as folder:
    asyncio.run(main(Path(folder) / "memory"))
