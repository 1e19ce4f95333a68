"""Where requests are carried out: the memory, once it is open, and who asks, in which scope and with which rights."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST

from agentmem.errors import AgentMemError, InvalidArgument, ScopeRequired, UnknownNote
from agentmem.integrations.auth.access import RightMissing
from agentmem.integrations.tools import refusal

if TYPE_CHECKING:
    from agentmem.aio import AsyncMemory
    from agentmem.integrations.auth.access import Access, Right
    from agentmem.notes.note import Scope

__all__ = ["Desk", "Request", "protocol_error", "told"]

log = logging.getLogger(__name__)

Request = ServerRequestContext[Any, Any]

_NOBODY = "whoever runs this server says whose notes it serves: agentmem mcp --user NAME, or --agent NAME."


@dataclass(frozen=True, slots=True)
class Desk:
    """The memory that a server works on, opened when it is first needed, and who sends a request.

    Nothing that a client sends has a part in ``access``: it is what the command line, or the token of the request, says.
    """

    memory: Callable[[], Awaitable[AsyncMemory]]
    access: Callable[[Request], Access]

    def scope(self, request: Request) -> Scope:
        """Whose notes a request works on."""
        return self.access(request).scope()

    def may(self, request: Request, right: Right) -> bool:
        """Whether the sender of a request has a right."""
        return right in self.access(request).rights

    def need(self, request: Request, right: Right) -> None:
        """Raise unless the sender of a request has a right.

        Raises:
            RightMissing: it has not.
        """
        self.access(request).need(right)

    async def own(self, request: Request, ids: Sequence[str]) -> None:
        """Raise unless notes belong to the scope of a request itself: what is shared is not for one of those who see it to forget.

        Raises:
            UnknownNote: one is not there, or is somebody else's.
        """
        memory, scope = await self.memory(), self.scope(request)
        named = {"id": {"$in": list(ids)}}
        found = await memory.notes(where=named, user=scope.user, agent=scope.agent) if ids else []
        lacking = set(ids) - {note.id for note in found if note.scope.owner == scope.owner}
        if lacking:
            raise UnknownNote(
                f"No note {min(lacking)!r:.60} in this scope; what is shared with everybody stays.",
                hint="use an id that `recall` returned.",
            )

    def owner(self, request: Request) -> dict[str, str | None]:
        """The keywords that narrow a read to the scope of a request."""
        scope = self.scope(request)
        return {"user": scope.user, "agent": scope.agent}

    def whose(self, request: Request) -> dict[str, str | None]:
        """The keywords of a write: also the session."""
        return {**self.owner(request), "session": self.scope(request).session}


def told(error: AgentMemError) -> str:
    """What a model reads of an error; a cure that it cannot apply names whoever can."""
    if isinstance(error, ScopeRequired):
        return refusal(ScopeRequired(error.message, hint=_NOBODY))
    if isinstance(error, UnknownNote):
        return refusal(UnknownNote(error.message, hint="use an id that `recall` returned."))
    return refusal(error)


def protocol_error(error: AgentMemError) -> MCPError:
    """The same where the protocol has no room for a result that failed."""
    codes = {InvalidArgument: INVALID_PARAMS, UnknownNote: INVALID_PARAMS, RightMissing: INVALID_REQUEST}
    return MCPError(code=codes.get(type(error), INTERNAL_ERROR), message=told(error))
