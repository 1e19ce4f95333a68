"""What /openapi.json describes is what is there: valid, with examples, every status reachable, and none that is not described."""

from __future__ import annotations

import re
from typing import Any

import pytest

from agentmem.integrations.server import Access, Limits

METHODS = ("get", "post", "put", "patch", "delete")
BODIES: dict[str, Any] = {
    "post /v1/notes": {"content": "Ana keeps bees."},
    "post /v1/notes/batch": {"items": [{"content": "Ana keeps hens."}]},
    "post /v1/conversations": {"messages": [{"role": "user", "content": "I keep cats."}]},
    "patch /v1/notes/{id}": {"tags": ["x"]},
    "post /v1/forget": {"where": {"tags": {"$contains": "never"}}},
    "post /v1/links": {"source": "FIRST", "target": "SECOND"},
    "post /v1/recall": {"query": "Porto"},
    "post /v1/ask": {"question": "Where does Ana live?"},
    "post /v1/reinforce": {"ids": ["FIRST"]},
    "post /v1/answers": {"question": "Where?", "answer": "Porto.", "notes": ["FIRST"]},
    "put /v1/records/{namespace}/{key}": {"value": {"a": "b"}},
    "post /v1/records": {"items": [{"namespace": ["n"], "key": "k", "value": {"a": "b"}}]},
    "post /v1/records/search": {"query": "b"},
    "post /v1/consolidation/runs": {"dry_run": True},
    "post /v1/consolidation/undo": {"dry_run": True},
    "post /v1/check": {},
}
QUERIES = {"get /v1/notes/{id}/why-not": {"query": "Porto"}}
LAST = ("delete /v1/notes/{id}", "delete /v1/records/{namespace}/{key}")
NEED_A_MODEL = ("post /v1/ask", "post /v1/consolidation/undo")
"""What succeeds here only with a model, and with what it was taught."""
WHOLE = ("/v1/stats", "/v1/users", "/v1/check", "/v1/export/everything", "/v1/consolidation/past", "/v1/doctor")


def operations(told: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f"{m} {path}": each for path, ways in told["paths"].items() for m, each in ways.items() if m in METHODS}


def refs(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(refs, value.values()))
    return set().union(*map(refs, value)) if isinstance(value, list) else set()


@pytest.fixture
async def described(serve):
    served = serve(Limits(body=20_000, heavy=1))
    told = (await served.client().get("/openapi.json")).json()
    return served, told


async def test_the_description_is_sound(described):
    """OpenAPI 3.1 by its shape: names are unique, references lead somewhere, what a path holds is described, examples fit."""
    _, told = described
    found = operations(told)
    ids = [each["operationId"] for each in found.values()]

    assert told["openapi"].startswith("3.1")
    assert len(found) > 35
    assert len(set(ids)) == len(ids)
    for ref in refs(told):
        at: Any = told
        for step in ref.removeprefix("#/").split("/"):
            at = at[step]
    for name, each in found.items():
        parameters = each.get("parameters", [])
        in_path = {p["name"] for p in parameters if p["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", name)), name
        assert each["summary"]
        for status, answer in each["responses"].items():
            assert answer["description"], (name, status)
            for kind, content in answer.get("content", {}).items():
                assert kind == ("application/json" if status < "3" else "application/problem+json"), (name, status)
                assert "example" in content or name.endswith(("healthz", "readyz")), (name, status)


async def test_every_schema_of_a_body_refuses_what_it_does_not_know(described):
    _, told = described
    for name, schema in told["components"]["schemas"].items():
        if name != "Problem":
            assert schema["additionalProperties"] is False, name


class Walker:
    """Sends each operation as it is described, and wrong in every way that it says it may be."""

    def __init__(self, served, told) -> None:
        self.served, self.found = served, operations(told)
        self.full = served.of("ana")
        self.none = served.client()
        self.service = served.service()

    async def begin(self) -> None:
        self.ids = {}
        for name, words in (("FIRST", "Ana lives in Porto."), ("SECOND", "Ana works in Porto.")):
            self.ids[name] = (await self.full.post("/v1/notes", json={"content": words})).json()["id"]
        await self.full.put("/v1/records/n/k", json={"value": {"a": "b"}})
        began = await self.full.post("/v1/consolidation/runs", json={"dry_run": True})
        await self.served.app.state.serving.runs.finish()
        self.run = began.json()["id"]

    def _named(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._named(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._named(each) for each in value]
        return self.ids.get(value, value) if isinstance(value, str) else value

    async def send(self, name: str, client=None, *, unknown=False, query=None, **sent: Any):
        method, path = name.split(" ")
        run = "/runs/" in path
        there = {
            "id": self.run if run else self.ids["FIRST"],
            "other": self.ids["SECOND"],
            "namespace": "n",
            "key": "k",
        }
        gone = {"id": "nobody", "other": "nobody", "namespace": "n", "key": "none"}
        url = path.format(**(gone if unknown else there))
        body = BODIES.get(name)
        if not sent and body is not None:
            ids = {} if unknown else self.ids
            sent = {"json": self._named(body) if ids else body}
            if unknown and "where" in body:
                sent = {"json": {"ids": ["nobody"]}}
            if unknown and path == "/v1/notes":
                sent = {"json": {"content": "Made of it.", "derived_from": ["nobody"]}}
        params = {**QUERIES.get(name, {}), **(query or {})}
        if unknown and path == "/v1/graph":
            params["around"] = "nobody"
        return await (client or self.full).request(method, url, params=params, **sent)

    async def provoke(self, name: str, status: str):
        """The answer of an operation that is asked so that it answers with a status."""
        serving = self.served.app.state.serving
        whole = {"client": self.service, "query": {"shared": "true"}} if name.split(" ")[1] in WHOLE else {}
        if status < "3":
            return await self.send(name, **whole)
        if status == "429":
            async with serving.heavy.take():
                return await self.send(name, **whole)
        if status == "400" and whole:  # these need not be told whose notes are meant
            return await self.send(name, self.service, content=b"{", headers={"Content-Type": "application/json"})
        if status == "409" and name == "post /v1/notes":
            for words in ("One thing.", "Another."):
                answer = await self.send(name, json={"content": words}, headers={"Idempotency-Key": "once"})
            return answer
        if status == "409":
            if name.endswith("undo"):
                return await self.send(name)
            serving.runs.all()[-1].state = "running"
            answer = await self.send(name)
            serving.runs.all()[-1].state = "done"
            return answer
        wrong = {
            "400": {"client": self.service}, "401": {"client": self.none}, "403": {"query": {"user": "ben"}}, "404": {"unknown": True},
            "413": {"content": b"x" * 30_000, "headers": {"Content-Type": "application/json"}},
            "415": {"content": b"{}", "headers": {"Content-Type": "text/plain"}}, "422": {"query": {"nonsense": "1"}}, "503": {},
        }[status]  # fmt: skip
        return await self.send(name, **wrong)


async def test_every_status_that_is_described_can_be_met_and_looks_as_described(described):
    served, told = described
    walker = Walker(served, told)
    await walker.begin()
    missing = []
    for name in sorted(walker.found, key=lambda each: each in LAST):
        statuses = sorted(
            walker.found[name]["responses"].keys() - {"default"}, reverse=True
        )  # what succeeds comes last: it may forget
        for status in statuses:
            if name in NEED_A_MODEL and status == "200":
                continue
            answer = await walker.provoke(name, status)
            if answer.status_code != int(status):
                missing.append((name, status, answer.status_code, answer.text[:200]))
            if status >= "4":
                assert answer.headers["Content-Type"] == "application/problem+json", name
                assert answer.json()["status"] == answer.status_code

    assert missing == []


async def test_what_a_token_lacks_is_said_for_every_operation_alike(described):
    """No operation is open that is not about health or the description."""
    served, told = described
    nobody = served.client()
    for name in operations(told):
        method, path = name.split(" ")
        answer = await nobody.request(method, path)
        assert (answer.status_code == 401) == path.startswith("/v1"), name


async def test_an_answer_comes_from_a_model_and_says_from_where(serve):
    def scripted(messages, **options):
        return "Porto."

    ana = serve(llm=scripted).client(Access("ana", user="ana"))
    await ana.post("/v1/notes", json={"content": "Ana lives in Porto."})
    answer = await ana.post("/v1/ask", json={"question": "Where does Ana live?", "use": "notes"})

    assert answer.status_code == 200, answer.text
    assert answer.json()["text"] == "Porto."
    assert answer.json()["source"] == "notes"
