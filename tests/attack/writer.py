"""A process that remembers notes from several threads and says how long each call took.

Usage: writer.py DIRECTORY NAME THREADS WRITES [SECONDS]: waits for a line on standard input, writes that many notes per thread (or for
so many seconds), and prints one JSON object: the seconds of each call, the errors, and when it began and ended.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time

from agentmem import Memory

if os.environ.get("WITHOUT_TURNS"):
    from contextlib import nullcontext

    from agentmem.stores.sqlite.turns import Turns

    Turns.turn = lambda self: nullcontext()  # type: ignore[assignment, return-value]


def main() -> None:
    directory, name, threads, writes = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    seconds = float(sys.argv[5]) if len(sys.argv) > 5 else float("inf")
    memory = Memory(directory, embedder="hash")
    memory.remember(f"{name} is ready", user=name)
    took: list[float] = []
    errors: list[str] = []
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    began = time.time()

    def write(thread: int) -> None:
        for number in range(writes):
            if time.time() - began > seconds:
                return
            start = time.perf_counter()
            try:
                memory.remember(f"{name} thread {thread} writes line {number}", user=name)
            except Exception as error:  # noqa: BLE001 - reported
                errors.append(f"{type(error).__name__}: {error}")
            took.append(time.perf_counter() - start)

    workers = [threading.Thread(target=write, args=(n,)) for n in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    ended = time.time()
    sys.stdout.write(json.dumps({"name": name, "took": took, "errors": errors, "began": began, "ended": ended}) + "\n")
    sys.stdout.flush()
    memory.close()


main()
