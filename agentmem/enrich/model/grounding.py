"""From a model's answer to a changed note: what may change, and what may not.

Content, scope, trust, source, importance, times, kind and metadata stay as they are. Tags and keywords that a person or a
rule gave stay; the model's come beside them and are remembered as its own, so that they can be taken back.
"""

from __future__ import annotations

import re
from dataclasses import replace

from agentmem.enrich.model.answers import CandidateFact, Construction, Evolution
from agentmem.enrich.take_back import bare
from agentmem.extract.english.values import POINTERS
from agentmem.extract.extractor import Said, said_in, speaker_of
from agentmem.extract.relations import meant, relation
from agentmem.notes.note import Fact, Note
from agentmem.notes.rows import EnrichmentRow

__all__ = ["AskedExtractor", "constructed", "evolved", "grounded"]

MAX_WORDS = 16
_FIRST_PERSON = re.compile(r"\b(?:i|me|my|mine|i'm|i’m)\b", re.IGNORECASE)
_SELF = frozenset(
    (
        "i",
        "me",
        "myself",
        "user",
        "the user",
        "speaker",
        "the speaker",
        "narrator",
        "the narrator",
        "author",
        "the author",
    )
)
"""What a model calls who says "I"."""

_WORDS = re.compile(r"[^\W_]+")


def constructed(
    note: Note, record: EnrichmentRow | None, answer: Construction, *, facts: bool
) -> tuple[Note, EnrichmentRow]:
    """The note with the model's keywords, context, tags and perhaps its fact; and the record of what was added."""
    base = bare(note, record)
    tags = _new(base.tags, [t.casefold() for t in answer.tags])
    words = _new(base.keywords, [k.casefold() for k in answer.keywords])
    found = grounded(base, answer.fact) if facts and not base.facts else None
    changed = replace(
        base,
        context=answer.context,
        tags=(*base.tags, *tags),
        keywords=(*base.keywords, *words),
        facts=base.facts if found is None else (found,),
    )
    return changed, EnrichmentRow(context=base.context, tags=tags, keywords=words)


def evolved(note: Note, record: EnrichmentRow, answer: Evolution) -> tuple[Note, EnrichmentRow]:
    """A neighbour with a new context and tags: the model's former tags give way, everybody else's stay."""
    tags, context = record.tags, note.context
    if answer.tags is not None:
        tags = _new(bare(note, record).tags, [t.casefold() for t in answer.tags])
    if answer.context is not None:
        context = answer.context
    kept = tuple(t for t in note.tags if t not in record.tags)
    base = note.context if record.context is None else record.context
    return replace(note, context=context, tags=(*kept, *tags)), replace(record, context=base, tags=tags)


def _new(known: tuple[str, ...], offered: list[str]) -> tuple[str, ...]:
    room = max(0, MAX_WORDS - len(known))
    return tuple(dict.fromkeys(word for word in offered if word not in known))[:room]


class AskedExtractor:
    """An :class:`~agentmem.extract.Extractor`: what a language model answered when it was asked for the fact of a text.

    Of that it takes what the text says: its object and its subject stand in the words, or the subject is who speaks. Whether a relation has one
    value at a time is known from our own table, never from the model: an unknown relation supersedes nothing.

    Args:
        answer: the model's; user: by which name the memory knows who speaks.
    """

    def __init__(self, answer: CandidateFact | None, user: str | None = None) -> None:
        self._answer = answer
        self._user = user

    def said(self, text: str, actor: str | None = None) -> Said:
        """The fact, if the text says it."""
        fact, words = self._answer, _plain(text)
        if fact is None or not _plain(fact.object).strip() or f" {_plain(fact.object).strip()} " not in words:
            return Said()
        subject = _subject(text, actor, self._user, fact.subject)
        if subject is None:
            return Said()
        name = meant(fact.relation, subject, fact.object)
        known = relation(name)
        functional = known is not None and known.functional
        return Said((Fact(subject, known.name if known is not None else name, fact.object, functional=functional),))


def grounded(note: Note, fact: CandidateFact | None) -> Fact | None:
    """The fact, if the note says it. What an agent or a tool said is not taken as a fact, as with the rules."""
    return next(iter(said_in(note, AskedExtractor(fact, note.scope.user)).facts), None)


def _subject(content: str, actor: str | None, user: str | None, said: str) -> str | None:
    """Whom a fact is about, as the memory calls them; ``None`` when the note does not say it.

    "I" in a user's own note is the user, whether the model calls them "I", "the user" or by the name that the memory knows them by;
    and "my sister" is theirs.
    """
    subject, text = _plain(said).strip(), _plain(content)
    me = speaker_of(actor)
    if not subject or (subject in POINTERS and subject not in _SELF):
        return None  # "she" is whoever was spoken of
    if me is None:
        return said if subject not in _SELF and f" {subject} " in text else None
    owner, _, rest = subject.partition(" s ")  # "user's sister", in plain words
    if rest and (owner in _SELF or owner == _plain(me).strip()) and f" my {rest} " in text:
        return f"{me}'s {rest}"
    if subject.startswith("my ") and f" {subject} " in text:
        return f"{me}'s {subject[3:]}"
    if subject in _SELF or subject in {_plain(name).strip() for name in (me, actor, user) if name}:
        if _FIRST_PERSON.search(content):
            return me
        return said if f" {subject} " in text and subject not in _SELF else None
    return said if f" {subject} " in text else None


def _plain(text: str) -> str:
    """Words alone, with a space around each, for looking one text up in another."""
    return f" {' '.join(_WORDS.findall(text.casefold()))} "
