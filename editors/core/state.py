"""The state of an editor: an immutable set of edits from which everything else is derived."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from agentmem.notes.edit import EditRequest
from agentmem.runtime.lazily import cached_property

__all__ = ["Edit", "State"]


class Edit(Protocol):
    """One stored edit: what was asked for, the target's token ids, and in how many places it can be met."""

    @property
    def id(self) -> str: ...
    @property
    def request(self) -> EditRequest: ...
    @property
    def labels(self) -> tuple[int, ...]: ...
    @property
    def key_count(self) -> int: ...


E = TypeVar("E", bound=Edit)


@dataclass(frozen=True, eq=False)
class State(Generic[E]):
    """An immutable set of edits.

    Attributes:
        settings: what the meaning of the edits depends on; a pack with other settings is refused.
        edits: sorted by id.
    """

    method: str
    fingerprint: str
    settings: tuple[tuple[str, Any], ...]
    edits: tuple[E, ...] = field(default=(), kw_only=True)

    def __len__(self) -> int:
        return len(self.edits)

    @cached_property
    def by_id(self) -> dict[str, E]:
        """The edits by id."""
        return {edit.id: edit for edit in self.edits}

    @cached_property
    def ids(self) -> frozenset[str]:
        """The ids of all edits."""
        return frozenset(self.by_id)

    @cached_property
    def bytes(self) -> bytes:
        """The canonical pack of this state."""
        raise NotImplementedError

    @cached_property
    def hash(self) -> str:
        """sha256 of :attr:`bytes`."""
        return hashlib.sha256(self.bytes).hexdigest()

    def changed(self, added: Iterable[E], removed: Iterable[str]) -> tuple[E, ...]:
        """The edits with some more and some less, in canonical order."""
        gone = set(removed)
        return tuple(sorted([*(e for e in self.edits if e.id not in gone), *added], key=lambda edit: edit.id))
