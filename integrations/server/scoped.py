"""What every route is given: who asks, within which scope, and the memory; the rights are checked here, and nowhere else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Annotated, Any

from agentmem.aio import AsyncMemory
from agentmem.errors import ScopeError, UnknownNote
from agentmem.integrations import values
from agentmem.integrations.auth.access import Access, Right
from agentmem.integrations.extras import needs
from agentmem.integrations.server.limits import Limits, Room
from agentmem.integrations.server.runs import Runs
from agentmem.notes.note import Note, Receipt, Scope
from agentmem.runtime.meant import shared_meant

needs("server", "fastapi")

from fastapi import Depends, Query, Request
from fastapi.exceptions import RequestValidationError

__all__ = ["Administering", "Consolidating", "Forgetting", "Reading", "ScopedRequest", "Serving", "Signed", "Writing"]


@dataclass(frozen=True, slots=True)
class Serving:
    """What one application serves: the memory, and how much at once."""

    memory: AsyncMemory
    limits: Limits
    heavy: Room
    runs: Runs


@dataclass(frozen=True, slots=True)
class ScopedRequest:
    """One request that may be served: in ``scope``, for whoever has ``access``."""

    access: Access
    scope: Scope
    serving: Serving

    @property
    def memory(self) -> AsyncMemory:
        """What is asked."""
        return self.serving.memory

    @property
    def owner(self) -> dict[str, Any]:
        """``user`` and ``agent``, for verbs that work on all notes of an owner."""
        return {"user": self.scope.user, "agent": self.scope.agent}

    @property
    def whose(self) -> dict[str, Any]:
        """``user``, ``agent`` and ``session``."""
        return {**self.owner, "session": self.scope.session}

    def of_owner(self) -> dict[str, Any]:
        """:attr:`owner`, where no verb is narrower.

        Raises:
            ScopeError: the request is bound to one session.
        """
        if self.scope.session is not None:
            raise ScopeError(
                "This is about all notes of an owner, and the request is bound to a session.",
                hint="leave session out, or take another token.",
            )
        return self.owner

    def everything(self) -> None:
        """Raise unless this may look at everybody's notes, or the memory holds none but its own.

        Raises:
            ScopeError: it is bound to somebody.
        """
        if not self.access.anyone and self.memory.scope.owner != self.scope.owner:
            raise ScopeError(
                "This is about everybody's notes, and the token is bound to one.",
                hint="a token for all: agentmem serve token add --anyone.",
            )

    async def seen(self, ids: Sequence[str], *, own: bool = False) -> list[Note]:
        """The notes with these ids, each once, as the scope of the request shows them.

        Args:
            own: only those that belong to the scope itself, not what is shared with everybody, nor, in a session, what was said outside of it:
                changing that changes it for others.

        Raises:
            UnknownNote: one is not there, or is somebody else's, which look the same.
        """
        wanted = list(dict.fromkeys(ids))
        found = await self.memory.notes(where={"id": {"$in": wanted}}, **self.whose) if wanted else []
        held = {note.id: note for note in found if not own or self._owns(note)}
        lacking = [id for id in wanted if id not in held]
        if lacking:
            raise UnknownNote(f"No note {lacking[0]!r:.60} in this scope.", hint="GET /v1/notes lists what there is.")
        return [held[id] for id in wanted]

    def _owns(self, note: Note) -> bool:
        session = self.scope.session
        return note.scope.owner == self.scope.owner and session in (None, note.scope.session)

    async def told(self, receipts: Sequence[Receipt]) -> list[dict[str, object]]:
        """Receipts of what was written, without the notes that the scope of the request does not show: a word that an agent, or a session, may
        not read has no answer, and is not to be guessed by what a new note resembles.
        """
        scope, made = self.scope, [values.receipt_dict(receipt) for receipt in receipts]
        if scope.session is None and (scope.user is None or scope.agent is None):
            return made
        named = {id for receipt in receipts for id in _named_by(receipt)}
        found = await self.memory.notes(where={"id": {"$in": sorted(named)}}, **self.whose) if named else []
        seen = {note.id for note in found}
        for receipt, values_ in zip(receipts, made, strict=True):
            values_["links"] = [values.link_dict(link) for link in receipt.links if {link.source, link.target} <= seen]
            values_["superseded"] = [id for id in receipt.superseded if id in seen]
        return made

    def own(self, where: Mapping[str, Any]) -> dict[str, Any]:
        """A filter, narrowed to what belongs to the scope itself."""
        absent, scope = {"$exists": False}, self.scope
        mine: dict[str, Any] = {"user": scope.user or absent}
        if scope.user is None:
            mine["agent"] = scope.agent or absent
        if scope.session is not None:
            mine["session"] = scope.session
        return {"$and": [dict(where), mine]}

    @asynccontextmanager
    async def heavy(self) -> AsyncIterator[None]:
        """Room for something large, for the length of the block."""
        async with self.serving.heavy.take():
            yield


def _named_by(receipt: Receipt) -> set[str]:
    return {*receipt.superseded, *(id for link in receipt.links for id in (link.source, link.target))}


def _asking(right: Right) -> Callable[..., ScopedRequest]:
    async def asked(
        request: Request,
        user: Annotated[
            str | None, Query(description="Whose notes; a token that is bound to a user needs none.")
        ] = None,
        agent: Annotated[str | None, Query(description="Which agent's notes.")] = None,
        session: Annotated[str | None, Query(description="Of one conversation.")] = None,
        shared: Annotated[
            bool, Query(description="What is shared with everybody, for a token that may name anyone and names nobody.")
        ] = False,
    ) -> AsyncIterator[ScopedRequest]:
        _refuse_unknown(request)
        access: Access = request.state.access
        access.need(right)
        scope = access.scope(user, agent, session, shared=shared)
        with shared_meant() if shared else nullcontext():
            yield ScopedRequest(access, scope, request.app.state.serving)

    return asked  # type: ignore[return-value]  # entered and left by the framework


async def _whole(
    request: Request,
    user: Annotated[str | None, Query(description="Not needed here, nor are agent, session and shared.")] = None,
    agent: str | None = None,
    session: str | None = None,
    shared: bool = False,
) -> ScopedRequest:
    """Who looks at the memory as a whole: to name nobody is to mean everybody."""
    _refuse_unknown(request)
    access: Access = request.state.access
    access.need("admin")
    named = user is not None or agent is not None
    scope = access.scope(user, agent, session, shared=shared or (access.anyone and not named))
    asked = ScopedRequest(access, scope, request.app.state.serving)
    asked.everything()
    return asked


async def _signed(
    request: Request,
    user: Annotated[str | None, Query(description="Only asked whether the token may name them.")] = None,
    agent: str | None = None,
    session: str | None = None,
    shared: bool = False,
) -> Access:
    """Who asks, whatever the token may do; it needs no scope, since nothing is read."""
    _refuse_unknown(request)
    access: Access = request.state.access
    if shared or (user, agent, session) != (None, None, None):
        access.scope(user, agent, session, shared=shared)
    return access


def _refuse_unknown(request: Request) -> None:
    """A misspelled ``user`` would mean another scope than was meant: nothing in a query is passed over, and nothing is said twice."""
    told = request.app.openapi()["paths"].get(request.scope["route"].path_format, {})
    described = told.get(request.method.lower(), {}).get("parameters", ())
    known = {each["name"] for each in described if each["in"] == "query"} or {"user", "agent", "session", "shared"}
    given = [name for name, _ in request.query_params.multi_items()]
    wrong = [name for name in given if name not in known] or [name for name in given if given.count(name) > 1]
    if wrong:
        message = "is no parameter of this request" if wrong[0] not in known else "is given twice"
        raise RequestValidationError([{"loc": ("query", wrong[0][:60]), "msg": message, "type": "value_error"}])


Signed = Annotated[Access, Depends(_signed)]
"""Parameter of a route that tells of the token itself."""
Reading = Annotated[ScopedRequest, Depends(_asking("read"))]
Writing = Annotated[ScopedRequest, Depends(_asking("write"))]
Forgetting = Annotated[ScopedRequest, Depends(_asking("forget"))]
Consolidating = Annotated[ScopedRequest, Depends(_asking("consolidate"))]
Administering = Annotated[ScopedRequest, Depends(_whole)]
"""Parameters of routes: a request whose sender has that right; the last is about everybody's notes."""
