"""Editors behind a codebook of keys.

The gate decides, from the key of a request, which edit answers it; what an answering edit does to the model is the
method's own affair (:mod:`agentmem.editors.grace` adds a vector, :mod:`agentmem.editors.wise` a side memory).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from agentmem.editors import packs
from agentmem.editors.background import groups_of
from agentmem.editors.core.config import EditorConfig
from agentmem.editors.core.editor import SideMemoryEditor
from agentmem.editors.gate.codebook import Codebook, KeyMatch
from agentmem.editors.gate.naming import AskedText
from agentmem.editors.gate.routing import Router, as_route
from agentmem.editors.packs import Calibration, PackedEdit
from agentmem.errors import PackMismatch
from agentmem.notes.edit import Route
from agentmem.notes.note import Scope

__all__ = ["GatedEditor"]

B = TypeVar("B", bound=Codebook)


class GatedEditor(SideMemoryEditor[B]):
    """An editor whose edits answer the requests whose keys lie within their radii.

    Args:
        background: prompts that calibrate the key space, as texts or as groups of paraphrases; built-in when
            ``None``.
        calibration: a key space found earlier on the same model, to save the time.
        config, on_progress, default_scope, options: see :class:`SideMemoryEditor`.
    """

    layer: int
    _router: Router[B]

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        background: Sequence[str] | Sequence[Sequence[str]] | None = None,
        calibration: Calibration | None = None,
        config: EditorConfig | None = None,
        on_progress: Callable[[int, int], None] | None = None,
        default_scope: Scope | None = None,
        **options: object,
    ) -> None:
        super().__init__(
            model, tokenizer, config=config, on_progress=on_progress, default_scope=default_scope, **options
        )
        self._background = background
        self._calibration = calibration
        if calibration is not None:
            self.port.read_keys_at(calibration.layer)
        self._set_up()

    # What a method adds

    @abstractmethod
    def _set_up(self) -> None:
        """Begin with an empty state, and the hooks that go with the method."""

    @abstractmethod
    def _key_space(self) -> Calibration:
        """Find the key space."""

    @abstractmethod
    def _unpacked(self, pack: packs.Pack) -> B:
        """The state in a pack of this model and method.

        Raises:
            PackMismatch: its parts do not fit this model.
        """

    # Keys

    def calibrate(self) -> Calibration:
        """The key space; computed from the background prompts once, at the first write at the latest."""
        with self._lock:
            if self._calibration is None:
                self._calibration = self._key_space()
            return self._calibration

    def adopt(self, calibration: Calibration) -> None:
        """Take over the key space of another editor on the same model, unless this one has its own already."""
        with self._lock:
            if self._calibration is None:
                self._read_in(calibration)

    def _read_in(self, calibration: Calibration) -> None:
        self.port.read_keys_at(calibration.layer)
        self._calibration = calibration

    def background_groups(self) -> list[tuple[str, ...]]:
        """The background prompts that calibrate this editor, in groups that ask the same."""
        return groups_of(self._background)

    def probe(self, prompts: Sequence[str], scope: Scope | None = None) -> list[Route]:
        """Which edit would answer each prompt, without generating."""
        state = self.state
        if not state or not prompts:
            return [Route(None) for _ in prompts]
        rows = [self.renderer.prompt(prompt) for prompt in prompts]
        scopes = [scope if scope is not None else self.default_scope] * len(rows)
        matches = self._matched(state, rows, scopes, [AskedText(prompt, True) for prompt in prompts])
        return [as_route({len(row) - 1: match}) for row, match in zip(rows, matches, strict=True)]

    def _matched(
        self, state: B, rows: Sequence[tuple[int, ...]], scopes: Sequence[Scope | None], asked: Sequence[AskedText]
    ) -> list[KeyMatch]:
        """What the gate says of rendered prompts."""
        assert state.calibration is not None  # a state with edits has one
        with self._lock:
            raw = self.port.keys(rows).numpy()
        return state.match(state.calibration.keys(raw), scopes, asked)

    def _details(self, state: B) -> dict[str, object]:
        return {
            "layers": self.port.structure.layers_path,
            "key_site": self.port.structure.ffn_out_path or "residual stream after the last layer",
            "key_layer": self.port.key_layer,
            "key_dim": int(state.keys.shape[1]),
            "reach": state.reach,
        }

    # The course of things

    def _without(self, state: B, ids: set[str]) -> B:
        return state.with_edits((), ids)

    def _joined(self, added: Sequence[PackedEdit], removed: set[str], inner: B) -> B:
        outer = self._main
        return outer.with_edits(added, removed & outer.ids, outer.calibration or inner.calibration)

    def _opened(self, pack: Path | str | bytes) -> B:
        held = packs.read_pack(pack)
        self._check(held)
        if held.calibration is not None:
            self._check_keys(held.calibration)
        return self._unpacked(held)

    def _check_keys(self, space: Calibration) -> None:
        held = self._main.calibration.layer if self._main.calibration is not None else None
        if space.layer != held and self._session.get().shadow is not None and self._main:
            raise PackMismatch(
                "The pack's keys come from another layer than those of the edits outside the shadow.",
                hint="load it outside of editor.shadow().",
            )
        if space.mean.shape != (self.port.structure.d_key,):
            raise PackMismatch("The pack's keys have another width.", hint="write its edits anew.")

    def _take(self, state: B) -> None:
        if state.calibration is not None:
            self._read_in(state.calibration)
        super()._take(state)

    @property
    def _attached(self) -> bool:
        return self._router.attached

    def _install(self) -> None:
        self._router.attach()

    def _uninstall(self) -> None:
        self._router.detach()
