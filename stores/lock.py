"""A lock between processes that never waits and ends with its process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from agentmem.errors import StoreReadOnly

__all__ = ["take"]


def take(path: Path) -> int | None:
    """Lock a file; returns its descriptor, whose closing unlocks it, or ``None`` when somebody else holds it."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreReadOnly(
            f"{path} cannot be written: {error.strerror}.", hint="check the rights of the directory."
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
