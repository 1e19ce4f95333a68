"""How many threads a computation on the CPU may take."""

from __future__ import annotations

import os

from agentmem.errors import InvalidArgument

__all__ = ["thread_count"]


def thread_count(threads: int | None = None) -> int:
    """The threads to compute with: what was asked for, else ``$OMP_NUM_THREADS``, else up to four processors."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    if threads is None and told.isdecimal():
        threads = int(told)
    if threads is None:
        free = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        threads = min(4, free)
    if threads < 1:
        raise InvalidArgument(f"threads is {threads}.", hint="use 1 or more; None takes up to four processors.")
    return threads
