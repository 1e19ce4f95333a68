"""Routes on the memory as a whole, and on who asks: export, check, figures."""

from __future__ import annotations

import asyncio
import tempfile
from typing import IO, Final

from agentmem.integrations.extras import needs
from agentmem.integrations.server.bodies import Body, StrictRoute
from agentmem.integrations.server.described import answers
from agentmem.integrations.server.problems import Json
from agentmem.integrations.server.scoped import Administering, Reading, Signed

needs("server", "fastapi")

from fastapi import APIRouter
from starlette.background import BackgroundTask
from starlette.responses import StreamingResponse

__all__ = ["router"]

_PIECE: Final = 1 << 18
router = APIRouter(prefix="/v1", tags=["memory"], route_class=StrictRoute)


class CheckUp(Body):
    """How thoroughly."""

    deep: bool = False


@router.get(
    "/me", summary="Who asks", responses=answers({"label": "ana", "user": "ana", "rights": ["read", "write"]}, 422)
)
async def me(access: Signed) -> Json:
    """What the token is bound to, and what it may do; every token may ask, and needs to name nobody."""
    whose = {"user": access.user, "agent": access.agent, "session": access.session, "anyone": access.anyone}
    return Json({"label": access.label, **whose, "rights": sorted(access.rights)})


@router.get("/export", summary="Export notes", responses=answers("one JSON value a line", 400, 422, 429))
async def export(asked: Reading, vectors: bool = False, evidence: bool = False) -> StreamingResponse:
    """All notes of the scope as JSON lines, with history, links and uses: what ``agentmem import`` reads."""
    return await _file(asked, vectors=vectors, evidence=evidence, everything=False)


@router.get(
    "/export/everything", summary="Export everybody's notes", responses=answers("one JSON value a line", 422, 429)
)
async def export_everything(asked: Administering, vectors: bool = False, evidence: bool = False) -> StreamingResponse:
    """The same of the whole memory."""
    return await _file(asked, vectors=vectors, evidence=evidence, everything=True)


async def _file(asked: Reading, *, vectors: bool, evidence: bool, everything: bool) -> StreamingResponse:
    """From a file without a name: one that a killed server left behind would outlive what is forgotten."""
    owner = asked.of_owner()
    file: IO[bytes] = await asyncio.to_thread(tempfile.TemporaryFile)
    try:
        async with asked.heavy():
            made = await asked.memory.export(file, vectors=vectors, evidence=evidence, everything=everything, **owner)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    said = {"Content-Length": str(made.size), "Content-Disposition": 'attachment; filename="agentmem.jsonl"'}
    return StreamingResponse(
        iter(lambda: file.read(_PIECE), b""), media_type="application/x-ndjson", headers=said, background=BackgroundTask(file.close)
    )  # fmt: skip


@router.get("/users", summary="Who has notes", responses=answers({"users": [{"user": "ana", "agent": None}]}, 422))
async def users(asked: Administering) -> Json:
    """Users and agents, by name."""
    return Json({"users": [{"user": whose.user, "agent": whose.agent} for whose in await asked.memory.users()]})


@router.get("/stats", summary="Counts and sizes", responses=answers({"notes": 1, "links": 0}, 422))
async def stats(asked: Administering) -> Json:
    """Of the whole memory."""
    return Json(dict(await asked.memory.stats()))


@router.post(
    "/check",
    summary="Compare everything with the notes",
    responses=answers({"ok": True, "problems": []}, 400, 413, 415, 422, 429),
)
async def check(asked: Administering, body: CheckUp) -> Json:
    """Every projection, or a sample of each."""
    async with asked.heavy():
        found = await asked.memory.check(deep=body.deep)
    return Json({
        "ok": found.ok, "problems": list(found.problems), "notices": list(found.notices), "counts": dict(found.counts), "index": found.index,
    })  # fmt: skip
