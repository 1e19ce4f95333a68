"""Messages as chat APIs have them, as a role and a text: mappings and objects, parts, calls of tools and their results."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agentmem.errors import InvalidArgument
from agentmem.notes.protocols import Message

__all__ = ["ROLES", "as_mapping", "calls_of", "is_message", "plain_messages", "text_of"]

ROLES = ("user", "assistant", "system", "tool", "developer", "function")
_SPOKEN: Mapping[str, str] = {"developer": "system", "function": "tool"}
"""What a template calls a role that it does not know."""

_FIELDS = ("role", "content", "name", "tool_calls", "function_call", "tool_call_id", "refusal")
_NOT_WORD = re.compile(r"[^\w.-]+")


def is_message(value: object) -> bool:
    """Whether ``value`` is a message: a mapping with a role, or an object that has a role and a content."""
    if isinstance(value, Mapping):
        return "role" in value
    return not isinstance(value, str | bytes | Sequence) and hasattr(value, "role") and hasattr(value, "content")


def as_mapping(value: Any) -> Mapping[str, Any]:
    """A message as a mapping; an object's fields that say nothing are left out."""
    if isinstance(value, Mapping):
        return value
    given = {name: getattr(value, name, None) for name in _FIELDS}
    return {name: _bare(held) for name, held in given.items() if held is not None} | {
        "content": _bare(given["content"])
    }


def text_of(message: Mapping[str, Any], *, calls: bool = True) -> object:
    """The words of a message, line by line; what is no text is named in brackets: ``[image_url]``, ``[calls weather({"city": "Porto"})]``.

    With ``calls`` false, what tools were called for is left out. Whatever is neither text nor parts nor nothing comes back as it is: no words can be read from it.
    """
    content = message.get("content")
    if isinstance(content, str) or content is None:
        said = [content or ""]
    elif isinstance(content, Mapping):
        said = [_part(content)]
    elif isinstance(content, Iterable) and not isinstance(content, bytes):
        said = [_part(part) for part in content]
    else:
        return content
    refusal = message.get("refusal")
    said += [refusal] if isinstance(refusal, str) else []
    if calls:
        said += [_call(call) for call in calls_of(message)]
    return "\n".join(part for part in said if part.strip())


def calls_of(message: Mapping[str, Any]) -> list[object]:
    """What a message asks tools for."""
    given = message.get("tool_calls")
    many = list(given) if isinstance(given, Iterable) and not isinstance(given, str | bytes | Mapping) else []
    return [*many, {"function": message["function_call"]}] if message.get("function_call") else many


def plain_messages(messages: object) -> list[Message]:
    """A conversation in the roles and texts that every chat model reads.

    Raises:
        InvalidArgument: one is no message.
    """
    if isinstance(messages, str | bytes | Mapping) or not isinstance(messages, Iterable):
        raise InvalidArgument("This is no list of messages.", hint=_HINT)
    found: list[Message] = []
    for number, value in enumerate(messages):
        message = as_mapping(value) if is_message(value) else {}
        role, text = message.get("role"), text_of(message)
        said = "content" in message or "tool_calls" in message or "function_call" in message
        if role not in ROLES or not isinstance(text, str) or not said:
            raise InvalidArgument(f"Message {number} is no message: {value!r:.200}.", hint=_HINT)
        found.append({"role": _SPOKEN.get(role, role), "content": text})
    return found


_HINT = f'write {{"role": "user", "content": "…"}}; roles: {", ".join(ROLES)}.'


def _part(part: object) -> str:
    """The text of a part of a content, or what kind of part it is."""
    if isinstance(part, str):
        return part
    given = _bare(part)
    if not isinstance(given, Mapping):
        return f"[{_word(type(part).__name__)}]"
    for name in ("text", "refusal"):
        held = given.get(name)
        held = held.get("value") if isinstance(held, Mapping) else held  # as assistants' messages have it
        if isinstance(held, str):
            return held
    return f"[{_word(given.get('type', 'part'))}]"


def _call(call: object) -> str:
    """What an assistant asked a tool for."""
    given = _bare(call)
    asked = _bare(given.get("function") or given.get("custom") or given) if isinstance(given, Mapping) else {}
    held: Mapping[str, Any] = asked if isinstance(asked, Mapping) else {}
    arguments = held.get("arguments", held.get("input", ""))
    return f"[calls {_word(held.get('name', 'a tool'))}({arguments})]"


def _word(text: object) -> str:
    return _NOT_WORD.sub(" ", str(text)).strip()[:64]


def _bare(value: Any) -> Any:
    """An object of a client library (pydantic) as mappings, lists and values; anything else as it is."""
    dump = getattr(value, "model_dump", None)
    if dump is not None and not isinstance(value, type):
        return dump()
    if isinstance(value, list | tuple):
        return [_bare(part) for part in value]
    return value
