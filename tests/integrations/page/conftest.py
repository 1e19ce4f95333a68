"""A memory with some weeks of life in it, served, and a browser that looks at it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

if not os.environ.get("AGENTMEM_FRAMEWORKS"):
    pytest.importorskip("fastapi")

sys.path += [
    str(Path(__file__).parent),
    str(Path(__file__).parents[2] / "e2e"),
]  # at the end: others have modules of their own

from browser import Browser, browsing
from page_walk import ServedPage, served_page


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPage]:
    """For looking alone: the tests of a module share it."""
    with served_page(tmp_path_factory.mktemp("told")) as served:
        yield served


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., ServedPage]]:
    """Serves what a test changes."""
    with ExitStack() as opened:
        yield lambda **options: opened.enter_context(served_page(tmp_path, **options))


@pytest.fixture(scope="module")
def _tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def tab(_tab: Browser) -> Browser:
    """A tab that knows nothing of what was before."""
    _tab.open_blank()
    _tab.window(1280, 860)
    return _tab
