"""What is shared, asked for by who may name anyone and names nobody; and what a token is, asked by its bearer."""

from __future__ import annotations

import pytest

from agentmem.integrations.server import Access

SHARED = {"shared": "true"}


@pytest.fixture
async def both(served):
    """A program that serves many, with one shared note and one of ana's."""
    service = served.service()
    shared = (await service.post("/v1/notes", params=SHARED, json={"content": "The office closes at six."})).json()
    hers = (await service.post("/v1/notes", params={"user": "ana"}, json={"content": "Ana leaves at five."})).json()
    return service, shared["id"], hers["id"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/notes", None),
        ("GET", "/v1/newest", None),
        ("GET", "/v1/notes/{id}", None),
        ("GET", "/v1/notes/{id}/life", None),
        ("GET", "/v1/notes/{id}/history", None),
        ("GET", "/v1/graph", None),
        ("GET", "/v1/overview", None),
        ("GET", "/v1/export", None),
        ("POST", "/v1/recall", {"query": "When does the office close?", "k": "all"}),
    ],
)
async def test_shared_notes_are_read_beside_those_of_users_and_alone(both, method, path, body):
    service, shared, _ = both

    answer = await service.request(method, path.format(id=shared), params=SHARED, json=body)

    assert answer.status_code == 200, answer.text
    assert "six" in answer.text or answer.json()["notes"] == 1
    assert "five" not in answer.text


async def test_a_shared_note_is_changed_and_forgotten_and_nobody_elses(both):
    service, shared, hers = both
    for method, body in (("PATCH", {"tags": ["hours"]}), ("DELETE", None)):
        refused = await service.request(method, f"/v1/notes/{hers}", params=SHARED, json=body)
        done = await service.request(method, f"/v1/notes/{shared}", params=SHARED, json=body)
        assert (refused.status_code, done.status_code) == (404, 200)
    everything = {"where": {"content": {"$exists": True}}}
    gone = await service.post("/v1/forget", params=SHARED, json=everything)

    assert gone.status_code == 200, gone.text
    assert gone.json()["ids"] == []
    assert (await service.get(f"/v1/notes/{hers}", params={"user": "ana"})).status_code == 200


async def test_who_names_nobody_is_still_asked_whose_and_the_hint_cures(both):
    service, *_ = both
    asked = await service.get("/v1/notes")

    assert asked.status_code == 400
    assert "?shared=true" in asked.json()["hint"]
    assert (await service.get("/v1/notes", params=SHARED)).status_code == 200
    assert (await service.get("/v1/notes")).status_code == 400  # the word holds for its own request


@pytest.mark.parametrize(
    "access",
    [
        Access("service", anyone=True),
        Access("writer", anyone=True, rights=frozenset({"write"})),
        Access("ana", user="ana", session="monday", rights=frozenset({"forget"})),
    ],
)
async def test_a_token_says_what_it_is_without_a_name_and_with_any_right(served, access):
    told = (await served.client(access).get("/v1/me")).json()

    whose = {name: getattr(access, name) for name in ("label", "user", "agent", "session", "anyone")}
    assert told == {**whose, "rights": sorted(access.rights)}


async def test_nobody_is_told_nothing_and_no_other_name_is_said_to_be_free(served):
    assert (await served.client().get("/v1/me")).status_code == 401
    assert (await served.of("ana").get("/v1/me", params={"user": "ben"})).status_code == 403
