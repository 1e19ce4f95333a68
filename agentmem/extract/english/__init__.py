"""How English says things: facts and their ends, names, times."""

from __future__ import annotations

import re
from typing import Final

from agentmem.extract.english.no_longer import MARKS, ends_of
from agentmem.extract.english.statements import JOINED, OWN, SAID_WITH, bare, clauses_of, facts_of
from agentmem.extract.english.verbs import DOUBT, FICTION, SINCE, TAKEN_BACK, WORDING
from agentmem.extract.language import Language, WordLists
from agentmem.extract.lexicon import FUNCTION_WORDS

__all__ = ["ENGLISH"]

ENGLISH: Final = Language(
    WordLists(
        known=FUNCTION_WORDS,
        quotes=frozenset('"“”«»`<>{}[]|=\n\t*'),
        abbreviation=re.compile(r"(?:\b[A-Z]|\b(?:Dr|Mr|Mrs|Ms|St|Prof|Inc|Ltd|Co|Jr|Sr))\.$"),
        fiction=FICTION,
        wording=WORDING,
        doubt=DOUBT,
        since=SINCE,
        ends=MARKS,
        taken_back=TAKEN_BACK,
        joint=JOINED,
        joiner="and",
        own=OWN,
        said_with=SAID_WITH,
        bare=bare,
    ),
    facts_of,
    clauses_of,
    ends_of,
)
