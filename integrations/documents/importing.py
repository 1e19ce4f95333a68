"""Files and folders as notes: imported once, and from then on by what has changed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from agentmem.errors import AgentMemError, InvalidImport
from agentmem.integrations.documents.chunking import TextChunk, chunks
from agentmem.integrations.documents.difference import Difference, ImportedNote, PlacedChunk, compare
from agentmem.integrations.documents.walking import MAX_BYTES, FolderTexts, LeftOut, TextFile, walk
from agentmem.integrations.importers import read
from agentmem.memory import Memory
from agentmem.notes.names import merge_scope
from agentmem.notes.note import Note, Receipt, Scope

__all__ = ["SOURCE", "DocumentsReport", "import_documents"]

SOURCE: Final = "import:file"
"""The source of such notes: they are trusted as any import is."""
_BATCH: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentsReport:
    """What an import of files did, or with ``dry_run`` would do.

    Attributes:
        root: the folder that paths are relative to.
        files: how many were read.
        unchanged, placed, changed, stored, forgotten: how many chunks stayed as they are; stand in another place now; have other words,
            their notes' former ones being in their history; are new; and are gone from the files, and their notes with them.
        kept: notes of chunks that are gone, and of files that were left out this time, which stay.
        messages: of chats, how many were stored; those stored before are not.
        moved: files that were found under another name, the former first.
        refused: chunks that were not stored: path, line, and why.
        left_out: what was not read, and why.
        guessed: files in no encoding that they name, with the one they were read in.
        by_file: of each file with a change, what becomes of its chunks.
    """

    root: Path
    files: int
    unchanged: int = 0
    placed: int = 0
    changed: int = 0
    stored: int = 0
    forgotten: int = 0
    kept: int = 0
    messages: int = 0
    moved: Mapping[str, str] = field(default_factory=dict)
    refused: tuple[tuple[str, int, str], ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    guessed: Mapping[str, str] = field(default_factory=dict)
    by_file: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    dry_run: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values."""
        counts = ("files", "unchanged", "placed", "changed", "stored", "forgotten", "kept", "messages")
        return {
            "format": "documents", "dry_run": self.dry_run, "root": str(self.root), **{name: getattr(self, name) for name in counts},
            "moved": dict(self.moved), "refused": [list(each) for each in self.refused],
            "left_out": [{"path": each.path, "why": each.why} for each in self.left_out],
            "guessed": dict(self.guessed), "by_file": {path: dict(found) for path, found in self.by_file.items()},
        }  # fmt: skip


def import_documents(
    memory: Memory,
    path: str | Path,
    *,
    user: str | None = None,
    agent: str | None = None,
    session: str | None = None,
    exclude: Sequence[str] = (),
    keep: bool = False,
    forgotten: bool = False,
    facts: bool = False,
    dry_run: bool = False,
    max_bytes: int = MAX_BYTES,
    progress: bool | Callable[[int, int], None] = False,
) -> DocumentsReport:
    """Make notes of the texts in a folder, or of one file: a note for each chunk, with where it stands in its metadata.

    A second import changes what has changed. What of it was done when a process is killed is done; importing again does the rest.

    Args:
        user, agent, session: whose notes they are; those of others are neither seen nor touched.
        exclude: patterns as in a ``.gitignore``, besides those that lie in the folder.
        keep: leave notes of chunks that are no longer in the files.
        forgotten: bring back what was forgotten here since its file was changed.
        facts: read what the words state, as of something said.
        dry_run: write nothing.
        max_bytes: longer files are left out.

    Raises:
        InvalidImport: ``path`` cannot be read, or is empty now and was not before.
    """
    scope = merge_scope(memory.scope, user, agent, session)
    found = walk(Path(path), exclude=exclude, max_bytes=max_bytes)
    job = _Import(memory, scope, keep=keep, forgotten=forgotten, facts=facts, progress=progress)
    return job.run(found, dry_run=dry_run)


class _Import:
    """One import into one scope."""

    def __init__(
        self,
        memory: Memory,
        scope: Scope,
        *,
        keep: bool,
        forgotten: bool,
        facts: bool,
        progress: bool | Callable[[int, int], None],
    ) -> None:
        self._memory, self._scope = memory, scope
        self._keep, self._forgotten, self._facts, self._progress = keep, forgotten, facts, progress
        self._owner: dict[str, Any] = {"user": scope.user, "agent": scope.agent}
        self._refused: list[tuple[str, int, str]] = []

    def run(self, found: FolderTexts, *, dry_run: bool) -> DocumentsReport:
        files = {file.path: file for file in found.files}
        notes, left_alone = self._notes(found)
        there = [_held(note, found) for note in notes.values()]
        if not found.files and (former := [held for held in there if not held.outside]):
            raise InvalidImport(
                f"{found.root} holds nothing to read, and {len(former)} notes were made of it before.",
                hint="is its disk there? to forget them: agentmem forget --where "
                f"""'{{"metadata.root": "{found.root}"}}'.""",
            )
        todo = compare([PlacedChunk(file.path, chunk) for file in found.files for chunk in _chunks(file)], there)
        chats = dict(self._chats(found))
        stored = len(todo.new)
        if not dry_run:
            self._place(found.root, todo, notes)
            stored = self._store(found.root, todo.new, files)
            self._forget(todo.gone)
        messages = sum(len(items) if dry_run else self._tell(items) for items in chats.values())
        return DocumentsReport(
            root=found.root, files=len(found.files), unchanged=len(todo.same), placed=len(todo.placed), changed=len(todo.changed),
            stored=stored, forgotten=0 if self._keep else len(todo.gone), kept=left_alone + (len(todo.gone) if self._keep else 0),
            messages=messages, moved=todo.moved, refused=tuple(self._refused), left_out=tuple(found.left_out),
            guessed={file.path: file.guessed for file in found.files if file.guessed}, by_file=_by_file(todo), dry_run=dry_run,
        )  # fmt: skip

    # -- what is there ---------------------------------------------------------------------------------------

    def _notes(self, found: FolderTexts) -> tuple[dict[str, Note], int]:
        """The notes that this import is about, with those of files that are nowhere any more; and how many are of files left out."""
        there = self._memory.notes(where={"source": SOURCE}, session=self._scope.session, **self._owner)
        mine, left_alone, exists = dict[str, Note](), 0, dict[Path, bool]()
        for note in there:
            if note.scope != self._scope or (file := _file_of(note)) is None:
                continue
            inside = found.covers(file)
            if inside and found.is_left_out(file.relative_to(found.root)):
                left_alone += 1
            elif inside or not exists.setdefault(file, os.path.lexists(file)):
                mine[note.id] = note
        return mine, left_alone

    def _chats(self, found: FolderTexts) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """The messages of each file of data that is a chat; any other is left out, and said."""
        for file in [each for each in found.files if each.kind == "data"]:
            try:
                dump = read(found.root / file.path)
            except AgentMemError as error:
                why = error.message
            else:
                if dump.shape == "chat":
                    # Whose they are is what the import says, and not what a file in a folder does.
                    yield (
                        file.path,
                        [{k: v for k, v in item.items() if k not in ("user", "agent")} for item in dump.items],
                    )
                    continue
                why = f"it is a dump of {dump.shape}: import it by itself"
            found.files.remove(file)
            found.put(LeftOut(file.path, why))

    # -- what is done ----------------------------------------------------------------------------------------

    def _place(self, root: Path, todo: Difference, notes: Mapping[str, Note]) -> None:
        """Notes that are there get the place and the words of their chunk; places first, since they cost next to nothing."""
        for held, placed in todo.placed:
            self._memory.update(held.id, metadata={**notes[held.id].metadata, **_metadata(root, placed)}, **self._owner)
        for held, placed in todo.changed:
            note = notes[held.id]
            told = {**note.metadata, **_metadata(root, placed)}
            self._memory.update(
                held.id, placed.chunk.text, metadata=told, tags=placed.chunk.tags, facts=self._facts, **self._owner
            )

    def _store(self, root: Path, new: Sequence[PlacedChunk], files: Mapping[str, TextFile]) -> int:
        """Chunks as notes of their own; returns how many.

        What was forgotten is not brought back by a file that has not been changed since: that is told by the times of notes.
        """
        items = [self._item(root, placed, files[placed.path]) for placed in new]
        receipts = self._remember(items, progress=self._progress)
        again = [n for n, receipt in enumerate(receipts) if not receipt.ok]
        for n in again:
            later = None if self._forgotten else files[new[n].path].changed
            if items[n]["occurred_at"] != later:
                receipts[n] = self._remember([items[n] | {"occurred_at": later}])[0]
        for placed, receipt in zip(new, receipts, strict=True):
            if not receipt.ok:
                self._refused.append((placed.path, placed.chunk.first, receipt.reason))
        return sum(receipt.ok for receipt in receipts)

    def _item(self, root: Path, placed: PlacedChunk, file: TextFile) -> dict[str, Any]:
        chunk = placed.chunk
        return {
            "content": chunk.text, "kind": "semantic", "source": SOURCE, "tags": chunk.tags, "facts": self._facts, "merge": False,
            "metadata": _metadata(root, placed), "occurred_at": min(chunk.date or file.changed, self._memory.clock.now()),
        }  # fmt: skip

    def _remember(self, items: Sequence[dict[str, Any]], progress: Any = False) -> list[Receipt]:
        if not items:
            return []
        return self._memory.remember_many(items, progress=progress, session=self._scope.session, **self._owner)

    def _tell(self, items: Sequence[dict[str, Any]]) -> int:
        """Messages of a chat; each has a key, under which a second import stores nothing."""
        owned = [item if self._scope.session is None else item | {"session": self._scope.session} for item in items]
        receipts = self._memory.remember_many(owned, progress=False, **self._owner)
        return sum(receipt.ok and not receipt.reason.startswith("done before") for receipt in receipts)

    def _forget(self, gone: Sequence[ImportedNote]) -> None:
        if self._keep:
            return
        for begin in range(0, len(gone), _BATCH):
            self._memory.forget([held.id for held in gone[begin : begin + _BATCH]], **self._owner)


def _chunks(file: TextFile) -> Sequence[TextChunk]:
    if file.kind == "data":
        return []
    return chunks(file.text, name=Path(file.path).stem, markdown=file.kind == "markdown")


def _metadata(root: Path, placed: PlacedChunk) -> dict[str, Any]:
    """Where a chunk stands, to be read by people and by the next import."""
    chunk = placed.chunk
    lines = [chunk.first, chunk.last]
    return {
        "root": str(root),
        "path": placed.path,
        "headings": list(chunk.headings),
        "lines": lines,
        "digest": chunk.digest,
    }


def _file_of(note: Note) -> Path | None:
    """The file that a note was made of; ``None`` where its metadata is not what an import writes."""
    told = note.metadata
    root, path, lines = told.get("root"), told.get("path"), told.get("lines")
    whole = isinstance(root, str) and isinstance(path, str) and isinstance(told.get("digest"), str)
    placed = isinstance(lines, list) and len(lines) == 2 and all(isinstance(line, int) for line in lines)
    if not (whole and placed and isinstance(told.get("headings"), list)):
        return None
    return Path(os.path.normpath(f"{root}/{path}"))


def _held(note: Note, found: FolderTexts) -> ImportedNote:
    file, told = _file_of(note), cast(dict[str, Any], note.metadata)
    assert file is not None
    inside, headings = found.covers(file), tuple(map(str, told["headings"]))
    path = file.relative_to(found.root).as_posix() if inside else str(file)
    first, last = told["lines"]
    return ImportedNote(note.id, path, told["digest"], headings, first, last, note.content, outside=not inside)


def _by_file(todo: Difference) -> dict[str, dict[str, int]]:
    counted: dict[str, Counter[str]] = {}
    for name, paths in (
        ("new", [placed.path for placed in todo.new]),
        ("changed", [placed.path for _, placed in todo.changed]),
        ("placed", [placed.path for _, placed in todo.placed]),
        ("gone", [held.path for held in todo.gone]),
    ):
        for path in paths:
            counted.setdefault(path, Counter())[name] += 1
    return {path: dict(counted[path]) for path in sorted(counted)}
