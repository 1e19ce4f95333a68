"""What stands above a text between two lines of dashes: its title, tags and date, as notes' tools and site makers write them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

__all__ = ["FrontMatter", "front_matter"]

_FENCES: Final = {"---": ("---", "..."), "+++": ("+++",)}
_FIELD: Final = re.compile(r"([A-Za-z_][\w -]{0,63}?)\s*[:=]\s*(.*)$")
_MOST_LINES: Final = 200
_TAGS: Final = ("tags", "tag", "keywords", "categories")
_DATES: Final = ("date", "created", "created_at")


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """What a text says of itself; ``lines`` counts those that it takes, so that what follows keeps its numbers."""

    title: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    date: datetime | None = None
    lines: int = 0


def front_matter(text: str) -> FrontMatter:
    """The front matter of a text; an empty one where there is none. Values that are no plain ones are passed over."""
    lines = text.split("\n", _MOST_LINES + 1)[:_MOST_LINES]
    ends = _FENCES.get(lines[0].rstrip())
    end = None if ends is None else next((n for n, line in enumerate(lines[1:], 1) if line.rstrip() in ends), None)
    if end is None or not any(_FIELD.match(line) for line in lines[1:end]):
        return FrontMatter()  # a rule above a text, and another below
    fields = _fields(lines[1:end])
    return FrontMatter(
        title=" ".join(fields.get("title", [])),
        description=" ".join(fields.get("description", fields.get("summary", []))),
        tags=tuple(dict.fromkeys(tag for name in _TAGS for tag in fields.get(name, []))),
        date=next((date for name in _DATES if (date := _moment(fields.get(name, []))) is not None), None),
        lines=end + 1,
    )


def _fields(lines: list[str]) -> dict[str, list[str]]:
    """Each name with its values: one, a list in brackets, or the items below it."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in lines:
        item = line.strip()
        if name and item.startswith("- "):
            found[name].append(_bare(item[2:]))
        elif not line[:1].isspace() and (field := _FIELD.match(line)):
            name = field[1].strip().lower()
            found[name] = _values(name, field[2].strip())
    return {name: [value for value in values if value] for name, values in found.items()}


def _values(name: str, value: str) -> list[str]:
    if value.startswith("[") and value.endswith("]"):
        return [_bare(part) for part in value[1:-1].split(",")]
    if name in _TAGS and "," in value:
        return [_bare(part) for part in value.split(",")]
    return [_bare(value)]


def _bare(value: str) -> str:
    value = value.strip()
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value.lstrip("#") if value not in ("|", ">", "|-", ">-") else ""


def _moment(values: list[str]) -> datetime | None:
    try:
        found = datetime.fromisoformat(values[0]) if values else None
    except ValueError:
        return None  # a date in words is told by the text, if at all
    return found.replace(tzinfo=UTC) if found is not None and found.tzinfo is None else found
