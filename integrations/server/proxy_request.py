"""A request to the proxy: whose memory it is given, what is done with it; and errors as OpenAI's clients read them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final, Literal, get_args

from agentmem.aio import AsyncMemory
from agentmem.errors import AgentMemError, InvalidArgument, ScopeRequired
from agentmem.integrations.auth.access import Access
from agentmem.integrations.extras import needs
from agentmem.integrations.server.bodies import StrictRoute
from agentmem.integrations.server.problems import Json, problem_dict, status_of
from agentmem.notes.note import Scope

needs("server", "fastapi")

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

__all__ = ["Mode", "OpenAIRoute", "ProxiedRequest", "UnknownPath", "asked_by"]

Mode = Literal["on", "off", "recall", "remember"]
"""What a request wants of the memory: all of it, nothing, notes alone, or to be remembered alone."""
_HEADERS: Final = {"user": "x-agentmem-user", "agent": "x-agentmem-agent", "session": "x-agentmem-session"}
_NAME_THE_USER: Final = "name the user: the field `user` of the request, or the header X-Agentmem-User."


class UnknownPath(AgentMemError):
    """What the proxy does not serve."""

    status = 404


@dataclass(frozen=True, slots=True)
class ProxiedRequest:
    """Whose conversation it is, and what is done with it.

    Attributes:
        scope: where it is remembered; with a session, where one was named.
        reading: what is recalled from: the session narrows it only where the token is bound to one.
    """

    mode: Mode
    scope: Scope
    reading: Scope

    @property
    def recalls(self) -> bool:
        """Whether notes go into its prompt."""
        return self.mode in ("on", "recall")

    @property
    def remembers(self) -> bool:
        """Whether it is remembered."""
        return self.mode in ("on", "remember")


async def asked_by(request: Request, body: Mapping[str, Any], memory: AsyncMemory) -> ProxiedRequest:
    """What a request asks for, as far as its token allows it.

    A token that is bound to somebody means that one; the field ``user`` of the request is then the client's own affair, as with any
    OpenAI-compatible server. A header of ours that names somebody else is refused.

    Raises:
        ScopeError: that was so, or the token lacks a right. ScopeRequired: it was not said whose notes are meant.
        InvalidArgument: a header makes no sense.
    """
    access: Access = request.state.access
    access.need("read")
    mode = _mode(request, access)
    wrong = next((name for name in ("user", "agent", "session", "shared") if name in request.query_params), None)
    if wrong is not None:
        raise InvalidArgument(f"The proxy takes no {wrong} in its address.", hint=_NAME_THE_USER)
    if mode == "off":
        return ProxiedRequest(mode, Scope(), Scope())
    named: dict[str, Any] = {name: _header(request, header) for name, header in _HEADERS.items()}
    field = body.get("user")
    if access.anyone and named["user"] is None and field is not None:
        if not isinstance(field, str) or not field.strip():
            raise InvalidArgument("The field user is a text.", hint='"user": "ana".')
        named["user"] = field
    scope = access.scope(**named)
    if scope.user is None and scope.agent is None:
        await memory.notes(limit=1)  # what is shared is read only where nobody has notes of their own
    return ProxiedRequest(mode, scope, replace(scope, session=access.session))


def _mode(request: Request, access: Access) -> Mode:
    said = (_header(request, "x-agentmem") or "").lower()
    mode = next((each for each in get_args(Mode) if each == said), None)
    if mode is None and said:
        raise InvalidArgument(f"X-Agentmem is {said!r:.40}.", hint=f"it is one of: {', '.join(get_args(Mode))}.")
    if mode in ("on", "remember"):
        access.need("write")
    found: Mode = mode or ("on" if "write" in access.rights else "recall")
    return found


def _header(request: Request, name: str) -> str | None:
    """The one value of a header, in UTF-8; a name that is read as another one would be another's."""
    given = request.headers.getlist(name)
    if not given:
        return None
    try:
        value = given[0].encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        value = ""
    if len(given) > 1 or not value.strip():
        raise InvalidArgument(f"The header {name} holds one name in UTF-8.", hint=_NAME_THE_USER)
    return value


class OpenAIRoute(StrictRoute):
    """A route whose errors are told as OpenAI's clients read them."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with its errors answered."""
        handler = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handler(request)
            except RequestValidationError:
                return _refusal(422, "InvalidRequest", "The body is not a JSON object.")
            except HTTPException as error:
                if isinstance(error.__cause__, AgentMemError):
                    return _of(error.__cause__, request)
                return _refusal(error.status_code, "InvalidRequest", f"{HTTPStatus(error.status_code).phrase}.")
            except AgentMemError as error:
                return _of(error, request)

        return answered


def _of(error: AgentMemError, request: Request) -> Response:
    own = getattr(error, "status", None)
    if own is not None:
        return _refusal(own, type(error).__name__, str(error))
    told = problem_dict(error, str(getattr(request.state, "request_id", "")))
    hint = _NAME_THE_USER if isinstance(error, ScopeRequired) else told.get("hint", "")
    return _refusal(status_of(error), type(error).__name__, f"{told['detail']} {hint}".strip())


def _refusal(status: int, name: str, message: str) -> Response:
    headers = {"retry-after": "1"} if status == HTTPStatus.TOO_MANY_REQUESTS else {}
    return Json({"error": {"message": message, "type": name, "param": None, "code": name}}, status, headers=headers)
