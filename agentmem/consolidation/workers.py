"""What only the model can do in a consolidation, done by others: answering, weighing answers, finding values.

The job stays one: it decides, keeps the shadow, looks at routes, and commits, where it always did. What takes its time are three functions of what they
are given, and of nothing else: what the bare model says, what it says with the edits of a pack, and which vector makes it say a target. An edit comes
to the same bits in any company (:mod:`agentmem.editors.lanes`), so a run whose values were found elsewhere has the pack that it would have had here.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable

from agentmem.consolidation.verify import Answerer, Canary, Prober, Weigher
from agentmem.notes.edit import EditRequest
from agentmem.notes.protocols import Editor

__all__ = ["ModelHand", "ModelWorkers", "Teachable"]


class ModelWorkers(Protocol):
    """Several models of one kind, wherever they are. Answers stand in the order of what was asked."""

    least: int
    """Fewer prompts, or facts, than these are done sooner where the job runs."""

    def begin(self, base: str, method: str, most: int) -> None:
        """Be ready for a run.

        Args:
            base: fingerprint of the model that the job has; method: of its editor; most: tokens of an answer.

        Raises:
            PackMismatch: a worker has another model.
            ConsolidationError: there are no workers.
        """
        ...

    def bare(self, prompts: Sequence[str]) -> list[str]:
        """What the model says without any edit."""
        ...

    def ask(self, prompts: Sequence[Canary], pack: bytes) -> list[str]:
        """What it says with the edits of a pack, to whom each prompt says."""
        ...

    def likely(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """How likely it finds answers, in nats per token."""
        ...

    def learn(self, requests: Sequence[EditRequest]) -> list[bytes]:
        """Packs with what could be learnt of requests."""
        ...

    def end(self) -> None:
        """Let go of what was read in this run."""
        ...


@runtime_checkable
class Teachable(Protocol):
    """An editor that takes over what another one has found out about the very same request."""

    def taught(self, packs: Sequence[bytes]) -> AbstractContextManager[None]: ...


class ModelHand:
    """What one worker does, with a model and an editor of its own.

    Args:
        most: tokens of an answer.
    """

    def __init__(
        self, editor: Editor, model: Any, tokenizer: Any, answer: Answerer, weigh: Weigher, most: int = 24
    ) -> None:
        self._editor = editor
        self._prober = Prober(editor, model, tokenizer, answer, most, weigh)
        self._held = ""

    @property
    def base(self) -> str:
        """Fingerprint of its model."""
        return str(self._editor.status().base_fingerprint)

    def bare(self, prompts: Sequence[str]) -> list[str]:
        return self._prober.bare(prompts)

    def likely(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        return self._prober.likely(pairs)

    def ask(self, prompts: Sequence[Canary], name: str, pack: bytes) -> list[str]:
        """With the edits of a pack, which is read once under its name."""
        if self._held != name:
            self._editor.load(pack)
            self._held = name
        return self._prober.ask(prompts)

    def learn(self, requests: Sequence[EditRequest]) -> bytes:
        """A pack with what could be learnt of requests, beside no others."""
        with self._editor.shadow():
            self._clear()
            self._editor.write(requests)
            return self._editor.dump()

    def rest(self) -> None:
        """Hold nothing that could be forgotten elsewhere."""
        self._held = ""
        self._clear()

    def _clear(self) -> None:
        if held := [str(edit.id) for edit in self._editor.edits()]:
            self._editor.delete(held)
