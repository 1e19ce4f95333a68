"""Bytes of a file as text: which encoding they are in, or why they are none."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Final

__all__ = ["Decoded", "decoded"]

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""The longer marks before those that they begin with."""
_CONTROLS: Final = frozenset(range(32)) - {*b"\t\n\v\f\r\x1b"}


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text, with the encoding where that was a guess; or ``trouble``, which says why there is none."""

    text: str = ""
    guessed: str = ""
    trouble: str = ""


def decoded(data: bytes) -> Decoded:
    """The text that bytes stand for: by their mark, as UTF-8, or, where they cannot be that, as Windows-1252."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return _checked(data.decode(encoding), "")
            except UnicodeDecodeError:
                return Decoded(trouble=f"it is marked as {encoding.upper()} and is not")
    if b"\0" in data or sum(byte in _CONTROLS for byte in data[:8192]) > len(data[:8192]) // 50:
        return Decoded(trouble="it is binary")
    try:
        return _checked(data.decode("utf-8"), "")
    except UnicodeDecodeError:
        pass  # the next encoding is tried
    try:
        return _checked(data.decode("cp1252"), "Windows-1252")
    except UnicodeDecodeError:
        return Decoded(trouble="it is in no encoding that is known here")


def _checked(text: str, guessed: str) -> Decoded:
    return Decoded(trouble="it is binary") if "\0" in text else Decoded(text, guessed)
