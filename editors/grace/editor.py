"""The GRACE editor: a codebook of edits on one model, behind the :class:`~agentmem.notes.protocols.Editor` protocol."""

from __future__ import annotations

from collections.abc import Sequence

from agentmem.editors import packs
from agentmem.editors.core.config import layer_below_another
from agentmem.editors.gate.codebook import Codebook
from agentmem.editors.gate.editor import GatedEditor
from agentmem.editors.gate.key_space import found_key_space
from agentmem.editors.gate.routing import Router
from agentmem.editors.grace.config import GraceConfig
from agentmem.editors.grace.transaction import GraceWrite
from agentmem.editors.packs import Calibration
from agentmem.errors import PackMismatch
from agentmem.notes.edit import EditReceipt, EditRequest

__all__ = ["GraceEditor"]


class GraceEditor(GatedEditor[Codebook]):
    """Facts as key-value pairs beside the model (GRACE, Hartvigsen et al. 2023), read late and written early.

    A request whose key lies within an edit's radius gets the edit's vector added to the residual stream at the
    end of its prompt; every other request is left bit-identical. See :class:`GraceConfig` for the options, and
    :class:`~agentmem.editors.gate.editor.GatedEditor` for the arguments.
    """

    method = "grace"
    options = GraceConfig
    config: GraceConfig

    def _set_up(self) -> None:
        self.layer = layer_below_another("value_layer", self.config.value_layer, self.port.depth)
        self._main = Codebook(
            self.method, self.port.fingerprint(), (("value_layer", self.layer),),
            self.config.false_alarm, self.config.look_alike_alarm,
        )  # fmt: skip
        self._router = Router(self.port, self.layer, self.config.opening(self.renderer), self._view, self._routes.set)

    def _learn(self, state: Codebook, fresh: Sequence[EditRequest]) -> tuple[dict[str, EditReceipt], Codebook]:
        calibration = state.calibration or self.calibrate()
        transaction = GraceWrite(self.port, self.renderer, self.config, self.layer, state, calibration)
        return transaction.run(fresh, self.on_progress)

    def _key_space(self) -> Calibration:
        return found_key_space(self.port, self.renderer, self.config, self.background_groups(), self.config.key_layer)

    def _details(self, state: Codebook) -> dict[str, object]:
        values = len({edit.value.tobytes() for edit in state.edits})
        return super()._details(state) | {"value_layer": self.layer, "values": values}

    def _unpacked(self, pack: packs.Pack) -> Codebook:
        width = self.port.structure.d_model
        if any(edit.value.shape != (width,) for edit in pack.edits):
            raise PackMismatch("The pack's values have another width.", hint="write its edits anew.")
        return self._main.with_edits((), self._main.ids).with_edits(pack.edits, (), pack.calibration)
