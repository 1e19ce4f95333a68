"""Adapters that were exported from edits: what one holds and what it is worth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["CONFIG", "HELD", "WEIGHTS", "AdapterReport"]

WEIGHTS: Final = "adapter_model.safetensors"
CONFIG: Final = "adapter_config.json"
HELD: Final = "agentmem.json"
"""Beside what PEFT reads: which edits and notes an adapter holds."""


@dataclass(frozen=True, slots=True)
class AdapterReport:
    """An exported adapter.

    Attributes:
        edits, notes: the ids of what it was trained on, and of the notes that these come from.
        said: the ids of those edits that the model says by free generation with the adapter alone.
        kept: share of a few questions about other things that it answers as it did without.
        sha256: of the adapter's weights.
    """

    folder: Path
    rank: int
    edits: tuple[str, ...]
    notes: tuple[str, ...]
    said: tuple[str, ...]
    kept: float
    sha256: str

    @property
    def survived(self) -> float:
        """Share of the edits that survive the export."""
        return len(self.said) / len(self.edits)
