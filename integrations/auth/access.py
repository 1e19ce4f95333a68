"""What a request may do: whose notes it may name, and which rights it has. Pure; decided once a request, before anything is read."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, get_args

from agentmem.errors import AgentMemError, InvalidArgument, ScopeError, ScopeRequired
from agentmem.notes.names import merge_scope
from agentmem.notes.note import Scope

__all__ = ["RIGHTS", "Access", "NotSignedIn", "Right", "RightMissing", "checked_rights"]

Right = Literal["read", "write", "forget", "consolidate", "admin"]
"""``read`` also asks; ``write`` stores, changes and reinforces; ``admin`` looks at the memory as a whole, and may export everything."""
RIGHTS: Final[tuple[Right, ...]] = get_args(Right)


class NotSignedIn(AgentMemError):
    """A request came without a token that is known, in force, and not expired."""


class RightMissing(ScopeError):
    """The token of a request lacks a right that the request needs."""


@dataclass(frozen=True, slots=True)
class Access:
    """Whose notes a request may name, and what it may do with them.

    Args:
        label: who this is, for logs and reports; never a secret.
        user, agent, session: what it is bound to; a request may leave them out, and may name no others.
        anyone: it may name any user and any agent, as a program does that serves many. Not with ``user`` or ``agent``.
        shared: without a name, what is meant is what is shared; otherwise a request has to say so, since what is shared is seen by everybody.
        rights: what it may do.
    """

    label: str
    user: str | None = None
    agent: str | None = None
    session: str | None = None
    anyone: bool = False
    shared: bool = False
    rights: frozenset[Right] = frozenset(("read", "write", "forget"))

    def __post_init__(self) -> None:
        merge_scope(Scope(), self.user, self.agent, self.session)  # raises for what is no name
        if any(unicodedata.category(each) in ("Cc", "Zl", "Zp") for each in self.label):
            raise InvalidArgument(
                "A label stands in a line of the log, and has a line break or another control character.",
                hint="--label with words alone.",
            )
        bound = self.user is not None or self.agent is not None
        if self.anyone == bound:
            raise InvalidArgument(
                "A token is bound to a user or an agent, or may name anyone: one of the two.",
                hint="agentmem serve token add --for ana, or --anyone.",
            )

    @classmethod
    def local(cls, scope: Scope | None = None) -> Access:
        """All rights within a scope, or without one over everybody's notes: for who could open the directory as well."""
        whose = scope or Scope()
        anyone = not (whose.user or whose.agent)
        return cls(
            "local", whose.user, whose.agent, whose.session, anyone=anyone, shared=anyone, rights=frozenset(RIGHTS)
        )

    def need(self, right: Right) -> None:
        """Raise unless this has the right.

        Raises:
            RightMissing: it has not.
        """
        if right not in self.rights:
            raise RightMissing(
                f"This token has no right to {right}.",
                hint=f"a token with it: agentmem serve token add --right {right}.",
            )

    def scope(
        self, user: str | None = None, agent: str | None = None, session: str | None = None, *, shared: bool = False
    ) -> Scope:
        """The scope of a request that names these; never wider than what it is bound to.

        An agent is no narrower than a user: it has notes of its own, so one who is bound to a user may not name any.

        Raises:
            ScopeError: somebody else was named. ScopeRequired: nobody was, and it has to be said whose.
        """
        asked = {"user": user, "agent": agent, "session": session}
        for name, value in asked.items():
            held = getattr(self, name)
            free = self.anyone or name == "session"
            if value is not None and value != held and (held is not None or not free):
                raise ScopeError(
                    f"This token may not name another {name}.",
                    hint=f"leave {name} out: the token says whose notes these are.",
                )
            asked[name] = value if held is None else held
        if shared and (asked["user"] is not None or asked["agent"] is not None):
            raise ScopeError("shared=true and a user or an agent contradict each other.", hint="leave one of them out.")
        if asked["user"] is None and asked["agent"] is None and not (shared or self.shared):
            raise ScopeRequired(
                "It was not said whose notes these are.", hint="add ?user=NAME, ?agent=NAME or ?shared=true."
            )
        return Scope(**asked)

    def within(self, scope: Scope) -> bool:
        """Whether what was done in ``scope`` may be told to this one."""
        if self.anyone:
            return True
        return (self.user, self.agent) == (scope.user, scope.agent) and self.session in (None, scope.session)


def checked_rights(names: Iterable[str]) -> frozenset[Right]:
    """Rights by name.

    Raises:
        InvalidArgument: one is unknown, or there is none.
    """
    found = list(names)
    unknown = [name for name in found if name not in RIGHTS]
    if unknown or not found:
        what = f"Unknown right {unknown[0]!r:.60}" if unknown else "A token needs a right"
        raise InvalidArgument(f"{what}.", hint=f"rights are: {', '.join(RIGHTS)}.")
    return frozenset(right for right in RIGHTS if right in found)
