"""``export``: everything that a memory knows, as lines of JSON in one file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from agentmem.core import Core
from agentmem.errors import ScopeError
from agentmem.files.writing import written_whole
from agentmem.notes.note import Scope
from agentmem.notes.rows import Selection
from agentmem.records.transaction import Transaction
from agentmem.transfer.format import (
    FORMAT,
    VERSION,
    WITHOUT_EVIDENCE,
    Tally,
    evidence_values,
    line_of,
    link_values,
    loose_values,
    made_from_values,
    note_values,
    signer,
)

__all__ = ["ExportReport", "Exporter", "values_of"]

PAGE = 256
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written: the file (``None``: one that the caller had opened), its counts, its size in bytes, and the checksum of its last line."""

    path: Path | None
    notes: int
    links: int
    ledger: int
    size: int
    sha256: str


class Exporter:
    """Writes what a scope owns, page by page: memory use does not grow with the number of notes."""

    def __init__(self, core: Core, fail: Callable[[str], None] = lambda step: None) -> None:
        self._core = core
        self._fail = fail

    def export(
        self,
        path: Path | IO[bytes],
        scope: Scope,
        *,
        everything: bool = False,
        vectors: bool = False,
        evidence: bool = False,
        key: bytes | str | None = None,
        progress: Progress = lambda done, total: None,
    ) -> ExportReport:
        """One consistent snapshot; ``path`` is replaced only when its new content is complete and on the disk.

        Args:
            path: or a file that is open for writing bytes; what is in it stays before what is written.
            evidence: also what was asked and answered from the notes.
        """
        if everything and scope:
            raise ScopeError(
                f"This export is bound to {scope}; it cannot hold everything.",
                hint="open the memory without a scope for a whole export, or leave everything out.",
            )
        signature = signer(key)

        def write(file: IO[bytes], line: bytes) -> None:
            file.write(line)
            if signature is not None:
                signature.update(line)

        with self._core.store.snapshot() as tx:  # a job's when it holds everything, else bound by its selection
            selection = None if everything else self._selection(tx, scope)
            with written_whole(path) if isinstance(path, Path) else nullcontext(path) as file:
                begun = file.tell()
                write(file, line_of(self._header(tx, scope, vectors, evidence)))
                tally = Tally()
                for values in self._lines(tx, selection, scope, vectors, evidence, progress):
                    line = line_of(values)
                    tally.add(str(values["type"]), line)
                    write(file, line)
                footer = tally.footer()
                write(file, line_of(footer))
                if signature is not None:
                    file.write(line_of({"type": "signature", "hmac_sha256": signature.hexdigest()}))
                self._fail("export:before-rename")
                size = file.tell() - begun
        where = path if isinstance(path, Path) else None
        return ExportReport(where, footer["notes"], footer["links"], footer["ledger"], size, footer["sha256"])

    def _selection(self, tx: Transaction, scope: Scope) -> Selection:
        """What the scope itself owns; what it may see of the shared notes is not its to take away."""
        selection = self._core.selection(tx, scope)  # raises when notes are owned and nobody is named
        owner = tx.notes.owner(scope)
        return replace(selection, owners=() if owner is None else (owner,))

    def _header(self, tx: Transaction, scope: Scope, vectors: bool, evidence: bool) -> dict[str, Any]:
        from agentmem import __version__

        stored = tx.vectors.fingerprint()
        named = {name: value for name in ("user", "agent", "session") if (value := getattr(scope, name)) is not None}
        return {
            "format": FORMAT,
            "version": VERSION if evidence else WITHOUT_EVIDENCE,
            "written_by": f"agentmem {__version__}",
            "created_at": self._core.clock.now().isoformat(),
            "scope": named or None,
            "fingerprint": stored[0] if stored else None,
            "dimension": stored[1] if stored else None,
            "vectors": vectors and stored is not None,
        }

    def _lines(
        self,
        tx: Transaction,
        selection: Selection | None,
        scope: Scope,
        vectors: bool,
        evidence: bool,
        progress: Progress,
    ) -> Iterator[dict[str, Any]]:
        total, done = tx.notes.count(selection), 0
        for rows in _pages(tx, selection):
            yield from values_of(tx, rows, vectors=vectors, taught=evidence)
            done += len(rows)
            progress(done, total)
        for rows in _pages(tx, selection):
            yield from self._links(tx, rows, selection)
        for rows in _pages(tx, selection):
            yield from self._made_from(tx, rows, selection)
        for rows in _pages(tx, selection) if evidence else ():
            yield from self._evidence(tx, rows, selection, scope)
        if not scope:
            with tx.as_job():  # whoever may export without a scope may see the whole ledger
                yield from self._loose(tx)

    @staticmethod
    def _links(tx: Transaction, rows: Sequence[int], selection: Selection | None) -> Iterator[dict[str, Any]]:
        """Links that start in this page; one that leaves what is exported stays behind."""
        here = set(rows)
        starting = [link for link in tx.links.touching(rows) if link.source in here]
        ids = _exported(tx, {link.target for link in starting} | here, selection)
        for link in sorted(starting, key=lambda k: (k.source, k.target, k.kind)):
            if link.source in ids and link.target in ids:
                yield link_values(link, ids)

    @staticmethod
    def _made_from(tx: Transaction, rows: Sequence[int], selection: Selection | None) -> Iterator[dict[str, Any]]:
        """What a model's words about the notes of this page were made from; a source that is not exported is not named."""
        made = tx.enrichment.sources(rows)
        if not made:
            return
        ids = _exported(tx, {source for sources in made.values() for source in sources} | set(made), selection)
        for row, sources in sorted(made.items()):
            named = [ids[source] for source in sources if source in ids]
            if named:
                yield made_from_values(ids[row], named)

    @staticmethod
    def _evidence(
        tx: Transaction, rows: Sequence[int], selection: Selection | None, scope: Scope
    ) -> Iterator[dict[str, Any]]:
        """What was asked in a scope, where every note that it was answered from is exported; by the first of these."""
        found = [asked for asked in tx.evidence.beginning(rows) if asked.whole]
        ids = _exported(tx, {row for asked in found for row in asked.rows}, selection)
        for asked in found:
            owner = tx.notes.scope_of(asked.owner)
            whose = Scope(owner.user, asked.agent, asked.session)
            mine = selection is None or (asked.owner in selection.owners and scope.admits(whose))
            if mine and ids.keys() >= set(asked.rows):
                yield evidence_values(asked, whose, ids)

    @staticmethod
    def _loose(tx: Transaction) -> Iterator[dict[str, Any]]:
        """Lines of the ledger about notes that are gone, or about none."""
        after = 0
        while entries := tx.ledger.entries(after=after):
            present = tx.notes.rows_of([e.note_id for e in entries if e.note_id is not None])
            yield from (loose_values(e) for e in entries if e.note_id not in present)
            after = entries[-1].seq


def values_of(
    tx: Transaction, rows: Sequence[int], *, vectors: bool = False, taught: bool = True
) -> Iterator[dict[str, Any]]:
    """The lines of some notes, as plain values; ``taught`` says whether with the edits that are in the words of who asked."""
    notes, uses = tx.notes.load(rows), tx.uses.days(rows)
    edits = tx.ledger.edits(state=None, note_ids=[note.id for note in notes.values()])
    valued, enriched, keyed = tx.experiences.values(rows), tx.enrichment.saved(rows), tx.keyed.of(rows)
    halves: Mapping[int, bytes] = {}
    if vectors:
        held, block = tx.vectors.load(rows)
        halves = {row: vector.astype("<f2").tobytes() for row, vector in zip(held.tolist(), block, strict=True)}
    for row, note in notes.items():
        kept = [(key, tx.keys.get(owner, key)) for owner, key in tx.keys.of([row])]
        yield note_values(
            note,
            tx.notes.history(row),
            uses=uses.get(row, ()),
            keys=[(key, receipt) for key, receipt in kept if receipt is not None],
            edits=[edit for edit in edits if edit.note_id == note.id and (taught or not edit.taught)],
            ledger=tx.ledger.entries(note_ids=[note.id], limit=None),
            vector=halves.get(row),
            experience=valued.get(row),
            enrichment=enriched.get(row),
            record=keyed.get(row),
        )


def _exported(tx: Transaction, rows: Iterable[int], selection: Selection | None) -> dict[int, str]:
    """The ids of those rows that the export holds."""
    ends = sorted(rows)
    return tx.notes.ids_of(ends if selection is None else [facet.row for facet in tx.notes.facets(ends, selection)])


def _pages(tx: Transaction, selection: Selection | None) -> Iterator[list[int]]:
    rows: list[int] = []
    while rows := tx.notes.page(selection, rows[-1] if rows else 0, PAGE):
        yield rows
