"""What a search of records asks for, checked."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

from agentmem.errors import InvalidArgument
from agentmem.keyed import filters
from agentmem.keyed.record import checked_count, checked_namespace
from agentmem.notes.filters import Filter
from agentmem.notes.names import flag
from agentmem.recall.page import Page

__all__ = ["Namespaces", "WantedRecords"]


class WantedRecords(NamedTuple):
    """Records below a prefix that satisfy a filter, by nearness to a query if there is one."""

    prefix: tuple[str, ...]
    query: str | None
    where: Filter | None
    limit: int
    offset: int
    least: float | None
    unscored: bool
    refresh: bool

    @classmethod
    def of(
        cls, prefix: Any, query: Any, where: Any, limit: Any, offset: Any, least: Any, *, unscored: Any, refresh: Any
    ) -> Self:
        """Checked.

        Raises:
            InvalidArgument: one of them is wrong.
        """
        if query is not None and (not isinstance(query, str) or not query.strip()):
            raise InvalidArgument("The query is empty or not a text.", hint="query='food', or None for all.")
        return cls(
            checked_namespace(prefix, "namespace_prefix", empty=True),
            None if query is None else query.encode("utf-8", "replace").decode("utf-8"),
            filters.parse(where), checked_count(limit, "limit"), checked_count(offset, "offset"),
            Page.of(1, 0, least, "cosine").least, flag(unscored, "unscored"), flag(refresh, "refresh"),
        )  # fmt: skip


class Namespaces(NamedTuple):
    """Namespaces that begin and end like this, cut to a depth; ``*`` stands for any one label."""

    prefix: tuple[str, ...]
    suffix: tuple[str, ...]
    depth: int | None
    limit: int
    offset: int

    @classmethod
    def of(cls, prefix: Any, suffix: Any, depth: Any, limit: Any, offset: Any) -> Self:
        """Checked.

        Raises:
            InvalidArgument: one of them is wrong.
        """
        return cls(
            checked_namespace(prefix, "prefix", empty=True), checked_namespace(suffix, "suffix", empty=True),
            None if depth is None else checked_count(depth, "max_depth", 1), checked_count(limit, "limit"),
            checked_count(offset, "offset"),
        )  # fmt: skip
