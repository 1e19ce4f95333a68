"""The session tests that the OpenAI Agents SDK ships with its sources hold for our session, but for those that look into its SQLite files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
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


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution of the version that is installed, fetched once into a cache."""
    wanted = version("openai-agents")
    cache = Path(os.environ.get("AGENTMEM_SOURCES", Path(tempfile.gettempdir()) / "agentmem-sources"))
    archive = cache / f"openai_agents-{wanted}.tar.gz"
    if not archive.exists():
        fetch = [sys.executable, "-m", "pip", "download", "-q", "--retries", "1", "--no-deps", "--no-binary", ":all:"]
        run = subprocess.run(
            [*fetch, "-d", str(cache), f"openai-agents=={wanted}"], capture_output=True, text=True, timeout=240
        )
        if run.returncode or not archive.exists():
            why = f"the sources of openai-agents {wanted} cannot be had: {run.stderr[-300:]}"
            pytest.fail(why) if "AGENTMEM_FRAMEWORKS" in os.environ else pytest.skip(why)
    folder = tmp_path_factory.mktemp("sdk")
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    return folder / f"openai_agents-{wanted}"


def test_the_sdks_own_session_tests(sources: Path) -> None:
    """A test that fails is one of the pinned, and each of the pinned fails."""
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
    paths = os.pathsep.join(map(str, (ROOT, HERE, sources)))
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *files],
        cwd=sources, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    outcome = {name: what for what, name in re.findall(r"^(PASSED|FAILED|ERROR) \S+?::(\S+)", run.stdout, re.MULTILINE)}

    assert {name for name, what in outcome.items() if what != "PASSED"} == set(PINNED), run.stdout[-3000:]
    assert sum(what == "PASSED" for what in outcome.values()) >= 54
