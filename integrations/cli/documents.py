"""What ``agentmem import`` says of folders and texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agentmem.integrations.cli import render
from agentmem.integrations.cli.place import Place

if TYPE_CHECKING:
    from agentmem.integrations.documents import DocumentsReport

__all__ = ["bring", "is_documents"]

_MOST = 30
_DATA = (".json", ".jsonl", ".ndjson")


def is_documents(path: Path) -> bool:
    """Whether a path is a folder or a text, rather than a dump: those are JSON, whatever they are called."""
    from agentmem.integrations.documents.walking import is_text_name

    try:
        if path.is_dir() or path.suffix.lower() in _DATA or not path.is_file():
            return path.is_dir()
        if is_text_name(path):
            return True
        with path.open("rb") as opened:
            return not opened.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"{", b"["))
    except OSError:
        return False  # reading it as a dump says why it cannot be read


def bring(
    place: Place, path: Path, *, keep: bool, exclude: Sequence[str], facts: bool, forgotten: bool, dry_run: bool
) -> None:
    """Import a folder or a text, and say what became of it."""
    from agentmem.integrations.documents import import_documents

    with place.memory(make=not dry_run, trying=dry_run) as memory:
        report = import_documents(
            memory, path, keep=keep, exclude=exclude, facts=facts, forgotten=forgotten, dry_run=dry_run, progress=not place.json
        )  # fmt: skip
    if place.json:
        render.data(report.to_dict())
    else:
        _tell(report)


def _tell(report: DocumentsReport) -> None:
    from rich.text import Text

    if report.by_file:
        columns = ("new", "changed", "placed", "gone")
        rows = [
            (*(found.get(name, "") for name in columns), _named(report, path))
            for path, found in list(report.by_file.items())[:_MOST]
        ]
        render.say(render.table((*columns, "file"), rows, right=columns))
        if len(report.by_file) > _MOST:
            render.notice(f"and {len(report.by_file) - _MOST} more files")
    render.say(Text(_sum(report), style="bold"))
    for notice in _notices(report):
        render.notice(notice)


def _named(report: DocumentsReport, path: str) -> str:
    former = next((old for old, new in report.moved.items() if new == path), None)
    return path if former is None else f"{path} (was {former})"


def _sum(report: DocumentsReport) -> str:
    verb = "would be " if report.dry_run else ""
    told = [(report.stored, "stored"), (report.changed, "changed"), (report.placed, "found in another place")]
    told += [(report.forgotten, "forgotten"), (report.unchanged, "unchanged"), (report.kept, "kept")]
    parts = [f"{count} {verb if word not in ('unchanged', 'kept') else ''}{word}" for count, word in told if count]
    chats = f", {report.messages} messages of chats" if report.messages else ""
    return f"{report.files} files of {report.root}: {', '.join(parts) or 'nothing to store'}{chats}"


def _notices(report: DocumentsReport) -> list[str]:
    """What was not read: what is no text by its number, anything else by its name."""
    loud = [each for each in report.left_out if not each.quiet]
    quiet = Counter(each.why.removeprefix("it is ") for each in report.left_out if each.quiet)
    said = [f"left out {each.path}: {each.why}" for each in loud[:_MOST]]
    said += [f"and {len(loud) - _MOST} more left out"] if len(loud) > _MOST else []
    said += [f"left out: {', '.join(f'{count} × {why}' for why, count in quiet.most_common(8))}"] if quiet else []
    said += [f"{path} was read as {encoding}, which it does not say" for path, encoding in report.guessed.items()]
    said += [f"{path}, line {line}, was not stored: {why}" for path, line, why in report.refused[:_MOST]]
    return said
