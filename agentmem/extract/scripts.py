"""Scripts: what a word is in each of them, which have no blanks between words, and how much of a text lies outside some."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from typing import Final

__all__ = ["MARKS", "WORD", "composed", "cut", "names", "outside", "pieces", "unspaced"]

MARKS: Final = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed"
    "\u0711-\u07f3\u07fd\u0816-\u082d\u0859-\u085b\u0897-\u0963\u0971-\u09f1\u09fc\u09fe-\u0a75\u0a77-\u0aef\u0af9-\u0b6f\u0b71-\u0bf2\u0c00-\u0c76"
    "\u0c81-\u0c83\u0c85-\u0d4e\u0d54-\u0d78\u0d7a-\u0df3\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u0f18\u0f19"
    "\u0f35\u0f37\u0f39\u0f3e-\u0f84\u0f86-\u0fbc\u0fc6\u102b-\u103e\u1056-\u109d\u135d-\u135f\u1712-\u1734\u1752\u1753\u1772\u1773"
    "\u17b4-\u17d3\u17dd\u180b-\u180d\u180f\u1885-\u193b\u1a17-\u1a1b\u1a55-\u1a7f\u1ab0-\u1b44\u1b6b-\u1b73\u1b80-\u1bf3\u1c24-\u1c37"
    "\u1cd0-\u1cd2\u1cd4-\u1dff\u200d\u2cef-\u2cf1\u2d7f\u2de0-\u2dff\u302a-\u302f\u3099\u309a\ua66f\ua674-\ua67d\ua69e\ua69f\ua6f0\ua6f1\ua802\ua806\ua80b\ua823-\ua827"
    "\ua82c\ua880-\ua8c5\ua8e0-\ua8f1\ua8ff\ua926-\ua92d\ua947-\ua953\ua980-\ua9c0\ua9e5\uaa29-\uaa4d\uaa7b-\uaac1\uaaeb-\uaaef\uaaf5"
    "\uaaf6\uabe3-\uabea\uabec\uabed\ufb1e\ufe20-\ufe2f"
)
"""Signs that stand on, under or beside a letter, and letters and digits between them: Python's ``re`` has no class for the former."""
WORD: Final = rf"[^\W_]+(?:[{MARKS}]+[^\W_]*)*"
"""A run of letters and digits, each with its signs; a part of a pattern."""

_UNSPACED: Final = (
    "\u0e01-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u1950-\u19df\u1a20-\u1aad\u1b00-\u1b4c\u3005-\u3007\u3021-\u3029\u3038-\u303c"
    "\u3041-\u30ff\u3105-\u312f\u3131-\u318e\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97c\ua980-\ua9df\ua9e0-\ua9fe"
    "\uaa60-\uaa7f\uac00-\ud7fb\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Thai, Lao, Burmese, Khmer, Tai, Balinese, Javanese, Han, kana, bopomofo. And Hangul: Korean has blanks, but grows its endings onto a noun,
so that a word of a question is seldom the word of the note."""
_ANY: Final = re.compile(f"[{_UNSPACED}]")
_PIECES: Final = re.compile(f"(?P<run>[{_UNSPACED}]+)|[^{_UNSPACED}]+")
_LETTER: Final = re.compile(r"[^\W_]\W*")
_FORMS: Final = re.compile("[\u2e80-\u2fdf\uff01-\uffdc]+")
_JOINTS: Final = re.compile(
    "[\u3041-\u309f]+|(?<=[\u30a0-\u30ff])(?![\u30a0-\u30ff])|(?<![\u30a0-\u30ff])(?=[\u30a0-\u30ff])"
    "|[的了着過过在是有和與与跟同及或也都就還还又而但把被給给從从對对為为到去來来得地很不没沒這这那哪我你您他她它們们之其以可能會会要想說说吗嗎呢吧啊]"
)
_LONGEST: Final = 6
_SCRIPTS: Final = {"cjk": "han", "ideographic": "han", "katakana-hiragana": "katakana"}
"""Where the first word of a letter's name in Unicode is not that of its script."""


def unspaced(text: str) -> bool:
    """Whether there is a letter of a script without blanks in it."""
    return not text.isascii() and _ANY.search(text) is not None


def composed(text: str) -> str:
    """The text with letters put together (NFC), those of full or half width and radicals as what they stand for."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", _FORMS.sub(lambda found: unicodedata.normalize("NFKC", found.group()), text))


def pieces(word: str) -> Iterator[tuple[str, bool]]:
    """A word in pieces at the borders of scripts without blanks, each with whether it is of one: "iPhone手机" is two."""
    return ((found.group(), found["run"] is not None) for found in _PIECES.finditer(word))


def cut(words: Sequence[str], *, singles: bool = False) -> list[str]:
    """Words as they are compared: in scripts without blanks each two neighbouring letters, with their signs, or a letter that is alone.

    Pairs do for such scripts what words do for others, and need no dictionary (Lee and Ahn 1996,
    https://doi.org/10.1145/243199.243274, for Korean; Kwok 1997, https://doi.org/10.1145/258525.258532, for Chinese).

    Args:
        singles: with the letters themselves, in an order in which what is cut from a part of a text is a part of what is cut from it.
    """
    return [
        each for word in words for piece, run in pieces(word) for each in (_pairs(piece, singles) if run else [piece])
    ]


def _pairs(run: str, singles: bool) -> list[str]:
    letters = _LETTER.findall(run)
    if len(letters) < 2:
        return letters
    if not singles:
        return [one + other for one, other in pairwise(letters)]
    return [gram for one, other in pairwise(letters) for gram in (one, one + other)] + letters[-1:]


def names(run: str) -> list[str]:
    """What may be words with a meaning of their own in a run without blanks: what is short between words that have none.

    Without a dictionary nobody knows; a whole sentence is none, and in Japanese hiragana joins what kanji and katakana name.
    """
    return [part for part in _JOINTS.split(run) if 1 < len(_LETTER.findall(part)) <= _LONGEST]


def outside(text: str, scripts: Collection[str] | None) -> float:
    """The share of a text's letters that are of none of these scripts, named as Unicode does, in any case; 0 without letters, and for all
    scripts (``None``).
    """
    if scripts is None:
        return 0.0
    known = {script.casefold() for script in ((scripts,) if isinstance(scripts, str) else scripts)}
    if text.isascii() and "latin" in known:
        return 0.0
    counts = Counter(_script(letter) for letter in composed(text) if letter.isalpha())
    return sum(count for script, count in counts.items() if script not in known) / max(1, counts.total())


def _script(letter: str) -> str:
    first = unicodedata.name(letter, "").partition(" ")[0].casefold()
    return _SCRIPTS.get(first, first)
