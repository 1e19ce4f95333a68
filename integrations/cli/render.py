"""Everything that is printed: tables for people, JSON for programs, notices on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from agentmem.notes.quoting import one_line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

    from agentmem.notes.note import Fact, ForgetReceipt, Link, Note, Receipt

__all__ = [
    "console", "data", "fact_dict", "link_dict", "note_dict", "notice", "receipt_dict", "say", "short", "table",
]  # fmt: skip

ID_LENGTH = 8


def console(*, stderr: bool = False) -> Console:
    """A console on the present stdout or stderr; rich heeds NO_COLOR, FORCE_COLOR, COLUMNS and pipes."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, emoji=False)


def say(*parts: RenderableType) -> None:
    """Print on stdout. Text from notes must come as ``Text`` or through :func:`table`, never as markup."""
    console().print(*parts)


def notice(text: str) -> None:
    """A line on stderr, so that it never mixes with a result."""
    console(stderr=True).print(one_line(text), style="yellow", markup=False)


def data(value: object) -> None:
    """JSON on stdout; in an encoding that is not Unicode, what is not ASCII is escaped."""
    escaped = not (sys.stdout.encoding or "utf-8").lower().startswith("utf")
    sys.stdout.write(json.dumps(value, ensure_ascii=escaped, indent=2, default=_plain) + "\n")


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    return str(value)


def short(id: str | None) -> str:
    """The end of an id: the beginning is the time, which neighbours share."""
    return "" if id is None else id[-ID_LENGTH:]


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str = "",
    right: Sequence[str] = (),
    styles: Mapping[str, str] | None = None,
) -> Table | Text:
    """A light table; cells are plain text, whatever they contain, or renderables. Without a row, its title says all there is to say."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    rows = list(rows)
    if not rows:
        return Text(title or "there is nothing to show")
    made = Table(title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    last = columns[-1] if columns else ""
    for name in columns:
        made.add_column(
            name,
            justify="right" if name in right else "left",
            style=(styles or {}).get(name, ""),
            ratio=1 if name == last else None,
            overflow="fold",
            no_wrap=name in ("id", "when", "score") or name in right,
        )
    for row in rows:
        made.add_row(*(cell if hasattr(cell, "__rich_console__") else Text(one_line(str(cell))) for cell in row))
    return made


# -- values as JSON ------------------------------------------------------------------------------------------


def fact_dict(fact: Fact | None) -> dict[str, object] | None:
    """A fact, or null."""
    if fact is None:
        return None
    told = {"subject": fact.subject, "relation": fact.relation, "object": fact.object, "functional": fact.functional}
    span = {"valid_from": fact.valid_from, "valid_to": fact.valid_to, "ended_by": fact.ended_by}
    return told | {name: value for name, value in span.items() if value is not None}


def note_dict(note: Note) -> dict[str, object]:
    """A note with stable names; times are ISO 8601 in UTC."""
    return {
        "id": note.id,
        "content": note.content,
        "kind": note.kind,
        "user": note.scope.user,
        "agent": note.scope.agent,
        "session": note.scope.session,
        "actor": note.actor,
        "occurred_at": note.occurred_at,
        "created_at": note.created_at,
        "valid_from": note.valid_from,
        "valid_to": note.valid_to,
        "tags": list(note.tags),
        "keywords": list(note.keywords),
        "importance": note.importance,
        "source": note.source,
        "trust": note.trust,
        "recalls": note.state.recalls,
        "stability_days": round(note.state.stability, 3),
        "archived": note.archived_at is not None,
        "fact": fact_dict(note.fact),
        "facts": [fact_dict(fact) for fact in note.facts],
        "metadata": dict(note.metadata),
        "version": note.version,
    }


def link_dict(link: Link) -> dict[str, object]:
    """A link of the note graph."""
    return {
        "source": link.source,
        "target": link.target,
        "kind": link.kind,
        "weight": link.weight,
        "reason": link.reason,
    }


def receipt_dict(receipt: Receipt) -> dict[str, object]:
    """What became of one remembered item."""
    return {
        "id": receipt.id,
        "status": receipt.status,
        "reason": receipt.reason,
        "links": [link_dict(link) for link in receipt.links],
        "superseded": list(receipt.superseded),
        "warnings": list(receipt.warnings),
    }


def forgotten_dict(receipt: ForgetReceipt) -> dict[str, Any]:
    """What was forgotten, where, and what the probes found."""
    return {
        "ids": list(receipt.ids),
        "places": dict(receipt.places),
        "derived": list(receipt.derived),
        "edits": list(receipt.edits),
        "probes": dict(receipt.probes),
        "gone": receipt.gone,
        "dry_run": receipt.dry_run,
        "warnings": list(receipt.warnings),
    }
