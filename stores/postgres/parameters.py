"""What an address says of a store besides where its database is: parameters of ours, which libpq does not know and never sees."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import unquote

from agentmem.errors import InvalidArgument

__all__ = ["SCHEMA", "Parameters", "parameters"]

SCHEMA: Final = "agentmem"
"""Where the tables lie unless somebody says otherwise."""
_OURS: Final = "agentmem_"
_KNOWN: Final = "postgresql://…/database?agentmem_schema=NAME&agentmem_readers=NUMBER"


class Parameters(NamedTuple):
    """An address as libpq may see it, and what stood in it for us; ``None``: nothing was said."""

    url: str
    schema: str | None = None
    readers: int | None = None


def parameters(url: str) -> Parameters:
    """Take ours out of an address; everything else stays as it is.

    Raises:
        InvalidArgument: one that is not known, or is said twice, or a value that is none.
    """
    # As libpq reads it: a question mark before the "@" belongs to a password.
    scheme = url.find("://") + len("://")
    at, slash = url.find("@", scheme), url.find("/", scheme)
    mark = url.find("?", at if at >= 0 and not 0 <= slash < at else scheme)
    if mark < 0:
        return Parameters(url)
    said: dict[str, str] = {}
    rest: list[str] = []
    for each in url[mark + 1 :].split("&"):
        name, _, value = each.partition("=")
        if not name.startswith(_OURS):
            rest.append(each)
        elif name in said:
            raise InvalidArgument(f"The address says {name} twice.", hint=_KNOWN)
        else:
            said[name] = _decoded(name, value)
    schema, readers = said.pop(f"{_OURS}schema", None), said.pop(f"{_OURS}readers", None)
    if said:
        raise InvalidArgument(f"An address has no parameter {next(iter(said))!r:.80}.", hint=_KNOWN)
    bare = url[:mark] + ("?" + "&".join(rest) if rest else "")
    return Parameters(bare, schema, None if readers is None else _number(readers))


def _decoded(name: str, value: str) -> str:
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"The value of {name} in the address is no UTF-8.", hint=_KNOWN) from error


def _number(said: str) -> int:
    if not (said.isascii() and said.isdecimal() and len(said) <= 4):
        raise InvalidArgument(f"{said!r:.80} is no number of readers.", hint=_KNOWN)
    return int(said)
