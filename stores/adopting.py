"""A database and its directory find each other: at their first opening, after an older version, and after a copy.

Older versions kept their packs in ``weights/`` and the index in ``chroma-<n>/`` beside the notes, under names that anybody could have
given. Of those, only what the database itself names is moved into the folders that bear the directory's id: the active pack, if its bytes
have the hash that the registry says, and the generation of the index, if its files are exactly those that were recorded. Whatever else lies
there stays where it is, and is listed once, for ``check()``. Each move is a rename and the database is bound to the directory last, so
what was killed in between is finished by the next opening.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from agentmem.errors import StoreForeign
from agentmem.files import owned_files
from agentmem.files.data_directory import OLD_WEIGHTS, DataDirectory
from agentmem.files.sqlite_files import BOUND_TO
from agentmem.records.transaction import NoteStore, Transaction
from agentmem.stores.chroma import generations
from agentmem.stores.chroma.indexer import STATE
from agentmem.stores.chroma.manifest import IndexState, snapshot

__all__ = ["bind"]

_LEFT: Final = "directory_left"
_OLD_GENERATION: Final = re.compile(r"chroma-[1-9][0-9]*")
_OLD_LOCK: Final = "index.lock"
_MOST: Final = 50


def bind(
    store: NoteStore, directory: DataDirectory, method: str, fail: Callable[[str], None] = lambda step: None
) -> Callable[[], list[str]]:
    """Bind the database to the directory that it lies in; what is returned tells, in words, what is out of place there.

    Where nothing may be written, they stay as they are.

    Args:
        method: whose active pack the registry name.
        fail: called with the name of each durable step; tests stop the process there.
    """
    moved = "" if store.read_only else _bind(store, directory, method, fail)
    return lambda: [*([moved] if moved else []), *_out_of_place(store, directory)]


def _bind(store: NoteStore, directory: DataDirectory, method: str, fail: Callable[[str], None]) -> str:
    """What was found to have been moved, in words, else nothing."""
    with store.read() as tx:
        if tx.meta_get(BOUND_TO) == directory.id:
            return ""
    with directory.locked():
        with store.read() as tx:
            bound, active = tx.meta_get(BOUND_TO), tx.ledger.active_pack(method)
            state = IndexState.load(tx.meta_get(STATE))
        if bound == directory.id:  # another process was faster
            return ""
        left: list[str] = []
        moved = False
        if bound is None:
            _move_pack(directory, active[0] if active else None)
            fail("adopt:after-pack")
            moved = _move_index(directory, state)
            fail("adopt:after-index")
            left = _left(directory, state, active is not None)
        with store.write() as tx:
            tx.meta_set(BOUND_TO, directory.id)
            tx.meta_set(_LEFT, json.dumps(left) if left else None)
            if state.generation and not moved:
                _distrust(tx, state)
            fail("adopt:before-commit")
    return (
        f"the notes were brought here from another directory ({bound}): their index and their weights stayed there"
        if bound
        else ""
    )


def _out_of_place(store: NoteStore, directory: DataDirectory) -> list[str]:
    """What of an older version's folders was not ours to move, as far as it is still there, and what is nobody's we know."""
    with store.read() as tx:
        names = json.loads(tx.meta_get(_LEFT) or "[]")
    left = [name for name in names if os.path.lexists(directory.root / name)]
    folders = [generations.folder(directory.index, number) for number in generations.numbers(directory.index)]
    inside = [str(path.relative_to(directory.root)) for each in folders for path in generations.strangers(each)]
    strange = dict.fromkeys([*directory.strangers(), *inside])
    found = [f"left by an older version, or somebody else's, and not touched: {', '.join(left)}"] if left else []
    return [*found, *([f"not this memory's, and not touched: {', '.join(strange)}"] if strange else [])]


def _move_pack(directory: DataDirectory, sha: str | None) -> None:
    """The active pack, whose name and bytes the registry can check."""
    if sha is None:
        return
    old, new = directory.root / OLD_WEIGHTS / f"{sha}.safetensors", directory.weights / f"{sha}.safetensors"
    try:
        matches = hashlib.sha256(owned_files.read(old)).hexdigest() == sha
    except (OSError, StoreForeign):
        return  # gone, moved already, or not ours: the registry says what is missing
    if matches and not os.path.lexists(new):
        owned_files.make_folder(directory.weights)
        old.rename(new)
        owned_files.sync_folder(directory.weights)


def _move_index(directory: DataDirectory, state: IndexState) -> bool:
    """The generation that the store recorded, if its files are those it recorded and no process of an older version has it open."""
    if not state.generation or state.applying or state.damaged:
        return False
    old, new = (
        generations.folder(directory.root, state.generation),
        generations.folder(directory.index, state.generation),
    )
    if owned_files.is_folder(new):
        return snapshot(new) == state.manifest
    if (
        not owned_files.is_folder(old)
        or not state.manifest
        or generations.strangers(old)
        or snapshot(old) != state.manifest
    ):
        return False
    if _held_elsewhere(directory.root / _OLD_LOCK):
        return False
    owned_files.make_folder(directory.index)
    old.rename(new)
    owned_files.sync_folder(directory.index)
    return True


def _held_elsewhere(lock: Path) -> bool:
    try:
        descriptor = owned_files.open_ours(lock, os.O_RDONLY)
    except (OSError, StoreForeign):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _left(directory: DataDirectory, state: IndexState, packed: bool) -> list[str]:
    """What an older version may have left in its places, and anybody else may have put there."""
    if not (packed or state.generation):
        return []
    places = [entry.name for entry in owned_files.entries(directory.root) if _OLD_GENERATION.fullmatch(entry.name)]
    old = directory.root / OLD_WEIGHTS
    places += (
        [f"{OLD_WEIGHTS}/{entry.name}" for entry in owned_files.entries(old)] if owned_files.is_folder(old) else []
    )
    return places[:_MOST]


def _distrust(tx: Transaction, state: IndexState) -> None:
    tx.meta_set(STATE, replace(state, damaged="its files are not in this directory").dump())
