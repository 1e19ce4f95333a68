"""Everything here is of ``make test-integrations``, and no part of the default tests; and the sources of frameworks, with the tests they ship."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.integrations)


@pytest.fixture(scope="session")
def sources() -> Callable[[str], Path]:
    """Of a package, by its name; fetched once, beside other temporary files."""
    return _sources


def _sources(package: str) -> Path:
    """The unpacked source distribution of the version that is installed.

    Where it cannot be had, the test is skipped; with AGENTMEM_FRAMEWORKS, where it must be, it fails.
    """
    name = f"{package.replace('-', '_')}-{version(package)}"
    cache = Path(os.environ.get("AGENTMEM_SOURCES", Path(tempfile.gettempdir()) / "agentmem-framework-sources"))
    if (cache / name).is_dir():
        return cache / name
    cache.mkdir(parents=True, exist_ok=True)
    if not (cache / f"{name}.tar.gz").exists():
        _fetch(f"{package}=={version(package)}", cache)
    with tempfile.TemporaryDirectory(dir=cache) as folder, tarfile.open(cache / f"{name}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
        try:
            (Path(folder) / name).rename(cache / name)
        except OSError:  # another process was there first
            assert (cache / name).is_dir()
    return cache / name


def _fetch(requirement: str, folder: Path) -> None:
    why = "there is no pip here to fetch them with"
    if find_spec("pip"):
        fetch = [sys.executable, "-m", "pip", "download", "-q", "--retries", "1", "--no-deps", "--no-binary", ":all:"]
        run = subprocess.run([*fetch, "-d", str(folder), requirement], capture_output=True, text=True, timeout=280)
        why = run.stderr[-300:] if run.returncode else ""
    if why:
        told = f"the sources of {requirement} cannot be had: {why}"
        pytest.fail(told) if "AGENTMEM_FRAMEWORKS" in os.environ else pytest.skip(told)
