"""A name says one thing: no two classes that others may use are called the same."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_no_two_classes_have_one_name() -> None:
    found = defaultdict(list)
    for folder in ("agentmem", "stores", "editors", "integrations"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.resolve() != path:  # reached through a link
                continue
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    found[node.name].append(str(path.relative_to(ROOT)))

    assert len(found) > 300
    assert {name: where for name, where in found.items() if len(where) > 1} == {}
