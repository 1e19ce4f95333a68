"""How a route is described in OpenAPI: what it answers, and the problems that it may answer with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["FORGOTTEN", "NOTE", "OPENAI_PROBLEMS", "PROBLEM", "RECEIPT", "RECORD", "answers"]

_ID: Final = "01a2099d-f07c-718d-8238-5d0e1ed6307c"
NOTE: Final = {
    "id": _ID, "content": "Ana lives in Porto.", "kind": "episodic", "user": "ana", "agent": None, "session": None, "actor": None,
    "occurred_at": "2026-11-23T18:09:12.331068+00:00", "created_at": "2026-11-23T18:09:12.331068+00:00",
    "valid_from": "2026-11-23T18:09:12.331068+00:00", "valid_to": None, "tags": [], "keywords": ["Ana", "Porto"], "importance": 0.5,
    "source": None, "trust": 1.0, "recalls": 0, "stability_days": 2.307, "archived": False,
    "fact": {"subject": "Ana", "relation": "lives in", "object": "Porto", "functional": True}, "facts": [], "metadata": {}, "version": 1,
}  # fmt: skip
RECEIPT: Final = {"id": _ID, "status": "stored", "reason": "", "links": [], "superseded": [], "warnings": []}
FORGOTTEN: Final = {
    "ids": [_ID], "places": {"notes": 1, "vectors": 1, "text": 1}, "derived": [], "edits": [], "probes": {"notes": True}, "gone": True,
    "dry_run": False, "warnings": [],
}  # fmt: skip
RECORD: Final = {
    "namespace": ["users", "ana"], "key": "profile", "value": {"city": "Porto"}, "id": _ID,
    "created_at": "2026-11-23T18:09:12.331068+00:00", "updated_at": "2026-11-23T18:09:12.331068+00:00", "expires_at": None, "score": None,
}  # fmt: skip

PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "description": "Problem details (RFC 9457).",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "Stable: what a program decides by."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What happened, in one sentence."},
        "hint": {"type": "string", "description": "What to do about it."},
        "request_id": {"type": "string", "description": "As in the header X-Request-ID, and in the server's log."},
        "errors": {
            "type": "array",
            "items": {"type": "object"},
            "description": "What of the request is wrong, and where.",
        },
    },
}
_MEANT: Final = {
    400: ("scope-required", "The body is not JSON, or it was not said whose notes are meant."),
    401: ("not-signed-in", "No token, or one that is unknown, revoked or expired."),
    403: ("right-missing", "The token lacks the right, or may not name this owner."),
    404: ("unknown-note", "Not there, or somebody else's, which look the same."),
    409: ("consolidation-error", "Something else is under way, or the state does not allow it."),
    413: ("content-too-large", "The body is over the limit."),
    415: ("unsupported-media-type", "The body is not said to be application/json."),
    422: ("invalid-argument", "The request is not as described here."),
    429: ("too-much-at-once", "As much of this is under way as the server takes on; see Retry-After."),
    503: ("model-error", "What is needed for it is not there at the moment."),
}


def answers(example: Any, *problems: int, status: int = 200, says: str = "Done.") -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route: an example of what it answers, and its problems; 401 and 403 are every route's."""
    content = {} if example is None else {"content": {"application/json": {"example": example}}}
    found: dict[int | str, dict[str, Any]] = {status: {"description": says, **content}}
    for code in sorted({401, 403, *problems}):
        name, meaning = _MEANT[code]
        problem: Mapping[str, Any] = {
            "schema": {"$ref": "#/components/schemas/Problem"},
            "example": _example(code, name, meaning),
        }
        found[code] = {"description": meaning, "content": {"application/problem+json": problem}}
    found["default"] = {
        "description": "Any other problem, such as 409 where the memory is read-only, or 503 where its store cannot be reached.",
        "content": {
            "application/problem+json": {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": _example(503, "store-error", "…"),
            }
        },
    }
    return found


def _openai_problems() -> dict[int | str, dict[str, Any]]:
    kind = {"message": {"type": "string"}, "type": {"type": "string"}, "param": {}, "code": {}}
    shape = {"type": "object", "properties": {"error": {"type": "object", "properties": kind}}}
    meant = {code: meaning for code, (_, meaning) in _MEANT.items()} | {
        502: "The upstream cannot be reached, or broke off.", 504: "The upstream did not answer in time.",
    }  # fmt: skip
    told = {code: meaning for code, meaning in meant.items() if code != 409}
    return {
        code: {"description": meaning, "content": {"application/json": {"schema": shape}}} for code, meaning in told.items()
    }  # fmt: skip


OPENAI_PROBLEMS: Final = _openai_problems()
"""The ``responses`` of a route of the proxy: errors as that API shapes them, the upstream's own among them."""


def _example(code: int, name: str, meaning: str) -> dict[str, Any]:
    return {"type": f"urn:agentmem:problem:{name}", "title": meaning, "status": code, "detail": meaning}
