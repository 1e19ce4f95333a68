"""The WISE editor: records in the shards of a side memory, behind the :class:`~agentmem.notes.protocols.Editor` protocol."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agentmem.editors import packs
from agentmem.editors.gate.codebook import Codebook
from agentmem.editors.gate.editor import GatedEditor
from agentmem.editors.gate.routing import as_route
from agentmem.editors.packs import Calibration
from agentmem.editors.wise.config import WiseConfig, make_config
from agentmem.editors.wise.library import Library, unpacked
from agentmem.editors.wise.lora import LoraExport, write_adapter
from agentmem.editors.wise.routing import Span, WiseRouter, norms
from agentmem.editors.wise.side import SideSite
from agentmem.editors.wise.training import Trainer, listen
from agentmem.editors.wise.writing import WiseIntake, trained
from agentmem.errors import InvalidArgument
from agentmem.notes.edit import EditReceipt, EditRequest, Route
from agentmem.notes.note import Scope

__all__ = ["WiseEditor"]


class WiseEditor(GatedEditor):
    """Facts in a side copy of one feed-forward projection (WISE, Wang et al. 2024), learnt by the shard.

    Records are trained together, at most 64 to a shard, into a masked change of the projection; the gate decides
    once per request and row whether a shard answers, and it then governs the whole answer. Every other request is
    left bit-identical. Deleting a record trains its shard anew without it: the state is then the one in which it
    was never written, bit for bit. See :class:`WiseConfig`, and :meth:`WiseConfig.paper` for WISE as published.

    Args:
        model: a transformers causal language model.
        tokenizer: its tokenizer.
        config: all options in one value, instead of by name.
        background: prompts that calibrate keys and margins, as texts or as groups of paraphrases; built-in when
            ``None``.
        calibration: a key space found earlier on the same model, to save the time.
        on_progress: called with (edits done, total) after each trained memory.
        default_scope: whose requests those are that come outside of :meth:`request`.
        options: fields of :class:`WiseConfig`.

    Raises:
        InvalidArgument: an unknown option, or one out of range.
        LayerNotFound: the decoder layers, or the projection, could not be found.
    """

    method = "wise"

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        config: WiseConfig | None = None,
        background: Sequence[str] | Sequence[Sequence[str]] | None = None,
        calibration: Calibration | None = None,
        on_progress: Callable[[int, int], None] | None = None,
        default_scope: Scope | None = None,
        **options: object,
    ) -> None:
        self.config: WiseConfig = make_config(options if config is None else options | {"config": config})
        super().__init__(
            model, tokenizer, self.config,
            background=background, calibration=calibration, on_progress=on_progress, default_scope=default_scope,
        )  # fmt: skip
        self.layer = self.config.layer_of(self.port.depth)
        self.site = SideSite(self.port, self.layer)
        groups = self.background_groups()
        self._trainer = Trainer(self.port, self.renderer, self.site, self.config, groups)
        told = hashlib.sha256(json.dumps(groups).encode()).hexdigest()[:16]
        recipe: dict[str, Any] = self.config.recipe() | {"layer": self.layer, "background": told}
        self._main = Library(
            self.method, self.port.fingerprint(), tuple(sorted(recipe.items())),
            self.config.false_alarm, self.config.look_alike_alarm, gate=self.config.gate,
        )  # fmt: skip
        stops = {self.renderer.stop, getattr(tokenizer, "eos_token_id", None)} - {None}
        span = Span(self.config.span == "all", frozenset(int(token) for token in stops if token is not None))
        self._router = WiseRouter(self.port, self.site, span, self._opening, self._view, self._on_routes)

    @property
    def library(self) -> Library:
        """The state that the calling context sees."""
        return _library(self.codebook)

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
        held = {m.cell.name: m for m in self.library.memories}
        name = next(iter(held)) if memory is None and len(held) == 1 else memory
        if name is None or name not in held:
            raise InvalidArgument(
                f"There is no side memory {memory!r}." if memory else f"There are {len(held)} side memories.",
                hint=f"name one of {sorted(held)}." if held else "write edits first.",
            )
        chosen = held[name]
        base = str(getattr(getattr(self.port.model, "config", None), "_name_or_path", ""))
        return write_adapter(Path(folder), self.site, base, (name, chosen.cell.ids), chosen.dense, rank)

    def probe(self, prompts: Sequence[str], scope: Scope | None = None) -> list[Route]:
        """Which edit would answer each prompt, without generating."""
        library = self.library
        if library.gate == "keys" or library.calibration is None or not prompts:
            return super().probe(prompts, scope)
        rows = [self.renderer.prompt(prompt) for prompt in prompts]
        with self._lock:
            heard = [listen(self.port, self.site, row) for row in rows]
        keys = library.calibration.keys(np.stack([key for _, key in heard]))
        scores = np.stack([norms(library, read, self.config.span == "all") for read, _ in heard])
        asked = scope if scope is not None else self.default_scope
        matches = library.weigh(keys, scores, [asked] * len(rows))
        return [as_route({len(row) - 1: match}) for row, match in zip(rows, matches, strict=True)]

    def _written(self, book: Codebook, requests: Sequence[EditRequest]) -> tuple[list[EditReceipt], Codebook]:
        calibration = book.calibration or self.calibrate()
        intake = WiseIntake(
            self.port,
            self.renderer,
            self.config,
            self.layer,
            _library(book),
            calibration,
            trainer=self._trainer,
        )
        return intake.run(requests, self.on_progress)

    def _without(self, book: Codebook, ids: Sequence[str]) -> Codebook:
        return self._train(book.with_edits((), ids), [_library(book)])

    def _joined(self, added: Sequence[packs.PackedEdit], removed: set[str], shadow: Codebook) -> Codebook:
        known = [_library(self._main), _library(shadow)]
        return self._train(super()._joined(added, removed, shadow), known)

    def _train(self, book: Codebook, known: Sequence[Library]) -> Library:
        return trained(_library(book), self._trainer, known, self.on_progress)[0]

    def _unpacked(self, pack: packs.Pack) -> Codebook:
        empty = _library(self._main.with_edits((), self._main.ids)).with_memories(())
        return unpacked(empty, pack, self._trainer.plan)

    def _details(self, book: Codebook) -> dict[str, object]:
        memories = _library(book).memories
        return {
            "layer": self.layer,
            "side_of": self.site.path,
            "gate": self.config.gate,
            "memories": {m.cell.name: len(m.cell.ids) for m in memories},
            "shards": sum(p is not None for m in memories for p in m.packed),
            "thresholds": {m.cell.name: m.threshold for m in memories},
            "delta_bytes": sum(m.size_bytes for m in memories),
        }


def _library(book: Codebook) -> Library:
    assert isinstance(book, Library)
    return book
