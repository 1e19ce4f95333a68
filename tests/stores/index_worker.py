"""A process that works on the vector index and dies at a failpoint.

Usage: index_worker.py <folder> <apply|rebuild|search> <failpoint> <which time it is reached>
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from agentmem.notes.clock import SystemClock
from agentmem.stores.chroma.indexer import Indexer
from agentmem.stores.sqlite.store import SqliteStore

DEAD = 77


def main() -> None:
    folder, task, failpoint, times = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    left = [times]

    def fail(step: str) -> None:
        if step == failpoint:
            left[0] -= 1
            if left[0] == 0:
                os._exit(DEAD)

    indexer = Indexer(SqliteStore(folder / "notes.db"), folder, SystemClock(), fail=fail)
    if task == "search":
        assert indexer.search(1, np.ones(32, np.float32), 3)
        os._exit(DEAD)
    getattr(indexer, task)()


main()
