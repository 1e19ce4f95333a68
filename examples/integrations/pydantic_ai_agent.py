"""Pydantic AI with a memory: what a run told is recalled in the next, for the same visitor alone, and stands in no message history."""

from dataclasses import dataclass

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from agentmem import Memory, Scope
from agentmem.integrations.pydantic_ai import MemoryCapability


@dataclass
class Visitor:
    name: str


def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:  # in a program of yours: "openai:…"
    asked, last = str(messages[-1].parts[-1].content), messages[-1].parts[-1].part_kind
    if "Remember" in asked and last == "user-prompt":
        return ModelResponse(parts=[ToolCallPart("remember", {"text": "The mast of the boat is 14 metres high."})])
    known = [line for line in (info.instructions or "").splitlines() if line.startswith("- [")]
    return ModelResponse(parts=[TextPart(f"I know {len(known)} things: {known}")])


with Memory(None, embedder="hash") as memory:
    capability = MemoryCapability(memory, whose=lambda visitor: Scope(user=visitor.name), remember=("user",))
    agent = Agent(FunctionModel(model), deps_type=Visitor, capabilities=[capability])

    # -- told in one run, recalled in the next -------------------------------------------------------------------
    agent.run_sync("My boat is called Nimbus.", deps=Visitor("ana"))
    result = agent.run_sync("What is my boat called?", deps=Visitor("ana"))
    print("ana:", result.output)
    kept = [getattr(message, "instructions", "") or "" for message in result.all_messages()]
    print("in the instructions that the history keeps:", "Nimbus" in str(kept))

    # -- by the model itself, with a tool ------------------------------------------------------------------------
    agent.run_sync("Remember the mast of my boat.", deps=Visitor("ana"))
    print("remembered:", memory.recall("How high is the mast?", k=1, user="ana")[0].note.content)

    # -- nobody else has any of it -------------------------------------------------------------------------------
    print("ben:", agent.run_sync("What is my boat called?", deps=Visitor("ben")).output)
