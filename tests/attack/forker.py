"""A process whose threads use a memory while it forks at random moments; its children use the same memory, and one of their own.

Usage: forker.py DIRECTORY FORKS SEED SECONDS [naive]: prints one JSON line per event, each written after the call it tells of has
returned. With ``naive`` nothing is told of a fork, as if nobody had thought of one.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

from agentmem import Memory
from agentmem.runtime import forks

DIRECTORY, FORKS, SEED, SECONDS = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
if "naive" in sys.argv[5:]:
    forks.at_fork = lambda *hooks, **more: None
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith("agentmem") and hasattr(module, "at_fork"):
            module.at_fork = forks.at_fork  # type: ignore[attr-defined]


def say(**event: object) -> None:
    os.write(1, (json.dumps(event) + "\n").encode())


def use(memory: Memory, name: str) -> None:
    """Remember two, find them, forget one."""
    kept = memory.remember(f"the child {name} keeps a lantern", user="children")
    say(remembered=kept.id)
    gone = memory.remember(f"the child {name} drops a marble", user="children")
    assert any(hit.note.id == kept.id for hit in memory.recall(f"child {name} lantern", user="children", k=20))
    memory.forget(str(gone.id), user="children")
    say(forgotten=gone.id)


def child(memory: Memory, number: int) -> None:
    use(memory, f"{number} of the inherited memory")
    with Memory(DIRECTORY, embedder="hash") as own:
        use(own, f"{number} of its own memory")
    memory.close()


def write(memory: Memory, thread: int, stop: threading.Event) -> None:
    number = 0
    while not stop.is_set():
        receipt = memory.remember(f"writer {thread} counts sheep {number} of {SEED}", user=f"u{thread}")
        say(remembered=receipt.id)
        number += 1


def read(memory: Memory, thread: int, stop: threading.Event) -> None:
    while not stop.is_set():
        memory.recall("how many sheep were counted?", user=f"u{thread}")


def reap(children: dict[int, int]) -> None:
    """Wait for the oldest; not for any child of this process, since a library may have started one of its own."""
    pid, number = next(iter(children.items()))
    status = os.waitpid(pid, 0)[1]
    del children[pid]
    say(child=number, status=os.waitstatus_to_exitcode(status))


def main() -> None:
    rng, stop = random.Random(SEED), threading.Event()
    memory = Memory(DIRECTORY, embedder="hash")
    threads = [threading.Thread(target=write, args=(memory, n, stop), daemon=True) for n in range(4)]
    threads += [threading.Thread(target=read, args=(memory, n, stop), daemon=True) for n in range(2)]
    for thread in threads:
        thread.start()
    children: dict[int, int] = {}
    for number in range(FORKS):
        time.sleep(rng.uniform(0.01, 0.12))
        began = time.perf_counter()
        pid = os.fork()
        if pid == 0:
            status = 1
            signal.alarm(int(SECONDS))
            try:
                child(memory, number)
                status = 0
            except BaseException:  # noqa: BLE001 - reported on standard error and by the status
                traceback.print_exc()
            finally:
                os._exit(status)
        say(forked=number, seconds=round(time.perf_counter() - began, 3))
        children[pid] = number
        while len(children) > 2:
            reap(children)
    while children:
        reap(children)
    stop.set()
    for thread in threads:
        thread.join(30)
    say(threads=sum(thread.is_alive() for thread in threads))
    memory.close()
    os._exit(0)


if __name__ == "__main__":
    main()
