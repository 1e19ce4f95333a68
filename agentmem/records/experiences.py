"""Values of experiences, and the steps of episodes whose return is not known yet.

The words of an experience are its note's; here are numbers, and *marks*: digests keyed with the store's own secret, which find
the same words again without telling what they were.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence

from agentmem.notes.engine import Tables
from agentmem.notes.episode import ExperienceRow, StepRow
from agentmem.notes.guarded_tables import GuardedTables
from agentmem.notes.tables import EXPERIENCE, EXPERIENCE_STEP, Among, Span
from agentmem.records.area import Area

__all__ = ["Experiences"]

_ROW = ("row", "state", "q", "visits")


class Experiences(Area):
    """Both vanish with their notes.

    Args:
        secret: the store's, asked for when a mark is needed.
    """

    def __init__(self, tables: GuardedTables, everybodys: Tables, secret: Callable[[], bytes]) -> None:
        super().__init__(tables, everybodys)
        self._secret = secret

    def mark(self, owner: int, digest: bytes) -> bytes:
        """A digest as it is kept here."""
        self._tables.need((owner,), "the mark of a state")
        return hmac.digest(self._secret(), b"experience:%d:" % int(owner) + digest, "sha256")

    def find(self, owner: int, state: bytes, action: bytes) -> ExperienceRow | None:
        """What is known of an action in a state."""
        asked = {"owner": owner, "state": state, "action": action}
        found = self._tables.find(EXPERIENCE, asked, columns=_ROW)
        return ExperienceRow._make(found[0]) if found else None

    def insert(self, row: int, owner: int, state: bytes, action: bytes) -> None:
        """Make a note an experience without a value."""
        self._tables.put(EXPERIENCE, [(row, owner, state, action, 0.0, 0)])

    def set_value(self, row: int, q: float, visits: int) -> None:
        """What is known of it now."""
        self._tables.change(EXPERIENCE, {"row": row}, {"q": q, "visits": visits})

    def values(self, rows: Sequence[int]) -> dict[int, ExperienceRow]:
        """Those of ``rows`` that are experiences, with their values."""
        found = self._tables.find(EXPERIENCE, {"row": Among(rows)}, columns=_ROW)
        return {row[0]: ExperienceRow._make(row) for row in found}

    def best(self, owner: int, state: bytes) -> float | None:
        """The highest value known in a state; ``None`` when no action has been valued there."""
        asked = {"owner": owner, "state": state, "visits": Span(above=0)}
        found = self._tables.find(EXPERIENCE, asked, columns=("q",), order=("q",), newest=True, limit=1)
        return float(found[0][0]) if found else None

    def of_states(self, owners: Sequence[int], states: Sequence[bytes]) -> list[ExperienceRow]:
        """Every experience in some states, state by state, oldest first."""
        among = Among(owners)
        found = [
            self._tables.find(EXPERIENCE, {"state": state, "owner": among}, columns=_ROW)
            for state in dict.fromkeys(states)
        ]
        return [ExperienceRow._make(row) for rows in found for row in rows]

    def any(self, owners: Sequence[int]) -> bool:
        """Whether some owners have experiences; stops at the first."""
        return bool(self._tables.find(EXPERIENCE, {"owner": Among(owners)}, columns=("row",), limit=1, often=True))

    def among(self, rows: Sequence[int]) -> set[int]:
        """Those of ``rows`` that are experiences."""
        if not rows:
            return set()
        return {row for (row,) in self._tables.find(EXPERIENCE, {"row": Among(rows)}, columns=("row",), order=())}

    def steps(self, owner: int, episode: bytes) -> list[StepRow]:
        """The steps of an episode that wait for their return, in order."""
        asked = {"owner": owner, "episode": episode}
        found = self._tables.find(EXPERIENCE_STEP, asked, columns=StepRow._fields, order=("step",))
        return [StepRow._make(row) for row in found]

    def put_step(self, owner: int, episode: bytes, step: StepRow) -> None:
        """Add a step to an episode."""
        self._tables.put(EXPERIENCE_STEP, [(owner, episode, *step)])

    def drop_steps(self, owner: int, episode: bytes) -> None:
        """Remove the steps of an episode."""
        self._tables.delete(EXPERIENCE_STEP, {"owner": owner, "episode": episode})

    def count(self, owners: Sequence[int] | None = None) -> int:
        """How many experiences there are, or some owners have."""
        return self._tables.count(EXPERIENCE, {} if owners is None else {"owner": Among(owners)})

    def delete(self, rows: Sequence[int]) -> int:
        """Remove the values of some notes and their waiting steps; returns how many experiences there were."""
        self._tables.delete(EXPERIENCE_STEP, {"row": Among(rows)})
        return self._tables.delete(EXPERIENCE, {"row": Among(rows)})
