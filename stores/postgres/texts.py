"""Texts as PostgreSQL can hold them: every one but those with a zero character, which is written as another three.

A code is one mark and two of the two others, and the three marks are themselves written in code. So a code begins with the first mark, which stands
nowhere else: what is contained in a text is contained in its written form, and nothing else is. And they are the least characters that there are, so
that written texts stand in the order of those that they were made from.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["MARK", "read", "written"]

MARK: Final = "\x01"
_A: Final = "\x02"
_B: Final = "\x03"
_CODES: Final = {"\0": MARK + _A + _A, MARK: MARK + _A + _B, _A: MARK + _B + _A, _B: MARK + _B + _B}
_PLAIN: Final = {code: text for text, code in _CODES.items()}
_WRITTEN: Final = re.compile(f"[\0{MARK}{_A}{_B}]")
_READ: Final = re.compile(f"{MARK}[{_A}{_B}]{{2}}")


def written(text: str) -> str:
    """A text without zero characters, which :func:`read` turns back."""
    return _WRITTEN.sub(lambda found: _CODES[found[0]], text)


def read(text: str) -> str:
    """The text that was written."""
    return _READ.sub(lambda found: _PLAIN[found[0]], text) if MARK in text else text
