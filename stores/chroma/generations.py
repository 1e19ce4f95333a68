"""The generations of the vector index in their folder: which there are, what in them is Chroma's, and how one is removed.

Removed is only what Chroma is known to write, by name and place. Whatever else somebody put into a generation stays, and its folder
with it; a later one takes the next number.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from agentmem.files import owned_files

__all__ = ["folder", "numbers", "remove", "strangers"]

_NAME: Final = re.compile(r"chroma-([1-9][0-9]*)")
_TABLES: Final = re.compile(r"chroma\.sqlite3(-journal|-wal|-shm)?")
_SEGMENT: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PARTS: Final = frozenset(("data_level0.bin", "header.bin", "index_metadata.pickle", "length.bin", "link_lists.bin"))


def folder(root: Path, number: int) -> Path:
    """Where a generation lies."""
    return root / f"chroma-{number}"


def numbers(root: Path) -> list[int]:
    """The numbers that are taken, by whatever bears such a name."""
    found = (_NAME.fullmatch(entry.name) for entry in owned_files.entries(root))
    return [int(match[1]) for match in found if match]


def remove(directory: Path) -> bool:
    """Remove a generation; false when something in it is not Chroma's, or it is no folder: that stays."""
    if not owned_files.is_folder(directory):
        return False
    for path in _files(directory):
        owned_files.remove(path)
    for segment in _segments(directory):
        owned_files.remove_folder(segment)
    return owned_files.remove_folder(directory)


def strangers(directory: Path) -> list[Path]:
    """What in a generation Chroma did not write, or might follow elsewhere."""
    if not owned_files.is_folder(directory):
        return []
    known = {path for path in _files(directory) if owned_files.is_ours(path)} | set(_segments(directory))
    inside = [directory, *_segments(directory)]
    return [
        Path(entry.path) for place in inside for entry in owned_files.entries(place) if Path(entry.path) not in known
    ]


def _segments(directory: Path) -> list[Path]:
    return [
        Path(e.path)
        for e in owned_files.entries(directory)
        if _SEGMENT.fullmatch(e.name) and e.is_dir(follow_symlinks=False)
    ]


def _files(directory: Path) -> list[Path]:
    tables = [Path(e.path) for e in owned_files.entries(directory) if _TABLES.fullmatch(e.name)]
    return tables + [
        Path(e.path) for segment in _segments(directory) for e in owned_files.entries(segment) if e.name in _PARTS
    ]
