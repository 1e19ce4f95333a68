"""From the words of notes into every projection of them: the one way for whoever stores, rewords or imports a note.

What each projection holds is rebuilt by itself (:mod:`agentmem.projections.text`, :mod:`agentmem.projections.readings`, :mod:`agentmem.projections.links`, the vectors by
:mod:`agentmem.upkeep.rebuild`), and taken out where :mod:`agentmem.forget.places` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from agentmem.extract import found_by
from agentmem.notes.note import Note
from agentmem.notes.spaces import is_lived
from agentmem.projections.linking import terms_of
from agentmem.projections.readings import read
from agentmem.records.transaction import Transaction

if TYPE_CHECKING:
    from agentmem.notes.arrays import Vectors

__all__ = ["Projected", "project"]


class Projected(NamedTuple):
    """A note that was written, and what was computed of its words.

    Attributes:
        space: the owner's number, or that of its experiences: those are met by acting and not by association, without passages and terms.
        vector: shape (dimension,); ``None`` for a note without words.
        passages: those of a long note, shape (passages, dimension).
    """

    row: int
    space: int
    note: Note
    vector: Vectors | None
    passages: Vectors | None = None


def project(
    tx: Transaction,
    notes: Sequence[Projected],
    *,
    terms: Mapping[int, Sequence[str]] | None = None,
    reworded: bool = False,
) -> None:
    """Carry new words into vectors, passages, the queue of the vector index, full text, terms and what is read off them; links come after.

    Args:
        terms: what the notes mention, by row, where it is known.
        reworded: the notes had other words before.
    """
    if reworded:  # what was answered from the former words
        tx.evidence.delete([each.row for each in notes])
    _vectors(tx, notes, reworded=reworded)
    tx.text.put_many((each.row, each.space, *found_by(each.note)) for each in notes)
    mentions = [
        (each.space, each.row, terms_of(each.note.content) if terms is None else terms.get(each.row, ()))
        for each in notes
        if not is_lived(each.space)
    ]
    if reworded:
        tx.terms.delete([row for _, row, _ in mentions])
    tx.terms.add(mentions)
    readings = [read(each.row, each.space, each.note) for each in notes]
    (tx.readings.replace if reworded else tx.readings.put)(readings)


def _vectors(tx: Transaction, notes: Sequence[Projected], *, reworded: bool) -> None:
    import numpy as np

    told: dict[int, list[Projected]] = {}
    for each in notes:
        if each.vector is not None:
            told.setdefault(each.space, []).append(each)
        elif reworded:
            tx.vectors.delete([each.row])
            tx.outbox.put("remove", each.space, [each.row])
    for space, mine in told.items():
        rows = [each.row for each in mine]
        tx.vectors.put(
            rows, space, np.stack([each.vector for each in mine if each.vector is not None]), fresh=not reworded
        )
        for each in mine:
            if each.passages is not None and not is_lived(space):
                tx.passages.put(each.row, space, each.passages)
        tx.outbox.put("upsert", space, rows)
