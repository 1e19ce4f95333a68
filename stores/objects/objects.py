"""What a place of objects has to do."""

from __future__ import annotations

from typing import Protocol

from agentmem.errors import PackUnreachable
from agentmem.notes.address import shown

__all__ = ["Objects", "unreachable"]


class Objects(Protocol):
    """Objects under names of two parts, ``folder/name``. Whatever goes wrong is :class:`~agentmem.errors.PackUnreachable`."""

    @property
    def place(self) -> str:
        """Where they are, for a person to read."""
        ...

    def read(self, folder: str, name: str) -> bytes | None:
        """The bytes of an object; ``None`` when there is none."""
        ...

    def write(self, folder: str, name: str, data: bytes) -> None:
        """Put an object in place, durably; who reads meanwhile reads all of it, or what was there before."""
        ...

    def remove(self, folder: str, name: str) -> None:
        """Remove an object; one that is gone already is no trouble."""
        ...

    def names(self, folder: str) -> list[str]:
        """What is in a folder, which need not be there."""
        ...


def unreachable(place: str, why: str) -> PackUnreachable:
    """That a place cannot be reached, and why."""
    return PackUnreachable(
        f"The packs in {shown(place)} cannot be reached: {why.rstrip('.')}.",
        hint="check that it answers, that its credentials are in the environment, and that it may be written to; the memory goes on by itself.",
    )
