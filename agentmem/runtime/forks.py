"""What becomes of locks, connections and threads when the process forks.

A child has the locks of its parent as they were, and none of the threads that would free them; and a library that was at work in
another thread, as SQLite is inside a transaction, is left in the middle of it. So whoever holds such things comes to rest before a
fork if it can, and begins anew in the child.
"""

from __future__ import annotations

import functools
import itertools
import os
import time
import weakref
from collections.abc import Callable
from typing import Any, Final, NamedTuple

__all__ = ["at_fork", "leave", "torn"]

PATIENCE: Final = 10.0
"""Seconds that a fork waits for transactions of other threads."""

Rest = Callable[[float], bool]
"""Comes to rest until a moment of ``time.monotonic``; false when that was not possible in time."""


class _Watched(NamedTuple):
    """An object, held weakly, and its methods as functions: a ``WeakMethod`` that goes while the interpreter ends complains of it."""

    owner: weakref.ref[object]
    child: Callable[[Any], None]
    rest: Callable[[Any, float], bool] | None
    parent: Callable[[Any], None] | None


class _Forks:
    """The objects to tell of a fork, and whether all of them were at rest when this process was made."""

    def __init__(self) -> None:
        self.torn = False
        self._restless = False
        self._watched: dict[int, _Watched] = {}
        self._numbers = itertools.count()
        os.register_at_fork(before=self._before, after_in_parent=self._in_parent, after_in_child=self._in_child)

    def add(self, child: Callable[[], None], rest: Rest | None, parent: Callable[[], None] | None) -> None:
        number, watched = next(self._numbers), self._watched
        owner: object = child.__self__  # type: ignore[attr-defined]
        watched[number] = _Watched(
            weakref.ref(owner, lambda _: watched.pop(number, None)),
            _function(child),
            _function(rest),
            _function(parent),
        )

    def _before(self) -> None:
        deadline = time.monotonic() + PATIENCE
        self._restless = False
        for each in reversed(
            list(self._watched.values())
        ):  # who uses a store is watched after it, and may be waiting for it
            owner = each.owner()
            if owner is not None and each.rest is not None and not each.rest(owner, deadline):
                self._restless = True

    def _in_parent(self) -> None:
        for each in list(self._watched.values()):
            owner = each.owner()
            if owner is not None and each.parent is not None:
                each.parent(owner)

    def _in_child(self) -> None:
        self.torn = self.torn or self._restless
        for each in list(self._watched.values()):
            owner = each.owner()
            if owner is not None:
                each.child(owner)


def _function(method: Any) -> Any:
    return None if method is None else method.__func__


@functools.cache
def _forks() -> _Forks:
    """Made when the first object asks for it: the interpreter keeps such hooks for good."""
    return _Forks()


def at_fork(child: Callable[[], None], *, rest: Rest | None = None, parent: Callable[[], None] | None = None) -> None:
    """Have methods of an object called at every fork of this process, for as long as the object lives.

    Args:
        child: called in the child, which has one thread: makes locks anew, and drops what another thread may have left half done.
        rest: called before the fork, in the thread that forks; what it locks, ``parent`` frees and ``child`` replaces.
        parent: called in the parent after the fork.
    """
    _forks().add(child, rest, parent)


def leave(thing: object) -> None:
    """Let go of something that a child inherited, without ever freeing it: it would wait for its threads, or take files away."""
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def torn() -> bool:
    """Whether this process was forked while something that cannot be used from the middle on did not come to rest."""
    return _forks().torn
