"""Whether a request names what an edit is about: the cheapest evidence there is, and independent of the model.

A key that lies near an edit's may be a paraphrase, or the same words about somebody else. A request that names the edit's
subject cannot be the latter, so its key may lie farther away (DEPN and WISE gate by activation alone; MELO and
retrieval-based editors such as SERAC, Mitchell et al. 2022, judge by the text, as this does).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agentmem.editors.background import guess_subject
from agentmem.edits import EditRequest

__all__ = ["Mention", "last_message"]

_ASKER = "user"
_LONGEST = 256


class Mention:
    """Recognises a subject in a text, whatever the case; whole words only.

    The user who asks is recognised by "I", "me" and "my", and "user's sister" by "my sister".
    """

    def __init__(self, request: EditRequest) -> None:
        name = " ".join((request.subject or guess_subject(request.prompt)).split())
        self._words = _as_asked(name.casefold())
        pattern = re.escape(self._words) if self._words else "i|me|my|mine|myself"
        self._pattern = re.compile(rf"(?<!\w)(?:{pattern})(?!\w)") if name else None

    def __bool__(self) -> bool:
        return self._pattern is not None

    def in_text(self, text: str) -> bool:
        """Whether the text names the subject."""
        folded = text.casefold()
        # Looking for the words as they are rules out nearly every edit of a large side memory, ten times as fast.
        return self._pattern is not None and self._words in folded and self._pattern.search(folded) is not None


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
