"""Routes that find and answer: recall, ask; and what was used of what they gave."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from agentmem.integrations import values
from agentmem.integrations.extras import needs
from agentmem.integrations.server.bodies import Body, StrictRoute
from agentmem.integrations.server.described import NOTE, answers
from agentmem.integrations.server.problems import Json
from agentmem.integrations.server.scoped import Reading, Writing

needs("server", "fastapi")

from fastapi import APIRouter, Response
from pydantic import Field

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["answers"], route_class=StrictRoute)
_HIT = {"note": NOTE, "score": 0.83, "reasons": {"semantic": 0.61, "words": 0.22}, "via": [], "passage": None}
_ANSWER = {
    "text": "In Porto.",
    "source": "notes",
    "notes": [NOTE["id"]],
    "used": [NOTE["id"]],
    "edits": [],
    "prompt_tokens": 41,
    "warnings": [],
}
Grade = Literal["again", "hard", "good", "easy"]


class ToRecall(Body):
    """What is looked for; names and meanings are those of ``Memory.recall``."""

    query: Annotated[str, Field(examples=["Where does Ana live?"])]
    k: Annotated[int, Field(ge=1, le=1000)] | Literal["all"] = 10
    where: Annotated[
        dict[str, Any] | None, Field(description="Conditions on fields; they narrow, and never widen.")
    ] = None
    as_of: Annotated[str | None, Field(description="Only what was valid at that moment, in ISO 8601.")] = None
    faded: Annotated[bool, Field(description="Archived notes too.")] = False
    min_score: float | None = None
    score: Literal["hybrid", "cosine"] = "hybrid"
    offset: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    context_tokens: Annotated[
        int | None,
        Field(ge=0, le=100_000, description="Also the hits as a block of prompt text of at most so many tokens."),
    ] = None


class EarlierTurn(Body):
    """An earlier turn of a conversation."""

    role: Literal["user", "assistant", "system"]
    content: str


class ToAsk(Body):
    """What is asked; names and meanings are those of ``Memory.ask``."""

    question: Annotated[str, Field(examples=["Where does Ana live?"])]
    use: Literal["auto", "weights", "notes", "both", "nothing"] = "auto"
    k: Annotated[int, Field(ge=1, le=1000)] = 5
    context_tokens: Annotated[int, Field(ge=0, le=100_000)] = 400
    max_tokens: Annotated[int, Field(ge=1, le=4096)] = 64
    system: str | None = None
    history: Annotated[list[EarlierTurn], Field(default_factory=list)]
    exclude: Annotated[
        list[str], Field(description="Ids of notes that the conversation shows already.", default_factory=list)
    ]


class Use(Body):
    """Notes that were used."""

    ids: Annotated[list[str], Field(min_length=1)]
    grade: Grade = "good"


class ReportedAnswer(Body):
    """What was asked, and answered from which notes, elsewhere: the memory learns how its notes are asked for."""

    question: Annotated[str, Field(examples=["Where does Ana live?"])]
    answer: Annotated[str, Field(examples=["In Porto."])]
    notes: Annotated[list[str], Field(min_length=1)]
    grade: Grade = "good"


@router.post(
    "/recall",
    summary="Find notes",
    responses=answers({"query": "…", "hits": [_HIT], "degraded": False, "warnings": []}, 400, 413, 415, 422),
)
async def recall(asked: Reading, body: ToRecall) -> Json:
    """The notes that fit best, with the parts of their scores; ``degraded`` when a slower way had to be taken."""
    found = await asked.memory.recall(body.query, **body.said("query", "context_tokens"), **asked.whose)
    told = values.recollection_dict(found)
    if body.context_tokens is not None:
        told["context"] = found.context(body.context_tokens)
    return Json(told)


@router.post("/ask", summary="Answer a question", responses=answers(_ANSWER, 400, 413, 415, 422, 429, 503))
async def ask(asked: Reading, body: ToAsk) -> Json:
    """From the model's weights, from notes in its prompt, or both; ``source`` says which. 503 where the server has no model."""
    given = body.said("question")
    if body.history:
        given["history"] = [turn.said() for turn in body.history]
    async with asked.heavy():
        answer = await asked.memory.ask(body.question, **given, **asked.whose)
    more = {"known": [note.id for note in answer.known], "parts": [values.part_dict(part) for part in answer.parts]}
    return Json({**values.answer_dict(answer), **more})


@router.post(
    "/reinforce",
    status_code=204,
    summary="Notes were used",
    responses=answers(None, 400, 404, 413, 415, 422, status=204),
)
async def reinforce(asked: Writing, body: Use) -> Response:
    """Their forgetting curves are reviewed, and links between them grow."""
    await asked.seen(body.ids)
    await asked.memory.reinforce(body.ids, body.grade, **asked.owner)
    return Response(status_code=204)


@router.post(
    "/answers",
    status_code=204,
    summary="Report an answer",
    responses=answers(None, 400, 404, 413, 415, 422, status=204),
)
async def report(asked: Writing, body: ReportedAnswer) -> Response:
    """Kept beside the notes as evidence, and forgotten with any of them; an answer that it is not known is not kept."""
    await asked.seen(body.notes)
    await asked.memory.reinforce(body.notes, body.grade, question=body.question, answer=body.answer, **asked.owner)
    return Response(status_code=204)


@router.get("/answers", summary="What was asked and answered", responses=answers({"evidence": []}, 400, 422))
async def reported(asked: Reading) -> Json:
    """The latest first."""
    return Json({"evidence": [values.evidence_dict(each) for each in await asked.memory.evidence(**asked.whose)]})
