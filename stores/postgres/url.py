"""Which places are PostgreSQL databases, and how one is named without telling its password."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["is_url", "shown"]

_SCHEMES: Final = ("postgresql://", "postgres://")
_SECRET: Final = re.compile(r"(?<=://)(?P<user>[^/@?#]*?):[^/?#]*@|(?P<key>(?:ssl)?password=)[^&]*")


def is_url(place: object) -> bool:
    """Whether a place is named by the address of a PostgreSQL database."""
    return isinstance(place, str) and place.startswith(_SCHEMES)


def shown(url: str) -> str:
    """The address for errors and logs: without its passwords."""

    def hidden(found: re.Match[str]) -> str:
        return f"{found['key']}…" if found["key"] else f"{found['user']}:…@"

    return _SECRET.sub(hidden, url)
