"""Opens a dump, finds out what shape it has, and hands its items over checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agentmem.errors import InvalidArgument, InvalidImport
from agentmem.integrations.importers import chat, langgraph, locomo, mem0, memorybank
from agentmem.integrations.importers.items import Item

__all__ = ["FORMATS", "Dump", "read"]

MAX_BYTES: Final = 2**30
_READERS: Final[Mapping[str, tuple[Callable[[Any], bool], Callable[[Any], Iterator[Item]]]]] = {
    "mem0": (mem0.fits, mem0.items),
    "langgraph": (langgraph.fits, langgraph.items),
    "locomo": (locomo.fits, locomo.items),
    "memorybank": (memorybank.fits, memorybank.items),
    "chat": (chat.fits, chat.items),
}
FORMATS: Final = tuple(_READERS)
"""The shapes known, the most particular first: so they are tried."""


@dataclass(frozen=True, slots=True)
class Dump:
    """A dump that was read: which shape it has, and one mapping of ``remember``'s keywords for each of its memories."""

    shape: str
    items: tuple[Item, ...]


def read(path: str | Path, shape: str | None = None) -> Dump:
    """The items of a dump, JSON or JSON lines; all of them are checked before any is returned.

    Args:
        path: the file.
        shape: one of :data:`FORMATS`; found out from the file when ``None``.

    Raises:
        InvalidImport: the file is not JSON, of no known shape, or an item is malformed; the message says which.
    """
    if shape is not None and shape not in _READERS:
        raise InvalidArgument(f"Unknown format {shape!r}.", hint=f"one of {', '.join(FORMATS)}.")
    data = _load(Path(path))
    chosen = shape or _sniff(data, Path(path))
    return Dump(chosen, tuple(_READERS[chosen][1](data)))


def _sniff(data: Any, path: Path) -> str:
    found = next((name for name, (fits, _) in _READERS.items() if fits(data)), None)
    if found is None:
        raise InvalidImport(
            f"{path} has none of the shapes known here.",
            hint=f"name its format, one of {', '.join(FORMATS)}, or bring it into that of chat: a list of messages.",
        )
    return found


def _load(path: Path) -> Any:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidImport(f"{path} is larger than 1 GiB.", hint="split it: every part is read into memory.")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidImport(f"{path} cannot be read: {error.strerror}.", hint="name a JSON or JSONL file.") from error
    except UnicodeDecodeError as error:
        raise InvalidImport(f"{path} is not UTF-8: {error.reason}.", hint="convert it to UTF-8.") from error
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as whole:
        lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        if len(lines) < 2:
            raise InvalidImport(f"{path} is not JSON: {whole}.", hint="name a JSON or JSONL file.") from whole
        return [_line(number, line, whole) for number, line in lines]


def _line(number: int, line: str, whole: Exception) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        # the first line tells JSON lines from a broken document
        said = f"Line {number} is not JSON: {error}" if number > 1 else f"The file is not JSON: {whole}"
        raise InvalidImport(f"{said}.", hint="in a JSONL file every line is one JSON value.") from error
