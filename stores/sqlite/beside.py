"""Runs :mod:`agentmem.stores.sqlite.scrub` as a process of its own, beside the store that is open in this one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agentmem.stores.sqlite import scrub
from agentmem.stores.sqlite.scrub import ScrubReport

__all__ = ["Scrub", "scrub_beside"]

Scrub = Callable[[Path, float], ScrubReport | None]
"""Scrubs a database file, waiting for others so many seconds at a time; ``None`` where no process can be started."""

_LONGEST: Final = 600.0  # seconds; a process that is stopped then has broken nothing, and goes on the next time


def scrub_beside(path: Path, patience: float) -> ScrubReport | None:
    """Blank what deleted rows left in ``path``; the report of the process, ``None`` when it could not be started."""
    if not sys.executable:
        return None
    # Isolated: nothing of this process's environment is read, and nothing is imported but the standard library.
    command = [sys.executable, "-I", "-S", str(Path(scrub.__file__)), str(path.resolve()), str(patience)]
    try:
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_LONGEST, check=False)  # noqa: S603 - our interpreter, our file
    except subprocess.TimeoutExpired:
        return ScrubReport(why=f"it took longer than {_LONGEST:.0f} seconds")
    except OSError:
        return None
    try:
        return ScrubReport(**json.loads(ended.stdout))
    except (ValueError, TypeError):
        lines = ended.stderr.decode("utf-8", "replace").strip().splitlines()
        return (
            None
            if ended.returncode == 2
            else ScrubReport(why=lines[-1] if lines else f"the process ended with {ended.returncode}")
        )
