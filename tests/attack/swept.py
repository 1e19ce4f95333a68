"""Kills a verb at each of its durable steps, with a model attached and edits active, and says what the next open finds.

Run as ``python swept.py DIRECTORY VERBS``: a JSON object of names of :data:`VERBS`, each with the steps to stop at, an empty list for all; an empty
object for all verbs. One JSON line per step on standard output. A name after ``torn`` and a blank: what the verb has written is committed before each
kill, as if there were no transaction.
Steps are not listed anywhere: each verb is run once, and writes down where it could be stopped. Children are forked before anything has
started a thread.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch
from children import in_child

from agentmem import Fact, Memory, Scope, Settings
from agentmem.llm.small_model import load_small_model
from agentmem.notes.clock import ManualClock
from agentmem.settings import ConsolidationSettings, IndexSettings

ANA = Scope(user="ana")
FACTS = [
    ("Ilva Quist", "lives in", "Porto"),
    ("Oren Dorrell", "plays", "cello"),
    ("Mira Quist", "lives in", "Bergen"),
    ("Teska Brown", "plays", "harp"),
]
SETTINGS = Settings(
    index=IndexSettings(backend="exact"),
    consolidation=ConsolidationSettings(canaries=2, older_edits=2, min_generality=0.0, bulk_after=1),
)
STARTED = datetime(2026, 3, 1, tzinfo=UTC)


def opened(place: Path, model: object, days: int = 0) -> Memory:
    clock = ManualClock(STARTED)
    clock.advance(days=days)
    return Memory(place, embedder="hash", scope=ANA, settings=SETTINGS, model=model, clock=clock, llm=describe)


def describe(messages: list[dict[str, str]]) -> str:
    if "Describe the note" in messages[0]["content"]:
        return json.dumps({"keywords": ["told"], "context": "Told by a model.", "tags": ["told"], "fact": None})
    return json.dumps({"links": [], "evolve": []})


def of(memory: Memory, word: str) -> str:
    return next(n.id for n in memory.notes() if word in n.content)


def tell(memory: Memory, fact: tuple[str, str, str]) -> None:
    receipt = memory.remember(f"{' '.join(fact)}.", fact=Fact(*fact))
    memory.reinforce(str(receipt.id))


def fill(place: Path, model: object) -> None:
    """Two consolidations, so that edits are held by shards and by the newest tier; one fact is waiting."""
    with opened(place, model) as memory:
        memory.remember(
            [{"role": "user", "content": f"turn {i} about {w}"} for i, w in enumerate(["tea", "rain", "chess"])]
        )
        for fact in FACTS[:2]:
            tell(memory, fact)
        assert len(memory.consolidate().promoted) == 2
        tell(memory, FACTS[2])
        memory.consolidate()
        assert len(memory.edits()) == 3
        tell(memory, FACTS[3])
        memory.export(place.parent / "export.jsonl")
    with opened(place.parent / "elsewhere", None) as other:
        other.remember("A note from elsewhere.")
        other.remember("Jorun Moss lives in Lisbon.", fact=Fact("Jorun Moss", "lives in", "Lisbon"))
        other.export(place.parent / "other.jsonl")


def forget(memory: Memory, place: Path) -> None:
    memory.forget([of(memory, "Quist lives in Porto"), of(memory, "rain")])


def supersede(memory: Memory, place: Path) -> None:
    memory.remember("Ilva Quist lives in Oslo.", fact=Fact("Ilva Quist", "lives in", "Oslo"))


VERBS: dict[str, Callable[[Memory, Path], object]] = {
    "forget": forget,
    "supersede": supersede,
    "update": lambda m, place: m.update(of(m, "Oren"), "Oren Dorrell plays the flute."),
    "remember": lambda m, place: m.remember_many(["A new note.", "Another one."], progress=False),
    "link": lambda m, place: m.link(of(m, "Oren"), of(m, "rain"), reason="both"),
    "reinforce": lambda m, place: m.reinforce([of(m, "Oren"), of(m, "rain")]),
    "record": lambda m, place: m.experience.record("open", "a door", "push", 1.0, None),
    "consolidate": lambda m, place: m.consolidate(),
    "undo": lambda m, place: m.undo_consolidation(),
    "import": lambda m, place: m.load_export(place.parent / "other.jsonl"),
    "export": lambda m, place: m.export(place / "mine.jsonl"),
    "enrich": lambda m, place: m.enrich(limit=1),
    "rebuild": lambda m, place: m.rebuild("weights"),
    "reembed": lambda m, place: m.reembed(lambda texts: [[float(len(t)), 1.0, 2.0] for t in texts]),
}


def arm(memory: Memory, reached: Callable[[str], None]) -> None:
    parts = memory._parts
    parts.fail = reached
    for part in (parts.rememberer, parts.keeper, parts.eraser, parts.scrubber, parts.weights):
        part._fail = reached


def state(memory: Memory) -> object:
    """All that a user would call the state of a memory, without ids."""
    notes = [
        (n.content, n.kind, n.context, n.valid_to is None, n.state.recalls, [v.content for v in memory.history(n.id)])
        for n in memory.notes()
    ]
    graph = memory.graph()
    words = {n.id: n.content for n in memory.notes()}
    links = sorted(
        [words[a], words[b], str(sorted(d["kinds"]) if "kinds" in d else sorted(map(str, d)))]
        for a, b, d in graph.edges(data=True)
    )
    return [sorted(notes), sorted([e.prompt, e.target] for e in memory.edits()), links]


def record(place: Path, model: object, verb: str) -> None:
    steps: list[str] = []
    memory = opened(place, model, days=1)
    memory.ask("Where does Mira Quist live?", use="weights")
    before = state(memory)
    arm(memory, lambda step: steps.append(step) if step not in steps else None)
    VERBS[verb](memory, place)
    arm(memory, lambda step: None)
    (place.parent / "recorded.json").write_text(json.dumps({"steps": steps, "before": before, "after": state(memory)}))
    memory.close()


def stop_at(place: Path, model: object, verb: str, step: str, torn: bool) -> None:
    memory = opened(place, model, days=1)
    memory.ask("Where does Mira Quist live?", use="weights")

    def reached(name: str) -> None:
        if name == step:
            connection = memory._parts.core.store._db._connection  # type: ignore[attr-defined]
            if torn and connection.in_transaction:
                connection.execute("COMMIT")
            os.kill(os.getpid(), signal.SIGKILL)

    arm(memory, reached)
    VERBS[verb](memory, place)
    raise AssertionError(f"{verb} did not reach {step}")


def look(place: Path, model: object, line: dict[str, object], expected: dict[str, object]) -> None:
    memory = opened(place, model, days=1)
    packs = [*place.rglob("*.safetensors*"), *place.rglob("*.tmp*")]
    memory.ask("Where does Mira Quist live?", use="weights")
    report, editor = memory.check(), memory.editor
    assert editor is not None
    found = json.loads(json.dumps(state(memory)))
    line |= {
        "problems": [p for p in report.problems if "embedded anew" not in p],  # a re-embedding that was stopped goes on
        "is": "before" if found == expected["before"] else "after" if found == expected["after"] else str(found),
        "registry": sorted(str(e.id) for e in memory.edits()),
        "live": sorted(str(e.id) for e in editor.edits()),
        "pack": sorted(memory._parts.weights.contents().edits),
        "packs": len(packs),
        "text": any(b"rain" in path.read_bytes() for path in place.iterdir() if path.is_file()),
    }
    memory.close()
    os.write(1, (json.dumps(line) + "\n").encode())


def main() -> None:
    torch.set_num_threads(1)
    root, wanted = Path(sys.argv[1]), json.loads(sys.argv[2]) or {verb: [] for verb in VERBS}
    model = load_small_model()
    template, place = root / "template", root / "memory"
    assert in_child(lambda: fill(template, model)) == 0, "the template could not be made"
    for name, steps in wanted.items():
        verb, torn = name.removeprefix("torn "), name.startswith("torn ")
        shutil.copytree(template, place)
        assert in_child(lambda v=verb: record(place, model, v)) == 0, verb  # type: ignore[misc]
        shutil.rmtree(place)
        expected = json.loads((root / "recorded.json").read_text())
        for step in [s for s in expected["steps"] if not steps or s in steps]:
            shutil.copytree(template, place)
            status = in_child(lambda v=verb, s=step, t=torn: stop_at(place, model, v, s, t))  # type: ignore[misc]
            line: dict[str, object] = {"verb": name, "step": step, "killed": os.WIFSIGNALED(status)}
            if in_child(lambda line=line, e=expected: look(place, model, line, e)):  # type: ignore[misc]
                os.write(1, (json.dumps(line) + "\n").encode())
            shutil.rmtree(place)


if __name__ == "__main__":
    main()
