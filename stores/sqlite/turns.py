"""Who writes next: the threads of a process in the order in which they asked, and processes so that none barges in.

SQLite lets whoever asks at the right moment write, and a process that writes all the time always does. So writers queue before they
ask it. Between processes the queue is two lock files: who holds ``next.lock`` waits for ``write.lock``, so whoever has just written
stands behind it. The kernel frees the locks of a process that is killed. They decide about the order alone: what keeps two writers apart
is SQLite.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from agentmem.errors import StoreLocked
from agentmem.files.data_directory import LOCK_FILES

__all__ = ["LOCK_FILES", "Turns"]

_NEXT_PAUSE: Final = 0.001  # between two looks whether one may be the next
_LEAST_PAUSE: Final = (
    0.00005  # the same for the write itself, for which only one process waits: a sixteenth of the time it waited
)
_MOST_PAUSE: Final = 0.005


class _Place:
    """One thread's place in the queue; ``held`` when it is its turn."""

    __slots__ = ("called", "held")

    def __init__(self) -> None:
        self.held = False
        self.called = threading.Lock()
        self.called.acquire()


class Turns:
    """The queue in front of the writes of one connection.

    Args:
        folder: where the lock files lie; ``None`` for a store that no other process sees.
        patience: seconds that a writer waits at most.
        place: names the store in errors.
    """

    def __init__(self, folder: Path | None, patience: float, place: str) -> None:
        self._folder = folder
        self._patience = patience
        self._place = place
        self._files: tuple[int, int] | None = None
        self.trouble = ""
        """Why processes take no turns here, in words."""
        self.begin_anew()

    def begin_anew(self) -> None:
        """In a forked child: nobody waits. The inherited files are closed, so that their locks end with the parent."""
        self._mutex = threading.Lock()
        self._waiting: deque[_Place] = deque()
        self._taken = False
        self._closing = False
        self.close()

    def open(self) -> None:
        """Open the lock files; a place where they cannot be is told, and costs the turns between processes alone."""
        if self._folder is None or self._files is not None:
            return
        opened: list[int] = []
        try:
            for name in LOCK_FILES:
                opened.append(
                    os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
                )
                with suppress(BlockingIOError):  # held by another writer: so locks work here
                    fcntl.flock(opened[-1], fcntl.LOCK_SH | fcntl.LOCK_NB)
                fcntl.flock(opened[-1], fcntl.LOCK_UN)
        except OSError as error:
            for descriptor in opened:
                os.close(descriptor)
            self.trouble = f"{self._folder} has no working file locks ({error.strerror})"
            return
        self.trouble, self._closing = "", False
        self._files = (opened[0], opened[1])

    def close(self) -> None:
        """Close the lock files, as soon as nobody uses them."""
        with self._mutex:
            self._closing = True
            self._close_unused()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for one's turn to write; it ends with the block, however that ends.

        Raises:
            StoreLocked: it did not come in time.
        """
        deadline = time.monotonic() + self._patience
        place, mutex = _Place(), self._mutex  # a fork replaces the mutex: then this place is in no queue any more
        try:
            self._queue(place, deadline)
            self._among_processes(deadline)
            yield
        finally:
            if mutex is self._mutex:
                self._leave(place)

    def _queue(self, place: _Place, deadline: float) -> None:
        with self._mutex:
            if not self._taken:
                self._taken = place.held = True
                return
            self._waiting.append(place)
        if not place.called.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise self._late()

    def _leave(self, place: _Place) -> None:
        with self._mutex:
            if not place.held:
                with suppress(ValueError):
                    self._waiting.remove(place)
                return
            place.held = False
            for descriptor in reversed(self._files or ()):
                with suppress(OSError):
                    fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing would not free what a child has inherited
            self._taken = bool(self._waiting)
            if self._waiting:
                following = self._waiting.popleft()
                following.held = True
                following.called.release()
            self._close_unused()

    def _among_processes(self, deadline: float) -> None:
        if self._files is None:
            return
        following, write = self._files
        try:
            while not _locked(following):
                self._pause(_NEXT_PAUSE, deadline)
            began = time.monotonic()
            while not _locked(write):
                waited = time.monotonic() - began
                self._pause(min(max(waited / 16, _LEAST_PAUSE), _MOST_PAUSE), deadline)
            fcntl.flock(following, fcntl.LOCK_UN)
        except OSError as error:  # a file system that went away, or that has no locks after all
            self.trouble = f"{self._folder} has no working file locks ({error.strerror})"

    def _pause(self, seconds: float, deadline: float) -> None:
        if time.monotonic() > deadline:
            raise self._late()
        time.sleep(seconds)

    def _late(self) -> StoreLocked:
        return StoreLocked(
            f"{self._place} is locked: others have been writing for {self._patience:g} seconds.",
            hint="another process holds the database; wait for it to finish, or stop it.",
        )

    def _close_unused(self) -> None:
        if self._closing and not self._taken and self._files is not None:
            files, self._files = self._files, None
            for descriptor in files:
                os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
