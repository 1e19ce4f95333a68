"""Options of the gate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from agentmem.editors.core.config import EditorConfig
from agentmem.editors.gate.framing import Framing

if TYPE_CHECKING:
    from agentmem.editors.prompts import Renderer

__all__ = ["GateConfig"]


class GateConfig(EditorConfig):
    """How keys are made, and when they match.

    Attributes:
        key_norm: ``lda`` weighs directions by how little paraphrases differ in them, ``white`` by their overall
            variance, ``raw`` not at all.
        key_dim: at most this many key dimensions.
        unit_keys: scale keys to length 1.
        false_alarm: share of unrelated prompts that may lie inside some radius.
        look_alike_alarm: the same among look-alike prompts, some of which really ask the same; those of an edit
            itself are kept out of its keys' reach one by one.
        look_alikes: how many look-alike prompts to derive per edit for its radius (other subjects in the same
            words, other questions about the same subject); 0 for none.
        contexts: the prompt and at most this many - 1 paraphrases are used to learn an edit.
        positions: route at every assistant turn's start (``turns``) or at the last token alone (``last``).
    """

    key_norm: Literal["lda", "white", "raw"] = "lda"
    key_dim: int = Field(256, ge=1)
    unit_keys: bool = False
    false_alarm: float = Field(0.01, ge=0, lt=1)
    look_alike_alarm: float = Field(0.03, ge=0, lt=1)
    look_alikes: int = Field(20, ge=0)
    contexts: int = Field(4, ge=1)
    positions: Literal["turns", "last"] = "turns"

    def framing(self, renderer: Renderer) -> Framing:
        """How the messages are told apart whose requests are routed; not at all for the last token alone."""
        return Framing.of(renderer) if self.positions == "turns" else Framing()
