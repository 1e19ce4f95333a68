"""A program of somebody else's that uses a memory, and whose types are checked as strictly as can be: nothing here is ours but what is imported.

It also runs: ``python consumer.py`` says what it did.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from agentmem import (
    AgentMemError,
    AsyncMemory,
    Fact,
    ForgetReceipt,
    Hit,
    Link,
    Memory,
    Note,
    Receipt,
    Recollection,
    Record,
    Scope,
    Settings,
)
from agentmem.errors import UnknownNote
from agentmem.events import MemoryEvent, NoticeEvent, VerbEvent
from agentmem.graph.view import Connection, communities, pagerank
from agentmem.integrations.async_chat import AsyncChatAgent
from agentmem.integrations.chat import ChatAgent, Reply
from agentmem.integrations.wrapping import with_memory

Message = dict[str, str]


def remembered(memory: Memory) -> list[Note]:
    told: Receipt = memory.remember("Ana lives in Porto.", user="ana", tags=["home"], occurred_at=datetime.now(UTC))
    several: list[Receipt] = memory.remember_many(
        ["She plays the harp.", {"content": "She works in Lisbon.", "importance": 0.9}], user="ana", progress=False
    )
    if told.id is None or told.status == "rejected":
        raise SystemExit(told.reason)
    changed: Receipt = memory.update(told.id, tags=["home", "city"], user="ana")
    link: Link = memory.link(told.id, several[0].id or "", reason="both hers", user="ana")
    fact: Fact | None = memory.get(told.id, user="ana").fact
    print(changed.status, link.kind, fact.object if fact else "", [receipt.status for receipt in several])
    return memory.notes(where={"tags": {"$contains": "home"}}, user="ana", limit=10)


def recalled(memory: Memory) -> str:
    found: Recollection = memory.recall("Where does Ana live?", k=3, user="ana")
    best: Hit = found[0]
    first_two: tuple[Hit, ...] = found[:2]
    texts: list[str] = [hit.note.content for hit in found]
    reasons: Mapping[str, float] = best.reasons
    memory.reinforce(best, question="Where does Ana live?", answer="In Porto.", user="ana")
    asked: list[str] = [each.question for each in memory.evidence(user="ana")]
    print(round(best.score, 1) >= 0, sorted(reasons)[:1], len(first_two), texts[:1], asked, found.degraded)
    return found.context(max_tokens=200)


def keyed(memory: Memory) -> dict[str, int]:
    put: Record = memory.put(["cities"], "porto", {"bridges": 6}, ttl=timedelta(days=1), user="ana")
    got: Record | None = memory.get(["cities"], "porto", user="ana")
    found: list[Record] = memory.search(["cities"], filter={"bridges": {"$gte": 6}}, limit=5, user="ana")
    names: list[tuple[str, ...]] = memory.list_namespaces(user="ana")
    print(put.namespace, got.key if got is not None else None, [record.score is None for record in found], names)
    return {name: int(value) for record in found for name, value in record.value.items()}


def watched(memory: Memory) -> list[str]:
    seen: list[str] = []

    def tell(event: MemoryEvent) -> None:
        if isinstance(event, VerbEvent):
            seen.append(f"{event.verb} {dict(event.counts)}")
        else:
            notice: NoticeEvent = event
            seen.append(f"{notice.kind} {notice.what}")

    stop = memory.subscribe(tell)
    memory.recall("harp", user="ana")
    stop()
    return seen


def connected(memory: Memory) -> list[int]:
    view = memory.graph(user="ana", limit=100)
    ids: list[str] = list(view.nodes)
    kinds: list[str] = [str(held["kind"]) for _, _, held in view.edges(data=True)]
    why: Connection = memory.why_linked(ids[0], ids[1], user="ana")
    ranks: dict[str, float] = pagerank(view, ids[0])
    print(sorted(set(kinds)), bool(why), len(ranks))
    return [len(group) for group in communities(view)]


def model(messages: Sequence[Message]) -> str:
    return "In Porto." if messages else ""


def talked(memory: Memory) -> str:
    agent = ChatAgent(model, memory, user="ana", session="monday")
    reply: Reply = agent.chat("Where does Ana live?")
    pieces: Iterator[str] = agent.stream("And what does she play?")
    text: str = "".join(pieces)
    chat = with_memory(model, memory, user="ana")
    answer: str = chat([{"role": "user", "content": "Where does Ana live?"}])
    return f"{reply.text} {text} {answer}"


async def awaited(path: str | None) -> int:
    async with AsyncMemory(path, scope=Scope(user="ben"), embedder="hash", settings=Settings()) as memory:
        receipt: Receipt = await memory.remember("Ben keeps bees.")
        found: Recollection = await memory.recall("bees", k="all")
        agent = AsyncChatAgent(model, memory)
        reply: Reply = await agent.chat("What do I keep?")
        pieces = [piece async for piece in agent.stream("Say it again.")]
        record: Record = await memory.put(["hives"], "one", {"queens": 1})
        gone: ForgetReceipt = await memory.forget([receipt.id or ""], dry_run=True)
        print(reply.text, len(pieces), record.id != "", dict(gone.places)["notes"])
        return len(found.hits)


def main() -> None:
    with Memory(None, embedder="hash") as memory:
        notes: list[Note] = remembered(memory)
        print(recalled(memory), keyed(memory), watched(memory), talked(memory), connected(memory), sep="\n")
        try:
            memory.get("no such note", user="ana")
        except UnknownNote as error:
            known: AgentMemError = error
            print(known.hint)
        gone: ForgetReceipt = memory.forget([note.id for note in notes], user="ana")
        print(gone.gone, sorted(gone.places)[:2], gone.probes["notes"])
    print(asyncio.run(awaited(None)))


if __name__ == "__main__":
    main()
