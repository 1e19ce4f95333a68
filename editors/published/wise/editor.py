"""WISE whose side memories decide by activation norms, alone or together with the keys."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from agentmem.editors.gate.codebook import KeyMatch
from agentmem.editors.gate.framing import Framing
from agentmem.editors.gate.naming import AskedText
from agentmem.editors.gate.replay import Replay
from agentmem.editors.gate.routing import Call
from agentmem.editors.hooks import is_own_forward
from agentmem.editors.published.wise.activation import norms, weigh
from agentmem.editors.published.wise.training import ActivationTrainer
from agentmem.editors.wise.editor import WiseEditor
from agentmem.editors.wise.library import Library
from agentmem.editors.wise.routing import GovernedSpan, WiseRouter
from agentmem.editors.wise.training import Trainer, listen
from agentmem.notes.note import Scope

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["PublishedWiseEditor"]


class ActivationRouter(WiseRouter):
    """Hooks that route requests by activation norms.

    Args:
        gate: ``activation``, or ``both`` when the keys have to agree.
        args: see :class:`WiseRouter`.
    """

    def __init__(self, gate: str, *args: Any) -> None:
        super().__init__(*args)
        self._gate = gate
        self._heard: ContextVar[Tensor | None] = ContextVar("agentmem_wise_heard", default=None)

    def _enter(self, module: nn.Module, args: Any, kwargs: Any) -> Any:
        changed = super()._enter(module, args, kwargs)
        call = self._call.get()
        if call is not None and not is_own_forward():
            self._site.listen(call.forward.batch)
        return changed

    def _leave(self, module: nn.Module, args: Any, output: Any) -> Any:
        if not is_own_forward():
            self._heard.set(self._site.stop())
        return super()._leave(module, args, output)

    def _decide(self, call: Call[Library], due: list[tuple[int, int]], raw: Tensor, replay: Replay) -> None:
        """Everything can be decided at once: no memory changes what its own layer reads."""
        library, heard = call.view.state, self._heard.get()
        if heard is None:
            super()._decide(call, due, raw, replay)
            return
        heads = [heard[i, call.first[i] : call.first[i] + at + 1] for i, at in due]
        scores = np.stack([norms(library, head, self._span.whole) for head in heads])
        assert library.calibration is not None  # a view always has edits
        keys = library.calibration.keys(raw.cpu().numpy())
        matches = weigh(library, self._gate, keys, scores, [call.scopes[i] for i, _ in due])
        fired = []
        for (i, at), match in zip(due, matches, strict=True):
            call.decided[i][at] = match
            if match.edit is not None:
                fired.append((i, call.first[i] + at, match))
        if fired:
            replay.run(fired, [])


class PublishedWiseEditor(WiseEditor):
    """WISE with the paper's gate or its margins (Wang et al. 2024, Eq. 3 and 6); see :meth:`WiseConfig.paper`."""

    hears = True

    def _new_trainer(self) -> Trainer:
        return ActivationTrainer(self.port, self.renderer, self.site, self.config, self.background_groups())

    def _new_router(self, span: GovernedSpan, framing: Framing) -> WiseRouter:
        if self.config.gate == "keys":
            return super()._new_router(span, framing)
        return ActivationRouter(
            self.config.gate, self.port, self.site, span, replace(framing, head=None), self._view, self._routes.set
        )  # fmt: skip

    def _matched(
        self,
        state: Library,
        rows: Sequence[tuple[int, ...]],
        scopes: Sequence[Scope | None],
        asked: Sequence[AskedText],
    ) -> list[KeyMatch]:
        if self.config.gate == "keys":
            return super()._matched(state, rows, scopes, asked)
        assert state.calibration is not None  # a state with edits has one
        with self._lock:
            heard = [listen(self.port, self.site, row) for row in rows]
        keys = state.calibration.keys(np.stack([key for _, key in heard]))
        scores = np.stack([norms(state, read, self.config.span == "all") for read, _ in heard])
        return weigh(state, self.config.gate, keys, scores, scopes)
