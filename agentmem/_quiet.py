"""Model libraries talk on the terminal while they load; ours do not, and leave the user's settings as they were."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quiet"]

_LOCK = threading.RLock()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the progress bars, the notices and the warnings of transformers inside the block.

    What it changes is global in those libraries, so blocks of two threads take turns.
    """
    from transformers.utils import logging as chatter

    with _LOCK, warnings.catch_warnings():
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
