"""The vectors of notes and of the passages of long ones, the log of their changes, and those of an embedder to come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from agentmem.errors import EmbedderMismatch, InvalidArgument, StoreCorrupt
from agentmem.notes.passages import PART
from agentmem.notes.tables import META, NEXT_VECTOR, NOTE, PASSAGE, VECTOR, VECTOR_CHANGE, Among, Span
from agentmem.records.area import Area, Logged
from agentmem.records.halves import arrays, checked, matrix

if TYPE_CHECKING:
    from agentmem.notes.arrays import Rows, Vectors

__all__ = ["NextVectors", "VectorsOfNotes", "VectorsOfPassages"]

_SERVING: Final = ("embedder_fingerprint", "embedder_dimension")
_COMING: Final = ("next_embedder_fingerprint", "next_embedder_dimension")
_TOGETHER: Final = 2_000
_DATA: Final = ("row", "data")


class _OfAnEmbedder(Area):
    """Which embedder it is, and how many numbers its vectors have."""

    names: tuple[str, str]

    def _embedder(self) -> tuple[str, int] | None:
        found: dict[str, str] = dict(self._tables.find(META, {"key": Among(self.names)}, order=(), often=True))
        if len(found) < 2:
            return None
        fingerprint, dimension = (found[name] for name in self.names)
        if not dimension.isdecimal():
            raise StoreCorrupt(
                f"The store says that its vectors have {dimension!r:.40} numbers.",
                hint="check() says what else is damaged; restore the last backup.",
            )
        return fingerprint, int(dimension)

    def _set_embedder(self, embedder: tuple[str, int] | None, names: tuple[str, str] | None = None) -> None:
        keys = self.names if names is None else names
        if embedder is None:
            self._tables.delete(META, {"key": Among(keys)})
        else:
            self._tables.put(META, [(keys[0], embedder[0]), (keys[1], str(embedder[1]))])


class VectorsOfNotes(_OfAnEmbedder, Logged):
    """One vector a note, as float16: the truth that any vector index is rebuilt from."""

    names = _SERVING
    log = VECTOR_CHANGE

    def put(self, rows: Sequence[int], owner: int, vectors: Vectors, *, fresh: bool = False) -> None:
        """Store one vector per row, replacing earlier ones; passages of what a note was go.

        Args:
            fresh: the notes have none yet.

        Raises:
            InvalidArgument: not one finite, non-zero vector per row.
            EmbedderMismatch: the store holds vectors of another dimension.
        """
        if not len(rows):
            return
        known = self.fingerprint()
        data = checked(rows, vectors, None if known is None else known[1])
        if not fresh:
            self._tables.delete(PASSAGE, {"row": Among(rows)})
        self._tables.put(VECTOR, [(row, owner, vector.tobytes()) for row, vector in zip(rows, data, strict=True)])

    def delete(self, rows: Sequence[int]) -> int:
        """Remove vectors, with those of passages; returns how many notes had one."""
        self._tables.delete(PASSAGE, {"row": Among(rows)})
        return self._tables.delete(VECTOR, {"row": Among(rows)})

    def drop_unsound(self, rows: Sequence[int]) -> int:
        """Remove what cannot be vectors of this store: of another length than the others, or passages of another than their note's."""
        known = self.fingerprint()
        size, among = 2 * known[1] if known is not None else 0, {"row": Among(rows)}
        parts = [
            row for row, data in self._tables.find(PASSAGE, among, columns=_DATA) if not data or len(data) % (size or 1)
        ]
        whole = [row for row, data in self._tables.find(VECTOR, among, columns=_DATA) if len(data) != size]
        self._tables.delete(PASSAGE, {"row": Among([*parts, *whole])})
        return self._tables.delete(VECTOR, {"row": Among(whole)})

    def load(self, rows: Sequence[int]) -> tuple[Rows, Vectors]:
        """The vectors of those rows that have one, by row."""
        return arrays(self._tables.find(VECTOR, {"row": Among(rows)}, columns=_DATA))

    def load_owner(self, owner: int) -> tuple[Rows, Vectors]:
        """All vectors of an owner, by row."""
        return arrays(self._tables.find(VECTOR, {"owner": owner}, columns=_DATA))

    def batches(self, owner: int, size: int) -> Iterator[tuple[Rows, Vectors]]:
        """All vectors of an owner, by row, so many at a time."""
        last = -1
        while found := self._tables.find(VECTOR, {"owner": owner, "row": Span(above=last)}, columns=_DATA, limit=size):
            yield arrays(found)
            last = found[-1][0]

    def size_of(self, owner: int) -> int:
        """How many vectors an owner has."""
        return self._tables.count(VECTOR, {"owner": owner})

    def more_than(self, owner: int, number: int) -> bool:
        """Whether an owner has more vectors than ``number``; counts no further."""
        return self._tables.count(VECTOR, {"owner": owner}, most=number + 1) > number

    def count(self) -> int:
        """How many vectors there are."""
        return self._tables.count(VECTOR, {})

    def missing(self) -> list[int]:
        """Rows of notes that have words and no vector."""
        return self._tables.lacking(VECTOR, longer=0)

    def fingerprint(self) -> tuple[str, int] | None:
        """The embedder's fingerprint and dimension, once fixed."""
        return self._embedder()

    def set_fingerprint(self, fingerprint: str, dimension: int) -> None:
        """Fix the embedder of this store.

        Raises:
            EmbedderMismatch: vectors of another embedder are stored.
        """
        wanted = _aim(fingerprint, dimension)
        if self.fingerprint() not in (None, wanted) and self._everybodys.count(VECTOR, {}, most=1):
            raise EmbedderMismatch(
                f"The store holds vectors of another embedder than {fingerprint!r}.",
                hint="open it with the embedder it was built with, or call rebuild('vectors').",
            )
        self._set_embedder(wanted)

    def clear(self) -> None:
        """Remove every vector and the embedder's fingerprint, so that another embedder can begin."""
        self._tables.delete(PASSAGE, {})
        self._tables.delete(VECTOR, {})
        self._set_embedder(None)


class VectorsOfPassages(Area):
    """Those of the passages of a long note: they stand and fall with its own."""

    def put(self, row: int, owner: int, vectors: Vectors) -> None:
        """Store the vectors of a note's passages, in their order; its own vector must be there, and takes them along when it goes.

        Raises:
            InvalidArgument: not finite, non-zero vectors, or the note has none of its own.
            EmbedderMismatch: the note's own vector is of another dimension.
        """
        width = self._widths([row]).get(row)
        if width is None:
            raise InvalidArgument(f"The note in row {row} has no vector of its own.", hint="store that first.")
        data = checked(range(len(vectors)), vectors, width // 2)
        self._tables.delete(PASSAGE, {"row": row})
        self._tables.put(PASSAGE, [(row, owner, data.tobytes())])

    def load(self, rows: Sequence[int]) -> Mapping[int, Vectors]:
        """The passages of those rows that have some, float32 of shape (passages, dimension) each."""
        return self._decoded(self._tables.find(PASSAGE, {"row": Among(rows)}, columns=_DATA))

    def batch(self, owner: int, after: int, limit: int) -> Mapping[int, Vectors]:
        """The same of up to ``limit`` rows of an owner beyond ``after``, by row."""
        asked = {"owner": owner, "row": Span(above=after)}
        return self._decoded(self._tables.find(PASSAGE, asked, columns=_DATA, limit=limit))

    def missing(self, longer: int) -> list[int]:
        """Rows of notes of more than ``longer`` characters, or in parts, that have a vector and no passages; experiences need none."""
        rows = [row for (row,) in self._tables.find(NOTE, {"length": Span(above=longer)}, columns=("id",))]
        short = self._tables.find(NOTE, {"kind": "record", "length": Span(most=longer)}, columns=("id", "content"))
        rows += [row for row, content in short if PART in content]
        there = {row for (row,) in self._tables.find(PASSAGE, {"row": Among(rows)}, columns=("row",), order=())}
        lacking = [row for row in rows if row not in there]
        asked = {"row": Among(lacking), "owner": Span(above=0)}
        return [row for (row,) in self._tables.find(VECTOR, asked, columns=("row",))]

    def _widths(self, rows: Sequence[int]) -> dict[int, int]:
        """How many bytes the vector of each note has: each of its passages has as many."""
        found = self._tables.find(VECTOR, {"row": Among(rows)}, columns=_DATA, order=())
        return {row: len(data) for row, data in found}

    def _decoded(self, found: Sequence[tuple[Any, ...]]) -> dict[int, Vectors]:
        widths = self._widths([row for row, _ in found]) if found else {}
        return {row: matrix(data, widths[row]) for row, data in found if row in widths}


class NextVectors(_OfAnEmbedder):
    """The vectors of another embedder, kept beside those that serve until every note has one.

    The vector of a note that gets new words goes, and a note that goes takes its vector along: so what is here speaks of the notes as they are.
    """

    names = _COMING

    def begin(self, fingerprint: str, dimension: int) -> None:
        """Aim at an embedder; vectors of the same one stay, those of any other are dropped."""
        wanted = _aim(fingerprint, dimension)
        if self.target() != wanted:
            self.drop()
            self._set_embedder(wanted)

    def target(self) -> tuple[str, int] | None:
        """The fingerprint and dimension aimed at; ``None`` when no re-embedding is under way."""
        return self._embedder()

    def put(self, rows: Sequence[int], owner: int, vectors: Vectors) -> None:
        """Store one vector per row.

        Raises:
            InvalidArgument: not one finite, non-zero vector per row.
            EmbedderMismatch: another dimension than was aimed at, or no re-embedding is under way.
        """
        if not len(rows):
            return
        target = self.target()
        if target is None:
            raise EmbedderMismatch("No re-embedding is under way.", hint="call memory.reembed(embedder).")
        data = checked(rows, vectors, target[1])
        self._tables.put(NEXT_VECTOR, [(row, owner, vector.tobytes()) for row, vector in zip(rows, data, strict=True)])

    def missing(self, limit: int, after: int = 0) -> list[int]:
        """Up to ``limit`` rows beyond ``after`` of notes that have words and no vector here, oldest first."""
        return self._tables.lacking(NEXT_VECTOR, after=after, longer=0, limit=limit)

    def count(self) -> int:
        """How many vectors wait here."""
        return self._tables.count(NEXT_VECTOR, {})

    def switch(self) -> int:
        """Put these vectors in the place of those that served; returns how many there are now.

        Raises:
            EmbedderMismatch: a note has no vector here yet, or no re-embedding is under way.
        """
        target = self.target()
        if target is None or self.missing(1):
            raise EmbedderMismatch("The new vectors are not complete.", hint="call memory.reembed(embedder) to go on.")
        self._tables.delete(PASSAGE, {})
        self._tables.delete(VECTOR, {})
        last, count = -1, 0
        while found := self._tables.find(NEXT_VECTOR, {"row": Span(above=last)}, limit=_TOGETHER):
            self._tables.put(VECTOR, found)
            last, count = found[-1][0], count + len(found)
        self.drop()
        self._set_embedder(target, _SERVING)
        return count

    def drop(self) -> None:
        """Give up: the vectors that serve are left as they are."""
        self._tables.delete(NEXT_VECTOR, {})
        self._set_embedder(None)


def _aim(fingerprint: str, dimension: int) -> tuple[str, int]:
    if dimension < 1:
        raise InvalidArgument(f"An embedder cannot have dimension {dimension}.", hint="it is at least 1.")
    return fingerprint, dimension
