"""Nobody sees, changes or learns of what is another's, whatever verbs are called, in whatever order, with whatever filters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from agentmem import Memory, Scope
from agentmem.errors import AgentMemError, ScopeBreach, UnknownNote
from agentmem.notes.admission import Admission
from agentmem.notes.clock import ManualClock
from agentmem.notes.note import Note
from agentmem.notes.rows import SHARED_OWNER, Selection
from agentmem.records.evidence import EvidenceRows
from agentmem.records.transaction import Transaction
from agentmem.remember.update import Keeper
from agentmem.stores.sqlite import where
from tests.attack.plain_model import teach
from tests.attack.tenant_verbs import VERBS, WITH_MODEL, Call, Maker
from tests.attack.tenants import Asking, Breach, Teller, Tenant, World, as_text, bound_to, flatten

FEW, MANY = 90, 10_000
STEPS = 14
WATCHED = 0.06
"""Share of the calls around which somebody else asks how his memory stands."""
TOGETHER = 25
"""Programs that share a memory: its tables then hold the notes of many strangers."""


def play(world: World, verbs: dict[str, tuple[Maker, int]], steps: int, outcomes: Counter[str]) -> None:
    """One random program; raises :class:`Breach` with the seed and what was done so far."""
    names, weights = list(verbs), [weight for _, weight in verbs.values()]
    world.refresh()
    world.held = {tenant.name: world.digest(tenant) for tenant in world.tenants}
    try:
        for name in ["remember"] * 3 + world.rng.choices(names, weights, k=steps):
            tenant = world.rng.choice(world.tenants)
            asking = world.asking(tenant)
            call = verbs[name][0](world, tenant, asking)
            world.log.append(f"{tenant.name} {'bound ' if asking.bound else ''}{asking.scope}: {call.what}")
            _step(world, tenant, asking, call, name, outcomes)
            world.clock.advance(minutes=7)
    except Breach as breach:
        said = "\n".join(world.log[-12:])
        raise Breach(f"seed {world.seed!r}: {breach}\n{said}") from breach


def _step(world: World, tenant: Tenant, asking: Asking, call: Call, name: str, outcomes: Counter[str]) -> None:
    others = [other for other in world.tenants if other is not tenant]
    watched = world.rng.choice(others) if world.rng.random() < WATCHED else None
    told = world.told(watched) if watched is not None else None
    world.teller.heard.clear()
    result: object
    try:
        result = call.run()
        outcomes[name] += 1
    except ScopeBreach as error:
        raise Breach(f"the guard had to stop {call.what}: {error}") from error
    except AgentMemError as error:
        result = error
        outcomes[f"{name}: {type(error).__name__}"] += 1
    world.refresh()
    supplied = call.supplied
    if isinstance(result, AgentMemError):  # it repeats what it was given
        supplied = supplied | {
            text for other in world.tenants for text in (other.name, other.mark, *other.ids) if text in call.what
        }
    world.look(tenant, as_text(result), supplied, call.what)
    for prompt in world.teller.heard:
        world.look(tenant, prompt, set(), f"the prompt of {call.what}")
    for part in flatten(result):
        if isinstance(part, Note) and not asking.scope.owner.admits(Scope(part.scope.user, part.scope.agent)):
            raise Breach(f"{call.what}: a note of {part.scope} for {asking.scope}")
    before, world.held = world.held, {each.name: world.digest(each) for each in world.tenants}
    for other in others:
        if before[other.name] != (after := world.held[other.name]):
            places = [place for place in after if before[other.name].get(place) != after[place]]
            raise Breach(f"{call.what}: it changed {', '.join(places)} of {other.name}")
    if (
        watched is not None
        and told is not None
        and (now := world.told(watched)) is not None
        and told[0] == now[0]
        and told != now
    ):
        raise Breach(f"{call.what}: {watched.name} was told {told[1]} before, and {now[1]} after it")


@contextmanager
def opened() -> Iterator[tuple[Memory, ManualClock, Teller]]:
    clock, teller = ManualClock(), Teller()
    with Memory(None, embedder="hash", clock=clock, llm=teller) as memory:
        yield memory, clock, teller


def fuzz(programs: range, folder: Path, outcomes: Counter[str]) -> None:
    for start in range(programs.start, programs.stop, TOGETHER):
        with opened() as (memory, clock, teller):
            for seed in range(start, min(start + TOGETHER, programs.stop)):
                play(World(seed, folder, memory, clock, teller), VERBS, STEPS, outcomes)


def test_no_program_of_one_tenant_reaches_another(tmp_path: Path) -> None:
    """Random programs over every verb: all that comes back is one's own or everybody's, and what is others' stays as it was."""
    outcomes: Counter[str] = Counter()
    fuzz(range(FEW), tmp_path, outcomes)

    assert set(VERBS) - {"undo"} <= set(outcomes), f"never done: {set(VERBS) - set(outcomes)}"
    assert sum(count for name, count in outcomes.items() if ":" not in name) > sum(outcomes.values()) / 2, outcomes


@pytest.mark.slow
def test_no_program_of_many_reaches_another_tenant(tmp_path: Path) -> None:
    """The same, a hundred times as long."""
    fuzz(range(FEW, FEW + MANY), tmp_path, Counter())


# -- with facts in the weights ------------------------------------------------------------------------------------

LEARNT = ("Ilva Quist", "Ilva Quist", "Oren Dorrell")
"""Whose home each tenant has in the weights: two have the same person, at another place."""
HOMES = ("Porto", "Bergen", "Lyon")


def _taught(world: World) -> None:
    """Each tenant has a fact in the weights, and is answered with her own."""
    for tenant, who, place in zip(world.tenants, LEARNT, HOMES, strict=True):
        memory = bound_to(world.memory, tenant.owner)
        told = memory.remember(f"{who} lives in {place}.", fact=(who, "lives in", place))
        memory.reinforce(str(told.id))
        assert memory.consolidate().promoted
    for tenant, who, place in zip(world.tenants, LEARNT, HOMES, strict=True):
        answer = bound_to(world.memory, tenant.owner).ask(f"Where does {who} live?", use="weights")
        assert (answer.text, answer.source) == (f"{place}.", "weights")


def _with_weights(
    memory: Memory, clock: ManualClock, teller: Teller, folder: Path, seeds: range, steps: int
) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    quick = {
        name: VERBS[name]
        for name in ("remember", "forget", "reinforce", "status", "edits", "jobs", "stats", "check", "update", "chat")
    }
    for seed in seeds:
        world = World(f"weights {seed}", folder, memory, clock, teller)
        _taught(world)
        play(world, quick | WITH_MODEL, steps, outcomes)
    return outcomes


def test_facts_in_the_weights_are_nobody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Consolidating, asking, verifying and undoing for one tenant tells and changes nothing of another's edits."""
    outcomes: Counter[str] = Counter()
    for start in range(0, 30, 10):
        with opened() as (memory, clock, teller):
            teach(memory, teller, monkeypatch)
            outcomes += _with_weights(memory, clock, teller, tmp_path, range(start, start + 10), 12)

    assert min(outcomes[name] for name in WITH_MODEL) > 3, outcomes


@pytest.mark.slow
def test_facts_in_the_weights_of_a_real_model_are_nobody_elses(tmp_path: Path) -> None:
    """The same with the model that ships, and its own side memory."""
    torch = pytest.importorskip("torch")
    from agentmem.llm.small_model import load_small_model

    torch.set_num_threads(1)
    clock, teller = ManualClock(), Teller()
    with Memory(None, embedder="hash", clock=clock, llm=teller, model=load_small_model()) as memory:
        memory._parts.need_model()
        outcomes = _with_weights(memory, clock, teller, tmp_path, range(100, 104), 12)

    assert outcomes["asked"] > 5, outcomes


# -- the harness can fail -----------------------------------------------------------------------------------------


def _joined_as_before(
    columns: str, selection: Selection, *, owners: Sequence[int] | None = None, among: str = "note n"
) -> where.Condition:
    """The condition of the scope and that of the filter side by side, without brackets."""
    relation, values = where.admitted(selection, owners=owners, among=among)
    inner = relation.removeprefix("(SELECT n.* FROM ").removesuffix(") n")
    text, bound = where.condition(selection.where) if selection.where is not None else ("1", [])
    return f"{columns} FROM {inner} AND {text}", [*values, *bound]


def _breaches(folder: Path, seeds: range) -> list[str]:
    found = []
    for seed in seeds:
        with opened() as (memory, clock, teller):
            try:
                play(World(seed, folder, memory, clock, teller), VERBS, STEPS, Counter())
            except Breach as breach:
                found.append(str(breach).splitlines()[0])
    return found


@pytest.mark.slow
def test_without_relation_and_guard_the_programs_find_breaches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The null control: filters that stand beside the scope, and nobody who looks at what comes of it."""
    monkeypatch.setattr("agentmem.stores.sqlite.selecting._admitted", _joined_as_before)
    monkeypatch.setattr(Admission, "admit", lambda self, owners: None)

    found = _breaches(tmp_path, range(40))
    assert any("was told" in each for each in found), found
    assert not any("the guard had to stop" in each for each in found)


@pytest.mark.slow
def test_the_guard_alone_stops_what_a_query_lets_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same queries, but the guard in its place, nothing of another owner comes out: the call ends in an error instead."""
    monkeypatch.setattr("agentmem.stores.sqlite.selecting._admitted", _joined_as_before)

    found = _breaches(tmp_path, range(40))
    assert found
    assert all("the guard had to stop" in each for each in found), found


@pytest.mark.slow
def test_without_narrowing_foreign_ids_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A guard that knows no rules, under sound queries, lets ids through: the programs notice that, too."""
    monkeypatch.setattr(Admission, "foreign", lambda self, rows: set())
    monkeypatch.setattr("agentmem.remember.update.Keeper._find", _find_unscoped)

    assert _breaches(tmp_path, range(40))


def test_evidence_under_the_owner_of_its_note_tells_others_what_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The null control: what is asked of shared notes lies under everybody, as these do, instead of under who asked; and the programs are told."""
    of = EvidenceRows.of
    monkeypatch.setattr("agentmem.remember.evidence.holder", lambda tx, asker: SHARED_OWNER)
    monkeypatch.setattr(EvidenceRows, "of", lambda self, owner, rows=None: of(self, SHARED_OWNER, rows))
    outcomes: Counter[str] = Counter()
    verbs = {name: VERBS[name] for name in ("remember", "reinforce", "evidence", "ask")}
    with pytest.raises(Breach, match="evidence"), opened() as (memory, clock, teller):
        for seed in range(TOGETHER):
            memory.remember("The office is open.", tags=("office",))
            play(World(seed, tmp_path, memory, clock, teller), verbs, 2 * STEPS, outcomes)


def _find_unscoped(self: Keeper, tx: Transaction, id: str, scope: Scope) -> tuple[int, Note]:
    row = tx.notes.rows_of([id]).get(id)
    if row is None:
        raise UnknownNote("No such note.", hint="memory.notes()")
    return row, tx.notes.load([row])[row]
