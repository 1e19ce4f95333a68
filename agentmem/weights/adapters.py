"""Adapters that were exported from the weights: which hold what of whom, and how they go when it is forgotten.

An adapter is a file that others serve, and no gate stands before it. So where each was written is remembered with the store, by the
ids of edits and notes alone; who forgets one of these takes the weights of every such adapter away in the place where they were written,
and is told where that was: a copy made from there is beyond anybody's reach.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from agentmem.errors import StoreForeign
from agentmem.files import owned_files
from agentmem.notes.adapter import HELD, WEIGHTS, AdapterReport
from agentmem.records.transaction import Transaction

__all__ = ["AdapterRow", "behind", "condemn", "holding", "keep", "rows", "scrub", "scrubbed"]

_KEY: Final = "adapters"


@dataclass(frozen=True, slots=True)
class AdapterRow:
    """One exported adapter.

    Attributes:
        folder: where it was written, absolute.
        sha256: of its weights as they were written; other bytes are somebody else's.
        condemned: whether something that it holds was forgotten.
    """

    folder: str
    sha256: str
    edits: tuple[str, ...]
    notes: tuple[str, ...]
    condemned: bool = False


def rows(tx: Transaction) -> list[AdapterRow]:
    """All that are known, by folder."""
    listed: list[dict[str, Any]] = json.loads(tx.meta_get(_KEY) or "[]")
    return [
        AdapterRow(each["folder"], each["sha256"], tuple(each["edits"]), tuple(each["notes"]), each["condemned"])
        for each in listed
    ]


def keep(tx: Transaction, report: AdapterReport) -> None:
    """Remember an adapter; another in the same folder is replaced by it."""
    folder = str(report.folder.absolute())
    others = [row for row in rows(tx) if row.folder != folder]
    _put(tx, [*others, AdapterRow(folder, report.sha256, report.edits, report.notes)])


def holding(tx: Transaction, edits: Collection[str], notes: Collection[str]) -> list[AdapterRow]:
    """Those that hold one of these edits, or what came from one of these notes."""
    wanted, told = set(edits), set(notes)
    return [row for row in rows(tx) if wanted & set(row.edits) or told & set(row.notes)]


def behind(tx: Transaction, standing: Collection[str]) -> list[str]:
    """Folders of those that still lie where they were written, and hold an edit that is not among the ``standing`` ones."""
    known = set(standing)
    return [row.folder for row in rows(tx) if not row.condemned and set(row.edits) - known and _may_lie(row)]


def condemn(tx: Transaction, edits: Collection[str], notes: Collection[str]) -> int:
    """From the commit on, those that hold one of these are to be removed; how many."""
    found = {row.folder for row in holding(tx, edits, notes)}
    if found:
        _put(tx, [replace(row, condemned=True) if row.folder in found else row for row in rows(tx)])
    return len(found)


def scrub(row: AdapterRow) -> str:
    """Take away the weights of an adapter where they were written, and its list of what it holds; why not, in words, if it cannot be.

    What lies there under its name with other bytes is not what was written, and stays.
    """
    folder = Path(row.folder)
    try:
        if not _as_written(row):
            return ""  # moved or removed meanwhile, or written anew
    except (OSError, StoreForeign) as error:
        return f"the adapter in {folder} cannot be read: {error}"
    if not owned_files.remove(folder / WEIGHTS, overwrite=True):
        return f"the adapter in {folder} could not be removed: the rights of its folder do not allow it, or it has a second name"
    owned_files.remove(folder / HELD, overwrite=True)
    owned_files.sync_folder(folder)
    return ""


def _may_lie(row: AdapterRow) -> bool:
    """Whether an adapter lies where it was written, or nobody can look."""
    try:
        return _as_written(row)
    except (OSError, StoreForeign):
        return True


def _as_written(row: AdapterRow) -> bool:
    """Whether an adapter's weights lie where they were written, and are the same."""
    try:
        data = owned_files.read(Path(row.folder) / WEIGHTS)
    except FileNotFoundError:
        return False
    return hashlib.sha256(data).hexdigest() == row.sha256


def scrubbed(tx: Transaction, gone: Collection[str]) -> None:
    """Strike out adapters, by folder, that were removed."""
    _put(tx, [row for row in rows(tx) if not (row.condemned and row.folder in set(gone))])


def _put(tx: Transaction, kept: list[AdapterRow]) -> None:
    listed = [asdict(row) for row in sorted(kept, key=lambda row: row.folder)]
    tx.meta_set(_KEY, json.dumps(listed) if listed else None)
