"""Routes on values under keys."""

from __future__ import annotations

from typing import Annotated, Any

from agentmem.errors import InvalidArgument
from agentmem.integrations import values
from agentmem.integrations.extras import needs
from agentmem.integrations.server.bodies import Body, StrictRoute
from agentmem.integrations.server.described import FORGOTTEN, RECORD, answers
from agentmem.integrations.server.problems import Json, NoSuchRecord
from agentmem.integrations.server.scoped import Forgetting, Reading, Writing

needs("server", "fastapi")

from fastapi import APIRouter, Path, Query
from pydantic import Field

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["records"], route_class=StrictRoute)
Labels = Annotated[str, Path(description="Its labels with dots between, e.g. users.ana.")]
Key = Annotated[str, Path(description="The key; it may hold slashes.")]


class RecordValue(Body):
    """What is to stand under a key; names and meanings are those of ``Memory.put``."""

    value: Annotated[dict[str, Any], Field(examples=[{"name": "Ana", "city": "Porto"}])]
    index: Annotated[
        bool | list[str] | None,
        Field(description="Paths to what it is found by; false for nothing; null for all strings."),
    ] = None
    ttl: Annotated[float | None, Field(description="Minutes after which it is gone.", gt=0)] = None
    tags: list[str] | None = None
    importance: Annotated[float | None, Field(ge=0, le=1)] = None
    metadata: dict[str, Any] | None = None
    source: str | None = None
    trust: float | str | None = None
    facts: bool = False

    def keywords(self) -> dict[str, Any]:
        """As keywords of ``put``."""
        if self.index is True:
            raise InvalidArgument(
                "index is a list of paths, false, or null.", hint='"index": ["title", "author.name"].'
            )
        return self.said("value")


class RecordAt(RecordValue):
    """A value, and where it is to stand."""

    namespace: list[str]
    key: str


class RecordsToPut(Body):
    """Several at once: all of them or none."""

    items: Annotated[list[RecordAt], Field(min_length=1)]


class RecordQuery(Body):
    """Which records are looked for; names and meanings are those of ``Memory.search``."""

    namespace_prefix: Annotated[list[str], Field(default_factory=list)]
    query: str | None = None
    filter: dict[str, Any] | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 10
    offset: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    min_score: float | None = None
    unscored: bool = False


@router.put(
    "/records/{namespace}/{key:path}", summary="Put a value under a key", responses=answers(RECORD, 400, 413, 415, 422)
)
async def put(asked: Writing, namespace: Labels, key: Key, body: RecordValue) -> Json:
    """Durable when this is answered; what stood there gives way in place: its id, history and links stay."""
    return Json(
        values.record_dict(
            await asked.memory.put(_labels(namespace), key, body.value, **body.keywords(), **asked.whose)
        )
    )


@router.get(
    "/records/{namespace}/{key:path}", summary="The value under a key", responses=answers(RECORD, 400, 404, 422)
)
async def get(asked: Reading, namespace: Labels, key: Key) -> Json:
    """Of the very scope of the request: user, agent and session."""
    fetch: Any = asked.memory.get  # of its two signatures the one of records
    record = await fetch(_labels(namespace), key, **asked.whose)
    if record is None:
        raise NoSuchRecord(
            "No record is under this key in this scope.", hint="POST /v1/records/search finds what there is."
        )
    return Json(values.record_dict(record))


@router.delete("/records/{namespace}/{key:path}", summary="Forget a record", responses=answers(FORGOTTEN, 400, 422))
async def delete(asked: Forgetting, namespace: Labels, key: Key) -> Json:
    """With its value and its note, from everywhere; the receipt has no ids where there was none."""
    return Json(values.forgotten_dict(await asked.memory.delete(_labels(namespace), key, **asked.whose)))


@router.post("/records", summary="Put several values", responses=answers({"records": [RECORD]}, 400, 413, 415, 422))
async def put_many(asked: Writing, body: RecordsToPut) -> Json:
    """In one transaction; of several with one key the last counts."""
    if len(body.items) > asked.serving.limits.items:
        raise InvalidArgument("So many records in one request.", hint=f"at most {asked.serving.limits.items:,}.")
    items = [{"value": item.value, **item.keywords()} for item in body.items]
    return Json({"records": [values.record_dict(each) for each in await asked.memory.put_many(items, **asked.whose)]})


@router.post("/records/search", summary="Find records", responses=answers({"records": [RECORD]}, 400, 413, 415, 422))
async def search(asked: Reading, body: RecordQuery) -> Json:
    """In a namespace and below it: the last put first, or by nearness of their text to ``query``."""
    return Json(
        {"records": [values.record_dict(each) for each in await asked.memory.search(**body.said(), **asked.whose)]}
    )


@router.get(
    "/namespaces",
    summary="Namespaces that hold records",
    responses=answers({"namespaces": [["users", "ana"]]}, 400, 422),
)
async def namespaces(
    asked: Reading,
    prefix: Annotated[str, Query(description="Labels with dots between; * is any one.")] = "",
    suffix: str = "",
    max_depth: Annotated[int | None, Query(ge=1)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> Json:
    """Sorted."""
    found = await asked.memory.list_namespaces(
        prefix=_labels(prefix), suffix=_labels(suffix), max_depth=max_depth, limit=limit, offset=offset, **asked.whose
    )
    return Json({"namespaces": found})


def _labels(text: str) -> tuple[str, ...]:
    return tuple(text.split(".")) if text else ()
