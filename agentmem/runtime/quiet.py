"""Model libraries talk on the terminal while they load; ours do not, and leave the user's settings as they were."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from agentmem.runtime.forks import at_fork

__all__ = ["quiet"]


class _Turns:
    """One block at a time in this process."""

    def __init__(self) -> None:
        self._begin_anew()
        at_fork(self._begin_anew)

    def _begin_anew(self) -> None:
        self.lock = threading.RLock()


@cache
def _turns() -> _Turns:
    return _Turns()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the progress bars, the notices and the warnings of transformers inside the block.

    What it changes is global in those libraries, so blocks of two threads take turns.
    """
    from transformers.utils import logging as chatter

    with _turns().lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        verbosity, bars = chatter.get_verbosity(), chatter.is_progress_bar_enabled()
        chatter.set_verbosity_error()
        chatter.disable_progress_bar()
        try:
            yield
        finally:
            chatter.set_verbosity(verbosity)
            if bars:
                chatter.enable_progress_bar()
