"""Words that say nothing are listed once, in `extract/lexicon.py`; a place that needs others adds them to that."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import agentmem
from agentmem.extract.lexicon import COMMONEST, FUNCTION_WORDS, STOPWORDS

ROOT = Path(agentmem.__file__).resolve().parents[1]
FOLDERS = ("agentmem", "editors", "stores", "integrations")
HALF = len(COMMONEST) // 2


def listed(source: str) -> Iterator[frozenset[str]]:
    """The words of every string that is split on the spot, and of every display of strings."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr="split")):
                yield frozenset(text.split())
            case ast.Set(elts=elements) | ast.List(elts=elements) | ast.Tuple(elts=elements):
                yield frozenset(
                    each.value for each in elements if isinstance(each, ast.Constant) and isinstance(each.value, str)
                )


def test_no_second_list_of_stopwords() -> None:
    """No other file lists more than half of the commonest words."""
    files = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py") if not file.is_symlink()]
    found = {
        file.relative_to(ROOT).as_posix()
        for file in files
        for words in listed(file.read_text(encoding="utf-8"))
        if len(words & COMMONEST) > HALF
    }

    assert len(files) > 100
    assert found == {"agentmem/extract/lexicon.py"}


def test_a_wider_list_holds_the_narrower_one() -> None:
    assert COMMONEST < FUNCTION_WORDS < STOPWORDS
