"""An id of somebody else's note is as unknown as one that never was, to every verb; and so is his command line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agentmem import Memory, Scope
from agentmem.errors import AgentMemError, ScopeError
from agentmem.integrations.chat import ChatAgent
from agentmem.integrations.cli.app import app
from agentmem.notes.clock import ManualClock
from agentmem.notes.rows import EditRow
from agentmem.transfer import claimed_ids
from agentmem.transfer.format import Tally, line_of, parse
from tests.attack.plain_model import ScopedEditor, teach
from tests.attack.tenants import Teller, World, as_text, bound_to

MISSING = "01990000-0000-7000-8000-000000000000"
BOB: dict[str, Any] = {"user": "bob"}
Verb = Callable[[Memory, str, str], Any]
BY_ID: dict[str, Verb] = {
    "get": lambda m, id, own: m.get(id, **BOB),
    "history": lambda m, id, own: m.history(id, **BOB),
    "update": lambda m, id, own: m.update(id, "new words", **BOB),
    "forget": lambda m, id, own: m.forget(id, **BOB),
    "forget with an own one": lambda m, id, own: m.forget([own, id], dry_run=True, **BOB),
    "forget by filter": lambda m, id, own: m.forget({"id": id}, dry_run=True, **BOB),
    "forget by any of": lambda m, id, own: m.forget({"$or": [{"id": id}, {"id": {"$in": [id]}}]}, **BOB),
    "link from": lambda m, id, own: m.link(id, own, **BOB),
    "link to": lambda m, id, own: m.link(own, id, **BOB),
    "why_linked": lambda m, id, own: m.why_linked(own, id, **BOB),
    "why_not": lambda m, id, own: m.why_not("words", id, **BOB),
    "explain": lambda m, id, own: m.explain(id, **BOB),
    "graph around": lambda m, id, own: m.graph(around=id, **BOB),
    "reinforce": lambda m, id, own: m.reinforce(id, **BOB),
    "reinforce or gone": lambda m, id, own: m.reinforce([own, id], or_gone=True, **BOB),
    "unfade": lambda m, id, own: bound_to(m, Scope(user="bob")).unfade(id),
    "notes by filter": lambda m, id, own: m.notes(where={"$or": [{"id": id}, {"content": {"$contains": id}}]}, **BOB),
    "recall by filter": lambda m, id, own: m.recall("plan", where={"id": id}, **BOB).hits,
    "ask without": lambda m, id, own: m.ask("plan", use="notes", exclude=[id], **BOB).notes,
    "derived from it": lambda m, id, own: m.remember({"content": "made of it", "derived_from": [id]}, **BOB),  # type: ignore[dict-item]
    "same key": lambda m, id, own: m.remember("Bob's other plan.", idempotency_key="key", **BOB).status,
    "same experience": lambda m, id, own: m.experience.record("open", "a door", "push", 1.0, None, **BOB).status,
}


def _told(world: Memory) -> tuple[str, str, str]:
    """Alice's note with everything beside it, Bob's, and one that is for all, linked to hers."""
    told = world.remember(
        "Alice's plan is quince.", user="alice", idempotency_key="key", fact=("Alice", "plans", "quince")
    )
    own, shared = world.remember("Bob's plan.", **BOB), world.remember("The office plan.")
    world.link(str(told.id), str(shared.id), kind="derived_from", reason="quince", user="alice")
    world.experience.record("open", "a door", "push", 1.0, None, user="alice")
    return str(told.id), str(own.id), str(shared.id)


def _outcome(verb: Verb, memory: Memory, id: str, own: str) -> str:
    """What the caller gets, without the id that he gave, and without what two calls never have in common."""
    try:
        said = as_text(verb(memory, id, own))
    except AgentMemError as error:
        said = f"{type(error).__name__}: {error} {error.hint}"
    return re.sub(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b", "an id", said.replace(id, "the id"))


@pytest.mark.parametrize("verb", BY_ID.values(), ids=BY_ID)
def test_a_foreign_id_and_a_missing_one_have_the_same_outcome(verb: Verb) -> None:
    """Neither result, nor error, nor hint tells that the note is there."""
    outcomes = []
    for foreign in (True, False):
        clock = ManualClock()
        with Memory(None, embedder="hash", clock=clock, llm=Teller()) as memory:
            theirs, own, _ = _told(memory)
            outcomes.append(_outcome(verb, memory, theirs if foreign else MISSING, own))

    assert outcomes[0] == outcomes[1]
    assert "quince" not in outcomes[0]


@pytest.fixture
def memory() -> Iterator[Memory]:
    with Memory(None, embedder="hash", clock=ManualClock(), llm=Teller()) as opened:
        yield opened


def test_a_report_of_somebody_else_brings_nothing_back(memory: Memory) -> None:
    """Of a fade report, what one may not see is passed over like what was forgotten."""
    memory.remember("Alice's plan is quince.", user="alice", importance=0.1)
    memory.clock.advance(days=400)  # type: ignore[attr-defined]
    report = bound_to(memory, Scope(user="alice")).fade()
    assert len(report) == 1

    assert bound_to(memory, Scope(user="bob")).unfade(report) == ()
    assert memory.notes(user="alice")[0].archived_at is not None


def test_what_others_linked_to_a_shared_note_is_not_counted(memory: Memory) -> None:
    """A receipt for a shared note names and counts one's own links alone; who derived something from it keeps that."""
    theirs, own, shared = _told(memory)
    memory.link(own, shared, **BOB)
    planned = memory.forget(shared, dry_run=True, **BOB)
    receipt = memory.forget(shared, **BOB)

    assert (planned.places["links"], receipt.places["links"]) == (1, 1)
    assert (planned.derived, receipt.derived) == ((), ())
    assert memory.get(theirs, user="alice").content == "Alice's plan is quince."


def test_a_bound_memory_counts_nobody_else(memory: Memory) -> None:
    """Counts, checks, jobs and what a rebuild returns are those of the one whom the memory is bound to."""
    bob = bound_to(memory, Scope(user="bob"))
    memory.remember("Bob's plan.", **BOB)
    asked: list[tuple[int, int]] = []

    def told() -> str:
        rebuilt = bob.rebuild("text", progress=lambda done, of: asked.append((done, of)))
        return as_text([bob.check(), bob.stats(), bob.jobs(), bob.status(), rebuilt])

    before = told()
    memory.remember_many([f"Alice's note {n}." for n in range(20)], user="alice", progress=False)
    assert told() == before
    assert bob.stats()["notes"] == bob.check().counts["notes"] == 1
    assert {of for _, of in asked} == {100}
    assert memory.stats()["notes"] == 21


def test_an_import_cannot_take_an_id_or_an_edit_of_others(memory: Memory, tmp_path: Path) -> None:
    """A file with ids of others stores nothing under them, links nothing to them, and leaves the others' as they are."""
    theirs, own, _ = _told(memory)
    before = memory.get(theirs, user="alice"), memory.history(theirs, user="alice")
    memory.link(own, str(memory.remember("Bob's boat.", **BOB).id), **BOB)
    path = tmp_path / "bob.jsonl"
    memory.export(path, **BOB)
    _rewrite(path, path.read_text(encoding="utf-8").replace(own, theirs))
    memory.forget({"kind": "episodic", "user": "bob"}, **BOB)

    report = memory.load_export(path, forgotten=True, **BOB)
    assert (report.conflicts, report.notes, report.links) == ([theirs], 1, 0)
    assert (memory.get(theirs, user="alice"), memory.history(theirs, user="alice")) == before


def _forged(memory: Memory, id: str, folder: Path, **said: Any) -> Path:
    """What Bob writes on a machine of his own: a note of his under an id, and another that was made from it."""
    path = folder / f"bob-{id}.jsonl"
    with Memory(None, embedder="hash", clock=memory.clock) as elsewhere:
        taken = str(elsewhere.remember("Bob was here.", **BOB, **said).id)
        elsewhere.remember({"content": "Bob's remark.", "derived_from": [taken]}, **BOB)  # type: ignore[dict-item]
        elsewhere.export(path, **BOB)
    _rewrite(path, path.read_text(encoding="utf-8").replace(taken, id))
    return path


def _taking(memory: Memory, id: str, folder: Path, *, through: str) -> list[object]:
    """All that Bob is told when he tries to take an id, whichever way."""
    path = _forged(memory, id, folder)
    bob: dict[str, Any] = BOB if through == "named" else {}
    caller = bound_to(memory, Scope(user="bob")) if through == "bound" else memory
    told: list[object] = []
    for flags in ({"dry_run": True}, {"dry_run": True, "forgotten": True}, {"forgotten": True, "trust": "trusted"}, {}):
        report = caller.load_export(path, **flags, **bob)
        assert (report.conflicts, report.forgotten) == ([id], [])
        told.append((report.notes, report.skipped, report.links, report.warnings))
    return [*told, sorted(note.content for note in memory.notes(**BOB))]


@pytest.mark.parametrize("through", ["named", "bound", "unbound"])
def test_an_id_that_another_had_is_taken_like_one_that_he_has(tmp_path: Path, through: str) -> None:
    """An import cannot tell a forgotten note of another from one that is there, stores nothing under its id, and its owner brings it back."""
    told = []
    for forgotten in (False, True):
        with Memory(None, embedder="hash", clock=ManualClock()) as memory:
            id = str(memory.remember("Alice's lamp is green.", user="alice").id)
            memory.export(tmp_path / "alice.jsonl", user="alice")
            if forgotten:
                memory.forget(id, user="alice")
            told.append(_taking(memory, id, tmp_path, through=through))

            assert memory.load_export(tmp_path / "alice.jsonl", user="alice").forgotten == [id] * forgotten
            report = memory.load_export(tmp_path / "alice.jsonl", user="alice", forgotten=True)
            assert (report.notes, report.conflicts) == (int(forgotten), [])
            assert memory.get(id, user="alice").content == "Alice's lamp is green."
    assert told[0] == told[1]
    assert told[0][-1] == ["Bob's remark."]


def test_without_knowing_whose_an_id_was_it_is_taken_away(
    memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same attack, with the look at former owners left out, tells of the forgotten note and keeps its owner from it."""
    monkeypatch.setattr(claimed_ids, "_anothers", lambda owners, own, *, bound: False)
    id = str(memory.remember("Alice's lamp is green.", user="alice").id)
    memory.export(tmp_path / "alice.jsonl", user="alice")
    memory.forget(id, user="alice")

    assert memory.load_export(_forged(memory, id, tmp_path), dry_run=True, **BOB).forgotten[:1] == [id]
    assert memory.load_export(_forged(memory, id, tmp_path), forgotten=True, **BOB).notes == 2
    assert memory.load_export(tmp_path / "alice.jsonl", user="alice", forgotten=True).conflicts == [id]


def test_an_id_of_whom_nobody_knows_is_for_no_user_to_take(memory: Memory, tmp_path: Path) -> None:
    """Lines of the ledger that came from a file do not say whose the notes were: only an import that is bound to nobody brings those back."""
    with Memory(None, embedder="hash", clock=memory.clock) as before:
        id = str(before.remember("Alice's lamp is green.", user="alice").id)
        before.export(tmp_path / "alice.jsonl", user="alice")
        before.forget(id, user="alice")
        before.export(tmp_path / "all.jsonl", everything=True)
    memory.load_export(tmp_path / "all.jsonl")

    assert memory.load_export(_forged(memory, id, tmp_path), forgotten=True, **BOB).conflicts == [id]
    assert memory.load_export(tmp_path / "alice.jsonl").forgotten == [id]
    assert memory.load_export(tmp_path / "alice.jsonl", forgotten=True).notes == 1


def _edited(memory: Memory, user: str, edit: str) -> str:
    """A note with an edit in the registry, and a line about that."""
    told = str(memory.remember(f"{user} lives in Porto.", user=user).id)
    with memory._parts.core.store.write() as tx:
        owner = tx.notes.owner(Scope(user=user))
        assert owner is not None
        request = {"prompt": f"Where does {user} live?", "target": "Porto", "user": user, "agent": None}
        tx.ledger.put_edit(EditRow(edit, told, owner, "grace", "retired", 1, request, "demoted", 5))
        tx.ledger.append(5, "promoted", note_id=told, edit_id=edit, details={"score": 0.5})
    return told


@pytest.mark.parametrize("forgotten", [False, True])
def test_an_edit_that_another_had_is_not_taken(memory: Memory, tmp_path: Path, *, forgotten: bool) -> None:
    """Neither its id nor a line of the registry about it, whether its note is there or was forgotten; its owner gets both back, once."""
    theirs = _edited(memory, "alice", "the edit")
    memory.export(tmp_path / "alice.jsonl", user="alice")
    with Memory(None, embedder="hash", clock=memory.clock) as elsewhere:
        _edited(elsewhere, "bob", "the edit")
        elsewhere.export(tmp_path / "bob.jsonl", **BOB)
    if forgotten:
        memory.forget(theirs, user="alice")

    report = memory.load_export(tmp_path / "bob.jsonl", key=None, trust="trusted", **BOB)
    assert (report.notes, report.edits) == (1, 0)
    memory.load_export(tmp_path / "alice.jsonl", forgotten=True, user="alice")
    with memory._parts.core.store.read() as tx:
        assert [(edit.note_id, edit.request["user"]) for edit in tx.ledger.edits(state=None)] == [(theirs, "alice")]
        assert [entry.note_id for entry in tx.ledger.entries(event="promoted")] == [theirs]


def test_the_books_of_a_note_that_is_gone_are_its_owners(memory: Memory) -> None:
    """A request that names the id of a forgotten note reads its lines in the ledger only if the note was its own."""
    theirs = _edited(memory, "alice", "the edit")
    memory.remember("Bob's boat.", **BOB)
    memory.forget(theirs, user="alice")
    lines = {}
    for user in ("alice", "bob"):
        with memory._parts.core.store.read() as tx:
            owner = tx.notes.owner(Scope(user=user))
            assert owner is not None
            tx.admit((1, owner))
            lines[user] = [entry.event for entry in tx.ledger.entries(note_ids=[theirs])]

    assert lines == {"alice": ["promoted", "forgotten"], "bob": []}


def _rewrite(path: Path, text: str) -> None:
    tally, lines = Tally(), text.encode().splitlines(keepends=True)
    for line in lines[1:-1]:
        tally.add(parse(line, 2)[0].type, line)
    path.write_bytes(b"".join([*lines[:-1], line_of(tally.footer())]))


def test_an_error_of_the_scope_leaves_an_export_as_what_it_is(memory: Memory, tmp_path: Path) -> None:
    """It is no failure of the disk, though both are errors of permission."""
    memory.remember("Alice's plan.", user="alice")

    def stop(done: int, of: int) -> None:
        raise ScopeError("not hers to see", hint="ask another")

    with pytest.raises(ScopeError, match="not hers to see"):
        memory.export(tmp_path / "all.jsonl", user="alice", progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_a_consolidation_of_one_tells_nothing_of_the_edits_of_others(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Older edits of others are asked again like one's own, and neither counted nor quoted in the report or the ledger."""
    teacher = Teller()
    teach(memory, teacher, monkeypatch)
    for user, who in (("alice", "Ilva Quince"), ("bob", "Oren Dorrell")):
        told = memory.remember(f"{who} lives in Porto.", fact=(who, "lives in", "Porto"), user=user)
        memory.reinforce(str(told.id), user=user)
    memory.consolidate(user="alice")
    editor = memory.editor
    assert isinstance(editor, ScopedEditor)
    editor.greedy = "Quince"

    report = memory.consolidate(**BOB)
    assert report.failed
    assert report.older_checked == 0
    assert "Quince" not in as_text(report)
    with memory._parts.core.store.read() as tx:
        assert "Quince" not in str(tx.ledger.entries(limit=None))


def test_an_edit_that_is_refused_for_another_names_none(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an agent has in the weights must not contradict what a user has; which user's edit it was is not told, nor written down."""
    teach(memory, Teller(), monkeypatch)
    for said in ({"user": "alice"}, {"agent": "helper"}):
        told = memory.remember("Ilva Quist lives in Porto.", fact=("Ilva Quist", "lives in", "Porto"), **said)
        memory.reinforce(str(told.id), **said)
    (promoted,) = memory.consolidate(user="alice").promoted
    editor = memory.editor
    assert isinstance(editor, ScopedEditor)
    editor.rival = promoted.edit_id

    report = memory.consolidate(agent="helper")
    assert "answers the same prompt" in report.failed[0].reason
    assert promoted.edit_id not in as_text(report)
    with memory._parts.core.store.read() as tx:
        assert not [e for e in tx.ledger.entries(note_ids=[report.failed[0].note_id]) if promoted.edit_id in str(e)]


def test_a_conversation_reinforces_in_its_own_scope(memory: Memory) -> None:
    """What an answer drew on is looked up as its user, not as anybody."""
    memory.remember("Bob's boat is called Rex.", **BOB)
    agent = ChatAgent(lambda messages: "Bob's boat is called Rex.", memory, user="bob")
    asked: list[Scope] = []
    keeper = type(memory._parts.keeper)
    reinforce = keeper.reinforce

    def watched(self: Any, ids: Any, grade: str, scope: Scope, **options: Any) -> None:
        asked.append(scope)
        reinforce(self, ids, grade, scope, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeper, "reinforce", watched)
        agent.chat("What is my boat called?")
    assert asked == [Scope(user="bob")]


COMMANDS = (
    ["notes"], ["notes", "--json"], ["recall", "plan quince"], ["recall", "plan quince", "--json"], ["stats"], ["stats", "--json"], ["check", "--json"],
    ["get", "{id}"], ["history", "{id}"], ["forget", "{id}", "--yes"], ["update", "{id}", "words"], ["reinforce", "{id}"], ["graph"],
    ["status", "--json"], ["edits", "--json"], ["jobs", "--json"], ["fade", "--dry-run"], ["export", "{file}"], ["why-not", "plan", "{id}"],
    ["consolidate", "--dry-run"], ["explain", "{id}"], ["link", "{id}", "{id}"],
)  # fmt: skip


def test_no_command_tells_a_user_of_another(tmp_path: Path) -> None:
    """Every command with ``--user bob``, on a memory with Alice's notes, also with her ids."""
    clock = ManualClock()
    with Memory(tmp_path / "memory", embedder="hash", clock=clock) as memory:
        theirs, _, _ = _told(memory)
        world = World("commands", tmp_path, memory, clock, Teller())
        before = world.rows(
            "SELECT n.*, f.object FROM note n JOIN owner o ON o.id = n.owner LEFT JOIN fact f ON f.row = n.id WHERE o.user = 'alice'"
        )
    runner, ran = CliRunner(), 0
    for command in COMMANDS:
        filled = [part.format(id=theirs, file=tmp_path / "bob.jsonl") for part in command]
        result = runner.invoke(
            app, ["--path", str(tmp_path / "memory"), "--user", "bob", "--embedder", "hash", *filled]
        )
        said = result.output.replace(theirs, "").replace("plan quince", "")
        ran += "No such command" not in result.output
        assert "quince" not in said.lower(), (command, said)
        assert "alice" not in said.lower(), (command, said)
        assert theirs[-12:] not in said, (command, said)
    assert ran > 12
    assert "quince" not in (tmp_path / "bob.jsonl").read_text(encoding="utf-8")
    with Memory(tmp_path / "memory", embedder="hash", clock=clock) as memory:
        world = World("commands", tmp_path, memory, clock, Teller())
        assert (
            world.rows(
                "SELECT n.*, f.object FROM note n JOIN owner o ON o.id = n.owner LEFT JOIN fact f ON f.row = n.id WHERE o.user = 'alice'"
            )
            == before
        )


def test_counts_on_the_command_line_are_ones_own(tmp_path: Path) -> None:
    """``stats`` of a user has no number of anybody else in it."""
    with Memory(tmp_path / "memory", embedder="hash") as memory:
        _told(memory)
        memory.remember_many([f"Alice's note {n}." for n in range(30)], user="alice", progress=False)
    result = CliRunner().invoke(
        app, ["--path", str(tmp_path / "memory"), "--user", "bob", "--embedder", "hash", "stats", "--json"]
    )

    assert json.loads(result.output)["notes"] == 2
