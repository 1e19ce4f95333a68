"""Requests that are wrong, too large, too deep, sent by another page, or to another name: each refused with its problem, none carried out."""

from __future__ import annotations

import asyncio
import logging

import httpx
import pytest

from agentmem.integrations.auth.door import check_address
from agentmem.integrations.server import Access, Limits, make_app

JSON = {"Content-Type": "application/json"}


BODIES = [
    (b"{", JSON, 400, "unreadable-body"),
    (b"", JSON, 422, "invalid-request"),
    (b"[]", JSON, 422, "invalid-request"),
    (b'{"content": "\xff"}', JSON, 400, "unreadable-body"),
    (b'{"content": "x", "importance": NaN}', JSON, 400, "unreadable-body"),
    (b'{"content": "x", "metadata": {"a": -Infinity}}', JSON, 400, "unreadable-body"),
    (b'{"content": "x", "content": "y"}', JSON, 400, "unreadable-body"),
    (b'{"content": "x", "importance": 1e999}', JSON, 422, "invalid-request"),
    (b'{"content": "x", "metadata": {"a": ' + b"9" * 5000 + b"}}", JSON, 400, "unreadable-body"),
    (b'{"content": "x", "metadata": {"a": ' + b"[" * 120 + b"]" * 120 + b"}}", JSON, 400, "unreadable-body"),
    (b"[" * 200_000, JSON, 400, "unreadable-body"),
    (b'{"content": "' + b"x" * 250_000 + b'"}', JSON, 413, "content-too-large"),
    (b'{"content": "x"}', {"Content-Type": "text/plain"}, 415, "unsupported-media-type"),
    (b'{"content": "x"}', {"Content-Type": "application/x-www-form-urlencoded"}, 415, "unsupported-media-type"),
    (b'{"content": "x"}', {}, 415, "unsupported-media-type"),
    (b'{"content": "x", "user": "ben"}', JSON, 422, "invalid-request"),
    (b'{"content": "x", "trust": "1"}', JSON, 422, "invalid-request"),
    (b'{"content": "x", "importance": "0.5"}', JSON, 422, "invalid-request"),
    (b'{"content": "  "}', JSON, 422, "invalid-note"),
    (b'{"content": "x", "occurred_at": "soon"}', JSON, 422, "invalid-argument"),
    (b'{"content": "x", "derived_from": ["nobody"]}', JSON, 404, "unknown-note"),
]


DOORS = [
    ({"Host": "evil.example"}, 421),
    ({"Host": "127.0.0.1.evil.example"}, 421),
    ({"Host": "user@localhost"}, 421),
    ({"Host": ""}, 421),
    ({"Host": "localhost:99999"}, 421),
    ({"Host": "[::1]:8642"}, 200),
    ({"Host": "LOCALHOST:1"}, 200),
    ({"Host": "memory.example"}, 200),
    ({"Origin": "null"}, 403),
    ({"Origin": "http://evil.example"}, 403),
    ({"Origin": "http://localhost:1"}, 403),
    ({"Origin": "http://localhost.evil.example"}, 403),
    ({"Origin": "file://"}, 403),
    ({"Origin": "http://localhost"}, 200),
    ({"Host": "localhost:8642", "Origin": "http://localhost:8642"}, 200),
    ({"Origin": "https://app.example"}, 200),
]


async def nothing_is_stored(client) -> bool:
    return (await client.get("/v1/notes")).json()["notes"] == []


async def test_a_body_that_is_wrong_is_refused_with_its_problem(serve):
    ana = serve(Limits(body=250_000)).of("ana")
    for body, headers, status, type_ in BODIES:
        answer = await ana.post("/v1/notes", content=body, headers=headers)

        assert (answer.status_code, answer.json()["type"]) == (status, f"urn:agentmem:problem:{type_}"), body[:80]
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["request_id"] == answer.headers["X-Request-ID"]
    assert await nothing_is_stored(ana)


async def test_a_body_of_unknown_length_is_cut_off_at_the_limit(serve):
    ana, sent = serve(Limits(body=10_000)).of("ana"), 0

    async def endless():
        nonlocal sent
        while sent < 50_000_000:
            sent += 1000
            yield b"x" * 1000

    answer = await ana.post("/v1/notes", content=endless(), headers=JSON)

    assert answer.status_code == 413
    assert sent < 1_000_000


async def test_a_value_that_is_refused_is_not_repeated(served):
    answer = await served.of("ana").post("/v1/notes", json={"content": 7, "hunter2": "secret"})

    assert answer.status_code == 422
    assert "secret" not in answer.text
    assert {each["where"] for each in answer.json()["errors"]} == {"body.content", "body.hunter2"}


async def test_another_name_or_another_page_is_refused(served):
    """A page that has its own name pointed at this machine, and one that sends requests from elsewhere."""
    app = make_app(served.memory, tokens=None, hosts=["memory.example"], origins=["https://app.example"])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        for headers, status in DOORS:
            answer = await client.get("/v1/notes", headers=headers)

            assert answer.status_code == status, (headers, answer.text)
            assert not any(name.lower().startswith("access-control") for name in answer.headers)
        for site, method, status in (
            ("cross-site", "POST", 403), ("same-site", "DELETE", 403), ("same-origin", "POST", 422), ("none", "POST", 422),
            ("cross-site", "GET", 200),  # a link that somebody follows
        ):  # fmt: skip
            answer = await client.request(method, "/v1/notes", headers={"Sec-Fetch-Site": site, **JSON})

            assert answer.status_code == status, (site, method)


async def test_unknown_routes_and_methods_are_problems_too(served):
    ana = served.of("ana")
    unknown, method = await ana.get("/v1/nothing"), await ana.delete("/v1/recall")

    assert (unknown.status_code, unknown.json()["type"]) == (404, "urn:agentmem:problem:not-found")
    assert (method.status_code, method.json()["type"]) == (405, "urn:agentmem:problem:method-not-allowed")
    assert method.headers["Allow"] == "POST"


async def test_a_fault_is_told_without_its_trace_and_logged_with_it(served, caplog, tmp_path):
    @served.app.get("/fault")
    async def fault() -> None:
        raise RuntimeError(f"at {tmp_path}")

    with caplog.at_level(logging.ERROR, "agentmem.server"):
        answer = await served.client().get("/fault", headers={"X-Request-ID": "mine-1"})

    assert (answer.status_code, answer.json()["type"]) == (500, "urn:agentmem:problem:internal-error")
    assert str(tmp_path) not in answer.text
    assert answer.headers["X-Request-ID"] == answer.json()["request_id"] == "mine-1"
    assert "mine-1" in caplog.text
    assert "RuntimeError" in caplog.text


async def test_the_log_holds_no_note_no_name_of_a_user_and_no_token(served, caplog):
    ana, service = served.of("ana"), served.service()
    with caplog.at_level(logging.DEBUG):
        id = (await ana.post("/v1/notes", json={"content": "The door code is 4711."})).json()["id"]
        await ana.post("/v1/recall", json={"query": "door code 4711"})
        await service.get("/v1/notes", params={"user": "zenobia", "where": '{"content": "4711"}'})
        await ana.put("/v1/records/users.zenobia/secretkey", json={"value": {"code": 4711}})
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("agentmem")]

    assert len(lines) == 4
    assert not any(word in line for line in lines for word in ("4711", "zenobia", "secretkey", "agm_", id))
    assert any("POST /v1/notes 201" in line and line.endswith("ms ana") for line in lines)


async def test_an_id_of_a_request_that_is_no_id_is_not_taken(served):
    answer = await served.client().get("/healthz", headers={"X-Request-ID": "a b\tc"})

    assert len(answer.headers["X-Request-ID"]) == 32


async def test_what_is_too_much_at_once_is_refused_at_the_door(serve):
    served = serve(Limits(heavy=1, requests=2))
    ana, serving = served.of("ana"), served.app.state.serving
    async with serving.heavy.take():
        graph = await ana.get("/v1/graph")

    assert (graph.status_code, graph.json()["type"]) == (429, "urn:agentmem:problem:too-much-at-once")
    assert graph.headers["Retry-After"] == "1"
    assert (await ana.get("/v1/graph")).status_code == 200
    many = await asyncio.gather(*(ana.get("/v1/notes") for _ in range(40)))
    assert {each.status_code for each in many} == {200, 429}
    assert serving.heavy.taken == 0
    assert (await ana.get("/v1/notes")).status_code == 200


async def test_whoever_hangs_up_leaves_all_or_nothing(served):
    """Cancelled at any moment, a request stores its batch whole or not at all, and the next one is served."""
    ana = served.of("ana")
    await ana.get("/v1/notes")
    for delay in (0.0, 0.001, 0.003, 0.01, 0.03, 0.1):
        items = [{"content": f"Note {n} of {delay}.", "merge": False, "tags": [f"t{delay}"]} for n in range(5)]
        with pytest.raises(asyncio.TimeoutError):
            async with asyncio.timeout(delay):
                await ana.post("/v1/notes/batch", json={"items": items})
                raise TimeoutError
    await asyncio.sleep(0.2)
    held = (await ana.get("/v1/notes")).json()["notes"]
    counts = [sum(f"t{delay}" in note["tags"] for note in held) for delay in (0.0, 0.001, 0.003, 0.01, 0.03, 0.1)]

    assert set(counts) <= {0, 5}


def test_an_address_that_others_reach_is_refused_without_tokens():
    from agentmem.errors import InvalidArgument

    for host in ("127.0.0.1", "::1", "localhost", "127.9.9.9"):
        check_address(host, signed=False, tls=False)
    for host in ("0.0.0.0", "::", "192.168.1.5", "memory.example", ""):
        with pytest.raises(InvalidArgument, match="Without tokens"):
            check_address(host, signed=False, tls=False)
    check_address("0.0.0.0", signed=True, tls=False)


async def test_pages_are_told_to_load_nothing_from_elsewhere(served):
    answer = await served.client().get("/docs")

    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "<script" not in answer.text
    assert "http://" not in answer.text.replace("http://www.w3.org", "")
    assert "https://" not in answer.text
    assert "/v1/recall" in answer.text


async def test_a_bound_token_does_not_change_what_is_shared(served):
    """Everybody sees it: one who is bound to a user reads it, and uses it, and nothing else."""
    service, ana = served.service(), served.of("ana")
    shared = (await service.post("/v1/notes?shared=true", json={"content": "The office closes at six."})).json()["id"]
    mine = (await ana.post("/v1/notes", json={"content": "Ana has a key."})).json()["id"]

    assert (await ana.get(f"/v1/notes/{shared}")).status_code == 200
    assert (await ana.post("/v1/reinforce", json={"ids": [shared]})).status_code == 204
    assert (await ana.patch(f"/v1/notes/{shared}", json={"content": "Ben was here."})).status_code == 404
    assert (await ana.delete(f"/v1/notes/{shared}")).status_code == 404
    assert (await ana.post("/v1/forget", json={"ids": [mine, shared]})).status_code == 404
    assert (await ana.post("/v1/forget", json={"where": {"kind": "episodic"}})).json()["ids"] == [mine]
    assert (await ana.get(f"/v1/notes/{shared}")).json()["content"] == "The office closes at six."


async def test_a_token_for_a_session_is_kept_to_it(served):
    whole = served.of("ana")
    monday = served.client(Access("m", user="ana", session="monday"))
    here = (await monday.post("/v1/notes", json={"content": "Ana bought milk."})).json()["id"]
    there = (await whole.post("/v1/notes?session=sunday", json={"content": "Ana bought a boat."})).json()["id"]

    assert [n["id"] for n in (await monday.get("/v1/notes")).json()["notes"]] == [here]
    assert (await monday.get(f"/v1/notes/{there}")).status_code == 404
    assert (await monday.get(f"/v1/notes/{there}/history")).status_code == 404
    assert (await monday.patch(f"/v1/notes/{there}", json={"tags": ["x"]})).status_code == 404
    assert (await monday.post("/v1/reinforce", json={"ids": [there]})).status_code == 404
    assert (await monday.delete(f"/v1/notes/{there}")).status_code == 404
    assert (await monday.get("/v1/notes?session=sunday")).status_code == 403
    assert (await monday.get("/v1/graph")).status_code == 403
    assert (await monday.get("/v1/export")).status_code == 403
    assert (await monday.post("/v1/forget", json={"where": {"kind": "episodic"}})).json()["ids"] == [here]
    assert [n["id"] for n in (await whole.get("/v1/notes")).json()["notes"]] == [there]
