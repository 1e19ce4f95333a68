"""Whose notes these are: owners, found by a keyed digest of their name, so that the name can go and the owner stay.

A user is mostly called by a mail address. What tombstones, keys and the ledger refer to is the row of the owner, which never goes; the name in it
comes with the first note, and goes with the last. Who comes back is known by the digest, and gets the same row.

Each row is looked at when it is read: a name in which one bit is another would hand out everything of one user to somebody else.
"""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from agentmem.errors import InvalidArgument, ScopeError, StoreCorrupt
from agentmem.notes import Scope
from agentmem.rows import SHARED_OWNER
from agentmem.stores.sqlite.connection import Database
from agentmem.stores.sqlite.known import KnownRows
from agentmem.stores.sqlite.seals import SEAL_OF_OWNER
from agentmem.stores.sqlite.where import json_list

__all__ = ["Owner", "Owners"]

_COLUMNS: Final = f"o.id, o.user, o.agent, o.mac, o.seal, o.seal IS {SEAL_OF_OWNER}"
# By its row: an index may say something else of it.
_FOUND: Final = f"SELECT {_COLUMNS} FROM owner o WHERE o.id = (SELECT id FROM owner WHERE mac = ?)"  # noqa: S608 - constants
_AMONG: Final = f"SELECT {_COLUMNS} FROM json_each(?) j CROSS JOIN owner o ON o.id = j.value"  # noqa: S608 - constants
_NAMED: Final = "(o.user IS NOT NULL OR o.agent IS NOT NULL)"
_EMPTY: Final = f"""
    SELECT o.id FROM json_each(?) j CROSS JOIN owner o ON o.id = j.value WHERE {_NAMED}
        AND NOT EXISTS (SELECT 1 FROM note WHERE owner = o.id) AND NOT EXISTS (SELECT 1 FROM edit WHERE owner = o.id)
"""  # noqa: S608 - constants
_HINT: Final = "check() says what else is damaged; restore the last backup."


class Owner(NamedTuple):
    """One owner; ``seal`` stands beside those of its notes. Without a name, it has none."""

    id: int
    user: str | None
    agent: str | None
    mac: bytes | None
    seal: bytes

    @property
    def scope(self) -> Scope:
        return Scope(self.user, self.agent)


class Owners:
    """The table of owners.

    Args:
        database: where the statements run.
        key: the store's secret, asked for when a digest is needed.
    """

    def __init__(self, database: Database, key: Callable[[], bytes]) -> None:
        self._db = database
        self._key = key
        self._known: KnownRows[Owner] = KnownRows(database)
        self._checked: dict[int, Scope] = {}
        self._moment: object = None

    def find(self, scope: Scope) -> int | None:
        """The owner of notes with this scope, with a name or without."""
        if scope.user is None and scope.agent is None:
            return SHARED_OWNER
        mac = owner_mark(self._key(), scope.user, None if scope.user is not None else scope.agent)
        found = self._db.answer(_FOUND, (mac,))
        if not found:
            return None
        owner = _whole(found[0])
        if owner.mac != mac:
            raise _damaged(owner.id)
        return owner.id

    def make(self, scope: Scope) -> int:
        """The same, made where there is none: without its name, which comes with its first note."""
        known = self.find(scope)
        if known is not None:
            return known
        made = self._db.insert("INSERT INTO owner (mac) VALUES (?)", (owner_mark(self._key(), *_named(scope)),))
        self._seal(made)
        return made

    def among(self, ids: Sequence[int]) -> dict[int, Owner]:
        """Those owners that exist, each looked at."""
        return self._known.get(list(dict.fromkeys(map(int, ids))), self._read)

    def all(self) -> tuple[int, ...]:
        """The shared owner, and every one that has a name."""
        found = self._db.rows(f"SELECT o.id FROM owner o WHERE o.id = ? OR {_NAMED} ORDER BY o.id", (SHARED_OWNER,))  # noqa: S608 - constants
        return tuple(id for (id,) in found)

    def scope_of(self, id: int) -> Scope:
        """The user or agent an owner stands for; the empty scope for the shared notes."""
        found = self.among([id]).get(int(id))
        if found is None or (found.scope == Scope() and id != SHARED_OWNER):
            raise InvalidArgument(f"There is no owner {id} with notes.", hint="all_owners() names those that exist.")
        return found.scope

    def need(self, scope: Scope, id: int) -> None:
        """Before a note with this scope is written under an owner: it is that scope's, and has its name from now on.

        Raises:
            ScopeError: it is somebody else's.
        """
        whose, moment = scope.owner, (self._db.state(), self._db.rollbacks)
        if moment != self._moment:  # names come and go; an owner made in a write that failed gives its number to another
            self._checked, self._moment = {}, moment
        if self._checked.get(id) != whose:
            if not self._is(whose, id):
                raise ScopeError(f"A note of {scope} cannot belong to owner {id}.", hint="ask owner(scope, create=True) first.")
            self._checked[id] = whose

    def empty(self, ids: Sequence[int]) -> list[int]:
        """Those of these owners that have a name, and nothing else: no note and no edit in the books."""
        return [id for (id,) in self._db.rows(_EMPTY, (json_list(ids),))]

    def unname(self, ids: Sequence[int]) -> None:
        """Take their names out."""
        self._db.unsettle()
        self._db.run("UPDATE owner SET user = NULL, agent = NULL WHERE id IN (SELECT value FROM json_each(?)) AND mac IS NOT NULL", (json_list(ids),))
        for id in ids:
            self._seal(id)

    def _is(self, whose: Scope, id: int) -> bool:
        if id == SHARED_OWNER or whose == Scope():
            return id == SHARED_OWNER and whose == Scope()
        found = self.among([id]).get(id)
        if found is None or found.mac != owner_mark(self._key(), *_named(whose)):
            return False
        if found.scope == Scope():
            self._db.run("UPDATE owner SET user = ?, agent = ? WHERE id = ?", (*_named(whose), id))
            self._seal(id)
            return True
        return found.scope == whose

    def _read(self, ids: Sequence[int]) -> dict[int, Owner]:
        return {row[0]: _whole(row) for row in self._db.rows(_AMONG, (json_list(ids),))}

    def _seal(self, id: int) -> None:
        self._known.drop([id])
        self._db.run(f"UPDATE owner AS o SET seal = {SEAL_OF_OWNER} WHERE id = ?", (int(id),))  # noqa: S608 - constants


def owner_mark(key: bytes, user: str | None, agent: str | None) -> bytes:
    """What is kept of a name when the name has gone: nobody can read it, and who has the store's secret can ask whether it is a certain one."""
    kind, name = ("user", user) if user is not None else ("agent", agent or "")
    return hmac.digest(key, f"owner:{kind}:{name}".encode("utf-8", "surrogatepass"), "sha256")


def teach(connection: sqlite3.Connection) -> None:
    """Give a connection the digest of names, for owners from before there was one."""
    connection.create_function("owner_mark", 3, lambda key, user, agent: owner_mark(bytes.fromhex(key), user, agent), deterministic=True)


def _named(scope: Scope) -> tuple[str | None, str | None]:
    return scope.user, None if scope.user is not None else scope.agent


def _whole(row: tuple[int, str | None, str | None, bytes | None, bytes, int]) -> Owner:
    *columns, whole = row
    if not whole:
        raise _damaged(row[0])
    return Owner._make(columns)


def _damaged(id: int) -> StoreCorrupt:
    return StoreCorrupt(f"Owner {id} of notes is not who was written, so none of its notes is handed out.", hint=_HINT)
