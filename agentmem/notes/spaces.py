"""Where the vectors and words of a note lie: of what an owner was told under the owner's number, of what it did under that number below zero.

A search names the spaces that it looks into. So one over notes cannot meet an experience, and one over experiences meets nothing else. The column
``owner`` of vectors, passages, words, the logs of their changes and the outbox holds a space; an owner's request may touch both of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["both", "is_lived", "lived", "whose"]


def lived(owner: int) -> int:
    """The space of an owner's experiences."""
    return -int(owner)


def both(owners: Sequence[int]) -> tuple[int, ...]:
    """The spaces of some owners: of what they were told, and of what they did."""
    return (*owners, *map(lived, owners))


def is_lived(space: int) -> bool:
    """Whether experiences lie in it."""
    return space < 0


def whose(space: int) -> int:
    """The owner of a space."""
    return abs(space)
