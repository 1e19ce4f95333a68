"""A memory over HTTP, from the first note to its forgetting."""

from __future__ import annotations

import asyncio
import json

import pytest

from agentmem.integrations.server import Access

PORTO = {"content": "Ana lives in Porto."}


async def stored(client, content="Ana lives in Porto.", **more):
    answer = await client.post("/v1/notes", json={"content": content, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def test_a_walk_from_remembering_to_forgetting(served):
    ana, clock = served.of("ana"), served.clock
    first = await stored(ana, tags=["home"], importance=0.9)
    clock.advance(hours=1)
    second = await stored(ana, "Ana works in Porto as a nurse.")
    found = (await ana.post("/v1/recall", json={"query": "Where does Ana live?", "context_tokens": 200})).json()
    changed = (await ana.patch(f"/v1/notes/{second}", json={"content": "Ana works in Braga.", "tags": ["work"]})).json()
    await ana.post("/v1/links", json={"source": first, "target": second, "reason": "both are hers"})
    why = (await ana.get(f"/v1/notes/{first}/why-linked/{second}")).json()
    dry = (await ana.delete(f"/v1/notes/{first}", params={"dry_run": True})).json()
    receipt = (await ana.delete(f"/v1/notes/{first}")).json()

    assert found["hits"][0]["note"]["id"] == first
    assert "Ana lives in Porto." in found["context"]
    assert changed["reason"].startswith("version 2")
    assert [v["content"] for v in (await ana.get(f"/v1/notes/{second}/history")).json()["versions"]] == [
        "Ana works in Porto as a nurse.", "Ana works in Braga.",
    ]  # fmt: skip
    assert any(link["reason"] == "both are hers" for step in why["steps"] for link in step)
    assert dry["dry_run"]
    assert dry["places"]["notes"] == 1
    assert receipt["gone"]
    assert receipt["ids"] == [first]
    assert (await ana.get(f"/v1/notes/{first}")).status_code == 404


async def test_what_was_answered_elsewhere_is_evidence_of_the_note(served):
    ana, ben = served.of("ana"), served.of("ben")
    id = await stored(ana)
    said = await ana.post("/v1/answers", json={"question": "Where is Ana?", "answer": "In Porto.", "notes": [id]})

    assert said.status_code == 204
    (kept,) = (await ana.get(f"/v1/notes/{id}/evidence")).json()["evidence"]
    assert (kept["question"], kept["answer"], kept["notes"]) == ("Where is Ana?", "In Porto.", [id])
    assert (await ana.get("/v1/answers")).json()["evidence"] == [kept]
    assert (await ben.get("/v1/answers")).json()["evidence"] == []
    assert (await ana.get(f"/v1/notes/{id}")).json()["recalls"] == 1


async def test_the_life_of_a_note_has_its_curve_words_links_edits_and_places(served):
    ana, clock = served.of("ana"), served.clock
    id = await stored(ana)
    clock.advance(days=3)
    await ana.post("/v1/reinforce", json={"ids": [id]})
    clock.advance(days=10)
    life = (await ana.get(f"/v1/notes/{id}/life", params={"points": 20})).json()

    assert life["note"]["id"] == id
    assert life["curve"]["recalls"] == 1
    assert 0 < life["curve"]["retrievability"] < 1
    strengths = [strength for _, strength in life["curve"]["points"]]
    assert len(strengths) == 20
    assert strengths == sorted(strengths, reverse=True)
    assert [version["content"] for version in life["history"]] == ["Ana lives in Porto."]
    assert life["places"]["notes"] == 1
    assert life["edits"] == []


async def test_a_request_that_is_sent_twice_with_one_key_is_carried_out_once(served):
    ana = served.of("ana")
    headers = {"Idempotency-Key": "order-7"}
    one = (await ana.post("/v1/notes", json=PORTO, headers=headers)).json()
    two = (await ana.post("/v1/notes", json=PORTO, headers=headers)).json()
    both = await ana.post("/v1/notes", json={**PORTO, "idempotency_key": "another"}, headers=headers)

    assert one["id"] == two["id"]
    assert len((await ana.get("/v1/notes")).json()["notes"]) == 1
    assert both.status_code == 422


async def test_pages_of_a_listing_hold_every_note_once_whatever_is_forgotten_meanwhile(served):
    ana = served.of("ana")
    items = [{"content": f"Shelf {n} holds jar {n * 7}.", "merge": False, "tags": ["jar"]} for n in range(23)]
    ids = [r["id"] for r in (await ana.post("/v1/notes/batch", json={"items": items[:15]})).json()["receipts"]]
    served.clock.advance(minutes=5)
    ids += [r["id"] for r in (await ana.post("/v1/notes/batch", json={"items": items[15:]})).json()["receipts"]]
    seen, cursor, where = [], None, json.dumps({"tags": {"$contains": "jar"}})
    while True:
        query = {"limit": 4, "where": where} | ({"cursor": cursor} if cursor else {})
        page = (await ana.get("/v1/notes", params=query)).json()
        seen += [note["id"] for note in page["notes"]]
        cursor = page["next"]
        if len(seen) == 20:  # of another moment than the page ends in
            await ana.delete(f"/v1/notes/{ids[0]}")
        if cursor is None:
            break

    assert seen == ids
    assert [n["id"] for n in (await ana.get("/v1/notes", params={"offset": 20})).json()["notes"]] == ids[21:]
    assert (await ana.get("/v1/notes", params={"cursor": "soon"})).status_code == 422


async def test_records_are_put_got_searched_and_deleted(served):
    ana, ben = served.of("ana"), served.of("ben")
    put = await ana.put("/v1/records/users.ana/pro/file 1", json={"value": {"city": "Porto"}, "ttl": 60})
    many = await ana.post(
        "/v1/records", json={"items": [{"namespace": ["users", "x"], "key": "a", "value": {"city": "Graz"}}]}
    )
    found = await ana.post("/v1/records/search", json={"namespace_prefix": ["users"], "filter": {"city": "Porto"}})
    near = await ana.post("/v1/records/search", json={"query": "Porto", "limit": 1})

    assert put.json()["key"] == "pro/file 1"
    assert put.json()["expires_at"] is not None
    assert many.status_code == 200
    assert [r["key"] for r in found.json()["records"]] == ["pro/file 1"]
    assert near.json()["records"][0]["score"] is not None
    assert (await ana.get("/v1/namespaces")).json() == {"namespaces": [["users", "ana"], ["users", "x"]]}
    assert (await ana.get("/v1/records/users.ana/pro/file%201")).json()["value"] == {"city": "Porto"}
    gone = await ben.get("/v1/records/users.ana/pro/file 1")
    assert (gone.status_code, gone.json()["type"]) == (404, "urn:agentmem:problem:no-such-record")
    assert (await ben.delete("/v1/records/users.ana/pro/file 1")).json()["ids"] == []
    assert (await ana.delete("/v1/records/users.ana/pro/file 1")).json()["gone"]
    assert (await ana.get("/v1/records/users.ana/pro/file 1")).status_code == 404


async def test_a_conversation_is_stored_message_by_message(served):
    ana = served.of("ana")
    said = [{"role": "user", "content": "I moved to Porto."}, {"role": "assistant", "content": "How nice!"}]
    receipts = (await ana.post("/v1/conversations", json={"messages": said})).json()["receipts"]

    assert [receipt["status"] for receipt in receipts] == ["stored", "stored"]


async def test_a_consolidation_is_begun_looked_at_and_told_of(served):
    ana, ben = served.of("ana"), served.of("ben")
    await stored(ana)
    begun = await ana.post("/v1/consolidation/runs", json={"dry_run": True})
    where = begun.headers["Location"]
    for _ in range(200):
        run = (await ana.get(where)).json()
        if run["state"] != "running":
            break
        await asyncio.sleep(0.02)

    assert begun.status_code == 202
    assert run["state"] == "done"
    assert run["report"]["dry_run"]
    assert run["report"]["decisions"]
    assert len((await ana.get("/v1/consolidation/runs")).json()["runs"]) == 1
    assert (await ben.get("/v1/consolidation/runs")).json() == {"runs": []}
    assert (await ben.get(where)).status_code == 404


async def test_a_run_that_fails_says_why_and_the_next_may_begin(served):
    ana = served.of("ana")
    await stored(ana)
    begun = await ana.post("/v1/consolidation/runs", json={})
    await served.app.state.serving.runs.finish()
    run = (await ana.get(begun.headers["Location"])).json()

    assert run["state"] == "failed"
    assert run["problem"]["type"].startswith("urn:agentmem:problem:")
    assert (await ana.post("/v1/consolidation/runs", json={"dry_run": True})).status_code == 202


async def test_an_export_is_read_by_another_memory(served, tmp_path, open_memory):
    ana = served.of("ana")
    await stored(ana)
    await stored(served.of("ben"), "Ben lives in Graz.")
    told = await ana.get("/v1/export")
    (tmp_path / "ana.jsonl").write_bytes(told.content)
    other = open_memory(name="other")

    assert other.load_export(tmp_path / "ana.jsonl", progress=False)
    assert [note.content for note in other.notes(user="ana")] == ["Ana lives in Porto."]
    assert b"Graz" not in told.content


async def test_the_memory_as_a_whole_is_told_to_who_may_name_anyone_alone(served):
    ana, service = served.of("ana"), served.service()
    await stored(ana)
    await stored(served.of("ben"), "Ben lives in Graz.")

    for method, path, body in [
        ("GET", "/v1/stats", None), ("GET", "/v1/users", None), ("GET", "/v1/export/everything", None),
        ("GET", "/v1/consolidation/past", None), ("POST", "/v1/check", {}),
    ]:  # fmt: skip
        refused = await ana.request(method, path, json=body)
        told = await service.request(method, path, params={"shared": True}, json=body)

        assert refused.status_code == 403, path
        assert told.status_code == 200, (path, told.text)
    assert (await service.get("/v1/users?shared=true")).json()["users"] == [
        {"user": "ana", "agent": None}, {"user": "ben", "agent": None},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("right", "method", "path", "body"),
    [
        ("read", "POST", "/v1/recall", {"query": "x"}),
        ("write", "POST", "/v1/notes", PORTO),
        ("forget", "DELETE", "/v1/records/n/none", None),
        ("consolidate", "GET", "/v1/consolidation/runs", None),
    ],
)
async def test_each_right_opens_what_it_says_and_nothing_else(served, right, method, path, body):
    others = frozenset(("read", "write", "forget", "consolidate", "admin")) - {right}
    may = await served.client(Access("may", user="ana", rights=frozenset((right,)))).request(method, path, json=body)
    may_not = await served.client(Access("may not", user="ana", rights=others)).request(method, path, json=body)

    assert may.status_code < 300, may.text
    assert (may_not.status_code, may_not.json()["type"]) == (403, "urn:agentmem:problem:right-missing")


async def test_health_needs_no_token_and_tells_no_secret(served):
    nobody = served.client()
    alive, ready = await nobody.get("/healthz"), await nobody.get("/readyz")

    assert (alive.status_code, ready.status_code) == (200, 200)
    assert set(alive.json()) == {"status", "version"}
    assert ready.json() == {"status": "ok"}


async def test_a_memory_that_cannot_be_read_is_not_ready_and_says_no_path(served, tmp_path):
    await served.memory.close()
    answer = await served.client().get("/readyz")

    assert (answer.status_code, answer.json()["type"]) == (503, "urn:agentmem:problem:store-error")
    assert "Retry-After" in answer.headers
    assert str(tmp_path) not in answer.text


async def test_a_served_memory_that_is_read_only_says_so(serve):
    await stored(serve().of("ana"))
    reading = serve(read_only=True).of("ana")
    refused = await reading.post("/v1/notes", json=PORTO)

    assert (refused.status_code, refused.json()["type"]) == (409, "urn:agentmem:problem:store-read-only")
    assert len((await reading.get("/v1/notes")).json()["notes"]) == 1


async def test_without_tokens_everything_within_the_scope_of_the_command_line(serve, tmp_path, clock):
    import httpx

    from agentmem import Scope
    from agentmem.aio import AsyncMemory
    from agentmem.integrations.server import make_app

    async with AsyncMemory(tmp_path / "own", embedder="hash", clock=clock, scope=Scope(user="ana")) as memory:
        app = make_app(memory, tokens=None, access=Access.local(Scope(user="ana")))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            stored_ = await client.post("/v1/notes", json=PORTO)
            other = await client.get("/v1/notes", params={"user": "ben"})
            stats = await client.get("/v1/stats")

    assert stored_.status_code == 201
    assert other.status_code == 403
    assert stats.json()["notes"] == 1
    assert "bytes" not in stats.json()  # those are everybody's
