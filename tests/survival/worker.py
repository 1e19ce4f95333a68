"""A process that uses a memory until it is killed, and says on standard output what was acknowledged.

Every line is written with one ``os.write`` after the call returned, so that a line means: this was durable before
the process died. Run as ``python worker.py MODE DIRECTORY SEED``.
"""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path

from agentmem import Memory, Scope


def say(**event: object) -> None:
    os.write(1, (json.dumps(event) + "\n").encode())


def use(directory: Path, seed: int) -> None:
    """Remember, update and forget at random, for ever."""
    rng = random.Random(seed)
    memory = Memory(directory, embedder="hash", scope=Scope(user="ana"))
    mine: dict[str, str] = {}
    say(ready=os.getpid())
    for number in range(1_000_000):
        action = rng.random()
        if action < 0.6 or not mine:
            text = f"note {seed} {number} about {rng.choice(['tea', 'ships', 'chess', 'rain'])}"
            receipt = memory.remember(text)
            mine[str(receipt.id)] = text
            say(remembered=receipt.id, text=text)
        elif action < 0.75:
            chosen = rng.choice(list(mine))
            text = f"changed {seed} {number}"
            say(updating=chosen, text=text)
            memory.update(chosen, text)
            mine[chosen] = text
            say(updated=chosen, text=text)
        elif action < 0.95:
            chosen = rng.choice(list(mine))
            say(forgetting=chosen)
            memory.forget(chosen)
            del mine[chosen]
            say(forgotten=chosen)
        else:
            memory.flush()


def write(directory: Path, seed: int) -> None:
    """Remember a fixed number of notes, among other processes that do the same."""
    with Memory(directory, embedder="hash") as memory:
        for number in range(25):
            receipt = memory.remember(f"writer {seed} wrote line {number}", user=f"u{seed % 2}")
            say(remembered=receipt.id)
        memory.remember("everybody says this", user="shared")


if __name__ == "__main__":
    mode, directory, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    {"use": use, "write": write}[mode](directory, seed)
