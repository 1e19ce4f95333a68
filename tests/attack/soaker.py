"""A process that uses a memory from several threads for a while, and says how much it takes meanwhile.

Usage: soaker.py DIRECTORY SECONDS SEED [leak]: one JSON line a second. The number of notes stays the same, so nothing may grow.
"""

from __future__ import annotations

import gc
import json
import os
import random
import sys
import threading
import time
import traceback
from pathlib import Path

from agentmem import Memory, Settings
from agentmem.errors import UnknownNote
from agentmem.runtime import forks
from agentmem.settings import RememberSettings

KEPT = 120
"""Notes of each user."""
WORDS = "harbour lantern violin copper orchard winter marble kettle meadow ledger anchor saffron willow compass thunder".split()


class Always(random.Random):
    """Does what is done now and then."""

    def random(self) -> float:
        return 0.0


class Soak:
    """One memory, its users, and the verbs that threads choose from."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.directory, self.seed = directory, seed
        self.memory = Memory(directory / "m", embedder="hash", settings=Settings(remember=RememberSettings(batch=16)))
        self.stop = threading.Event()
        self.calls: dict[str, int] = {}
        self.errors: list[str] = []
        self.leaked: list[bytes] = []

    def text(self, rng: random.Random) -> str:
        return f"{rng.choice(('Ana', 'Bruno'))} saw the {' and the '.join(rng.sample(WORDS, 3))} on day {rng.randrange(100_000)}."

    def work(self, number: int) -> None:
        rng, user = random.Random(self.seed + number), f"u{number}"
        while not self.stop.is_set():
            verb = rng.choice(
                (
                    self.write,
                    self.write,
                    self.read,
                    self.read,
                    self.change,
                    self.forget,
                    self.use,
                    self.carry,
                    self.look,
                )
            )
            try:
                verb(rng, user)
            except UnknownNote:
                pass  # another call was faster
            except BaseException:  # noqa: BLE001 - told, and the test fails
                self.errors.append(traceback.format_exc())
                return
            self.calls[verb.__name__] = self.calls.get(verb.__name__, 0) + 1
            if "leak" in sys.argv:
                self.leaked.append(os.urandom(400_000))

    def write(self, rng: random.Random, user: str) -> None:
        self.memory.remember_many(
            [self.text(rng) for _ in range(5)], user=user, session=rng.choice("ab"), progress=False
        )

    def read(self, rng: random.Random, user: str) -> None:
        self.memory.recall(self.text(rng), user=user)

    def change(self, rng: random.Random, user: str) -> None:
        notes = self.memory.notes(user=user, limit=20)
        if notes:
            self.memory.update(rng.choice(notes).id, self.text(rng), user=user)

    def forget(self, rng: random.Random, user: str) -> None:
        notes = self.memory.notes(user=user)
        if len(notes) > KEPT:
            self.memory.forget([note.id for note in notes[: len(notes) - KEPT]], user=user)

    def use(self, rng: random.Random, user: str) -> None:
        self.memory.reinforce(
            [hit.note.id for hit in self.memory.recall(self.text(rng), k=3, user=user).hits], user=user, or_gone=True
        )

    def carry(self, rng: random.Random, user: str) -> None:
        if rng.random() < 0.2:
            path = self.directory / f"{user}.jsonl"
            self.memory.export(path, user=user)
            self.memory.load_export(path, user=user, dry_run=True)

    def look(self, rng: random.Random, user: str) -> None:
        if rng.random() < 0.1:
            self.memory.check()
            self.memory.graph(user=user)

    def taken(self) -> dict[str, object]:
        gc.collect()
        core = self.memory._parts.core
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        database = core.store._db  # type: ignore[attr-defined]
        return {
            "rss": pages * os.sysconf("SC_PAGE_SIZE"), "descriptors": sum(1 for _ in Path("/proc/self/fd").iterdir()), "threads": threading.active_count(),
            "exact": core.exact.size(), "embedder": len(core.embedder._cache), "answers": len(database._answers),  # type: ignore[attr-defined]
            "watched": len(forks._forks()._watched), "invalidating": len(database._invalidating), "calls": sum(self.calls.values()),
        }  # fmt: skip


def main() -> None:
    directory, seconds = Path(sys.argv[1]), float(sys.argv[2])
    soak = Soak(directory, int(sys.argv[3]))
    for verb in (soak.write, soak.read, soak.change, soak.use, soak.carry, soak.look, soak.forget):
        verb(Always(0), "u0")  # what the first call of each loads is no growth
    threads = [threading.Thread(target=soak.work, args=(number,)) for number in range(4)]
    began = time.time()
    for thread in threads:
        thread.start()
    while time.time() - began < seconds and not soak.errors:
        time.sleep(min(1.0, seconds / 40))
        print(json.dumps(soak.taken()), flush=True)  # noqa: T201
    soak.stop.set()
    for thread in threads:
        thread.join()
    report = soak.memory.check(deep=True)
    print(json.dumps({"errors": soak.errors, "problems": report.problems, "verbs": soak.calls}), flush=True)  # noqa: T201
    soak.memory.close()


main()
