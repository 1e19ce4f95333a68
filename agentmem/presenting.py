"""Which recalled notes a prompt gets: what says nothing, and what is about somebody else altogether, stays out.

A reader takes what stands in its prompt for relevant, a small model above all: with notes about other people before it, it
answers from them what it knows better by itself.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace

from agentmem.enrich import entities
from agentmem.notes import Hit, Note
from agentmem.recall import query_words
from agentmem.recollection import Recollection

__all__ = ["about_others", "informs", "presentable"]

_WORD = re.compile(r"\w+")
_ASKER = frozenset("i me my mine myself we us our ours ourselves".split())
_BARE_REPLY = 3  # words that carry meaning
_ALIKE = 4  # letters from which one name may begin with the other: John and John's, Bert and Berthold


def presentable(found: Recollection, k: int, *, shown: Collection[str] = (), unnamed: float = 0.0) -> Recollection:
    """The best ``k`` hits that inform and that the prompt does not show anyway; none when all are about others.

    Args:
        shown: ids of notes that the prompt holds already.
        unnamed: cosine from which notes count although they mention nobody whom the query names.
    """
    hits = [hit for hit in found.hits if hit.note.id not in shown and informs(hit.note)][:k]
    nearest = max((hit.reasons.get("semantic", 0.0) for hit in hits), default=0.0)
    if nearest < unnamed and about_others(found.query, hits):
        hits = []
    return replace(found, hits=tuple(hits))


def informs(note: Note) -> bool:
    """False for what answers nothing in a prompt, though it fits: questions asked before, and an assistant's bare replies.

    "Oxford." without its question says nothing, and when it was wrong it would come back as if somebody had said it.
    """
    if note.actor == "assistant" and len(query_words(note.content)) < _BARE_REPLY:
        return False
    return note.fact is not None or not note.content.rstrip().endswith("?")


def about_others(query: str, hits: Sequence[Hit]) -> bool:
    """Whether a query names somebody or something, and none of the notes mentions any of these names.

    A question in the first person is about who asks; a name in it may only address the one who answers.
    """
    named = {word for name in entities(query) for word in query_words(name)}
    if not named or not _ASKER.isdisjoint(_WORD.findall(query.lower())):
        return False
    return not any(_mentions(hit.note, named) for hit in hits)


def _mentions(note: Note, named: Collection[str]) -> bool:
    fact = note.fact
    parts = (note.content, note.actor, note.context, fact.subject if fact else "", fact.object if fact else "")
    words = query_words(" ".join(part for part in parts if part))
    return any(_same(word, name) for word in words for name in named)


def _same(word: str, name: str) -> bool:
    short, long = sorted((word, name), key=len)
    return word == name or (len(short) >= _ALIKE and long.startswith(short))
