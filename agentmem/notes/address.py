"""Where a memory is: a directory, or a PostgreSQL database, whose address is named without telling its password."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, TypeGuard

from agentmem.errors import InvalidArgument

__all__ = ["address_of", "has_password", "is_path", "is_url", "shown"]

_SCHEME: Final = re.compile(r"(?P<name>[a-z][a-z0-9.-]+)(?:\+[a-z0-9]+)?://", re.IGNORECASE)
"""The beginning of an address, in which an ORM may name a driver besides."""
_SECRET: Final = re.compile(r"(?<=://)(?P<user>[^/@?#]*?):[^/?#]*@|(?P<key>(?:ssl)?password=)[^&]*")


def is_url(place: object) -> TypeGuard[str]:
    """Whether a place is named by the address of a PostgreSQL database.

    Raises:
        InvalidArgument: see :func:`address_of`.
    """
    return isinstance(place, str) and address_of(place) is not None


def is_path(place: object) -> TypeGuard[str | Path]:
    """Whether something can name a file or a directory."""
    return isinstance(place, str | Path) and bool(str(place)) and "\0" not in str(place)


def address_of(place: str) -> str | None:
    """The address of the PostgreSQL database that a text names, as its driver takes it; ``None`` where it names a directory.

    Raises:
        InvalidArgument: it is the address of something else, of which a directory would be made, with the password in its name.
    """
    found = _SCHEME.match(place)
    if found is None:
        return None
    if found["name"].lower() not in ("postgresql", "postgres"):
        raise InvalidArgument(
            f"A memory is no {found['name']} address: {shown(place):.80}.",
            hint="a directory, or postgresql://user@host/database.",
        )
    return f"{found['name'].lower()}://{place[found.end() :]}"


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
