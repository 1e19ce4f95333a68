"""Figures of a report in words: a share of nothing is no share, and one edit is not "1 edits"."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["counted", "share", "told"]


def share(values: Sequence[float]) -> float | None:
    """The mean of shares, or the share of hits; ``None`` of nothing."""
    return sum(values) / len(values) if values else None


def told(share: float | None, form: str = ".2f") -> str:
    """A share in figures, or that it was not measured."""
    return "unmeasured" if share is None else format(share, form)


def counted(number: int, noun: str) -> str:
    """``1 edit``, ``2 edits``."""
    return f"{number} {noun}{'s' * (number != 1)}"
