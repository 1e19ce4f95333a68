"""Programs made with a framework have a memory when their base URL is changed, and nothing else."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

if not os.environ.get("AGENTMEM_FRAMEWORKS"):
    pytest.importorskip("fastapi")
    pytest.importorskip("agents")
    pytest.importorskip("pydantic_ai")

sys.path.insert(0, str(Path(__file__).parent))

import openai
from agents import Agent as OpenAIAgent
from agents import OpenAIChatCompletionsModel, RunConfig, Runner, function_tool
from proxied import LISBON, WHERE, answers, placed
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Porto"}'}}
SUNNY = "It is sunny in Porto, they say."


def with_tool(body: dict) -> object:
    if "weather" not in str(body["messages"][-1]["content"]) and body["messages"][-1]["role"] == "user":
        return answers(body)
    return SUNNY if body["messages"][-1]["role"] == "tool" else {"content": None, "tool_calls": [CALL]}


async def test_pydantic_ai(tmp_path: Path) -> None:
    """Whole, streamed, with a tool, and a run of its own that knows what another one was told."""
    with placed(tmp_path, with_tool) as proxy:
        client = openai.AsyncOpenAI(base_url=f"{proxy.url}/openai/v1", api_key=proxy.tokens["ana"])
        agent = Agent(OpenAIChatModel("m", provider=OpenAIProvider(openai_client=client)))

        @agent.tool_plain
        def weather(city: str) -> str:
            return "sunny"

        await agent.run(LISBON)
        known = await agent.run(WHERE)
        async with agent.run_stream("And where do I live these days?") as streamed:
            said = await streamed.get_output()
        tool = await agent.run("How is the weather in Porto?")
        await client.close()
        kept = [text for _, text in proxy.notes()]

    assert known.output == said == "You live in Lisbon."
    assert tool.output == SUNNY
    assert kept[-2:] == ["How is the weather in Porto?", SUNNY]
    assert len(kept) == len(set(kept)) + 1  # the answer that was given twice


async def test_the_agents_sdk(tmp_path: Path) -> None:
    with placed(tmp_path, with_tool) as proxy:
        client = openai.AsyncOpenAI(base_url=f"{proxy.url}/openai/v1", api_key=proxy.tokens["ana"])
        quiet = RunConfig(tracing_disabled=True)

        @function_tool
        def weather(city: str) -> str:
            """How the weather is."""
            return "sunny"

        model = OpenAIChatCompletionsModel("m", openai_client=client)
        agent = OpenAIAgent("helper", instructions="Be brief.", model=model, tools=[weather])
        await Runner.run(agent, LISBON, run_config=quiet)
        known = await Runner.run(agent, WHERE, run_config=quiet)
        running = Runner.run_streamed(agent, "How is the weather in Porto?", run_config=quiet)
        async for _ in running.stream_events():
            pass
        await client.close()
        kept = [text for _, text in proxy.notes()]

    assert known.final_output == "You live in Lisbon."
    assert running.final_output == SUNNY
    assert kept == [
        LISBON,
        "All right, good to hear.",
        WHERE,
        "You live in Lisbon.",
        "How is the weather in Porto?",
        SUNNY,
    ]
