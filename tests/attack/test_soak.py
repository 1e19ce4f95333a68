"""A memory in use takes no more after a while than before: memory, descriptors, threads and caches stay what they were."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import pytest

SOAKER = Path(__file__).with_name("soaker.py")
ROOT = Path(__file__).parents[2]
GROWTH = {"rss": 0.06, "exact": 0.5}
"""Shares by which the second half may take more than the first; the rest must not grow at all. Blocks double when they are full."""
SLACK = {
    "rss": 6e6,
    "exact": 2e6,
    "descriptors": 4,
    "threads": 1,
    "watched": 8,
    "embedder": 4096,
    "answers": 1000,
    "invalidating": 0,
}


def soak(directory: Path, seconds: float, *more: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, str(SOAKER), str(directory), str(seconds), "1", *more],
        env=os.environ | {"PYTHONPATH": str(ROOT), "MALLOC_ARENA_MAX": "2"}, capture_output=True, text=True, timeout=120 + 2 * seconds,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *samples, end = [json.loads(line) for line in done.stdout.splitlines()]
    return samples, end


def grown(samples: list[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """What takes more in the last quarter than in the second, when it was warm."""
    quarter = len(samples) // 4
    before, after = samples[quarter : 2 * quarter], samples[-quarter:]
    found = {}
    for name, slack in SLACK.items():
        first, last = median(each[name] for each in before), median(each[name] for each in after)
        if last > first * (1 + GROWTH.get(name, 0.0)) + slack:
            found[name] = (first, last)
    return found


def used(directory: Path, seconds: float) -> None:
    samples, end = soak(directory, seconds)

    assert end["errors"] == []
    assert end["problems"] == []
    assert grown(samples) == {}
    assert samples[-1]["calls"] > samples[len(samples) // 2]["calls"] > 20
    assert (
        {"write", "read", "change", "forget", "use", "carry", "look"}
        >= set(end["verbs"])
        >= {"write", "read", "change"}
    )


def test_ten_seconds_of_use(tmp_path: Path) -> None:
    """Four threads remember, recall, update, forget, reinforce, export and check."""
    used(tmp_path, 10)


@pytest.mark.slow
def test_ten_minutes_of_use(tmp_path: Path) -> None:
    """The same for ten minutes."""
    used(tmp_path, 600)


@pytest.mark.slow
def test_a_leak_is_seen(tmp_path: Path) -> None:
    """The null control: four hundred kilobytes kept for each call."""
    samples, _ = soak(tmp_path, 6, "leak")

    assert "rss" in grown(samples)
