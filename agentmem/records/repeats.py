"""What keeps a thing from being written twice, or once more after it was forgotten: receipts under the keys of calls, and tombstones."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping, Sequence

from agentmem.notes.engine import Tables
from agentmem.notes.guarded_tables import GuardedTables
from agentmem.notes.tables import KEY, TOMBSTONE, Among
from agentmem.records.area import Area, dumps

__all__ = ["Keys", "Tombstones", "refused_key"]


class Tombstones(Area):
    """That something was forgotten, in a form that does not tell what it was.

    Args:
        secret: the store's, asked for when a digest is needed.
    """

    def __init__(self, tables: GuardedTables, everybodys: Tables, secret: Callable[[], bytes]) -> None:
        super().__init__(tables, everybodys)
        self._secret = secret

    def add(self, owner: int, content_hash: bytes, at: int) -> None:
        """Remember that content was forgotten."""
        last = self.find(owner, content_hash)
        if last is None or last < at:
            self._tables.put(TOMBSTONE, [(owner, self._mac(owner, content_hash), at)])

    def find(self, owner: int, content_hash: bytes) -> int | None:
        """When content with this hash was last forgotten, or ``None``."""
        found = self._tables.find(TOMBSTONE, {"owner": owner, "mac": self._mac(owner, content_hash)}, columns=("at",))
        return int(found[0][0]) if found else None

    def any(self, owner: int) -> bool:
        """Whether anything of an owner was forgotten."""
        return bool(self._tables.count(TOMBSTONE, {"owner": owner}, most=1))

    def _mac(self, owner: int, content_hash: bytes) -> bytes:
        return hmac.digest(self._secret(), b"%d:" % owner + content_hash, "sha256")


class Keys(Area):
    """The receipts of calls that may be repeated, by the key that each came with.

    Args:
        secret: the store's, asked for when a digest is needed.
    """

    def __init__(self, tables: GuardedTables, everybodys: Tables, secret: Callable[[], bytes]) -> None:
        super().__init__(tables, everybodys)
        self._secret = secret

    def of(self, rows: Sequence[int]) -> list[tuple[int, str]]:
        """(owner, key) of the calls that led to these notes."""
        found = self._tables.find(KEY, {"row": Among(rows)}, columns=("owner", "key"))
        return [(owner, key) for owner, key in found]

    def get(self, owner: int, key: str) -> Mapping[str, object] | None:
        """The receipt of an earlier call with this key."""
        asked = {"owner": owner, "key": Among((key, refused_key(self._secret(), owner, key)))}
        found = self._tables.find(KEY, asked, columns=("receipt",), limit=1)
        return dict(json.loads(found[0][0])) if found else None

    def put(self, owner: int, key: str, row: int | None, receipt: Mapping[str, object]) -> None:
        """Keep the receipt of a call under its key; it goes when the note in ``row`` goes.

        What led to no note goes with none: so of its key, in which a caller may have put a name, there is a keyed digest only.
        """
        kept = refused_key(self._secret(), owner, key) if row is None else key
        self._tables.put(KEY, [(owner, kept, row, dumps(receipt))])

    def delete(self, rows: Sequence[int]) -> int:
        """Remove the receipts of calls that led to these notes; returns how many there were."""
        return self._tables.delete(KEY, {"row": Among(rows)})


def refused_key(secret: bytes, owner: int, given: str) -> str:
    """What is kept of the key of a write that was refused: it goes with no note, and a name may stand in it."""
    return f"digest {hmac.digest(secret, b'key:%d:' % owner + given.encode('utf-8', 'surrogatepass'), 'sha256').hex()}"
