"""Objects as files of a folder, on this machine or mounted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agentmem.errors import PackUnreachable, StoreForeign
from agentmem.files import owned_files
from agentmem.stores.objects.objects import unreachable

__all__ = ["FolderObjects"]


class FolderObjects:
    """``root/folder/name``: for their owner only, written whole or not at all, overwritten when they are removed, and never through a link.

    Args:
        root: an absolute path; made with the first object.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def place(self) -> str:
        return str(self.root)

    def read(self, folder: str, name: str) -> bytes | None:
        with self._refusals():
            try:
                return owned_files.read(self.root / folder / name)
            except FileNotFoundError:
                return None

    def write(self, folder: str, name: str, data: bytes) -> None:
        with self._refusals():
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            owned_files.make_folder(self.root / folder)
            owned_files.write(self.root / folder / name, data)

    def remove(self, folder: str, name: str) -> None:
        path = self.root / folder / name
        with self._refusals():
            # What has a second name elsewhere, as in a backup of hard links, loses ours alone.
            owned_files.remove(path, overwrite=True, linked=True)
            if os.path.lexists(path):
                raise unreachable(self.place, f"{folder}/{name} could not be removed")
            owned_files.sync_folder(path.parent)

    def names(self, folder: str) -> list[str]:
        path = self.root / folder
        with self._refusals():
            return sorted(entry.name for entry in os.scandir(path)) if owned_files.is_folder(path) else []

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except PackUnreachable:
            raise
        except StoreForeign as error:
            raise unreachable(self.place, error.message) from error
        except OSError as error:
            raise unreachable(self.place, error.strerror or type(error).__name__) from error
