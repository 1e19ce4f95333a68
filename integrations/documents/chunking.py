"""A text in chunks, each to be a note: cut where the text itself is divided, bounded, and understandable by itself. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from agentmem.integrations.documents.blocks import TextBlock, markdown_blocks, text_blocks
from agentmem.integrations.documents.front_matter import front_matter

__all__ = ["LARGEST", "SIZE", "TextChunk", "chunks"]

SIZE: Final = 700
"""Characters from which a chunk takes no further block."""
MOST: Final = 1_400
"""Characters of a paragraph or a list that stays whole."""
LARGEST: Final = 6_000
"""Characters of a block of code that stays whole; nothing is longer."""
_HEADINGS: Final = 300
_TAGS: Final = 32
_TAG: Final = 100
_SENTENCE: Final = re.compile(r"(?<=[.!?…。！？])\s+")
_LINE: Final = re.compile(r"\n")
_ITEM: Final = re.compile(r"\n(?=\s{0,3}(?:[-*+•–]|\d{1,9}[.)])\s)")


@dataclass(frozen=True, slots=True)
class TextChunk:
    """A part of a text.

    Attributes:
        text: its words, under the titles that it stands under in the text.
        headings: these titles, the outermost first.
        first, last: the numbers of its lines, from 1.
        date: when the text says that it was written.
    """

    text: str
    headings: tuple[str, ...]
    first: int
    last: int
    tags: tuple[str, ...] = ()
    date: datetime | None = None

    @property
    def digest(self) -> str:
        """Of what it says: two chunks of one digest say the same."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def chunks(text: str, *, name: str, markdown: bool) -> list[TextChunk]:
    """The chunks of a text, in its order; none of a text without words.

    Each begins with its titles on a line of their own (``Recall › Scores:``), since what is recalled by itself must say what it is about.

    Args:
        name: what the text is called where it has no title of its own, such as the name of its file.
        markdown: whether it is Markdown, else it is plain text.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    about = front_matter(text)
    body = "\n".join(text.split("\n")[about.lines :])
    read = markdown_blocks if markdown else text_blocks
    blocks = read(body, first=about.lines + 1)
    if about.description:
        blocks.insert(0, TextBlock("paragraph", about.description, (), 1, about.lines))
    title = about.title or _own_title(blocks) or name
    tags = tuple(tag[:_TAG] for tag in about.tags[:_TAGS])
    found = [_chunk(part, title) for part in _packed(blocks)]
    return [replace(each, tags=tags, date=about.date) for each in found if any(ch.isalnum() for ch in each.text)]


def _own_title(blocks: Sequence[TextBlock]) -> str:
    """The heading above all the others, where there is one."""
    first = next((block for block in blocks if block.kind == "heading"), None)
    alone = first is not None and all(block.headings[:1] == first.headings for block in blocks if block.headings)
    return first.text if first is not None and alone and len(first.headings) == 1 else ""


def _chunk(part: Sequence[TextBlock], title: str) -> TextChunk:
    headings = part[0].headings
    headings = headings if headings[:1] == (title,) else (title, *headings)
    above = " › ".join(" ".join(each.split()) for each in headings)
    above = above if len(above) <= _HEADINGS else f"{above[: _HEADINGS - 2]} …"
    words = "\n\n".join(block.text for block in part)
    return TextChunk(f"{above}:\n{words}", headings, part[0].first, part[-1].last)


def _packed(blocks: Sequence[TextBlock]) -> Iterator[list[TextBlock]]:
    """Blocks under the same titles, together until there are enough; what leads into a list or code stands with it."""
    open_: list[TextBlock] = []
    for block in _bounded(blocks):
        size = sum(len(each.text) for each in open_)
        apart = open_ and block.headings != open_[-1].headings
        leads = open_ and open_[-1].text.rstrip().endswith(":") and size + len(block.text) <= LARGEST
        if open_ and (apart or (size + len(block.text) > SIZE and not leads)):
            yield open_
            open_ = []
        open_.append(block)
    if open_:
        yield open_


def _bounded(blocks: Sequence[TextBlock]) -> Iterator[TextBlock]:
    for block in blocks:
        if block.kind == "heading":
            continue
        most = LARGEST if block.kind == "code" else MOST
        if len(block.text) <= most:
            yield block
        else:
            yield from _divided(block, most if block.kind == "code" else SIZE)


def _divided(block: TextBlock, size: int) -> Iterator[TextBlock]:
    """A block that is too long, in parts: a list between its items, code between its lines, all else between sentences."""
    line = block.first
    for part in _parts(block, size):
        text = part.strip("\n")
        first = line + len(part) - len(part.lstrip("\n"))
        if text.strip():
            yield replace(block, text=text.rstrip(), first=first, last=first + text.rstrip().count("\n"))
        line += part.count("\n")


def _parts(block: TextBlock, size: int) -> Iterator[str]:
    """Pieces that make up the text when they are put together."""
    ends = _ITEM if block.kind == "list" else _LINE if block.kind == "code" else _SENTENCE
    open_ = ""
    for unit in (piece for whole in _units(block.text, ends) for piece in _cut(whole, size)):
        if open_ and len(open_) + len(unit) > size:
            yield open_
            open_ = ""
        open_ += unit
    if open_:
        yield open_


def _units(text: str, ends: re.Pattern[str]) -> Iterator[str]:
    """The text cut behind each of its ``ends``."""
    begin = 0
    for end in ends.finditer(text):
        yield text[begin : end.end()]
        begin = end.end()
    yield text[begin:]


def _cut(unit: str, size: int) -> Iterator[str]:
    """A unit that is longer than a chunk, between words where it has any."""
    while len(unit) > size:
        at = unit.rfind(" ", size // 2, size) + 1 or size
        yield unit[:at]
        unit = unit[at:]
    yield unit
