"""A process that opens a store, writes commits of all lengths, checkpoints and closes it, again and again, until its input ends.

Usage: log_writer.py DATABASE SEED: what it opens must never be called damaged.
"""

from __future__ import annotations

import random
import select
import sys
from contextlib import closing, suppress
from pathlib import Path

from agentmem.errors import StoreLocked
from agentmem.stores.sqlite.store import SqliteStore


def main() -> None:
    path, rng = Path(sys.argv[1]), random.Random(int(sys.argv[2]))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while not select.select([sys.stdin], [], [], 0)[0]:
        with closing(SqliteStore(path, durability=rng.choice(("full", "normal")))) as store:
            for _ in range(rng.randrange(30)):
                with store.write() as tx:
                    tx.meta_set(f"key {rng.randrange(9)}", "x" * rng.choice((10, 5000, 60_000)))
            if rng.random() < 0.3:
                with suppress(StoreLocked), store.read() as tx:
                    tx.meta_get("key 0")
        if rng.random() < 0.2:
            with closing(SqliteStore(path, read_only=True)) as store, suppress(StoreLocked), store.read() as tx:
                tx.meta_get("key 0")


main()
