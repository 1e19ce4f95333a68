"""What a store keeps of experiences: the value of each, and the steps of episodes whose return is not known yet.

The words of an experience are its note's; here are numbers, and *marks*: digests keyed with the store's own secret, which find
the same words again without telling what they were.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ExperienceRow", "StepRow"]


class ExperienceRow(NamedTuple):
    """The value of one experience: ``q`` is learnt from ``visits`` returns, and means nothing while there are none."""

    row: int
    state: bytes
    q: float
    visits: int


class StepRow(NamedTuple):
    """One step of an episode that waits for its return: the experience, its reward, and the mark of the state it led to."""

    step: int
    row: int
    reward: float
    next: bytes
