"""The MCP server over HTTP on the loopback: who is let in, in whose scope, and what twenty clients at once find."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

if not os.environ.get("AGENTMEM_FRAMEWORKS"):
    pytest.importorskip("mcp")

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.exceptions import MCPError
from typer.testing import CliRunner, Result

from agentmem import Memory, Scope
from agentmem.aio import AsyncMemory
from agentmem.errors import InvalidArgument, ScopeError
from agentmem.integrations.auth import Access, Right, Tokens
from agentmem.integrations.auth.door import is_loopback
from agentmem.integrations.cli.app import app
from agentmem.integrations.mcp_server.http import access_of_request, bound_socket, http_app, serve_http
from agentmem.integrations.mcp_server.server import make_server
from agentmem.notes.clock import ManualClock

ROOT = Path(__file__).resolve().parents[2]
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}


@asynccontextmanager
async def serving(memory: AsyncMemory, tokens: Tokens | None, **options: object) -> AsyncIterator[str]:
    """The address of a server on the loopback, until the block ends."""
    scope = Scope(user="ana") if tokens is None else None
    served = http_app(memory, **{"tokens": tokens, "scope": scope, "allow_forget": True, **options})
    started = asyncio.Event()
    with bound_socket("127.0.0.1", 0) as bound:
        task = asyncio.create_task(serve_http(served, bound, started=started.set))
        await started.wait()
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}/mcp"
        finally:
            os.kill(os.getpid(), signal.SIGTERM)  # it ends as it is told to, and this process does not
            await task


@asynccontextmanager
async def client_of(url: str, token: str | None, mode: str = "auto") -> AsyncIterator[Client]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with (
        create_mcp_http_client(headers=headers) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


@pytest.fixture
def tokens(tmp_path: Path, clock: ManualClock) -> Tokens:
    return Tokens(tmp_path / "t.json", clock=clock)


def issue(tokens: Tokens, user: str, *rights: Right) -> str:
    return tokens.add(Access(user, user=user, **({"rights": frozenset(rights)} if rights else {})))[0]


@pytest.fixture
async def opened() -> AsyncIterator[AsyncMemory]:
    async with AsyncMemory(None, embedder="hash") as memory:
        yield memory


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_two_tokens_never_see_each_others_notes(opened: AsyncMemory, tokens: Tokens, mode: str) -> None:
    held = {name: issue(tokens, name) for name in ("ana", "ben")}
    async with serving(opened, tokens) as url:  # noqa: SIM117 - the clients end first
        async with client_of(url, held["ana"], mode) as ana, client_of(url, held["ben"], mode) as ben:
            kept = await ana.call_tool("remember", {"text": "Ana hides the key under the pot."})
            id = kept.structured_content["id"]
            await ben.call_tool("remember", {"text": "Ben keeps bees."})
            seen_by_ana = str(await ana.call_tool("recall", {"query": "What is hidden, and what is kept?"}))
            told = [
                str(await ben.call_tool(name, arguments))
                for name, arguments in (
                    ("recall", {"query": "the key under the pot"}), ("why", {"id": id}), ("history", {"id": id}),
                    ("forget", {"ids": [id]}), ("status", {}), ("graph", {"id": id}),
                )
            ]  # fmt: skip
            told += [str(await ben.list_resources()), str(await ben.read_resource("memory://recent"))]
            told.append(str(await ben.get_prompt("catch_up")))
            with pytest.raises(MCPError, match="UnknownNote"):
                await ben.read_resource(f"memory://notes/{id}")

    assert "pot" in seen_by_ana
    assert "bees" not in seen_by_ana
    assert not [text for text in told if "hides" in text]
    assert "notes: 1" in told[4]
    assert (await opened.get(id, user="ana")).content


async def test_twenty_clients_at_once_each_find_their_own(opened: AsyncMemory, tokens: Tokens) -> None:
    names = [f"user{number}" for number in range(20)]
    held = {name: issue(tokens, name) for name in names}

    async def one(url: str, name: str) -> str:
        async with client_of(url, held[name]) as client:
            for number in range(3):
                await client.call_tool("remember", {"text": f"The word {number} of {name} is w{number}{name}."})
            return str((await client.call_tool("recall", {"query": "Which word?", "limit": 50})).content[0].text)

    async with serving(opened, tokens) as url:
        told = await asyncio.gather(*(one(url, name) for name in names))

    for name, text in zip(names, told, strict=True):
        assert text.count("\n- ") == 3
        assert all(f"w{number}{name}." in text for number in range(3))


async def test_who_has_no_token_or_a_wrong_one_is_not_let_in(opened: AsyncMemory, tokens: Tokens) -> None:
    token = issue(tokens, "ana")
    async with serving(opened, tokens) as url, httpx2.AsyncClient() as http:

        async def status(*given: str) -> int:
            headers = [*HEADERS.items(), *(("authorization", value) for value in given)]
            return (await http.post(url, json=CALL, headers=headers)).status_code

        assert await status(f"Bearer {token}") == 200
        assert await status(f"bearer {token}") == 200
        for wrong in (f"Bearer {token}x", f"Bearer {token[:-1]}", f"Basic {token}", "Bearer", "Bearer  x", token):
            assert await status(wrong) == 401, wrong
        assert await status() == 401
        assert await status(f"Bearer {token}", "Bearer other") == 401
        refused = await http.post(url, json=CALL, headers=HEADERS)
        assert refused.headers["www-authenticate"].startswith("Bearer")
        with pytest.raises(ExceptionGroup, match="TaskGroup"):
            async with client_of(url, "wrong-token-that-is-long"):
                pass


async def test_other_hosts_and_pages_are_refused_unless_they_are_named(opened: AsyncMemory) -> None:
    async def status(url: str, **headers: str) -> int:
        async with httpx2.AsyncClient() as http:
            return (await http.post(url, json=CALL, headers={**HEADERS, **headers})).status_code

    async with serving(opened, None) as url:
        assert await status(url) == 200
        assert await status(url, host="localhost:1") == 200
        assert await status(url, host="evil.example") == 421
        assert await status(url, host="127.0.0.1.evil.example") == 421
        assert await status(url, **{"sec-fetch-site": "cross-site"}) == 403
        assert await status(url, **{"sec-fetch-site": "same-origin"}) == 200
        assert await status(url, origin="https://evil.example") == 403
        assert await status(url, origin="http://localhost:3000") == 403
        assert await status(url, origin="null") == 403
        assert await status(url, **{"content-type": "text/plain"}) == 400
    async with serving(opened, None, hosts=["memory.example"], origins=["https://chat.example"]) as url:
        assert await status(url, host="memory.example", origin="https://chat.example") == 200
        assert await status(url, host="memory.example", origin="https://chat.example.evil") == 403


async def test_what_is_too_large_is_refused_and_nothing_is_written(opened: AsyncMemory) -> None:
    arguments = {"name": "remember", "arguments": {"text": "x" * 20_000}}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": arguments}).encode()

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 1000):
            yield body[start : start + 1000]

    async with serving(opened, None, largest=10_000) as url, httpx2.AsyncClient() as http:
        assert (await http.post(url, content=body, headers=HEADERS)).status_code == 413
        assert (await http.post(url, content=pieces(), headers=HEADERS)).status_code == 413  # of no declared length
        assert (await http.post(url, json=CALL, headers=HEADERS)).status_code == 200

    assert await opened.notes(user="ana") == []


async def test_there_are_no_sessions_to_take_over(opened: AsyncMemory) -> None:
    async with serving(opened, None) as url, httpx2.AsyncClient() as http:
        answered = await http.post(url, json=CALL, headers={**HEADERS, "mcp-session-id": "somebody-elses"})

        assert "mcp-session-id" not in answered.headers
        for method in ("GET", "DELETE", "OPTIONS", "PUT"):
            refused = await http.request(method, url, headers=HEADERS)
            assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
        for body in (b"", b"[]", b"nonsense", b"[" * 100_000):
            assert (await http.post(url, content=body, headers=HEADERS)).status_code == 400
        assert (await http.post(url.replace("/mcp", "/"), json=CALL, headers=HEADERS)).status_code == 404


async def test_a_request_that_did_not_come_through_the_gate_opens_no_scope(opened: AsyncMemory) -> None:
    """Fails closed: forgetting the gate opens nobody's notes."""
    with pytest.raises(ScopeError):
        access_of_request(type("Bare", (), {"request": None})())  # type: ignore[arg-type]
    async with Client(make_server(opened, access=access_of_request)) as client:
        result = await client.call_tool("recall", {"query": "x"})

    assert result.is_error
    assert "ScopeError" in result.content[0].text
    with pytest.raises(InvalidArgument, match="scope and access"):
        make_server(opened, scope=Scope(user="ana"), access=access_of_request)


async def test_a_token_opens_what_it_has_the_right_to_and_no_more(opened: AsyncMemory, tokens: Tokens) -> None:
    id = (await opened.remember("Ana lives in Porto.", user="ana")).id
    reader, writer = issue(tokens, "ana", "read"), issue(tokens, "ana", "write")
    usual, every = issue(tokens, "ana"), issue(tokens, "ana", "read", "write", "forget", "consolidate")
    reading = {"recall", "why", "history", "graph", "status", "get_record"}
    offered = {
        reader: reading, writer: {"remember", "put_record"}, usual: reading | {"remember", "put_record", "forget"},
        every: reading | {"remember", "put_record", "forget", "consolidate"},
    }  # fmt: skip
    calls = {
        "recall": {"query": "Ana"}, "remember": {"text": "Ana rows."}, "forget": {"ids": [id]}, "consolidate": {}, "status": {},
        "put_record": {"namespace": ["a"], "key": "k", "value": {}}, "get_record": {"namespace": ["a"]}, "why": {"id": id},
        "history": {"id": id}, "graph": {"id": id},
    }  # fmt: skip
    async with serving(opened, tokens) as url:
        for token, names in offered.items():
            async with client_of(url, token) as client:
                assert {tool.name for tool in (await client.list_tools()).tools} == names
                for name, arguments in calls.items():
                    if name not in names:
                        refused = await client.call_tool(name, arguments)
                        assert refused.is_error, name
                        assert "RightMissing" in refused.content[0].text
        async with client_of(url, writer) as client:
            assert (await client.list_resources()).resources == []
            assert [prompt.name for prompt in (await client.list_prompts()).prompts] == ["end_of_session"]
            for reading_it in (client.read_resource("memory://recent"), client.get_prompt("catch_up")):
                with pytest.raises(MCPError, match="RightMissing"):
                    await reading_it
        async with client_of(url, reader) as client:
            with pytest.raises(MCPError, match="RightMissing"):
                await client.get_prompt("end_of_session")
            assert "Porto" in str(await client.read_resource("memory://recent"))

    assert [note.content for note in await opened.notes(user="ana")] == ["Ana lives in Porto."]


async def test_a_right_to_forget_does_not_undo_that_nobody_allowed_it(opened: AsyncMemory, tokens: Tokens) -> None:
    async with serving(opened, tokens, allow_forget=False) as url, client_of(url, issue(tokens, "ana")) as client:
        assert "forget" not in {tool.name for tool in (await client.list_tools()).tools}
        with pytest.raises(MCPError, match="There is no tool"):
            await client.call_tool("forget", {"ids": ["x"]})


async def test_what_is_shared_is_not_for_one_of_those_who_see_it_to_forget(opened: AsyncMemory, tokens: Tokens) -> None:
    shared = (await opened.remember("The office closes at six.")).id
    own = (await opened.remember("Ana lives in Porto.", user="ana")).id
    async with serving(opened, tokens) as url, client_of(url, issue(tokens, "ana")) as client:
        assert "six" in str(await client.call_tool("recall", {"query": "When does the office close?"}))
        both = await client.call_tool("forget", {"ids": [own, shared]})
        gone = await client.call_tool("forget", {"ids": [own]})

    assert both.is_error
    assert "UnknownNote" in both.content[0].text
    assert not gone.is_error
    assert [note.id for note in await opened.notes()] == [shared]


async def test_a_token_for_anyone_works_in_the_scope_of_the_command_alone(opened: AsyncMemory, tokens: Tokens) -> None:
    """A model names nobody, so whoever runs the server does; a token for somebody else is refused there."""
    anyone, _ = tokens.add(Access("backend", anyone=True))
    ben, ana = issue(tokens, "ben"), issue(tokens, "ana")
    monday, _ = tokens.add(Access("monday", user="ana", session="monday"))

    async def status(http: httpx2.AsyncClient, url: str, token: str) -> tuple[int, str]:
        answer = await http.post(url, json=CALL, headers={**HEADERS, "authorization": f"Bearer {token}"})
        return answer.status_code, answer.text

    async with httpx2.AsyncClient() as http:
        async with serving(opened, tokens) as url:
            code, said = await status(http, url, anyone)
            assert (code, "may name anyone" in said) == (403, True)
            code, said = await status(http, url, monday)
            assert (code, "bound to a session" in said) == (403, True)
            assert (await status(http, url, ben))[0] == 200
        async with serving(opened, tokens, scope=Scope(user="ana", session="tuesday")) as url:
            assert (await status(http, url, ben))[0] == 403
            assert (await status(http, url, ana))[0] == 200
            async with client_of(url, anyone) as client:
                await client.call_tool("remember", {"text": "Ana lives in Porto."})

    assert [note.scope for note in await opened.notes(user="ana")] == [Scope(user="ana", session="tuesday")]
    assert await opened.notes(user="ben") == []


async def test_a_token_that_is_revoked_or_over_is_refused_from_the_next_request_on(
    opened: AsyncMemory, tokens: Tokens, clock: ManualClock
) -> None:
    held = {"lasting": issue(tokens, "ana"), "revoked": issue(tokens, "ben")}
    held["over"], _ = tokens.add(Access("cleo", user="cleo"), expires_at=clock.now() + timedelta(hours=1))
    async with serving(opened, tokens) as url, httpx2.AsyncClient() as http:

        async def let_in() -> dict[str, int]:
            return {
                name: (
                    await http.post(url, json=CALL, headers={**HEADERS, "authorization": f"Bearer {token}"})
                ).status_code
                for name, token in held.items()
            }

        assert await let_in() == {"lasting": 200, "revoked": 200, "over": 200}
        Tokens(tokens.path).revoke("ben")  # as another process does
        clock.advance(hours=2)
        assert await let_in() == {"lasting": 200, "revoked": 401, "over": 401}
        tokens.path.write_text("{")
        assert await let_in() == {"lasting": 503, "revoked": 503, "over": 503}
        tokens.path.unlink()
        assert await let_in() == {"lasting": 401, "revoked": 401, "over": 401}


async def test_one_token_opens_both_servers(opened: AsyncMemory, tokens: Tokens) -> None:
    """What is told to the one is known to the other, and both stop at the same revocation."""
    server = pytest.importorskip("agentmem.integrations.server")
    pytest.importorskip("fastapi")
    headers = {"authorization": f"Bearer {issue(tokens, 'ana')}"}
    rest = httpx2.ASGITransport(server.make_app(opened, tokens=tokens))
    async with (
        serving(opened, tokens) as url,
        httpx2.AsyncClient(transport=rest, base_url="http://localhost", headers=headers) as api,
    ):
        async with client_of(url, headers["authorization"].split()[1]) as client:
            await api.post("/v1/notes", json={"content": "Ana lives in Porto."})
            told = str(await client.call_tool("recall", {"query": "Where does Ana live?"}))
        tokens.revoke("ana")
        async with httpx2.AsyncClient() as http:
            refused = await http.post(url, json=CALL, headers={**HEADERS, **headers})
        assert (await api.get("/v1/notes")).status_code == refused.status_code == 401

    assert "Porto" in told


def test_what_is_a_loopback_address() -> None:
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "192.168.0.1", "localhost.evil.example", "", "1"))


def test_a_port_that_is_taken_is_a_typed_error() -> None:
    with bound_socket("127.0.0.1", 0) as bound, pytest.raises(InvalidArgument, match="cannot be served"):
        bound_socket("127.0.0.1", bound.getsockname()[1])


# -- the command ---------------------------------------------------------------------------------------------


def run(*arguments: str, **env: str) -> Result:
    return CliRunner().invoke(app, ["mcp", *arguments], env={"COLUMNS": "300", **env})


@pytest.mark.parametrize(
    ("arguments", "cure"),
    [
        (("--http", "--host", "0.0.0.0"), "agentmem serve token add"),
        (("--tokens", "t.json"), "Tokens are for HTTP"),
        (("--http", "--tokens", "none.json"), "no file of tokens"),
    ],
)
def test_what_would_open_too_much_is_refused_with_the_cure(
    arguments: tuple[str, ...], cure: str, tmp_path: Path
) -> None:
    done = run(*arguments, "--path", str(tmp_path / "m"))

    assert done.exit_code in (2, 3), done.stderr
    assert cure in done.stderr
    assert not (tmp_path / "m").exists()


def test_the_printed_config_starts_this_server(tmp_path: Path) -> None:
    place = ("--path", str(tmp_path / "m"))
    stdio = json.loads(run("--print-config", "--user", "ana", "--allow-forget", *place).stdout)
    bare = json.loads(run("--print-config", "--http", *place).stdout)
    token = make_token(tmp_path)
    http = run("--print-config", "--http", *place).stdout
    entry = stdio["mcpServers"]["agentmem"]

    assert Path(entry["command"]).is_absolute()
    assert entry["args"][-6:] == ["mcp", "--path", str(tmp_path / "m"), "--user", "ana", "--allow-forget"]
    assert bare["mcpServers"]["agentmem"] == {"type": "http", "url": "http://127.0.0.1:8765/mcp"}
    assert json.loads(http)["mcpServers"]["agentmem"]["headers"] == {"Authorization": "Bearer ${AGENTMEM_TOKEN}"}
    assert token not in http


def make_token(folder: Path) -> str:
    words = ["--path", str(folder / "m"), "serve", "token", "add", "--for", "ana"]
    return CliRunner().invoke(app, words).stdout.strip()


async def test_the_command_serves_until_it_is_told_to_end_and_loses_nothing(tmp_path: Path) -> None:
    token = make_token(tmp_path)
    arguments = ["--http", "--port", "0", "--path", str(tmp_path / "m"), "--embedder", "hash"]
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "agentmem", "mcp", *arguments, stderr=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    url = (await asyncio.wait_for(child.stderr.readline(), 60)).decode().split()[-1]
    async with client_of(url, token) as client:
        for number in range(5):
            await client.call_tool("remember", {"text": f"Number {number} was said here."})
    child.send_signal(signal.SIGTERM)
    out, err = await asyncio.wait_for(child.communicate(), 30)

    assert (child.returncode, out, err) == (0, b"", b"")
    with Memory(tmp_path / "m", embedder="hash") as memory:
        assert len(memory.notes(user="ana")) == 5
        assert memory.check().ok


def test_who_serves_mcp_loads_no_framework_of_rest() -> None:
    code = (
        "import sys\nimport agentmem.integrations.mcp_server.http, agentmem.integrations.auth.tokens\n"
        "print(sorted({'fastapi', 'agentmem.memory', 'agentmem.integrations.server', 'torch', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)

    assert done.stdout.strip() == "[]", done.stderr


def test_no_socket_is_left_listening() -> None:
    with bound_socket("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
