"""Do the projections hold what the notes say? Looked at by content: what each should hold is worked out anew and compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Final

from agentmem.core import EVERYBODY, Core
from agentmem.errors import AgentMemError
from agentmem.extract import found_by
from agentmem.notes.clock import micros
from agentmem.notes.passages import LONG, embedded
from agentmem.notes.spaces import is_lived
from agentmem.projections.links import WordLinks, named
from agentmem.projections.readings import NoteReadings
from agentmem.records.transaction import Transaction
from agentmem.upkeep.reembed import under_way

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]

__all__ = ["Comparison", "lacking_vectors", "told", "unfinished", "unlike_vectors"]

CHUNK: Final = 256
SAMPLE: Final = 256
"""Notes whose terms, links and readings are compared unless all are asked for."""
ALL: Final = 2**62
EMBEDDED: Final = 16
"""Notes that are embedded anew for it."""
SHOWN: Final = 3
ALIKE: Final = 0.999
"""Cosine of a vector with itself in half precision, and with what the same model computes elsewhere."""


def lacking_vectors(tx: Transaction, counts: Mapping[str, int]) -> list[str]:
    """Notes without vectors, and vectors without notes; ``counts`` are those of the report."""
    missing, found = len(tx.vectors.missing()), tx.passages.missing(LONG)
    problems = [f"{missing} notes have no vector: rebuild('vectors')"] if missing else []
    problems += ["long notes lack the vectors of their passages: rebuild('vectors')"] if found else []
    if counts["vectors"] > counts["notes"]:
        problems.append(f"{counts['vectors'] - counts['notes']} vectors have no note: rebuild('vectors')")
    return problems


def unfinished(tx: Transaction) -> list[str]:
    """What was begun, and how it goes on."""
    due, half = tx.erasing.due(), under_way(tx)
    problems = [f"a forgetting is not finished ({', '.join(due)}): flush() goes on"] if due else []
    return [*problems, f"{half}: memory.reembed(embedder) goes on"] if half else problems


def unlike_vectors(core: Core, tx: Transaction, rows: Sequence[int]) -> list[int]:
    """Those of ``rows`` whose vector, or one of whose passages, is not of their words; embeds all of them."""
    import numpy as np

    notes = {
        row: note for row, note in tx.notes.load(rows).items() if note.content
    }  # without words, nothing to find it by
    spaces = tx.spaces(list(notes))
    vectors, passages = (
        embedded(core.embedder, [note.content for note in notes.values()]) if notes else (np.empty((0, 0)), [])
    )
    held = dict(zip(*_listed(*tx.vectors.load(list(notes))), strict=True))
    parts = tx.passages.load(list(notes))
    unlike = []
    for row, vector, part in zip(notes, vectors, passages, strict=True):
        wanted = None if is_lived(spaces[row]) else part
        if (
            row not in held
            or not _alike(held[row][None, :], vector[None, :])
            or (wanted is None) != (row not in parts)
            or (wanted is not None and not _alike(parts[row], wanted))
        ):
            unlike.append(row)
    return unlike


def _listed(rows: npt.NDArray[np.int64], vectors: Vectors) -> tuple[list[int], list[Vectors]]:
    return rows.tolist(), list(vectors)


def _alike(held: Vectors, wanted: Vectors) -> bool:
    if held.shape != wanted.shape:
        return False
    lengths = (held**2).sum(axis=1) ** 0.5
    return bool((abs(lengths - 1.0) < 0.01).all() and ((held * wanted).sum(axis=1) / lengths > ALIKE).all())


Look = Callable[[Transaction, Sequence[int]], list[str]]


def told(look: Callable[[], list[str]], what: str) -> list[str]:
    """What a look finds; what keeps it from its end is a finding, too.

    Values that no statement could have written break whoever reads them, anywhere: whoever asks what is wrong must be told that, too.
    """
    try:
        return look()
    except AgentMemError as error:
        return [f"{what}: {error.message} {error.hint}"]
    except Exception as error:  # noqa: BLE001 - see above
        return [
            f"{what} cannot be looked at, so what is stored is damaged ({type(error).__name__}: {error}): restore a backup"
        ]


class Comparison:
    """Compares terms, links, full text, readings and vectors with what the notes say; so many notes at a time, that nobody waits for long.

    Args:
        deep: all notes, not a sample; and all vectors, which are then all computed anew.
    """

    def __init__(self, core: Core, *, deep: bool) -> None:
        self._core, self._deep = core, deep
        self._rng = Random(micros(core.clock.now()))

    def problems(self) -> list[str]:
        """What differs, each with its cure; a look that damage keeps from its end says so."""
        with self._core.reading(EVERYBODY) as tx:
            rows = tx.notes.select_all()
        looks: tuple[tuple[Look, int, str], ...] = (
            (self._terms, SAMPLE, "graph"), (self._links, SAMPLE, "graph"), (self._text, ALL, "text"), (self._readings, SAMPLE, "readings"), (self._vectors, EMBEDDED, "vectors"),
        )  # fmt: skip
        found: list[str] = []
        for look, size, projection in looks:
            chosen = rows if self._deep or len(rows) <= size else sorted(self._rng.sample(rows, size))
            found += told(partial(self._all, look, chosen), projection)
        return found

    def _all(self, look: Look, rows: Sequence[int]) -> list[str]:
        found: list[str] = []
        for start in range(0, len(rows), CHUNK):
            found += self._looked(look, rows[start : start + CHUNK])
        return found

    def _looked(self, look: Look, rows: Sequence[int]) -> list[str]:
        if look == self._vectors:
            with self._core.reading(EVERYBODY) as tx:
                texts = [note.content for note in tx.notes.load(rows).values() if note.content]
            embedded(
                self._core.embedder, texts
            )  # outside of the read, which finds what was computed in the embedder's cache
        with self._core.reading(EVERYBODY) as tx:
            return look(tx, rows)

    def _terms(self, tx: Transaction, rows: Sequence[int]) -> list[str]:
        wanted, held = WordLinks(self._core, tx).terms(rows)
        unlike = [row for row in wanted if wanted[row] != held[row]]
        return _said(tx, unlike, "have other terms than their words", "graph")

    def _links(self, tx: Transaction, rows: Sequence[int]) -> list[str]:
        missing, left = WordLinks(self._core, tx).differences(rows)
        ids = tx.notes.ids_of(sorted({end for link in (*missing, *left) for end in link[:2]}))
        found = []
        for links, what in ((missing, "missing"), (left, "not what their words make")):
            if links:
                shown = "; ".join(named(link, ids) for link in links[:SHOWN])
                found.append(f"{len(links)} links are {what} ({shown}): rebuild('graph')")
        return found

    def _text(self, tx: Transaction, rows: Sequence[int]) -> list[str]:
        notes = tx.notes.load(rows)
        spaces = tx.spaces(list(notes))
        items = [(row, spaces[row], *found_by(note)) for row, note in notes.items()]
        return _said(tx, tx.text.differing(items), "are in the full text with other words, or not at all", "text")

    def _readings(self, tx: Transaction, rows: Sequence[int]) -> list[str]:
        unlike = NoteReadings(self._core).differing(tx, rows)
        return _said(tx, unlike, "were read otherwise than is kept of them", "readings")

    def _vectors(self, tx: Transaction, rows: Sequence[int]) -> list[str]:
        stored = tx.vectors.fingerprint()
        if stored is None or stored[0] != self._core.embedder.fingerprint:
            return []  # every recall says so
        known, _ = tx.vectors.load(rows)
        return _said(
            tx, unlike_vectors(self._core, tx, known.tolist()), "have a vector that is not of their words", "vectors"
        )


def _said(tx: Transaction, rows: Sequence[int], what: str, projection: str) -> list[str]:
    if not rows:
        return []
    ids = tx.notes.ids_of(rows[:SHOWN])
    return [f"{len(rows)} notes {what} ({', '.join(ids.values())}): rebuild('{projection}')"]
