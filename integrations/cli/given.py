"""What a command is given: texts, ``-`` for stdin, files and JSON, each read with a typed error when it cannot be."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from agentmem.errors import InvalidArgument

__all__ = ["contents", "json_of", "lines", "mapping", "said", "stdin"]


def said(text: str) -> str:
    """What an argument says; ``-`` stands for stdin."""
    return stdin().removeprefix("\ufeff").strip() if text == "-" else text


def stdin() -> str:
    """All of stdin."""
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise InvalidArgument(
            f"The input is no text: {error}",
            hint="give UTF-8, e.g. iconv -f latin1 -t utf-8 notes.txt | agentmem remember -",
        ) from error


def contents(file: Path) -> str:
    """All of a file."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"{file} cannot be read: {error}", hint="a text file in UTF-8.") from error


def lines(text: str) -> list[str]:
    """Lines end where a line feed is: other separators, such as U+2028, may stand inside of a note, and of JSON."""
    return text.removeprefix("\ufeff").split("\n")


def json_of(text: str, what: str) -> Any:
    """The value that a text is in JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"{what} is not JSON: {error}.", hint="""e.g. '{"kind": "semantic"}'.""") from error


def mapping(text: str | None, what: str) -> dict[str, Any] | None:
    """A filter, or a value, given as a JSON object; none where none is given."""
    if text is None:
        return None
    found = json_of(text, what)
    if not isinstance(found, dict):
        raise InvalidArgument(f"{what} is not a mapping.", hint=f"""e.g. {what} '{{"actor": "ana"}}'.""")
    return found
