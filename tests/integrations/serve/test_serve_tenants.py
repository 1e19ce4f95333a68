"""Two tenants of one directory: whatever one sends, nothing of the other comes back, and nothing of the other changes."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

if not os.environ.get("AGENTMEM_FRAMEWORKS"):
    pytest.importorskip("fastapi")

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentmem.aio import AsyncMemory
from agentmem.integrations.auth.access import RIGHTS
from agentmem.integrations.server import Access, Tokens, make_app

SECRET = "zirconium"
OWNERS = [{"user": "ben"}, {"user": "ana", "agent": "ben"}, {"agent": "ben"}, {"user": "Ana"}]
"""Whose the secret is, beside the user ana, who asks; the second differs from her by the agent alone."""
NAMES = st.sampled_from(
    ["user", "agent", "session", "shared", "id", "where", "cursor", "around", "prefix", "label", "owner", "scope"]
)
WORDS = st.sampled_from(
    ["ben", "ana", "Ana", "*", "%", "", "true", "null", "ben' OR 1=1 --", "../ben", "ana,ben", SECRET]
)
FIELDS = st.sampled_from(
    ["user", "agent", "session", "id", "content", "kind", "tags", "metadata.user", "actor", "thread"]
)
TESTS = st.one_of(
    WORDS,
    st.fixed_dictionaries(
        {}, optional={"$ne": WORDS, "$in": st.lists(WORDS, max_size=3), "$contains": WORDS, "$exists": st.booleans()}
    ),
)
FILTERS = st.recursive(
    st.dictionaries(FIELDS, TESTS, max_size=3),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"$or": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"$not": inner}),
        st.fixed_dictionaries({"$and": st.lists(inner, min_size=1, max_size=3)}),
    ),
    max_leaves=4,
)
HEADERS = st.dictionaries(
    st.sampled_from(["X-User", "X-Forwarded-User", "Idempotency-Key", "X-Request-ID", "Cookie", "X-Original-URL", "X-HTTP-Method-Override"]),
    st.sampled_from(["ben", "user=ben", "theirs", "/v1/notes?user=ben", "DELETE"]), max_size=2,
)  # fmt: skip


@st.composite
def requests(draw) -> dict[str, Any]:
    """One request of ana's, on any route, with whatever may lead to the other."""
    theirs = "{theirs}"
    where, word = draw(FILTERS), draw(WORDS)
    method, path, body = draw(st.sampled_from([
        ("GET", "/v1/notes", None), ("GET", f"/v1/notes/{theirs}", None), ("GET", f"/v1/notes/{theirs}/history", None),
        ("GET", f"/v1/notes/{theirs}/life", None), ("GET", f"/v1/notes/{theirs}/evidence", None), ("GET", "/v1/answers", None),
        ("GET", f"/v1/notes/{theirs}/why-linked/{{mine}}", None), ("GET", f"/v1/notes/{{mine}}/why-linked/{theirs}", None),
        ("GET", f"/v1/notes/{theirs}/why-not", None), ("GET", "/v1/graph", None), ("GET", "/v1/edits", None), ("GET", "/v1/export", None),
        ("GET", "/v1/export/everything", None), ("GET", "/v1/users", None), ("GET", "/v1/stats", None), ("GET", "/v1/namespaces", None),
        ("GET", "/v1/records/their/key", None), ("DELETE", "/v1/records/their/key", None), ("GET", "/v1/consolidation/past", None),
        ("GET", "/v1/consolidation/status", None), ("GET", "/v1/consolidation/runs/{run}", None),
        ("POST", "/v1/recall", {"query": SECRET, "where": where, "k": "all", "context_tokens": 1000}),
        ("POST", "/v1/recall", {"query": SECRET, "faded": True, "score": "cosine", "min_score": -1.0}),
        ("POST", "/v1/records/search", {"query": SECRET, "filter": where if "$not" not in where else {}, "unscored": True}),
        ("POST", "/v1/records/search", {"namespace_prefix": ["their"]}),
        ("PUT", "/v1/records/their/key", {"value": {"word": "mine"}}),
        ("POST", "/v1/notes", {"content": f"What of {word}?", "derived_from": [theirs]}),
        ("POST", "/v1/notes", {"content": f"The word is {SECRET[:4]}.", "metadata": {"user": "ben"}, "idempotency_key": "theirs"}),
        ("PATCH", f"/v1/notes/{theirs}", {"content": "Overwritten."}), ("DELETE", f"/v1/notes/{theirs}", None),
        ("POST", "/v1/forget", {"ids": [theirs]}), ("POST", "/v1/forget", {"ids": ["{mine}", theirs], "dry_run": True}),
        ("POST", "/v1/forget", {"where": where, "dry_run": True}), ("POST", "/v1/forget", {"where": {"$or": [where, {"user": "ben"}]}}),
        ("POST", "/v1/links", {"source": "{mine}", "target": theirs}), ("POST", "/v1/reinforce", {"ids": [theirs]}),
        ("POST", "/v1/answers", {"question": "What is the word?", "answer": "Mine.", "notes": [theirs]}),
    ]))  # fmt: skip
    query = dict(draw(st.lists(st.tuples(NAMES, WORDS), max_size=2)))
    if path == "/v1/notes" and method == "GET" and draw(st.booleans()):
        query = {"where": json.dumps(where)}
    if path.endswith("why-not"):
        query["query"] = SECRET
    return {"method": method, "path": path, "json": body, "params": query, "headers": draw(HEADERS)}


class Tenants:
    """A directory that ana and others share, for all the examples of the property: what is sent may pile up."""

    def __init__(self, loop: asyncio.AbstractEventLoop, folder: Path) -> None:
        self.loop = loop
        tokens = Tokens(folder / "tokens.json")
        self.token = tokens.add(Access("ana", user="ana", agent="helper", rights=frozenset(RIGHTS)))[0]
        self.service = tokens.add(Access("service", anyone=True, rights=frozenset(RIGHTS)))[0]
        self.memory = AsyncMemory(folder / "memory", embedder="hash")
        self.app = make_app(self.memory, tokens=tokens)
        self.mine, self.theirs, self.run = "", [], ""
        loop.run_until_complete(self._fill())

    def client(self, token: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app),
            base_url="http://localhost",
            headers={"Authorization": f"Bearer {token}"},
        )

    async def _fill(self) -> None:
        async with self.client(self.token) as ana, self.client(self.service) as service:
            self.mine = (await ana.post("/v1/notes", json={"content": "Ana lives in Porto."})).json()["id"]
            for n, owner in enumerate(OWNERS):
                note = {"content": f"The word number {n} is {SECRET}.", "tags": [SECRET], "idempotency_key": "theirs"}
                stored = await service.post("/v1/notes", params=owner, json=note)
                self.theirs.append(stored.json()["id"])
                record = {"value": {"word": SECRET}}
                await service.put("/v1/records/their/key", params=owner, json=record)
                answered = {"question": "What is the word?", "answer": SECRET, "notes": [self.theirs[-1]]}
                await service.post("/v1/answers", params=owner, json=answered)
            began = await service.post("/v1/consolidation/runs", params={"user": "ben"}, json={"dry_run": True})
            await self.app.state.serving.runs.finish()
            self.run = began.json()["id"]

    async def others(self) -> list[Any]:
        """All that the others have, as they see it."""
        told = []
        async with self.client(self.service) as service:
            for owner in OWNERS:
                for path in ("/v1/notes", "/v1/answers", "/v1/records/their/key"):
                    held = (await service.get(path, params=owner)).json()
                    if path == "/v1/notes":
                        held = [
                            note for note in held["notes"] if note["id"] in self.theirs or SECRET in note["content"]
                        ]
                    told.append(held)
        return told

    def named(self, value: Any, theirs: str) -> Any:
        if isinstance(value, str):
            return value.replace("{theirs}", theirs).replace("{mine}", self.mine).replace("{run}", self.run)
        if isinstance(value, dict):
            return {key: self.named(each, theirs) for key, each in value.items()}
        return [self.named(each, theirs) for each in value] if isinstance(value, list) else value

    async def send(self, asked: dict[str, Any], theirs: str) -> httpx.Response:
        async with self.client(self.token) as ana:
            return await ana.request(
                asked["method"], self.named(asked["path"], theirs), params=asked["params"],
                headers=asked["headers"], json=self.named(asked["json"], theirs),
            )  # fmt: skip

    def close(self) -> None:
        self.loop.run_until_complete(self.memory.close())


@pytest.fixture(scope="module")
def tenants():
    with asyncio.Runner() as runner, tempfile.TemporaryDirectory() as folder:
        made = Tenants(runner.get_loop(), Path(folder))
        yield made
        made.close()


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(asked=requests(), whose=st.integers(0, len(OWNERS) - 1))
def test_nothing_of_another_comes_back_whatever_is_sent(tenants: Tenants, asked: dict[str, Any], whose: int):
    answer = tenants.loop.run_until_complete(tenants.send(asked, tenants.theirs[whose]))
    echo = json.dumps(tenants.named(asked["json"], tenants.theirs[whose])) + json.dumps(asked["params"])

    assert answer.status_code < 500, answer.text
    if answer.status_code < 400:
        told = answer.text.replace(json.dumps(SECRET), "") if SECRET in echo else answer.text
        assert f"is {SECRET}" not in told, (asked, told)
        assert not any(id in told for id in tenants.theirs), (asked, told)


def test_nothing_of_another_was_changed(tenants: Tenants):
    """After all of the above: as on the first day, but for what reading leaves."""
    notes = [held for held in tenants.loop.run_until_complete(tenants.others()) if isinstance(held, list)]
    records = [held["value"] for held in tenants.loop.run_until_complete(tenants.others()) if "value" in held]

    assert all(id in {note["id"] for note in held} for id, held in zip(tenants.theirs, notes, strict=True))
    for held in notes:
        for note in held:
            if note["id"] in tenants.theirs:
                assert (note["version"], note["tags"], note["recalls"]) == (1, [SECRET], 1)
    assert records == [{"word": SECRET}] * len(OWNERS)
