"""Routes on the model's weights: consolidate, undo, edits, drift."""

from __future__ import annotations

from typing import Annotated

from agentmem.integrations import values
from agentmem.integrations.extras import needs
from agentmem.integrations.server.bodies import Body, StrictRoute
from agentmem.integrations.server.described import answers
from agentmem.integrations.server.problems import Json, NoSuchRun
from agentmem.integrations.server.scoped import Administering, Consolidating, Reading

needs("server", "fastapi")

from fastapi import APIRouter
from pydantic import Field

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["weights"], route_class=StrictRoute)
_RUN = {
    "id": "5f0c…",
    "state": "running",
    "dry_run": False,
    "progress": {"stage": "writing", "done": 3, "total": 20},
    "report": None,
}
_EDIT = {"id": "…", "note_id": "…", "question": "Where does Ana live?", "answer": "Porto"}


class Consolidation(Body):
    """What is to be done."""

    dry_run: Annotated[bool, Field(description="Only decide, and say why; nothing is written.")] = False
    budget: Annotated[int | None, Field(ge=0, description="Write at most so many facts.")] = None


class Undoing(Body):
    """How the last consolidation is to be taken back."""

    dry_run: bool = False


@router.post(
    "/consolidation/runs",
    status_code=202,
    summary="Consolidate",
    responses=answers(_RUN, 400, 409, 413, 415, 422, status=202, says="Begun."),
)
async def begin(asked: Consolidating, body: Consolidation) -> Json:
    """Facts that the policy admits move into the model's side memory: written in shadow, verified, then committed. The run goes on by itself;
    ``Location`` is where it is looked at. One at a time: 409 while another is under way. Other writes wait for it.
    """
    asked.of_owner()
    run = asked.serving.runs.begin(asked.scope, dry_run=body.dry_run, budget=body.budget)
    return Json(run.to_dict(), 202, headers={"Location": f"/v1/consolidation/runs/{run.id}"})


@router.get(
    "/consolidation/runs", summary="Runs since the server was started", responses=answers({"runs": [_RUN]}, 400, 422)
)
async def runs(asked: Consolidating) -> Json:
    """Of the scope, the oldest first, without their reports."""
    mine = [run for run in asked.serving.runs.all() if run.scope.owner == asked.scope.owner]
    return Json({"runs": [{**run.to_dict(), "report": None} for run in mine]})


@router.get("/consolidation/runs/{id}", summary="One run", responses=answers(_RUN, 400, 404, 422))
async def one_run(asked: Consolidating, id: str) -> Json:
    """How far it is, and when it is done its report."""
    for run in asked.serving.runs.all():
        if run.id == id and run.scope.owner == asked.scope.owner:
            return Json(run.to_dict())
    raise NoSuchRun("No run has this id in this scope.", hint="GET /v1/consolidation/runs.")


@router.post(
    "/consolidation/undo",
    summary="Take the last consolidation back",
    responses=answers({"edits": [], "notes": []}, 400, 409, 413, 415, 422),
)
async def undo(asked: Consolidating, body: Undoing) -> Json:
    """Its edits leave the weights; the notes stay. Needs no model."""
    return Json((await asked.memory.undo_consolidation(dry_run=body.dry_run, **asked.of_owner())).to_dict())


@router.get(
    "/consolidation/past", summary="Consolidations that changed something", responses=answers({"jobs": []}, 422)
)
async def past(asked: Administering) -> Json:
    """Of the whole memory, the oldest first."""
    jobs = await asked.memory.jobs()
    told = [
        {"at": j.at, "promoted": j.promoted, "failed": j.failed, "demoted": j.demoted, "pack": j.pack} for j in jobs
    ]
    return Json({"jobs": told})


@router.get(
    "/consolidation/status",
    summary="How far the weights have drifted",
    responses=answers({"edits": 0, "ok": True}, 400, 422),
)
async def drift(asked: Reading) -> Json:
    """Facts that wait, edits that the notes have overtaken, packs that cannot be served."""
    return Json((await asked.memory.status(**asked.of_owner())).to_dict())


@router.get("/edits", summary="What the weights hold", responses=answers({"edits": [_EDIT]}, 400, 422))
async def edits(asked: Reading) -> Json:
    """As the registry says, each with the note it came from."""
    return Json({"edits": [values.edit_dict(each) for each in await asked.memory.edits(**asked.of_owner())]})
