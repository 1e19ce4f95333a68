"""What does a later statement do to an earlier one? A small learned reader (:mod:`agentmem.embedding.pair_reader`) of the two.

See ``agentmem/data/relations/README.md`` for what it was trained on and how far it can be trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentmem.embedding.pair_reader import MOST_TOKENS, Backend, PairReader, packaged_reader
from agentmem.embedding.told_parts import about_each_other

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["MOST_TOKENS", "RELATIONS", "RelationModel", "packaged_relations"]

RELATIONS: Final = ("same", "replaces", "completes", "conflicts", "apart")
_INSTEAD: Final = 'go by rules alone: Settings(remember={"updates": "rules"})'


def packaged_relations() -> Path:
    """The weights that come with agentmem."""
    return packaged_reader("relations")


class RelationModel(PairReader):
    """Reads pairs of statements; loaded at the first of them.

    Args:
        path: a file made by ``benchmarks.relations.train``.
        backend: what computes, see :class:`~agentmem.embedding.pair_reader.PairReader`.

    Attributes:
        closes: the probability of ``replaces`` from which it was right in 99 of 100 pairs by authors whom it had not seen; ``None``: there is none.
        marks: the one from which the newer of two statements should stand first.

    Raises:
        MissingExtra: the packaged MiniLM is not installed.
        EmbedderError: there is no such file; or, at the first reading, it is damaged, or the packaged MiniLM is not the published one.
    """

    def __init__(self, path: Path | None = None, *, backend: Backend = "auto") -> None:
        super().__init__(path or packaged_relations(), _INSTEAD, backend)

    @property
    def closes(self) -> float | None:
        closes = self.about["closes"]
        return None if closes is None else float(closes)

    @property
    def marks(self) -> float:
        return float(self.about["marks"])

    def between(self, pairs: Sequence[tuple[str, str]]) -> npt.NDArray[np.float32]:
        """Of each (before, later) the probabilities of :data:`RELATIONS`, shape (pairs, 5); of long ones the parts that are about each other are read."""
        return super().between([about_each_other(*pair) for pair in pairs]).reshape(len(pairs), len(RELATIONS))

    def replaced(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Of each (before, later) the probability that the former holds no longer since the latter was said."""
        return [float(chance) for chance in self.between(pairs)[:, RELATIONS.index("replaces")]]
