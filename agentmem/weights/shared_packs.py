"""Packs that several machines share: in the database of the notes, or where a user said. No file of them lies beside who serves them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol

from agentmem.errors import PackMismatch
from agentmem.weights.pack_store import Packs

__all__ = ["PackCopies", "SharedPacks"]


class PackCopies(Protocol):
    """Bytes under their sha256, wherever that is. Each method may raise :class:`~agentmem.errors.PackUnreachable`."""

    @property
    def place(self) -> str | None:
        """As :attr:`agentmem.weights.pack_store.Packs.place`."""
        ...

    def put(self, sha: str, data: bytes, *, anew: bool = False) -> None:
        """Store bytes durably, whole or not at all; ``anew``: also in a place that is not known to be this memory's."""
        ...

    def get(self, sha: str) -> bytes:
        """The bytes, checked.

        Raises:
            PackMismatch: they are not there, or not what their name says.
        """
        ...

    def keep(self, shas: Iterable[str]) -> set[str]:
        """Remove all others, for good; which of these are there."""
        ...

    def ready(self) -> None:
        """Raise where nothing could be put."""
        ...


class SharedPacks:
    """Packs in one place for all; of the one that was used last the bytes are kept in memory, and none on a disk.

    Who is not asked would not learn that a pack was superseded, so a file of it would outlive what was forgotten.

    Args:
        copies: where they are.
        former: where they were before they were to be there; what is served is taken along from there.
    """

    shared: bool = True

    def __init__(self, copies: PackCopies, former: Packs | None = None) -> None:
        self._copies = copies
        self._former = former
        self._held: tuple[str, bytes] | None = None

    @property
    def place(self) -> str | None:
        return self._copies.place

    def ready(self) -> None:
        self._copies.ready()

    def look_again(self) -> None:
        self._held = None

    def put(self, data: bytes, *, anew: bool = False) -> str:
        sha = hashlib.sha256(data).hexdigest()
        self._copies.put(sha, data, anew=anew)
        self._held = sha, data
        return sha

    def get(self, sha: str) -> bytes:
        held = self._held
        if held is None or held[0] != sha:
            self._held = held = sha, self._fetched(sha)
        return held[1]

    def _fetched(self, sha: str) -> bytes:
        try:
            return self._copies.get(sha)
        except PackMismatch:
            if self._former is not None:
                with suppress(PackMismatch):  # neither there: the error says what is the matter where it should be
                    return self._former.get(sha)
            raise

    def collect(self, keep: Iterable[str], former: Iterable[str] = ()) -> int:
        """Remove what nobody serves, here and where packs were before; what is served there is brought here."""
        kept = set(keep)
        if self._held is not None and self._held[0] not in kept:
            self._held = None
        missing = kept - self._copies.keep(kept)
        if self._former is None:
            return 0
        for sha in sorted(missing):
            with suppress(PackMismatch):  # whoever loads it says that it is missing
                self._copies.put(sha, self._former.get(sha))
                missing.discard(sha)
        return self._former.collect(missing, former)

    def left(self, shas: Iterable[str]) -> list[str]:
        return [] if self._former is None else self._former.left(shas)

    def unclear(self, keep: Iterable[str]) -> list[str]:
        return [] if self._former is None else self._former.unclear(keep)
