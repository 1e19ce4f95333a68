"""What a value in an export may be: the words, names, times and numbers of its lines, and how many of each.

A memory writes far less than these limits; they are there for files that none wrote: names of 4,096 characters, texts of a note's
length, 4,096 tags, keywords or paraphrases, as many facts of one note as a memory reads, 100,000 versions, days of use, keys, or lines of the ledger of one note, 1,000 edits of it,
JSON values 64 levels deep with at most 100,000 parts, times whose moment in UTC lies within the years 1 to 9999, ids that are UUIDs.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field

from agentmem.errors import InvalidArgument
from agentmem.notes.clock import as_utc
from agentmem.remember.duplicates import MAX_BYTES, clean_text

__all__ = [
    "COUNT", "MAX_EDITS", "MAX_NAME", "MAX_ROWS", "MAX_WORDS", "Content", "Id", "Json", "Moment", "Name", "Natural", "Share", "Text", "Words",
    "WordsOrNone",
]  # fmt: skip

MAX_NAME: Final = 4096
MAX_WORDS: Final = 4096
MAX_ROWS: Final = 100_000
MAX_EDITS: Final = 1000
MAX_DEPTH: Final = 64
MAX_PARTS: Final = 100_000
COUNT: Final = 2**53
_LARGEST: Final = 2**63


def _moment(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("a time is a text in ISO 8601")  # noqa: TRY004 - pydantic turns ValueErrors into its own
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("a time needs a zone, e.g. +00:00")
    try:
        return as_utc(moment)
    except InvalidArgument as error:
        raise ValueError(error.message) from error


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """A JSON value that a memory could have written: not too deep, not too large, its whole numbers within 64 bits."""
    frontier: list[Any] = [value]
    parts = 0
    for _ in range(MAX_DEPTH):
        frontier = [
            part
            for each in frontier
            for part in (each.values() if isinstance(each, dict) else each if isinstance(each, list) else ())
        ]
        parts += len(frontier)
        if any(isinstance(part, int) and abs(part) >= _LARGEST for part in frontier):
            raise ValueError("a whole number has more than 64 bits")
        if parts > MAX_PARTS:
            raise ValueError(f"it has more than {MAX_PARTS} parts")
        if not frontier:
            return value
    raise ValueError(f"it is more than {MAX_DEPTH} levels deep")


def _words(value: str) -> str:
    return clean_text(value) if value else value


def _text(value: str) -> str:
    if "\0" in value:
        raise ValueError("a text cannot hold NUL")
    return value


Moment = Annotated[datetime, BeforeValidator(_moment)]
Content = Annotated[str, AfterValidator(clean_text)]
WordsOrNone = Annotated[str, AfterValidator(_words)]
Text = Annotated[str, AfterValidator(_text), Field(max_length=MAX_BYTES)]
Name = Annotated[str, AfterValidator(_text), Field(min_length=1, max_length=MAX_NAME)]
Id = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Words = Annotated[list[Annotated[str, AfterValidator(_text), Field(max_length=MAX_BYTES)]], Field(max_length=MAX_WORDS)]
Json = Annotated[dict[str, Any], AfterValidator(_plain)]
Natural = Annotated[int, Field(ge=0, le=COUNT)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
