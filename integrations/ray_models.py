"""A consolidation whose model work is done by the actors of a Ray cluster, each of which loads the model once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from agentmem.consolidation.workers import ModelHand
from agentmem.errors import ConsolidationError, InvalidArgument, PackMismatch
from agentmem.integrations.ray_crew import ATTEMPTS, Crew
from agentmem.llm.loading import ModelSpec

if TYPE_CHECKING:
    from agentmem.consolidation.verify import Canary
    from agentmem.notes.edit import EditRequest

__all__ = ["RayModels"]

MOST: Final = 24
"""Tokens of an answer, until a run says how many."""


class _Worker:
    """What an actor does: the model is loaded once, with as many threads as the job has, so that sums come to the same bits."""

    def __init__(self, spec: ModelSpec, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self._model, self._tokenizer = spec.load()
        self._made = ("", 0)
        self._hand: ModelHand | None = None

    def process(self) -> int:
        """The id of its process."""
        return os.getpid()

    def ready(self, method: str, most: int) -> str:
        """Have an editor of this method; which model it is on."""
        from agentmem.editors import make_editor
        from agentmem.editors.evaluation import answer_readable, likelihoods

        if self._hand is None or self._made != (method, most):
            editor = make_editor(method, self._model, self._tokenizer)
            self._hand = ModelHand(editor, self._model, self._tokenizer, answer_readable, likelihoods, most)
            self._made = method, most
        return self._hand.base

    def do(self, run: tuple[str, str, int], what: str, *args: Any) -> Any:
        """A piece of work; also of one that has just begun in the place of another."""
        base = self.ready(*run[1:])
        if base != run[0]:
            raise _other(base, run[0])
        return getattr(self._hand, what)(*args)

    def rest(self) -> None:
        if self._hand is not None:
            self._hand.rest()


class RayModels:
    """:class:`agentmem.consolidation.workers.ModelWorkers` on a Ray cluster.

    The memory is opened by the process that consolidates; workers need neither its notes nor its packs, only the model. What is cut into pieces is cut
    by its size alone, so that which worker does one, and how many there are, changes nothing: the pack is that of a run without workers, bit for
    bit, on machines that compute alike.

    Args:
        model: by name or path, as for :class:`~agentmem.Memory`; every machine must have it.
        device, dtype, plain: as for :class:`~agentmem.Memory`.
        address: of the cluster, such as ``auto`` or ``ray://host:10001``; ``local`` starts one on this machine.
        workers: actors; each asks Ray for one processor, and for ``gpus`` (a share of one) accelerators.
        piece: prompts, or facts, that a worker is given at once; no fewer are sent away.

    Raises:
        MissingExtra: Ray is not installed.
        ConsolidationError: the cluster cannot be reached.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = "small",
        *,
        device: str | None = None,
        dtype: str | None = None,
        plain: bool | None = None,
        address: str = "local",
        workers: int = 2,
        piece: int = 16,
        gpus: float = 0.0,
    ) -> None:
        if piece < 1:
            raise InvalidArgument("piece must be 1 or more.", hint="RayModels(workers=2, piece=16).")
        import torch

        self.least = piece
        spec = ModelSpec(os.fspath(model), None, device, dtype, plain)
        made = spec, torch.get_num_threads()
        self._crew = Crew(_Worker, made, ConsolidationError, address=address, workers=workers, gpus=gpus)
        self._run: tuple[str, str, int] = ("", "grace", MOST)
        self._sent: tuple[str, Any] = ("", None)

    def processes(self) -> list[int]:
        """The ids of the workers' processes, on their machines."""
        return self._crew.each("process", gave_up=partial(_died, "process"))

    def begin(self, base: str, method: str, most: int) -> None:
        """Be ready for a run.

        Raises:
            PackMismatch: a worker has another model.
        """
        self._run = base, method, most
        for found in self._crew.each("ready", method, most, gave_up=partial(_died, "ready")):
            if found != base:
                raise _other(found, base)

    def bare(self, prompts: Sequence[str]) -> list[str]:
        return self._joined("bare", prompts)

    def likely(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        return self._joined("likely", pairs)

    def ask(self, prompts: Sequence[Canary], pack: bytes) -> list[str]:
        name = hashlib.sha256(pack).hexdigest()
        if self._sent[0] != name:
            self._sent = name, self._crew.put(pack)
        return self._joined("ask", prompts, name, self._sent[1])

    def learn(self, requests: Sequence[EditRequest]) -> list[bytes]:
        return self._done("learn", requests)

    def end(self) -> None:
        """No worker holds anything of the notes any more."""
        self._sent = "", None
        self._crew.each("rest")

    def close(self) -> None:
        """Let the workers go, and the cluster if it was started here."""
        self._crew.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _joined(self, what: str, items: Sequence[Any], *shared: Any) -> list[Any]:
        return [answer for answers in self._done(what, items, *shared) for answer in answers]

    def _done(self, what: str, items: Sequence[Any], *shared: Any) -> list[Any]:
        cut = [list(items[at : at + self.least]) for at in range(0, len(items), self.least)]
        pieces = [(self._run, what, piece, *shared) for piece in cut]
        return self._crew.map("do", pieces, partial(_died, what))


def _other(found: str, wanted: str) -> PackMismatch:
    return PackMismatch(
        f"A worker has the model {found[:12]}…, the memory {wanted[:12]}….",
        hint="give RayModels the model of the memory, and install the same one on every machine.",
    )


def _died(what: str) -> ConsolidationError:
    return ConsolidationError(
        f"{ATTEMPTS} workers died over the same piece ({what}); nothing was changed.",
        hint="give each more memory, or a smaller piece=….",
    )
