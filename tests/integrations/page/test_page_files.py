"""What the page is made of: files that come with the package, are served under a strict policy, and never write markup."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import httpx
import pytest

from agentmem.aio import AsyncMemory
from agentmem.integrations.server import Access, Tokens, make_app

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "integrations" / "server" / "page"
FILES = sorted(path for path in PAGE.rglob("*") if path.is_file())


def test_the_files_come_with_the_package() -> None:
    """All of them, by the pattern that the project names."""
    data = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]
    patterns = data["agentmem.integrations.server"]
    found = {path for pattern in patterns for path in PAGE.parent.glob(pattern) if path.is_file()}

    assert found == set(FILES)
    assert {path.suffix for path in FILES} == {".html", ".css", ".js", ".svg"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PAGE)))
def test_no_file_writes_markup_or_names_another_server(path: Path) -> None:
    """What notes say enters as text nodes: no file knows another way; none loads anything from elsewhere; none is too long to read."""
    text = path.read_text(encoding="utf-8")
    for way in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "setHTML",
        "DOMParser",
        "srcdoc",
    ):
        assert way not in text
    named = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", text))

    assert named <= {"http://www.w3.org", "//www.w3.org"}
    assert len(text.splitlines()) <= 400
    if path.suffix == ".html":
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|style=|javascript:", text)


async def test_the_page_is_served_strictly_and_its_notes_only_to_who_signs_in() -> None:
    """No inline script, no other origin, no frame around it, nothing kept in a cache; the files need no token, and hold no note."""
    async with AsyncMemory(None, embedder="hash") as memory:
        app = make_app(memory, tokens=Tokens(PAGE / "no-such-file.json"))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            home = await client.get("/")
            served = [await client.get(f"/page/{path.relative_to(PAGE)}") for path in FILES]
            refused = [await client.get(f"/v1/{way}") for way in ("newest", "overview", "sessions", "doctor")]

    assert home.status_code == 307
    assert home.headers["location"] == "page/"
    assert [each.status_code for each in served] == [200] * len(FILES)
    assert [each.status_code for each in refused] == [401] * 4
    for each in served:
        policy = each.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert each.headers["cache-control"] == "no-store"
        assert each.headers["x-content-type-options"] == "nosniff"
    kinds = {path.suffix: each.headers["content-type"].split(";")[0] for path, each in zip(FILES, served, strict=True)}
    assert kinds == {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


async def test_overview_and_conversations_are_of_the_scope_alone(tmp_path: Path) -> None:
    """Another user's notes are neither told nor counted, and a token for one conversation is refused what is of all of them."""
    tokens = Tokens(tmp_path / "tokens.json")
    given = {
        "ana": Access("ana", user="ana"), "ben": Access("ben", user="ben"), "monday": Access("monday", user="ana", session="monday"),
    }  # fmt: skip
    auth = {name: {"Authorization": f"Bearer {tokens.add(access)[0]}"} for name, access in given.items()}
    async with AsyncMemory(None, embedder="hash") as memory:
        await memory.remember("Ana lives in Porto.", user="ana", session="monday", actor="ana")
        await memory.remember("Porto has six bridges.", user="ana", session="tuesday")
        app = make_app(memory, tokens=tokens)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            mine = (await client.get("/v1/overview", headers=auth["ana"])).json()
            talks = (await client.get("/v1/sessions", headers=auth["ana"])).json()
            latest = (await client.get("/v1/newest", headers=auth["ana"])).json()
            nothing = (await client.get("/v1/newest", headers=auth["ben"])).json()
            theirs = (await client.get("/v1/overview", headers=auth["ben"])).json()
            none = (await client.get("/v1/sessions", headers=auth["ben"])).json()
            narrow = await client.get("/v1/overview", headers=auth["monday"])
            machine = await client.get("/v1/doctor", headers=auth["ana"])

    assert (mine["notes"], mine["sessions"], mine["kinds"]) == (2, 2, {"episodic": 2})
    assert {each["session"] for each in talks["sessions"]} == {"monday", "tuesday"}
    assert next(each for each in talks["sessions"] if each["session"] == "monday")["opening"] == "Ana lives in Porto."
    assert (theirs["notes"], theirs["faintest"], none["sessions"]) == (0, [], [])
    assert [note["content"] for note in latest["notes"]] == ["Porto has six bridges.", "Ana lives in Porto."]
    assert (latest["more"], nothing) == (False, {"notes": [], "more": False})
    assert (narrow.status_code, machine.status_code) == (403, 403)


@pytest.mark.parametrize("stored", [1, 2, 3, 12, 13, 40])
async def test_the_newest_come_first_however_many_there_are(stored: int) -> None:
    async with AsyncMemory(None, embedder="hash") as memory:
        for number in range(stored):
            await memory.remember(f"Lunch {number} was dish {number}.")
        app = make_app(memory, tokens=None)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            told = (await client.get("/v1/newest")).json()

    assert told["more"] == (stored > 12)
    assert [note["content"].split()[1] for note in told["notes"]] == [str(n) for n in range(stored)][::-1][:12]
