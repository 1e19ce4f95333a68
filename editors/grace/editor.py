"""The GRACE editor: a codebook of edits on one model, behind the :class:`~agentmem.notes.protocols.Editor` protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self, cast

from agentmem.editors import packs
from agentmem.editors.gate.codebook import Codebook
from agentmem.editors.gate.editor import GatedEditor
from agentmem.editors.gate.key_space import found_key_space
from agentmem.editors.gate.routing import Router
from agentmem.editors.grace.config import GraceConfig, make_config
from agentmem.editors.grace.transaction import Transaction
from agentmem.editors.packs import Calibration
from agentmem.errors import PackMismatch
from agentmem.notes.edit import EditReceipt, EditRequest
from agentmem.notes.note import Scope

__all__ = ["GraceEditor"]


class GraceEditor(GatedEditor):
    """Facts as key-value pairs beside the model (GRACE, Hartvigsen et al. 2023), read late and written early.

    A request whose key lies within an edit's radius gets the edit's vector added to the residual stream at the
    end of its prompt; every other request is left bit-identical. See :class:`GraceConfig` for the options.

    Args:
        model: a transformers causal language model.
        tokenizer: its tokenizer.
        background: prompts that calibrate the key space, as texts or as groups of paraphrases; built-in when
            ``None``.
        calibration: a key space found earlier on the same model, to save the time.
        on_progress: called with (edits done, total) during long writes.
        default_scope: whose requests those are that come outside of :meth:`request`.
        config: all options at once, e.g. :meth:`GraceConfig.paper` for the published algorithm.
        options: fields of :class:`GraceConfig`; those given go before ``config``'s.

    Raises:
        InvalidArgument: an unknown option, or one out of range.
        LayerNotFound: the decoder layers could not be found.
    """

    method = "grace"

    def __new__(cls, *_args: Any, config: GraceConfig | None = None, **options: Any) -> Self:
        """An editor of the algorithm that the options name."""
        algorithm = options.get("algorithm", config.algorithm if config is not None else "late")
        if cls is GraceEditor and algorithm == "paper":
            from agentmem.editors.published.grace.editor import PaperGraceEditor  # which is built on this class

            return super().__new__(cast("type[Self]", PaperGraceEditor))
        return super().__new__(cls)

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        config: GraceConfig | None = None,
        background: Sequence[str] | Sequence[Sequence[str]] | None = None,
        calibration: Calibration | None = None,
        on_progress: Callable[[int, int], None] | None = None,
        default_scope: Scope | None = None,
        **options: object,
    ) -> None:
        self.config: GraceConfig = make_config({**(config.model_dump() if config else {}), **options})
        super().__init__(
            model, tokenizer, self.config,
            background=background, calibration=calibration, on_progress=on_progress, default_scope=default_scope,
        )  # fmt: skip
        self.layer = self.config.layer_of(self.port.depth)
        self._set_up()

    def _set_up(self) -> None:
        """Begin with an empty state, and the hooks that go with the algorithm."""
        self._main = Codebook(
            self.method, self.port.fingerprint(), (("value_layer", self.layer),),
            self.config.false_alarm, self.config.look_alike_alarm,
        )  # fmt: skip
        self._router = Router(self.port, self.layer, self._opening, self._view, self._on_routes)

    def _written(self, book: Codebook, requests: Sequence[EditRequest]) -> tuple[list[EditReceipt], Codebook]:
        calibration = book.calibration or self.calibrate()
        transaction = Transaction(self.port, self.renderer, self.config, self.layer, book, calibration)
        return transaction.run(requests, self.on_progress)

    def _key_space(self) -> Calibration:
        return found_key_space(self.port, self.renderer, self.config, self.background_groups(), self.config.key_layer)

    def _details(self, book: Codebook) -> dict[str, object]:
        return {
            "value_layer": self.layer,
            "values": len({edit.value.tobytes() for edit in book.edits}),
        }

    def _unpacked(self, pack: packs.Pack) -> Codebook:
        width = self.port.structure.d_model
        if any(edit.value.shape != (width,) for edit in pack.edits):
            raise PackMismatch("The pack's values have another width.", hint="write its edits anew.")
        return self._main.with_edits((), self._main.ids).with_edits(pack.edits, (), pack.calibration)
