"""Whether a sentence tells of what was, or of what is to come: English says it by few words, its auxiliaries and the forms of its verbs."""

from __future__ import annotations

import re
from typing import Final

from agentmem.extract.spans import Turn

__all__ = ["tense"]

_TOKEN: Final = re.compile(r"[a-z]+(?:'[a-z]+)*")
_WAS: Final = frozenset("was were wasn't weren't did didn't had hadn't".split())
_WILL: Final = frozenset("will won't shall shan't gonna".split())
_BE: Final = frozenset("am is are isn't aren't be being".split())
_HAVE: Final = frozenset("have has haven't hasn't been".split())
_MEANT: Final = frozenset(
    "going plan plans planning hope hopes hoping want wants intend intends need needs have has about supposed".split()
)
"""What may stand before "to" of what is not done yet."""
_AHEAD: Final = frozenset("due scheduled planned booked set".split())
"""What is so is to come: "the review is due on Friday"."""
_BETWEEN: Final = frozenset(
    "not all already also just now still probably really finally only both i you he she it we they there".split()
)
"""What may stand between an auxiliary and its verb."""
_IRREGULAR: Final = frozenset(
    """
    became began bit blew bought broke brought built came caught chose did drank drew drove ate fell felt flew forgot fought found froze gave
    got grew had heard held hid hung kept knew laid led left lent lit lost made meant met paid ran rang rode rose said sang sat saw sent shook shot
    slept sold spent spoke spoilt stole stood stuck swam swore taught threw thought told took understood woke won wore went wrote
    """.split()
)
_NO_VERB: Final = frozenset("hundred sacred naked wicked rugged".split())
_REGULAR: Final = re.compile(r"[a-z]{2,}[^e\W]ed")


def tense(sentence: str) -> Turn:
    """-1 where a sentence, statement or question, tells of what was, 1 of what is to come, 0 where it says neither, or both.

    The present progressive, with a time beside it, is what is planned: "we are meeting on Friday". A participle behind "is" or "has" is no past:
    "the table has been booked for Friday".
    """
    words = _TOKEN.findall(sentence.casefold().replace("’", "'"))
    past = coming = False
    helper = before = ""
    for word in words:
        if word in _WAS:
            past, helper = True, "was"
        elif word in _WILL or word.endswith("'ll"):
            coming, helper = True, "will"
        elif word == "to" and before in _MEANT and helper != "was":
            coming = True
        elif word in _HAVE or word.endswith("'ve"):
            helper = "have"
        elif word in _BE or word.endswith(("'m", "'re", "'s")):
            helper = "be"
        elif helper == "be" and (word in _AHEAD or (word.endswith("ing") and len(word) > 4)):
            coming = True
        elif not helper and (word in _IRREGULAR or (_REGULAR.fullmatch(word) and word not in _NO_VERB)):
            past = True
        elif word not in _BETWEEN:
            helper = ""
        before = word
    if past == coming:
        return 0
    return -1 if past else 1
