"""Some weeks of one person's memory, and a little of another's: conversations, changes, what was asked of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from agentmem import Memory
from agentmem.notes.clock import ManualClock

__all__ = ["END", "EVIL", "START", "tell"]

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
END = datetime(2026, 4, 6, 9, 0, tzinfo=UTC)
EVIL = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script> is what Mara saw on a web page."

_TALKS: tuple[tuple[str, float, tuple[tuple[str, str], ...]], ...] = (
    ("moving house", 0, (
        ("user", "I live in Lisbon."),
        ("assistant", "That sounds lovely. How long have you been there?"),
        ("user", "For four years now. I work as a translator, mostly from Portuguese into German."),
        ("user", "My sister Ines lives in Hanoi and plays the cello in an orchestra there."),
        ("assistant", "A cellist in the family! Do you visit her often?"),
        ("user", "Once a year. I am allergic to walnuts, so her kitchen is a dangerous place."),
    )),
    ("the garden", 6, (
        ("user", "My hobby is pottery. I have a small kiln on the balcony."),
        ("assistant", "Careful with the neighbours' laundry."),
        ("user", "My favourite food is couscous with apricots."),
        ("user", "The kiln reaches 1,240 degrees and takes nine hours to cool down."),
    )),
    ("a new city", 14, (
        ("user", "I live in Bergen."),
        ("assistant", "You moved! What took you north?"),
        ("user", "The rain, and a publisher. The publisher is called Fjordtrykk and pays on the tenth of each month."),
        ("user", "Ines visits in May; she brings the cello."),
    )),
    ("plans for may", 26, (
        ("user", "The concert is on 17 May in the Grieg Hall, two seats in row nine."),
        ("assistant", "Shall I remind you a week before?"),
        ("user", "Yes, and book the table at the harbour for eight in the evening."),
    )),
)  # fmt: skip


def tell(memory: Memory, clock: ManualClock) -> dict[str, str]:
    """Remember it all; the ids of some notes by name. The clock ends a month after it began."""
    ids: dict[str, str] = {}
    for session, day, turns in _TALKS:
        clock.set(START + timedelta(days=day))
        told = memory.remember(
            [{"role": role, "content": words} for role, words in turns], user="mara", session=session
        )
        ids |= {f"{session} {place}": str(item.id) for place, item in enumerate(told.items, 1) if item.id is not None}
    clock.set(START + timedelta(days=15))
    ids["kiln"] = str(
        memory.remember("The kiln's maker answers the phone on Tuesdays alone.", user="mara", tags=["pottery"]).id
    )
    ids["page"] = str(memory.remember(EVIL, user="mara", source="web", trust="low").id)
    _used(memory, clock, ids)
    memory.remember("Ben keeps bees in Porto.", user="ben")
    memory.remember("The office is closed on Sundays.")
    clock.set(END)
    return ids


def _used(memory: Memory, clock: ManualClock, ids: dict[str, str]) -> None:
    asked: tuple[tuple[float, str, str, str], ...] = (
        (16, "moving house 6", "What must I not eat?", "Walnuts."), (20, "moving house 6", "Is there anything I am allergic to?", "Walnuts."),
        (21, "the garden 1", "What is my hobby?", "Pottery."), (24, "a new city 1", "Where do I live?", "In Bergen."),
        (28, "a new city 3", "Who pays me?", "Fjordtrykk, on the tenth."),
    )  # fmt: skip
    for day, name, question, answer in asked:
        clock.set(START + timedelta(days=day))
        memory.reinforce(ids[name], user="mara", question=question, answer=answer)
    clock.set(START + timedelta(days=29))
    changed: dict[str, Any] = {"tags": ["pottery"], "importance": 0.7}
    memory.update(
        ids["the garden 1"],
        "My hobby is pottery. I have a large kiln in the shed behind the house.",
        user="mara",
        **changed,
    )
    memory.link(ids["the garden 1"], ids["kiln"], reason="the kiln that was bought there", user="mara")
