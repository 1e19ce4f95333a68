"""A text as blocks: paragraphs, lists, code and tables, each under its headings and with its lines. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

__all__ = ["BlockKind", "TextBlock", "markdown_blocks", "text_blocks"]

BlockKind = Literal["heading", "paragraph", "list", "code"]

_ATX: Final = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_SETEXT: Final = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE: Final = re.compile(r"( *)(`{3,}|~{3,})[^`]*$")
_ITEM: Final = re.compile(r"\s*(?:[-*+•–]|\d{1,9}[.)])(?:\s+\S|\s*$)")
_RULE: Final = re.compile(r" {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$")
_COMMENT: Final = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TextBlock:
    """What belongs together in a text.

    Attributes:
        text: its lines, without the blank ones around them.
        headings: the titles that it stands under, the outermost first.
        first, last: the numbers of its lines, from 1.
    """

    kind: BlockKind
    text: str
    headings: tuple[str, ...]
    first: int
    last: int


@dataclass(slots=True)
class _Open:
    """The block that is being read, and the headings above it."""

    kind: BlockKind = "paragraph"
    lines: list[tuple[int, str]] = field(default_factory=list)
    titles: list[tuple[int, str]] = field(default_factory=list)

    @property
    def headings(self) -> tuple[str, ...]:
        return tuple(title for _, title in self.titles)

    def close(self) -> Iterator[TextBlock]:
        """The block read so far, if it says anything."""
        while self.lines and not self.lines[-1][1].strip():
            self.lines.pop()
        if self.lines:
            text = "\n".join(line for _, line in self.lines)
            yield TextBlock(self.kind, text, self.headings, self.lines[0][0], self.lines[-1][0])
        self.kind, self.lines = "paragraph", []

    def under(self, level: int, title: str) -> None:
        """From here on this heading stands above what follows, in the place of those of its level and below."""
        self.titles = [(depth, above) for depth, above in self.titles if depth < level]
        if title:
            self.titles.append((level, title))


def text_blocks(text: str, *, first: int = 1) -> list[TextBlock]:
    """The paragraphs and lists of plain text; whatever looks like a heading in it is a line like any other."""
    return list(_read(text.split("\n"), first, marked=False))


def markdown_blocks(text: str, *, first: int = 1) -> list[TextBlock]:
    """The blocks of a Markdown text, as CommonMark divides them; comments are left out.

    Headings are blocks of their own, under the titles above them; ``first`` is the number of the first line.
    """
    return list(_read(_without_comments(text).split("\n"), first, marked=True))


def _without_comments(text: str) -> str:
    """The text with blank lines where comments were, but for those in code."""
    if "<!--" not in text:
        return text
    fenced = [
        (block.first - 1, block.last) for block in _read(text.split("\n"), 1, marked=True) if block.kind == "code"
    ]
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)

    def blank(found: re.Match[str]) -> str:
        line = text.count("\n", 0, found.start())
        if any(begin <= line < end for begin, end in fenced):
            return found[0]
        return "\n" * found[0].count("\n")

    return _COMMENT.sub(blank, text)


def _read(lines: Sequence[str], first: int, *, marked: bool) -> Iterator[TextBlock]:
    block, fence = _Open(), ""
    for number, line in enumerate(lines, first):
        if fence:
            block.lines.append((number, line))
            if line.strip().startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
                if block.kind == "code":
                    yield from block.close()
            continue
        if marked and (opened := _FENCE.match(line)):
            fence = opened[2]
            if not (block.kind == "list" and block.lines and opened[1]):  # code within an item stays in its list
                yield from block.close()
                block.kind = "code"
            block.lines.append((number, line))
            continue
        if marked and (title := _title(block, line)) is not None:
            yield from _headed(block, number, *title)
            continue
        yield from _plain(block, number, line)
    yield from block.close()


def _title(block: _Open, line: str) -> tuple[int, str, bool] | None:
    """The level and words of a heading, and whether its words are the lines before this one."""
    if found := _ATX.match(line):
        return len(found[1]), (found[2] or "").strip(), False
    if block.kind == "paragraph" and block.lines and block.lines[-1][1].strip() and (under := _SETEXT.match(line)):
        return (1 if under[1][0] == "=" else 2), " ".join(text.strip() for _, text in block.lines), True
    return None


def _headed(block: _Open, number: int, level: int, title: str, underlined: bool) -> Iterator[TextBlock]:
    first = number
    if underlined:
        first = block.lines[0][0]
        block.lines = []
    yield from block.close()
    block.under(level, title)
    if title:
        yield TextBlock("heading", title, block.headings, first, number)


def _plain(block: _Open, number: int, line: str) -> Iterator[TextBlock]:
    """A line that is neither code nor a heading."""
    if not line.strip():
        if block.kind == "list":
            block.lines.append((number, ""))  # an item may follow
        else:
            yield from block.close()
        return
    if _RULE.match(line):
        yield from block.close()
        return
    item, after_blank = _ITEM.match(line) is not None, bool(block.lines) and not block.lines[-1][1]
    goes_on = block.kind == "list" and (item or not after_blank or line[:1].isspace())
    if not goes_on and (block.kind == "list" or (item and _begins_list(block, line))):
        yield from block.close()
    if item and not block.lines:
        block.kind = "list"
    block.lines.append((number, line.rstrip()))


def _begins_list(block: _Open, line: str) -> bool:
    """A number may begin a line of a paragraph by chance, unless it is the first one."""
    marker = line.split(maxsplit=1)[0]
    return not block.lines or not marker[0].isdigit() or marker[:-1] == "1"
