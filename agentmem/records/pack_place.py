"""Where the packs of weight edits of a store are, when they are not with its notes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final

from agentmem.records.transaction import Transaction

__all__ = ["PLACE", "PackPlace", "keep_place", "place_of"]

PLACE: Final = "packs_place"
"""Under this key of the store."""


@dataclass(frozen=True, slots=True)
class PackPlace:
    """A place that a user named.

    Attributes:
        id: 32 hex digits, drawn for this store: under it they lie there.
        at: the place of the last pack that was put, without what is secret in its address; ``None``: none was put yet.
    """

    id: str
    at: str | None = None


def place_of(tx: Transaction) -> PackPlace | None:
    """The place, if packs were ever to be anywhere else."""
    kept = tx.meta_get(PLACE)
    return None if kept is None else PackPlace(**json.loads(kept))


def keep_place(tx: Transaction, place: PackPlace) -> None:
    """Note the place."""
    tx.meta_set(PLACE, json.dumps(asdict(place)))
