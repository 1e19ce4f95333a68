"""The items of a conversation, kept exactly as they came, in a memory: each is a record, and what can be read of it is a turn of its session.

An item is any JSON. Those that were added together lie in one namespace, ``(root, batch)``, and are written in one transaction. The name
of a batch begins with a number above all that were there, and ends with one drawn at random: whoever else adds at that moment, on another
thread or in another process, neither overwrites an item nor comes between two of a batch, and no clock has a say in the order.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from agentmem.errors import InvalidArgument, UnknownNote
from agentmem.keyed.record import MAX_VALUE, Record
from agentmem.memory import Memory
from agentmem.remember.duplicates import MAX_BYTES
from agentmem.remember.recalled_text import strip_notes

__all__ = ["ItemHistory", "Spoken", "as_json", "noted"]

ALL: Final = 10**9
PIECE: Final = MAX_VALUE // 2
"""Characters of JSON in one record; they are ASCII, and a quote in them is written as two."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """What somebody said in words: ``actor`` is ``user`` or ``assistant``."""

    actor: str
    text: str


@dataclass(frozen=True, slots=True)
class _Stored:
    """An item that is there, and the notes of its records."""

    item: Any
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ItemHistory:
    """The items of one conversation; every method is one piece of work on an open memory.

    Args:
        root: the label under which records of this kind lie.
        whose: user, agent and session, as keywords of a memory's verbs.
    """

    root: str
    whose: Mapping[str, Any]

    def add(self, memory: Memory, items: Sequence[tuple[str, Spoken | None]]) -> None:
        """Put items behind those that are there, all or none: the JSON of each, and what can be read of it."""
        names = self._batches(memory)
        number = int(names[-1].partition("-")[0]) + 1 if names else 0
        batch = (self.root, f"{number:012d}-{secrets.token_hex(6)}")
        puts = [put for place, (text, words) in enumerate(items) for put in _puts(batch, place, text, words)]
        memory.put_many(puts, **self.whose)

    def items(self, memory: Memory, limit: int | None = None) -> list[Any]:
        """The latest ``limit`` items, or all, the earliest first."""
        return [stored.item for stored in self._latest(memory, limit)]

    def pop(self, memory: Memory) -> Any:
        """Take the latest item away, for good, and return it; ``None`` where there is none."""
        while latest := self._latest(memory, 1):
            try:
                memory.forget(list(latest[0].ids), **self._owner)
            except UnknownNote:
                continue  # somebody else took it meanwhile: it is theirs
            return latest[0].item
        return None

    def clear(self, memory: Memory) -> None:
        """Forget all items, with their notes."""
        while records := memory.search((self.root,), limit=ALL, **self.whose):
            try:
                memory.forget([record.id for record in records], **self._owner)
            except UnknownNote:
                continue
            return

    @property
    def _owner(self) -> dict[str, Any]:
        return {name: value for name, value in self.whose.items() if name != "session"}

    def _batches(self, memory: Memory) -> list[str]:
        named = memory.list_namespaces(prefix=(self.root,), limit=ALL, **self.whose)
        return [name[1] for name in named]

    def _latest(self, memory: Memory, limit: int | None) -> list[_Stored]:
        if limit is None:
            return self._read(memory, (self.root,))
        found: list[_Stored] = []
        for batch in reversed(self._batches(memory) if limit else ()):
            found = self._read(memory, (self.root, batch)) + found
            if len(found) >= limit:
                break
        return found[max(0, len(found) - limit) :]

    def _read(self, memory: Memory, namespace: tuple[str, ...]) -> list[_Stored]:
        records = sorted(memory.search(namespace, limit=ALL, **self.whose), key=lambda each: (each.namespace, each.key))
        found: list[_Stored] = []
        torn: list[str] = []
        for _, group in groupby(records, key=lambda each: (each.namespace, each.key.partition(".")[0])):
            parts = list(group)
            ids = tuple(record.id for record in parts)
            if _is_whole(parts):
                found.append(_Stored(json.loads("".join(part.value["json"] for part in parts)), ids))
            else:
                torn += ids
        if torn and not memory.read_only:  # its note was forgotten: the rest of it goes as well
            memory.forget(torn, **self._owner)
        return found


def noted(text: str, actor: str) -> Spoken | None:
    """What is kept of a text as a note: without what was recalled into it, without what is no character, as long as a note may be."""
    told = strip_notes(text.replace("\0", " ").encode("utf-8", "replace").decode("utf-8"))[0]
    told = told.encode("utf-8")[:MAX_BYTES].decode("utf-8", "ignore").strip()
    return Spoken(actor, told) if told else None


def as_json(item: object) -> str:
    """An item as it is kept.

    Raises:
        InvalidArgument: it is not JSON.
    """
    try:
        return json.dumps(item)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(
            f"An item is not JSON: {error}.", hint="items are mappings of texts, numbers, booleans, None and lists."
        ) from error


def _puts(batch: tuple[str, str], place: int, text: str, words: Spoken | None) -> Iterator[dict[str, Any]]:
    """The records of one item; the first says how many there are, and has its words."""
    pieces = [text[start : start + PIECE] for start in range(0, len(text), PIECE)]
    for number, piece in enumerate(pieces):
        value: dict[str, Any] = {"json": piece}
        rest: dict[str, Any] = {"index": False}
        if number == 0:
            value["pieces"] = len(pieces)
        if number == 0 and words is not None:
            value["text"] = words.text
            said = {"source": "assistant"} if words.actor == "assistant" else {}
            rest = {"index": ["text"], "actor": words.actor, "facts": words.actor == "user", **said}
        yield {"namespace": batch, "key": f"{place:08d}.{number:04d}", "value": value, **rest}


def _is_whole(parts: Sequence[Record]) -> bool:
    return parts[0].value.get("pieces") == len(parts)
