"""The tests that LangGraph has for its own stores hold for ours, but for two that look into SQLite."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

STRICT = bool(os.environ.get("AGENTMEM_FRAMEWORKS"))
if not STRICT:
    for needed in ("langgraph.store.sqlite", "pytest_mock", "pytest_retry"):
        pytest.importorskip(needed)

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SUITES = {
    "langgraph-checkpoint-sqlite": ("test_store.py", "test_async_store.py", "test_ttl.py"),
    "langgraph-checkpoint": ("test_store.py", "embed_test_utils.py"),
}
PINNED = {
    "langgraph-checkpoint-sqlite.test_store::test_vector_store_initialization": "asks SQLite for the tables of the framework's class",
    "langgraph-checkpoint-sqlite.test_store::test_nonnull_migrations": "reads the statements that make the tables of that class",
}


@pytest.mark.parametrize("package", SUITES)
def test_the_frameworks_own_tests_of_stores(package: str, tmp_path: Path, sources: Callable[[str], Path]) -> None:
    """What fails is pinned with its reason, and what is pinned fails."""
    (tmp_path / "tests").mkdir()
    for name in ("__init__.py", *SUITES[package]):
        shutil.copy(sources(package) / "tests" / name, tmp_path / "tests" / name)
    options = [
        "-q", "-p", "no:cacheprovider", "-p", "langgraph_own_stores", "-o", "asyncio_mode=auto", "--tb=short", "--junitxml=told.xml",
    ]  # fmt: skip
    paths = os.pathsep.join(map(str, (ROOT, HERE, tmp_path)))
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "tests"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=280,
    )  # fmt: skip

    told = {
        f"{package}.{case.attrib['classname'].split('.')[1]}::{case.attrib['name']}": not len(case)
        for case in ET.parse(tmp_path / "told.xml").iter("testcase")
    }
    failed = {name for name, passed in told.items() if not passed}
    assert failed == {name for name in PINNED if name.startswith(f"{package}.")}, run.stdout[-4000:]
    assert len(told) >= 100
