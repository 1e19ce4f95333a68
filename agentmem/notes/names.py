"""Names and texts as callers hand them over, checked: whose a call is, and what can be a note; nothing that reads a text is needed for it."""

from __future__ import annotations

import re
from typing import Final

from agentmem.errors import InvalidArgument, InvalidNote, ScopeError
from agentmem.notes.note import Scope

__all__ = ["MAX_BYTES", "NAME_LIMIT", "checked_name", "clean_text", "flag", "merge_scope", "plain"]

MAX_BYTES: Final = 65_536
"""The longest note, in bytes of UTF-8."""
NAME_LIMIT: Final = 256
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def plain(text: str) -> str:
    """The characters of a text and nothing else.

    A class derived from ``str`` may print as something else than it is (a masked address, a member of an enumeration): two users who
    print alike are two users, and one who is compared with ``==`` as "ana" is "ana".
    """
    return text if type(text) is str else str.__str__(text)


def clean_text(text: str) -> str:
    """``text`` itself, character for character, when it can be a note.

    Raises:
        InvalidNote: when it is no text, is empty, holds NUL or half a character, or is longer than 64 KiB.
    """
    given: object = text  # what a caller without a type checker may pass
    if not isinstance(given, str):
        raise InvalidNote(
            f"A note's content must be text, got {type(given).__name__}.",
            hint="pass a str; decode bytes first, put other values into metadata.",
        )
    text = plain(given)
    if not text or text.isspace():
        raise InvalidNote("A note's content is empty.", hint="leave out blank messages.")
    if "\0" in text:
        raise InvalidNote(
            "A note's content holds a NUL character, which many tools take for the end of the text.",
            hint='remove it: text.replace("\\0", "").',
        )
    if _SURROGATE.search(text):
        raise InvalidNote(
            "A note's content holds half of a surrogate pair, which is no character.",
            hint='repair it: text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").',
        )
    size = len(text.encode("utf-8")) if len(text) * 4 > MAX_BYTES else 0
    if size > MAX_BYTES:
        raise InvalidNote(
            f"A note's content has {size:,} bytes, more than {MAX_BYTES:,}.",
            hint="split it into paragraphs and remember each, with the same session=…",
        )
    return text


def checked_name(value: object, name: str) -> str | None:
    """A name of somebody or of something, as it was given.

    Raises:
        InvalidArgument: it is none, under the ``name`` of the argument.
    """
    if value is None:
        return None
    if not isinstance(value, str) or not plain(value).strip() or len(plain(value)) > NAME_LIMIT:
        raise InvalidArgument(
            f"{name} must be a text of 1 to {NAME_LIMIT} characters, not {value!r:.80}.", hint=f"e.g. {name}='ana'."
        )
    try:
        return clean_text(value)
    except InvalidNote as error:
        raise InvalidArgument(
            f"{name}={value!r:.80} holds what is no text: a NUL, or half a character.", hint="remove it."
        ) from error


def flag(value: object, name: str) -> bool:
    """True or False, and nothing that only passes for it: a "false" from a query string, the environment, or a model's call of a tool."""
    if not isinstance(value, bool):
        raise InvalidArgument(f"{name} must be True or False, not {value!r:.80}.", hint=f"e.g. {name}=False.")
    return value


def merge_scope(bound: Scope, user: str | None, agent: str | None, session: str | None) -> Scope:
    """The scope of one call, or of one item of it: what the object or the call is bound to, narrowed; never another's."""
    asked = {"user": user, "agent": agent, "session": session}
    for name, value in asked.items():
        held = getattr(bound, name)
        checked = checked_name(value, name)
        if held is not None and checked is not None and checked != held:
            raise ScopeError(
                f"This memory or call is bound to {name}={held!r}; {name}={checked!r} was asked for.",
                hint=f"open another Memory with scope=Scope({name}={checked!r}), or leave {name} out of the call or of its items.",
            )
        asked[name] = held if held is not None else checked
    return Scope(**asked)
