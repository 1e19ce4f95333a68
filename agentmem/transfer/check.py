"""The first look at a file that is imported: every line by itself, and all of them together, before anything is written."""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping
from typing import IO, Any, Final

from agentmem.errors import InvalidImport, ScopeError
from agentmem.notes.note import Scope
from agentmem.transfer.format import (
    VERSION,
    WITHOUT_EVIDENCE,
    EvidenceRecord,
    Footer,
    Header,
    LinkRecord,
    MadeFromRecord,
    NoteRecord,
    Record,
    SignatureRecord,
    Tally,
    parse,
    signer,
)

__all__ = ["FileCheck", "lines_of"]

MAX_LINE: Final = 64 * 2**20
_ORDER: Final = ("note", "link", "made_from", "evidence", "ledger")
_DAMAGED: Final = "the file was cut or changed after it was written; export the memory again. Nothing was written."
DERIVED: Final = "derived_from"


def lines_of(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """The lines of a file with their numbers, from 1; one longer than any line may be is cut, and so refused."""
    number = 0
    while line := file.readline(MAX_LINE):
        number += 1
        yield number, line


class FileCheck:
    """Every line by itself, and all of them together."""

    def __init__(self, scope: Scope, key: bytes | str | None = None) -> None:
        self._scope = scope
        self._signer = signer(key)
        self._users: dict[str, str | None] = {}
        self._tally = Tally()
        self._edits: set[str] = set()
        self._enriched: set[str] = set()
        self._stage = 0
        self.derived: dict[str, set[str]] = {}
        """The notes that were made from others, and those others, by id."""

    def run(self, file: IO[bytes]) -> tuple[Header, Footer]:
        """All lines; with a key, the signature too.

        Raises:
            InvalidImport: something is wrong, or the signature is missing or not made with this key.
        """
        header: Header | None = None
        footer: Footer | None = None
        signature: SignatureRecord | None = None
        for number, line in lines_of(file):
            if signature is not None:
                raise InvalidImport(f"Line {number} stands after the end.", hint=_DAMAGED)
            record, values = parse(line, number)
            if isinstance(record, SignatureRecord) and footer is not None:
                signature = record
                continue
            if footer is not None or isinstance(record, SignatureRecord):
                raise InvalidImport(
                    f"Line {number} stands after the end, or before it what ends the file.", hint=_DAMAGED
                )
            if self._signer is not None:
                self._signer.update(line)
            if isinstance(record, Header):
                header = _known(record)
            elif isinstance(record, Footer):
                footer = self._ended(record, values)
            else:
                assert header is not None
                self._admit(number, record, header)
                self._tally.add(record.type, line)
        if header is None:
            raise InvalidImport("The file is empty.", hint="name a file that memory.export(path) wrote.")
        if footer is None:
            raise InvalidImport("The file ends before its last line: it is torn.", hint=_DAMAGED)
        self._verify(signature)
        return header, footer

    def _verify(self, signature: SignatureRecord | None) -> None:
        if self._signer is None:
            return
        if signature is None:
            raise InvalidImport(
                "The file is not signed, and a key was given.",
                hint="export it with key=…, or load it without a key: its edits are candidates then. Nothing was written.",
            )
        if not hmac.compare_digest(signature.hmac_sha256, self._signer.hexdigest()):
            raise InvalidImport(
                "The signature does not fit: the file was changed, or signed with another key.",
                hint="give the key that it was exported with. Nothing was written.",
            )

    def _admit(self, number: int, record: Record, header: Header) -> None:
        assert not isinstance(record, (Footer, SignatureRecord))
        stage = _ORDER.index(record.type)
        if stage < self._stage:
            raise InvalidImport(f"Line {number}: a {record.type} after a {_ORDER[self._stage]}.", hint=_DAMAGED)
        self._stage = stage
        if isinstance(record, NoteRecord):
            self._note(number, record, header)
        elif isinstance(record, EvidenceRecord):
            self._evidence(number, record, header)
        elif isinstance(record, (LinkRecord, MadeFromRecord)):
            named = (record.source, record.target) if isinstance(record, LinkRecord) else (record.note, *record.sources)
            strange = next((end for end in named if end not in self._users), None)
            if strange is not None:
                raise InvalidImport(f"Line {number} names {strange!r:.60}, which is not in the file.", hint=_DAMAGED)
            if len({user for end in named if (user := self._users[end]) is not None}) > 1:
                raise InvalidImport(
                    f"Line {number} connects notes of different users.",
                    hint="links stay within one user. Nothing was written.",
                )
            if isinstance(record, LinkRecord) and record.kind == DERIVED:
                self.derived.setdefault(record.source, set()).add(record.target)
            if isinstance(record, MadeFromRecord) and record.note not in self._enriched:
                raise InvalidImport(f"Line {number}: note {record.note!r:.60} has no enrichment.", hint=_DAMAGED)

    def _note(self, number: int, record: NoteRecord, header: Header) -> None:
        edits = [edit.id for edit in record.edits]
        if record.id in self._users or self._edits.intersection(edits) or len(set(edits)) < len(edits):
            raise InvalidImport(f"Line {number}: an id stands in the file twice.", hint=_DAMAGED)
        self._users[record.id] = record.scope.user
        if record.enrichment is not None:
            self._enriched.add(record.id)
        self._edits.update(edits)
        if header.vectors:
            record.halves(header.dimension or 0)
        if self._scope and not (self._scope.owner == record.scope.owner and self._scope.admits(record.scope)):
            raise ScopeError(
                f"Line {number}: this import is bound to {self._scope}; the note is of {record.scope}.",
                hint="open the memory without a scope to load everybody's notes. Nothing was written.",
            )

    def _evidence(self, number: int, record: EvidenceRecord, header: Header) -> None:
        if header.version <= WITHOUT_EVIDENCE:
            raise InvalidImport(f"Line {number}: a file of version {header.version} has no evidence.", hint=_DAMAGED)
        strange = next((id for id in record.notes if id not in self._users), None)
        if strange is not None:
            raise InvalidImport(f"Line {number} names {strange!r:.60}, which is not in the file.", hint=_DAMAGED)
        if not {self._users[id] for id in record.notes} <= {None, record.user}:
            raise InvalidImport(
                f"Line {number} is a question about notes of another user.",
                hint="nobody asks of others' notes. Nothing was written.",
            )
        if self._scope and not (self._scope.owner == record.scope.owner and self._scope.admits(record.scope)):
            raise ScopeError(
                f"Line {number}: this import is bound to {self._scope}; the question is of {record.scope}.",
                hint="open the memory without a scope to load everybody's. Nothing was written.",
            )

    def _ended(self, record: Footer, values: Mapping[str, Any]) -> Footer:
        if dict(values) != self._tally.footer():
            raise InvalidImport(
                "The checksum or the counts of the last line do not fit the lines above.", hint=_DAMAGED
            )
        return record


def _known(header: Header) -> Header:
    if header.version > VERSION:
        raise InvalidImport(
            f"The file has version {header.version}; this package knows up to {VERSION}.",
            hint="upgrade with: pip install --upgrade agentmem-toolkit.",
        )
    return header
