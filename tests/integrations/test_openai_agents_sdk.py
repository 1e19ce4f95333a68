"""The session tests that the OpenAI Agents SDK ships with its sources hold for our session, but for those that look into its SQLite files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

if "AGENTMEM_FRAMEWORKS" not in os.environ:
    pytest.importorskip("agents")
    pytestmark = pytest.mark.slow  # it fetches a file, and takes about a minute

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CONNECTIONS = "counts or replaces the SQLite connections of the SDK's class"
CORRUPT = "breaks rows of the SDK's own table by SQL"
PINNED = {
    "test_sqlite_session_close_closes_worker_thread_connections": CONNECTIONS,
    "test_sqlite_session_reaps_connections_from_exited_worker_threads": CONNECTIONS,
    "test_sqlite_session_closes_retired_connections_before_the_next_allocation": CONNECTIONS,
    "test_sqlite_session_keeps_connections_of_live_worker_threads": CONNECTIONS,
    "test_sqlite_session_rollback_failure_evicts_connection": CONNECTIONS,
    "test_sqlite_session_close_retries_quarantined_connection": CONNECTIONS,
    # test_a_change_that_has_begun_is_carried_out promises the same of ours.
    "test_sqlite_session_post_commit_cancellation_propagates_after_known_outcome[add]": CONNECTIONS,
    "test_sqlite_session_post_commit_cancellation_propagates_after_known_outcome[pop]": CONNECTIONS,
    "test_sqlite_session_post_commit_cancellation_propagates_after_known_outcome[clear]": CONNECTIONS,
    "test_sqlite_session_pop_item_skips_corrupt_most_recent": CORRUPT,
    "test_sqlite_session_pop_item_returns_none_after_dropping_only_corrupt_rows": CORRUPT,
    "test_sqlite_session_get_items_limit_skips_corrupt_newest_rows": CORRUPT,
    "test_sqlite_session_get_items_session_settings_limit_skips_corrupt_rows": CORRUPT,
    "test_sqlite_session_failed_clear_session_rolls_back": "drops the SDK's own table by SQL",
    "test_sqlite_session_failed_pop_item_releases_write_lock": "drops the SDK's own table by SQL",
    "test_sqlite_session_file_lock_is_shared_across_instances": "looks at the file lock of the SDK's class",
    # test_what_is_not_json_is_refused_and_nothing_is_written promises the same of ours.
    "test_sqlite_session_failed_add_items_releases_write_lock": "writes into the SDK's own table by SQL",
}


def test_the_sdks_own_session_tests(tmp_path: Path, sources: Callable[[str], Path]) -> None:
    """A test that fails is one of the pinned, and each of the pinned fails."""
    there = Path(shutil.copytree(sources("openai-agents"), tmp_path / "sdk"))
    files = ["tests/memory/test_session.py", "tests/memory/test_session_limit.py"]
    options = [
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "sdk_sessions",
        "-o",
        "addopts=",
        "-o",
        "asyncio_mode=auto",
        "-rA",
        "--tb=line",
    ]
    paths = os.pathsep.join(map(str, (ROOT, HERE, there)))
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *files],
        cwd=there, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    outcome = {name: what for what, name in re.findall(r"^(PASSED|FAILED|ERROR) \S+?::(\S+)", run.stdout, re.MULTILINE)}

    assert {name for name, what in outcome.items() if what != "PASSED"} == set(PINNED), run.stdout[-3000:]
    assert sum(what == "PASSED" for what in outcome.values()) >= 54
