"""Which recalled notes a prompt gets: what says nothing, and what is about somebody else, stays out.

A reader takes what stands in its prompt for relevant, a small model above all: with notes about other people before it, it
answers from them what it knows better by itself.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace

from agentmem.ask.answer import is_unknown
from agentmem.extract import entities
from agentmem.extract.english.verbs import KIN
from agentmem.notes.note import Hit, Note
from agentmem.notes.passages import SENTENCE_END
from agentmem.notes.rows import ASKING
from agentmem.recall.query import of_asker, query_words
from agentmem.recall.result import Recollection

__all__ = ["about_others", "informs", "presentable", "without_namesakes"]

_BARE_REPLY = 3  # words that carry meaning
_KIN = "|".join(sorted(KIN))
_RELATED = re.compile(rf"(?:'s|’s)\s+(?:[\w-]+\s+)?(?:{_KIN})(?:s|'s|’s)?\b|\b(?:{_KIN})s?\s+of\b", re.IGNORECASE)
_TITLES = frozenset(("mr", "mrs", "ms", "miss", "dr", "prof", "professor", "sir"))
_ALIKE = 4  # letters from which one name may begin with the other: John and John's, Bert and Berthold


def presentable(found: Recollection, k: int, *, shown: Collection[str] = (), unnamed: float = 0.0) -> Recollection:
    """The best ``k`` hits that inform and that the prompt does not show anyway, without those about namesakes of whom the query
    names; none when all are about others.

    Args:
        shown: ids of notes that the prompt holds already.
        unnamed: cosine from which notes count although they mention nobody whom the query names; 0 shows notes whomever they are
            about.
    """
    hits = [hit for hit in found.hits if hit.note.id not in shown and informs(hit.note)][:k]
    nearest = max((hit.reasons.get("semantic", 0.0) for hit in hits), default=0.0)
    if nearest < unnamed and about_others(found.query, hits):
        hits = []
    if unnamed:
        hits = without_namesakes(found.query, hits)
    return replace(found, hits=tuple(hits))


def informs(note: Note) -> bool:
    """False for what answers nothing in a prompt, though it fits: questions asked before, an assistant's bare replies and its not knowing.

    "Oxford." without its question says nothing, and when it was wrong it would come back as if somebody had said it. What tells
    something before it asks does inform: "We adopted a kitten called Mimi. What do kittens eat?".
    """
    if note.actor == "assistant" and (len(query_words(note.content)) < _BARE_REPLY or is_unknown(note.content)):
        return False
    if note.fact is not None or not note.content.rstrip().endswith(ASKING):
        return True
    told = " ".join(part for part in SENTENCE_END.split(note.content.rstrip()) if not part.endswith(ASKING))
    return bool(told) and len(query_words(told)) >= _BARE_REPLY


def about_others(query: str, hits: Sequence[Hit]) -> bool:
    """Whether a query names somebody or something, and none of the notes is about any of these names.

    In a question about who asks, a name may only address the one who answers.
    """
    named = {word for name in entities(query) for word in query_words(name)}
    if not named or of_asker(query):
        return False
    return not any(_mentions(hit.note, named) for hit in hits)


def without_namesakes(query: str, hits: Sequence[Hit]) -> list[Hit]:
    """The hits without facts about others who have a name in common with somebody whom the query names in full.

    "Leila Salazar is a nurse." is the likeliest wrong answer to what Rosa Salazar does. It stays where nothing is told of Rosa
    Salazar herself, and where the question is about her family.
    """
    names = [frozenset(query_words(name)) for name in entities(query)]
    full = [name for name in names if len(name) > 1]
    if not full or _RELATED.search(query):
        return list(hits)
    about = [any(name <= _words(hit.note) for name in full) for hit in hits]
    if not any(about):
        return list(hits)
    return [hit for hit, told in zip(hits, about, strict=True) if told or not _is_namesake(hit.note, names, full)]


def _is_namesake(note: Note, names: Sequence[frozenset[str]], full: Sequence[frozenset[str]]) -> bool:
    subjects = [frozenset(query_words(fact.subject)) for fact in note.facts]
    if any(name <= subject or subject <= name for name in names for subject in subjects):
        return False
    return any(
        subject & name and any(len(word) > 1 and word not in _TITLES for word in subject - name)
        for name in full
        for subject in subjects
    )


def _words(note: Note) -> frozenset[str]:
    parts = (note.actor, note.content, note.context, *(fact.subject for fact in note.facts))
    return frozenset(query_words(" ".join(part for part in parts if part)))


def _mentions(note: Note, named: Collection[str]) -> bool:
    # A statement is about its subject: "Ana lives in Porto." says nothing about Porto that one would ask of Porto.
    told = [fact.subject for fact in note.facts] or (note.content, note.context)
    parts = (note.actor, *told)
    words = query_words(" ".join(part for part in parts if part))
    return any(_same(word, name) for word in words for name in named)


def _same(word: str, name: str) -> bool:
    short, long = sorted((word, name), key=len)
    return short == long or (len(short) >= _ALIKE and long.startswith(short))
