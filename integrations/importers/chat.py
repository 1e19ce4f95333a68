"""Chat logs: a list of messages as OpenAI's API has them, also as JSON lines.

``[{"role": "user", "content": "…" or [{"type": "text", "text": "…"}]}]``, one conversation; ``{"messages": […]}`` or a list of
such, several (as files for fine-tuning have them). Messages without words (calls of tools) and instructions of the system
are left out: they are no memories.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from agentmem.integrations.importers.items import Item, field, item, malformed, mapping, moment, text

__all__ = ["fits", "items"]

_SPEAKING: Final = ("user", "assistant", "tool")
_ROLES: Final = (*_SPEAKING, "system", "developer", "function")
_TIMES: Final = ("occurred_at", "created_at", "timestamp", "create_time")
_IDS: Final = ("session_id", "session", "thread_id", "conversation_id", "id")


def _conversations(data: Any) -> list[Any]:
    """One object with messages each."""
    if isinstance(data, Mapping):
        return [data] if "messages" in data else [{"messages": [data]}]
    if not isinstance(data, list):
        return []
    if any(isinstance(part, Mapping) and "messages" in part for part in data[:1]):
        return data
    if data and isinstance(data[0], list):
        return [{"messages": part} for part in data]
    return [{"messages": data}]


def fits(data: Any) -> bool:
    """Whether this looks like messages."""
    found = _conversations(data)
    messages = found[0].get("messages") if found and isinstance(found[0], Mapping) else None
    return isinstance(messages, list) and bool(messages) and isinstance(messages[0], Mapping) and "role" in messages[0]


def items(data: Any) -> Iterator[Item]:
    """One item per message that says something; the messages of a conversation share a session."""
    found = _conversations(data)
    if not found:
        raise malformed("Chat", "a list of messages is expected")
    for number, given in enumerate(found):
        conversation = mapping(given, f"Conversation {number}")
        messages = conversation.get("messages")
        if not isinstance(messages, list):
            raise malformed(f"Conversation {number}", 'a list of "messages" is expected')
        yield from _turns(conversation, messages, number)


def _turns(conversation: Mapping[str, Any], messages: list[Any], number: int) -> Iterator[Item]:
    named = next((name for key in _IDS if (name := field(conversation, key, f"Conversation {number}"))), None)
    # A name that the same conversation has every time: a second import finds its messages stored.
    session = named or "chat:" + hashlib.sha256(json.dumps(messages, sort_keys=True).encode()).hexdigest()[:16]
    owner = {
        name: field(conversation, f"{name}_id", f"Conversation {number}")
        or field(conversation, name, f"Conversation {number}")
        for name in ("user", "agent")
    }
    for place, given in enumerate(messages):
        where = f"Message {place}" if number == 0 else f"Conversation {number}, message {place}"
        message = mapping(given, where)
        role = message.get("role")
        if role not in _ROLES:
            raise malformed(where, f"unknown role {role!r:.40}")
        words = _words(message.get("content"), where)
        if role not in _SPEAKING or not words.strip():
            continue
        time = next((message[name] for name in _TIMES if message.get(name) is not None), None)
        at = moment(time, f"{where}, time")
        yield item(
            words,
            **owner,
            session=session,
            role=role,
            actor=field(message, "name", where),
            occurred_at=at,
            source="import:chat" if role == "user" else None,
            idempotency_key=_key(session, place, role, words, at),
        )


def _key(session: str, place: int, role: str, words: str, at: datetime | None) -> str:
    """The message itself is in it: logs come in parts, and two of a session both have a message at the same place."""
    said = json.dumps([session, place, role, words, None if at is None else at.isoformat()]).encode()
    return f"chat:{hashlib.sha256(said).hexdigest()}"


def _words(content: Any, where: str) -> str:
    """The text of a message: a string, or the text parts of a list."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise malformed(f"{where}, content", "a text or a list of parts is expected")
    parts = [mapping(part, f"{where}, content") for part in content]
    return "\n".join(text(part["text"], f"{where}, content") for part in parts if part.get("text"))
