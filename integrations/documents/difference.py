"""What an import changes: the chunks of a folder against the notes that earlier imports made of it. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from heapq import nsmallest
from typing import Final

from agentmem.integrations.documents.chunking import TextChunk

__all__ = ["Difference", "ImportedNote", "PlacedChunk", "compare"]

ALIKE: Final = 0.5
"""How much of the words two chunks share of which one is the other, changed."""
_RIVALS: Final = 24
"""Notes that a chunk is compared with, those from the nearest lines: a long file has thousands."""
_COMPARED: Final = 2_000
"""Characters that are read to tell whether two chunks are alike."""


@dataclass(frozen=True, slots=True)
class PlacedChunk:
    """A chunk, and the file that it stands in: its path from the root of the import."""

    path: str
    chunk: TextChunk

    @property
    def place(self) -> tuple[str, tuple[str, ...], int, int]:
        """Where it stands."""
        return self.path, self.chunk.headings, self.chunk.first, self.chunk.last


@dataclass(frozen=True, slots=True)
class ImportedNote:
    """A note that an import made.

    Attributes:
        path: of its file from the root of this import; where it is of another one, whose file is gone, all of it.
        digest: of the chunk that it was made of.
        words: what it says.
        outside: it is of another import: it may be found again here, and else is none of this one's concern.
    """

    id: str
    path: str
    digest: str
    headings: tuple[str, ...]
    first: int
    last: int
    words: str
    outside: bool = False

    @property
    def place(self) -> tuple[str, tuple[str, ...], int, int]:
        """Where its chunk stood."""
        return self.path, self.headings, self.first, self.last


@dataclass(slots=True)
class Difference:
    """What is to be done.

    Attributes:
        same: notes whose chunk stands where it stood.
        placed: the same words in another place: at other lines, under other headings, in another file.
        changed: notes whose chunk has other words.
        new: chunks without a note.
        gone: notes without a chunk.
        moved: files that were found under another name, the former first.
    """

    same: list[ImportedNote] = field(default_factory=list)
    placed: list[tuple[ImportedNote, PlacedChunk]] = field(default_factory=list)
    changed: list[tuple[ImportedNote, PlacedChunk]] = field(default_factory=list)
    new: list[PlacedChunk] = field(default_factory=list)
    gone: list[ImportedNote] = field(default_factory=list)
    moved: dict[str, str] = field(default_factory=dict)


def compare(found: Sequence[PlacedChunk], held: Sequence[ImportedNote]) -> Difference:
    """Pair chunks with notes: those of one place first, then those of a file that was moved, then equal ones anywhere, then alike ones.

    A pair of equal words leaves the words of the note alone. Carried out in part, and compared again, it ends as if it had been carried
    out at once: every step makes a note equal to the chunk that it is paired with.
    """
    done = Difference()
    done.moved = _moves(found, held)
    chunks, notes = list(found), list(held)

    def place_of(note: ImportedNote) -> str:
        return done.moved.get(note.path, note.path)

    chunks, notes = _equal(
        done, chunks, notes, lambda note: (place_of(note), note.digest), lambda c: (c.path, c.chunk.digest)
    )
    chunks, notes = _equal(done, chunks, notes, lambda note: note.digest, lambda c: c.chunk.digest)
    mine = [note for note in notes if not note.outside or note.path in done.moved]
    chunks, mine = _alike(done, chunks, mine, place_of)
    done.new, done.gone = chunks, mine
    return done


def _moves(found: Sequence[PlacedChunk], held: Sequence[ImportedNote]) -> dict[str, str]:
    """Files that are gone, each with the new file that holds most of what it held, at least half."""
    before, now = _digests((note.path, note.digest) for note in held), _digests((c.path, c.chunk.digest) for c in found)
    fresh = [path for path in now if path not in before]
    where: dict[str, set[str]] = defaultdict(set)
    for path in fresh:
        for digest in now[path]:
            where[digest].add(path)
    moves: dict[str, str] = {}
    for path in sorted(set(before) - set(now)):
        shared = Counter(new for digest in before[path] for new in where[digest] if new not in moves.values())
        best = max(shared, key=lambda new: (shared[new], new), default=None)
        if best is not None and 2 * shared[best] >= len(before[path]):
            moves[path] = best
    return moves


def _digests(pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path, digest in pairs:
        found.setdefault(path, set()).add(digest)
    return found


def _equal(
    done: Difference,
    chunks: Sequence[PlacedChunk],
    notes: Sequence[ImportedNote],
    of_note: Callable[[ImportedNote], object],
    of_chunk: Callable[[PlacedChunk], object],
) -> tuple[list[PlacedChunk], list[ImportedNote]]:
    """Pair what is equal in some respect, in the order of both; returns what is left."""
    waiting: dict[object, list[ImportedNote]] = defaultdict(list)
    for note in reversed(notes):
        waiting[of_note(note)].append(note)
    left, taken = [], set()
    for chunk in chunks:
        if not (equals := waiting.get(of_chunk(chunk))):
            left.append(chunk)
            continue
        note = equals.pop()
        taken.add(note.id)
        if note.place == chunk.place:
            done.same.append(note)
        else:
            done.placed.append((note, chunk))
    return left, [note for note in notes if note.id not in taken]


def _alike(
    done: Difference,
    chunks: Sequence[PlacedChunk],
    notes: Sequence[ImportedNote],
    place_of: Callable[[ImportedNote], str],
) -> tuple[list[PlacedChunk], list[ImportedNote]]:
    """Pair what was reworded, within each file; returns what is left."""
    by_file: Mapping[str, list[ImportedNote]] = defaultdict(list)
    for note in notes:
        by_file[place_of(note)].append(note)
    left, taken = [], set()
    for chunk in chunks:
        rivals = _nearest(by_file[chunk.path], chunk)
        scored = [(_likeness(note, chunk), note) for note in rivals]
        best = max(scored, key=lambda pair: pair[0], default=None)
        if best is None or best[0] < ALIKE:
            left.append(chunk)
            continue
        taken.add(best[1].id)
        by_file[chunk.path].remove(best[1])
        done.changed.append((best[1], chunk))
    return left, [note for note in notes if note.id not in taken]


def _nearest(notes: Sequence[ImportedNote], chunk: PlacedChunk) -> list[ImportedNote]:
    return nsmallest(_RIVALS, notes, key=lambda note: abs(note.first - chunk.chunk.first))


def _likeness(note: ImportedNote, chunk: PlacedChunk) -> float:
    """How much of their words two share, from 0 to 1; a little more under the same headings."""
    first, second = note.words[:_COMPARED].split(), chunk.chunk.text[:_COMPARED].split()
    matcher = SequenceMatcher(None, first, second, autojunk=False)
    if matcher.real_quick_ratio() < ALIKE or matcher.quick_ratio() < ALIKE:
        return 0.0
    return matcher.ratio() + (0.01 if note.headings == chunk.chunk.headings else 0.0)
