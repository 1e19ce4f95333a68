"""Routes on how notes hang together, and on the life of one: its curve, its words over time, its links, its edits, its places."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from agentmem.graph.view import newest
from agentmem.integrations import values
from agentmem.integrations.extras import needs
from agentmem.integrations.server.bodies import StrictRoute
from agentmem.integrations.server.described import NOTE, answers
from agentmem.integrations.server.problems import Json
from agentmem.integrations.server.scoped import Reading, ScopedRequest
from agentmem.notes.curves import curve, due, sample
from agentmem.notes.note import Note

needs("server", "fastapi")

from fastapi import APIRouter, Query

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["lives"], route_class=StrictRoute)
_AHEAD: Final = timedelta(days=90)
_EDGE = {"source": "…", "target": "…", "kind": "shares", "weight": 0.4, "reason": "both name Porto", "kinds": "shares"}
_GRAPH = {"notes": [{"id": NOTE["id"], "content": NOTE["content"]}], "links": [_EDGE], "left_out": 0}


@router.get("/graph", summary="The note graph", responses=answers(_GRAPH, 400, 404, 422, 429))
async def graph(
    asked: Reading,
    around: Annotated[
        str | None, Query(description="The neighbourhood of this note; else the newest of the scope.")
    ] = None,
    hops: Annotated[int, Query(ge=0, le=6)] = 2,
    limit: Annotated[
        int,
        Query(ge=1, le=20_000, description="At most so many, the newest or the nearest, with the links among them."),
    ] = 1000,
) -> Json:
    """Notes and why they are linked; ``left_out`` counts those that are not told."""
    owner = asked.of_owner()
    async with asked.heavy():
        view = await asked.memory.graph(around=around, hops=hops, limit=limit, **owner)
        shown = newest(view, limit)  # in order: there are no more
    return Json({
        "notes": [{"id": id, **held} for id, held in shown.nodes(data=True)],
        "links": [{"source": a, "target": b, **held} for a, b, held in shown.edges(data=True)],
        "left_out": view.graph["left_out"],
    })  # fmt: skip


@router.get(
    "/notes/{id}/why-linked/{other}",
    summary="Why two notes are connected",
    responses=answers({"strength": 0.4, "notes": [NOTE], "steps": [[_EDGE]]}, 400, 404, 422),
)
async def why_linked(asked: Reading, id: str, other: str) -> Json:
    """The strongest way between them; of strength 0, and without steps, where there is none."""
    found = await asked.memory.why_linked(id, other, **asked.of_owner())
    return Json({
        "strength": found.strength, "notes": [values.note_dict(note) for note in found.notes],
        "steps": [[values.link_dict(link) for link in links] for links in found.steps],
    })  # fmt: skip


@router.get(
    "/notes/{id}/why-not",
    summary="Why a note is no hit",
    responses=answers({"id": NOTE["id"], "reason": "…", "rank": 14}, 400, 404, 422),
)
async def why_not(asked: Reading, id: str, query: str, k: Annotated[int, Query(ge=1, le=1000)] = 10) -> Json:
    """Why it is not among the first ``k`` hits of a query."""
    found = await asked.memory.why_not(query, id, k=k, **asked.of_owner())
    return Json({
        "id": found.id, "reason": found.reason, "rank": found.rank, "score": found.score, "cutoff": found.cutoff,
        "parts": None if found.parts is None else dict(found.parts),
    })  # fmt: skip


@router.get(
    "/notes/{id}/life",
    summary="The life of a note",
    responses=answers(
        {"note": NOTE, "curve": {}, "history": [], "links": [], "edits": [], "places": {}, "evidence": []},
        400,
        404,
        422,
    ),
)
async def life(asked: Reading, id: str, points: Annotated[int, Query(ge=2, le=1000)] = 60) -> Json:
    """What it says and said, how strongly it is remembered and for how long, what it is linked with, what was answered from it, what the
    weights hold of it, and every place where something of it lies.
    """
    owner = asked.of_owner()
    (note,) = await asked.seen([id])
    view = await asked.memory.graph(around=id, hops=1, **owner)
    edges = [{"source": a, "target": b, **held} for a, b, held in view.edges(data=True) if id in (a, b)]
    places = (await asked.memory.forget([id], dry_run=True, **owner)).places
    return Json({
        "note": values.note_dict(note),
        "curve": _curve(asked, note, points),
        "history": [values.version_dict(each) for each in await asked.memory.history(id, **owner)],
        "links": edges,
        "evidence": [values.evidence_dict(each) for each in await asked.memory.evidence(id, **asked.whose)],
        "edits": [values.edit_dict(each) for each in await asked.memory.edits(**owner) if each.note_id == id],
        "places": dict(places),
    })  # fmt: skip


def _curve(asked: ScopedRequest, note: Note, points: int) -> dict[str, Any]:
    """From its last review to a while from now."""
    kind, now, state = curve(asked.memory.settings.forgetting.curve), asked.memory.clock.now(), note.state
    end: datetime = max(now, state.last_review) + _AHEAD
    return {
        "name": kind.name, "retrievability": kind.retrievability(state, now), "stability_days": state.stability,
        "difficulty": state.difficulty, "recalls": state.recalls, "last_review": state.last_review, "due": due(state, kind), "now": now,
        "points": sample(state, kind, state.last_review, end, points),
    }  # fmt: skip
