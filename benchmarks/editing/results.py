"""The file of results: rows that may be measured one by one and replace their older selves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["merge", "read_rows"]

_SAME = ("method", "subjects", "edits", "paraphrases")
_ABOUT = {
    "model": "small_model",
    "note": "python -m benchmarks.editing; fp32, one thread, greedy free generation, measured after the last edit; "
    "asked: how many probes each figure rests on; weights: of which model file; CPU seconds on a machine shared with others",
}


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, none when there is no file."""
    rows: list[dict[str, Any]] = json.loads(path.read_text())["rows"] if path.exists() else []
    return rows


def merge(path: Path, row: dict[str, Any], **more: object) -> None:
    """Put a row, with whatever of ``more`` is not empty, into the file."""
    row = row | {name: value for name, value in more.items() if value}
    rows = [old for old in read_rows(path) if _key(old) != _key(row)] + [row]
    rows.sort(key=lambda r: (r["subjects"], r["method"], r["paraphrases"], r["edits"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_ABOUT | {"rows": rows}, indent=1) + "\n")


def _key(row: dict[str, Any]) -> tuple[object, ...]:
    return tuple(row[name] for name in _SAME)
