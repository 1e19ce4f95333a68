"""Where a memory is: a directory, or a PostgreSQL database, whose address is named without telling its password."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, TypeGuard

__all__ = ["has_password", "is_url", "shown"]

_SCHEMES: Final = ("postgresql://", "postgres://")
_SECRET: Final = re.compile(r"(?<=://)(?P<user>[^/@?#]*?):[^/?#]*@|(?P<key>(?:ssl)?password=)[^&]*")


def is_url(place: object) -> TypeGuard[str]:
    """Whether a place is named by the address of a PostgreSQL database."""
    return isinstance(place, str) and place.startswith(_SCHEMES)


def has_password(url: str) -> bool:
    """Whether an address has a password in it."""
    return shown(url) != url


def shown(place: str | Path) -> str:
    """A directory, or an address without its passwords: for errors, logs and listings."""
    if isinstance(place, Path):
        return str(place)

    def hidden(found: re.Match[str]) -> str:
        return f"{found['key']}…" if found["key"] else f"{found['user']}:…@"

    return _SECRET.sub(hidden, place)
