"""A small memory to look at: run it, and open the address that it prints. Ctrl and C ends it.

python examples/integrations/page.py [PORT]
"""

import asyncio
import sys
from datetime import timedelta

from agentmem import Memory
from agentmem.aio import AsyncMemory
from agentmem.integrations.server import Access, make_app
from agentmem.integrations.server.running import server
from agentmem.notes.clock import ManualClock, SystemClock
from agentmem.notes.note import Scope

TALKS = {
    "moving house": [
        "I live in Lisbon.",
        "I work as a translator.",
        "My sister Ines lives in Hanoi and plays the cello.",
    ],
    "the garden": ["My hobby is pottery. I have a small kiln on the balcony.", "I am allergic to walnuts."],
    "a new city": ["I live in Bergen.", "My publisher is called Fjordtrykk and pays on the tenth of each month."],
}


def tell(path: str) -> None:
    """Three conversations, a week apart; one note is used, and another changed."""
    clock = ManualClock(SystemClock().now() - timedelta(days=21))
    with Memory(path, clock=clock) as memory:
        for session, turns in TALKS.items():
            told = memory.remember(
                [{"role": "user", "content": words} for words in turns], user="mara", session=session
            )
            clock.advance(days=7)
        memory.reinforce(str(told.items[0].id), question="Where do I live?", answer="In Bergen.", user="mara")
        kiln = memory.recall("kiln on the balcony", user="mara", k=1)[0].note
        memory.update(kiln.id, "My hobby is pottery. I have a large kiln in the shed.", user="mara")


async def main(path: str, port: int) -> None:
    scope = Scope(user="mara")
    memory = AsyncMemory(path, scope=scope)
    print(f"look at it: http://127.0.0.1:{port}/", flush=True)
    await server(make_app(memory, tokens=None, access=Access.local(scope), close=True), port=port).serve()


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        tell(f"{folder}/memory")
        asyncio.run(main(f"{folder}/memory", int(sys.argv[1]) if len(sys.argv) > 1 else 8642))
