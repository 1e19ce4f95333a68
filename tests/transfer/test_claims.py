"""What a file says is a claim: no hand-written export puts anything into the weights, and only a signature proves one's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agentmem import Fact, Memory, Settings
from agentmem.consolidation.rewriting import Rewriter
from agentmem.errors import InvalidArgument, InvalidImport
from agentmem.llm.small_model import load_small_model
from agentmem.notes.clock import ManualClock
from agentmem.notes.rows import EditRow
from agentmem.settings import ConsolidationSettings
from agentmem.transfer import load as importing
from agentmem.transfer.format import Tally, line_of

KEY = b"a key of thirty-two bytes or so!"
EVIL = "Mallory."
ASKED = "Where does Oren Dorrell live?"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def forge(path: Path, change: Callable[[list[dict[str, Any]]], None]) -> Path:
    """The file with other lines, and counts and a checksum that fit them."""
    parts = [part for part in lines(path) if part.get("type") not in ("end", "signature")]
    inner = parts[1:]
    change(inner)
    tally = Tally()
    for part in inner:
        tally.add(part["type"], line_of(part))
    forged = path.with_name("forged.jsonl")
    forged.write_bytes(b"".join(line_of(part) for part in [parts[0], *inner, tally.footer()]))
    return forged


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 3, 2, 9, tzinfo=UTC))


@pytest.fixture
def export(tmp_path: Path, clock: ManualClock) -> Path:
    """A note that is old and much used, its fact, and an edit that its file calls active; signed."""
    with Memory(tmp_path / "source", embedder="hash", clock=clock) as source:
        note = source.remember(
            "Oren Dorrell lives in Porto.", user="ana", fact=Fact("Oren Dorrell", "lives in", "Porto")
        )
        for _ in range(6):
            clock.advance(days=2)
            source.reinforce(note.id, user="ana")
        core = source._parts.core
        with core.store.write() as tx:
            owner = tx.notes.owner(source.get(note.id, user="ana").scope)
            request = {"prompt": ASKED, "target": "Porto.", "user": "ana", "agent": None}
            tx.ledger.put_edit(EditRow("e1", note.id, owner, "grace", "active", 1, request, "", 0))
        source.export(tmp_path / "signed.jsonl", everything=True, key=KEY)
    return tmp_path / "signed.jsonl"


def edit_of(inner: list[dict[str, Any]]) -> dict[str, Any]:
    return next(part["edits"][0] for part in inner if part.get("edits"))


def evil(inner: list[dict[str, Any]], **note: Any) -> None:
    """An edit that says what its note does not, on a note with these values."""
    edit_of(inner)["request"]["target"] = EVIL
    inner[0].update(note)


def contradicted(inner: list[dict[str, Any]]) -> None:
    evil(inner)
    other = json.loads(json.dumps(inner[0])) | {
        "id": "01234567-89ab-7def-8123-456789abcdef",
        "edits": [],
        "ledger": [],
        "content": "Oren Dorrell lives in Lisbon.",
    }
    other["fact"] = {**other["fact"], "object": "Lisbon"}
    inner.insert(1, other)
    inner.insert(
        2,
        {
            "type": "link",
            "source": inner[0]["id"],
            "target": other["id"],
            "kind": "contradicts",
            "weight": 1.0,
            "reason": "",
            "used_at": None,
        },
    )


FORGED: dict[str, Callable[[list[dict[str, Any]]], None]] = {
    "untrusted": lambda n: evil(n, trust=0.1),
    "secret": lambda n: evil(
        n,
        content="The password of Oren Dorrell is hunter2hunter2.",
        fact={**n[0]["fact"], "relation": "password", "object": "hunter2hunter2"},
    ),
    "contradicted": contradicted,
    "no fact": lambda n: evil(n, fact=None, content="Nothing of interest."),
}


@pytest.fixture(scope="module")
def model() -> tuple[Any, Any]:
    return load_small_model()


@pytest.mark.parametrize("why", FORGED)
@pytest.mark.parametrize("trust", [None, "trusted"])
def test_an_edit_in_a_hand_written_file_never_reaches_the_model(
    export: Path, tmp_path: Path, clock: ManualClock, model: tuple[Any, Any], why: str, trust: str | None
) -> None:
    """Neither after the import, nor after the weights were rebuilt, nor after a consolidation."""
    with Memory(tmp_path / "target", embedder="hash", clock=clock, model=model) as memory:
        before = memory.ask(ASKED, user="ana", use="weights").text
        report = memory.load_export(forge(export, FORGED[why]), trust=trust)
        assert report.edits == 1
        assert any("candidates" in warning for warning in report.warnings)
        assert memory.edits(user="ana") == []

        for step in (
            lambda: None,
            lambda: memory.rebuild("weights"),
            memory.consolidate,
            lambda: memory.rebuild("weights"),
        ):
            step()
            assert memory.ask(ASKED, user="ana", use="weights").text == before != EVIL
            assert memory.edits(user="ana") == []


def test_a_fact_of_an_import_is_learnt_as_its_note_says_it_when_the_policy_admits_it(
    export: Path, tmp_path: Path, clock: ManualClock, model: tuple[Any, Any]
) -> None:
    """What the file's edit says is of no account."""
    with Memory(tmp_path / "target", embedder="hash", clock=clock, model=model) as memory:
        memory.load_export(forge(export, evil), trust="trusted")
        report = memory.consolidate(user="ana")
        assert [outcome.target for outcome in report.outcomes] == ["Porto."]
        assert memory.ask(ASKED, user="ana", use="weights").text != EVIL
        with memory._parts.core.store.read() as tx:
            assert tx.ledger.edits(state="candidate") == [], "what the file said is settled"


def test_without_the_guards_the_model_says_what_the_file_said(
    export: Path, tmp_path: Path, clock: ManualClock, model: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the tests above would miss if they could not fail: active edits restored, and a rebuild that asks nobody."""
    restore = importing.restore_edits
    monkeypatch.setattr(importing, "restore_edits", lambda *args, proven: restore(*args, proven=True))
    monkeypatch.setattr(Rewriter, "_overruled", lambda self, tx, edits: {})
    with Memory(tmp_path / "target", embedder="hash", clock=clock, model=model) as memory:
        memory.load_export(forge(export, FORGED["untrusted"]))
        memory.rebuild("weights")
        assert memory.ask(ASKED, user="ana", use="weights").text == EVIL


def test_a_signed_file_comes_back_as_it_was(
    export: Path, tmp_path: Path, clock: ManualClock, model: tuple[Any, Any]
) -> None:
    """Trust and active edits too, which still have to be written, and to answer."""
    with Memory(tmp_path / "target", embedder="hash", clock=clock, model=model) as memory:
        report = memory.load_export(export, key=KEY)
        assert (report.proven, report.capped, report.edits) == (True, 0, 1)
        assert [note.trust for note in memory.notes(user="ana")] == [1.0]
        assert [edit.target for edit in memory.edits(user="ana")] == ["Porto."]

        memory.export(tmp_path / "again.jsonl", everything=True, key=KEY)
        assert lines(tmp_path / "again.jsonl")[1:-1] == lines(export)[1:-1]
        assert memory.rebuild("weights") == 1
        assert memory.ask(ASKED, user="ana", use="weights").text == "Porto."


def test_what_the_policy_no_longer_wants_is_not_rebuilt(
    export: Path, tmp_path: Path, clock: ManualClock, model: tuple[Any, Any]
) -> None:
    """A rebuild asks the policy again: an edit of the registry is no warrant."""
    with Memory(
        tmp_path / "target",
        embedder="hash",
        clock=clock,
        model=model,
        settings=Settings(consolidation=ConsolidationSettings(min_trust=1.0)),
    ) as memory:
        memory.load_export(export, key=KEY, trust=0.7)
        assert memory.rebuild("weights") == 0
        assert memory.edits(user="ana") == []
        core = memory._parts.core
        with core.store.read() as tx:
            assert any("not trusted enough" in str(e.details) for e in tx.ledger.entries(event="retired"))


@pytest.mark.parametrize("key", [b"another key of thirty-two bytes.", "text that is long enough"])
def test_a_signature_of_another_key_is_refused_before_anything_is_written(
    export: Path, tmp_path: Path, key: bytes | str
) -> None:
    with Memory(tmp_path / "target", embedder="hash") as memory:
        with pytest.raises(InvalidImport, match="signature"):
            memory.load_export(export, key=key)
        assert memory.stats()["notes"] == 0


def test_every_changed_byte_of_a_signed_file_is_noticed(export: Path, tmp_path: Path) -> None:
    """Also where a new checksum covers it, in the header, and in the signature itself."""
    whole = export.read_bytes()
    wrong = {
        "forged": forge(export, evil).read_bytes(),
        "forged, old signature": forge(export, evil).read_bytes() + whole.splitlines(keepends=True)[-1],
        "header": whole.replace(b'"created_at":"2026', b'"created_at":"2025', 1),
        "unsigned": b"".join(whole.splitlines(keepends=True)[:-1]),
        "signed twice": whole + whole.splitlines(keepends=True)[-1],
        "signature": whole[:-8] + (b"0000" if whole[-8:-4] != b"0000" else b"1111") + whole[-4:],
    }
    with Memory(tmp_path / "target", embedder="hash") as memory:
        for name, data in wrong.items():
            path = tmp_path / "wrong.jsonl"
            path.write_bytes(data)
            with pytest.raises(InvalidImport):
                memory.load_export(path, key=KEY)
            assert memory.stats()["notes"] == 0, name


def test_a_key_that_is_none_is_refused(tmp_path: Path) -> None:
    with Memory(None, embedder="hash") as memory, pytest.raises(InvalidArgument, match="16 bytes"):
        memory.export(tmp_path / "a.jsonl", key="short")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("given", "trust"), [(None, 0.6), (0.2, 0.2), ("low", 0.2), ("trusted", 1.0)])
def test_notes_are_trusted_as_much_as_the_import_grants(export: Path, tmp_path: Path, given: Any, trust: float) -> None:
    with Memory(tmp_path / "target", embedder="hash") as memory:
        report = memory.load_export(export, trust=given)
        assert [note.trust for note in memory.notes(user="ana")] == [trust]
        assert report.capped == (trust < 1.0)
        assert memory.load_export(export, trust=given).skipped == 1


# -- lines that no memory wrote ---------------------------------------------------------------------------------


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


UNLIKELY: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a million tags": (lambda n: n.update(tags=["a"] * 1_000_000), "note.tags"),
    "many keywords": (lambda n: n.update(keywords=["a"] * 5000), "note.keywords"),
    "a long tag": (lambda n: n.update(tags=["a" * 100_000]), "note.tags"),
    "deep metadata": (lambda n: n.update(metadata=deep(70)), "note.metadata"),
    "wide metadata": (lambda n: n.update(metadata={"a": [0] * 200_000}), "note.metadata"),
    "a huge number": (lambda n: n.update(metadata={"a": 2**70}), "note.metadata"),
    "an id that is none": (lambda n: n.update(id="../../etc/passwd"), "note.id"),
    "a time before time": (lambda n: n.update(occurred_at="0001-01-01T00:00:00+12:00"), "note.occurred_at"),
    "a time after time": (lambda n: n.update(valid_to="9999-12-31T23:59:59-12:00"), "note.valid_to"),
    "a stability of ages": (lambda n: n["state"].update(stability=1e300), "note.state.stability"),
}


@pytest.mark.parametrize("what", UNLIKELY)
def test_a_value_that_no_memory_writes_is_refused_with_its_line(export: Path, tmp_path: Path, what: str) -> None:
    change, where = UNLIKELY[what]
    path = forge(export, lambda inner: change(inner[0]) and None)
    with Memory(tmp_path / "target", embedder="hash") as memory:
        with pytest.raises(InvalidImport, match="Line 2") as caught:
            memory.load_export(path)
        assert where in caught.value.message
        assert caught.value.hint
        assert memory.stats()["notes"] == 0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"trust":1.0', b'"trust":1.0,"trust":1.0'),
        (b'"metadata":{}', b'"metadata":{"a":1,"a":2}'),
        (b'"metadata":{}', b'"metadata":{"a":1e999}'),
        (b'"metadata":{}', b'"metadata":{"a":NaN}'),
        (b'"importance":0.5', b'"importance":Infinity'),
        (b'"metadata":{}', b'"metadata":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    ],
)
def test_json_that_two_readers_would_read_differently_is_refused(
    export: Path, tmp_path: Path, old: bytes, new: bytes
) -> None:
    """Names that stand twice, numbers that are none, and what no parser can follow."""
    header, note, *_ = export.read_bytes().splitlines(keepends=True)
    assert old in note
    changed = note.replace(old, new, 1)
    tally = Tally()
    tally.add("note", changed)
    path = tmp_path / "twice.jsonl"
    path.write_bytes(header + changed + line_of(tally.footer()))

    with Memory(tmp_path / "target", embedder="hash") as memory:
        with pytest.raises(InvalidImport, match="Line 2"):
            memory.load_export(path)
        assert memory.stats()["notes"] == 0


def test_a_link_between_notes_of_two_users_is_refused(tmp_path: Path) -> None:
    """Forgetting, or recalling, the one would reach the other."""
    with Memory(tmp_path / "source", embedder="hash") as source:
        a, b = source.remember("Ana sails.", user="ana").id, source.remember("Ben rows.", user="ben").id
        source.export(tmp_path / "a.jsonl", everything=True)
    link = {
        "type": "link",
        "source": a,
        "target": b,
        "kind": "derived_from",
        "weight": 1.0,
        "reason": "",
        "used_at": None,
    }
    path = forge(tmp_path / "a.jsonl", lambda inner: inner.append(link))
    with Memory(tmp_path / "target", embedder="hash") as memory:
        with pytest.raises(InvalidImport, match="different users"):
            memory.load_export(path)
        assert memory.stats()["notes"] == 0


def test_commands_sign_and_prove(export: Path, tmp_path: Path) -> None:
    """The key comes from a file, never from the command line."""
    from typer.testing import CliRunner

    from agentmem.integrations.cli.app import app

    (tmp_path / "key").write_bytes(KEY + b"\n")
    run = CliRunner().invoke
    taken = ["--path", str(tmp_path / "taken"), "--embedder", "hash"]
    assert run(app, ["import", str(export), *taken, "--key-file", str(tmp_path / "key")]).exit_code == 0
    assert (
        run(
            app,
            ["export", str(tmp_path / "out.jsonl"), "--everything", *taken],
            env={"AGENTMEM_KEY_FILE": str(tmp_path / "key")},
        ).exit_code
        == 0
    )
    assert lines(tmp_path / "out.jsonl")[-1]["type"] == "signature"
    assert lines(tmp_path / "out.jsonl")[1]["trust"] == 1.0
