"""A graph of LangGraph on a store that is a memory: what it puts is searched, recalled, and forgotten everywhere. Offline."""

from typing import TypedDict

from langgraph.graph import START, StateGraph
from langgraph.store.base import BaseStore

from agentmem import Memory
from agentmem.integrations.langgraph import AgentMemStore


class State(TypedDict, total=False):
    told: str
    question: str
    answer: str


def listen(state: State, *, store: BaseStore) -> State:
    if "told" in state:
        store.put(("facts",), state["told"][:20], {"text": state["told"]})
    return {}


def answer(state: State, *, store: BaseStore) -> State:
    if "question" not in state:
        return {}
    found = store.search(("facts",), query=state["question"], limit=1)
    return {"answer": found[0].value["text"] if found else "I do not know."}


with Memory(None, embedder="hash") as memory:
    store = AgentMemStore(memory, user="ana", index={"fields": ["text"]})
    builder = StateGraph(State).add_node(listen).add_node(answer)
    graph = builder.add_edge(START, "listen").add_edge("listen", "answer").compile(store=store)

    graph.invoke({"told": "Ana keeps her boat in Porto."})
    graph.invoke({"told": "Ana's brother is called Rui."})
    print("graph:", graph.invoke({"question": "Where is the boat kept?"})["answer"])
    print("memory:", memory.recall("the boat", k=1, user="ana")[0].note.content)
    print("another user:", AgentMemStore(memory, user="ben").search(("facts",), query="the boat"))

    for item in store.search(("facts",), query="boat", limit=1):
        store.delete(item.namespace, item.key)
    print("deleted:", graph.invoke({"question": "Where is the boat kept?"})["answer"])
    print(
        "remembered nowhere:",
        not any("Porto" in hit.note.content for hit in memory.recall("boat in Porto", user="ana")),
    )
