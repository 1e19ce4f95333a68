"""Names as SQL writes them."""

from __future__ import annotations

import functools

__all__ = ["quoted"]


@functools.cache
def quoted(name: str) -> str:
    """A name that means itself, whatever it is."""
    return '"' + name.replace('"', '""') + '"'
