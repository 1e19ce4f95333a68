"""What the store keeps of packs besides which one is active: which were ever made, and what is to leave the active one."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Final

from agentmem.records.transaction import Transaction

__all__ = ["ERASING", "list_packs", "listed", "owe", "owed", "paid"]

ERASING: Final = "packs"
"""Under this name :class:`agentmem.records.erasing.Erasing` has it that packs are to be removed."""
_PACKS: Final = "packs"
"""Under this key the store lists the packs that it ever named and that may still be there."""
_OWED: Final = "packs_owed"
"""Under this key it lists the edits that are to leave the active pack, and could not yet since it was out of reach."""


def listed(tx: Transaction) -> list[str]:
    """Hashes of the packs that were ever named, as far as they may still be there."""
    return [str(sha) for sha in json.loads(tx.meta_get(_PACKS) or "[]")]


def list_packs(tx: Transaction, packs: Sequence[str]) -> None:
    """Make these the list."""
    tx.meta_set(_PACKS, json.dumps(list(packs)) if packs else None)


def owed(tx: Transaction) -> set[str]:
    """Ids of the edits that no registry lists any more, and the active pack may still have."""
    return {str(edit) for edit in json.loads(tx.meta_get(_OWED) or "[]")}


def owe(tx: Transaction, edits: Collection[str]) -> None:
    """From the commit on, these edits are to leave the active pack, and former packs their place, whoever does it."""
    tx.meta_set(_OWED, json.dumps(sorted(owed(tx) | set(edits))))


def paid(tx: Transaction) -> None:
    """The active pack has none of them."""
    tx.meta_set(_OWED, None)
