"""Consolidations that were asked for: begun at once, looked at while they run, and told of afterwards. One at a time."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from agentmem.aio import AsyncMemory
from agentmem.errors import JobLocked
from agentmem.integrations.server.problems import problem_dict
from agentmem.notes.note import Scope

__all__ = ["ConsolidationRun", "Runs"]

_KEPT: Final = 100


@dataclass(slots=True)
class ConsolidationRun:
    """One run, as it stands. ``stage`` is what it is at, how many of how many are done."""

    id: str
    scope: Scope
    dry_run: bool
    at: datetime
    state: Literal["running", "done", "failed"] = "running"
    stage: tuple[str, int, int] = ("waiting for earlier writes", 0, 0)
    ended_at: datetime | None = None
    report: dict[str, Any] | None = None
    problem: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        name, done, total = self.stage
        return {
            "id": self.id, "user": self.scope.user, "agent": self.scope.agent, "dry_run": self.dry_run, "at": self.at, "state": self.state,
            "progress": {"stage": name, "done": done, "total": total}, "ended_at": self.ended_at, "report": self.report,
            "problem": self.problem,
        }  # fmt: skip


class Runs:
    """The runs of one application, the last hundred of them."""

    def __init__(self, memory: AsyncMemory) -> None:
        self._memory = memory
        self._runs: dict[str, ConsolidationRun] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, scope: Scope, *, dry_run: bool, budget: int | None) -> ConsolidationRun:
        """Have a consolidation done.

        Raises:
            JobLocked: one is under way.
        """
        if any(run.state == "running" for run in self._runs.values()):
            raise JobLocked("A consolidation is under way.", hint="wait for it: GET /v1/consolidation/runs.")
        run = ConsolidationRun(uuid.uuid4().hex, scope, dry_run, self._memory.clock.now())
        self._runs[run.id] = run
        while len(self._runs) > _KEPT:
            del self._runs[next(iter(self._runs))]
        task = asyncio.create_task(self._carry_out(run, budget))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return run

    def all(self) -> list[ConsolidationRun]:
        """Those that are known, the oldest first."""
        return list(self._runs.values())

    async def finish(self) -> None:
        """Wait for what was begun."""
        await asyncio.gather(*self._tasks)

    async def _carry_out(self, run: ConsolidationRun, budget: int | None) -> None:
        def told(stage: str, done: int, total: int) -> None:
            run.stage = (stage, done, total)

        try:
            report = await self._memory.consolidate(
                dry_run=run.dry_run, budget=budget, user=run.scope.user, agent=run.scope.agent, progress=told
            )
            run.report, run.state = report.to_dict(), "done"
        except Exception as error:  # noqa: BLE001 - told in the run, and in the log
            run.problem, run.state = problem_dict(error, run.id), "failed"
        run.ended_at = self._memory.clock.now()
