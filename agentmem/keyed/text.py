"""What of a value is read as its text: all its strings, or what some paths lead to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

from agentmem.errors import InvalidArgument
from agentmem.notes.passages import PART
from agentmem.remember.duplicates import MAX_BYTES

__all__ = ["Index", "checked_index", "in_parts", "text_of"]

Index = Literal[False] | Sequence[str] | None
"""``None``: all strings; ``False``: nothing; else paths such as ``title``, ``author.name``, ``chapters[*].text``, ``tags[0]``, ``$`` for all."""
MAX_PATHS: Final = 64
_STEP: Final = re.compile(r"(?:^|(?<=.)\.)(?P<name>[^.\[\]]+)|\[(?P<place>\*|-?\d{1,9})\]")


def checked_index(index: Any) -> Literal[False] | list[str] | None:
    """What of a value is to be found by meaning, checked.

    Raises:
        InvalidArgument: it is neither ``None`` nor ``False`` nor a list of paths.
    """
    if index is None or index is False:
        return index
    hint = "index=['title', 'chapters[*].text'], False for nothing, None for all strings."
    if isinstance(index, str) or not isinstance(index, Sequence) or not index or len(index) > MAX_PATHS:
        raise InvalidArgument(
            f"index must be None, False or a list of at most {MAX_PATHS} paths, not {index!r:.80}.", hint=hint
        )
    for path in index:
        if not isinstance(path, str) or _steps(path) is None:
            raise InvalidArgument(f"{path!r:.80} is no path into a value.", hint=hint)
    return list(index)


def text_of(value: Any, index: Literal[False] | Sequence[str] | None) -> str:
    """The text of a value, a line for each string; empty where there is none.

    The strings come in the order of the paths, and below each in the order of the names, so that equal values have equal texts. What
    paths lead to are its parts, one for each that they meet.

    Raises:
        InvalidArgument: it is too long for a note.
    """
    if index is False:
        return ""
    parts: list[str] = []
    for path in ("$",) if index is None else index:
        for part in _at(value, _steps(path) or []):
            lines = _strings(part) if isinstance(part, dict | list) else [_said(part)]
            parts.append("\n".join(plain for line in lines if (plain := _plain(line))))
    text = f"\n{PART}".join(part for part in parts if part)
    if len(text.encode()) > MAX_BYTES:
        raise InvalidArgument(
            f"The text of the value is longer than {MAX_BYTES:,} bytes.",
            hint="index=['title'] names what it is to be found by; index=False keeps it by its key alone.",
        )
    return text


def _plain(line: str) -> str:
    return line.replace("\0", " ").replace("\r", " ").replace(PART, " ").strip()


def in_parts(index: Literal[False] | Sequence[str] | None) -> bool:
    """Whether a text may be of several parts, the nearest of which counts alone: several paths, or one that meets several."""
    return False if index is None or index is False else len(index) > 1 or any("*" in path for path in index)


def _steps(path: str) -> list[str | int] | None:
    """Names, places in lists, ``"*"`` for each of a list; ``None`` for what is no path. A name that is a star cannot be said."""
    if path == "$":
        return []
    steps: list[str | int] = []
    at = 0
    for step in _STEP.finditer(path):
        if step.start() != at:
            return None
        place = step["place"]
        steps.append(step["name"] if place is None else "*" if place == "*" else int(place))
        at = step.end()
    return steps if at == len(path) and steps else None


def _at(value: Any, steps: Sequence[str | int]) -> Iterator[Any]:
    if not steps:
        yield value
        return
    step, rest = steps[0], steps[1:]
    if step == "*" and isinstance(value, list | dict):
        for inner in value if isinstance(value, list) else [value[name] for name in sorted(value)]:
            yield from _at(inner, rest)
    elif isinstance(step, int) and isinstance(value, list):
        if -len(value) <= step < len(value):
            yield from _at(value[step], rest)
    elif isinstance(value, dict) and step in value:
        yield from _at(value[step], rest)


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for name in sorted(value) for text in _strings(value[name])]
    return [text for inner in value for text in _strings(inner)] if isinstance(value, list) else []


def _said(value: Any) -> str:
    """A number or a truth value is a text where a path names it; nothing is none."""
    if value is None:
        return ""
    return (
        value
        if isinstance(value, str)
        else {True: "true", False: "false"}[value]
        if isinstance(value, bool)
        else str(value)
    )
