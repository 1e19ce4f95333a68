"""How far long work has come, shown on a terminal or told to a callable."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

__all__ = ["progress_bar", "stage_progress"]

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with a stage, what is done of it, and how much there is."""


@contextmanager
def progress_bar(
    label: str, wanted: bool | Callable[[int, int], None], total: int | None = None
) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal for long work; a callable is called instead; silent in pipes and for work known to be short."""
    if callable(wanted):
        yield wanted
        return
    if not wanted or (total is not None and total < 64) or not sys.stderr.isatty():
        yield lambda done, of: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda done, of: bar.update(task, completed=done, total=of)


@contextmanager
def stage_progress(wanted: bool | Progress) -> Iterator[Progress]:
    """The same for jobs of several stages."""
    if callable(wanted):
        yield wanted
        return
    if not wanted or not sys.stderr.isatty():
        yield lambda stage, done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total or None)
            bar.update(tasks[stage], completed=done, total=total or None)

        yield report
