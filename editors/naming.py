"""Whether a request names what an edit is about: the cheapest evidence there is, and independent of the model.

A key that lies near an edit's may be a paraphrase, or the same words about somebody else. A request that names the edit's
subject cannot be the latter, so its key may lie farther away (DEPN and WISE gate by activation alone; MELO and
retrieval-based editors such as SERAC, Mitchell et al. 2022, judge by the text, as this does).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from agentmem.editors.background import guess_subject
from agentmem.edits import EditRequest

__all__ = ["Mention", "Mentions", "last_message"]

_ASKER = "user"
_I = frozenset({"i", "me", "my", "mine", "myself"})
_LONGEST = 256
_WORD = re.compile(r"\w+")


class Mention:
    """Recognises a subject in a text, whatever the case; whole words only.

    The user who asks is recognised by "I", "me" and "my", and "user's sister" by "my sister".
    """

    def __init__(self, request: EditRequest) -> None:
        name = " ".join((request.subject or guess_subject(request.prompt)).split())
        self._known, self._words = bool(name), _as_asked(name.casefold())

    def __bool__(self) -> bool:
        return self._known

    @property
    def first_words(self) -> frozenset[str]:
        """A text that names the subject has at least one of these words; empty when the subject has no word."""
        if not self._words:
            return _I if self._known else frozenset()
        return frozenset(_WORD.findall(self._words)[:1])

    def in_text(self, text: str) -> bool:
        """Whether the text names the subject."""
        return self._known and self.in_folded(text.casefold())

    def in_folded(self, folded: str) -> bool:
        """Whether a text in folded case names the subject, which there is."""
        if not self._words:
            return not _I.isdisjoint(_WORD.findall(folded))
        at = folded.find(self._words)
        while at >= 0:
            end = at + len(self._words)
            if not (at and _is_word(folded[at - 1])) and not (end < len(folded) and _is_word(folded[end])):
                return True
            at = folded.find(self._words, at + 1)
        return False


class Mentions:
    """Recognises the subjects of many edits at once.

    A text can only name those whose first word it has, so a table of first words leaves a handful to be looked for, however
    many edits there are.
    """

    def __init__(self, requests: Sequence[EditRequest]) -> None:
        self._all = tuple(Mention(request) for request in requests)
        self._by_word: dict[str, list[int]] = {}
        self._wordless: list[int] = []
        for at, mention in enumerate(self._all):
            words = mention.first_words
            for word in words:
                self._by_word.setdefault(word, []).append(at)
            if mention and not words:
                self._wordless.append(at)

    def nameable(self) -> npt.NDArray[np.bool_]:
        """[E] which edits have a subject."""
        return np.array([bool(mention) for mention in self._all], dtype=bool)

    def in_text(self, text: str) -> list[int]:
        """The edits whose subjects the text names, ascending."""
        if not text:
            return []
        folded = text.casefold()
        likely = set(self._wordless)
        for word in set(_WORD.findall(folded)):
            likely.update(self._by_word.get(word, ()))
        return [at for at in sorted(likely) if self._all[at].in_folded(folded)]


def _is_word(character: str) -> bool:
    r"""What ``\w`` matches."""
    return character.isalnum() or character == "_"


def _as_asked(name: str) -> str:
    """The words of a subject in the mouth of the user; empty for the user."""
    if name == _ASKER:
        return ""
    return f"my {name[len(_ASKER) + 3 :]}" if name.startswith(f"{_ASKER}'s ") else name


def last_message(row: Sequence[int], special: frozenset[int], opening: int) -> Sequence[int]:
    """The tokens of the message before an answer: back to the special token that begins it.

    Names in earlier turns, or in notes that a system message recalls, are not what is asked about.

    Args:
        row: tokens up to and including the last one before the answer.
        special: ids of special tokens.
        opening: how many tokens the chat template writes before an answer.
    """
    end = len(row) - opening
    while end > 0 and row[end - 1] in special:
        end -= 1
    start = max(0, end - _LONGEST)
    for at in range(end - 1, start - 1, -1):
        if row[at] in special:
            return row[at + 1 : end]
    return row[start:end]
