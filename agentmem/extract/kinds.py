"""What kind of thing a text is: a wish that stands, something told, a task, a question about what was told, small talk.

A linear reading (multinomial logistic regression) of its vector by the packaged embedder, its length, and whether it ends as a question,
so that it costs a product of matrices and knows no words. It was learnt from sentences by authors who saw nothing of this project; ``data/kinds/README.md`` says from what, and how well.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from io import BytesIO
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Values = npt.NDArray[np.float64]

__all__ = ["ASKING", "KINDS", "Kinds", "features"]

_LOG_LENGTH: Final = 5.0  # of about 150 characters
KINDS: Final = ("standing", "fact", "task", "recall", "chat")
ASKING: Final = [KINDS.index("task"), KINDS.index("recall")]
"""Those that ask for something."""


@dataclass(frozen=True, eq=False)
class Kinds:
    """How likely each kind is.

    Attributes:
        weights: shape (dimension + 3, kinds); the last rows are for the length, for a question mark at the end, and added.
        fingerprint: of the embedder whose vectors it reads.
    """

    weights: Values
    fingerprint: str

    @classmethod
    def shipped(cls) -> Kinds:
        """The one that comes with the package."""
        data = files("agentmem").joinpath("data", "kinds", "kinds.npz").read_bytes()
        with np.load(BytesIO(data)) as stored:
            return cls(stored["weights"].astype(np.float64), str(stored["fingerprint"]))

    def of(self, vectors: npt.NDArray[np.float32], lengths: Values, asks: npt.NDArray[np.bool_]) -> Values:
        """Likelihoods, shape (n, kinds).

        Args:
            vectors: of n texts, at unit length, shape (n, dimension); lengths: [n] in characters; asks: [n] which end as a question.
        """
        scores = features(vectors, lengths, asks) @ self.weights
        likely = np.exp(scores - scores.max(axis=1, keepdims=True))
        found: Values = likely / likely.sum(axis=1, keepdims=True)
        return found


def features(vectors: npt.NDArray[np.float32], lengths: Values, asks: npt.NDArray[np.bool_]) -> Values:
    """What is read of n texts, shape (n, dimension + 3)."""
    return np.column_stack((vectors, np.log1p(lengths) / _LOG_LENGTH, asks, np.ones(len(vectors)))).astype(np.float64)
