"""How German says a few things: where one lives and works, names, what one likes, and what is no longer so."""

from __future__ import annotations

from typing import Final

from agentmem.extract.frames import framed
from agentmem.extract.german.sayings import FRAMES
from agentmem.extract.german.words import WORDS

__all__ = ["GERMAN"]

GERMAN: Final = framed(WORDS, FRAMES)
