"""Looks into the bytes of every file of a data directory: for what lies where nothing should, and for texts that somebody asks about.

The looking is done by a process of its own, since a process that opens and closes a database file loses the locks that SQLite holds on it.
What is looked for goes to it through a pipe: it stands on no command line.
"""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from agentmem.errors import StoreError
from agentmem.stores.sqlite import scrub

__all__ = ["Wanted", "look", "look_beside"]

_HEADER: Final = struct.Struct("<i4Q")  # of a Chroma segment: version, offset, capacity, elements, bytes per element
_PACK: Final = re.compile(r"[0-9a-f]{64}\.safetensors")
_MOST: Final = 1_000  # findings; whoever has more needs no more of them
_CHUNK: Final = 8 * 2**20
_PLACES: Final = {2: "a page of an index", 5: "a page of a table", 10: "an entry of an index", 13: "a row of a table"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for, and what may be there.

    Attributes:
        texts: what must not be there; packs: the names of packs in use; index: the folder of the index in use, below the directory.
        pages: of the database, whose gaps may hold something: they never hold anything but numbers.
    """

    texts: tuple[str, ...] = ()
    packs: tuple[str, ...] = ()
    index: str = ""
    pages: tuple[int, ...] = ()


Finding = tuple[str, int, str, str]
"""(file, offset of the first byte, kind of place, what was found)."""


def look_beside(folder: Path, wanted: Wanted) -> list[Finding]:
    """:func:`look` in a process of its own.

    Raises:
        StoreError: no process could be started, or it failed.
    """
    code = (
        "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from agentmem.stores.byte_search import main; main()"
    )
    asked = json.dumps({"folder": str(folder.resolve()), **asdict(wanted)})
    command = [sys.executable or "python3", "-c", code, json.dumps([p or os.getcwd() for p in sys.path])]  # noqa: PTH109 - '' means just that
    try:
        ended = subprocess.run(command, input=asked.encode(), capture_output=True, check=False)  # noqa: S603 - our interpreter, our code
    except OSError as error:
        raise StoreError(
            f"The files could not be looked into: {error}.", hint="a second Python process is needed for that."
        ) from error
    if ended.returncode:
        said = ended.stderr.decode("utf-8", "replace").strip().splitlines()
        raise StoreError(
            f"The files could not be looked into: {said[-1] if said else ended.returncode}.",
            hint="check the rights of the directory.",
        )
    return [(str(name), int(at), str(place), str(what)) for name, at, place, what in json.loads(ended.stdout)]


def look(folder: Path, wanted: Wanted) -> list[Finding]:
    """Everything that is where it should not be, file by file. Not for a process that has the store open."""
    needles = _needles(wanted.texts)
    found: list[Finding] = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()):
        name = str(path.relative_to(folder))
        found += [(name, at, place, what) for at, place, what in _unused(path, name, wanted)]
        found += [(name, at, _place(path, at), what) for at, what in _search(path, needles)]
        if len(found) >= _MOST:
            break
    return found[:_MOST]


def _needles(texts: Sequence[str]) -> Mapping[bytes, str]:
    """The forms in which a store, or a library below it, may write a text."""
    found: dict[bytes, str] = {}
    for text in texts:
        for said in dict.fromkeys((text, text.lower(), text.upper())):
            for form, data in (
                ("UTF-8", said.encode()),
                ("JSON", json.dumps(said)[1:-1].encode()),
                ("UTF-16", said.encode("utf-16-le")),
            ):
                found.setdefault(data, f"the text, in {form}")
    return found


def _search(path: Path, needles: Mapping[bytes, str]) -> Iterator[tuple[int, str]]:
    if not needles:
        return
    longest = max(map(len, needles))
    with path.open("rb") as file:
        start, rest = 0, b""
        while chunk := file.read(_CHUNK):
            data = rest + chunk
            for needle, what in needles.items():
                at = data.find(needle)
                while at >= 0:
                    if at + len(needle) > len(rest):  # else it was told of with the chunk before
                        yield start + at, what
                    at = data.find(needle, at + 1)
            rest = data[max(0, len(data) - longest + 1) :]
            start += len(data) - len(rest)


def _unused(path: Path, name: str, wanted: Wanted) -> Iterator[tuple[int, str, str]]:
    """Bytes in room that is not used, and files that are not."""
    folders = Path(name).parts[:-1]
    generation = next((part for part in folders if part.startswith("chroma-")), "")
    if path.name.endswith("-wal"):
        yield from _log(path)
    elif path.suffix == ".db":
        yield from _gaps(path, wanted.pages)
    elif _PACK.fullmatch(path.name) and path.stem not in wanted.packs:
        yield 0, "a pack that is not in use", "weights"
    elif generation and not name.startswith(f"{wanted.index}{os.sep}"):
        yield 0, "an index that is not in use", "vectors"
    elif path.name in ("data_level0.bin", "length.bin") and (path.parent / "header.bin").is_file():
        yield from _slack(path)


def _gaps(path: Path, own: Sequence[int]) -> Iterator[tuple[int, str, str]]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        try:
            layout = scrub.Layout.of(descriptor)
        except ValueError:
            return
        free = scrub.free_pages(descriptor, layout)
        _, changed = scrub.wal_pages(str(path), layout.size)
        for page, (start, _end) in sorted(scrub.remnants(descriptor, layout, free).items()):
            if page not in changed and page not in own:  # what the log says of a page counts
                yield (
                    (page - 1) * layout.size + start,
                    "a free page" if page in free else "the gap of a page",
                    "bytes of deleted or moved rows",
                )
    finally:
        os.close(descriptor)


def _log(path: Path) -> Iterator[tuple[int, str, str]]:
    """Frames of an earlier round lie behind the last one of this."""
    data = path.read_bytes()
    if len(data) < 32:
        return
    step, at = 24 + int.from_bytes(data[8:12], "big"), 32
    while at + step <= len(data) and data[at + 8 : at + 16] == data[16:24]:
        at += step
    if data[at:].strip(b"\0"):
        yield at, "the log behind its end", "pages from before"


def _slack(path: Path) -> Iterator[tuple[int, str, str]]:
    _, _, capacity, elements, size = _HEADER.unpack_from((path.parent / "header.bin").read_bytes())
    width = size if path.name == "data_level0.bin" else 4
    if path.stat().st_size == capacity * width:
        with path.open("rb") as file:
            file.seek(elements * width)
            rest = file.read()
        if rest.strip(b"\0"):
            yield elements * width, "the index behind its last vector", "memory that was never written"


def _place(path: Path, at: int) -> str:
    """What the byte at ``at`` of a file belongs to."""
    if path.name.endswith("-wal"):
        return "the log"
    if path.suffix != ".db":
        return "a pack" if path.suffix == ".safetensors" else "the index" if "chroma" in str(path.parent) else "a file"
    descriptor = os.open(path, os.O_RDONLY)
    try:
        try:
            layout = scrub.Layout.of(descriptor)
        except ValueError:
            return "a file"
        page = at // layout.size + 1
        data = os.pread(descriptor, layout.size, (page - 1) * layout.size)
        if page in scrub.free_pages(descriptor, layout):
            return "a free page"
        first = 100 if page == 1 else 0
        gap = scrub.gap(data, 0, first)
        if gap is not None and gap[0] <= at % layout.size < gap[1]:
            return "the gap of a page"
        return _PLACES.get(data[first], "a long row")
    finally:
        os.close(descriptor)


def main() -> None:
    """Reads what is asked from standard input, and writes the findings; both are JSON."""
    asked = json.load(sys.stdin)
    wanted = Wanted(tuple(asked["texts"]), tuple(asked["packs"]), asked["index"], tuple(asked["pages"]))
    sys.stdout.write(json.dumps(look(Path(asked["folder"]), wanted)))
