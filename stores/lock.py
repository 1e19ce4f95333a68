"""A lock between processes that never waits and ends with its process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from agentmem.errors import StoreReadOnly
from agentmem.files import owned_files

__all__ = ["take"]


def take(path: Path) -> int | None:
    """Lock a file, made with its folder if missing; returns its descriptor, whose closing unlocks it, or ``None`` when somebody else holds it.

    Raises:
        StoreForeign: it is a link, or no regular file.
        StoreReadOnly: it cannot be made.
    """
    try:
        owned_files.make_folder(path.parent)
        descriptor = owned_files.open_ours(path, os.O_RDWR | os.O_CREAT)
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
