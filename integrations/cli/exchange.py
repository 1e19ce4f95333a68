"""Commands that carry memories from one place to another: export, import."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentmem.errors import InvalidArgument
from agentmem.integrations.cli import documents, render
from agentmem.integrations.cli.place import Place, at_place

if TYPE_CHECKING:
    from agentmem.transfer.import_report import ImportReport

__all__ = ["add_to"]

OURS = "agentmem"
KeyOption = Annotated[
    Path | None,
    typer.Option(
        "--key-file", help="A file whose bytes sign the export, or prove that it is yours.", envvar="AGENTMEM_KEY_FILE"
    ),
]
_BEGINNING = b'{"format":"agentmem-export"'


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for name, command in (("export", export), ("import", import_)):
        app.command(name, rich_help_panel="Exchange")(at_place(command))


def export(
    place: Place,
    file: Annotated[
        Path, typer.Argument(help="The file to write, replaced only when all is written; - for the standard output.")
    ],
    everything: Annotated[bool, typer.Option("--everything", help="Everybody's notes.")] = False,
    vectors: Annotated[
        bool, typer.Option("--vectors", help="Vectors too: whoever has the same embedder need not compute them.")
    ] = False,
    evidence: Annotated[
        bool, typer.Option("--evidence", help="Also the questions that were answered from these notes.")
    ] = False,
    key_file: KeyOption = None,
) -> None:
    """Write notes, with history, links, uses and registry, to a file of JSON lines.

    agentmem export ana.jsonl --user ana
    """
    piped = str(file) == "-"
    with place.memory() as memory, tempfile.TemporaryFile() if piped else nullcontext(file) as target:
        report = memory.export(
            target, everything=everything, vectors=vectors, evidence=evidence, key=_key(key_file),
            progress=not (place.json or piped),
        )  # fmt: skip
        if not isinstance(target, Path):  # all of it, or nothing
            target.seek(0)
            shutil.copyfileobj(target, sys.stdout.buffer)
            sys.stdout.flush()
    if piped:
        render.notice(f"{report.notes} notes and {report.links} links, {report.size} bytes")
    elif place.json:
        render.data({
            "path": str(report.path), "notes": report.notes, "links": report.links, "ledger": report.ledger,
            "bytes": report.size, "sha256": report.sha256,
        })  # fmt: skip
    else:
        render.notice(f"{report.notes} notes and {report.links} links, {report.size} bytes: {report.path}")


def import_(
    place: Place,
    file: Annotated[
        Path, typer.Argument(help="A folder, a text, an agentmem export, or a dump of another system.", metavar="PATH")
    ],
    shape: Annotated[
        str | None,
        typer.Option("--format", help="agentmem, mem0, langgraph, locomo, memorybank or chat; else found out."),
    ] = None,
    forgotten: Annotated[bool, typer.Option("--forgotten", help="Bring back what was forgotten here.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would happen.")] = False,
    trust: Annotated[
        str | None,
        typer.Option(
            "--trust",
            help="The most that an unsigned export's notes are trusted: 0 to 1, or low, medium, high, trusted.",
        ),
    ] = None,
    key_file: KeyOption = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Of a folder or text: leave notes of what is no longer in it.")
    ] = False,
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", help="Of a folder: leave out, as in a .gitignore; several times.")
    ] = None,
    facts: Annotated[bool, typer.Option("--facts", help="Of a folder or text: read what its words state.")] = False,
) -> None:
    """Store what a folder, a text, an export or another system's dump holds; doing so twice stores nothing twice.

    agentmem import notes/ --user ana: Markdown, plain text and chats; the next time, what has changed.

    agentmem import mem0.json --format mem0 --user ana
    """
    if shape is None and documents.is_documents(file):
        if trust is not None:
            raise InvalidArgument("--trust is for agentmem's own exports.", hint="leave it out.")
        documents.bring(
            place, file, keep=keep, exclude=exclude or (), facts=facts, forgotten=forgotten, dry_run=dry_run
        )
        return
    if keep or exclude or facts:
        raise InvalidArgument(
            "--keep, --exclude and --facts are for folders and texts.", hint="leave them out for a dump or an export."
        )
    if shape == OURS or (shape is None and _is_ours(file)):
        with place.memory(make=not dry_run, trying=dry_run) as memory:
            report = memory.load_export(
                file, forgotten=forgotten, dry_run=dry_run, key=_key(key_file), trust=_trust(trust), progress=not place.json
            )  # fmt: skip
            _show(place, report)
        return
    if forgotten or trust is not None:
        raise InvalidArgument(
            "--forgotten and --trust are for agentmem's own exports.",
            hint="leave them out: what a dump says is said anew.",
        )
    _dump(place, file, shape, dry_run)


def _key(file: Path | None) -> bytes | None:
    """The bytes of a key file, without the line end that an editor leaves; a key on the command line would be seen by everybody."""
    if file is None:
        return None
    try:
        return file.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise InvalidArgument(
            f"The key file {file} cannot be read: {error.strerror}.", hint="name a file with 16 random bytes or more."
        ) from error


def _trust(said: str | None) -> float | str | None:
    try:
        return None if said is None else float(said)
    except ValueError:
        return said


def _is_ours(file: Path) -> bool:
    try:
        if not file.is_file():
            return False
        with file.open("rb") as opened:
            return opened.read(len(_BEGINNING)) == _BEGINNING
    except OSError:
        return False  # reading it as a dump says why it cannot be read


def _show(place: Place, report: ImportReport) -> None:
    counts = {
        "notes": report.notes, "skipped": report.skipped, "links": report.links, "ledger": report.ledger,
        "embedded": report.embedded, "carried": report.carried, "evidence": report.evidence,
    }  # fmt: skip
    if place.json:
        left = {"conflicts": report.conflicts, "forgotten": report.forgotten, "warnings": list(report.warnings)}
        render.data({"format": OURS, "dry_run": report.dry_run, **counts, **left})
        return
    render.say(
        render.table(
            ("what", "number"),
            [*counts.items(), ("conflicts", len(report.conflicts)), ("forgotten", len(report.forgotten))],
            right=("number",),
        )
    )
    for id in report.conflicts:
        render.notice(f"{id} says something else here; what is here was kept")
    for id in report.forgotten:
        render.notice(f"{id} was forgotten here; --forgotten brings it back")
    for warning in report.warnings:
        render.notice(warning)


def _dump(place: Place, file: Path, shape: str | None, dry_run: bool) -> None:
    from agentmem.errors import AgentMemError
    from agentmem.integrations.importers import read
    from agentmem.notes.note import Scope
    from agentmem.remember.draft import make_drafts

    found = read(file, shape)
    counts: Counter[str] = Counter()
    if dry_run:
        scope = Scope(place.user, place.agent, place.session)
        for number, item in enumerate(found.items):
            try:
                make_drafts(item, scope)
            except AgentMemError as error:
                error.message = f"Item {number}: {error.message}"
                raise
    else:
        with place.memory(make=True) as memory:
            counts.update(receipt.status for receipt in memory.remember_many(found.items, progress=not place.json))
    if place.json:
        render.data({"format": found.shape, "dry_run": dry_run, "items": len(found.items), **counts})
    else:
        rows = [("format", found.shape), ("items", len(found.items)), *sorted(counts.items())]
        render.say(render.table(("what", "number"), rows, right=("number",)))
