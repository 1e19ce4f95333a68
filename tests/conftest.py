"""The default tier: no network beyond the loopback, no downloads, few threads."""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# Before any library reads them; children inherit them.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ["ANONYMIZED_TELEMETRY"] = "False"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("OMP_NUM_THREADS", "1")
if "AGENTMEM_CACHE_DIR" not in os.environ:  # nothing is written into the home; workers inherit the first one's place
    os.environ["AGENTMEM_CACHE_DIR"] = tempfile.mkdtemp(prefix="agentmem-cache-")
    atexit.register(shutil.rmtree, os.environ["AGENTMEM_CACHE_DIR"], ignore_errors=True)

import pytest

from agentmem import Memory, Scope, Settings
from agentmem.notes.clock import ManualClock

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_LOOPBACK = ("127.", "::1", "localhost")


class NetworkUsed(Exception):
    """A test of the default tier tried to leave the machine."""


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """Connections to anything but the loopback raise, whatever library asks for them."""
    connect, connect_ex, resolve = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def check(host: Any) -> None:
        name = host.decode() if isinstance(host, bytes) else host
        if isinstance(name, str) and name and not name.startswith(_LOOPBACK):
            raise NetworkUsed(f"a test tried to reach {name}")

    def guarded(original: Any) -> Any:
        def call(self: socket.socket, address: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6):
                check(address[0])
            return original(self, address)

        return call

    def guarded_resolve(host: Any, *args: Any, **kwargs: Any) -> Any:
        check(host)
        return resolve(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded(connect))
        patch.setattr(socket.socket, "connect_ex", guarded(connect_ex))
        patch.setattr(socket, "getaddrinfo", guarded_resolve)
        yield


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def memory(clock: ManualClock) -> Iterator[Memory]:
    with Memory(None, embedder="hash", clock=clock) as opened:
        yield opened


@pytest.fixture
def open_memory(tmp_path: Path, clock: ManualClock) -> Iterator[Callable[..., Memory]]:
    """Opens the same directory as often as asked, and closes whatever is still open at the end."""
    opened: list[Memory] = []

    def open_(scope: Scope | None = None, settings: Settings | None = None, name: str = "memory") -> Memory:
        opened.append(Memory(tmp_path / name, embedder="hash", clock=clock, scope=scope, settings=settings))
        return opened[-1]

    yield open_
    for each in opened:
        each.close()
