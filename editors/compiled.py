"""Models whose forward is compiled: hooks that the compiler has not seen must not be passed by, nor compiled into its code.

``torch.compile`` traces the hooks that are on a model when it first runs, and does not look again whether others came. So what was
compiled is forgotten when an editor's hooks come onto a model or leave it, and compiled anew with the next request; what hooks do
depends on the request and stays outside of compiled code; and the library's own forwards, which bring hooks for one run, are not compiled.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from agentmem.runtime.forks import at_fork

__all__ = ["eager", "forget_compiled", "outside_compiler"]


def outside_compiler(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, for compiled code to call as it is."""
    dynamo = sys.modules.get("torch._dynamo")  # whoever loads a model of transformers has it
    return function if dynamo is None else dynamo.disable(function)


def forget_compiled() -> None:
    """Let everything be compiled anew when it next runs."""
    if _has_compiled():
        sys.modules["torch._dynamo"].reset()


class _Stance:
    """Torch's stance is the process's, and who leaves puts back what he found; so it is set once for all who want it."""

    def __init__(self) -> None:
        self._begin_anew()
        at_fork(self._begin_anew)

    def _begin_anew(self) -> None:
        """Also in a forked child, which has a stance of its own."""
        self._lock, self._inside = threading.Lock(), 0
        self._set: Any = None

    def enter(self) -> None:
        import torch

        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._set = torch.compiler.set_stance("force_eager")
                self._set.__enter__()

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._set, held = None, self._set
                held.__exit__(None, None, None)


_STANCE = _Stance()


@contextmanager
def eager() -> Iterator[None]:
    """Forwards inside run as they are written, if anything was compiled at all."""
    if not _has_compiled():
        yield
        return
    _STANCE.enter()
    try:
        yield
    finally:
        _STANCE.leave()


def _has_compiled() -> bool:
    dynamo = sys.modules.get("torch._dynamo.eval_frame")
    return dynamo is not None and bool(getattr(dynamo, "cached_backends", True))
