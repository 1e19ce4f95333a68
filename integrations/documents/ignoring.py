"""What a folder asks to be left out: patterns as in a ``.gitignore``, and names that are nobody's writing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["NEVER", "Pattern", "ignored", "patterns"]

NEVER: Final = frozenset({"__pycache__", "node_modules", "site-packages", "venv"})
"""Folders of what programs fetch or make."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line of such a file: what it fits, below which folder, and whether it takes back what others leave out.

    Attributes:
        base: the folder of the file that holds it, relative to the root and ending in a slash, or empty.
        folders: it fits folders alone.
    """

    base: str
    fits: re.Pattern[str]
    folders: bool = False
    keeps: bool = False


def patterns(lines: Sequence[str], base: str = "") -> list[Pattern]:
    """The patterns of a file's lines; blank ones and comments are none."""
    found = []
    for given in lines:
        line = re.sub(r"(?<!\\)\s+$", "", given)
        if not line or line.startswith("#"):
            continue
        keeps, line = line.startswith("!"), line.removeprefix("!")
        folders, line = line.endswith("/"), line.rstrip("/")
        anchored = "/" in line
        if line := line.removeprefix("/"):
            found.append(Pattern(base, re.compile(("" if anchored else "(?:.*/)?") + _regex(line)), folders, keeps))
    return found


def ignored(path: str, *, folder: bool, among: Sequence[Pattern]) -> bool:
    """Whether patterns leave out ``path``, relative to the root; the last one that fits decides."""
    for pattern in reversed(among):
        below = path.startswith(pattern.base) and (folder or not pattern.folders)
        if below and pattern.fits.fullmatch(path[len(pattern.base) :]):
            return not pattern.keeps
    return False


_PARTS: Final = re.compile(r"\*\*/|/\*\*$|\*+|\?|\[!?\]?[^\]/]*\]|\\.|.", re.DOTALL)


def _regex(glob: str) -> str:
    return "".join(_part(found[0]) for found in _PARTS.finditer(glob))


def _part(part: str) -> str:
    if part == "**/":
        return "(?:.*/)?"
    if part == "/**":
        return "/.*"
    if part[0] == "*":
        return "[^/]*"
    if part == "?":
        return "[^/]"
    if part[0] == "[" and len(part) > 2:
        inside = part[1:-1].replace("\\", "\\\\").replace("[", "\\[")
        return f"(?!/)[{'^' + inside[1:] if inside.startswith('!') else inside}]"
    return re.escape(part[-1] if part[0] == "\\" else part)
