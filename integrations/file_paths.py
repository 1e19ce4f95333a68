"""Paths below ``/memories`` as a model writes them: one spelling for each file, and no way out."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import unquote

from agentmem.errors import InvalidArgument

__all__ = ["ROOT", "RefusedCommand", "below", "listing", "normal_path", "parents"]

ROOT: Final = "/memories"
MAX_PATH: Final = 900
MAX_FILE_NAME: Final = 255
LEVELS_SHOWN: Final = 2
_JOINERS: Final = "\u200c\u200d"
"""Zero-width, and yet part of words and emoji."""


class RefusedCommand(InvalidArgument):
    """A command on files that cannot be carried out; its message is what the model is told."""


def normal_path(path: object) -> str:
    """The one spelling of a path: ``.``, ``..`` and doubled slashes resolved, Unicode composed (NFC).

    Names are compared exactly, also in case. One that would be another path to a decoder (``%2e%2e``, full-width dots or slashes) is refused.

    Raises:
        RefusedCommand: it does not begin with ``/memories``, leads out of it, or is no name of a file.
    """
    if not isinstance(path, str) or (path != ROOT and not path.startswith(f"{ROOT}/")):
        raise RefusedCommand(f"Path must start with {ROOT}, got: {path}")
    names: list[str] = []
    for part in path[len(ROOT) :].split("/"):
        name = unicodedata.normalize("NFC", part)
        if name == ".." and names:
            names.pop()
        elif name == ".." or _leads_elsewhere(name):
            raise RefusedCommand(f"Path {path} would escape {ROOT} directory")
        elif name not in ("", "."):
            names.append(_checked(name))
    found = "/".join([ROOT, *names])
    if len(found) > MAX_PATH:
        raise RefusedCommand(f"The path is longer than {MAX_PATH} characters; give the file a shorter one.")
    return found


def parents(path: str) -> Iterator[str]:
    """The directories above a path, without the root, the nearest first."""
    while (path := path.rsplit("/", 1)[0]) != ROOT and path:
        yield path


def below(path: str, directory: str) -> bool:
    """Whether a file lies in a directory or deeper."""
    return path.startswith(f"{directory}/")


def listing(directory: str, files: Iterable[tuple[str, int]]) -> list[str]:
    """Lines of size and path for a directory and what is up to two levels below it; what is hidden is left out.

    A directory is as large as the files in it.
    """
    sizes = {directory: 0}
    for path, size in files:
        if not below(path, directory):
            continue
        sizes[directory] += size
        names = path[len(directory) + 1 :].split("/")
        for level in range(1, min(len(names), LEVELS_SHOWN) + 1):
            if names[level - 1].startswith("."):
                break
            shown = "/".join([directory, *names[:level]]) + ("/" if level < len(names) else "")
            sizes[shown] = sizes.get(shown, 0) + size
    # Names are compared part by part, as a walk through the directories meets them.
    return [f"{_size(sizes[path])}\t{path}" for path in sorted(sizes, key=lambda path: path.rstrip("/").split("/"))]


def _leads_elsewhere(name: str) -> bool:
    plain = name
    while (opened := unicodedata.normalize("NFKC", unquote(plain))) != plain:
        plain = opened
    return "\\" in plain or (plain != name and (plain.strip() in (".", "..") or "/" in plain))


def _checked(name: str) -> str:
    if any(unicodedata.category(character)[0] == "C" and character not in _JOINERS for character in name):
        raise RefusedCommand(f"The name {name!r} holds a character that cannot be seen; leave it out.")
    if len(name.encode()) > MAX_FILE_NAME:
        raise RefusedCommand(f"A name has more than {MAX_FILE_NAME} bytes; give the file a shorter one.")
    return name


def _size(count: int) -> str:
    value, units = float(count), "BKMG"
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:.0f}{units[0]}" if value == int(value) else f"{value:.1f}{units[0]}"
