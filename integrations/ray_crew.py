"""Actors of a Ray cluster that work on pieces of a list: what one leaves undone since it died is given to another."""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from agentmem.errors import AgentMemError, InvalidArgument, MissingExtra

__all__ = ["Crew"]

ATTEMPTS: Final = 3
"""Workers that may die over the same piece before it is given up."""
_PATIENCE: Final = 10
"""Seconds until a cluster is given up that does not listen."""


class Crew:
    """Workers of one kind, each in a process of its own.

    Args:
        make: a class whose instances do the work; args: what each is made with.
        error: what is raised when the cluster cannot be reached.
        address: of the cluster, such as ``auto`` or ``ray://host:10001``; ``local`` starts one on this machine.
        workers: actors; each asks Ray for one processor, and for ``gpus`` (a share of one) accelerators.

    Raises:
        MissingExtra: Ray is not installed.
        AgentMemError: ``error``.
    """

    def __init__(
        self,
        make: type,
        args: Sequence[Any],
        error: type[AgentMemError],
        *,
        address: str = "local",
        workers: int = 2,
        gpus: float = 0.0,
    ) -> None:
        if workers < 1:
            raise InvalidArgument("There must be 1 worker or more.", hint="workers=2.")
        self._ray = _ray()
        self._args = tuple(args)
        self._began = not self._ray.is_initialized()
        if self._began:
            _reach(self._ray, address, workers, error)
        self._actor = self._ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0)(make)
        self._idle = deque(self._new() for _ in range(workers))

    def put(self, value: Any) -> Any:
        """A value that is sent to each machine once; give what is returned in its place."""
        return self._ray.put(value)

    def each(self, method: str, *args: Any, gave_up: Callable[[], AgentMemError] | None = None) -> list[Any]:
        """What every worker answers. One that has died is replaced, and its successor asked; without ``gave_up`` there is no need to."""
        answers = []
        for _ in range(len(self._idle)):
            for attempt in range(ATTEMPTS):
                worker = self._idle.popleft()
                try:
                    answers.append(self._ray.get(getattr(worker, method).remote(*args)))
                    self._idle.append(worker)
                    break
                except self._ray.exceptions.RayActorError as error:
                    new = self._new()
                    if gave_up is None:
                        self._idle.append(new)
                        break
                    self._idle.appendleft(new)
                    if attempt == ATTEMPTS - 1:
                        raise gave_up() from error
        return answers

    def map(self, method: str, pieces: Sequence[Sequence[Any]], gave_up: Callable[[], AgentMemError]) -> list[Any]:
        """What the workers answer to each piece, in the order of the pieces; ``gave_up`` says what is raised when three have died over one."""
        found: dict[int, Any] = {}
        waiting, tried, running = deque(range(len(pieces))), [0] * len(pieces), dict[Any, tuple[int, Any]]()
        try:
            while waiting or running:
                while waiting and self._idle:
                    number, worker = waiting.popleft(), self._idle.popleft()
                    tried[number] += 1
                    running[getattr(worker, method).remote(*pieces[number])] = number, worker
                (done,), _ = self._ray.wait(list(running), num_returns=1)
                number, worker = running.pop(done)
                try:
                    found[number] = self._ray.get(done)
                except self._ray.exceptions.RayActorError as error:
                    worker = self._new()
                    if tried[number] >= ATTEMPTS:
                        raise gave_up() from error
                    waiting.appendleft(number)
                except self._ray.exceptions.RayTaskError as error:
                    raise error.cause if isinstance(error.cause, AgentMemError) else error from error
                finally:
                    self._idle.append(worker)
        finally:
            self._idle.extend(worker for _, worker in running.values())
        return [found[number] for number in range(len(pieces))]

    def close(self) -> None:
        """Let the workers go, and the cluster if it was started here."""
        while self._idle:
            self._ray.kill(self._idle.popleft())
        if self._began:
            self._began = False
            self._ray.shutdown()

    def _new(self) -> Any:
        return self._actor.remote(*self._args)


def _reach(ray: Any, address: str, workers: int, unreached: type[AgentMemError]) -> None:
    options: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False} if address == "local" else {}
    try:
        _listens(address)
        ray.init(address=address, log_to_driver=False, **options)
    except (OSError, ValueError, RuntimeError) as error:
        raise unreached(
            f"There is no Ray cluster at {address!r:.100}: {str(error).strip().split(chr(10), 1)[0]:.200}",
            hint="start one (ray start --head) and name its address, or say local.",
        ) from error


def _listens(address: str) -> None:
    """Raise at once where nobody listens: Ray itself goes on trying for minutes."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    if parts.hostname and parts.port:
        socket.create_connection((parts.hostname, parts.port), _PATIENCE).close()


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("Ray is not installed.", hint="pip install 'agentmem-toolkit[ray]'") from error
    return ray
