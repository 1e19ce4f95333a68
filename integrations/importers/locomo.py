"""LoCoMo (Maharana et al., 2024): conversations of two speakers in dated sessions.

``[{"sample_id", "conversation": {"speaker_a", "speaker_b", "session_1_date_time": "1:56 pm on 8 May, 2023",
"session_1": [{"speaker", "dia_id", "text", "blip_caption"?}]}}]``. Every conversation is a user of its own; its questions
are for measuring and are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from agentmem.integrations.importers.items import Item, item, malformed, mapping, text

__all__ = ["fits", "items"]

_SESSION: Final = re.compile(r"session_(\d+)")


def _samples(data: Any) -> Any:
    return [data] if isinstance(data, Mapping) else data


def fits(data: Any) -> bool:
    """Whether this looks like LoCoMo."""
    samples = _samples(data)
    return (
        isinstance(samples, list)
        and bool(samples)
        and isinstance(samples[0], Mapping)
        and isinstance(samples[0].get("conversation"), Mapping)
    )


def items(data: Any) -> Iterator[Item]:
    """One item per turn; the turns of a session follow each other by the second, so that their order is kept."""
    samples = _samples(data)
    if not isinstance(samples, list):
        raise malformed("LoCoMo", "a list of conversations is expected")
    for number, given in enumerate(samples):
        where = f"Conversation {number}"
        sample = mapping(given, where)
        user = text(sample.get("sample_id") or f"conversation-{number}", f"{where}, sample_id")
        conversation = mapping(sample.get("conversation"), f"{where}, conversation")
        numbers = sorted(int(found[1]) for name in conversation if (found := _SESSION.fullmatch(name)))
        for session in numbers:
            at = f"{where}, session {session}"
            yield from _session(
                conversation[f"session_{session}"],
                _date(conversation.get(f"session_{session}_date_time"), at),
                user,
                session,
                at,
            )


def _session(turns: Any, begins: datetime, user: str, session: int, where: str) -> Iterator[Item]:
    if not isinstance(turns, list):
        raise malformed(where, "a list of turns is expected")
    for number, given in enumerate(turns):
        here = f"{where}, turn {number}"
        turn = mapping(given, here)
        caption = turn.get("blip_caption")
        said = turn.get("text") or caption
        shown = text(caption, f"{here}, blip_caption") if caption else None
        id = text(turn.get("dia_id"), f"{here}, dia_id")
        words = text(said, f"{here}, text")
        yield item(
            f"{words} [shows a picture: {shown}]" if shown and turn.get("text") else words,
            user=user,
            session=f"session_{session}",
            actor=text(turn.get("speaker"), f"{here}, speaker"),
            occurred_at=begins + timedelta(seconds=number),
            metadata={"dia_id": id},
            source="import:locomo",
            idempotency_key=f"locomo:{id}",
        )


def _date(value: Any, where: str) -> datetime:
    written = text(value, f"{where}, date")
    try:
        return datetime.strptime(written, "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC)
    except ValueError as error:
        raise malformed(where, f'{written!r:.60} is no date such as "1:56 pm on 8 May, 2023"') from error
