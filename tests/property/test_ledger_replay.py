"""Whatever happens in whatever order, notes, registry and pack are what the ledger says when it is read from the start.

The side memory is a double that keeps its edits as JSON and answers what it was told; store, job, books and packs are
the real ones, on disk, and a crash is an exception at a named step followed by opening the directory again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from agentmem import Fact, Memory, Scope, wiring
from agentmem.errors import ConsolidationError
from agentmem.notes.clock import ManualClock
from agentmem.notes.edit import EditorStatus, EditReceipt, EditRequest, Route
from agentmem.weights.registry import METHOD, PackContents, PackFiles

USERS = ("ana", "ben")
SUBJECTS = tuple(f"{first} {last}" for first in ("Ilva", "Oren", "Mira", "Tove") for last in ("Quist", "Dorrell"))
PLACES = ("Porto", "Bergen", "Lyon", "Graz", "Turin", "Ghent")
STEPS = ("consolidate:before-commit", "consolidate:in-commit", "consolidate:after-commit",
         "forget:before-commit", "forget:after-commit", "undo:before-commit", "undo:after-commit", "remember:before-commit", "remember:after-commit")  # fmt: skip

VERBS = {"tell": "remember"}  # an act whose steps have another name


class Crash(Exception):
    """The process stops here."""


def to_bytes(edits: Sequence[EditRequest]) -> bytes:
    """One canonical form per set of edits."""
    rows = {
        str(e.id): [e.note_id, e.prompt, e.target, list(e.paraphrases), e.scope.user if e.scope else None]
        for e in edits
    }
    return json.dumps(rows, sort_keys=True).encode()


def from_bytes(data: bytes) -> dict[str, EditRequest]:
    return {
        key: EditRequest(
            prompt, target, paraphrases=tuple(others), scope=Scope(user=user) if user else None, id=key, note_id=note
        )
        for key, (note, prompt, target, others, user) in json.loads(data).items()
    }


class PlainEditor:
    """Answers a question that it holds an edit for; refuses a tenth of what it is given, as a real one does."""

    method = METHOD

    def __init__(self) -> None:
        self.held: dict[str, EditRequest] = {}
        self.scope: Scope | None = None
        self.silent = False

    def write(self, requests: Sequence[EditRequest]) -> list[EditReceipt]:
        receipts = []
        for request in requests:
            bad = hashlib.sha256(f"{request.prompt}{request.target}".encode()).digest()[0] < 26
            if not bad:
                self.held[str(request.id)] = request
            receipts.append(EditReceipt(str(request.id), "failed" if bad else "written"))
        return receipts

    def delete(self, ids: Sequence[str]) -> list[str]:
        for key in ids:
            del self.held[key]
        return list(ids)

    def edits(self) -> tuple[EditRequest, ...]:
        return tuple(self.held[key] for key in sorted(self.held))

    def dump(self) -> bytes:
        return to_bytes(self.edits())

    def load(self, path: Path | str | bytes) -> None:
        self.held = from_bytes(path if isinstance(path, bytes) else Path(path).read_bytes())

    def status(self) -> EditorStatus:
        return EditorStatus(METHOD, "active", len(self.held), len(self.held), 0, "", "base")

    def answer(self, prompt: str) -> str:
        found = self.probe([prompt], self.scope)[0].edit_id
        return self.held[found].target if found and not self.silent else "I do not know."

    def probe(self, prompts: Sequence[str], scope: Scope | None = None) -> list[Route]:
        def route(prompt: str) -> Route:
            for edit in self.edits():
                visible = edit.scope is None or (scope is not None and edit.scope.user == scope.user)
                if visible and edit.prompt == prompt:
                    return Route(edit.id, edit.note_id, 0.0, 1.0)
            return Route(None)

        return [route(prompt) for prompt in prompts]

    @contextmanager
    def request(self, scope: Scope | None = None, scopes: Sequence[Scope] | None = None) -> Iterator[None]:
        former, self.scope = self.scope, scope
        yield
        self.scope = former

    @contextmanager
    def silence(self) -> Iterator[None]:
        self.silent = True
        yield
        self.silent = False

    @contextmanager
    def shadow(self) -> Iterator[None]:
        former, self.held = self.held, dict(self.held)
        try:
            yield
        finally:
            self.held = former

    def detach(self) -> None:
        self.held = {}


class World:
    """One directory, lived in step by step."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path, self.rng, self.clock = path, Random(seed), ManualClock()
        self.known: dict[str, str] = {}
        self.forgotten: set[str] = set()
        self.crashes = self.promoted = self.undone = 0
        self.open()

    def open(self) -> None:
        self.memory = Memory(self.path, embedder="hash", clock=self.clock)
        weights = self.memory._parts.weights
        weights._make_editor = lambda model, tokenizer: PlainEditor()  # type: ignore[assignment,return-value]
        weights._files = PackFiles(
            drop=lambda data, ids: to_bytes([e for k, e in from_bytes(data).items() if k not in set(ids)]),
            read=lambda data: PackContents(frozenset(from_bytes(data)), base="base"),
        )
        weights.attach(None, None)
        # The parts that name the failpoints were given theirs when they were made.
        for part in (self.memory._parts, self.memory._parts.rememberer, self.memory._parts.eraser):
            setattr(part, "fail" if part is self.memory._parts else "_fail", self._maybe)
        self.due: str | None = None

    def _maybe(self, step: str) -> None:
        if step == self.due:
            raise Crash(step)

    def step(self) -> None:
        """One random act, sometimes with a crash in it."""
        self.clock.advance(hours=7)
        act = self.rng.choices(
            (self.tell, self.use, self.consolidate, self.forget, self.update, self.undo, self.reopen),
            (8, 6, 3, 2, 1, 1, 1),
        )[0]
        steps = [step for step in STEPS if step.startswith(VERBS.get(act.__name__, act.__name__))]
        self.due = self.rng.choice(steps) if steps and self.rng.random() < 0.08 else None
        try:
            act()
        except Crash:
            self.crashes += 1
            self.memory.close()
            self.open()
            self._catch_up()
        self.due = None

    def _catch_up(self) -> None:
        """A crash may have come before or after the commit: the store says which."""
        held = {note.id: str(note.scope.user) for user in USERS for note in self.memory.notes(user=user)}
        self.forgotten |= set(self.known) - set(held)
        self.known = held

    def tell(self) -> None:
        user, subject, place = self.rng.choice(USERS), self.rng.choice(SUBJECTS), self.rng.choice(PLACES)
        receipt = self.memory.remember(
            f"{subject} lives in {place} since day {self.rng.randrange(10**6)}.",
            user=user,
            fact=Fact(subject, "lives in", place),
        )
        if receipt.id and receipt.ok:
            self.known[receipt.id] = user

    def use(self) -> None:
        if self.known:
            note = self.rng.choice(sorted(self.known))
            self.memory.reinforce(note, user=self.known[note])

    def consolidate(self) -> None:
        self.promoted += len(self.memory.consolidate(budget=self.rng.randrange(5)).promoted)

    def undo(self) -> None:
        """Exactly what the last run with edits left had promoted goes; nothing comes back."""
        before = {edit.id: str(edit.note_id) for user in USERS for edit in self.memory.edits(user=user)}
        if not before:
            with pytest.raises(ConsolidationError, match="no consolidation to undo"):
                self.memory.undo_consolidation()
            return
        run, left = self.last_run(set(before))
        report = self.memory.undo_consolidation()
        after = {edit.id: str(edit.note_id) for user in USERS for edit in self.memory.edits(user=user)}
        assert set(report.edits) == run
        assert after == {edit: note for edit, note in before.items() if edit in left}
        assert set(report.notes) <= set(self.known), "an undo forgets no note"
        self.undone += len(run)

    def last_run(self, held: set[str | None]) -> tuple[set[str], set[str]]:
        """(the held edits of the newest run that has any, all other held edits), read from the ledger alone."""
        runs: list[set[str]] = [set()]
        with self.memory._parts.core.store.read() as tx:
            for entry in tx.ledger.entries(limit=10**6):
                if entry.event == "promoted" and entry.edit_id in held:
                    runs[-1].add(str(entry.edit_id))
                elif entry.event == "consolidated":
                    runs.append(set())
        newest = [run for run in runs if run][-1]
        return newest, {str(edit) for edit in held} - newest

    def forget(self) -> None:
        if self.known:
            note = self.rng.choice(sorted(self.known))
            self.memory.forget(note, user=self.known[note])
            self.forgotten.add(note)
            del self.known[note]

    def update(self) -> None:
        if self.known:
            note = self.rng.choice(sorted(self.known))
            self.memory.update(
                note, f"Now it is {self.rng.choice(PLACES)}, number {self.rng.random()}.", user=self.known[note]
            )

    def reopen(self) -> None:
        self.memory.close()
        self.open()

    def check(self) -> None:
        """Read the ledger from the start, and compare."""
        with self.memory._parts.core.store.read() as tx:
            entries = tx.ledger.entries(limit=10**6)
            books = {edit.id: edit.note_id for edit in tx.ledger.edits()}
            active = tx.ledger.active_pack(METHOD)
        replayed: dict[str, str] = {}
        for entry in entries:
            if entry.event == "promoted":
                assert entry.edit_id
                assert entry.note_id
                replayed[entry.edit_id] = entry.note_id
            elif entry.event in ("demoted", "retired"):
                replayed.pop(str(entry.edit_id), None)
            elif entry.event == "forgotten":
                replayed = {edit: note for edit, note in replayed.items() if note != entry.note_id}
        assert replayed == books
        requests = self.memory.edits(user="ana") + self.memory.edits(user="ben")
        expected = to_bytes(sorted(requests, key=lambda e: str(e.id))) if requests else None
        served = self.memory._parts.weights.pack_store.get(active[0]) if active else None
        assert served == expected
        live = self.memory.editor
        assert isinstance(live, PlainEditor)
        with self.memory._parts.weights.serving():
            assert (live.dump() if live.held else None) == expected
        assert not self.forgotten & (
            {note.id for u in USERS for note in self.memory.notes(user=u)} | set(books.values())
        )
        report = self.memory.check()
        assert report.ok, report.problems


@pytest.mark.parametrize(
    ("seed", "steps"), [(1, 250), *(pytest.param(seed, 2000, marks=pytest.mark.slow) for seed in range(2, 8))]
)
def test_any_life_is_what_its_ledger_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, steps: int
) -> None:
    def answers(model: Any, tokenizer: Any, prompts: Sequence[str], limit: int) -> list[str]:
        editor = world.memory.editor
        assert isinstance(editor, PlainEditor)
        # Other wordings lead to the question they stand for, as they do for a real key.
        return [editor.answer(asked(prompt)) for prompt in prompts]

    def asked(prompt: str) -> str:
        editor = world.memory.editor
        assert isinstance(editor, PlainEditor)
        subject = next((s for s in SUBJECTS if s in prompt), None)
        match = [e.prompt for e in editor.edits() if subject and subject in e.prompt]
        return match[0] if match else prompt

    monkeypatch.setattr(wiring, "_greedy_answers", answers)
    world = World(tmp_path / "m", seed)
    for number in range(steps):
        world.step()
        if number % 25 == 24:
            world.check()
    world.check()
    assert world.crashes >= 3
    assert world.promoted >= 5
    assert world.undone >= 1
    world.memory.close()
