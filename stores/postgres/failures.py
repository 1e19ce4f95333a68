"""What PostgreSQL's errors mean for a caller, and what to do about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from agentmem.errors import (
    AgentMemError,
    InvalidArgument,
    ScopeBreach,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
)
from agentmem.stores.postgres.driver import need

__all__ = ["driver_errors", "lost", "translate"]

_BREACH: Final = "this is a fault in agentmem, and nothing of another scope was handed out or changed: please report it with the call that led here."
_KINDS: Final[Mapping[str, tuple[type[AgentMemError], str, str]]] = {
    "53100": (StoreFull, "has no room left; nothing was written", "free some space on the server; the call can then be repeated."),
    "55P03": (StoreLocked, "is locked: others have been writing for too long", "wait for them to finish, or stop them."),
    "40P01": (StoreLocked, "is locked by two that wait for each other", "repeat the call."),
    "40001": (StoreLocked, "was written meanwhile", "repeat the call."),
    "25006": (StoreReadOnly, "cannot be written", "the server or this transaction only reads: use the primary server, or store.write()."),
    "XX001": (StoreCorrupt, "is damaged", "restore the last backup."),
    "XX002": (StoreCorrupt, "is damaged", "restore the last backup, or REINDEX what the server names."),
    "0A000": (StoreError, "does not support this", "use PostgreSQL 16 or newer."),
}  # fmt: skip
_CLASSES: Final[Mapping[str, tuple[type[AgentMemError], str, str]]] = {
    "23": (StoreError, "", "the note, owner or link end it refers to does not exist, or the id is taken."),
    "22": (InvalidArgument, "cannot hold a value", "numbers and times must fit into 64 bits, and texts must be valid Unicode."),
    "28": (StoreError, "does not let this role in", "check the user, the password and pg_hba.conf."),
    "3D": (StoreError, "does not exist", "make it: createdb NAME."),
    "53": (StoreError, "has too little of what it needs", "see max_connections and the memory of the server."),
}  # fmt: skip


def driver_errors() -> tuple[type[Exception], ...]:
    """What the driver raises: its own errors, and texts that are none."""
    return (need().Error, UnicodeError)


def lost(error: BaseException) -> bool:
    """Whether the connection is gone, rather than a statement refused."""
    state = getattr(error, "sqlstate", None)
    return isinstance(error, need().OperationalError) and (state is None or state[:2] in ("08", "57"))


def translate(error: Exception, place: str) -> AgentMemError:
    """The typed error for what the driver raised while working on ``place``."""
    if isinstance(error, UnicodeEncodeError):
        return InvalidArgument(
            "The text holds lone surrogates, which cannot be stored.",
            hint="use text.encode('utf-8', 'replace').decode().",
        )
    state, said = str(getattr(error, "sqlstate", None) or ""), _first_line(error)
    if state == "42501" and "row-level security" in said:
        return ScopeBreach(f"{place} refused a row of somebody else: {said}.", hint=_BREACH)
    if state == "42501":
        return StoreReadOnly(
            f"{place} does not allow this: {said}.",
            hint="grant the role what it needs, or use the owner of the tables.",
        )
    if lost(error):
        return StoreError(
            f"The connection to {place} failed: {said}.",
            hint="see whether the server runs; the next call connects anew.",
        )
    if state[:2] == "23":
        return StoreError(f"The write to {place} contradicts what is stored: {said}.", hint=_CLASSES["23"][2])
    kind, what, hint = (
        _KINDS.get(state)
        or _CLASSES.get(state[:2])
        or (StoreError, "failed", "see check(); if it finds nothing, please report this.")
    )
    return kind(f"{place} {what}: {said}.", hint=hint)


def _first_line(error: Exception) -> str:
    """Without the line that quotes the row: an error must not tell of notes."""
    return str(error).split("\n", 1)[0].removesuffix(".")
