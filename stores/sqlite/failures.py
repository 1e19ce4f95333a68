"""What SQLite's errors mean for a caller, and what to do about them."""

from __future__ import annotations

import sqlite3

from agentmem.errors import (
    AgentMemError,
    InvalidArgument,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
)

__all__ = ["DRIVER_ERRORS", "translate"]

DRIVER_ERRORS = (sqlite3.Error, OverflowError, UnicodeError)
"""What the driver raises: its own errors, values that SQLite cannot hold, and texts that are none."""

_LIMITS = ("too many SQL variables", "Expression tree is too large", "parser stack overflow", "string or blob too big")
_FREE = "free some space on the disk; the call can then be repeated."
_RIGHTS = "check the rights and the owner of the directory and of the file."
_RESTORE = "restore the last backup, or move the file away and start anew."
_BUSY = "another process holds the database; wait for it to finish, or stop it."


def translate(error: Exception, place: str) -> AgentMemError:
    """The typed error for what the driver raised while working on ``place``."""
    if isinstance(error, UnicodeEncodeError):
        return InvalidArgument(
            "The text holds lone surrogates, which cannot be stored.",
            hint="use text.encode('utf-8', 'replace').decode().",
        )
    if isinstance(error, OverflowError):
        return InvalidArgument("A number is too large to be stored.", hint="numbers and times must fit into 64 bits.")
    if isinstance(error, sqlite3.IntegrityError):
        return StoreError(
            f"The write to {place} contradicts what is stored: {error}.",
            hint="the note, owner or link end it refers to does not exist, or the id is taken.",
        )
    if isinstance(error, UnicodeDecodeError) or str(error).startswith("Could not decode to UTF-8"):
        return StoreCorrupt(f"{place} is damaged: {error}.", hint=_RESTORE)
    return _by_code(str(getattr(error, "sqlite_errorname", "")), error, place)


def _by_code(name: str, error: Exception, place: str) -> AgentMemError:
    if name == "SQLITE_FULL":
        return StoreFull(f"The disk of {place} is full; nothing was written.", hint=_FREE)
    if name.startswith(("SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH")):
        return StoreReadOnly(f"{place} cannot be written: {error}.", hint=_RIGHTS)
    if name.startswith("SQLITE_CANTOPEN"):
        return StoreReadOnly(f"{place} cannot be opened: {error}.", hint=_RIGHTS)
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return StoreCorrupt(f"{place} is damaged: {error}.", hint=_RESTORE)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL")):
        return StoreLocked(f"{place} is locked: {error}.", hint=_BUSY)
    if name.startswith("SQLITE_IOERR"):
        return StoreError(f"{place} could not be read or written: {error} ({name}).", hint=_FREE + " " + _RIGHTS)
    if any(limit in str(error) for limit in _LIMITS):
        return InvalidArgument(f"The filter is too large for the store: {error}.", hint="split it into several calls.")
    return StoreError(f"{place}: {error}.", hint="see check(); if it finds nothing, please report this.")
