"""What a store keeps of experiences: the value of each, and the steps of episodes whose return is not known yet.

The words of an experience are its note's; here are numbers, and *marks*: digests keyed with the store's own secret, which find
the same words again without telling what they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

__all__ = ["ExperienceRow", "ExperienceTable", "StepRow"]


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


class ExperienceTable(Protocol):
    """Values of experiences, and the windows of open episodes; both vanish with their notes."""

    def mark(self, owner: int, digest: bytes) -> bytes: ...
    def find(self, owner: int, state: bytes, action: bytes) -> ExperienceRow | None: ...
    def insert(self, row: int, owner: int, state: bytes, action: bytes) -> None: ...
    def set_value(self, row: int, q: float, visits: int) -> None: ...
    def values(self, rows: Sequence[int]) -> dict[int, ExperienceRow]: ...
    def best(self, owner: int, state: bytes) -> float | None:
        """The highest value known in a state; ``None`` when no action has been valued there."""
        ...

    def of_states(self, owners: Sequence[int], states: Sequence[bytes]) -> list[ExperienceRow]: ...
    def any(self, owners: Sequence[int]) -> bool:
        """Whether some owners have experiences; stops at the first."""
        ...

    def rows(self, owners: Sequence[int]) -> list[int]: ...
    def among(self, rows: Sequence[int]) -> set[int]:
        """Those of ``rows`` that are experiences."""
        ...

    def steps(self, owner: int, episode: bytes) -> list[StepRow]: ...
    def put_step(self, owner: int, episode: bytes, step: StepRow) -> None: ...
    def drop_steps(self, owner: int, episode: bytes, before: int | None = None) -> None:
        """Remove the steps with a number under ``before``, or all of them."""
        ...

    def count(self) -> int: ...
    def delete(self, rows: Sequence[int]) -> int: ...
