"""WISE whose side memories decide by activation norms, alone or together with the keys."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agentmem.editors.gate.codebook import KeyMatch
from agentmem.editors.gate.naming import AskedText
from agentmem.editors.published.wise.activation import norms, weigh
from agentmem.editors.published.wise.routing import ActivationRouter
from agentmem.editors.published.wise.training import ActivationTrainer
from agentmem.editors.wise.editor import WiseEditor
from agentmem.editors.wise.library import Library
from agentmem.editors.wise.routing import GovernedSpan, WiseRouter
from agentmem.editors.wise.training import Trainer, listen
from agentmem.notes.note import Scope

__all__ = ["PublishedWiseEditor"]


class PublishedWiseEditor(WiseEditor):
    """WISE with the paper's gate or its margins (Wang et al. 2024, Eq. 3 and 6); see :meth:`WiseConfig.paper`."""

    hears = True

    def _new_trainer(self) -> Trainer:
        return ActivationTrainer(self.port, self.renderer, self.site, self.config, self.background_groups())

    def _new_router(self, span: GovernedSpan, opening: tuple[int, ...]) -> WiseRouter:
        if self.config.gate == "keys":
            return super()._new_router(span, opening)
        return ActivationRouter(
            self.config.gate, self.port, self.site, span, opening, self._view, self._routes.set
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
