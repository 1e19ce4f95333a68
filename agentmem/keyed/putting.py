"""Putting records: checked values become notes, or change those that are there, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from agentmem.core import Core
from agentmem.errors import AgentMemError, InvalidArgument
from agentmem.keyed.record import Record, address, checked_key, checked_namespace, checked_ttl, checked_value
from agentmem.keyed.text import Index, checked_index, text_of
from agentmem.notes.clock import from_micros
from agentmem.notes.names import flag
from agentmem.notes.note import Note, Scope
from agentmem.projections.project import Projected, project
from agentmem.records.area import dumps
from agentmem.records.keyed import KeyedRow
from agentmem.records.transaction import Transaction
from agentmem.remember.changes import Changes
from agentmem.remember.draft import Draft, make_draft
from agentmem.remember.duplicates import content_hash
from agentmem.remember.next_version import rewrite
from agentmem.remember.update import Keeper
from agentmem.remember.write import Batch

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]

__all__ = ["OPTIONS", "Put", "Putting", "checked_puts"]

OPTIONS: Final = frozenset("namespace key value index ttl actor tags importance metadata source trust facts".split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """One checked value on its way to its key; ``draft`` holds what is said of its note, ``changes`` what of that was said at all."""

    namespace: tuple[str, ...]
    key: str
    value: str
    text: str
    fields: str
    ttl: int | None
    draft: Draft
    changes: Changes

    @classmethod
    def of(
        cls,
        namespace: Any,
        key: Any,
        value: Any,
        bound: Scope,
        *,
        index: Index = None,
        ttl: Any = None,
        actor: str | None = None,
        tags: Iterable[str] | None = None,
        importance: float | None = None,
        metadata: Mapping[str, object] | None = None,
        source: str | None = None,
        trust: float | str | None = None,
        facts: bool = False,
    ) -> Put:
        """Everything checked.

        Raises:
            InvalidArgument, InvalidNote: something is wrong with one of them.
        """
        named, within, fields = checked_namespace(namespace), checked_key(key), checked_index(index)
        written, read = checked_value(value), flag(facts, "facts")
        text = text_of(value, fields)
        about = make_draft(
            text or "…", bound, actor=actor, tags=() if tags is None else tags, importance=importance,
            metadata=metadata, source=source, trust=trust, facts=read, merge=False,
        )  # fmt: skip
        said = Changes(
            content=text, tags=None if tags is None else about.tags, importance=about.importance,
            metadata=None if metadata is None else about.metadata, origin=(about.source, about.trust), facts=read,
        )  # fmt: skip
        return cls(
            namespace=named, key=within, value=written, text=text, fields=dumps(fields), ttl=checked_ttl(ttl),
            draft=about, changes=said,
        )  # fmt: skip


def checked_puts(items: Iterable[Mapping[str, Any]], bound: Scope) -> list[Put]:
    """Several, each a mapping of ``put``'s arguments; an error says which one is wrong."""
    if isinstance(items, str | Mapping) or not isinstance(items, Iterable):
        raise InvalidArgument("put_many takes a list of mappings.", hint="for a single record call put().")
    puts: list[Put] = []
    for number, item in enumerate(items):
        if not isinstance(item, Mapping) or not {"namespace", "key", "value"} <= item.keys() <= OPTIONS:
            raise InvalidArgument(
                f"Item {number} is no mapping with namespace, key and value, or has an unknown key.",
                hint=f"an item may have: {', '.join(sorted(OPTIONS))}.",
            )
        rest = {name: given for name, given in item.items() if name not in ("namespace", "key", "value")}
        try:
            puts.append(Put.of(item["namespace"], item["key"], item["value"], bound, **rest))
        except AgentMemError as error:
            error.message = f"Item {number}: {error.message}"
            raise
    return puts


class Putting:
    """The puts of one transaction.

    Args:
        tx: bound to ``owner``, of notes with ``scope``; now: in microseconds.
        vectors, passages: of the text of each put, where it has one.
    """

    def __init__(
        self,
        core: Core,
        keeper: Keeper,
        tx: Transaction,
        owner: int,
        scope: Scope,
        now: int,
        vectors: Mapping[str, tuple[Vectors, Vectors | None]],
    ) -> None:
        self._core, self._keeper, self._tx = core, keeper, tx
        self._owner, self._scope, self._now = owner, scope, now
        self._vectors = vectors
        self.reworded = False
        """Whether words that were there have changed, which weights may hold."""

    def put(self, puts: Sequence[Put]) -> list[Record]:
        """What became of each; no two have the same key."""
        held = [self._tx.keyed.find(address(self._owner, self._scope, put.namespace, put.key)) for put in puts]
        new = [put for put, row in zip(puts, held, strict=True) if row is None]
        rows = dict(zip(map(id, new), self._stored(new), strict=True))
        records = [
            self._changed(put, row) if row is not None else self._made(put, rows[id(put)])
            for put, row in zip(puts, held, strict=True)
        ]
        ids = self._tx.notes.ids_of([record.row for record in records])
        return [Record.of(record, ids[record.row]) for record in records]

    # -- new ones ----------------------------------------------------------------------------------------------

    def _made(self, put: Put, row: int) -> KeyedRow:
        place = address(self._owner, self._scope, put.namespace, put.key)
        record = KeyedRow(row, *place, put.value, put.fields, put.ttl, self._until(put), self._now, self._now)
        self._tx.keyed.put(record)
        return record

    def _stored(self, puts: Sequence[Put]) -> list[int]:
        """The rows of new notes with the texts of records."""
        import numpy as np

        told = [put for put in puts if put.text]
        rows: dict[int, int] = {}
        if told:
            vectors = np.stack([self._vectors[put.text][0] for put in told])
            drafts = [_of_record(put.draft) for put in told]
            passages = [self._vectors[put.text][1] for put in told]
            batch = Batch(self._core, self._tx, drafts, [self._owner] * len(told), vectors, passages)
            receipts = batch.finish([batch.add(draft, place) for place, draft in enumerate(drafts)])
            known = self._tx.notes.rows_of([str(receipt.id) for receipt in receipts])
            rows = {id(put): known[str(receipt.id)] for put, receipt in zip(told, receipts, strict=True)}
        return [rows[id(put)] if put.text else self._silent(put.draft) for put in puts]

    def _silent(self, draft: Draft) -> int:
        """A note without words: its record is found by its key, and nothing leads to it by meaning."""
        now = from_micros(self._now)
        importance = 0.5 if draft.importance is None else draft.importance
        note = Note(
            id=self._core.new_id(), content="", kind="record", scope=self._scope, occurred_at=now, created_at=now,
            valid_from=now, tags=draft.tags, importance=importance, source=draft.source, trust=draft.trust,
            state=self._core.curve.initial(now, importance=importance), metadata=draft.metadata,
        )  # fmt: skip
        row = self._tx.notes.insert(note, self._owner, content_hash(""))
        project(self._tx, [Projected(row, self._owner, note, None)])
        return row

    # -- those that are there ------------------------------------------------------------------------------------

    def _changed(self, put: Put, held: KeyedRow) -> KeyedRow:
        row = held.row
        note = self._tx.notes.load([row])[row]
        changed = put.changes.of_note(note)
        if changed.content != note.content:
            vector, passages = self._vectors[put.text] if put.text else (None, None)
            self.reworded = True
            self._keeper.reword(self._tx, row, note, put.changes, None if vector is None else vector[None, :], passages)
        elif changed != note:
            rewrite(self._tx, row, note, changed, "updated")
        if note.archived_at is not None:
            self._tx.notes.set_archived([row], None)
        record = held._replace(
            value=put.value, fields=put.fields, ttl=put.ttl, expires_at=self._until(put), put_at=self._now
        )
        self._tx.keyed.change(
            row, value=put.value, fields=put.fields, ttl=put.ttl, expires_at=record.expires_at, put_at=self._now
        )
        return record

    def _until(self, put: Put) -> int | None:
        return None if put.ttl is None else self._now + put.ttl


def _of_record(draft: Draft) -> Draft:
    """What somebody said stands in the thread of its session, behind what was said there before; a plain value stands in none."""
    return replace(draft, kind="record", thread=draft.thread if draft.actor is not None else None)
