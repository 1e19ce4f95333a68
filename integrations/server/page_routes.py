"""Routes that the page is read from besides the others: the way to it, what there is at a glance, conversations, the server's machine."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

from agentmem.integrations import doctor, values
from agentmem.integrations.extras import needs
from agentmem.integrations.server.bodies import StrictRoute
from agentmem.integrations.server.described import NOTE, answers
from agentmem.integrations.server.problems import Json
from agentmem.integrations.server.scoped import Administering, Reading, ScopedRequest

needs("server", "fastapi")

from fastapi import APIRouter, Query
from starlette.responses import RedirectResponse

__all__ = ["router"]

router = APIRouter(route_class=StrictRoute)
DUE_AT: Final = 0.9
"""Strength from which on a note is due, as for ``due`` of its curve."""
_SHOWN: Final = 12
_OF_FOLDERS: Final = ("python", "disk", "notes")  # where files lie is nobody's business who asks over a network
_OPENING: Final = 160
_SESSION = {
    "session": "monday", "notes": 12, "first_at": NOTE["occurred_at"], "last_at": NOTE["occurred_at"], "actors": ["ana"],
    "opening": "Hello!",
}  # fmt: skip
_OVERVIEW = {
    "notes": 1, "looked_at": 1, "links": 0, "ended": 0, "archived": 0, "due": 0, "sessions": 0, "kinds": {"episodic": 1}, "link_kinds": {},
    "faintest": [{"id": NOTE["id"], "content": NOTE["content"], "retrievability": 0.82}],
}  # fmt: skip


@router.get("/", include_in_schema=False)
async def home() -> RedirectResponse:
    """The page; relative, so that it also works below a path of a proxy."""
    return RedirectResponse("page/")


@router.get(
    "/v1/newest",
    tags=["notes"],
    summary="The newest notes",
    responses=answers({"notes": [NOTE], "more": False}, 400, 422),
)
async def newest(asked: Reading, limit: Annotated[int, Query(ge=1, le=100)] = 12) -> Json:
    """The latest first; ``more`` says whether there are others."""
    found = await asked.memory.notes(newest=True, limit=limit + 1, **asked.whose)
    return Json({"notes": [values.note_dict(note) for note in found[:limit]], "more": len(found) > limit})


@router.get(
    "/v1/overview",
    tags=["lives"],
    summary="What there is, at a glance",
    responses=answers(_OVERVIEW, 400, 422, 429),
)
async def overview(asked: Reading) -> Json:
    """Counts of a scope, and the notes that are remembered least. ``looked_at`` is how many notes the counts are of: of a
    scope with more, the newest.
    """
    nodes, links, left_out = await _seen(asked)
    current = [node for node in nodes if not (node["ended"] or node["archived"])]
    faint = sorted(
        (node for node in current if node["retrievability"] < DUE_AT), key=lambda node: node["retrievability"]
    )
    return Json({
        "notes": len(nodes) + left_out, "looked_at": len(nodes), "links": len(links), "ended": sum(node["ended"] for node in nodes),
        "archived": sum(node["archived"] for node in nodes), "due": len(faint), "sessions": len({n["session"] for n in nodes} - {""}),
        "kinds": _counts(node["kind"] for node in nodes), "link_kinds": _counts(link["kind"] for link in links),
        "faintest": [{name: node[name] for name in ("id", "content", "retrievability")} for node in faint[:_SHOWN]],
    })  # fmt: skip


@router.get(
    "/v1/sessions",
    tags=["lives"],
    summary="Conversations",
    responses=answers({"sessions": [_SESSION], "left_out": 0}, 400, 422, 429),
)
async def sessions(asked: Reading) -> Json:
    """The conversations that brought notes in, the latest first. ``left_out`` counts older notes of a large scope that were not looked at."""
    nodes, _, left_out = await _seen(asked)
    told: dict[str, list[dict[str, Any]]] = {}
    for node in nodes:
        if node["session"]:
            told.setdefault(node["session"], []).append(node)
    found = [_session(name, of_it) for name, of_it in told.items()]
    return Json({"sessions": sorted(found, key=lambda each: each["last_at"], reverse=True), "left_out": left_out})


def _session(name: str, nodes: list[dict[str, Any]]) -> dict[str, Any]:
    first = min(nodes, key=lambda node: (node["occurred_at"], node["id"]))
    return {
        "session": name, "notes": len(nodes), "first_at": first["occurred_at"], "last_at": max(node["occurred_at"] for node in nodes),
        "actors": sorted({node["actor"] for node in nodes} - {""}), "opening": first["content"][:_OPENING],
    }  # fmt: skip


@router.get(
    "/v1/doctor",
    tags=["memory"],
    summary="What the server's machine has and lacks",
    responses=answers({"checks": [{"name": "sqlite", "status": "ok", "detail": "3.51.3", "fix": ""}]}, 422, 429),
)
async def machine(asked: Administering) -> Json:
    """As ``agentmem doctor`` says it; for who runs the server."""
    async with asked.heavy():
        found = await asyncio.to_thread(doctor.checks)
    return Json({"checks": [each.to_dict() for each in found if each.name not in _OF_FOLDERS]})


async def _seen(asked: ScopedRequest) -> tuple[list[dict[str, Any]], list[Mapping[str, Any]], int]:
    """Notes and links of the scope, as the graph has them, and how many older notes it leaves out."""
    owner = asked.of_owner()
    async with asked.heavy():
        view = await asked.memory.graph(**owner)
    nodes = [{"id": id, **held} for id, held in view.nodes(data=True)]
    return nodes, [held for _, _, held in view.edges(data=True)], view.graph["left_out"]


def _counts(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())
