"""How a question mentions somebody: is it about them, or about what is theirs, or about everybody but them?"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from agentmem.extract.english.names import parts, stem
from agentmem.extract.lexicon import STOPWORDS

__all__ = ["is_about"]

_OTHERS: Final = frozenset("other another except but besides than unlike without not like".split())
_LATER: Final = re.compile(
    r"^,?\s*(?:jr|sr|junior|senior|[ivx]{2,}|v?i{1,3}|the (?!\w+['’]s)\w+)\b\.?(?!\s+\w+ing\b)", re.IGNORECASE
)
_OWNS: Final = re.compile(r"^['’](?:s\b)?\s*(?P<word>[^\W\d_][\w-]*)")
_OWNED: Final = re.compile(r"(?P<word>[^\W\d_][\w-]*)\s+of\s+$")
_WORD: Final = re.compile(r"(?P<word>[^\W\d_]\w*)\s+$")


def is_about(question: str, subject: str, known: Iterable[str]) -> bool:
    """Whether a question that names ``subject`` asks about it, and not about its parents, its neighbours, or another of that name.

    What somebody owns may be asked for where it is a word of ``known``: the texts that ask for what is known, or that tell it.
    Where the name is spelled otherwise, nothing can be told, and the question counts as being about it.
    """
    words = {stem(word) for text in known for word in parts(text)}
    places = list(
        re.finditer(rf"(?<!\w){re.escape(' '.join(subject.split()))}(?!\w)", " ".join(question.split()), re.IGNORECASE)
    )
    return not places or any(
        _plain(match.string[: match.start()], match.string[match.end() :], words) for match in places
    )


def _plain(before: str, after: str, words: set[str]) -> bool:
    if (last := _WORD.search(before)) and last["word"].casefold() in _OTHERS:
        return False
    if _LATER.match(after):
        return False
    owned = [found["word"].casefold() for found in (_OWNS.match(after), _OWNED.search(before)) if found]
    return all(word in STOPWORDS or stem(word) in words for word in owned)
