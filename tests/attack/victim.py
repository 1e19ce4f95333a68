"""A process that makes a store to be damaged, or looks at damaged ones.

Usage: victim.py make DIRECTORY closed|killed, or victim.py look JOBS SEED…: one JSON line for each damaged copy.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agentmem import Memory
from agentmem.errors import AgentMemError, UnknownNote
from agentmem.notes.clock import ManualClock
from agentmem.stores.sqlite import opening, reading
from agentmem.stores.sqlite import store as sqlite_store

LONG = "The harbour master keeps a ledger of ships, and every ship has a name, a flag and a captain who signs for the cargo. "


def make(directory: Path, how: str) -> None:
    directory.mkdir(parents=True)
    memory = Memory(directory / "m", embedder="hash", clock=ManualClock())
    texts = [f"{name} likes {thing} number {n}." for n, (name, thing) in enumerate(
        (a, b) for a in ("Ana", "Bruno", "Clara", "Dario") for b in ("tea", "chess", "maps", "rain", "ships", "bread"))]  # fmt: skip
    memory.remember_many([*texts, *(f"{n} {LONG * 6}" for n in range(3))], user="ana", session="s", progress=False)
    memory.remember("Ana lives in Porto.", user="ana")
    memory.remember("Ana lives in Oslo.", user="ana", valid_from="2027-01-01T00:00:00+00:00")
    ids = [note.id for note in memory.notes(user="ana")]
    for id in ids[:4]:
        memory.update(id, f"Changed to say that it rains on {id[-4:]}.", user="ana")
    memory.forget(ids[5], user="ana")  # empties the log
    for number in range(12):
        memory.remember(f"Ana counts {number} gulls in the harbour.", user="ana")
    memory.reinforce(ids[6:9], user="ana")  # the last commit, without a note
    truth = {note.id: [v.content for v in memory.history(note.id, user="ana")] for note in memory.notes(user="ana")}
    (directory / "truth.json").write_text(json.dumps(truth))
    if how == "killed":
        os._exit(0)
    memory.close()


class Look:
    """Opens, reads everything, asks, checks, rebuilds; ``result`` is what was wrong about it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.truth: dict[str, list[str]] = json.loads((directory / "truth.json").read_text())
        self.result: dict[str, Any] = {"error": "", "problems": [], "breaches": []}

    def attempt(self, what: str, work: Callable[[], object]) -> Any:
        try:
            return work()
        except UnknownNote:
            pass  # every note that is asked for was stored: that one is gone tells nothing about damage
        except AgentMemError as error:
            self.result["error"] = self.result["error"] or f"{what}: {type(error).__name__}"
            if not error.hint:
                self.result["breaches"].append(f"{what}: no hint in {error!r}")
        except BaseException as error:  # noqa: BLE001 - the breach that is looked for
            self.result["breaches"].append(f"{what}: raw {type(error).__name__}: {error}")
        return None

    def run(self) -> dict[str, Any]:
        memory = self.attempt("open", lambda: Memory(self.directory / "m", embedder="hash", clock=ManualClock()))
        if memory is None:
            return self.result
        changed = self.read(memory)
        self.attempt("graph", lambda: memory.graph(user="ana"))
        self.attempt("stats", memory.stats)
        report = self.attempt("check", memory.check)
        problems = list(report.problems) if report is not None else []
        self.result["problems"] = problems[:3]
        if changed and not problems and not self.result["error"]:
            self.result["breaches"].append(f"silently other words: {changed[:2]}")
        for projection in ("graph", "text", "vectors"):
            self.attempt(f"rebuild {projection}", lambda projection=projection: memory.rebuild(projection))
        self.attempt("remember", lambda: memory.remember("The sun came out.", user="ana"))
        self.attempt("close", memory.close)
        return self.result

    def read(self, memory: Memory) -> list[str]:
        """The ids of notes whose words, now or before, are not what was written, and of those that are missing from the list."""
        listed = self.attempt("notes", lambda: memory.notes(user="ana"))
        changed = [] if listed is None else sorted(set(self.truth) ^ {note.id for note in listed})
        for id, said in self.truth.items():
            note = self.attempt("get", lambda id=id: memory.get(id, user="ana"))
            history = self.attempt("history", lambda id=id: memory.history(id, user="ana"))
            if note is not None and note.content != said[-1]:
                changed.append(id)
            if history is not None and [version.content for version in history] != said:
                changed.append(id)
        found = self.attempt("recall", lambda: memory.recall("What does Ana like?", user="ana", k=40))
        for hit in found.hits if found is not None else ():
            if hit.note.content != self.truth.get(hit.note.id, [""])[-1]:
                changed.append(hit.note.id)
        return changed


def main() -> None:
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]), sys.argv[3])
        return
    if os.environ.get("WITHOUT_SEALS"):
        sqlite_store.broken = lambda database: []
    if os.environ.get("WITHOUT_LOG"):
        opening.refuse_damaged = reading.refuse_damaged = lambda path: None
    for seed in sys.argv[3:]:
        found = {"seed": seed, **Look(Path(sys.argv[2]) / seed).run()}
        os.write(1, (json.dumps(found) + "\n").encode())


main()
