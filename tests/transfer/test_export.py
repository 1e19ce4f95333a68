"""A memory leaves in one file and comes back the same; a damaged file changes nothing."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentmem import Fact, Memory, Scope, Settings
from agentmem.embedding.embedders import HashEmbedder
from agentmem.errors import InvalidArgument, InvalidImport, ScopeError, ScopeRequired, StoreReadOnly
from agentmem.notes.clock import ManualClock, micros
from agentmem.notes.rows import EditRow, EnrichmentRow
from agentmem.projections.linking import TOGETHER
from agentmem.remember.next_version import rewrite
from agentmem.settings import RememberSettings
from agentmem.transfer.format import Tally, line_of


def fill(memory: Memory, clock: ManualClock) -> dict[str, str]:
    """Two users, an agent and shared notes, with something of everything; returns ids by name."""
    ids = {}
    ids["old"] = str(
        memory.remember(
            "Ines lives in Porto.", user="ana", fact=Fact("Ines", "lives in", "Porto"), idempotency_key="k"
        ).id
    )
    clock.advance(days=1, seconds=0.25)
    ids["new"] = str(memory.remember("Ines lives in Lisbon.", user="ana", fact=Fact("Ines", "lives in", "Lisbon")).id)
    memory.remember(
        [{"role": "user", "content": "We row on Sundays."}, {"role": "assistant", "content": "Then take a coat."}],
        user="ana",
        session="monday",
    )
    ids["tea"] = str(
        memory.remember(
            "Likes tea", user="ana", agent="waiter", tags=["drinks"], metadata={"z": 1, "a": [2.5, None]}
        ).id
    )
    describe(memory, ids["tea"], tags=("drinks",), keywords=("beverage",))
    memory.update(ids["tea"], "Likes green tea", user="ana")
    memory.reinforce([ids["tea"], ids["new"]], user="ana")
    clock.advance(days=2)
    memory.reinforce(ids["tea"], "hard", user="ana")
    memory.link(ids["tea"], ids["old"], reason="both from home", user="ana")
    ids["ben"] = str(memory.remember("Ben sails.", user="ben").id)
    ids["bot"] = str(memory.remember("Be brief.", agent="bot").id)
    ids["shared"] = str(memory.remember("The office closes at six.").id)
    memory.link(ids["ben"], ids["shared"], user="ben")
    ids["gone"] = str(memory.remember("The password is swordfish.", user="ana").id)
    memory.forget(ids["gone"], user="ana")
    memory.reinforce([ids["new"], ids["old"]], user="ana")
    describe(memory, ids["new"], sources=[ids["old"], ids["tea"]], keywords=("move",))
    act(memory, "mug in the sink", "wash it", 1.0, user="ana")
    act(memory, "mug in the sink", "drop it", -0.5, user="ana", agent="waiter")
    memory.experience.record(
        "Tidy up.", "an open door", "close it", 0.25, "a closed door", user="ben"
    )  # the episode goes on
    core = memory._parts.core
    with core.store.write() as tx:
        rows = tx.notes.rows_of([ids["ben"], ids["bot"]])
        for _ in range(2):
            tx.enrichment.failed(rows[ids["ben"]], micros(clock.now()))
        tx.enrichment.put(rows[ids["bot"]], EnrichmentRow(state="kept"), micros(clock.now()))
    with core.store.write() as tx:
        owner = tx.notes.owner(Scope(user="ana"))
        assert owner is not None
        request = {"prompt": "Where does Ines live?", "target": "Lisbon.", "user": "ana", "agent": None}
        tx.ledger.put_edit(
            EditRow("e1", ids["new"], owner, "grace", "retired", 1, request, "demoted", micros(clock.now()))
        )
        tx.ledger.append(micros(clock.now()), "demoted", note_id=ids["new"], edit_id="e1", details={"score": 0.5})
    return ids


def describe(
    memory: Memory, id: str, *, sources: Sequence[str] = (), tags: tuple[str, ...] = (), keywords: tuple[str, ...] = ()
) -> None:
    """What the table holds after a language model described a note."""
    core = memory._parts.core
    with core.store.write() as tx:
        rows = tx.notes.rows_of([id, *sources])
        before = tx.notes.load([rows[id]])[rows[id]]
        after = replace(
            before, context="About home.", tags=(*before.tags, *tags), keywords=(*before.keywords, *keywords)
        )
        rewrite(tx, rows[id], before, after, "evolved by another note")
        tx.enrichment.put(rows[id], EnrichmentRow(before.context, tags, keywords), micros(core.clock.now()))
        tx.enrichment.add_sources(rows[id], [rows[source] for source in sources])


def act(memory: Memory, observation: str, action: str, reward: float, **whose: str) -> str:
    """An episode of one step."""
    return str(memory.experience.record("Tidy up.", observation, action, reward, None, **whose).id)


def body(path: Path) -> bytes:
    """Everything but the header."""
    return path.read_bytes().split(b"\n", 1)[1]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def forge(path: Path, change: Callable[[list[dict[str, Any]]], None]) -> Path:
    """The file with other lines and a checksum that fits them: what only the checks of each line can refuse."""
    parts = lines(path)
    inner = parts[1:-1]
    change(inner)
    tally = Tally()
    for part in inner:
        tally.add(part["type"], line_of(part))
    forged = path.with_name("forged.jsonl")
    forged.write_bytes(b"".join(line_of(part) for part in [parts[0], *inner, tally.footer()]))
    return forged


def assert_empty(memory: Memory) -> None:
    with memory._parts.core.store.read() as tx:
        counts = tx.counts()  # a bound memory tells of its own only
    assert {
        counts[name] for name in ("notes", "links", "vectors", "text", "versions", "edits", "ledger", "owners")
    } <= {0, 1}
    assert counts["notes"] == counts["edits"] == counts["ledger"] == 0


@pytest.fixture
def exported(open_memory, clock: ManualClock, tmp_path: Path) -> tuple[dict[str, str], Path]:
    memory = open_memory(name="source")
    ids = fill(memory, clock)
    memory.export(tmp_path / "all.jsonl", everything=True)
    return ids, tmp_path / "all.jsonl"


@pytest.mark.parametrize("vectors", [False, True])
def test_export_import_export_is_the_same_file(open_memory, clock: ManualClock, tmp_path: Path, vectors: bool) -> None:
    """All but the header is equal byte by byte, and the copy answers as the original does."""
    source, target = open_memory(name="source"), open_memory(name="target")
    ids = fill(source, clock)
    first = source.export(tmp_path / "a.jsonl", everything=True, vectors=vectors)

    report = target.load_export(tmp_path / "a.jsonl", trust="trusted")
    second = target.export(tmp_path / "b.jsonl", everything=True, vectors=vectors)

    assert body(tmp_path / "a.jsonl") == body(tmp_path / "b.jsonl")
    assert first.sha256 == second.sha256
    assert (report.notes, report.links, report.skipped) == (first.notes, first.links, 0)
    assert (report.carried, report.embedded) == ((first.notes, 0) if vectors else (0, first.notes))
    assert target.check().ok
    for user in ("ana", "ben"):
        assert target.notes(user=user) == source.notes(user=user)
        found, expected = (m.recall("where does Ines live on Sundays", user=user) for m in (target, source))
        assert [(h.note, h.score) for h in found] == [(h.note, h.score) for h in expected]
    assert target.history(ids["tea"], user="ana") == source.history(ids["tea"], user="ana")
    assert "swordfish" not in (tmp_path / "a.jsonl").read_text()


def test_what_is_exported_says_what_it_is(exported, tmp_path: Path) -> None:
    """Header first, footer last, counts that are right, and a file for its owner only."""
    header, *inner, footer = lines(exported[1])

    assert (header["format"], header["version"], header["scope"]) == ("agentmem-export", 5, None)
    assert {part["type"] for part in inner} == {"note", "link", "made_from", "ledger"}
    assert footer["notes"] == sum(part["type"] == "note" for part in inner)
    assert exported[1].stat().st_mode & 0o077 == 0


def test_a_second_import_changes_nothing(open_memory, exported) -> None:
    """What is there is skipped; curves that moved on since stay as they are."""
    target = open_memory(name="target")
    count = target.load_export(exported[1]).notes
    target.reinforce(exported[0]["new"], user="ana")
    moved = target.get(exported[0]["new"], user="ana").state
    before = target.stats()

    report = target.load_export(exported[1])

    assert (report.notes, report.skipped, report.links, report.ledger, report.conflicts) == (0, count, 0, 0, [])
    assert target.stats() == before
    assert target.get(exported[0]["new"], user="ana").state == moved


def test_a_conflicting_id_is_reported_and_left_alone(open_memory, exported) -> None:
    target = open_memory(name="target")
    target.load_export(exported[1])
    target.update(exported[0]["tea"], "Likes coffee", user="ana")

    report = target.load_export(exported[1])

    assert report.conflicts == [exported[0]["tea"]]
    assert target.get(exported[0]["tea"], user="ana").content == "Likes coffee"


def test_what_was_forgotten_here_stays_forgotten_unless_asked_for(open_memory, exported, clock: ManualClock) -> None:
    """By its id, and by its words under another id; ``forgotten=True`` is the way back."""
    target = open_memory(name="target")
    target.load_export(exported[1])
    clock.advance(hours=1)
    target.forget(exported[0]["tea"], user="ana")
    other = open_memory(name="other")
    twin = other.remember("Ben sails.", user="ben")
    other.forget(str(twin.id), user="ben")

    assert target.load_export(exported[1]).forgotten == [exported[0]["tea"]]
    assert "tea" not in str([note.content for note in target.notes(user="ana")])
    assert other.load_export(exported[1], dry_run=True).forgotten == [exported[0]["ben"]]
    assert other.load_export(exported[1]).forgotten == [exported[0]["ben"]]
    assert other.notes(user="ben", where={"content": "Ben sails."}) == []

    assert target.load_export(exported[1], forgotten=True).notes == 1
    assert target.get(exported[0]["tea"], user="ana").content == "Likes green tea"
    assert target.check().ok


def test_a_forgetting_of_the_source_travels_with_its_books(
    open_memory, exported, clock: ManualClock, tmp_path: Path
) -> None:
    """An older export does not bring back what a newer one says was forgotten."""
    source = open_memory(name="source")
    older = exported[1]
    clock.advance(hours=1)
    source.forget(exported[0]["ben"], user="ben")
    source.export(tmp_path / "newer.jsonl", everything=True)
    target = open_memory(name="target")

    target.load_export(tmp_path / "newer.jsonl")

    assert target.load_export(older).forgotten == [exported[0]["ben"]]


def test_a_bound_memory_exports_its_own_notes_only(open_memory, exported, tmp_path: Path) -> None:
    """Neither another user's, nor an agent's, nor the shared ones, nor a link to any of them, nor their registry."""
    source, bound = open_memory(name="source"), open_memory(Scope(user="ben"), name="source")
    report = bound.export(tmp_path / "ben.jsonl")
    source.export(tmp_path / "bot.jsonl", agent="bot")
    header, *inner, _ = lines(tmp_path / "ben.jsonl")

    assert header["scope"] == {"user": "ben"}
    assert [part["id"] for part in inner if part["kind"] != "experience"] == [exported[0]["ben"]]
    assert (report.notes, report.links, report.ledger) == (2, 0, 0)
    assert [part["content"] for part in lines(tmp_path / "bot.jsonl")[1:-1]] == ["Be brief."]
    with pytest.raises(ScopeError):
        bound.export(tmp_path / "all.jsonl", everything=True)
    with pytest.raises(ScopeError):
        bound.export(tmp_path / "ana.jsonl", user="ana")
    with pytest.raises(ScopeRequired):
        source.export(tmp_path / "unsaid.jsonl")
    assert not (tmp_path / "unsaid.jsonl").exists()


def test_a_bound_memory_takes_only_its_own_notes(open_memory, exported, tmp_path: Path) -> None:
    """A file with anybody else's notes is refused as a whole."""
    open_memory(name="source").export(tmp_path / "ana.jsonl", user="ana")
    target = open_memory(Scope(user="ana"), name="target")

    with pytest.raises(ScopeError, match="Line"):
        target.load_export(exported[1])
    assert_empty(target)
    assert target.load_export(tmp_path / "ana.jsonl").notes == 7


@pytest.mark.parametrize(
    "scope", [Scope(user="ana", agent="bot"), Scope(user="ana", session="monday"), Scope(agent="bot")]
)
def test_what_a_scope_exports_it_takes_back(open_memory, tmp_path: Path, scope: Scope) -> None:
    """Also the notes of no agent and of no session, which it sees."""
    source = open_memory(name="source")
    for told in (
        {"user": "ana"},
        {"user": "ana", "agent": "bot"},
        {"user": "ana", "session": "monday"},
        {"agent": "bot"},
    ):
        source.remember(f"This was said to {told}.", **told)
    report = open_memory(scope, name="source").export(tmp_path / "part.jsonl")

    assert report.notes > 0
    assert open_memory(scope, name="target").load_export(tmp_path / "part.jsonl").notes == report.notes


@pytest.mark.parametrize("scope", [Scope(agent="bot"), Scope(session="monday")])
def test_a_memory_without_a_user_takes_no_notes_of_users(open_memory, tmp_path: Path, scope: Scope) -> None:
    """That a note was made with the same agent, in a session of the same name, does not make it the agent's."""
    source = open_memory(name="source")
    source.remember("Ben keeps a secret.", user="ben", agent="bot", session="monday")
    source.export(tmp_path / "ben.jsonl", user="ben")
    target = open_memory(scope, name="target")

    with pytest.raises(ScopeError, match="Line"):
        target.load_export(tmp_path / "ben.jsonl")
    assert_empty(target)


def test_an_edit_that_would_answer_others_is_refused(open_memory, exported) -> None:
    """An edit of a note answers for that note's scope, whatever a file says."""

    def widen(inner: list[dict[str, Any]]) -> None:
        edits = next(part["edits"] for part in inner if part.get("edits"))
        edits[0]["request"]["user"] = None

    with pytest.raises(InvalidImport, match="own scope"):
        open_memory(name="target").load_export(forge(exported[1], widen))


def test_a_file_cut_anywhere_is_refused_and_nothing_is_written(open_memory, exported) -> None:
    """After every line, and in the middle of one."""
    whole = exported[1].read_bytes()
    target = open_memory(name="target")
    ends = [i + 1 for i, byte in enumerate(whole) if byte == 10][:-1]
    for length in [0, 1, *ends, *(end - 1 for end in ends), *(end + 7 for end in ends), len(whole) - 1]:
        torn = exported[1].with_name("torn.jsonl")
        torn.write_bytes(whole[:length])
        with pytest.raises(InvalidImport) as caught:
            target.load_export(torn)
        assert caught.value.hint
    assert_empty(target)


def test_a_changed_byte_is_noticed(open_memory, exported) -> None:
    """A word replaced by another, a line left out, two lines exchanged."""
    whole, target = exported[1].read_bytes(), open_memory(name="target")
    parts = whole.splitlines(keepends=True)
    wrong = [
        whole.replace(b"Likes green tea", b"Likes black tea"),
        b"".join(parts[:2] + parts[3:]),
        b"".join([parts[0], parts[2], parts[1], *parts[3:]]),
        whole + parts[1],
        b"".join(parts[1:]),
    ]
    for data in wrong:
        changed = exported[1].with_name("changed.jsonl")
        changed.write_bytes(data)
        with pytest.raises(InvalidImport):
            target.load_export(changed)
    assert_empty(target)


def experience_of(inner: list[dict[str, Any]]) -> dict[str, Any]:
    return next(part["experience"] for part in inner if part.get("experience"))


def enrichment_of(inner: list[dict[str, Any]]) -> dict[str, Any]:
    return next(part["enrichment"] for part in inner if part.get("enrichment"))


def made_from(inner: list[dict[str, Any]]) -> dict[str, Any]:
    return next(part for part in inner if part["type"] == "made_from")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda n: n[1].update(content=""), "it has no words"),
        (lambda n: n[1].update(content="a\0b"), "Line 3, note.content"),
        (lambda n: n[0].update(occurred_at="yesterday"), "Line 2, note.occurred_at"),
        (lambda n: n[0].update(importance=2.0), "Line 2, note.importance"),
        (lambda n: n[0].update(version="3"), "Line 2, note.version"),
        (lambda n: n[0].update(surprise=1), "Line 2, note.surprise"),
        (lambda n: n[0].pop("state"), "Line 2, note.state"),
        (lambda n: n[0].update(history=n[0]["history"] * 2), "not in order"),
        (lambda n: n[1].update(id=n[0]["id"]), "Line 3: an id stands in the file twice"),
        (lambda n: n[0].update(type="notice"), "Line 2"),
        (
            lambda n: next(p for p in n if p["type"] == "link").update(target="0" * 8 + "-0000-0000-0000-" + "0" * 12),
            "not in the file",
        ),
        (lambda n: n[0].update(experience={"q": 1.0, "visits": 1}), "Line 2, note: Value error, its metadata"),
        (lambda n: experience_of(n).update(visits=-1), "experience.visits"),
        (lambda n: experience_of(n).update(q="high"), "experience.q"),
        (lambda n: enrichment_of(n).update(state="lost"), "enrichment.state"),
        (lambda n: enrichment_of(n).update(version=77), "a version that it never had"),
        (lambda n: next(p for p in n if p["type"] == "link").update(used_at="once"), "link.used_at"),
        (lambda n: made_from(n).update(sources=["0" * 8 + "-0000-0000-0000-" + "0" * 12]), "not in the file"),
        (lambda n: made_from(n).update(sources=[]), "made_from.sources"),
        (lambda n: made_from(n).update(note=n[0]["id"], sources=[n[1]["id"]]), "has no enrichment"),
        (lambda n: n.append(n.pop(next(i for i, p in enumerate(n) if p["type"] == "link"))), "after a ledger"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_written(open_memory, exported, change: Any, said: str) -> None:
    """Checksums say that a file is as it was written; each line is checked for what it says all the same."""
    target = open_memory(name="target")
    with pytest.raises(InvalidImport) as caught:
        target.load_export(forge(exported[1], change))

    assert said in caught.value.message
    assert_empty(target)


def test_a_newer_format_is_refused_with_the_cure(open_memory, exported) -> None:
    newer = exported[1].with_name("newer.jsonl")
    newer.write_bytes(exported[1].read_bytes().replace(b'"version":5', b'"version":7', 1))
    with pytest.raises(InvalidImport, match="upgrade"):
        open_memory(name="target").load_export(newer)


def test_a_file_of_the_first_version_is_still_read(open_memory, exported) -> None:
    """It has no experiences, no enrichment, no last use of links, and one fact in a note."""

    def older(inner: list[dict[str, Any]]) -> None:
        inner[:] = [part for part in inner if part["type"] != "made_from"]
        for part in inner:
            for name in ("experience", "enrichment", "used_at", "record", "record_times", "facts"):
                part.pop(name, None)

    target, path = open_memory(name="target"), forge(exported[1], older)
    path.write_bytes(path.read_bytes().replace(b'"version":5', b'"version":1', 1))
    report = target.load_export(path)

    assert report.notes == len([part for part in lines(path) if part.get("type") == "note"])
    assert target.check().ok
    assert not target.experience.advise("Tidy up.", "mug in the sink", user="ana")


def test_records_come_back_under_their_keys(open_memory, clock: ManualClock) -> None:
    """With value, lifetime and history, with and without a text; and a second import finds nothing left to do."""
    source, target = open_memory(name="source"), open_memory(name="target")
    source.put(("a", "b"), "k", {"text": "The old boat."}, user="ana")
    source.put(
        ("a", "b"), "k", {"text": "The boat.", "deep": [{"n": 10**30, "x": -0.5}]}, ttl=90, user="ana", agent="cook"
    )
    source.put(("a", "b"), "k", {"text": "The new boat."}, user="ana", tags=["x"])
    source.put(("a",), "hidden", {"text": "Nobody finds it."}, index=False, user="ana", session="monday")
    path = source.path / "out.jsonl"
    source.export(path, everything=True)

    report = target.load_export(path)

    assert (report.notes, report.embedded, report.conflicts) == (3, 2, [])
    for scope in ({"user": "ana"}, {"user": "ana", "agent": "cook"}, {"user": "ana", "session": "monday"}):
        assert target.search((), unscored=True, **scope) == source.search((), unscored=True, **scope)
        assert target.search((), **scope)
    id = source.get(("a", "b"), "k", user="ana").id
    assert [v.content for v in target.history(id, user="ana")] == ["The old boat.", "The new boat."]
    assert target.load_export(path).notes == 0
    assert target.check(deep=True).ok
    assert target.put(("a", "b"), "k", {"text": "Another."}, user="ana").id == id


def test_a_key_that_is_taken_stays_what_it_is(open_memory) -> None:
    source, target = open_memory(name="source"), open_memory(name="target")
    theirs = source.put(("a",), "k", {"text": "The boat of the file."}, user="ana")
    mine = target.put(("a",), "k", {"text": "My own boat."}, user="ana")
    path = source.path / "out.jsonl"
    source.export(path, everything=True)

    report = target.load_export(path)

    assert (report.notes, report.conflicts) == (0, [theirs.id])
    assert target.get(("a",), "k", user="ana") == mine
    assert len(target.notes(user="ana")) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda n: n.update(record=None), "half a record"), (lambda n: n.update(kind="episodic"), "half a record"),
        (lambda n: n.update(record_times=None), "half a record"), (lambda n: n["record"].update(namespace=["a.b"]), "no label"),
        (lambda n: n["record"].update(namespace=[]), "empty"), (lambda n: n["record"].update(key=""), "key"),
        (lambda n: n["record"].update(value=[1]), "record.value"), (lambda n: n["record"].update(value={"a": "x" * 2_000_000}), "bytes"),
        (lambda n: n["record"].update(ttl=-1), "ttl"), (lambda n: n["record"].update(index=["a..b"]), "path"),
        (lambda n: n["record"].update(other=1), "record.other"), (lambda n: n.update(content="", record=None, record_times=None, kind="semantic"), "no words"),
    ],
)  # fmt: skip
def test_a_record_that_nobody_could_have_put_is_refused(open_memory, change: Any, said: str) -> None:
    source, target = open_memory(name="source"), open_memory(name="target")
    source.put(("a",), "k", {"text": "The boat."})
    path = source.path / "out.jsonl"
    source.export(path)

    with pytest.raises(InvalidImport) as caught:
        target.load_export(forge(path, lambda inner: change(next(part for part in inner if part["type"] == "note"))))

    assert said in caught.value.message
    assert_empty(target)


def test_two_records_of_a_file_under_one_key_are_one(open_memory) -> None:
    """Nobody writes such a file; who forges one gets the first of them."""
    source, target = open_memory(name="source"), open_memory(name="target")
    for key in "ab":
        source.put(("n",), key, {"text": f"The boat {key}."}, user="ana")
    path = source.path / "out.jsonl"
    source.export(path, everything=True)

    def same(inner: list[dict[str, Any]]) -> None:
        for part in inner:
            if part["type"] == "note":
                part["record"]["key"] = "a"

    report = target.load_export(forge(path, same))

    assert (report.notes, len(report.conflicts)) == (1, 1)
    assert target.check(deep=True).ok


def test_the_copy_advises_as_the_original_and_goes_on_learning(open_memory, exported) -> None:
    """Values come along, situations and actions are known again, and the file has none of the keyed digests."""
    source, target = open_memory(name="source"), open_memory(name="target")
    target.load_export(exported[1])

    assert target.experience.advise("Tidy up.", "mug in the sink", user="ana") == source.experience.advise(
        "Tidy up.", "mug in the sink", user="ana"
    )
    again = target.experience.record("Tidy up.", "mug in the sink", "wash it", 0.0, None, user="ana")
    assert again.status == "merged"
    assert target.experience.advise("Tidy up.", "mug in the sink", user="ana").q("wash it") == pytest.approx(0.5)
    assert not target.experience.advise(
        "Tidy up.", "an open door", user="ben"
    )  # the window of an open episode stays behind
    assert target.experience.record("Tidy up.", "an open door", "close it", 0.25, None, user="ben").status == "merged"


def test_an_experience_that_was_made_here_too_keeps_its_value(open_memory, exported) -> None:
    target = open_memory(name="target")
    own = act(target, "mug in the sink", "wash it", 0.125, user="ana")

    report = target.load_export(exported[1])

    assert len(report.met) == 1
    assert own not in report.met
    assert any("known here already" in warning for warning in report.warnings)
    assert target.experience.advise("Tidy up.", "mug in the sink", user="ana").q("wash it") == 0.125


def test_what_a_model_added_is_found_and_taken_back_in_the_copy(open_memory, exported) -> None:
    """Keywords it added find the note; what it made from a note that is forgotten goes with that note."""
    ids, target = exported[0], open_memory(name="target")
    target.load_export(exported[1])
    assert target.stats()["enrichment"] == open_memory(name="source").stats()["enrichment"]
    with target._parts.core.store.read() as tx:
        assert [row for row, _ in target._parts.core.text.search(tx, ["move"], tx.notes.all_owners(), 5)] == list(
            tx.notes.rows_of([ids["new"]]).values()
        )

    target.forget(ids["old"], user="ana")

    assert target.get(ids["new"], user="ana").context != "About home."
    assert "move" not in target.get(ids["new"], user="ana").keywords


def test_words_made_from_a_note_that_was_forgotten_here_do_not_come_in(open_memory, exported) -> None:
    """The note comes, what a model said of it from the forgotten one does not."""
    ids, target = exported[0], open_memory(name="target")
    twin = target.remember("Ines lives in Porto.", user="ana")
    target.forget(str(twin.id), user="ana")

    report = target.load_export(exported[1])

    assert report.forgotten == [ids["old"]]
    assert target.get(ids["new"], user="ana").context != "About home."


def test_what_was_derived_from_a_note_that_was_forgotten_here_does_not_come_in(open_memory, exported) -> None:
    """However far down, and wherever it stands in the file: forgetting the note here would have removed it too."""
    ids, path, target = exported[0], exported[1].with_name("derived.jsonl"), open_memory(name="target")
    source = open_memory(name="source")
    summary = str(source.remember("In short: a move.", user="ana").id)
    portrait = str(source.remember("Ines moves about.", user="ana").id)
    source.link(summary, ids["old"], "derived_from", user="ana")
    source.link(portrait, summary, "derived_from", user="ana")
    source.link(ids["tea"], portrait, "derived_from", user="ana")  # stands before what it was made from
    source.export(path, everything=True)
    twin = target.remember("Ines lives in Porto.", user="ana")
    target.forget(str(twin.id), user="ana")

    report = target.load_export(path)

    assert sorted(report.forgotten) == sorted([ids["old"], summary, portrait, ids["tea"]])
    assert target.check().ok
    assert target.load_export(path, forgotten=True).notes == 4
    assert target.get(summary, user="ana").content == "In short: a move."


def test_links_keep_their_last_use_and_those_held_here_stay(open_memory, exported, clock: ManualClock) -> None:
    """A link that has faded here does not get its former weight back from an older file."""
    ids, target = exported[0], open_memory(name="target")
    with open_memory(name="source") as source:
        source.reinforce([ids["old"], ids["new"]], user="ana")  # twice: stronger than one use, 900 days later, can be
        source.export(exported[1], everything=True)
    target.load_export(exported[1])
    assert [part["used_at"] for part in lines(exported[1]) if part.get("kind") == TOGETHER] == [clock.now().isoformat()]
    clock.advance(days=900)
    target.reinforce([ids["old"], ids["new"]], user="ana")
    with target._parts.core.store.read() as tx:
        before = tx.links.touching(tx.notes.select_all(), [TOGETHER])

    report = target.load_export(exported[1])

    assert report.links == 0
    with target._parts.core.store.read() as tx:
        assert tx.links.touching(tx.notes.select_all(), [TOGETHER]) == before


def test_another_embedder_computes_its_own_vectors(exported, tmp_path: Path) -> None:
    """Vectors in the file are carried only where they fit."""
    with Memory(tmp_path / "source", embedder="hash") as source:
        source.export(tmp_path / "v.jsonl", everything=True, vectors=True)
    with Memory(None, embedder=HashEmbedder(48)) as target:
        report = target.load_export(tmp_path / "v.jsonl")
        assert (report.carried, report.embedded) == (0, report.notes)
        assert target.recall("green tea", user="ana")[0].note.content == "Likes green tea"


def test_a_failed_export_leaves_the_former_file(open_memory, exported, tmp_path: Path) -> None:
    """The name changes hands only when all is written; nothing half-written lies about."""
    source, before = open_memory(name="source"), exported[1].read_bytes()

    def fail(step: str) -> None:
        raise RuntimeError(step)

    source._parts.fail = fail
    with pytest.raises(RuntimeError, match="export:before-rename"):
        source.export(exported[1], everything=True)
    source._parts.fail = lambda step: None

    assert exported[1].read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if ".part" in p.name] == []
    with pytest.raises(InvalidArgument):
        source.export(tmp_path, everything=True)
    with pytest.raises(StoreReadOnly):
        source.export(tmp_path / "missing" / "a.jsonl", everything=True)


def test_an_import_that_is_interrupted_can_be_repeated(open_memory, exported, tmp_path: Path) -> None:
    """Batches that were written stay; the next call does the rest, and the result is the same file."""
    small = Settings(remember=RememberSettings(batch=2))
    target = open_memory(name="target", settings=small)
    seen: list[str] = []

    def fail(step: str) -> None:
        seen.append(step)
        if seen.count("import:before-commit") == 3:
            raise RuntimeError(step)

    target._parts.fail = fail
    with pytest.raises(RuntimeError):
        target.load_export(exported[1], trust="trusted")
    assert target.stats()["notes"] == 3  # the header stood in the first batch
    target._parts.fail = lambda step: None
    target.load_export(exported[1], trust="trusted")
    target.export(tmp_path / "again.jsonl", everything=True)

    assert body(tmp_path / "again.jsonl") == body(exported[1])
    assert target.check().ok


@pytest.mark.slow
def test_memory_use_of_an_export_does_not_grow_with_the_notes(tmp_path: Path) -> None:
    """Four times as many notes take about as much memory."""
    peaks = []
    for count in (300, 1200):
        with Memory(
            None, embedder=HashEmbedder(16), settings=Settings(remember=RememberSettings(neighbour_limit=0))
        ) as memory:
            memory.remember_many([f"{i} " + "x " * 100 for i in range(count)])
            tracemalloc.start()
            memory.export(tmp_path / f"{count}.jsonl")
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()

    assert peaks[1] < 1.5 * peaks[0]


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40).map(
    lambda t: t if not t.isspace() else "blank"
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
YEARS = datetime(1901, 1, 1), datetime(2099, 1, 1)  # noqa: DTZ001 - hypothesis wants naive bounds
ITEM = st.fixed_dictionaries(
    {"content": TEXT},
    optional={
        "user": st.sampled_from(["ana", "ben", "ü\n"]), "agent": st.sampled_from(["bot", "cook"]), "session": st.sampled_from(["s1", "s2"]),
        "kind": st.sampled_from(["episodic", "semantic"]), "importance": st.floats(0, 1), "trust": st.floats(0, 1),
        "tags": st.lists(st.sampled_from(["a", "b", "ç"]), max_size=2), "metadata": st.dictionaries(TEXT, JSON, max_size=3),
        "occurred_at": st.datetimes(*YEARS).map(lambda d: d.isoformat() + "+00:00"),
        "fact": st.tuples(TEXT, TEXT, TEXT), "idempotency_key": st.sampled_from(["k1", "k2", "k3"]),
    },
)  # fmt: skip


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    items=st.lists(ITEM, min_size=1, max_size=8),
    actions=st.lists(
        st.tuples(st.integers(0, 7), st.sampled_from("update use link forget describe fail act".split())), max_size=6
    ),
)
def test_whatever_a_memory_holds_comes_back_equal(
    tmp_path: Path, items: list[dict[str, Any]], actions: list[tuple[int, str]]
) -> None:
    """Any notes and experiences, changed, used, linked, described and forgotten in any order: export, import, export gives the same bytes."""
    clock = ManualClock()
    with (
        Memory(None, embedder=HashEmbedder(16), clock=clock) as source,
        Memory(None, embedder=HashEmbedder(16), clock=clock) as target,
    ):
        receipts = source.remember_many(items)
        first: dict[
            str, tuple[str, Any, Any]
        ] = {}  # a repeated idempotency key is answered with the note it led to at first
        for receipt, item in zip(receipts, items, strict=True):
            if receipt.id is not None:
                first.setdefault(receipt.id, (receipt.id, item.get("user"), item.get("agent")))
        known = list(first.values())
        for number, action in actions:
            clock._now += timedelta(hours=7, microseconds=number)
            if not known:
                break
            id, user, agent = known[number % len(known)]
            whose = {"user": user, "agent": agent} if user or agent else {"agent": "nobody"}
            if action == "act":
                at = f"place {number % 3}"
                act(source, at, f"step {number % 2}", number / 3, **(whose if user or agent else {}))
                source.experience.record(
                    "Go on.", at, "wait", 0.1 * number, "elsewhere", **(whose if user or agent else {})
                )
            elif action == "describe":
                beside = [other for other, *owner in known if owner == [user, agent]][:2]
                describe(source, id, sources=beside, keywords=(f"word{number}",))
            elif action == "fail":
                with source._parts.core.store.write() as tx:
                    tx.enrichment.failed(tx.notes.rows_of([id])[id], micros(clock.now()))
            elif action == "update":
                source.update(id, f"changed {number}", **whose)
            elif action == "use":
                source.reinforce([id, *(other for other, *owner in known if owner == [user, agent])][:3], **whose)
            elif action == "link" and known[0][1:] == (user, agent) and known[0][0] != id:
                source.link(known[0][0], id, reason="ö", **whose)
            elif action == "forget":
                source.forget(id, **whose)
                known = [entry for entry in known if entry[0] != id]
        source.export(tmp_path / "a.jsonl", everything=True, vectors=True)
        target.load_export(tmp_path / "a.jsonl", trust=1.0)
        target.export(tmp_path / "b.jsonl", everything=True, vectors=True)

        assert body(tmp_path / "a.jsonl") == body(tmp_path / "b.jsonl")
        assert target.check().ok
