"""A directory for what lies nowhere else, gone with the memory that has it."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path

from agentmem.runtime.forks import at_fork

__all__ = ["Scratch"]


class Scratch:
    """A temporary directory, removed with its object or at the end of the process that made it, never by a forked child."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="agentmem-"))
        self._remove = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
        at_fork(self._in_child)

    def _in_child(self) -> None:
        self._remove.detach()

    def close(self) -> None:
        """Remove it now."""
        self._remove()
