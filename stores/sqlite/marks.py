"""Digests of names and keys, for the migration that takes these out of a store from before."""

from __future__ import annotations

import sqlite3

from agentmem.records.owners import owner_mark
from agentmem.records.repeats import refused_key

__all__ = ["teach"]


def teach(connection: sqlite3.Connection) -> None:
    """Give a connection these digests, for names and keys from before there were any."""
    connection.create_function(
        "owner_mark", 3, lambda key, user, agent: owner_mark(bytes.fromhex(key), user, agent), deterministic=True
    )
    connection.create_function(
        "refused_key", 3, lambda key, owner, given: refused_key(bytes.fromhex(key), owner, given), deterministic=True
    )
