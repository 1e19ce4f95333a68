"""What went wrong, as problem details (RFC 9457): a stable type, the status, a sentence and its cure; no stack, no path, no secret.

``type`` is made of the name of the error: ``UnknownNote`` is ``urn:agentmem:problem:unknown-note``. Of a fault in what the server
stands on, its log says more than its answer: files and addresses are nobody's business who asks over a network.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from agentmem import errors
from agentmem.integrations.auth.access import NotSignedIn, RightMissing
from agentmem.integrations.auth.door import ForeignHost, ForeignOrigin
from agentmem.integrations.extras import needs
from agentmem.integrations.server.limits import TooMuchAtOnce
from agentmem.integrations.values import plain

needs("server", "fastapi")

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

__all__ = [
    "Json",
    "NoSuchRecord",
    "NoSuchRun",
    "ProblemResponse",
    "UnreadableAddress",
    "UnreadableBody",
    "WriteRejected",
    "fault",
    "handle_problems",
    "of_status",
    "problem_dict",
    "problem_of",
    "status_of",
    "type_of",
]

LOG = logging.getLogger("agentmem.server")


class UnreadableBody(errors.AgentMemError):
    """The body of a request is not JSON as it is meant here."""


class UnreadableAddress(errors.AgentMemError):
    """The path or the query of a request holds bytes that are no text."""


class NoSuchRecord(errors.AgentMemError):
    """No record is under this key in the scope of the request."""


class NoSuchRun(errors.AgentMemError):
    """No run of consolidation has this id in the scope of the request."""


class WriteRejected(errors.AgentMemError):
    """What was to be written is not stored: its key stands for other words, or it is what was recalled from here."""


_STATUS: Final[Mapping[type[errors.AgentMemError], int]] = {
    UnreadableBody: 400,
    UnreadableAddress: 400,
    NotSignedIn: 401,
    ForeignOrigin: 403,
    ForeignHost: 421,
    NoSuchRecord: 404,
    NoSuchRun: 404,
    WriteRejected: 409,
    TooMuchAtOnce: 429,
    RightMissing: 403,
    errors.ScopeBreach: 500,
    errors.ScopeRequired: 400,
    errors.ScopeError: 403,
    errors.InvalidNote: 422,
    errors.InvalidArgument: 422,
    errors.InvalidImport: 422,
    errors.UnknownNote: 404,
    errors.UnknownEdit: 404,
    errors.JobLocked: 409,
    errors.StoreReadOnly: 409,
    errors.ConsolidationError: 409,
    errors.InvalidAnswer: 502,
    errors.PromptTooLong: 413,
    errors.MissingExtra: 501,
    errors.StoreError: 503,
    errors.IndexUnavailable: 503,
    errors.EmbedderError: 503,
    errors.ModelError: 503,
    errors.EditError: 503,
    errors.AgentMemError: 500,
}
_HINTS: Final[Mapping[type[errors.AgentMemError], str]] = {
    errors.ScopeRequired: "add ?user=NAME, ?agent=NAME or ?shared=true.",
    errors.UnknownNote: "GET /v1/notes lists what there is.",
    errors.StoreReadOnly: "the memory is open for reading alone.",
    errors.PromptTooLong: "shorten the message or the conversation, or recall less.",
    errors.ModelError: "agentmem serve answers with --model, or with a server's: --url ADDRESS --name MODEL.",
}
_RETRY: Final = {429: "1", 503: "5"}
_ALIASES: Final = {413: "content-too-large", 415: "unsupported-media-type"}


class Json(JSONResponse):
    """JSON with moments in ISO 8601; half a character, which UTF-8 cannot say, is escaped."""

    def render(self, content: Any) -> bytes:
        """The bytes of the body."""
        try:
            return _dumps(content, escaped=False).encode("utf-8")
        except UnicodeEncodeError:
            return _dumps(content, escaped=True).encode("ascii")


class ProblemResponse(Json):
    """Problem details as a response."""

    media_type = "application/problem+json"


def _dumps(content: Any, *, escaped: bool) -> str:
    return json.dumps(content, ensure_ascii=escaped, allow_nan=False, separators=(",", ":"), default=plain)


def type_of(name: str) -> str:
    """The stable type of a problem, from the name of an error."""
    return "urn:agentmem:problem:" + re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()


def status_of(error: errors.AgentMemError) -> int:
    """The status that an error is answered with: that of the nearest of its classes."""
    return next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)


def problem_of(error: errors.AgentMemError, request_id: str = "") -> ProblemResponse:
    """A typed error as a response."""
    return _response(_of_error(error, request_id))


def problem_dict(error: Exception, id: str = "") -> dict[str, Any]:
    """Any error as problem details, for what is told later: of a fault, the log says more."""
    return _of_error(error, id) if isinstance(error, errors.AgentMemError) else _of_fault(id, error)


def _of_error(error: errors.AgentMemError, id: str) -> dict[str, Any]:
    status = status_of(error)
    told = status < HTTPStatus.INTERNAL_SERVER_ERROR
    detail = error.message if told else (type(error).__doc__ or "").split("\n", 1)[0]
    hint = next((_HINTS[kind] for kind in type(error).__mro__ if kind in _HINTS), error.hint if told else "")
    if not told:
        LOG.error("request %s: %s: %s", id, type(error).__name__, error)
    return _details(status, type(error).__name__, detail, id, hint=hint)


def _of_fault(id: str, error: Exception) -> dict[str, Any]:
    LOG.error("request %s failed", id, exc_info=error)
    return _details(500, "InternalError", "The server failed at this.", id, hint="its log has more, by the request_id.")


def _details(status: int, name: str, detail: str, id: str, *, hint: str = "", **more: object) -> dict[str, Any]:
    """The members of a problem; ``more`` are extensions."""
    said: dict[str, Any] = {
        "type": type_of(name),
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    said |= {"hint": hint} if hint else {}
    said |= {"request_id": id} if id else {}
    return said | more


def _response(details: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> ProblemResponse:
    status: int = details["status"]
    sent = dict(headers or {})
    if status in _RETRY:
        sent["Retry-After"] = _RETRY[status]
    if status == HTTPStatus.UNAUTHORIZED:
        sent["WWW-Authenticate"] = 'Bearer realm="agentmem"'
    return ProblemResponse(details, status, headers=sent)


def handle_problems(app: FastAPI) -> None:
    """Have every error of an application answered as a problem."""
    app.add_exception_handler(errors.AgentMemError, _typed)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _of_framework)


def _id(request: Request) -> str:
    return str(getattr(request.state, "request_id", ""))


async def _typed(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.AgentMemError)
    return problem_of(error, _id(request))


async def _invalid(request: Request, error: Exception) -> Response:
    """What of a request is not as described: where and why, without the value, which may be long or secret."""
    assert isinstance(error, RequestValidationError)
    wrong = [{"where": ".".join(map(str, each["loc"])), "message": each["msg"]} for each in error.errors()[:20]]
    first = f"{wrong[0]['where']}: {wrong[0]['message']}" if wrong else "The request is not as described."
    hint = "GET /openapi.json describes every request."
    return _response(_details(422, "InvalidRequest", first, _id(request), hint=hint, errors=wrong))


async def _of_framework(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    cause = error.__cause__  # what a body was refused for, which the framework wraps
    return (
        problem_of(cause, _id(request)) if isinstance(cause, errors.AgentMemError) else of_status(error, _id(request))
    )


def of_status(error: HTTPException, request_id: str) -> ProblemResponse:
    """What the framework refuses: unknown routes, wrong methods; and bodies over the limit."""
    status = error.status_code
    name = _ALIASES.get(status, HTTPStatus(status).phrase.replace(" ", "-"))
    hint = {404: "GET /openapi.json lists what there is.", 405: "the header Allow lists the methods."}.get(status, "")
    return _response(_details(status, name, f"{HTTPStatus(status).phrase}.", request_id, hint=hint), error.headers)


def fault(request_id: str, error: Exception) -> ProblemResponse:
    """A fault in the server, as a response."""
    return _response(_of_fault(request_id, error))
