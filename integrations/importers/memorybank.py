"""MemoryBank: one JSON object of users, each with a history of days.

``{user: {"name": …, "history": {"2023-04-27": [{"query": …, "response": …}]}, "summary": {day: {"content": …}}}}``. What the
user said and what the companion answered become a turn each; the summaries, which are made from them, are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from agentmem.integrations.importers.items import Item, item, malformed, mapping, moment, text

__all__ = ["fits", "items"]


def fits(data: Any) -> bool:
    """Whether this looks like a memory bank."""
    return (
        isinstance(data, Mapping)
        and bool(data)
        and all(isinstance(user, Mapping) and isinstance(user.get("history"), Mapping) for user in data.values())
    )


def items(data: Any) -> Iterator[Item]:
    """Two items per exchange, in their order: exchanges of a day have no time, so they follow by the second."""
    for user, given in mapping(data, "MemoryBank").items():
        where = f"User {user!r:.60}"
        history = mapping(mapping(given, where).get("history", {}), f"{where}, history")
        for day, turns in history.items():
            at = f"{where}, {day}"
            begins = moment(day, at)
            if begins is None or not isinstance(turns, list):
                raise malformed(at, "a list of exchanges under a date is expected")
            for number, turn in enumerate(turns):
                exchange = mapping(turn, f"{at}, exchange {number}")
                for place, (name, role) in enumerate((("query", "user"), ("response", "assistant"))):
                    yield item(
                        text(exchange.get(name), f"{at}, exchange {number}, {name}"),
                        user=text(user, where),
                        session=f"memorybank:{day}",
                        role=role,
                        occurred_at=begins + timedelta(seconds=2 * number + place),
                        source="import:memorybank" if role == "user" else None,
                        idempotency_key=f"memorybank:{day}:{number}:{name}",
                    )
