"""Which files of a folder are read, and why the others are not."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from agentmem.errors import InvalidImport
from agentmem.integrations.documents.decoding import Decoded, decoded
from agentmem.integrations.documents.ignoring import NEVER, Pattern, ignored, patterns

__all__ = ["MAX_BYTES", "FileKind", "FolderTexts", "LeftOut", "TextFile", "is_text_name", "walk"]

MAX_BYTES: Final = 4 * 2**20
"""The longest file that is read: more is a log or a dump, and would crowd out everything else."""
FileKind = Literal["markdown", "text", "data"]
_KINDS: Final[dict[str, FileKind]] = {
    **dict.fromkeys((".md", ".markdown", ".mdown", ".mkd", ".mdx", ".qmd", ".rmd"), "markdown"),
    **dict.fromkeys((".txt", ".text", ".rst", ".adoc", ".asciidoc", ".org"), "text"),
    **dict.fromkeys((".json", ".jsonl", ".ndjson"), "data"),
}  # fmt: skip
_IGNORES: Final = (".gitignore", ".ignore", ".agentmemignore")


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file that was read: its path relative to the root, with slashes, its words, and when it was last changed.

    ``guessed`` is the encoding where that is no more than likely. A file of ``data`` has no words here.
    """

    path: str
    kind: FileKind
    text: str
    changed: datetime
    guessed: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file or folder that was not read, and why; ``quiet``: it is of no kind that is read here, or asked to be left out."""

    path: str
    why: str
    quiet: bool = False


@dataclass(slots=True)
class FolderTexts:
    """What lies in a folder: ``files`` in the order of their paths, and what was left out; ``only``: the one file that was asked for."""

    root: Path
    only: str | None = None
    files: list[TextFile] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    _out: set[str] = field(default_factory=set)

    def put(self, one: TextFile | LeftOut) -> None:
        """Among those that were read, or those that were not."""
        if isinstance(one, LeftOut):
            self.left_out.append(one)
            self._out.add(one.path)
        else:
            self.files.append(one)

    def covers(self, file: Path) -> bool:
        """Whether a file is one of those that were looked for, be it there or not."""
        return file.is_relative_to(self.root) and (self.only is None or file == self.root / self.only)

    def is_left_out(self, path: Path) -> bool:
        """Whether a path, relative to the root, was not read, or lies in a folder that was not."""
        return any(part.as_posix() in self._out for part in (path, *path.parents))


def is_text_name(path: Path) -> bool:
    """Whether a file is called as texts are."""
    return _KINDS.get(path.suffix.lower(), "data") != "data"


def walk(path: Path, *, exclude: Sequence[str] = (), max_bytes: int = MAX_BYTES) -> FolderTexts:
    """The texts in a folder and below it, or the one file that ``path`` names.

    Left out are hidden files and folders, what a ``.gitignore``, ``.ignore`` or ``.agentmemignore`` on the way names, links, what is no text, and
    what is longer than ``max_bytes``. A file that is named itself is read whatever it is called.

    Raises:
        InvalidImport: it is not there, or cannot be looked into.
    """
    try:
        named = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise InvalidImport(f"{path} cannot be read: {_why(error)}.", hint="name a file or a folder.") from error
    if not named.is_dir():
        found = FolderTexts(named.parent, named.name)
        found.put(_read(named, named.name, max_bytes, asked=True))
        return found
    found = FolderTexts(named)
    wanted = patterns(exclude)
    for file, relative in _walk(found, named, "", [], wanted):
        found.put(_read(file, relative, max_bytes, asked=False))
    return found


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _walk(
    found: FolderTexts, folder: Path, relative: str, rules: Sequence[Pattern], wanted: Sequence[Pattern]
) -> Iterator[tuple[Path, str]]:
    base = f"{relative}/" if relative else ""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        if not relative:
            raise InvalidImport(f"{folder} cannot be read: {_why(error)}.", hint="check its rights.") from error
        found.put(LeftOut(relative, f"it cannot be read: {_why(error)}"))
        return
    rules = [*rules, *_rules(entries, base)]
    for entry in entries:
        name = f"{base}{entry.name}"
        is_folder = entry.is_dir(follow_symlinks=False)
        if why := _unwanted(entry, name, [*rules, *wanted], folder=is_folder):
            found.put(why)
        elif is_folder:
            yield from _walk(found, Path(entry.path), name, rules, wanted)
        else:
            yield Path(entry.path), name


def _rules(entries: Sequence[os.DirEntry[str]], base: str) -> list[Pattern]:
    found: list[Pattern] = []
    for entry in entries:
        if entry.name in _IGNORES and entry.is_file(follow_symlinks=False):
            try:
                text = Path(entry.path).read_text(encoding="utf-8", errors="replace")
            except OSError as error:
                raise InvalidImport(
                    f"{entry.path} cannot be read: {_why(error)}.",
                    hint="it says what must stay out, so nothing is read without it: check its rights.",
                ) from error
            found += patterns(text.splitlines(), base)
    return found


def _unwanted(entry: os.DirEntry[str], name: str, rules: Sequence[Pattern], *, folder: bool) -> LeftOut | None:
    if entry.name.startswith("."):
        return LeftOut(name, "it is hidden", quiet=True)
    if ignored(name, folder=folder, among=rules):
        return LeftOut(name, "it is excluded", quiet=True)
    if folder and entry.name in NEVER:
        return LeftOut(name, "it is made by programs", quiet=True)
    if entry.is_symlink():
        return LeftOut(name, "it is a link: name what it leads to")
    if folder and (Path(entry.path) / "notes.db").exists():
        return LeftOut(name, "it is a memory")
    return None


def _read(file: Path, name: str, max_bytes: int, *, asked: bool) -> TextFile | LeftOut:
    """A file's words, or why there are none."""
    if (shown := name.encode("utf-8", "replace").decode("utf-8")) != name:
        return LeftOut(shown, "its name is no text")
    kind: FileKind | None = _KINDS.get(file.suffix.lower(), None if file.suffix and not asked else "text")
    if kind is None:
        return LeftOut(name, f"{file.suffix.lower()} is no text that is read here", quiet=True)
    try:
        state = file.stat()
        why = _unfit(state, kind, max_bytes)
        words = Decoded(trouble=why) if why or kind == "data" else decoded(file.read_bytes())
    except OSError as error:
        return LeftOut(name, f"it cannot be read: {_why(error)}")
    if words.trouble:
        return LeftOut(name, words.trouble)
    return TextFile(name, kind, words.text, datetime.fromtimestamp(state.st_mtime, UTC), words.guessed)


def _unfit(state: os.stat_result, kind: FileKind, max_bytes: int) -> str:
    """Why a file is not opened at all: a pipe would never end, and a dump is read elsewhere."""
    if not stat.S_ISREG(state.st_mode):
        return "it is no file"
    if state.st_size > max_bytes and kind != "data":
        return f"it has {state.st_size:,} bytes, more than {max_bytes:,}"
    return ""
