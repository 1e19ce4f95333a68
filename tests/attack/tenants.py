"""Tenants of one memory: what is theirs, where their words may turn up, and what must stay as it was."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import networkx as nx

from agentmem import Memory, Scope
from agentmem.aio import AsyncMemory
from agentmem.errors import AgentMemError
from agentmem.notes.clock import ManualClock
from agentmem.notes.note import Note
from agentmem.notes.protocols import Message

AGENTS = (None, "cook", "coach")
SESSIONS = (None, "monday", "tuesday")
THEIRS = {
    "note": "SELECT * FROM note WHERE owner = ? ORDER BY id",
    "fact": "SELECT * FROM fact WHERE owner = ? ORDER BY row",
    "versions": "SELECT v.* FROM note_version v JOIN note n ON n.id = v.row WHERE n.owner = ? ORDER BY v.row, v.version",
    "links": (
        "SELECT l.* FROM link l JOIN note a ON a.id = l.source JOIN note b ON b.id = l.target WHERE a.owner = ?1 AND b.owner = ?1 "
        "ORDER BY l.source, l.target, l.kind"
    ),
    "vectors": "SELECT row, data FROM vector WHERE abs(owner) = ? ORDER BY row",
    "uses": "SELECT * FROM use WHERE owner = ? ORDER BY row, day",
    "evidence": (
        "SELECT * FROM evidence e WHERE e.owner = ?1 AND NOT EXISTS (SELECT 1 FROM evidence o JOIN note n ON n.id = o.row WHERE o.owner = e.owner "
        "AND o.mark = e.mark AND n.owner <> ?1) ORDER BY e.row, e.mark"  # what was drawn on a shared note goes with it, whoever forgets that
    ),
    "terms": "SELECT * FROM term WHERE owner = ? ORDER BY term, row",
    "tombstones": "SELECT * FROM tombstone WHERE owner = ? ORDER BY mac",
    "receipts": "SELECT * FROM idempotency WHERE owner = ? ORDER BY key",
    "experiences": "SELECT * FROM experience WHERE owner = ? ORDER BY row",
    "steps": "SELECT * FROM experience_step WHERE owner = ? ORDER BY episode, step",
    "records": "SELECT * FROM record WHERE owner = ? ORDER BY row",
    "enrichment": "SELECT e.* FROM enrichment e JOIN note n ON n.id = e.row WHERE n.owner = ? ORDER BY e.row",
    "edits": "SELECT id, note_id, state, note_version, request FROM edit WHERE owner = ? ORDER BY id",
}
"""What one owner's notes are, whichever way it was written: asked of the tables themselves, beside every guard."""


@dataclass(slots=True)
class Tenant:
    """Somebody whose words nobody else may see: ``mark`` stands in all of them."""

    name: str
    mark: str
    is_agent: bool = False
    ids: set[str] = field(default_factory=set)

    @property
    def owner(self) -> Scope:
        return Scope(agent=self.name) if self.is_agent else Scope(user=self.name)


@dataclass(slots=True)
class Asking:
    """One call's scope, and through what it is made."""

    scope: Scope
    memory: Memory
    bound: bool

    def said(self, *, session: bool = False) -> dict[str, Any]:
        """The keywords that say whose call it is; none on a bound memory."""
        if self.bound:
            return {}
        named = {"user": self.scope.user, "agent": self.scope.agent} | (
            {"session": self.scope.session} if session else {}
        )
        return {name: value for name, value in named.items() if value is not None}


class Breach(AssertionError):
    """Somebody saw, changed or learnt of what is not theirs."""


class Teller:
    """A language model that repeats what it is shown: whatever enters a prompt comes out again, and is looked through here first."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def __call__(self, messages: list[Message]) -> str:
        self.heard.append("\n".join(m["content"] for m in messages))
        task = messages[0]["content"]
        notes = [json.loads(line) for line in messages[-1]["content"].splitlines()[1:-1] if line.startswith("{")]
        if "Describe the note" in task:
            return json.dumps(
                {"keywords": ["plain"], "context": f"Tells: {notes[0]['text'][:60]}", "tags": ["told"], "fact": None}
            )
        if "a new note" in task:
            others = [note["id"] for note in notes[1:]]
            evolve = [{"id": id, "context": "beside another", "tags": ["near"], "reason": "near"} for id in others[:1]]
            return json.dumps({"links": [{"id": id, "relation": "near it"} for id in others[:2]], "evolve": evolve})
        if "one day" in task:
            first = notes[0]
            return json.dumps(
                {
                    "summary": f"That day: {first['text'][:80]}",
                    "thoughts": [{"text": f"So {first['text'][:80]}", "sources": [first["id"]]}],
                }
            )
        if "summaries of days" in task:
            return json.dumps({"portrait": f"Somebody of {len(notes)} days: {notes[0]['text'][:80]}"})
        if "alike" in task:
            ids = [note["id"] for note in notes]
            return json.dumps({"merge": [{"ids": ids[:2], "text": f"Both: {notes[0]['text'][:60]}"}], "forget": []})
        return "\n".join(m["content"] for m in messages)[:4_000]


class World:
    """One memory with everybody in it. ``memory`` is unbound; each tenant has bound ones, too, over the same notes."""

    def __init__(self, seed: object, folder: Path, memory: Memory, clock: ManualClock, teller: Teller) -> None:
        self.rng, self.seed, self.folder = Random(str(seed)), seed, folder
        self.memory, self.clock, self.teller = memory, clock, teller
        key = hashlib.sha256(str(seed).encode()).hexdigest()[:6]
        self.tenants = [
            Tenant(f"alice-{key}", f"quince{key}x"), Tenant(f"bob-{key}", f"walnut{key}x"), Tenant(f"helper-{key}", f"papaya{key}x", is_agent=True)
        ]  # fmt: skip
        self.shared: set[str] = set()
        self.log: list[str] = []
        self.held: dict[str, dict[str, str]] = {}

    # -- who calls ------------------------------------------------------------------------------------------------

    def asking(self, tenant: Tenant) -> Asking:
        """As the tenant, perhaps with an agent and a session; through the memory of all, or through one that is bound."""
        agent = tenant.name if tenant.is_agent else self.rng.choice(AGENTS)
        scope = Scope(None if tenant.is_agent else tenant.name, agent, self.rng.choice(SESSIONS))
        bound = self.rng.random() < 0.5
        return Asking(scope, bound_to(self.memory, scope) if bound else self.memory, bound)

    def id_of(self, tenant: Tenant) -> str:
        """An id that a caller might hold: mostly an own one, often somebody else's, or one that there is not."""
        pool = self.rng.choices(
            (sorted(tenant.ids), sorted(self.shared), sorted(self.foreign_ids(tenant)), [self.no_id()]), (5, 1, 3, 1)
        )[0]
        return self.rng.choice(pool or [self.no_id()])

    def no_id(self) -> str:
        return f"01990000-0000-7000-8000-{self.rng.randrange(16**12):012x}"

    def foreign_ids(self, tenant: Tenant) -> set[str]:
        return {id for other in self.tenants if other is not tenant for id in other.ids}

    # -- what must not be -------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Whose ids there are, as the tables have it; what was forgotten stays a secret, too."""
        for tenant in self.tenants:
            if (owner := self.owner_of(tenant)) is not None:
                tenant.ids |= self.ids_of(owner)
        self.shared = self.ids_of(1)

    def ids_of(self, owner: int) -> set[str]:
        return {uid for (uid,) in self.rows("SELECT uid FROM note WHERE owner = ?", owner)}

    def owner_of(self, tenant: Tenant) -> int | None:
        with self.memory._parts.core.store.read() as tx:  # the table keeps no name of who has forgotten everything
            return tx.notes.owner(tenant.owner)

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        database = self.memory._parts.core.store._db  # type: ignore[attr-defined]
        with database.transaction(write=False):
            return list(database.rows(sql, values))

    def digest(self, tenant: Tenant) -> dict[str, str]:
        """What the tenant's notes are, place by place."""
        owner = self.owner_of(tenant)
        if owner is None:
            return {}
        with self.memory._parts.core.store.read():
            found = {place: self.rows(sql, owner) for place, sql in THEIRS.items()}
        return {place: hashlib.sha256(repr(rows).encode()).hexdigest() for place, rows in found.items()}

    def told(self, tenant: Tenant) -> tuple[object, object] | None:
        """What the shared notes are, and what a memory bound to the tenant tells of its own state: numbers, which have no mark."""
        memory = bound_to(self.memory, tenant.owner)
        try:
            status = replace(
                memory.status(), pack=None
            )  # the one file that holds everybody's edits has another name with each of them
            said = (memory.check(), dict(memory.stats()), memory.jobs(), status, memory.edits(), len(memory.graph()))
        except AgentMemError:  # nobody has notes yet, or only others
            return None
        return self.rows("SELECT * FROM note WHERE owner = 1"), as_text(said)

    def look(self, tenant: Tenant, text: str, supplied: set[str], what: str) -> None:
        """Raise when ``text``, which the tenant got, holds what is another's; an id that the call itself named says nothing."""
        for other in self.tenants:
            if other is not tenant and (
                found := next((s for s in (other.mark, *(other.ids - supplied)) if s in text), None)
            ):
                raise Breach(f"{what}: {tenant.name} was told {found!r} of {other.name}: …{_around(text, found)}…")


def bound_to(memory: Memory, scope: Scope) -> Memory:
    """The same notes, through a memory that is bound to a scope."""
    bound = copy.copy(memory)
    bound.scope = scope
    return bound


def awaited(memory: Memory) -> AsyncMemory:
    """The same memory, through its awaitable twin."""
    twin = AsyncMemory(None, embedder="hash")
    former, twin._memory = twin._memory, Future()
    twin._memory.set_result(memory)
    former.result().close()
    return twin


def flatten(value: Any) -> Iterator[Any]:
    """Everything in a result: every text of it, and every note."""
    if isinstance(value, Note):
        yield value
    parts = _parts(value)
    if parts is None:
        if value is not None and not isinstance(value, (bool, int, float, datetime)):
            yield str(value)
        return
    for part in parts:
        yield from flatten(part)


def _parts(value: Any) -> list[Any] | None:
    """What a value is made of; ``None`` when it is one piece."""
    if isinstance(value, nx.Graph):
        return [dict(value.nodes(data=True)), [list(edge) for edge in value.edges(data=True)], dict(value.graph)]
    if isinstance(value, Path):
        return [value.read_text(encoding="utf-8")] if value.is_file() else []
    if isinstance(value, BaseException):
        return [f"{type(value).__name__} {value}", value.__cause__]
    if is_dataclass(value) and not isinstance(value, type):
        told = [name for name in ("promoted", "failed", "refused", "gone", "ok") if hasattr(value, name)]
        return [getattr(value, name) for name in (*value.__dataclass_fields__, *told)]
    if isinstance(value, Mapping):
        return [*value.keys(), *value.values()]
    return list(value) if isinstance(value, (list, tuple, set, frozenset)) else None


def as_text(value: Any) -> str:
    """All of a result that could tell something, in one text: also what its repr and its str show."""
    shown = [repr(value), str(value)]
    if is_dataclass(value) and not isinstance(value, type):
        shown.append(repr(asdict(value)))
    return "\n".join([*shown, *(part for part in flatten(value) if isinstance(part, str))])


def _around(text: str, found: str) -> str:
    at = text.index(found)
    return text[max(0, at - 60) : at + 80].replace("\n", " ")
