"""That what is shared is meant, said by who could have named anybody: no verb has to guess whether a name was forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["is_shared_meant", "shared_meant"]

_meant: ContextVar[bool] = ContextVar("agentmem_shared_meant", default=False)


@contextmanager
def shared_meant() -> Iterator[None]:
    """Within the block, a call that names nobody asks for the shared notes, and sees no others; awaited verbs go along."""
    token = _meant.set(True)
    try:
        yield
    finally:
        _meant.reset(token)


def is_shared_meant() -> bool:
    """Whether it was said."""
    return _meant.get()
