"""Plain tables in SQL."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any

from agentmem.errors import InvalidArgument
from agentmem.notes.engine import Row
from agentmem.notes.rows import Selection
from agentmem.notes.tables import NOTE, OWNER, VERSION, Among, Each, Table, Value, Where, lines
from agentmem.stores.course import Course
from agentmem.stores.postgres import selecting, statements
from agentmem.stores.postgres.connection import EVERYBODY, PostgresDatabase
from agentmem.stores.postgres.migrations import DrawnSecret
from agentmem.stores.postgres.names import quoted
from agentmem.stores.postgres.statements import Binding

__all__ = ["PostgresTables"]


class PostgresTables:
    """:class:`agentmem.notes.engine.Tables` on PostgreSQL.

    Args:
        database: where they lie.
        owners: whose rows the server shows; everybody's in a job.
    """

    def __init__(
        self, database: PostgresDatabase, owners: Collection[int] | None = None, secret: DrawnSecret | None = None
    ) -> None:
        self._db = database
        self._owners = EVERYBODY if owners is None else ",".join(str(int(owner)) for owner in sorted(owners))
        self._secret = secret or DrawnSecret(database)
        self._bound: dict[frozenset[int], PostgresTables] = {}

    def admitting(self, owners: frozenset[int]) -> PostgresTables:
        """The same, where the server itself shows the rows of these owners alone."""
        if owners not in self._bound:
            self._bound.clear()
            self._bound[owners] = PostgresTables(self._db, owners, self._secret)
        return self._bound[owners]

    def put(self, table: Table, rows: Iterable[Sequence[Value]], *, keep: bool = False) -> int:
        """Write rows, each in the place of the one with its key, or with ``keep`` only where there is none."""
        batch = [statements.bound(table, row) for row in rows]
        if not batch:
            return 0
        if table.numbered:
            return self._put_numbered(table, batch)
        self._change(statements.put(table, keep=keep), batch)
        return 0

    def find(
        self,
        table: Table,
        where: Where,
        *,
        columns: Sequence[str] | None = None,
        order: Sequence[str] | None = None,
        newest: bool = False,
        limit: int | None = None,
        often: bool = False,
    ) -> list[Row]:
        """The rows for which every test holds."""
        bind = Binding()
        tests = statements.conditions(table, where, bind)
        most = "" if limit is None else f" LIMIT {bind(int(limit), int)}"
        wanted = list(table.columns) if columns is None else columns
        sql = statements.find(table, wanted, tests, table.key if order is None else order, newest=newest, limit=most)
        return self._cached(sql, bind.values) if often else self._rows(sql, bind.values)

    def find_of_each(
        self,
        table: Table,
        where: Where,
        each: str,
        *,
        columns: Sequence[str],
        order: str,
        limit: int,
        newest: bool = False,
    ) -> list[Row]:
        """At most ``limit`` rows for each value of one column, of which the condition names some; those that come first by ``order``."""
        asked = where[each]
        if not isinstance(asked, Among):
            raise InvalidArgument(f"{each} is not asked for as one of several values.", hint="use Among.")
        if limit < 1 or not asked.values:
            return []
        rest = {name: test for name, test in where.items() if name != each}
        chosen = list(dict.fromkeys(asked.values))
        sql, bound = statements.find_of_each(
            table, each, columns, order, rest, newest=newest, values=chosen, limit=limit
        )
        return self._rows(sql, bound)

    def values(self, table: Table, where: Where, column: str) -> list[Any]:
        """The values of one column in the rows for which every test holds, each once, ascending."""
        bind = Binding()
        sql = statements.values(table, column, statements.conditions(table, where, bind))
        return [value for (value,) in self._cached(sql, bind.values)]

    def lacking(self, table: Table, *, after: int = 0, longer: int = -1, limit: int | None = None) -> list[int]:
        """The notes beyond row ``after``, of more than ``longer`` characters, that have no row in a table; ascending, at most ``limit``."""
        return [row for (row,) in self._rows(statements.lacking(table), (int(after), int(longer), limit))]

    def select(
        self,
        selection: Selection,
        *,
        among: Sequence[int] | None = None,
        order: str = "created",
        after: int | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[int]:
        """Rows of the notes that a selection admits."""
        if not selection.owners:
            return []
        return selecting.select(
            self._rows, selection, among=among, order=order, after=after, limit=limit, offset=offset
        )

    def count_selected(self, selection: Selection, *, most: int | None = None) -> int:
        """How many notes a selection admits; with ``most`` no further than that."""
        if not selection.owners:
            return 0
        return selecting.count(self._rows if most is None else self._cached, selection, most)

    def keep_version(self, row: int) -> bool:
        """Let a note as it is now join its history; pages whose bits changed are refused by the server itself."""
        names = ", ".join(map(quoted, list(VERSION.columns)[1:]))
        kept = f'INSERT INTO note_version ("row", {names}) SELECT id, {names} FROM note WHERE id = $1'  # noqa: S608 - declared names
        self._db.run(kept, (int(row),), owners=self._owners)
        return True

    def count(self, table: Table, where: Where, *, most: int | None = None) -> int:
        """How many rows there are for which every test holds; with ``most`` no further than that."""
        bind = Binding()
        inner = f"SELECT 1 FROM {quoted(table.name)}{statements.conditions(table, where, bind)}"  # noqa: S608 - declared names
        limited = "" if most is None else f" LIMIT {bind(int(most), int)}"
        return int(self._rows(f"SELECT count(*) FROM ({inner}{limited}) x", bind.values)[0][0])  # noqa: S608 - made here

    def change(self, table: Table, where: Where, values: Mapping[str, Value | Each]) -> int:
        """Write values into some columns of the rows for which every test holds; returns how many rows there were."""
        names, many = tuple(values), lines(where, values)
        if many == 0:
            return 0
        bind = Binding()
        marks = [bind(statements.typed(table.columns[name], values[name]), table.columns[name]) for name in names]
        sql = statements.change(table, names, statements.conditions(table, where, bind), marks)
        if table is OWNER:
            self._db.invalidate()  # a name may have gone
        if many is None:
            return self._db.run(sql, bind.values, owners=self._owners)
        listed = (each.values if isinstance(each, Each) else repeat(each, many) for each in bind.values)
        return self._change(sql, list(zip(*listed, strict=True)))

    def delete(self, table: Table, where: Where) -> int:
        """Remove the rows for which every test holds; returns how many there were."""
        bind = Binding()
        sql = f"DELETE FROM {quoted(table.name)}{statements.conditions(table, where, bind)}"  # noqa: S608 - declared names
        if table is NOTE:
            self._db.invalidate()
        return self._db.run(sql, bind.values, owners=self._owners)

    def secret(self) -> bytes:
        """What keyed digests are made with, drawn when the store was made."""
        return self._secret()

    @property
    def writing(self) -> bool:
        """Whether this is a write."""
        return self._db.writing

    @property
    def beside(self) -> PostgresDatabase:
        """What tells of rows that other transactions of this process have changed."""
        return self._db

    @property
    def course(self) -> Course:
        """How the transaction goes that is under way: others go on beside it."""
        return self._db.course

    @property
    def rollbacks(self) -> int:
        """How many writes were taken back."""
        return self._db.rollbacks

    def moment(self) -> object:
        """Equal as long as others commit nothing, no write fails and nothing is deleted, inside writes or outside."""
        return self._db.state(), self._db.rollbacks, self._db.writing

    def when_invalidated(self, clear: Any) -> None:
        """Have ``clear`` called as soon as notes are deleted."""
        self._db.when_invalidated(clear)

    def _rows(self, sql: str, parameters: Sequence[object]) -> list[Any]:
        return self._db.rows(sql, parameters, owners=self._owners)

    def _cached(self, sql: str, parameters: Sequence[object]) -> list[Any]:
        return self._db.cached_rows(sql, parameters, owners=self._owners)

    def _change(self, sql: str, batch: Sequence[Sequence[Value]]) -> int:
        if len(batch) == 1:
            return self._db.run(sql, batch[0], owners=self._owners)
        return self._db.many(sql, batch, owners=self._owners)

    def _put_numbered(self, table: Table, batch: Sequence[Row]) -> int:
        """New rows get their numbers at once; a number that comes from elsewhere is given to nobody else."""
        if len(batch) == 1 and batch[0][0] is None:
            return self._db.insert(statements.put_new(table), batch[0][1:], owners=self._owners)
        new = sum(row[0] is None for row in batch)
        drawn = iter([number for (number,) in self._rows(statements.numbers(table), (new,))] if new else [])
        numbered = [(next(drawn), *row[1:]) if row[0] is None else row for row in batch]
        self._change(statements.put(table, keep=False), numbered)
        if new < len(batch):
            self._rows(statements.number_given(table), (max(row[0] for row in batch if row[0] is not None),))
        return int(numbered[-1][0])
