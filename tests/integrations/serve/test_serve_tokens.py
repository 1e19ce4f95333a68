"""Tokens: kept as hashes, bound to whose they are, refused when they are over or taken back."""

from __future__ import annotations

import json
import stat
import threading
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from agentmem.errors import InvalidArgument, ScopeError, ScopeRequired, StoreCorrupt, StoreError
from agentmem.integrations.auth.access import NotSignedIn, RightMissing
from agentmem.integrations.cli.app import app
from agentmem.integrations.server import Access, Tokens


def test_the_file_holds_hashes_readable_by_its_owner_alone(tmp_path):
    tokens = Tokens(tmp_path / "tokens.json")
    token, issued = tokens.add(Access("ana", user="ana"))
    text = (tmp_path / "tokens.json").read_text()

    assert len(token) >= 43
    assert token not in text
    assert token.removeprefix("agm_") not in text
    assert stat.S_IMODE((tmp_path / "tokens.json").stat().st_mode) == 0o600
    assert Tokens.load(tmp_path / "tokens.json").access(token) == issued.access


@pytest.mark.parametrize("wrong", ["", "x", "agm_", "agm_" + "A" * 43, "é", "\ud800", "x" * 100_000])
def test_what_is_no_token_is_refused(tmp_path, wrong):
    tokens = Tokens(tmp_path / "tokens.json")
    token, _ = tokens.add(Access("ana", user="ana"))
    for each in (wrong, token[:-1], token + "x", token.upper()):
        with pytest.raises(NotSignedIn):
            tokens.access(each)


def test_an_expired_and_a_revoked_token_look_like_none(tmp_path, clock):
    tokens = Tokens(tmp_path / "tokens.json", clock=clock)
    brief, _ = tokens.add(Access("brief", user="ana"), expires_at=clock.now() + timedelta(days=1))
    gone, issued = tokens.add(Access("gone", user="ana"))
    other = Tokens(tmp_path / "tokens.json", clock=clock)
    assert other.access(brief)
    assert other.access(gone)
    tokens.revoke(issued.id)
    clock.advance(days=1)

    said = set()
    for each in (brief, gone, "agm_unknown"):
        with pytest.raises(NotSignedIn) as refused:
            other.access(each)
        said.add(str(refused.value))
    assert len(said) == 1
    with pytest.raises(InvalidArgument):
        tokens.add(Access("late", user="ana"), expires_at=clock.now())
    with pytest.raises(InvalidArgument):
        tokens.revoke("nobody")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"format": 2, "tokens": []}',
        '{"format": 1}',
        '{"format": 1, "tokens": [{}]}',
        "[" * 100_000,
        '{"format": [], "tokens": []}',
    ],
)
def test_a_damaged_file_lets_nobody_in(tmp_path, text):
    tokens = Tokens(tmp_path / "tokens.json")
    token, _ = tokens.add(Access("ana", user="ana"))
    (tmp_path / "tokens.json").write_text(text)

    with pytest.raises(StoreCorrupt):
        tokens.access(token)


def test_a_widened_line_of_the_file_is_no_token(tmp_path):
    """Bound and free at once, or with rights that there are none of."""
    tokens = Tokens(tmp_path / "tokens.json")
    token, _ = tokens.add(Access("ana", user="ana"))
    told = json.loads((tmp_path / "tokens.json").read_text())
    for change in ({"anyone": True}, {"rights": ["everything"]}, {"rights": []}, {"user": 7}, {"sha256": "00"}):
        (tmp_path / "tokens.json").write_text(json.dumps({**told, "tokens": [{**told["tokens"][0], **change}]}))
        with pytest.raises(StoreCorrupt):
            tokens.access(token)


def test_a_file_that_others_may_write_lets_nobody_in(tmp_path):
    tokens = Tokens(tmp_path / "tokens.json")
    token, _ = tokens.add(Access("ana", user="ana"))
    assert tokens.access(token)
    tokens.path.chmod(0o620)

    with pytest.raises(StoreError, match="Others may write"):
        tokens.access(token)
    tokens.path.chmod(0o600)
    assert tokens.access(token)


def test_no_file_is_said_and_one_that_is_gone_lets_nobody_in(tmp_path):
    with pytest.raises(StoreError, match="no file of tokens"):
        Tokens.load(tmp_path / "tokens.json")
    tokens = Tokens(tmp_path / "tokens.json")
    token, _ = tokens.add(Access("ana", user="ana"))
    (tmp_path / "tokens.json").unlink()

    with pytest.raises(NotSignedIn):
        tokens.access(token)


def test_tokens_that_are_made_at_once_are_all_there(tmp_path):
    def make(n: int) -> None:
        Tokens(tmp_path / "tokens.json").add(Access(f"t{n}", user="ana"))

    threads = [threading.Thread(target=make, args=(n,)) for n in range(12)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert len(Tokens(tmp_path / "tokens.json").all()) == 12


@pytest.mark.parametrize(
    ("access", "asked"),
    [
        (Access("x", user="ana"), {"user": "ben"}),
        (Access("x", user="ana"), {"agent": "bot"}),  # a bot's own notes are nobody's user
        (Access("x", user="ana"), {"shared": True}),
        (Access("x", user="ana", agent="bot"), {"agent": "other"}),
        (Access("x", agent="bot"), {"user": "ana"}),
        (Access("x", user="ana", session="monday"), {"session": "sunday"}),
        (Access("x", anyone=True), {"user": "ana", "shared": True}),
        (Access("x", user="ana"), {"user": "ana "}),
        (Access("x", user="ana"), {"user": ""}),
    ],
)
def test_a_request_never_names_more_than_its_token(access, asked):
    with pytest.raises(ScopeError):
        access.scope(**asked)


def test_who_may_name_anyone_has_to_name_somebody():
    service = Access("x", anyone=True)

    with pytest.raises(ScopeRequired):
        service.scope()
    assert service.scope(shared=True).owner == service.scope(shared=True)
    assert service.scope("ana", session="monday").session == "monday"
    with pytest.raises(InvalidArgument):
        Access("x")
    with pytest.raises(InvalidArgument):
        Access("x", user="ana", anyone=True)
    with pytest.raises(InvalidArgument):
        Access("x", user=" ")
    with pytest.raises(RightMissing):
        service.need("admin")


def test_the_command_line_makes_lists_and_revokes(tmp_path):
    def run(*words: str) -> str:
        done = CliRunner().invoke(app, ["--path", str(tmp_path / "m"), "serve", "token", *words])
        assert done.exit_code == 0, done.output
        return done.stdout

    made = json.loads(run("add", "--for", "ana", "--right", "read", "--days", "3", "--json"))
    shown = run("list")
    told = json.loads(run("list", "--json"))["tokens"]

    assert Tokens(tmp_path / "m.tokens.json").access(made["token"]) == Access(
        "ana", user="ana", rights=frozenset(("read",))
    )
    assert [each["id"] for each in told] == [made["id"]]
    assert made["token"] not in shown
    assert "sha256" not in told[0]
    assert made["id"] in run("revoke", "ana")
    with pytest.raises(NotSignedIn):
        Tokens(tmp_path / "m.tokens.json").access(made["token"])
    for wrong in (
        ["add"],
        ["add", "--for", "a", "--anyone"],
        ["add", "--for", "a", "--right", "x"],
        ["add", "--for", "a", "--days", "1e9"],
        ["revoke", "x"],
    ):
        done = CliRunner().invoke(app, ["--path", str(tmp_path / "m"), "serve", "token", *wrong])
        assert done.exit_code == 2, (wrong, done.output)


def test_a_memory_that_others_would_reach_is_not_served_without_tokens(tmp_path):
    done = CliRunner().invoke(app, ["--path", str(tmp_path / "m"), "serve", "--host", "0.0.0.0"])

    assert done.exit_code == 2
    assert not (tmp_path / "m").exists()
