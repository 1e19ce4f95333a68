"""An agent of LangChain that remembers: two conversations of one user, and one of another. Offline, with a scripted model."""

from dataclasses import dataclass
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver

from agentmem import Memory
from agentmem.integrations.langchain import MemoryMiddleware


@dataclass
class Context:
    user_id: str


class ScriptedModel(GenericFakeChatModel):
    """Stands for any chat model; prints what it is told by the system."""

    def _generate(self, messages: list[Any], *args: Any, **options: Any) -> Any:
        print("  system:", messages[0].text if messages[0].type == "system" else "(nothing)")
        return super()._generate(messages, *args, **options)


answers = ["A fine boat.", "It is blue.", "You told me of no boat."]
model = ScriptedModel(messages=iter([AIMessage(answer) for answer in answers]))

with Memory(None, embedder="hash") as memory:
    agent = create_agent(
        model, middleware=[MemoryMiddleware(memory)], context_schema=Context, checkpointer=InMemorySaver()
    )
    for user, thread, text in (
        ("ana", "monday", "I own a blue boat, the Gaivota."),
        ("ana", "tuesday", "What colour is my boat?"),
        ("ben", "wednesday", "What colour is my boat?"),
    ):
        print(f"{user}, {thread}: {text}")
        result = agent.invoke(
            {"messages": [("user", text)]}, {"configurable": {"thread_id": thread}}, context=Context(user_id=user)
        )
        print("  agent:", result["messages"][-1].text)

    print("kept of ana:", [note.content for note in memory.notes(user="ana")])
    boat = next(note for note in memory.notes(user="ana") if "Gaivota" in note.content)
    print("forgotten everywhere:", memory.forget(boat, user="ana").gone)
