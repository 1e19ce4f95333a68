"""Writing a file that a caller named: what the system refuses becomes an error of ours, with the file's name."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agentmem.errors import InvalidArgument, StoreFull, StoreReadOnly

__all__ = ["writing"]


@contextmanager
def writing(path: Path | str) -> Iterator[Path]:
    """The path to write to, its folder made.

    Raises:
        InvalidArgument: it is a directory.
        StoreReadOnly: it, or its folder, cannot be written.
        StoreFull: the disk is full.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield target
    except IsADirectoryError as error:
        raise InvalidArgument(f"{target} is a directory.", hint=f"name a file in it, e.g. {target / 'out'}{target.suffix}.") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFull(f"{target} could not be written: {error.strerror}.", hint="make room, then try again.") from error
        raise StoreReadOnly(
            f"{target} cannot be written: {error.strerror or error}.", hint="choose a directory that you may write to."
        ) from error
