"""Work done in a forked child, for the scripts that kill themselves: what becomes of the child is its exit status."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable


def in_child(work: Callable[[], None]) -> int:
    """The wait status of a child that did the work: 0, an exit status, or the signal that ended it."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:  # noqa: BLE001 - told by the status
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1]
