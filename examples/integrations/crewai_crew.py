"""A crew of CrewAI with a memory, in an environment of its own; the model is scripted, so that this runs without a key."""

import os
from typing import Any

os.environ["CREWAI_DISABLE_TELEMETRY"] = os.environ["OTEL_SDK_DISABLED"] = "true"

from crewai import Agent, Crew, Task
from crewai.llms.base_llm import BaseLLM
from typing_extensions import override

from agentmem import Memory
from agentmem.integrations.crewai import CrewMemory


class Scripted(BaseLLM):
    """Answers from what it is shown, and from nothing else."""

    @override
    def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        known = "allergic to walnuts" in str(messages)
        return f"Final Answer: {'An apple pie without walnuts.' if known else 'A walnut cake.'}"

    def supports_function_calling(self) -> bool:
        return False


with Memory(None, embedder="hash") as memory:
    memory.remember("Ana is allergic to walnuts.", user="ana")

    def cook(user: str) -> str:
        notes = CrewMemory(memory, user=user)
        agent = Agent(role="Cook", goal="Cook what is liked.", backstory="A cook.", llm=Scripted(model="scripted"))
        task = Task(description="A dessert for a guest who may be allergic.", expected_output="A dish.", agent=agent)
        result = str(Crew(agents=[agent], tasks=[task], memory=notes, tracing=False).kickoff())
        notes.close()
        return result

    print("for ana:", cook("ana"))
    print("for ben:", cook("ben"))
    print("kept:", [note.content for note in memory.notes(user="ana")])

    # -- scopes, by words and meaning, without a model --------------------------------------------------------------
    notes = CrewMemory(memory, user="ana")
    notes.remember("The oven in Porto is slow.", scope="/kitchens/porto", categories=["oven"])
    print("recalled:", [match.record.content for match in notes.recall("Which oven is slow?", scope="/kitchens")])
    print("forgotten:", notes.forget(scope="/kitchens"), notes.recall("Which oven is slow?", scope="/kitchens"))
