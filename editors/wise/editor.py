"""The WISE editor: records in the shards of a side memory, behind the :class:`~agentmem.notes.protocols.Editor` protocol."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from agentmem.editors import packs
from agentmem.editors.gate.calibration import calibrate
from agentmem.editors.gate.editor import GatedEditor
from agentmem.editors.gate.framing import Framing
from agentmem.editors.packs import Calibration
from agentmem.editors.wise.config import WiseConfig
from agentmem.editors.wise.library import Library, unpacked
from agentmem.editors.wise.lora import LoraExport, write_adapter
from agentmem.editors.wise.routing import GovernedSpan, WiseRouter
from agentmem.editors.wise.side import SideSite
from agentmem.editors.wise.training import Trainer
from agentmem.editors.wise.writing import WiseIntake, trained
from agentmem.errors import InvalidArgument
from agentmem.notes.edit import EditReceipt, EditRequest

__all__ = ["WiseEditor"]


class WiseEditor(GatedEditor[Library]):
    """Facts in a side copy of one feed-forward projection (WISE, Wang et al. 2024), learnt by the shard.

    Records are trained together, at most 64 to a shard, into a masked change of the projection; the gate decides
    once per request and row whether a shard answers, and it then governs the whole answer. Every other request is
    left bit-identical. Deleting a record trains its shard anew without it: the state is then the one in which it
    was never written, bit for bit. See :class:`WiseConfig`, and :meth:`WiseConfig.paper` for WISE as published.

    The arguments are those of :class:`~agentmem.editors.gate.editor.GatedEditor`; the background calibrates margins, too.

    Raises:
        InvalidArgument: an unknown option, or one out of range.
        LayerNotFound: the decoder layers, or the projection, could not be found.
    """

    method = "wise"
    options = WiseConfig
    config: WiseConfig

    hears: ClassVar[bool] = False  # whether activations take part in what decides

    def _set_up(self) -> None:
        if self.config.hears and not self.hears:
            raise InvalidArgument("This editor decides by keys alone.", hint='make_editor("wise", …) takes every gate.')
        self.layer = self.config.layer_of(self.port.depth)
        self.site = SideSite(self.port, self.layer)
        self._trainer = self._new_trainer()
        told = hashlib.sha256(json.dumps(self.background_groups()).encode()).hexdigest()[:16]
        recipe: dict[str, Any] = self.config.recipe() | {"layer": self.layer, "background": told}
        self._main = Library(
            self.method, self.port.fingerprint(), tuple(sorted(recipe.items())),
            self.config.false_alarm, self.config.look_alike_alarm,
        )  # fmt: skip
        stops = {self.renderer.stop, getattr(self.port.tokenizer, "eos_token_id", None)} - {None}
        span = GovernedSpan(self.config.span == "all", frozenset(int(token) for token in stops if token is not None))
        self._router = self._new_router(span, self.config.framing(self.renderer))

    def _new_trainer(self) -> Trainer:
        return Trainer(self.port, self.renderer, self.site, self.config, self.background_groups())

    def _new_router(self, span: GovernedSpan, framing: Framing) -> WiseRouter:
        return WiseRouter(self.port, self.site, span, framing, self._view, self._routes.set)

    def export_lora(self, folder: Path | str, *, memory: str | None = None, rank: int | None = 16) -> LoraExport:
        """Write one side memory as a LoRA adapter in peft's layout.

        An adapter knows no routing: it changes every request that it is loaded for, and every token of it.

        Args:
            folder: gets ``adapter_model.safetensors`` and ``adapter_config.json``.
            memory: which one, by the name in ``status().details["memories"]``; may be left out when there is one.
            rank: at most; ``None`` for the rank that the memory has.

        Raises:
            InvalidArgument: there is no such memory, or several and none was named.
        """
        held = {m.cell.name: m for m in self.state.memories}
        name = next(iter(held)) if memory is None and len(held) == 1 else memory
        if name is None or name not in held:
            raise InvalidArgument(
                f"There is no side memory {memory!r}." if memory else f"There are {len(held)} side memories.",
                hint=f"name one of {sorted(held)}." if held else "write edits first.",
            )
        chosen = held[name]
        base = str(getattr(getattr(self.port.model, "config", None), "_name_or_path", ""))
        return write_adapter(Path(folder), self.site, base, (name, chosen.cell.ids), chosen.dense, rank)

    def _key_space(self) -> Calibration:
        return calibrate(self.port, self.renderer, self.config, self.background_groups())

    def _learn(self, state: Library, fresh: Sequence[EditRequest]) -> tuple[dict[str, EditReceipt], Library]:
        calibration = state.calibration or self.calibrate()
        intake = WiseIntake(
            self.port, self.renderer, self.config, self.layer, state, calibration, trainer=self._trainer
        )  # fmt: skip
        return intake.run(fresh, self.on_progress)

    def _without(self, state: Library, ids: set[str]) -> Library:
        return self._train(state.with_edits((), ids), [state])

    def _joined(self, added: Sequence[packs.PackedEdit], removed: set[str], inner: Library) -> Library:
        return self._train(super()._joined(added, removed, inner), [self._main, inner])

    def _train(self, library: Library, known: Sequence[Library]) -> Library:
        return trained(library, self._trainer, known, self.on_progress)[0]

    def _unpacked(self, pack: packs.Pack) -> Library:
        empty = self._main.with_edits((), self._main.ids).with_memories(())
        return unpacked(empty, pack, self._trainer.plan)

    def _details(self, state: Library) -> dict[str, object]:
        memories = state.memories
        return super()._details(state) | {
            "layer": self.layer,
            "side_of": self.site.path,
            "gate": self.config.gate,
            "memories": {m.cell.name: len(m.cell.ids) for m in memories},
            "shards": sum(p is not None for m in memories for p in m.packed),
            "thresholds": {m.cell.name: m.threshold for m in memories},
            "delta_bytes": sum(m.size_bytes for m in memories),
        }
