"""Uses memories in children whose files may not grow beyond a limit, and says what was acknowledged and what is there afterwards.

Run as ``python limited.py DIRECTORY LIMITS``; limits are bytes, a JSON list. At -1 nothing is limited, and a note is taken out by other means.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import sys
import traceback
from pathlib import Path

from agentmem import Memory, Scope, Settings
from agentmem.errors import AgentMemError
from agentmem.settings import IndexSettings

SETTINGS = Settings(index=IndexSettings(backend="exact"))


def opened(place: Path) -> Memory:
    return Memory(place, embedder="hash", scope=Scope(user="ana"), settings=SETTINGS)


def use(place: Path, limit: int, out: int) -> None:
    """Remember, update, forget and link at random; each line means that a call returned."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    rng = random.Random(limit)
    memory = opened(place)
    if limit > 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    mine: dict[str, str] = {}
    failures = 0
    for number in range(160 if limit > 0 else 20):
        line: dict[str, object] = {}
        try:
            chance = rng.random()
            if chance < 0.6 or not mine:
                text = f"note {number} " + "about tea and ships " * rng.choice([1, 10, 100])
                id = str(memory.remember(text).id)
                mine[id] = text
                line = {"put": id, "text": text}
            elif chance < 0.8:
                id = rng.choice(sorted(mine))
                line = {"trying": id}
                os.write(out, (json.dumps(line) + "\n").encode())
                text = f"changed {number}"
                memory.update(id, text)
                mine[id] = text
                line = {"put": id, "text": text}
            else:
                id = rng.choice(sorted(mine))
                os.write(out, (json.dumps({"trying": id}) + "\n").encode())
                memory.forget(id)
                del mine[id]
                line = {"gone": id}
        except AgentMemError as error:
            failures += 1
            line = {"failed": error.message, "hint": error.hint}
        except Exception as error:  # noqa: BLE001 - what is asked for
            line = {"untyped": f"{type(error).__name__}: {error}"}
        os.write(out, (json.dumps(line) + "\n").encode())
        if failures > 12:
            break
    os._exit(0)  # not closed: what follows is an open after a crash


def look(place: Path, limit: int, lines: list[dict[str, str]]) -> dict[str, object]:
    texts: dict[str, str] = {}
    gone: set[str] = set()
    for line in lines:
        if "put" in line:
            texts[line["put"]] = line["text"]
        elif "gone" in line:
            texts.pop(line["gone"], None)
            gone.add(line["gone"])
    with opened(place) as memory:
        there = {n.id: n.content for n in memory.notes()}
        if limit < 0:
            there.pop(next(iter(texts)))
        return {
            "limit": limit,
            "failed": sum("failed" in line for line in lines),
            "untyped": [line["untyped"] for line in lines if "untyped" in line],
            "lost": [id for id, text in texts.items() if there.get(id) != text],
            "back": sorted(gone & there.keys()),
            "problems": list(memory.check().problems),
        }


def main() -> None:
    root = Path(sys.argv[1])
    for limit in json.loads(sys.argv[2]):
        place = root / "memory"
        ends = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                use(place, limit, ends[1])
            except BaseException:  # noqa: BLE001 - told by the status
                traceback.print_exc()
            os._exit(1)
        os.close(ends[1])
        with os.fdopen(ends[0]) as file:
            lines = [json.loads(line) for line in file]
        assert os.waitpid(child, 0)[1] == 0
        sys.stdout.write(json.dumps(look(place, limit, lines)) + "\n")
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
