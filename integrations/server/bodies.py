"""Bodies of requests: JSON as it is meant, and models that refuse what they do not know."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any, Final, NoReturn

from agentmem.integrations.extras import needs
from agentmem.integrations.server.problems import UnreadableBody

needs("server", "fastapi")

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

__all__ = ["Body", "StrictRequest", "StrictRoute"]

_HINT: Final = "send one JSON value in UTF-8, with the header Content-Type: application/json."


class Body(BaseModel):
    """A body whose fields are those that are described, each of the very type: no text passes for a number."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    def said(self, *leave: str) -> dict[str, Any]:
        """What the request says, by name; what it leaves out is left to the memory."""
        return {name: getattr(self, name) for name in self.model_fields_set if name not in leave}


class StrictRequest(Request):
    """A request whose JSON is JSON: no NaN, no Infinity, no name twice, not deeper than the server's limit."""

    async def json(self) -> Any:
        """The value of the body.

        Raises:
            UnreadableBody: it is no such JSON.
        """
        if not hasattr(self, "_json"):
            try:
                value = json.loads(
                    (await self.body()).decode("utf-8"), parse_constant=_no_number, object_pairs_hook=_once
                )
            except RecursionError:
                raise UnreadableBody("The body is nested too deeply.", hint=_HINT) from None
            except ValueError as error:
                what = "not UTF-8" if isinstance(error, UnicodeDecodeError) else f"not JSON: {error}"
                raise UnreadableBody(f"The body is {what:.200}.", hint=_HINT) from None
            if _deeper(value, self.app.state.serving.limits.depth):
                raise UnreadableBody("The body is nested too deeply.", hint=_HINT)
            self._json = value
        return self._json


class StrictRoute(APIRoute):
    """A route that reads its bodies strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, given a :class:`StrictRequest`."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            if self.body_field is not None and not _says_json(request):
                raise HTTPException(415)  # a page may send a plain text anywhere without asking first
            return await handler(StrictRequest(request.scope, request.receive))

        return strict


def _says_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    return kind == "application/json" or (not kind and request.headers.get("content-length", "0") == "0")


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A name that is given twice means something else to whoever checks than to whoever acts."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is given twice in one object")
    return found


def _deeper(value: Any, levels: int) -> bool:
    """Whether something is nested over so many levels; without recursion."""
    level = [value]
    for _ in range(levels + 1):
        level = [
            part
            for each in level
            if isinstance(each, (dict, list))
            for part in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True
