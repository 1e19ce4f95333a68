"""The notes: what is written, and how it is read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from agentmem.errors import InvalidArgument, UnknownNote
from agentmem.notes.clock import from_micros, micros
from agentmem.notes.engine import Row, Tables
from agentmem.notes.guarded_tables import GuardedTables
from agentmem.notes.note import Fact, Note, NoteVersion, Scope
from agentmem.notes.protocols import Clock
from agentmem.notes.rows import SHARED_OWNER, Facets, Selection
from agentmem.notes.tables import FACT, KEY, NEXT_VECTOR, NOTE, TERM, VERSION, Among, Each, Span, Table
from agentmem.records.codec import FACT_COLUMNS, decode, encode, encode_facts
from agentmem.records.known import KnownRows, Present
from agentmem.records.owners import Owners
from agentmem.records.same import SameNotes

__all__ = ["Notes"]

_COLUMNS: Final = tuple(NOTE.columns)
_FACETS: Final = (
    "id", "owner", "actor", "session", "occurred_at", "length", "importance", "trust", "stability", "difficulty", "last_review",
    "recalls", "archived_at", "thread", "position", "valid_from", "valid_to", "asks", "agent",
)  # fmt: skip
_ARCHIVED: Final = _FACETS.index("archived_at")
_ORDERS: Final = ("created", "-created", "occurred", "-occurred")
_PLACES: Final[Mapping[str, tuple[Table, str]]] = {
    "versions": (VERSION, "row"),
    "facts": (FACT, "row"),
    "terms": (TERM, "row"),
    "idempotency": (KEY, "row"),
}


class Notes(SameNotes):
    """Notes with their versions and facts, under the owners that may see them.

    Args:
        owners: whose they are.
        clock: dates the versions of a note.
    """

    def __init__(self, tables: GuardedTables, everybodys: Tables, owners: Owners, clock: Clock) -> None:
        super().__init__(tables, everybodys)
        self._owners = owners
        self._clock = clock
        self._facets: KnownRows[Facets] = KnownRows(tables)
        self._ids: KnownRows[str] = KnownRows(tables)  # nobody changes one

    # -- whose they are --------------------------------------------------------------------------------------

    def owner(self, scope: Scope, *, create: bool = False) -> int | None:
        """The owner of notes with this scope; ``None`` when it has none yet and ``create`` is false."""
        found = self._owners.make(scope) if create else self._owners.find(scope)
        self._tables.need(() if found is None else (found,), "notes: owner")
        return found

    def visible_owners(self, scope: Scope) -> tuple[int, ...]:
        """Owners whose notes a request in ``scope`` may see; unknown users simply have none."""
        found = self._owners.visible(scope)
        self._tables.need(found, "notes: visible owners")
        return found

    def all_owners(self) -> tuple[int, ...]:
        """Every owner that has a name, and the shared one; for jobs that act on each owner's notes in that owner's own scope."""
        self._tables.refuse("notes: all owners")
        return self._owners.all()

    def scope_of(self, owner: int) -> Scope:
        """The user or agent an owner stands for; the empty scope for the shared notes."""
        self._tables.need((owner,), "notes: scope of an owner")
        return self._owners.scope_of(owner)

    def empty_owners(self, owners: Sequence[int]) -> list[int]:
        """Those of ``owners`` whose name is kept, and nothing else: no note and no edit."""
        self._tables.need(owners, "notes: empty owners")
        return self._owners.empty(owners)

    def unname(self, owners: Sequence[int]) -> None:
        """Take the names of owners out. Whoever comes back under such a name gets the same owner, and the name is kept again with the
        next note.
        """
        self._tables.need(owners, "notes: unname")
        self._owners.unname(owners)

    def has_owned(self) -> bool:
        """True when the store holds notes of any user or agent; whose, is told to nobody."""
        asked = {"owner": Span(above=SHARED_OWNER)}
        return bool(self._everybodys.find(NOTE, asked, columns=("id",), order=(), limit=1, often=True))

    # -- writing ---------------------------------------------------------------------------------------------

    def insert(self, note: Note, owner: int, content_hash: bytes) -> int:
        """Store a note with its facts; returns its row. Full text, vector and links are their own areas."""
        return self._insert(note, owner, content_hash, micros(note.created_at), "stored")

    def restore(self, note: Note, owner: int, content_hash: bytes, history: Sequence[NoteVersion]) -> int:
        """Store a note together with its history, the present version last; returns its row."""
        last = history[-1]
        row = self._insert(note, owner, content_hash, micros(last.changed_at), last.reason)
        former = [(row, v.version, micros(v.changed_at), v.content, v.reason) for v in history[:-1]]
        self._tables.put(VERSION, former)
        return row

    def replace(self, row: int, note: Note, content_hash: bytes, reason: str) -> None:
        """Write the next version of a note; the former one joins its history."""
        found = self._tables.find(NOTE, {"id": row}, columns=("owner", "version"))
        if not found:
            raise UnknownNote(f"No note in row {row}.", hint="it may have been forgotten meanwhile.")
        owner, version = found[0]
        self._owners.need(note.scope, owner)
        same = self._tables.count(NOTE, {"id": row, "content": note.content})
        sound = self._keep_version(row)
        changed = encode(
            note, row=row, owner=owner, content_hash=content_hash, changed_at=micros(self._clock.now()), reason=reason
        )
        values = {**dict(zip(_COLUMNS, changed, strict=True)), "version": version + 1}
        if sound or not same:
            self._tables.put(NOTE, [tuple(values.values())])
        else:  # what keeps the words of a damaged note keeps the doubt
            del values["id"], values["owner"]
            self._tables.change(NOTE, {"id": row}, values)
        if not same:  # what an embedder to come has read of it is out of date
            self._everybodys.delete(NEXT_VECTOR, {"row": row})
        self._tables.delete(FACT, {"row": row})
        self._put_facts(row, owner, note)

    def close_validity(self, row: int, valid_to: int | None, reason: str) -> None:
        """End a note's validity, or with ``None`` take its end back: a new version with the same words."""
        self._keep_version(row)
        for (version,) in self._tables.find(NOTE, {"id": row}, columns=("version",)):
            values = {
                "valid_to": valid_to, "version": version + 1, "changed_at": micros(self._clock.now()), "reason": reason,
            }  # fmt: skip
            self._tables.change(NOTE, {"id": row}, values)

    def close_fact(self, row: int, fact: Fact, valid_to: int | None, by: str | None, reason: str) -> None:
        """End one of several facts of a note, which stays, or with ``None`` take its end back: a new version with the same words.

        Args:
            by: the id of the note that says otherwise; ``None`` with ``valid_to=None``.
        """
        self._keep_version(row)
        told = {"row": row, "subject": fact.subject, "relation": fact.relation, "object": fact.object}
        self._tables.change(FACT, told, {"valid_to": valid_to, "ended_by": by})
        for (version,) in self._tables.find(NOTE, {"id": row}, columns=("version",)):
            values = {"version": version + 1, "changed_at": micros(self._clock.now()), "reason": reason}
            self._tables.change(NOTE, {"id": row}, values)

    def set_states(self, states: Sequence[tuple[int, float, float, int, int]]) -> None:
        """(row, stability, difficulty, last_review, recalls) each."""
        self._facets.drop(row for row, *_ in states)
        values = {name: Each([state[place] for state in states]) for place, name in enumerate(NOTE.loose, 1)}
        self._tables.change(NOTE, {"id": Each([row for row, *_ in states])}, values)

    def set_archived(self, rows: Sequence[int], at: int | None) -> None:
        """Archive notes at a time, or bring them back with ``None``."""
        self._facets.drop(rows)
        self._tables.change(NOTE, {"id": Among(rows)}, {"archived_at": at})

    def delete(self, rows: Sequence[int]) -> Mapping[str, int]:
        """Remove notes, and with each everything that names it; returns how much there was, by place."""
        counts = {place: self._tables.count(table, {column: Among(rows)}) for place, (table, column) in _PLACES.items()}
        self._tables.delete(TERM, {"row": Among(rows)})
        self._tables.delete(KEY, {"row": Among(rows)})
        return {**counts, "notes": self._tables.delete(NOTE, {"id": Among(rows)})}

    # -- reading ---------------------------------------------------------------------------------------------

    def rows_of(self, ids: Sequence[str]) -> dict[str, int]:
        """The rows of those ids that exist; those of somebody else's notes are as unknown as those of none."""
        found = self._rows_of(ids)
        foreign = self._tables.foreign(found.values())
        return {id: row for id, row in found.items() if row not in foreign}

    def taken(self, ids: Sequence[str]) -> set[str]:
        """Those of ``ids`` that name somebody's note, so that no other can bear them."""
        return set(self._rows_of(ids))

    def ids_of(self, rows: Sequence[int]) -> dict[int, str]:
        """The ids of those rows that exist."""
        if not rows:
            return {}
        found = self._ids.get(rows, self._read_ids)
        self._tables.need_rows(found, "notes: ids")
        return Present(found)

    def owners_of(self, rows: Sequence[int]) -> dict[int, int]:
        """Whose those rows are that exist."""
        return dict(self._tables.find(NOTE, {"id": Among(rows)}, columns=("id", "owner"), order=()))

    def digests(self, rows: Sequence[int]) -> dict[int, bytes]:
        """A digest of what each of those rows says, equal where it is the same but for case, spacing and a final full stop."""
        return dict(self._tables.find(NOTE, {"id": Among(rows)}, columns=("id", "hash"), order=()))

    def load(self, rows: Sequence[int]) -> dict[int, Note]:
        """The notes of those rows that exist, in the order of ``rows``."""
        if not rows:
            return {}
        found = {row[0]: row for row in self._tables.find(NOTE, {"id": Among(rows)}, order=())}
        facts: dict[int, list[Sequence[Any]]] = {}
        for row, *fact in self._tables.find(FACT, {"row": Among(found)}, columns=("row", *FACT_COLUMNS)):
            facts.setdefault(row, []).append(fact)
        owners = self._owners.among({columns[1] for columns in found.values()})
        return Present(
            (row, decode(found[row], facts.get(row, ()), owners[found[row][1]].user))
            for row in map(int, rows)
            if row in found
        )

    def facets(self, rows: Sequence[int], selection: Selection) -> list[Facets]:
        """Facets of those of ``rows`` that the selection admits, in the order of ``rows``."""
        self._tables.need(selection.owners, "notes: facets")
        if selection.where is not None or selection.agent is not None:  # what facets do not tell
            rows = self._tables.select(selection, among=rows)
            known = self._facets.get(rows, self._read_facets)
            return [known[row] for row in rows if row in known]
        owners, faded = selection.owners, selection.archived
        known = self._facets.get(rows, self._read_facets)
        admitted = [facets for facets in known.values() if facets.owner in owners and (faded or not facets.archived)]
        if selection.without:
            admitted = [facets for facets in admitted if facets.row not in selection.without]
        if selection.session is None and selection.closed:  # as most ask
            return admitted
        return [facets for facets in admitted if _holds(selection, facets)]

    def select(
        self, selection: Selection, *, order: str = "created", limit: int | None = None, offset: int = 0
    ) -> list[int]:
        """Rows the selection admits; ``order`` is ``created``, ``occurred``, or ``-created``, ``-occurred``."""
        if order not in _ORDERS:
            raise InvalidArgument(f"Unknown order {order!r}.", hint=f"it is one of {', '.join(_ORDERS)}.")
        return self._tables.select(selection, order=order, limit=limit, offset=offset)

    def page(self, selection: Selection | None, after: int, limit: int) -> list[int]:
        """Up to ``limit`` rows beyond ``after`` that the selection admits, by row; every owner's without one."""
        if selection is not None:
            return self._tables.select(selection, order="row", after=after, limit=limit)
        self._tables.refuse("notes: everybody's")
        found = self._tables.find(NOTE, {"id": Span(above=after)}, columns=("id",), limit=limit)
        return [row for (row,) in found]

    def select_all(self) -> list[int]:
        """Every row, of every owner, in order of creation: for rebuilding projections, never for answering."""
        self._tables.refuse("notes: everybody's")
        return [row for (row,) in self._tables.find(NOTE, {}, columns=("id",))]

    def count(self, selection: Selection | None = None) -> int:
        """How many notes the selection admits; all of them without one."""
        if selection is not None:
            return self._tables.count_selected(selection)
        self._tables.refuse("notes: everybody's")
        return self._tables.count(NOTE, {})

    def wordless(self, owners: Sequence[int]) -> int:
        """How many notes of some owners have no words, and so no vector."""
        return self._tables.count(NOTE, {"owner": Among(owners), "length": 0})

    def any(self, selection: Selection) -> bool:
        """Whether the selection admits a note; stops at the first."""
        return bool(self._tables.count_selected(selection, most=1))

    def resting(self, owner: int, before: int, importance: float) -> list[Facets]:
        """Active notes last reviewed up to ``before``, under ``importance`` and without a fact; longest unreviewed first."""
        asked = {
            "owner": owner, "archived_at": None, "last_review": Span(most=before), "importance": Span(below=importance),
        }  # fmt: skip
        found = self._tables.find(NOTE, asked, columns=_FACETS, order=("last_review", "id"))
        rows = {"row": Among([row[0] for row in found])}
        telling = {row for (row,) in self._tables.find(FACT, rows, columns=("row",), order=())}
        return [_facets(row) for row in found if row[0] not in telling]

    def history(self, row: int) -> list[NoteVersion]:
        """Every version of a note, oldest first, the present one last."""
        columns = ("version", "content", "changed_at", "reason")
        found = self._tables.find(VERSION, {"row": row}, columns=columns, order=("version",))
        found += self._tables.find(NOTE, {"id": row}, columns=columns)
        return [NoteVersion(version, content, from_micros(at), reason) for version, content, at, reason in found]

    # -- on the way ------------------------------------------------------------------------------------------

    def _insert(self, note: Note, owner: int, content_hash: bytes, changed_at: int, reason: str) -> int:
        self._tables.need((owner,), "notes: insert")
        self._owners.need(note.scope, owner)
        new = encode(note, row=None, owner=owner, content_hash=content_hash, changed_at=changed_at, reason=reason)
        row = self._tables.put(NOTE, [new])
        self._put_facts(row, owner, note)
        return row

    def _put_facts(self, row: int, owner: int, note: Note) -> None:
        if note.facts:
            self._tables.put(FACT, encode_facts(row, owner, note.facts))

    def _keep_version(self, row: int) -> bool:
        self._facets.drop([row])
        return self._tables.keep_version(row)

    def _rows_of(self, ids: Sequence[str]) -> dict[str, int]:
        return dict(self._everybodys.find(NOTE, {"uid": Among(ids)}, columns=("uid", "id"), order=()))

    def _read_ids(self, rows: Sequence[int]) -> dict[int, str]:
        return dict(self._everybodys.find(NOTE, {"id": Among(rows)}, columns=("id", "uid"), order=()))

    def _read_facets(self, rows: Sequence[int]) -> dict[int, Facets]:
        """Whosever they are: what a request may see is asked of each anew."""
        read = self._everybodys.find(NOTE, {"id": Among(rows)}, columns=_FACETS, order=())
        found = {row[0]: _facets(row) for row in read}
        return {row: found[row] for row in rows if row in found}


def _facets(row: Row) -> Facets:
    columns: list[Any] = list(row)
    columns[_ARCHIVED] = columns[_ARCHIVED] is not None
    return Facets._make(columns)


def _holds(selection: Selection, facets: Facets) -> bool:
    """Session and validity as a store asks for them, of a note whose facets are known."""
    if selection.session is not None and facets.session not in (None, selection.session):
        return False
    if selection.closed:
        return True
    start, end, moment = facets.valid_from, facets.valid_to, selection.as_of
    if moment is None:
        return end is None
    return (start is None or start <= moment) and (end is None or end > moment)
