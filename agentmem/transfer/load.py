"""``load_export``: an exported file becomes notes again; checked from end to end before the first of them is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from agentmem.core import EVERYBODY, Core
from agentmem.errors import InvalidImport
from agentmem.keyed.record import address
from agentmem.notes.clock import micros
from agentmem.notes.note import Note, Scope
from agentmem.notes.passages import embedded, of_passages
from agentmem.notes.protocols import Embedder
from agentmem.notes.quoting import one_line
from agentmem.notes.rows import UseDay
from agentmem.projections.links import WordLinks
from agentmem.projections.project import Projected, project
from agentmem.records.transaction import Transaction
from agentmem.remember.draft import resolve_trust
from agentmem.remember.duplicates import content_hash
from agentmem.transfer.check import FileCheck, lines_of
from agentmem.transfer.claimed_ids import edits_of_others, taken_by_others, was_forgotten
from agentmem.transfer.export import values_of
from agentmem.transfer.format import (
    WITHOUT_EVIDENCE,
    EvidenceRecord,
    Footer,
    Header,
    LedgerRecord,
    LinkRecord,
    MadeFromRecord,
    NoteRecord,
    parse,
    said,
)
from agentmem.transfer.import_report import ImportReport
from agentmem.transfer.restore import restore_beside, restore_edits, restore_evidence, restore_links, restore_made_from
from agentmem.transfer.restored_links import TakenOver

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vector = npt.NDArray[np.float32]
    _Embedded = tuple[Vector, Vector | None]

__all__ = ["ImportReport", "Importer"]

Progress = Callable[[int, int], None]
_Pair = tuple[NoteRecord, dict[str, Any]]


class Importer:
    """Reads a file twice: once to check all of it, once to write it in batches.

    Besides one batch, only the ids of the file's notes, and the rows that they have here, are held in memory.
    """

    def __init__(self, core: Core, fail: Callable[[str], None] = lambda step: None) -> None:
        self._core = core
        self._fail = fail

    def load(
        self,
        path: Path,
        scope: Scope,
        *,
        forgotten: bool = False,
        dry_run: bool = False,
        key: bytes | str | None = None,
        trust: float | str | None = None,
        progress: Progress = lambda done, total: None,
    ) -> ImportReport:
        """Store what the file holds and the memory does not; a second call finds nothing left to do.

        Args:
            key: with what the file was signed; what it says is then restored as it was.
            trust: the most that a note of a file without such a proof is trusted, a number or a name as for ``remember``; by default what
                an import is worth there.

        Raises:
            InvalidImport: a line is wrong, the file torn, or its signature missing or not made with ``key``; its message says
                where, and nothing was written.
            ScopeError: the memory is bound, and the file holds somebody else's notes; nothing was written.
        """
        most = 1.0 if key is not None and trust is None else resolve_trust(trust, "import")
        with _opened(path) as file:
            check = FileCheck(scope, key)
            header, footer = check.run(file)
            file.seek(0)
            report = ImportReport(path, dry_run=dry_run, proven=key is not None)
            work = _Work(self._core, self._fail, header, report, forgotten=forgotten, scope=scope, trust=most)
            if check.derived and not forgotten:
                work.leave_out(file, check.derived)
                file.seek(0)
            work.run(file, footer, progress)
        return work.report


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise InvalidImport(
            f"{path} cannot be read: {error.strerror}.", hint="name a file that memory.export(path) wrote."
        ) from error
    with file:
        yield file


# -- the second pass -------------------------------------------------------------------------------------------


class _Work:
    """Writes batch by batch; each is a transaction of its own, so that a long import can be interrupted and repeated."""

    def __init__(
        self,
        core: Core,
        fail: Callable[[str], None],
        header: Header,
        report: ImportReport,
        *,
        forgotten: bool,
        scope: Scope,
        trust: float,
    ) -> None:
        self._core = core
        self._fail = fail
        self._header = header
        self.report = report
        self._bring_back = forgotten
        self._scope = scope
        self._trust = trust
        self._left_out: set[str] = set()
        self._gone: set[str] = set()
        self._silent: list[str] = []
        """What those notes of the file say that stay forgotten; empty where it has no evidence, which may repeat them."""
        self._taken_over = TakenOver() if not report.dry_run and (report.proven or trust >= 1.0) else None
        self._known_lines: dict[str | None, Counter[tuple[int, str, str | None, str]]] = {}

    @contextmanager
    def _reading(self) -> Iterator[Transaction]:
        """A read of the scope that the memory is bound to; of everybody's notes when it is bound to none."""
        with self._core.store.read() as tx:
            if self._scope:
                owner = tx.notes.owner(self._scope)
                tx.admit(() if owner is None else (owner,))
            yield tx

    @contextmanager
    def _writing(self) -> Iterator[Transaction]:
        """The same for a write."""
        if self._scope:
            with self._core.writing_of(self._scope) as (tx, _):
                yield tx
        else:
            with self._core.writing(EVERYBODY) as tx:
                yield tx

    def leave_out(self, file: IO[bytes], derived: Mapping[str, Collection[str]]) -> None:
        """Find what was made from notes that were forgotten here, however far down: `forget` would have removed it too."""
        sources = {id for each in derived.values() for id in each}
        with self._reading() as tx:
            notes = (
                record
                for record, _ in (parse(line, number) for number, line in lines_of(file))
                if isinstance(record, NoteRecord)
            )
            gone = {note.id for note in notes if note.id in sources and self._gone_here(tx, note)}
        while more := {id for id, origins in derived.items() if not gone.isdisjoint(origins)} - gone:
            gone |= more
        self._gone = gone

    def _gone_here(self, tx: Transaction, note: NoteRecord) -> bool:
        return was_forgotten(tx, note, bound=bool(self._scope)) and not tx.notes.rows_of([note.id])

    def run(self, file: IO[bytes], footer: Footer, progress: Progress) -> None:
        records = (parse(line, number) for number, line in lines_of(file))
        done = 0
        while batch := list(islice(records, self._core.settings.remember.batch)):
            notes = [(r, values) for r, values in batch if isinstance(r, NoteRecord)]
            links = [r for r, _ in batch if isinstance(r, LinkRecord)]
            entries = [r for r, _ in batch if isinstance(r, LedgerRecord)]
            if notes:
                self._core.with_embedder(lambda embedder, notes=notes: self._notes(notes, embedder))  # type: ignore[misc]
                done += len(notes)
                progress(done, footer.notes)
            if self.report.dry_run:
                continue
            if links:
                self._links(links)
            if made := [r for r, _ in batch if isinstance(r, MadeFromRecord)]:
                self._made_from(made)
            if asked := [r for r, _ in batch if isinstance(r, EvidenceRecord)]:
                self._evidence(asked)
            if entries and not self._scope:  # a user's file has none, and nobody's edits are a user's to write
                self._entries(entries)
            self._fail("import:after-batch")
        if self._taken_over is not None:
            with self._writing() as tx:
                self.report.links += self._taken_over.end(tx)

    # -- notes -----------------------------------------------------------------------------------------------

    def _notes(self, batch: Sequence[_Pair], embedder: Embedder) -> None:
        with self._reading() as tx:
            fresh = self._fresh(tx, batch, ImportReport(self.report.path))
        if self.report.dry_run:
            with self._reading() as tx:
                self.report.notes += len(self._fresh(tx, batch, self.report))
            return
        vectors = self._vectors(fresh, embedder)  # computed outside of the transaction: nobody waits for the embedder
        with self._writing() as tx:
            self._core.fix_embedder(tx, embedder)
            counted = ImportReport(self.report.path)
            fresh = self._fresh(tx, batch, counted)
            missing = [record for record in fresh if record.id not in vectors]
            vectors |= self._vectors(missing, embedder)  # what was forgotten between the two looks
            self._store(tx, fresh, vectors, counted)
            here = self._here(tx, [record for record, _ in batch], {*counted.conflicts, *counted.forgotten})
            self._fail("import:before-commit")
        if self._taken_over is not None and self._header.fingerprint == embedder.fingerprint:
            self._taken_over.notes(here)
        counted.notes, counted.carried = len(fresh), sum(self._carries(record, embedder) for record in fresh)
        counted.embedded = sum(bool(record.content) for record in fresh) - counted.carried
        self.report.add(counted)
        self._left_out.update(counted.conflicts)
        if self._header.version > WITHOUT_EVIDENCE:
            forgotten = set(counted.forgotten)
            self._silent += [said for record, _ in batch if record.id in forgotten for said in _words_of(record)]

    def _carries(self, record: NoteRecord, embedder: Embedder) -> bool:
        ours = self._header.vectors and self._header.fingerprint == embedder.fingerprint
        return ours and record.vector is not None

    def _fresh(self, tx: Transaction, batch: Sequence[_Pair], report: ImportReport) -> list[NoteRecord]:
        """Those that the memory does not have; what became of the others goes into the report."""
        rows = tx.notes.rows_of([record.id for record, _ in batch])
        taken = taken_by_others(tx, [record for record, _ in batch], bound=bool(self._scope))
        present = {values["id"]: said(values) for values in values_of(tx, list(rows.values()))}
        fresh, keys = [], set[tuple[Scope, tuple[str, ...]]]()
        for record, values in batch:
            if record.id in present:
                if present[record.id] == said(values):
                    report.skipped += 1
                else:
                    report.conflicts.append(record.id)
            elif record.id in taken:
                report.conflicts.append(record.id)
            elif not self._bring_back and (
                record.id in self._gone or was_forgotten(tx, record, bound=bool(self._scope))
            ):
                report.forgotten.append(record.id)
            elif self._has_its_key(tx, record, keys):
                fresh.append(record)
            else:  # another record stands there, and the memory's stay
                report.conflicts.append(record.id)
        return fresh

    @staticmethod
    def _has_its_key(tx: Transaction, record: NoteRecord, keys: set[tuple[Scope, tuple[str, ...]]]) -> bool:
        """Whether nothing stands under the key of a record, here or in ``keys``, to which it is added; any other note needs none."""
        if record.record is None:
            return True
        owner = tx.notes.owner(record.scope)
        place = address(owner or 0, record.scope, record.record.namespace, record.record.key)
        named = (record.scope.owner, place[1:])
        if named in keys or (owner is not None and tx.keyed.find(place) is not None):
            return False
        keys.add(named)
        return True

    def _vectors(self, records: Sequence[NoteRecord], embedder: Embedder) -> dict[str, _Embedded]:
        """Carried over when the file's embedder is the memory's own, else computed; those of passages are always computed; none without words."""
        records = [record for record in records if record.content]
        carried = [record for record in records if self._carries(record, embedder)]
        lacking = [record for record in records if not self._carries(record, embedder)]
        parts = of_passages(embedder, [record.content for record in carried])
        found = {record.id: (self._carried(record), part) for record, part in zip(carried, parts, strict=True)}
        if lacking:
            vectors, parts = embedded(embedder, [record.content for record in lacking])
            found |= {record.id: (vector, part) for record, vector, part in zip(lacking, vectors, parts, strict=True)}
        return found

    def _carried(self, record: NoteRecord) -> Vector:
        import numpy as np

        data = record.halves(self._header.dimension or 0)
        assert data is not None
        return np.frombuffer(data, dtype="<f2").astype(np.float32)

    def _store(
        self, tx: Transaction, fresh: Sequence[NoteRecord], vectors: Mapping[str, _Embedded], report: ImportReport
    ) -> None:
        others = edits_of_others(tx, fresh, bound=bool(self._scope))
        taken = others | tx.ledger.taken([edit.id for record in fresh for edit in record.edits])
        stored: dict[int, tuple[Note, Vector | None, Vector | None]] = {}
        for record in fresh:
            note = record.note()
            if note.trust > self._trust:
                note = replace(note, trust=self._trust)
                report.capped += 1
            owner = tx.notes.owner(note.scope, create=True)
            assert owner is not None
            row = tx.notes.restore(note, owner, content_hash(note.content), record.versions())
            vector, passages = vectors[record.id] if record.content else (None, None)
            tx.uses.restore(row, [UseDay(use.events, use.tokens, micros(use.last)) for use in record.uses])
            if not restore_beside(tx, record, row, owner, others):
                report.met.append(record.id)
            stored[row] = (note, vector, passages)
            report.edits += restore_edits(tx, record, owner, taken, proven=self.report.proven)
        rows = list(stored)
        project(tx, [Projected(row, space, *stored[row]) for row, space in tx.spaces(rows).items()])
        report.links += WordLinks(self._core, tx).renew([*rows, *tx.threads.after(rows).values()])

    @staticmethod
    def _here(tx: Transaction, batch: Sequence[NoteRecord], left: Collection[str]) -> list[tuple[int, int]]:
        """(row, owner) of the notes that are here now as the file has them."""
        rows = tx.notes.rows_of([record.id for record in batch if record.id not in left])
        owners = {record.scope.owner: tx.notes.owner(record.scope) for record in batch if record.id in rows}
        found = [(rows[record.id], owners[record.scope.owner]) for record in batch if record.id in rows]
        return [(row, owner) for row, owner in found if owner is not None]

    # -- links and edits -------------------------------------------------------------------------------------

    def _links(self, batch: Sequence[LinkRecord]) -> None:
        with self._writing() as tx:
            rows = tx.notes.rows_of(
                list({end for link in batch for end in (link.source, link.target)} - self._left_out)
            )
            added = restore_links(tx, batch, rows)
            if self._taken_over is not None:
                added += self._taken_over.links(tx, batch, rows)
        self.report.links += added

    def _made_from(self, batch: Sequence[MadeFromRecord]) -> None:
        with self._writing() as tx:
            # A note that says something else here may be a source all the same: its words went into the other's.
            rows = tx.notes.rows_of(list({id for each in batch for id in (each.note, *each.sources)}))
            own = [each for each in batch if each.note not in self._left_out]
            restore_made_from(tx, own, rows, set(self.report.forgotten))

    def _evidence(self, batch: Sequence[EvidenceRecord]) -> None:
        if not self._core.settings.remember.evidence:
            return
        with self._writing() as tx:
            rows = tx.notes.rows_of(list({id for each in batch for id in each.notes} - self._left_out))
            new = restore_evidence(tx, batch, rows, self._silent)
        self.report.evidence += new

    def _entries(self, batch: Sequence[LedgerRecord]) -> None:
        """Lines about notes that are gone, unless they stand here already."""
        with self._writing() as tx:
            present = tx.notes.rows_of([e.note_id for e in batch if e.note_id is not None])
            new = [e for e in batch if e.note_id not in present and not self._stands(tx, e)]
            for entry in new:
                tx.ledger.append(
                    micros(entry.at), entry.event, note_id=entry.note_id, edit_id=entry.edit_id, details=entry.details
                )
        self.report.ledger += len(new)

    def _stands(self, tx: Transaction, entry: LedgerRecord) -> bool:
        known = self._known_lines.get(entry.note_id)
        if known is None:
            found = _entries_of(tx, entry.note_id)
            known = self._known_lines[entry.note_id] = Counter(
                (at, event, edit, repr(details)) for at, event, edit, details in found
            )
        key = (micros(entry.at), entry.event, entry.edit_id, repr(dict(entry.details)))
        known[key] -= 1
        return known[key] >= 0


def _words_of(record: NoteRecord) -> list[str]:
    """All that a note of a file says or said, on one line each."""
    return [line for version in record.versions() if (line := one_line(version.content))]


def _entries_of(tx: Transaction, note_id: str | None) -> Iterator[tuple[int, str, str | None, dict[str, object]]]:
    after = 0
    named = None if note_id is None else [note_id]
    while entries := tx.ledger.entries(after=after, note_ids=named):
        yield from ((e.at, e.event, e.edit_id, dict(e.details)) for e in entries if e.note_id == note_id)
        after = entries[-1].seq
