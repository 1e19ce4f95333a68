"""Every public verb as one random call of a tenant: what is called, with what, and which ids and names the call itself named."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from agentmem import Fact
from agentmem.integrations.chat import ChatAgent
from agentmem.transfer.format import Tally, line_of, parse
from tests.attack.tenants import Asking, Tenant, World, awaited
from tests.attack.wild_filters import wild_filter

__all__ = ["VERBS", "WITH_MODEL", "Call"]

NOUNS = ("house", "dog", "plan", "trip", "code", "boat", "recipe", "song", "doctor", "key")
PLACES = ("Porto", "Bergen", "Lyon", "Graz")
COMMON = (
    "I live in {}.",
    "My sister Ana lives in {}.",
    "The meeting is in {}.",
    "My dog is called Rex and lives in {}.",
)
"""What everybody says alike: two tenants who say the same must not meet."""


@dataclass(slots=True)
class Call:
    """What is done, and what the call itself names."""

    what: str
    run: Callable[[], Any]
    supplied: set[str] = field(default_factory=set)


def _words(world: World, tenant: Tenant) -> str:
    rng = world.rng
    if rng.random() < 0.35:
        return rng.choice(COMMON).format(rng.choice(PLACES))
    said = f"My {rng.choice(NOUNS)} number {rng.randrange(50)} is {tenant.mark} {rng.choice(PLACES)}"
    return said + rng.choice([".", "!", "?", ". " + "It is long. " * 90])


def _fact(world: World, tenant: Tenant) -> Any:
    rng = world.rng
    subject = rng.choice([f"{tenant.mark} Quist", "Ana", "I"])
    return rng.choice(
        [None, None, Fact(subject, "lives in", rng.choice(PLACES)), (subject, "works at", f"{tenant.mark} Ltd")]
    )


def _options(world: World, tenant: Tenant, asking: Asking) -> dict[str, Any]:
    rng = world.rng
    chosen: dict[str, Any] = {
        "tags": rng.choice([(), ("work",), (tenant.mark,)]), "actor": rng.choice([None, "Ana", f"{tenant.mark} actor"]),
        "metadata": rng.choice([None, {"a": rng.randrange(3)}, {"mark": tenant.mark, "a": tenant.mark}]), "fact": _fact(world, tenant),
        "importance": rng.choice([None, 0.1, 0.9]), "idempotency_key": rng.choice([None, None, "key-1", "key-2"]),
        "occurred_at": rng.choice([None, None, world.clock.now() - timedelta(days=rng.randrange(40))]),
        "source": rng.choice([None, "web", f"{tenant.mark} page"]),
        "ends": rng.choice([(), (), ("Ana", "lives in", None), (f"{tenant.mark} Quist", "lives in", "Porto")]),
        "facts": rng.random() < 0.5, "merge": rng.random() < 0.5,
    }  # fmt: skip
    return {name: value for name, value in chosen.items() if rng.random() < 0.4} | asking.said(session=True)


def _shared(world: World) -> dict[str, Any]:
    return {
        "content": f"The office in {world.rng.choice(PLACES)} opens at {world.rng.randrange(24)}.",
        "tags": ("office",),
    }


def remember(world: World, tenant: Tenant, asking: Asking) -> Call:
    rng, memory = world.rng, asking.memory
    if rng.random() < 0.12:  # somebody's unbound program tells what is for all
        return Call("remember shared", lambda: world.memory.remember(_shared(world)["content"], tags=("office",)))
    options = _options(world, tenant, asking)
    if rng.random() < 0.3:
        turns: list[Any] = [
            {"role": rng.choice(["user", "assistant"]), "content": _words(world, tenant)}
            for _ in range(rng.randint(1, 3))
        ]
        kept = {k: v for k, v in options.items() if k in ("user", "agent", "session", "idempotency_key")}
        return Call(f"remember({turns!r:.300}, **{kept})", lambda: memory.remember(turns, **kept))
    text = _words(world, tenant)
    return Call(f"remember({text!r:.200}, **{options!r:.300})", lambda: memory.remember(text, **options))


def remember_many(world: World, tenant: Tenant, asking: Asking) -> Call:
    items: list[dict[str, Any]] = [
        {"content": _words(world, tenant), "tags": [tenant.mark]} for _ in range(world.rng.randint(1, 5))
    ]
    named = {world.id_of(tenant)} if world.rng.random() < 0.1 else set()
    items += [{"content": _words(world, tenant), "derived_from": sorted(named)}] if named else []
    return Call(
        f"remember_many({items!r:.300})",
        lambda: asking.memory.remember_many(items, progress=False, **asking.said(session=True)),
        named,
    )


def _query(world: World, tenant: Tenant) -> str:
    """Also other tenants' own words: who guesses them must not find them."""
    other = world.rng.choice(world.tenants)
    return world.rng.choice(
        [
            f"{world.rng.choice(NOUNS)} {other.mark}",
            f"Where does {other.mark} Quist live?",
            "Where do I live?",
            "my dog Rex Porto",
        ]
    )


def _narrow(world: World, tenant: Tenant) -> dict[str, Any]:
    rng, chosen = world.rng, dict[str, Any]()
    if rng.random() < 0.75:
        chosen["where"] = wild_filter(
            rng, [*NOUNS, *(t.mark for t in world.tenants), *(t.name for t in world.tenants), world.id_of(tenant)]
        )
    if rng.random() < 0.3:
        chosen["as_of"] = world.clock.now() - timedelta(days=rng.randrange(30))
    return chosen | {"faded": rng.random() < 0.5}


def _page(world: World) -> dict[str, Any]:
    rng = world.rng
    chosen = {"offset": rng.randrange(30), "score": "cosine", "min_score": rng.uniform(-0.5, 1.0)}
    return {name: value for name, value in chosen.items() if rng.random() < 0.2}


def _echoes(world: World) -> set[str]:
    """What a filter that is refused repeats in its message."""
    return {text for t in world.tenants for text in (t.name, t.mark, *t.ids)}


def recall(world: World, tenant: Tenant, asking: Asking) -> Call:
    query, narrow = _query(world, tenant), _narrow(world, tenant) | _page(world)
    run = lambda: [  # noqa: E731
        (h, h.via)
        for h in asking.memory.recall(query, k=world.rng.choice([1, 5, 50]), **narrow, **asking.said(session=True))
    ]
    return Call(f"recall({query!r}, **{narrow!r})", run)


def recollect(world: World, tenant: Tenant, asking: Asking) -> Call:
    """The whole answer, with plan and warnings; the query is in it, so it has no word of anybody else."""
    query = f"{world.rng.choice(NOUNS)} {tenant.mark} Porto"
    return Call(f"recall({query!r})", lambda: asking.memory.recall(query, **asking.said(session=True)))


def notes(world: World, tenant: Tenant, asking: Asking) -> Call:
    narrow = _narrow(world, tenant)
    return Call(
        f"notes(**{narrow!r})",
        lambda: asking.memory.notes(**narrow, limit=world.rng.choice([None, 3]), **asking.said(session=True)),
    )


def forget(world: World, tenant: Tenant, asking: Asking) -> Call:
    dry, said = world.rng.random() < 0.4, asking.said()
    if world.rng.random() < 0.5:
        what: Any = [world.id_of(tenant) for _ in range(world.rng.randint(1, 2))]
        return Call(
            f"forget({what}, dry_run={dry})", lambda: asking.memory.forget(what, dry_run=dry, **said), set(what)
        )
    where = wild_filter(world.rng, [*NOUNS, *(t.mark for t in world.tenants)])
    return Call(f"forget({where!r}, dry_run={dry})", lambda: asking.memory.forget(where, dry_run=dry, **said))


More = Callable[[World, Tenant, str], tuple[Sequence[Any], dict[str, Any]]]


def by_id(verb: str, more: More = lambda world, tenant, id: ((), {})) -> Callable[[World, Tenant, Asking], Call]:
    def make(world: World, tenant: Tenant, asking: Asking) -> Call:
        id = world.id_of(tenant)
        rest, options = more(world, tenant, id)
        if verb == "unfade" and not asking.bound:  # it has no keywords of a scope: unbound, it is a job's
            asking.memory, asking.bound = _bound(world, asking), True
        said = asking.said()
        return Call(
            f"{verb}({id!r}, *{rest!r:.200}, **{options})",
            lambda: getattr(asking.memory, verb)(id, *rest, **options, **said),
            {id, *map(str, rest)},
        )

    return make


def why_not(world: World, tenant: Tenant, asking: Asking) -> Call:
    query, id = f"{world.rng.choice(NOUNS)} {tenant.mark}", world.id_of(tenant)
    return Call(f"why_not({query!r}, {id!r})", lambda: asking.memory.why_not(query, id, **asking.said()), {id})


def reinforce(world: World, tenant: Tenant, asking: Asking) -> Call:
    ids = [world.id_of(tenant) for _ in range(world.rng.randint(1, 3))]
    gone, grade, said = world.rng.random() < 0.5, world.rng.choice(["again", "good", "easy", "great"]), asking.said()
    asked: dict[str, Any] = {}
    if world.rng.random() < 0.6:  # also what others ask in the same words
        asked = {
            "question": world.rng.choice(["Where is it?", f"Where is {tenant.mark}?"]),
            "answer": f"Told {tenant.mark}",
        }
    return Call(
        f"reinforce({ids}, {grade}, or_gone={gone}, {asked})",
        lambda: asking.memory.reinforce(ids, grade, or_gone=gone, **asked, **said),
        set(ids),
    )


def evidence(world: World, tenant: Tenant, asking: Asking) -> Call:
    id, said = world.rng.choice([None, world.id_of(tenant)]), asking.said(session=True)
    return Call(f"evidence({id!r})", lambda: asking.memory.evidence(id, **said), {id or ""})


def graph(world: World, tenant: Tenant, asking: Asking) -> Call:
    around = world.rng.choice([None, world.id_of(tenant)])
    return Call(
        f"graph(around={around!r})", lambda: asking.memory.graph(around=around, **asking.said()), {around or ""}
    )


def graph_page(world: World, tenant: Tenant, asking: Asking) -> Call:
    path = world.folder / f"{world.rng.randrange(10**9)}.html"
    return Call("graph_page()", lambda: asking.memory.graph_page(path, **asking.said()), {str(path)})


def _without_session(asking: Asking) -> None:
    """Whole-memory verbs are asked of who the tenant is, not of one conversation."""
    if asking.bound:
        asking.memory.scope = type(asking.scope)(asking.scope.user, asking.scope.agent)


def export(world: World, tenant: Tenant, asking: Asking) -> Call:
    path = world.folder / f"{world.rng.randrange(10**9)}.jsonl"
    everything = asking.bound and world.rng.random() < 0.2
    how = {"vectors": world.rng.random() < 0.3, "evidence": world.rng.random() < 0.5}
    run = lambda: asking.memory.export(path, everything=everything, **how, **asking.said())  # noqa: E731
    return Call(f"export(everything={everything})", run)


def load_export(world: World, tenant: Tenant, asking: Asking) -> Call:
    """One's own file as it is, with another's ids in it, or another's file."""
    rng, whose = world.rng, world.rng.choice(world.tenants)
    path, how = world.folder / f"{rng.randrange(10**9)}.jsonl", rng.choice(["own", "own", "ids", "theirs"])
    source = whose if how == "theirs" else tenant
    foreign = sorted(world.foreign_ids(tenant))
    swapped = rng.sample(foreign, min(len(foreign), 3)) if how == "ids" else []

    def run() -> Any:
        world.memory.export(path, user=source.owner.user, agent=source.owner.agent, evidence=True)
        if swapped:
            _renamed(path, swapped)
        return asking.memory.load_export(
            path, dry_run=rng.random() < 0.3, forgotten=rng.random() < 0.3, **asking.said()
        )

    echoed = (
        {source.name, whose.name} if how == "theirs" else set()
    )  # whose the lines are stands in the file that was handed over
    return Call(f"load_export({how}, {swapped})", run, set(swapped) | echoed)


def _renamed(path: Path, ids: list[str]) -> None:
    """The file with other ids in the place of its first ones, checksum and all: as somebody would who has a text editor."""
    text = path.read_text(encoding="utf-8")
    own = [record.id for line in text.splitlines()[1:] if (record := parse(line.encode() + b"\n", 2)[0]).type == "note"]  # type: ignore[union-attr]
    for old, new in zip(own, ids, strict=False):
        text = text.replace(old, new)
    tally, lines = Tally(), text.encode().splitlines(keepends=True)
    for line in lines[1:-1]:
        tally.add(parse(line, 2)[0].type, line)
    path.write_bytes(b"".join([*lines[:-1], line_of(tally.footer())]))


def experience(world: World, tenant: Tenant, asking: Asking) -> Call:
    rng, said = world.rng, asking.said()
    task, seen = rng.choice(["open the door", f"{tenant.mark} task"]), rng.choice(["a door", f"{tenant.mark} room"])
    if rng.random() < 0.4:
        return Call(f"advise({task!r}, {seen!r})", lambda: asking.memory.experience.advise(task, seen, 5, **said))
    act = (task, seen, rng.choice(["push", f"{tenant.mark} pull"]), rng.random(), rng.choice([None, "a hall"]))
    key = rng.choice([None, "key-1"])
    return Call(f"record{act}", lambda: asking.memory.experience.record(*act, idempotency_key=key, **said))


NAMESPACES = ((), ("a",), ("a", "b"), ("*",), ("users", "all"))
KEYS = ("k", "key-1", "%")


def _keyed(world: World, tenant: Tenant) -> tuple[tuple[str, ...], str]:
    """Also other tenants' names: who guesses where their records lie must not find them."""
    rng, other = world.rng, world.rng.choice(world.tenants)
    return rng.choice([*NAMESPACES[1:], ("users", tenant.name), ("users", other.name)]), rng.choice(
        [*KEYS, tenant.name]
    )


def put(world: World, tenant: Tenant, asking: Asking) -> Call:
    rng, said = world.rng, asking.said(session=True)
    namespace, key = _keyed(world, tenant)
    echoed = {text for other in world.tenants for text in (other.name, *other.ids) if text in (*namespace, key)}
    value = {"text": _words(world, tenant), "mark": tenant.mark, "n": rng.randrange(5)}
    options = {
        "index": rng.choice([None, None, False, ["text"]]),
        "ttl": rng.choice([None, None, 30]),
        "facts": rng.random() < 0.3,
    }
    many = [{"namespace": namespace, "key": k, "value": value} for k in KEYS]
    if rng.random() < 0.2:
        return Call(f"put_many({many!r:.200})", lambda: asking.memory.put_many(many, **said), echoed)
    return Call(
        f"put({namespace}, {key!r}, {value!r:.200})",
        lambda: asking.memory.put(namespace, key, value, **options, **said),
        echoed,
    )


def keyed(world: World, tenant: Tenant, asking: Asking) -> Call:
    """Everything else that goes by namespaces and keys."""
    rng, said = world.rng, asking.said(session=True)
    namespace, key = _keyed(world, tenant)
    prefix, page = rng.choice([*NAMESPACES, namespace]), {"limit": rng.choice([1, 50]), "offset": rng.choice([0, 0, 1])}
    where = rng.choice(
        [
            None,
            {"n": {"$gte": 2}},
            {"mark": {"$ne": "x"}},
            {"$or": [{"n": {"$exists": False}}, {"mark": {"$exists": True}}]},
        ]
    )
    query = rng.choice([None, f"my {rng.choice(NOUNS)} {tenant.mark}"])
    ways: list[tuple[str, Callable[[], Any]]] = [
        ("get", lambda: asking.memory.get(namespace, key, refresh=rng.random() < 0.5, **said)),
        ("delete", lambda: asking.memory.delete(namespace, key, **said)),
        ("search", lambda: asking.memory.search(prefix, query, where, unscored=rng.random() < 0.5, **page, **said)),
        (
            "list_namespaces",
            lambda: asking.memory.list_namespaces(prefix=prefix, max_depth=rng.choice([None, 1]), **page, **said),
        ),
    ]
    name, run = rng.choice(ways)
    echoed = {
        text for other in world.tenants for text in (other.name,) if text in (*namespace, key) and other is not tenant
    }
    # A namespace that a tenant named after somebody else comes back to him: it is his own.
    return Call(
        f"{name}({namespace}, {key!r}, {prefix}, {query!r}, {where})", run, echoed | {t.name for t in world.tenants}
    )


def chat(world: World, tenant: Tenant, asking: Asking) -> Call:
    """Its model repeats the whole prompt: what was recalled for it comes out, and is remembered as the tenant's own."""
    text, session = (
        f"What of my {world.rng.choice(NOUNS)}? I said {tenant.mark}.",
        world.rng.choice(["monday", "evening"]),
    )
    who = {} if asking.bound else {k: v for k, v in asking.said().items() if k != "session"}
    session = asking.scope.session or session if asking.bound else session

    def run() -> Any:
        agent = ChatAgent(world.teller, asking.memory, session=session, **who)
        return [agent.chat(text), agent.turns, "".join(agent.stream(text)), agent.last]

    return Call(f"chat({text!r}, session={session})", run)


def whole(verb: str, *names: str, **options: Any) -> Callable[[World, Tenant, Asking], Call]:
    """A verb that takes no note; ``names`` are those of its scope keywords, of which some have none: those are asked of a bound memory."""

    def make(world: World, tenant: Tenant, asking: Asking) -> Call:
        _without_session(asking)
        if not names and not asking.bound:
            asking.memory, asking.bound = _bound(world, asking), True
        return Call(f"{verb}(**{options})", lambda: getattr(asking.memory, verb)(**options, **asking.said()))

    return make


def _bound(world: World, asking: Asking) -> Any:
    from tests.attack.tenants import bound_to

    return bound_to(world.memory, type(asking.scope)(asking.scope.user, asking.scope.agent))


def fade(world: World, tenant: Tenant, asking: Asking) -> Call:
    _without_session(asking)
    memory = asking.memory if asking.bound else _bound(world, asking)
    world.clock.advance(days=world.rng.choice([0, 20, 60]))
    ids = sorted(world.foreign_ids(tenant))[:3]

    def run() -> Any:
        report = memory.fade(dry_run=world.rng.random() < 0.3)
        return [report, memory.unfade(report)] if world.rng.random() < 0.3 else report

    return Call(f"fade() {ids!r:.0}", run)


def ask(world: World, tenant: Tenant, asking: Asking) -> Call:
    question, use = (
        f"What is my {world.rng.choice(NOUNS)}? {tenant.mark}",
        world.rng.choice(["auto", "notes", "both", "weights", "nothing"]),
    )
    exclude = [world.id_of(tenant)]
    return Call(
        f"ask({question!r}, {use})",
        lambda: asking.memory.ask(question, use=use, exclude=exclude, **asking.said(session=True)),
        set(exclude),
    )


def waiting(world: World, tenant: Tenant, asking: Asking) -> Call:
    """The awaitable twin: the same verbs, by another way in."""
    narrow, said, id = _narrow(world, tenant), asking.said(), world.id_of(tenant)

    async def run() -> Any:
        twin = awaited(asking.memory)
        try:
            found = await twin.notes(**narrow, **said)
            advice = await twin.experience.advise("open the door", "a door", **said)
            return [found, advice, await twin.graph(**said), await twin.get(id, **said)]
        finally:
            for lane in twin._lanes.values():  # the memory stays open
                lane.end()

    return Call(f"await notes(**{narrow!r}), get({id!r})", lambda: asyncio.run(run()), {id})


def _two(world: World, tenant: Tenant, id: str) -> tuple[Sequence[Any], dict[str, Any]]:
    kind, other = (
        world.rng.choice(["user", "derived_from", "supersedes", "contradicts", "supports"]),
        world.id_of(tenant),
    )
    return (other,), {
        "kind": kind,
        "reason": "" if {id, other} <= world.shared else tenant.mark,
    }  # what joins shared notes is for all


def _new_words(world: World, tenant: Tenant, id: str) -> tuple[Sequence[Any], dict[str, Any]]:
    if id in world.shared:  # what is said of shared notes is for all
        return (_shared(world)["content"],), {}
    said: dict[str, Any] = {"tags": [tenant.mark], "importance": 0.7, "metadata": {"mark": tenant.mark}, "facts": False}
    chosen = {name: value for name, value in said.items() if world.rng.random() < 0.3}
    return (None if chosen.keys() - {"facts"} and world.rng.random() < 0.5 else _words(world, tenant),), chosen


Maker = Callable[[World, Tenant, Asking], Call]
VERBS: dict[str, tuple[Maker, int]] = {
    "remember": (remember, 14), "remember_many": (remember_many, 3), "recall": (recall, 6), "recollect": (recollect, 2), "notes": (notes, 7),
    "forget": (forget, 4), "get": (by_id("get"), 2), "history": (by_id("history"), 2), "update": (by_id("update", _new_words), 3),
    "link": (by_id("link", _two), 4), "why_linked": (by_id("why_linked", lambda w, t, id: ((w.id_of(t),), {})), 2), "explain": (by_id("explain"), 1),
    "unfade": (by_id("unfade"), 1), "why_not": (why_not, 2), "reinforce": (reinforce, 5), "evidence": (evidence, 5), "graph": (graph, 2), "graph_page": (graph_page, 1),
    "export": (export, 2), "load_export": (load_export, 2), "experience": (experience, 4), "put": (put, 5), "keyed": (keyed, 6), "sweep": (whole("sweep"), 1), "chat": (chat, 1), "fade": (fade, 2), "ask": (ask, 2),
    "await": (waiting, 1), "enrich": (whole("enrich", "user", limit=4), 1), "reflect": (whole("reflect", "user"), 1),
    "status": (whole("status", "user"), 1), "edits": (whole("edits", "user"), 1), "jobs": (whole("jobs"), 1), "stats": (whole("stats"), 1), "users": (whole("users"), 1),
    "check": (whole("check"), 1), "dry run": (whole("consolidate", "user", dry_run=True), 1),
    "undo": (whole("undo_consolidation", "user", dry_run=True), 1), "rebuild": (whole("rebuild", projection="text"), 1),
}  # fmt: skip
WITH_MODEL: dict[str, tuple[Maker, int]] = {
    "consolidate": (whole("consolidate", "user", budget=2), 3), "asked": (ask, 6), "verify": (whole("verify", "user", sample=2), 1),
    "undone": (whole("undo_consolidation", "user"), 1),
}  # fmt: skip
