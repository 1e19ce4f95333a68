"""How well each layer tells questions apart: the rows of a calibration's report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["LayerScore", "score_table"]


@dataclass(frozen=True, slots=True)
class LayerScore:
    """What one layer's keys are worth, measured on phrasing groups that took no part in fitting its projection.

    Attributes:
        layer: whose feed-forward input the key is.
        recognised: share of paraphrases that are nearest to their own question's key, and within the radius that the
            allowed false alarm leaves.
        auc: probability that a paraphrase is nearer to its question than an unrelated prompt is to any.
        d_prime: distance between the two means, in units of their pooled standard deviation.
        paraphrases: how many paraphrases were asked.
    """

    layer: int
    recognised: float
    auc: float
    d_prime: float
    paraphrases: int

    @property
    def standard_error(self) -> float:
        """Of :attr:`recognised`."""
        share = self.recognised
        return float((share * (1 - share) / max(1, self.paraphrases)) ** 0.5)


def score_table(scores: Sequence[LayerScore], chosen: int) -> str:
    """The rows as text, the chosen layer marked."""
    lines = ["  layer  recognised    AUC     d'"]
    for row in scores:
        mark = "*" if row.layer == chosen else " "
        lines.append(f"{mark} {row.layer:>5}  {row.recognised:>10.3f}  {row.auc:.3f}  {row.d_prime:>5.2f}")
    return "\n".join(lines)
