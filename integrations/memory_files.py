"""Files that a model keeps for itself, as records of a memory: six commands, and what a model is told of each.

    files = MemoryFiles(memory, user="ana")
    files.create("/memories/wishes.md", "Tea without sugar.")
    memory.recall("How does Ana take her tea?", user="ana")

The words of success and failure are those that models know from the memory tool of Anthropic's SDK.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from agentmem.integrations.file_paths import ROOT, RefusedCommand, below, listing, normal_path, parents
from agentmem.memory import Memory
from agentmem.runtime.forks import at_fork

__all__ = ["MemoryFiles", "StoredFile"]

MAX_FILES: Final = 10_000
MAX_BYTES: Final = 65_536
MAX_LINES: Final = 999_999
AROUND: Final = 2
"""Lines shown before and behind a change."""


class StoredFile(NamedTuple):
    """A file: where it lies, what it says, the key of its record and the id of its note."""

    path: str
    text: str
    key: str
    id: str


class MemoryFiles:
    """The files of one scope below ``/memories``, each a record whose text is a note.

    A file keeps its record, and with it its history and links, when it is edited or moved. Directories are what paths have in common: one is
    there as long as a file is in it. Each command is done in one transaction, and one after another within this object.

    Args:
        memory: where the files are kept.
        user, agent, session: whose they are; nobody else sees them.
        namespace: where their records lie.
    """

    def __init__(
        self,
        memory: Memory,
        *,
        user: str | None = None,
        agent: str | None = None,
        session: str | None = None,
        namespace: Sequence[str] = ("memories",),
    ) -> None:
        self.memory, self.namespace = memory, tuple(namespace)
        self._owner: dict[str, Any] = {"user": user, "agent": agent}
        self._whose: dict[str, Any] = {**self._owner, "session": session}
        self._free_lock()
        at_fork(self._free_lock)

    def _free_lock(self) -> None:
        """Also in a forked child: who held it stayed with the parent."""
        self._one = threading.RLock()

    # -- the commands ------------------------------------------------------------------------------------------

    def view(self, path: str, view_range: Sequence[int] | None = None) -> str:
        """The numbered lines of a file, or of the first to the last of a range (-1: to the end); what a directory holds.

        Raises:
            RefusedCommand: there is no such path, as for all commands; or the range is none.
        """
        at, files = normal_path(path), self._all()
        if at not in files:
            if not _is_directory(at, files):
                raise _missing(path)
            lines = listing(at, ((file.path, len(file.text.encode())) for file in files.values()))
            head = f"Here're the files and directories up to 2 levels deep in {path}, excluding hidden items:"
            return "\n".join([head, *lines])
        lines = files[at].text.split("\n")
        if len(lines) > MAX_LINES:
            raise RefusedCommand(f"File {path} exceeds maximum line limit of {MAX_LINES:,} lines.")
        first, last = _range(view_range, len(lines))
        return "\n".join([f"Here's the content of {path} with line numbers:", *_numbered(lines, first, last)])

    def create(self, path: str, file_text: str) -> str:
        """Keep a new file; one that is there stays as it is."""
        with self._one:
            at, files = normal_path(path), self._all()
            if at in files or _is_directory(at, files):
                raise RefusedCommand(f"File {path} already exists")
            _check_place(at, files)
            if len(files) >= MAX_FILES:
                raise RefusedCommand(f"There are {MAX_FILES:,} files already; delete what is no longer needed.")
            self._put([StoredFile(at, _text(file_text, "file_text"), self._free_key(at, files), "")])
        return f"File created successfully at: {path}"

    def str_replace(self, path: str, old_str: str, new_str: str | None = "") -> str:
        """Replace the one place where the old text stands; shows the lines around it."""
        with self._one:
            file = self._file(path)
            old, new = _text(old_str, "old_str"), _text(new_str or "", "new_str")
            places = _places(file.text, old)
            if not places:
                raise RefusedCommand(
                    f"No replacement was performed, old_str `{old}` did not appear verbatim in {path}."
                )
            if len(places) > 1:
                where = ", ".join(str(file.text[:place].count("\n") + 1) for place in places)
                raise RefusedCommand(
                    f"No replacement was performed. Multiple occurrences of old_str `{old}` in lines: {where}. "
                    "Please ensure it is unique"
                )
            text = file.text.replace(old, new)
            self._put([file._replace(text=text)])
        line = file.text[: places[0]].count("\n")
        shown = _numbered(text.split("\n"), max(0, line - AROUND), line + AROUND + 1)
        head = "The memory file has been edited. Here is the snippet showing the change (with line numbers):"
        return "\n".join([head, *shown])

    def insert(self, path: str, insert_line: int, insert_text: str) -> str:
        """Add lines behind a line, 0 for before all others."""
        with self._one:
            file = self._file(path)
            lines = file.text.removesuffix("\n").split("\n") if file.text else []
            if isinstance(insert_line, bool) or not isinstance(insert_line, int) or not 0 <= insert_line <= len(lines):
                raise RefusedCommand(
                    f"Invalid `insert_line` parameter: {insert_line}. It should be within the range [0, {len(lines)}]."
                )
            lines.insert(insert_line, _text(insert_text, "insert_text").rstrip("\n"))
            text = "\n".join(lines)
            self._put([file._replace(text=text if text.endswith("\n") else f"{text}\n")])
        return f"The file {path} has been edited."

    def delete(self, path: str) -> str:
        """Forget a file, or all in a directory, from everywhere: nothing recalls it any more."""
        with self._one:
            at, files = normal_path(path), self._all()
            if at == ROOT:
                raise RefusedCommand(f"Cannot delete the {ROOT} directory itself")
            gone = _tree(at, files)
            if not gone:
                raise RefusedCommand(f"The path {path} does not exist")
            self._forget(gone)
        return f"Successfully deleted {path}"

    def rename(self, old_path: str, new_path: str) -> str:
        """Move a file, or a directory with all that is in it, in one transaction."""
        with self._one:
            old, new, files = normal_path(old_path), normal_path(new_path), self._all()
            if old == ROOT:
                raise RefusedCommand(f"Cannot rename the {ROOT} directory itself")
            if new in files or _is_directory(new, files):
                raise RefusedCommand(f"The destination {new_path} already exists")
            moved = _tree(old, files)
            if not moved:
                raise RefusedCommand(f"The path {old_path} does not exist")
            if below(new, old):
                raise RefusedCommand(f"Cannot move {old_path} into itself")
            _check_place(new, files)
            self._put([file._replace(path=normal_path(new + file.path[len(old) :])) for file in moved])
        return f"Successfully renamed {old_path} to {new_path}"

    def clear(self) -> str:
        """Forget all files of this scope."""
        with self._one:
            self._forget(list(self._all().values()))
        return "All memory cleared"

    # -- records -----------------------------------------------------------------------------------------------

    def _all(self) -> dict[str, StoredFile]:
        found = self.memory.search(self.namespace, limit=MAX_FILES + 1, **self._whose)
        mine = [record for record in found if record.namespace == self.namespace]
        files = [StoredFile(each.value["path"], each.value["text"], each.key, each.id) for each in mine]
        return {file.path: file for file in files}

    def _file(self, path: str) -> StoredFile:
        at, files = normal_path(path), self._all()
        if at in files:
            return files[at]
        raise RefusedCommand(f"The path {path} is not a file.") if _is_directory(at, files) else _missing(path)

    @staticmethod
    def _free_key(path: str, files: Mapping[str, StoredFile]) -> str:
        """The path itself, unless a file that was moved away still has it: who writes one path twice at once writes one record."""
        taken = {file.key for file in files.values()}
        keys = (path if number == 1 else f"{path} ({number})" for number in range(1, len(taken) + 2))
        return next(key for key in keys if key not in taken)

    def _put(self, files: Sequence[StoredFile]) -> None:
        for file in files:
            if len(file.text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
                raise RefusedCommand(f"{file.path} would be longer than {MAX_BYTES:,} bytes; keep it in several files.")
        items = [
            {
                "namespace": self.namespace, "key": file.key, "value": {"path": file.path, "text": file.text},
                "index": ["text"], "metadata": {"path": file.path}, "source": "assistant",
            }
            for file in files
        ]  # fmt: skip
        self.memory.put_many(items, **self._whose)

    def _forget(self, files: Sequence[StoredFile]) -> None:
        if files:
            self.memory.forget([file.id for file in files], **self._owner)


def _missing(path: str) -> RefusedCommand:
    return RefusedCommand(f"The path {path} does not exist. Please provide a valid path.")


def _is_directory(path: str, files: Mapping[str, StoredFile]) -> bool:
    return path == ROOT or any(below(each, path) for each in files)


def _tree(path: str, files: Mapping[str, StoredFile]) -> list[StoredFile]:
    return [file for at, file in files.items() if at == path or below(at, path)]


def _check_place(path: str, files: Mapping[str, StoredFile]) -> None:
    for directory in parents(path):
        if directory in files:
            raise RefusedCommand(f"The path {directory} is not a directory.")


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise RefusedCommand(f"`{name}` must be a text, not {value!r:.80}.")
    return value


def _places(text: str, wanted: str) -> list[int]:
    """Where a text stands, also where it overlaps itself; nowhere, if it is empty."""
    return [at for at in range(len(text)) if text.startswith(wanted, at)] if wanted else []


def _range(given: object, count: int) -> tuple[int, int]:
    if given is None or given == []:
        return 0, count
    numbers = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else []
    if len(numbers) != 2 or not all(isinstance(each, int) and not isinstance(each, bool) for each in numbers):
        raise RefusedCommand(f"Invalid `view_range` parameter: {given}. It should be two line numbers: [first, last].")
    first, last = numbers
    return max(1, first) - 1, count if last == -1 else last


def _numbered(lines: Sequence[str], first: int, last: int) -> list[str]:
    return [f"{number:>6}\t{line}" for number, line in enumerate(lines[first:last], first + 1)]
