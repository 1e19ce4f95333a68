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
        folded = name.casefold()
        if folded == _ASKER:
            pattern = "i|me|my|mine|myself"
        elif folded.startswith(f"{_ASKER}'s "):
            pattern = re.escape(f"my {name[len(_ASKER) + 3 :]}")
        else:
            pattern = re.escape(name)
        self._pattern = re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE) if name else None

    def __bool__(self) -> bool:
        return self._pattern is not None

    def in_text(self, text: str) -> bool:
        """Whether the text names the subject."""
        return self._pattern is not None and self._pattern.search(text) is not None


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
