"""Whose notes these are: owners, found by a keyed digest of their name, so that the name can go and the owner stay.

A user is mostly called by a mail address. What tombstones, keys and the ledger refer to is the row of the owner, which never goes; the name in it
comes with the first note, and goes with the last. Who comes back is known by the digest, and gets the same row.

Each row is looked at when it is read: a name in which one bit is another would hand out everything of one user to somebody else.
"""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Callable, Collection, Sequence
from typing import Final, NamedTuple

from agentmem.errors import InvalidArgument, ScopeError, StoreCorrupt
from agentmem.notes.note import Scope
from agentmem.notes.rows import SHARED_OWNER
from agentmem.records.repeats import refused_key
from agentmem.stores.sqlite.connection import Database
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
_MOST: Final = 10_000
_HINT: Final = "check() says what else is damaged; restore the last backup."


Name = tuple[str | None, str | None]
"""A user, or an agent without one; neither: nobody's, or everybody's."""
_NOBODY: Final[Name] = (None, None)


class Owner(NamedTuple):
    """One owner; ``seal`` stands beside those of its notes. Without a name, it has none."""

    id: int
    user: str | None
    agent: str | None
    mac: bytes | None
    seal: bytes

    @property
    def name(self) -> Name:
        return self.user, self.agent


class Owners:
    """The table of owners.

    Args:
        database: where the statements run.
        key: the store's secret, asked for when a digest is needed.
    """

    def __init__(self, database: Database, key: Callable[[], bytes]) -> None:
        self._db = database
        self._key = key
        self._known: dict[int, Owner] = {}
        self._found: dict[Name, Owner] = {}
        self._named: dict[int, Name] = {}
        self._moment: object = None
        self._heeding = False

    def find(self, scope: Scope) -> int | None:
        """The owner of notes with this scope, with a name or without."""
        name = _named(scope)
        return SHARED_OWNER if name == _NOBODY else self._find(name)

    def visible(self, scope: Scope) -> tuple[int, ...]:
        """The owners whose notes a request in this scope may see."""
        found = [self._find(name) for name in ((scope.user, None), (None, scope.agent)) if name != _NOBODY]
        return (SHARED_OWNER, *(owner for owner in found if owner is not None))

    def _find(self, name: Name) -> int | None:
        self._renew()
        known = self._found.get(name)
        if known is not None:
            return known.id
        mac = owner_mark(self._key(), *name)
        row = self._db.one(_FOUND, (mac,))
        if row is None:
            return None
        owner = _whole(row)
        if owner.mac != mac:
            raise _damaged(owner.id)
        if len(self._found) > _MOST:
            self._found.clear()
        self._found[name] = owner
        return owner.id

    def _renew(self) -> None:
        """What was found holds as long as nobody else writes and nothing is taken back.

        Names come and go, and an owner made in a write that failed gives its number to another.
        """
        if not self._heeding:
            self._heeding = True
            self._db.when_invalidated(self._forget)
        moment = self._db.state(), self._db.rollbacks, self._db.writing
        if moment != self._moment:
            self._forget()
            self._moment = moment

    def _forget(self) -> None:
        self._known.clear()
        self._found.clear()
        self._named.clear()

    def make(self, scope: Scope) -> int:
        """The same, made where there is none: without its name, which comes with its first note."""
        known = self.find(scope)
        if known is not None:
            return known
        made = self._db.insert("INSERT INTO owner (mac) VALUES (?)", (owner_mark(self._key(), *_named(scope)),))
        self._seal(made)
        return made

    def among(self, ids: Collection[int]) -> dict[int, Owner]:
        """Those owners that exist, each looked at."""
        self._renew()
        if missing := [id for id in ids if id not in self._known]:
            if len(self._known) > _MOST:
                self._known.clear()
                missing = list(ids)
            self._known |= {row[0]: _whole(row) for row in self._db.rows(_AMONG, (json_list(missing),))}
        return {id: self._known[id] for id in ids if id in self._known}

    def all(self) -> tuple[int, ...]:
        """The shared owner, and every one that has a name."""
        found = self._db.rows(f"SELECT o.id FROM owner o WHERE o.id = ? OR {_NAMED} ORDER BY o.id", (SHARED_OWNER,))  # noqa: S608 - constants
        return tuple(id for (id,) in found)

    def scope_of(self, id: int) -> Scope:
        """The user or agent an owner stands for; the empty scope for the shared notes."""
        found = self.among([int(id)]).get(int(id))
        if found is None or (found.name == _NOBODY and id != SHARED_OWNER):
            raise InvalidArgument(f"There is no owner {id} with notes.", hint="all_owners() names those that exist.")
        return Scope(*found.name)

    def need(self, scope: Scope, id: int) -> None:
        """Before a note with this scope is written under an owner: it is that scope's, and has its name from now on.

        Raises:
            ScopeError: it is somebody else's.
        """
        name = _named(scope)
        self._renew()
        if self._named.get(id) != name:
            if not self._is(name, id):
                raise ScopeError(
                    f"A note of {scope} cannot belong to owner {id}.", hint="ask owner(scope, create=True) first."
                )
            self._named[id] = name

    def empty(self, ids: Sequence[int]) -> list[int]:
        """Those of these owners that have a name, and nothing else: no note and no edit in the books."""
        return [id for (id,) in self._db.rows(_EMPTY, (json_list(ids),))]

    def unname(self, ids: Sequence[int]) -> None:
        """Take their names out."""
        if not ids:
            return
        self._db.invalidate()
        self._db.run(
            "UPDATE owner SET user = NULL, agent = NULL WHERE id IN (SELECT value FROM json_each(?)) AND mac IS NOT NULL",
            (json_list(ids),),
        )
        for id in ids:
            self._seal(id)

    def _is(self, name: Name, id: int) -> bool:
        if id == SHARED_OWNER or name == _NOBODY:
            return id == SHARED_OWNER and name == _NOBODY
        if self._find(name) != id:
            return False
        if self._found[name].name == _NOBODY:
            self._db.run("UPDATE owner SET user = ?, agent = ? WHERE id = ?", (*name, id))
            self._seal(id)
            return True
        return self._found[name].name == name

    def _seal(self, id: int) -> None:
        self._forget()
        self._db.run(f"UPDATE owner AS o SET seal = {SEAL_OF_OWNER} WHERE id = ?", (int(id),))  # noqa: S608 - constants


def owner_mark(key: bytes, user: str | None, agent: str | None) -> bytes:
    """What is kept of a name when the name has gone: nobody can read it, and who has the store's secret can ask whether it is a certain one."""
    kind, name = ("user", user) if user is not None else ("agent", agent or "")
    return hmac.digest(key, f"owner:{kind}:{name}".encode("utf-8", "surrogatepass"), "sha256")


def teach(connection: sqlite3.Connection) -> None:
    """Give a connection these digests, for names and keys from before there were any."""
    connection.create_function(
        "owner_mark", 3, lambda key, user, agent: owner_mark(bytes.fromhex(key), user, agent), deterministic=True
    )
    connection.create_function(
        "refused_key", 3, lambda key, owner, given: refused_key(bytes.fromhex(key), owner, given), deterministic=True
    )


def _named(scope: Scope) -> Name:
    return scope.user, None if scope.user is not None else scope.agent


def _whole(row: tuple[int, str | None, str | None, bytes | None, bytes, int]) -> Owner:
    *columns, whole = row
    if not whole:
        raise _damaged(row[0])
    return Owner._make(columns)


def _damaged(id: int) -> StoreCorrupt:
    return StoreCorrupt(f"Owner {id} of notes is not who was written, so none of its notes is handed out.", hint=_HINT)
