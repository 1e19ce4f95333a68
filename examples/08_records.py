"""Values under keys: a support agent that keeps what it knows of a customer by name, and finds it by meaning."""

from datetime import UTC, datetime

from agentmem import Memory
from agentmem.notes.clock import ManualClock

clock = ManualClock(datetime(2026, 3, 2, 9, tzinfo=UTC))  # in a program of yours: leave it out

with Memory(None, embedder="hash", clock=clock) as memory:
    customer = ("customers", "4711")

    # -- a JSON object under a key; its strings are a note ------------------------------------------------------
    memory.put(customer, "profile", {"name": "Ines Prado", "plan": "basic", "languages": ["pt", "en"]}, user="shop")
    memory.put(customer, "order", {"item": "a blue bicycle", "price": 390, "open": True}, user="shop")
    memory.put(customer, "complaint", {"text": "The brakes squeak when it rains.", "open": True}, user="shop")
    print("by key:", memory.get(customer, "profile", user="shop").value["plan"])

    # -- found by what it says, by what it holds, or as any other note ------------------------------------------
    found = memory.search(("customers",), "squeaking brakes", limit=1, user="shop")
    print("by meaning:", found[0].key)
    print("by filter:", [r.key for r in memory.search((), filter={"price": {"$gt": 100}}, user="shop")])
    print("recalled:", memory.recall("brakes in the rain", k=1, user="shop")[0].note.content)

    # -- put again: the same record, with its history -----------------------------------------------------------
    before = memory.get(customer, "complaint", user="shop")
    after = memory.put(
        customer, "complaint", {"text": "The brakes were replaced; all is well.", "open": False}, user="shop"
    )
    print("same id:", after.id == before.id, "| versions:", len(memory.history(after.id, user="shop")))

    # -- for a while only ---------------------------------------------------------------------------------------
    memory.put(customer, "callback", {"text": "Call back before noon."}, ttl=180, user="shop")
    clock.advance(hours=3)
    print("expired:", memory.get(customer, "callback", user="shop"), "| swept:", memory.sweep())

    # -- gone from everywhere -----------------------------------------------------------------------------------
    receipt = memory.delete(customer, "profile", user="shop")
    print("deleted:", receipt.gone, "| left:", memory.list_namespaces(user="shop"))
    print("nobody else's:", memory.get(customer, "order", user="someone else"))
