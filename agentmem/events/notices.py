"""Names for what warnings say: a warning is a sentence, which may quote a note; a name is one of a closed set."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal

__all__ = ["NOTICES", "READER", "kind_of", "named"]

NOTICES: Final[dict[str, str]] = {
    "index missing": r"the vector index is missing\b",
    "index damaged": r"the vector index is damaged\b",
    "index failed": r"the vector index failed\b",
    "weights unserved": r"the weights cannot be served\b",
    "weights behind": r"the weights could not follow\b",
    "edit overruled": r"edit \S+ [^:]*: the notes were asked instead$",
    "use unrecorded": r"that these notes were used was not recorded\b",
    "older notes unread": r"not read against older notes\b",
    "not enriched": r"not enriched yet\b",
    "recalled text left out": r"\d+ lines of recalled notes were left out\b",
    "nothing matched": r"nothing matched\b",
    "erasure unfinished": r"the notes are gone, but not yet\b",
    "turn not remembered": r"the \w+'s turn was not remembered\b",
}
"""What each is told by: how the sentence of its warning begins."""
READER: Final = "reader absent"
"""No warning says it: what tells whether two questions ask for the same is not installed, so that keys alone decide which edit answers."""
OTHER: Final = "other"
_DEGRADED: Final = frozenset(
    ("index missing", "index damaged", "index failed", "weights unserved", "weights behind", READER)
)
_SENTENCES: Final = tuple((name, re.compile(pattern)) for name, pattern in NOTICES.items())


def named(warnings: Iterable[str]) -> tuple[str, ...]:
    """The names of some warnings, each once; a warning that none of them fits is ``other``."""
    found = (next((name for name, begins in _SENTENCES if begins.match(said)), OTHER) for said in warnings)
    return tuple(dict.fromkeys(found))


def kind_of(name: str) -> Literal["degraded", "warning"]:
    """Whether a slower or a lesser way was taken, or something is to be told."""
    return "degraded" if name in _DEGRADED else "warning"
