"""Bearer tokens: a file that knows their hashes, whose they are, what they may do, and until when.

A token is 256 random bits, shown once and kept nowhere; the file holds its SHA-256, which leads back to no token. A slow hash is for
words that people choose. What is written here counts from the next request on: nothing has to be started anew to revoke a token.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

from agentmem.errors import AgentMemError, InvalidArgument, StoreCorrupt, StoreError
from agentmem.integrations.auth.access import Access, NotSignedIn, checked_rights
from agentmem.notes.clock import SystemClock, as_moment
from agentmem.notes.protocols import Clock
from agentmem.runtime.forks import at_fork

__all__ = ["IssuedToken", "Tokens"]

PREFIX: Final = "agm_"
FORMAT: Final = 1
_BITS: Final = 256
_LONGEST: Final = 512
_NAMES: Final = ("user", "agent", "session")
_OTHERS_WRITE: Final = 0o022


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """What is known of a token: never the token itself."""

    id: str
    digest: str
    access: Access
    created_at: datetime
    expires_at: datetime | None = None

    def in_force(self, now: datetime) -> bool:
        """Whether it has not expired."""
        return self.expires_at is None or now < self.expires_at

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the file."""
        whose = {name: value for name in _NAMES if (value := getattr(self.access, name)) is not None}
        return {
            "id": self.id, "sha256": self.digest, "label": self.access.label, **whose, "anyone": self.access.anyone,
            "rights": sorted(self.access.rights), "created_at": self.created_at.isoformat(),
            "expires_at": None if self.expires_at is None else self.expires_at.isoformat(),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What :meth:`to_dict` wrote.

        Raises:
            AgentMemError, KeyError, TypeError, ValueError: it is something else.
        """
        digest, expires = values["sha256"], values["expires_at"]
        if len(bytes.fromhex(digest)) != _BITS // 8 or type(values["anyone"]) is not bool:
            raise ValueError("no such token was written here")
        whose: dict[str, Any] = {name: values.get(name) for name in _NAMES}
        access = Access(str(values["label"]), **whose, anyone=values["anyone"], rights=checked_rights(values["rights"]))
        until = None if expires is None else as_moment(expires, "expires_at")
        return cls(str(values["id"]), digest, access, as_moment(values["created_at"], "created_at"), until)


class Tokens:
    """The tokens of one file, read again when it changes.

    Args:
        path: the file; made by the first :meth:`add`.
        clock: says what has expired.
    """

    def __init__(self, path: str | Path, *, clock: Clock | None = None) -> None:
        self.path = Path(path)
        self.clock = clock or SystemClock()
        self._seen: tuple[int, ...] | None = None
        self._begun = False
        self._held: tuple[IssuedToken, ...] = ()
        self._free_lock()
        at_fork(self._free_lock)

    def _free_lock(self) -> None:
        """Also in a forked child: who held it stayed with the parent."""
        self._lock = threading.Lock()

    @property
    def begun(self) -> bool:
        """Whether there has been a file since this was made; it stays so when the file is gone."""
        self._begun = self._begun or self.path.exists()
        return self._begun

    @classmethod
    def load(cls, path: str | Path, *, clock: Clock | None = None) -> Self:
        """The tokens of a file that is there.

        Raises:
            StoreError: there is none, it cannot be read, or others may write it. StoreCorrupt: it is damaged, or was written by a newer version.
        """
        tokens = cls(path, clock=clock)
        if not tokens.path.exists():
            raise StoreError(
                f"There is no file of tokens at {tokens.path}.", hint="agentmem serve token add begins one."
            )
        tokens.all()
        return tokens

    def all(self) -> tuple[IssuedToken, ...]:
        """What the file holds now, the oldest first; nothing where there is no file."""
        with self._lock:
            seen = self._stamp()
            if seen != self._seen:
                self._held = () if seen is None else self._read()
                self._seen = seen
            return self._held

    def access(self, token: str) -> Access:
        """What the bearer of ``token`` may do.

        Raises:
            NotSignedIn: nothing: it is unknown, revoked or expired, which look the same.
        """
        digest = _digest(token)
        # Every hash is compared, each in the same time: how long it takes says nothing of how near a guess came.
        found = [each for each in self.all() if hmac.compare_digest(each.digest, digest)]
        if not found or not found[0].in_force(self.clock.now()):
            raise NotSignedIn(
                "This token is unknown, revoked or expired.",
                hint="agentmem serve token add makes one; it is shown once.",
            )
        return found[0].access

    def add(self, access: Access, *, expires_at: datetime | None = None) -> tuple[str, IssuedToken]:
        """Make a token; it is returned here and nowhere else.

        Raises:
            InvalidArgument: it would have expired already.
        """
        now = self.clock.now()
        if expires_at is not None and expires_at <= now:
            raise InvalidArgument("A token cannot expire before it is made.", hint="--days 90.")
        token = PREFIX + secrets.token_urlsafe(_BITS // 8)
        issued = IssuedToken(secrets.token_hex(4), _digest(token), replace(access, shared=False), now, expires_at)
        with self._changing() as held:
            self._write([*held, issued])
        return token, issued

    def revoke(self, id: str) -> IssuedToken:
        """Take a token back, by its id or its label; it is refused from the next request on.

        Raises:
            InvalidArgument: no token has this id or label, or several have this label.
        """
        with self._changing() as held:
            meant = [each for each in held if each.id == id] or [each for each in held if each.access.label == id]
            if len(meant) != 1:
                raise InvalidArgument(
                    f"{len(meant) or 'No'} tokens are called {id!r:.60}.",
                    hint="agentmem serve token list shows their ids.",
                )
            self._write([each for each in held if each is not meant[0]])
        return meant[0]

    # -- the file --------------------------------------------------------------------------------------------

    def _stamp(self) -> tuple[int, ...] | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unreadable(self.path, error) from error
        if found.st_mode & _OTHERS_WRITE:
            raise StoreError(
                f"Others may write {self.path}, and so let themselves in: nobody is.", hint=f"chmod 600 {self.path}"
            )
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _read(self) -> tuple[IssuedToken, ...]:
        try:
            told = json.loads(self.path.read_text(encoding="utf-8"))
            return {FORMAT: _told}[told["format"]](told)
        except OSError as error:
            raise _unreadable(self.path, error) from error
        except (AgentMemError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise StoreCorrupt(
                f"The file of tokens at {self.path} is damaged, or of a newer version: nobody is let in.",
                hint="restore it, or move it away and make new tokens with: agentmem serve token add.",
            ) from error

    @contextmanager
    def _changing(self) -> Iterator[tuple[IssuedToken, ...]]:
        """One change at a time, whichever process makes it."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.path.with_name(self.path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unreadable(self.path, error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self.all()
        finally:
            os.close(lock)

    def _write(self, held: Iterable[IssuedToken]) -> None:
        """In one step, readable by its owner alone."""
        draft = self.path.with_name(f"{self.path.name}.{secrets.token_hex(4)}.new")
        text = json.dumps({"format": FORMAT, "tokens": [each.to_dict() for each in held]}, indent=2) + "\n"
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise _unreadable(self.path, error) from error


def _told(told: Mapping[str, Any]) -> tuple[IssuedToken, ...]:
    return tuple(IssuedToken.from_dict(each) for each in told["tokens"])


def _digest(token: str) -> str:
    return hashlib.sha256(token[:_LONGEST].encode("utf-8", "surrogatepass")).hexdigest()


def _unreadable(path: Path, error: OSError) -> StoreError:
    return StoreError(f"{path} cannot be read or written: {error.strerror}.", hint="check the rights of its directory.")
