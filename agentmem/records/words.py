"""The words of the notes as keyed digests, and the log of their changes."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from agentmem.errors import StoreCorrupt
from agentmem.extract.stems import Tokenizer
from agentmem.notes.arrays import TextRows
from agentmem.notes.engine import Row, Tables
from agentmem.notes.guarded_tables import GuardedTables
from agentmem.notes.spaces import whose
from agentmem.notes.tables import WORDS, WORDS_CHANGE, Among, Span
from agentmem.records.area import Logged

if TYPE_CHECKING:
    from agentmem.notes.arrays import Digests

__all__ = ["Words"]

_BYTES: Final = 8
_MOST: Final = 50_000  # words that are remembered, a few more with the last text
_ROW: Final = ("row", "content", "context")


class Words(Logged):
    """The words of each note in their order: what full text is loaded from.

    A note has its own words alone, and in a second field, ``context``, others that it is to be found by. What stands beside it in a
    thread is nobody's but its own.

    A digest of 64 bits stands for a word, made with the secret of the store and the owner: equal words of two owners have
    nothing in common, and no word can be read off a digest. Two words of one owner share a digest once in 2**64.

    Args:
        secret: the store's, asked for when the first word is written.
    """

    log = WORDS_CHANGE

    def __init__(self, tables: GuardedTables, everybodys: Tables, secret: Callable[[], bytes]) -> None:
        super().__init__(tables, everybodys)
        self._key = secret
        self._tokens = Tokenizer()
        self._keys: dict[int, bytes] = {}
        self._known: dict[int, dict[str, bytes]] = {}
        self._held = 0
        tables.when_invalidated(self._forget)

    @property
    def version(self) -> str:
        """Of what makes terms of a text."""
        return self._tokens.version

    def put(self, row: int, owner: int, content: str, context: str) -> None:
        """Write the words of a note, or write them anew."""
        self.put_many([(row, owner, content, context)])

    def put_many(self, items: Iterable[tuple[int, int, str, str]]) -> None:
        """The same for (row, owner, content, context) each."""
        self._tables.put(WORDS, [self._encoded(*item) for item in items])

    def delete(self, rows: Sequence[int]) -> int:
        """Remove the words of notes; returns how many had any."""
        return self._tables.delete(WORDS, {"row": Among(rows)})

    def digests(self, owner: int, words: Sequence[str]) -> list[Digests]:
        """What each of these words of a query is called in the notes of an owner: several digests in a row for a phrase."""
        self._tables.need((owner,), "the words of a query")
        return [_array(self._digested(int(owner), word)) for word in words]

    def load(self, rows: Sequence[int]) -> TextRows:
        """The words of those rows that have some, by row."""
        return _decoded(self._tables.find(WORDS, {"row": Among(rows)}, columns=_ROW))

    def batch(self, owner: int, after: int, limit: int) -> TextRows:
        """The words of up to ``limit`` rows of an owner beyond ``after``, by row."""
        asked = {"owner": owner, "row": Span(above=after)}
        return _decoded(self._tables.find(WORDS, asked, columns=_ROW, limit=limit))

    def differing(self, items: Iterable[tuple[int, int, str, str]]) -> list[int]:
        """Those rows of (row, owner, content, context) whose words are not stored, or otherwise."""
        wanted = {row: (owner, content, context) for row, owner, content, context in map(self._encoded_item, items)}
        found = {row: tuple(rest) for row, *rest in self._tables.find(WORDS, {"row": Among(wanted)}, order=())}
        return [row for row, expected in wanted.items() if found.get(row) != expected]

    def missing(self, after: int, limit: int) -> list[int]:
        """Up to ``limit`` rows of notes beyond ``after`` whose words are not stored."""
        return self._tables.lacking(WORDS, after=after, limit=limit)

    def count(self) -> int:
        """How many notes have their words stored."""
        return self._tables.count(WORDS, {})

    def clear(self) -> None:
        """Remove the words of every note."""
        self._tables.delete(WORDS, {})

    def _encoded(self, row: int, owner: int, content: str, context: str) -> tuple[int, int, bytes, bytes]:
        owner = int(owner)
        return int(row), owner, self._digested(owner, content), self._digested(owner, context) if context else b""

    def _encoded_item(self, item: tuple[int, int, str, str]) -> tuple[int, int, bytes, bytes]:
        return self._encoded(*item)

    def _digested(self, owner: int, text: str) -> bytes:
        """The digests of a text's terms, in their order."""
        words = self._tokens.words(text)
        known = self._known.get(owner, {})
        try:
            return b"".join([known[word] for word in words])
        except KeyError:
            known = self._learned(owner, dict.fromkeys(words))
        return b"".join([known[word] for word in words])

    def _learned(self, owner: int, words: Iterable[str]) -> dict[str, bytes]:
        """What is known of an owner's words, these among them."""
        if self._held > _MOST:
            self._known.clear()
            self._held = 0
        known, key = self._known.setdefault(owner, {}), self._key_of(owner)
        for word in words:
            if word not in known:
                known[word] = b"".join([_digest(key, term) for term in self._tokens.terms(word)])
                self._held += 1
        return known

    def _key_of(self, owner: int) -> bytes:
        key = self._keys.get(owner)
        if key is None:
            key = self._keys[owner] = hmac.digest(self._key(), b"words of %d" % whose(owner), "sha256")
        return key

    def _forget(self) -> None:
        """No word outlives the notes that were deleted."""
        self._known.clear()
        self._held = 0
        self._tokens.clear()


def _digest(key: bytes, term: str) -> bytes:
    digest = hashlib.blake2b(term.encode(), digest_size=_BYTES, key=key).digest()
    return digest if any(digest) else b"\x01" * _BYTES  # zeros stand for a word that was taken out


def _array(blob: bytes) -> Digests:
    return np.frombuffer(blob, dtype="<u8").astype(np.uint64, copy=False)


def _decoded(found: Sequence[Row]) -> TextRows:
    rows = np.array([row for row, _, _ in found], np.int64)
    contents, contexts = [content for _, content, _ in found], [context for _, _, context in found]
    sizes = np.array([list(map(len, contents)), list(map(len, contexts))], np.int64).reshape(2, len(found))
    if (sizes % _BYTES).any():
        broken = rows[(sizes % _BYTES).any(axis=0)].tolist()
        raise StoreCorrupt(
            f"The stored words of the notes in rows {broken[:5]} are damaged.", hint="call rebuild('text')."
        )
    return TextRows(rows, sizes // _BYTES, _array(b"".join(contents)), _array(b"".join(contexts)))
