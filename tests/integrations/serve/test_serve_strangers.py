"""What a stranger found who had the pages and no code: each of it stays mended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentmem.aio import AsyncMemory
from agentmem.errors import InvalidArgument
from agentmem.integrations.auth.tokens import Tokens
from agentmem.integrations.server import Access, make_app

CODE = "The code of the garage is plumtango seven."


async def note(client, content: str, **query: str) -> str:
    return (await client.post("/v1/notes", params=query, json={"content": content})).json()["id"]


async def test_a_token_for_a_session_changes_nothing_outside_of_it(served):
    service, monday = served.service(), served.of("ana", session="monday")
    anywhere = await note(service, "Ana keeps her will in the attic.", user="ana")
    mine = await note(monday, "The train leaves at nine.")

    assert (
        await monday.get(f"/v1/notes/{anywhere}")
    ).status_code == 200  # what is of no session is every session's to read
    assert (await monday.patch(f"/v1/notes/{anywhere}", json={"content": "In the bin."})).status_code == 404
    assert (await monday.delete(f"/v1/notes/{anywhere}")).status_code == 404
    assert (await monday.post("/v1/forget", json={"ids": [anywhere]})).status_code == 404
    assert (await monday.post("/v1/links", json={"source": mine, "target": anywhere})).status_code == 404
    assert (await monday.delete(f"/v1/notes/{mine}")).status_code == 200
    assert (await service.get(f"/v1/notes/{anywhere}", params={"user": "ana"})).json()["version"] == 1


@pytest.mark.parametrize("narrow", [{"session": "monday"}, {"agent": "bot"}])
async def test_a_narrowed_token_learns_nothing_of_notes_that_it_may_not_read(served, narrow):
    """No id, no likeness and no existence of them, whatever it writes."""
    service, mine = served.service(), served.of("ana", **narrow)
    elsewhere = dict.fromkeys(narrow, "other")
    hidden = await note(service, CODE, user="ana", **elsewhere)
    home = await note(service, "Ana lives in Braga.", user="ana", **elsewhere)

    assert (await mine.get(f"/v1/notes/{hidden}")).status_code == 404
    made = [
        await mine.post("/v1/notes", json={"content": CODE}),
        await mine.post("/v1/notes", json={"content": "Ana lives in Faro."}),
        await mine.post("/v1/notes/batch", json={"items": [{"content": f"{CODE} Really."}]}),
        await mine.post("/v1/conversations", json={"messages": [{"role": "user", "content": CODE}]}),
    ]
    assert [each.status_code for each in made] == [201] * 4
    assert not any(id in each.text for id in (hidden, home) for each in made)
    derived = [
        await mine.post("/v1/notes", json={"content": "x", "derived_from": [id]})
        for id in (hidden, hidden[:-4] + "0000")
    ]
    assert [each.status_code for each in derived] == [404, 404]


async def test_names_that_are_not_utf8_are_refused_and_mix_nobody_up(served):
    service = served.service()
    for url in ("/v1/notes?user=Ren%E9", "/v1/records/ns/k%E9?user=ana", "/v1/records/ns/a%0A?user=ana"):
        answer = await service.get(url)
        assert (answer.status_code, answer.json()["type"]) == (400, "urn:agentmem:problem:unreadable-address"), url
    assert (await service.get("/v1/notes?user=Ren%C3%A9")).json()["notes"] == []


async def test_what_was_not_stored_is_not_answered_as_created(served):
    ana, once = served.of("ana"), {"Idempotency-Key": "K1"}
    first = await ana.post("/v1/notes", json={"content": "One."}, headers=once)
    again = await ana.post("/v1/notes", json={"content": "One."}, headers=once)
    other = await ana.post("/v1/notes", json={"content": "Two."}, headers=once)
    talks = [
        await ana.post("/v1/conversations", json={"messages": [{"role": "user", "content": said}]}, headers=once)
        for said in ("Three.", "Four.")
    ]

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]
    assert (other.status_code, *(talk.status_code for talk in talks)) == (409, 201, 409)
    assert other.json()["type"] == "urn:agentmem:problem:write-rejected"
    assert "K1" in other.json()["detail"]


async def test_to_forget_by_what_notes_say_one_must_be_able_to_read_them(served):
    ana, eraser = served.of("ana"), served.client(Access("eraser", user="ana", rights=frozenset(["forget"])))
    id = await note(ana, "pincode=7351!")
    asked = {"where": {"content": {"$contains": "pincode=7"}}, "dry_run": True}

    assert (await eraser.post("/v1/forget", json=asked)).status_code == 403
    assert (await ana.post("/v1/forget", json=asked)).json()["ids"] == [id]
    assert (await eraser.post("/v1/forget", json={"ids": [id]})).json()["gone"] is True


@pytest.mark.parametrize("offset", [2**63 - 1, 2**200])
async def test_an_offset_beyond_all_notes_is_refused(served, offset):
    ana = served.of("ana")
    for path, body in (("records/search", {}), ("recall", {"query": "x"})):
        assert (await ana.post(f"/v1/{path}", json={**body, "offset": offset})).status_code == 422


async def test_an_export_lies_in_no_file_with_a_name(served, tmp_path, monkeypatch):
    """A server that is killed meanwhile leaves nothing behind."""
    ana, folder = served.of("ana"), tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    await note(ana, CODE)
    seen: list[list[Path]] = []
    export = served.memory.export

    async def watched(*args, **kwargs):
        made = await export(*args, **kwargs)
        seen.append(list(folder.rglob("*")))
        return made

    monkeypatch.setattr(served.memory, "export", watched, raising=False)
    answer = await ana.get("/v1/export")

    lines = answer.text.splitlines()
    assert seen == [[]]
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert any(json.loads(line).get("content") == CODE for line in lines)


async def test_with_the_first_token_nobody_is_let_in_without_one(served, tmp_path, clock):
    """A server that began without tokens as well."""
    held = Tokens(tmp_path / "first.json", clock=clock)
    served.app = make_app(served.memory, tokens=None, first_tokens=held)
    anybody = served.client()
    before = await anybody.get("/v1/notes")
    token, _ = held.add(Access("ana", user="ana"))
    after = await anybody.get("/v1/notes")
    signed = await served.client(Authorization=f"Bearer {token}").get("/v1/notes")
    held.path.unlink()

    assert (before.status_code, after.status_code, signed.status_code) == (200, 401, 200)
    assert (await anybody.get("/v1/notes")).status_code == 401  # and a file that is gone opens nothing


async def test_who_may_look_at_the_whole_need_name_nobody(served):
    service = served.service()
    await note(service, CODE, user="ana")

    assert [each["user"] for each in (await service.get("/v1/users")).json()["users"]] == ["ana"]
    assert (await service.get("/v1/stats")).json()["notes"] == 1
    assert (await service.post("/v1/check", json={})).json()["ok"] is True
    assert CODE in (await service.get("/v1/export/everything")).text
    assert (await served.of("ana").get("/v1/stats")).status_code == 403


async def test_a_server_that_cannot_embed_what_it_is_asked_is_not_ready(served, tmp_path):
    await note(served.of("ana"), CODE)
    await served.memory.close()
    async with AsyncMemory(tmp_path / "memory", embedder=lambda texts: [[1.0, float(len(t))] for t in texts]) as other:
        served.app = make_app(other, tokens=served.tokens)
        answer = await served.client().get("/readyz")

    assert (answer.status_code, answer.json()["type"]) == (503, "urn:agentmem:problem:embedder-mismatch")


def test_a_label_is_one_line():
    with pytest.raises(InvalidArgument):
        Access("evil\n{}", user="ana")


async def test_every_status_of_the_proxy_and_of_metrics_is_described(serve, tmp_path):
    app = make_app(serve().memory, tokens=None, upstream="local", metrics=True)
    paths = app.openapi()["paths"]

    assert {"401", "404", "413", "502", "504"} <= set(paths["/openai/v1/chat/completions"]["post"]["responses"])
    assert {"401", "403"} <= set(paths["/metrics"]["get"]["responses"])
