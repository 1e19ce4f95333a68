"""No byte of what was forgotten is in the directory, whichever verb had written it, and wherever the process was killed."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from byte_search import canary, found, halves, traces

from agentmem import Fact, Memory, Scope, Settings
from agentmem.forget.places import TRACES, Traces
from agentmem.integrations import ChatAgent
from agentmem.notes.clock import ManualClock
from agentmem.settings import IndexSettings
from agentmem.stores.sqlite.scrub import ScrubReport

HERE = Path(__file__).parent
ANA = Scope(user="ana")
WORDS = ["pear", "plum", "fig", "date", "lime", "quince", "medlar", "sloe"]


def answer(messages: list[dict[str, str]]) -> str:
    """A model that repeats what it was shown: whatever it says holds the words of its sources, and it has something to say of every note."""
    task = messages[0]["content"]
    notes = (
        [json.loads(line) for line in messages[1]["content"].splitlines()[1:-1] if line.startswith("{")]
        if len(messages) > 1
        else []
    )
    quoted = " ".join(n["text"] for n in notes)[:300]
    said: object = None
    if "Describe the note" in task:
        said = {"keywords": quoted.split()[:3], "context": quoted, "tags": quoted.split()[:1], "fact": None}
    elif "a new note" in task:
        others = [
            {"id": n["id"], "context": notes[0]["text"][:200], "tags": notes[0]["text"].split()[:1], "reason": "both"}
            for n in notes[1:]
        ]
        said = {"links": [{"id": n["id"], "relation": "explains"} for n in notes[1:]], "evolve": others}
    elif "one day" in task:
        said = {"summary": quoted, "thoughts": [{"text": n["text"][:200], "sources": [n["id"]]} for n in notes[:3]]}
    elif "summaries of days" in task:
        said = {"portrait": quoted}
    elif "alike" in task:
        said = {"merge": [], "forget": []}
    return json.dumps(said) if said else f"Noted: {messages[-1]['content'][:200]}"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "memory"


@pytest.fixture
def memory(place: Path) -> Iterator[Memory]:
    with opened(place) as memory:
        yield memory


def opened(place: Path, **options: object) -> Memory:
    clock = options.pop("clock", None) or ManualClock(datetime(2026, 1, 1, 9, tzinfo=UTC))
    return Memory(place, embedder="hash", scope=ANA, clock=clock, llm=answer, **options)  # type: ignore[arg-type]


def company(memory: Memory, rng: random.Random, count: int = 96) -> None:
    """Other notes, in small writes and of many lengths, so that pages are split and merged."""
    for start in range(0, count, 12):
        memory.remember_many(
            [{"content": f"{start + i} " + " ".join(rng.choices(WORDS, k=rng.choice([4, 9, 30, 200])))} for i in range(12)],
            session=f"s{start}", progress=False,
        )  # fmt: skip


Plant = Callable[[Memory, list[str], Path], list[str]]


def _note(memory: Memory, w: list[str], _: Path) -> list[str]:
    note = memory.remember(
        f"{w[0]} is hidden under {w[1]}.", fact=Fact(w[0], "lies under", w[1]), tags=(w[2],), actor=w[3], session=w[4],
        metadata={"where": w[5], w[6]: 1}, source=w[7], idempotency_key=w[8], trust=0.9,
    )  # fmt: skip
    return [str(note.id)]


def _long(memory: Memory, w: list[str], _: Path) -> list[str]:
    text = ". ".join(f"Chapter {i} tells of {w[i % 10]} and of {' '.join(WORDS)}" for i in range(300))
    return [str(memory.remember(text).id)]


def _updated(memory: Memory, w: list[str], _: Path) -> list[str]:
    id = _note(memory, w, _)[0]
    memory.update(id, f"{w[9]} is hidden under {w[1]} now.")
    memory.update(id, f"Nothing is hidden. {' '.join(WORDS * 30)} {w[9]}")
    return [id]


def _superseded(memory: Memory, w: list[str], _: Path) -> list[str]:
    ids = []
    for value in w[1:4]:
        memory.clock.advance(days=1)  # type: ignore[attr-defined]
        ids.append(str(memory.remember(f"{w[0]} lives in {value}.", fact=Fact(w[0], "lives in", value)).id))
    return ids


def _merged(memory: Memory, w: list[str], _: Path) -> list[str]:
    first = memory.remember(f"{w[0]} is hidden under {w[1]}.")
    again = memory.remember(
        f"{w[0]} is hidden under {w[1]}.", tags=(w[2],), metadata={"late": w[3]}, fact=Fact(w[0], "lies under", w[1])
    )
    assert again.status == "merged"
    return [str(first.id)]


def _turns(memory: Memory, w: list[str], _: Path) -> list[str]:
    said = [
        {"role": "user", "content": f"turn {i} says {w[i] if i in (2, 3, 6) else WORDS[i % 8]} today"} for i in range(9)
    ]
    items = memory.remember(said).items  # type: ignore[arg-type]
    return [str(items[i].id) for i in (2, 3, 6)]


def _linked(memory: Memory, w: list[str], _: Path) -> list[str]:
    a, b = memory.remember(f"{w[0]} sails."), memory.remember("The harbour is closed.")
    memory.link(str(a.id), str(b.id), "user", reason=f"{w[1]} said so")
    memory.reinforce([str(a.id), str(b.id)])
    return [str(a.id)]


def _chat(memory: Memory, w: list[str], _: Path) -> list[str]:
    agent = ChatAgent(answer, memory, user="ana", session="chat")
    for i in range(4):
        agent.chat(f"I keep {w[i]} in the shed." if i != 2 else "What is the weather?")
    return [n.id for n in memory.notes(session="chat") if n.thread == "chat" and n.content != "What is the weather?"]


def _asked(memory: Memory, w: list[str], _: Path) -> list[str]:
    """Of questions and answers that have words of their own, and of several notes: one of these, and a question that is a note, are forgotten."""
    ids = [str(memory.remember(f"{text} sails.").id) for text in (w[0], "Nobody", "Everybody")]
    for n in range(40):
        memory.reinforce(ids[:2], question=f"Who sails {n}? {w[1]} asks, {w[2]} too.", answer=f"{w[3]}, and {w[4]} {n}")
    turn = memory.remember(f"Does everybody sail, {w[5]}?")
    memory.reinforce(ids[2], question=f"Does everybody sail, {w[5]}?", answer="Everybody sails.")
    memory.reinforce(ids[2], question="Do they sail?", answer=f"Everybody sails, says {w[6]}.")
    reply = memory.remember(f"Everybody sails, says {w[6]}.")
    return [ids[0], str(turn.id), str(reply.id)]


def _experience(memory: Memory, w: list[str], _: Path) -> list[str]:
    for step in range(3):
        memory.experience.record(
            f"open {w[0]}", f"a door of {w[1]}", f"push {w[2 + step]}", float(step), f"a hall of {w[6]}", done=step == 2
        )
    return [n.id for n in memory.notes(where={"kind": "experience"})]


def _imported(memory: Memory, w: list[str], folder: Path) -> list[str]:
    with opened(folder / "other") as other:
        ids = _updated(other, w, folder) + _turns(other, [v + "x" for v in w], folder)
        other.export(folder / "export.jsonl")
    memory.load_export(folder / "export.jsonl")
    return ids


def _enriched(memory: Memory, w: list[str], _: Path) -> list[str]:
    for i in range(4):
        memory.remember(f"Pears and plums sail to the isle of {WORDS[i]} in spring.")
    ids = [
        str(memory.remember(f"{w[i]} and {w[i + 1]} sail to the isle of {WORDS[i]} in spring.").id) for i in range(4)
    ]
    report = memory.enrich()
    assert report.evolved, report
    assert any(w[0] in note.context for note in memory.notes() if note.id not in ids), "no other note was told of it"
    return ids


def _reflected(memory: Memory, w: list[str], _: Path) -> list[str]:
    ids = [str(memory.remember(f"{w[i]} sails to the isle of {WORDS[i]} with {w[i + 1]}.").id) for i in range(4)]
    memory.clock.advance(days=2)  # type: ignore[attr-defined]
    assert memory.reflect().summaries
    return ids


def _indexed(memory: Memory, w: list[str], _: Path) -> list[str]:
    ids = _note(memory, w, _)
    memory.flush()
    return ids


PLANTS: dict[str, Plant] = {
    "note": _note, "long note": _long, "update": _updated, "supersede": _superseded, "merge": _merged, "thread": _turns, "link": _linked,
    "chat": _chat, "asked": _asked, "experience": _experience, "import": _imported, "enrich": _enriched, "reflect": _reflected, "index": _indexed,
}  # fmt: skip


@pytest.mark.parametrize("plant", PLANTS.values(), ids=PLANTS)
def test_no_part_of_a_forgotten_word_is_in_any_file(memory: Memory, place: Path, tmp_path: Path, plant: Plant) -> None:
    """Words, names, tags, sessions, keys, metadata, reasons, summaries and vectors: gone while the memory is open, and when it is closed."""
    rng = random.Random(7)
    words = [canary(rng) for _ in range(10)]
    company(memory, rng, 24 if plant is _indexed else 48)
    ids = plant(memory, words, tmp_path)
    company(memory, rng, 24 if plant is _indexed else 48)
    vectors = [memory._parts.core.embed([memory.get(id).content])[0] for id in ids]
    assert traces(place, words, tmp_path / "copy"), "nothing was planted: the test proves nothing"

    receipt = memory.forget(ids)

    assert receipt.gone, (receipt.probes, receipt.warnings)
    # what owners and sessions are called is theirs, and a session of one's own name stays with notes that have it
    needles = {half for vector in vectors for half in halves(vector)}
    assert traces(place, words, tmp_path / "copy") == []
    assert found(place, needles, tmp_path / "copy") == []
    assert memory.check().ok, memory.check().problems
    memory.close()
    assert traces(place, words, tmp_path / "copy") == []


def test_without_scrubbing_the_search_finds_what_is_left(memory: Memory, place: Path, tmp_path: Path) -> None:
    """The null control: rows are deleted, nothing is blanked, and the very same search goes red."""
    rng = random.Random(7)
    words = [canary(rng) for _ in range(10)]
    memory._parts.core.store._scrub = lambda path, patience: ScrubReport(done=True)  # type: ignore[attr-defined]
    company(memory, rng)
    ids = _note(memory, words, tmp_path)
    company(memory, rng, 24)

    assert memory.forget(ids).gone
    assert traces(place, words, tmp_path / "copy")


def test_a_neighbour_is_not_found_by_the_words_of_a_forgotten_turn(memory: Memory, place: Path, tmp_path: Path) -> None:
    """Not its text, not the context of the turns beside it; and those are found by each other's words instead."""
    said = ["We met at the quince fair.", "My wardrobe holds a zqxvbnkwrt.", "Then we walked to the lighthouse."]
    first, secret, last = (r.id for r in memory.remember([{"role": "user", "content": s} for s in said]).items)  # type: ignore[arg-type]
    memory.forget(str(secret))

    search = memory._parts.core.text.search
    with memory._parts.core.store.read() as tx:
        owner = tx.notes.owner(ANA)
        assert owner is not None
        assert search(tx, ["zqxvbnkwrt"], (owner,), 10) == []
        rows = tx.notes.rows_of([str(first), str(last)])
        assert {row for row, _ in search(tx, ["lighthouse"], (owner,), 10)} == set(rows.values())
        assert {row for row, _ in search(tx, ["quince"], (owner,), 10)} == set(rows.values())
    assert traces(place, ["zqxvbnkwrt"], tmp_path / "copy") == []


def test_with_a_place_left_out_of_the_list_the_search_goes_red(memory: Memory, place: Path, tmp_path: Path) -> None:
    """The null control of the list: a place that nobody removes from is found by its bytes."""
    memory._parts.eraser._traces = Traces([trace for trace in TRACES if trace.name != "notes"])
    said = ["We met at the quince fair.", "My wardrobe holds a zqxvbnkwrt.", "Then we walked to the lighthouse."]
    items = memory.remember([{"role": "user", "content": s} for s in said]).items  # type: ignore[arg-type]
    memory.forget(str(items[1].id))

    assert traces(place, ["zqxvbnkwrt"], tmp_path / "copy")


STEPS = [
    "forget:before-commit",
    "forget:after-commit",
    "forget:scrubbed-packs",
    "forget:scrubbed-index",
    "forget:scrubbed-file",
]


def test_a_forgetting_that_is_killed_is_finished_by_the_next_open(tmp_path: Path) -> None:
    """At each step of it, and while the file is being blanked: the note is there as a whole, or no byte of it is."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, str(HERE / "killed_forget.py"), str(tmp_path), json.dumps(STEPS)],
        capture_output=True, text=True, env=environment, timeout=300,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    outcomes = [json.loads(line) for line in run.stdout.splitlines()]
    assert [o["step"] for o in outcomes if o["step"] in STEPS] == STEPS
    assert any(o["step"].startswith("scrubber") for o in outcomes)
    for outcome in outcomes:
        assert outcome["killed"], outcome
        assert outcome["problems"] == [], outcome
        assert outcome["there"] == (outcome["step"] == "forget:before-commit"), outcome
        assert outcome["others"] == outcome["expected"], outcome
        assert bool(outcome["traces"]) == outcome["there"], outcome


def test_after_a_kill_nothing_is_finished_without_the_intent(tmp_path: Path) -> None:
    """The null control: with what was written down as due taken off the table, the next open leaves the bytes where they are."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, str(HERE / "killed_forget.py"), str(tmp_path), json.dumps(["forget:after-commit"]), "without intent"],
        capture_output=True, text=True, env=environment, timeout=300,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    (outcome,) = [json.loads(line) for line in run.stdout.splitlines()]
    assert outcome["killed"]
    assert not outcome["there"]
    assert outcome["traces"]


def test_settings_without_an_index_forget_as_well(place: Path, tmp_path: Path) -> None:
    """The exact index alone has no files."""
    rng = random.Random(3)
    words = [canary(rng) for _ in range(10)]
    with opened(place, settings=Settings(index=IndexSettings(backend="exact"))) as memory:
        ids = _note(memory, words, tmp_path)
        memory.clock.advance(minutes=1)  # type: ignore[attr-defined]
        assert memory.forget(ids).gone
        assert traces(place, words, tmp_path / "copy") == []
