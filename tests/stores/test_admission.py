"""A transaction that is bound to a request hands out, and changes, nothing of anybody else, whatever it is asked."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agentmem
from agentmem.errors import ScopeBreach, ScopeError
from agentmem.notes.note import Fact, MemoryState, Note, Scope
from agentmem.notes.rows import EditRow, LinkRow, Selection
from agentmem.notes.spaces import lived
from agentmem.notes.tables import LINK, TERM, USE, Among
from agentmem.records.evidence import Asked
from agentmem.records.readings import Reading
from agentmem.records.transaction import NoteStore, Transaction
from agentmem.stores.sqlite.store import SqliteStore
from agentmem.stores.text.text import TextIndex
from agentmem.stores.vectors.exact import ExactIndex

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ANA, BEN = Scope(user="ana"), Scope(user="ben")


def note(id: str, scope: Scope, *, thread: str | None = None, position: int | None = None) -> Note:
    return Note(
        id=id, content=f"the words of {id}", scope=scope, occurred_at=NOW, created_at=NOW, state=MemoryState(1.0, 5.0, NOW),
        facts=(Fact("Ilva", "lives in", id),), thread=thread, position=position,
    )  # fmt: skip


class Filed:
    """Ana's note, Ben's and a shared one, with links from hers and from his to the shared one."""

    def __init__(self, store: NoteStore | None = None) -> None:
        self.store = store or SqliteStore()
        with self.store.write() as tx:
            self.rows = {id: self.put(tx, id, scope) for id, scope in (("hers", ANA), ("his", BEN), ("ours", Scope()))}
            self.owner = {"hers": tx.notes.owner(ANA) or 0, "his": tx.notes.owner(BEN) or 0, "ours": 1}
            tx.links.put(
                [LinkRow(self.rows[whose], self.rows["ours"], "user", 1.0, whose) for whose in ("hers", "his")]
            )
            for whose in ("hers", "his"):
                tx.ledger.put_edit(EditRow(f"edit-{whose}", whose, self.owner[whose], "grace", "active", 1))
                tx.ledger.append(1, "promoted", note_id=whose, edit_id=f"edit-{whose}")

    @staticmethod
    def put(tx: Transaction, id: str, scope: Scope) -> int:
        owner = tx.notes.owner(scope, create=True)
        assert owner is not None
        row = tx.notes.insert(note(id, scope), owner, id.encode())
        tx.text.put(row, owner, f"the words of {id}", "")
        tx.vectors.put([row], owner, np.ones((1, 4), np.float32))
        return row


@pytest.fixture
def filed() -> Iterator[Filed]:
    made = Filed()
    yield made
    made.store.close()


Ask = Callable[[Transaction, int, int], Any]
"""What a bound transaction is asked about the row and the owner of somebody else."""
TOUCHING: dict[str, Ask] = {
    "load": lambda tx, row, owner: tx.notes.load([row]),
    "ids_of": lambda tx, row, owner: tx.notes.ids_of([row]),
    "history": lambda tx, row, owner: tx.notes.history(row),
    "facets": lambda tx, row, owner: tx.notes.facets([row], Selection((owner,))),
    "select": lambda tx, row, owner: tx.notes.select(Selection((owner,))),
    "page": lambda tx, row, owner: tx.notes.page(Selection((owner,)), 0, 9),
    "page of all": lambda tx, row, owner: tx.notes.page(None, 0, 9),
    "count": lambda tx, row, owner: tx.notes.count(Selection((1, owner))),
    "count of all": lambda tx, row, owner: tx.notes.count(),
    "any": lambda tx, row, owner: tx.notes.any(Selection((owner,))),
    "select_all": lambda tx, row, owner: tx.notes.select_all(),
    "facts": lambda tx, row, owner: tx.notes.facts(owner, "Ilva"),
    "actors": lambda tx, row, owner: tx.notes.actors([owner]),
    "same_content": lambda tx, row, owner: tx.notes.same_content(owner, b"his"),
    "owner": lambda tx, row, owner: tx.notes.owner(BEN),
    "visible_owners": lambda tx, row, owner: tx.notes.visible_owners(BEN),
    "scope_of": lambda tx, row, owner: tx.notes.scope_of(owner),
    "neighbours": lambda tx, row, owner: tx.threads.neighbours(row),
    "idempotency": lambda tx, row, owner: tx.keys.get(owner, "key"),
    "words of a query": lambda tx, row, owner: tx.text.digests(owner, ["words"]),
    "words": lambda tx, row, owner: tx.text.load([row]),
    "words of an owner": lambda tx, row, owner: tx.text.batch(owner, 0, 9),
    "words beside": lambda tx, row, owner: tx.threads.pairs(owner),
    "words compared": lambda tx, row, owner: tx.text.differing([(row, owner, "x", "")]),
    "words in memory": lambda tx, row, owner: TextIndex(SqliteStore()).search(tx, ["words"], (owner,), 9),
    "vectors": lambda tx, row, owner: tx.vectors.load([row]),
    "vectors of an owner": lambda tx, row, owner: tx.vectors.load_owner(owner),
    "vectors of what was done": lambda tx, row, owner: tx.vectors.load_owner(lived(owner)),
    "words of what was done": lambda tx, row, owner: tx.text.batch(lived(owner), 0, 9),
    "words put among what was done": lambda tx, row, owner: tx.text.put(1, lived(owner), "x", ""),
    "vectors in memory": lambda tx, row, owner: ExactIndex(SqliteStore()).search(
        tx, (owner,), np.ones(4, np.float32), 3
    ),
    "times said": lambda tx, row, owner: tx.readings.said((owner,), (0, 1 << 60), 9),
    "times told": lambda tx, row, owner: tx.readings.told((owner,), (0, 1 << 60), 9),
    "readings": lambda tx, row, owner: tx.readings.asking([row]),
    "readings put": lambda tx, row, owner: tx.readings.put([Reading(row, owner, [(0, 1)], 9)]),
    "uses": lambda tx, row, owner: tx.uses.summary([row]),
    "experiences": lambda tx, row, owner: tx.experiences.count([owner]),
    "enrichment": lambda tx, row, owner: tx.enrichment.outstanding([owner], 3),
    "first terms of all": lambda tx, row, owner: tx.terms._tables.find_of_each(
        TERM, {"term": Among(["x"])}, "term", columns=("row",), order="row", limit=3
    ),
    "first links": lambda tx, row, owner: tx.terms._tables.find_of_each(
        LINK, {"kind": Among(["user"])}, "kind", columns=("source",), order="source", limit=3
    ),
    "questions of a note": lambda tx, row, owner: tx.evidence.delete([row]),
    "questions of an owner": lambda tx, row, owner: tx.evidence.of(owner),
    "questions put": lambda tx, row, owner: tx.evidence.keep(Asked(owner, None, None, "Where?", "There.", 1, 1, (1,))),
    "questions repeated": lambda tx, row, owner: tx.evidence.delete_repeating(owner, ["Where?"]),
    "all questions of an owner": lambda tx, row, owner: tx.evidence.delete_of([owner]),
    "notes of uses": lambda tx, row, owner: tx.terms._tables.values(USE, {}, "row"),
    "kinds of links": lambda tx, row, owner: tx.terms._tables.values(LINK, {}, "kind"),
    "delete": lambda tx, row, owner: tx.notes.delete([row]),
    "archive": lambda tx, row, owner: tx.notes.set_archived([row], 1),
    "close": lambda tx, row, owner: tx.notes.close_validity(row, 1, "closed"),
    "replace": lambda tx, row, owner: tx.notes.replace(row, note("his", BEN), b"x", "changed"),
    "states": lambda tx, row, owner: tx.notes.set_states([(row, 1.0, 1.0, 1, 1)]),
    "states of several": lambda tx, row, owner: tx.notes.set_states([(r, 1.0, 1.0, 1, 1) for r in (1, 2, row)]),
    "insert": lambda tx, row, owner: tx.notes.insert(note("new", BEN), owner, b"x"),
    "link": lambda tx, row, owner: tx.links.put([LinkRow(1, row, "user", 1.0, "")]),
    "link anew": lambda tx, row, owner: tx.links.replace([LinkRow(1, row, "user", 1.0, "")]),
    "unlink": lambda tx, row, owner: tx.links.delete(row, 3),
    "unlink all": lambda tx, row, owner: tx.links.delete_rows([row]),
    "text": lambda tx, row, owner: tx.text.put_many((r, owner, "x", "") for r in [row]),
    "text deleted": lambda tx, row, owner: tx.text.delete([row]),
    "vectors deleted": lambda tx, row, owner: tx.vectors.delete([row]),
    "used": lambda tx, row, owner: tx.uses.record([(row, 1, 1)]),
    "outbox": lambda tx, row, owner: tx.outbox.put("remove", owner, [row]),
    "edit": lambda tx, row, owner: tx.ledger.put_edit(EditRow("edit-his", "hers", 2, "grace", "active", 1)),
    "edit for him": lambda tx, row, owner: tx.ledger.put_edit(EditRow("new", "his", owner, "grace", "active", 1)),
    "ledger line": lambda tx, row, owner: tx.ledger.append(1, "promoted", note_id="his"),
    "terms": lambda tx, row, owner: tx.terms.add((o, r, ["x"]) for o, r in [(owner, row)]),
    "tombstone": lambda tx, row, owner: tx.tombstones.add(owner, b"x", 1),
    "wider": lambda tx, row, owner: tx.admit([1, 2, owner]),
}


@pytest.mark.parametrize("ask", TOUCHING.values(), ids=TOUCHING)
def test_what_touches_anothers_note_raises_and_leaves_no_trace(filed: Filed, ask: Ask) -> None:
    """Reading, changing, linking or deleting what is another's is a fault that says so; what the transaction wrote is undone."""
    with filed.store.read() as tx:
        before = (
            tx.notes.load(list(filed.rows.values())),
            tx.ledger.edits(state=None),
            tx.links.touching([filed.rows["his"]]),
        )
    with pytest.raises(ScopeBreach) as caught, filed.store.write() as tx:
        tx.admit((1, filed.owner["hers"]))
        tx.notes.set_archived([filed.rows["hers"]], 5)
        ask(tx, filed.rows["his"], filed.owner["his"])

    assert isinstance(caught.value, ScopeError)
    assert "report" in caught.value.hint
    with filed.store.read() as tx:
        assert (
            tx.notes.load(list(filed.rows.values())),
            tx.ledger.edits(state=None),
            tx.links.touching([filed.rows["his"]]),
        ) == before
        assert tx.notes.count() == 3


def test_what_a_caller_may_name_is_narrowed(filed: Filed) -> None:
    """Ids, links, edits and ledger lines of others look as if there were none; one's own are there."""
    hers, ours = filed.rows["hers"], filed.rows["ours"]
    with filed.store.write() as tx:
        tx.outbox.put("upsert", filed.owner["his"], [filed.rows["his"]])
        tx.admit((1, filed.owner["hers"]))

        assert tx.notes.rows_of(["hers", "his", "none"]) == {"hers": hers}
        assert [link[:2] for link in tx.links.touching([ours])] == [(hers, ours)]
        assert tx.links.touching([filed.rows["his"]]) == []
        assert [edit.id for edit in tx.ledger.edits()] == ["edit-hers"]
        assert [entry.note_id for entry in tx.ledger.entries(note_ids=["hers", "his"])] == ["hers"]
        assert [entry.note_id for entry in tx.ledger.entries()] == ["hers"]
        assert tx.ledger.delete_edits(["edit-his"]) == 0
        assert tx.outbox.take(9) == []
        assert tx.ledger.held() == 2
        assert tx.notes.taken(["his", "none"]) == {"his"}
        assert tx.links.delete_rows([ours]) == 1


def test_a_question_about_a_shared_note_is_seen_by_nobody_else(filed: Filed) -> None:
    """It is of who asked: neither others nor who asks for the note's own find it, count it or write over it; it goes with the note all the same."""
    ours = filed.rows["ours"]
    with filed.store.write() as tx:
        for whose in ("hers", "his"):
            tx.evidence.keep(Asked(filed.owner[whose], None, None, "Where?", f"Said of {whose}.", 1, 1, (ours,)))
    with filed.store.write() as tx:
        tx.admit((1, filed.owner["hers"]))
        assert [asked.answer for asked in tx.evidence.of(filed.owner["hers"], [ours])] == ["Said of hers."]
        assert [asked.answer for asked in tx.evidence.beginning([ours])] == ["Said of hers."]
        assert tx.evidence.among([ours]) == 1
        tx.evidence.keep(Asked(filed.owner["hers"], None, None, "Where?", "Said again.", 1, 2, (ours,)))
    with filed.store.read() as tx:
        assert [asked.answer for asked in tx.evidence.of(filed.owner["his"])] == ["Said of his."]
    with filed.store.write() as tx:
        tx.admit((1, filed.owner["hers"]))
        assert tx.evidence.delete([ours]) == 1  # as many as she may know of
    with filed.store.read() as tx:
        assert not tx.evidence.under([ours])


def test_a_job_may_touch_everybodys_notes_and_a_request_within_it_may_not(filed: Filed) -> None:
    """A transaction is bound until it ends, and a part of it to what it was narrowed to; the next one is free again."""
    with filed.store.write() as tx:
        assert tx.notes.count() == 3
        with filed.store.write() as part:
            part.admit((filed.owner["hers"],))
            with pytest.raises(ScopeBreach):
                part.notes.load([filed.rows["his"]])
            with part.as_job():
                assert set(part.notes.load([filed.rows["his"]])) == {filed.rows["his"]}
            with pytest.raises(ScopeBreach):
                part.notes.load([filed.rows["his"]])
        assert set(tx.notes.load(list(filed.rows.values()))) == set(filed.rows.values())
    with filed.store.read() as tx:
        assert tx.notes.select_all()


def test_a_row_whose_insertion_failed_is_known_no_more(filed: Filed) -> None:
    """Its number is given to another note, perhaps of another owner: the guard must not take that for the first."""
    with pytest.raises(RuntimeError), filed.store.write() as tx:
        tx.admit((filed.owner["hers"],))
        lost = tx.notes.insert(note("lost", ANA), filed.owner["hers"], b"lost")
        assert set(tx.notes.load([lost])) == {lost}
        raise RuntimeError
    with filed.store.write() as tx:
        again = Filed.put(tx, "again", BEN)
    assert again == lost

    with pytest.raises(ScopeBreach), filed.store.read() as tx:
        tx.admit((filed.owner["hers"],))
        tx.notes.load([again])


EVERYBODYS = {
    "area": {"counter"},  # how often something changed
    "evidence": {
        "delete",
        "delete_repeating",
        "delete_of",
        "delete_within",
        "_contents",
        "_delete",
    },  # what goes with a note goes whosever it is
    "ledger": {"append", "held", "taken", "forgotten", "edited"},  # how many, and whose an id is, is told to nobody
    "links": {"delete", "_strengthen", "_read"},  # admitted before; behind it, `_admitted`
    "readings": {"_read_likely"},  # admitted before
    "notes": {"has_owned", "replace", "_rows_of", "_read_ids", "_read_facets"},  # each narrowed by who calls it
    "outbox": {"count"},  # how far the index is behind
    "owners": {
        "make",
        "all",
        "unname",
        "empty",
        "_find",
        "_read",
        "_renew",
        "_is",
    },  # whose an owner is, is asked of admission
    "vectors": {"set_fingerprint"},  # whether there are any
}
"""Where the areas pass the guard by, and why that hands out nothing of anybody else."""


def test_the_guard_is_passed_by_where_it_is_known_and_nowhere_else() -> None:
    """An area asks the tables as its request may see them; each exception stands above, with its reason."""
    found: dict[str, set[str]] = {}
    for path in (Path(inspect.getfile(agentmem)).parent / "records").glob("*.py"):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef) and function.name != "__init__":
                past = {node.attr for node in ast.walk(function) if isinstance(node, ast.Attribute)} & {"_everybodys"}
                if past:
                    found.setdefault(path.stem, set()).add(function.name)

    assert found == EVERYBODYS


def test_no_verb_reaches_for_the_bare_tables() -> None:
    """They lie behind the areas; only tests and the promises of a store look at them."""
    package = Path(inspect.getfile(agentmem)).parent
    reaching = {
        path.relative_to(package).parts[0]
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "tables" and ast.unparse(node.value).endswith("tx")
    }

    assert reaching <= {"testing"}


def test_every_transaction_of_a_verb_says_whose_it_is() -> None:
    """Outside of the core nothing opens a transaction of the store directly, but where it binds it itself on the next lines."""
    package = Path(inspect.getfile(agentmem)).parent
    bound = {
        "edit_check.py": "core.admit(tx",
        "export.py": "self._selection(tx",
        "load.py": "tx.admit(",
        "erase.py": "self._core.selection(tx",
        "wiring.py": "forgotten_there(here, there, scope",
    }
    folders = [path for path in package.iterdir() if path.is_dir() and not path.is_symlink() and path.name != "testing"]
    for path in [*package.glob("*.py"), *(module for folder in folders for module in folder.rglob("*.py"))]:
        source = path.read_text(encoding="utf-8")
        opened = [
            node for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Attribute) and node.attr in ("read", "write", "snapshot") and ast.unparse(node.value).endswith(".store")
        ]  # fmt: skip
        if path.name != "core.py" and opened:
            assert bound.get(path.name, "never") in source, (
                f"{path.name} opens a transaction without saying whose: core.reading(scope or EVERYBODY)"
            )
