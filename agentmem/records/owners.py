"""Whose notes these are: owners, found by a keyed digest of their name, so that the name can go and the owner stay.

A user is mostly called by a mail address. What tombstones, keys and the ledger refer to is the row of the owner, which never goes; the name in it
comes with the first note, and goes with the last. Who comes back is known by the digest, and gets the same row.

Each row is looked at when it is read: a name in which one bit is another would hand out everything of one user to somebody else.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Sequence
from typing import Final, NamedTuple

from agentmem.errors import InvalidArgument, ScopeError, StoreCorrupt
from agentmem.notes.engine import Tables
from agentmem.notes.guarded_tables import GuardedTables
from agentmem.notes.note import Scope
from agentmem.notes.rows import SHARED_OWNER
from agentmem.notes.tables import EDIT, NOTE, OWNER, Among, Span
from agentmem.records.area import Area

__all__ = ["Owner", "Owners", "owner_mark"]

_MOST: Final = 10_000


Name = tuple[str | None, str | None]
"""A user, or an agent without one; neither: nobody's, or everybody's."""
_NOBODY: Final[Name] = (None, None)


class Owner(NamedTuple):
    """One owner. Without a name, it has none."""

    id: int
    user: str | None
    agent: str | None
    mac: bytes | None

    @property
    def name(self) -> Name:
        return self.user, self.agent


class Owners(Area):
    """The owners of notes, and what is known of them for as long as nobody else writes and nothing is taken back.

    Args:
        secret: the store's, asked for when a digest is needed.
    """

    def __init__(self, tables: GuardedTables, everybodys: Tables, secret: Callable[[], bytes]) -> None:
        super().__init__(tables, everybodys)
        self._secret = secret
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

    def make(self, scope: Scope) -> int:
        """:meth:`find`, made where there is none: without its name, which comes with its first note."""
        known = self.find(scope)
        if known is not None:
            return known
        self._forget()
        return self._everybodys.put(OWNER, [(None, None, None, owner_mark(self._secret(), *_named(scope)))])

    def among(self, ids: Collection[int]) -> dict[int, Owner]:
        """Those owners that exist, each looked at."""
        self._renew()
        if missing := [id for id in ids if id not in self._known]:
            if len(self._known) > _MOST:
                self._known.clear()
                missing = list(ids)
            self._known |= self._read(missing)
        return {id: self._known[id] for id in ids if id in self._known}

    def all(self) -> tuple[int, ...]:
        """The shared owner, and every one that has a name."""
        users = self._everybodys.find(OWNER, {"user": Span()}, columns=("id",))
        agents = self._everybodys.find(OWNER, {"agent": Span()}, columns=("id",))
        return tuple(sorted({SHARED_OWNER, *(id for (id,) in (*users, *agents))}))

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
        """Those of these owners that have a name, and nothing else: no note and no edit in the registry."""
        named = [id for id, owner in self._read(ids).items() if owner.name != _NOBODY]
        return [
            id
            for id in named
            if not any(self._everybodys.count(table, {"owner": id}, most=1) for table in (NOTE, EDIT))
        ]

    def unname(self, ids: Sequence[int]) -> None:
        """Take their names out."""
        self._forget()
        named = [id for id in ids if id != SHARED_OWNER]
        self._everybodys.change(OWNER, {"id": Among(named)}, {"user": None, "agent": None})

    def _find(self, name: Name) -> int | None:
        self._renew()
        known = self._found.get(name)
        if known is not None:
            return known.id
        mac = owner_mark(self._secret(), *name)
        ids = self._everybodys.find(OWNER, {"mac": mac}, columns=("id", "mac"))
        if not ids:
            return None
        owner = self._read([ids[0][0]]).get(ids[0][0])  # by its row: an index may say something else of it
        if owner is None or owner.mac != mac:
            raise StoreCorrupt(
                f"Owner {ids[0][0]} of notes is not who was written, so none of its notes is handed out.",
                hint="check() says what else is damaged; restore the last backup.",
            )
        if len(self._found) > _MOST:
            self._found.clear()
        self._found[name] = owner
        return owner.id

    def _read(self, ids: Collection[int]) -> dict[int, Owner]:
        return {row[0]: Owner._make(row) for row in self._everybodys.find(OWNER, {"id": Among(ids)})}

    def _renew(self) -> None:
        """Names come and go, and an owner made in a write that failed gives its number to another."""
        if not self._heeding:
            self._heeding = True
            self._everybodys.when_invalidated(self._forget)
        moment = self._everybodys.moment()
        if moment != self._moment:
            self._forget()
            self._moment = moment

    def _forget(self) -> None:
        self._known.clear()
        self._found.clear()
        self._named.clear()

    def _is(self, name: Name, id: int) -> bool:
        if id == SHARED_OWNER or name == _NOBODY:
            return id == SHARED_OWNER and name == _NOBODY
        if self._find(name) != id:
            return False
        if self._found[name].name == _NOBODY:
            self._forget()
            self._everybodys.change(OWNER, {"id": id}, {"user": name[0], "agent": name[1]})
            return self._find(name) == id
        return self._found[name].name == name


def owner_mark(key: bytes, user: str | None, agent: str | None) -> bytes:
    """What is kept of a name when the name has gone: nobody can read it, and who has the store's secret can ask whether it is a certain one."""
    kind, name = ("user", user) if user is not None else ("agent", agent or "")
    return hmac.digest(key, f"owner:{kind}:{name}".encode("utf-8", "surrogatepass"), "sha256")


def _named(scope: Scope) -> Name:
    return scope.user, None if scope.user is not None else scope.agent
