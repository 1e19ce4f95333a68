"""Values of experiences, and the steps of open episodes."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from typing import Final

from agentmem.notes.episode import ExperienceRow, StepRow
from agentmem.stores.sqlite.connection import Database
from agentmem.stores.sqlite.seals import SEAL_OF_EXPERIENCE, SEAL_OF_STEP
from agentmem.stores.sqlite.where import json_list

__all__ = ["SqliteExperiences"]

_AMONG: Final = "(SELECT value FROM json_each(?))"
_VALUES: Final = f"SELECT row, state, q, visits FROM experience WHERE row IN {_AMONG}"  # noqa: S608 - constants
_OF_STATE: Final = f"SELECT row, state, q, visits FROM experience WHERE state = ? AND owner IN {_AMONG} ORDER BY row"  # noqa: S608 - constants
_INSERT: Final = """
    INSERT INTO experience (row, owner, state, action, q, visits, seal) VALUES (?1, ?2, ?3, ?4, 0.0, 0, seal_of(?1, ?2, ?3, ?4, 0.0, 0))
"""
_LEARN: Final = f"""
    UPDATE experience AS e SET q = ?1, visits = ?2,
        seal = CASE WHEN seal = {SEAL_OF_EXPERIENCE} THEN seal_of(e.row, e.owner, e.state, e.action, ?1, ?2) ELSE seal END WHERE row = ?3
"""  # noqa: S608 - constants
_SEALED_STEP: Final = (
    f"UPDATE experience_step AS t SET seal = {SEAL_OF_STEP} WHERE owner = ? AND episode = ? AND step = ?"  # noqa: S608 - constants
)


class SqliteExperiences:
    """:class:`agentmem.notes.episode.ExperienceTable` on SQLite.

    Args:
        database: where the statements run.
        key: the store's secret, asked for when a mark is needed.
    """

    def __init__(self, database: Database, key: Callable[[], bytes]) -> None:
        self._db = database
        self._key = key

    def mark(self, owner: int, digest: bytes) -> bytes:
        """A digest as it is kept here."""
        return hmac.digest(self._key(), b"experience:%d:" % int(owner) + digest, "sha256")

    def find(self, owner: int, state: bytes, action: bytes) -> ExperienceRow | None:
        """What is known of an action in a state."""
        found = self._db.one(
            "SELECT row, state, q, visits FROM experience WHERE owner = ? AND state = ? AND action = ?",
            (int(owner), state, action),
        )
        return None if found is None else ExperienceRow._make(found)

    def insert(self, row: int, owner: int, state: bytes, action: bytes) -> None:
        """Make a note an experience without a value."""
        self._db.run(_INSERT, (int(row), int(owner), state, action))

    def set_value(self, row: int, q: float, visits: int) -> None:
        """What is known of it now."""
        self._db.run(_LEARN, (float(q) + 0.0, int(visits), int(row)))  # SQLite knows no negative zero

    def values(self, rows: Sequence[int]) -> dict[int, ExperienceRow]:
        """Those of ``rows`` that are experiences, with their values."""
        return {found[0]: ExperienceRow._make(found) for found in self._db.rows(_VALUES, (json_list(rows),))}

    def best(self, owner: int, state: bytes) -> float | None:
        """The highest value known in a state."""
        found = self._db.value(
            "SELECT max(q) FROM experience WHERE owner = ? AND state = ? AND visits > 0", (int(owner), state)
        )
        return None if found is None else float(found)

    def of_states(self, owners: Sequence[int], states: Sequence[bytes]) -> list[ExperienceRow]:
        """Every experience in some states, state by state, oldest first."""
        among = json_list(owners)
        found = [self._db.rows(_OF_STATE, (state, among)) for state in dict.fromkeys(states)]
        return [ExperienceRow._make(row) for rows in found for row in rows]

    def any(self, owners: Sequence[int]) -> bool:
        """Whether some owners have experiences."""
        sql = f"SELECT EXISTS (SELECT 1 FROM experience WHERE owner IN {_AMONG})"  # noqa: S608 - constants
        return bool(self._db.answer(sql, (json_list(owners),))[0][0])

    def rows(self, owners: Sequence[int]) -> list[int]:
        """The experiences of some owners."""
        sql = f"SELECT row FROM experience WHERE owner IN {_AMONG} ORDER BY row"  # noqa: S608 - constants
        return [row for (row,) in self._db.rows(sql, (json_list(owners),))]

    def among(self, rows: Sequence[int]) -> set[int]:
        """Those of ``rows`` that are experiences."""
        if not rows:
            return set()
        sql = f"SELECT row FROM experience WHERE row IN {_AMONG}"  # noqa: S608 - constants
        return {row for (row,) in self._db.rows(sql, (json_list(rows),))}

    def steps(self, owner: int, episode: bytes) -> list[StepRow]:
        """The steps of an episode that wait for their return, in order."""
        found = self._db.rows(
            "SELECT step, row, reward, next FROM experience_step WHERE owner = ? AND episode = ? ORDER BY step",
            (int(owner), episode),
        )
        return [StepRow._make(row) for row in found]

    def put_step(self, owner: int, episode: bytes, step: StepRow) -> None:
        """Add a step to an episode."""
        sql = "INSERT INTO experience_step (owner, episode, step, row, reward, next) VALUES (?, ?, ?, ?, ?, ?)"
        self._db.run(sql, (int(owner), episode, *step))
        self._db.run(_SEALED_STEP, (int(owner), episode, step.step))

    def drop_steps(self, owner: int, episode: bytes, before: int | None = None) -> None:
        """Remove the steps with a number under ``before``, or all of them."""
        self._db.run(
            "DELETE FROM experience_step WHERE owner = ?1 AND episode = ?2 AND (?3 IS NULL OR step < ?3)",
            (int(owner), episode, before),
        )

    def count(self) -> int:
        """How many experiences there are."""
        return int(self._db.value("SELECT count(*) FROM experience"))

    def delete(self, rows: Sequence[int]) -> int:
        """Remove the values of some notes and their waiting steps; returns how many experiences there were."""
        among = (json_list(rows),)
        self._db.run(f"DELETE FROM experience_step WHERE row IN {_AMONG}", among)  # noqa: S608 - constants
        return self._db.run(f"DELETE FROM experience WHERE row IN {_AMONG}", among)  # noqa: S608 - constants
