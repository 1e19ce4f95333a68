"""Rules of a language, and what all of them share: which texts are read at all, what a text states and ends, and how it is taken apart.

A language brings words and patterns as data (:class:`WordLists`) and says how one sentence of it is read. A fact can close an older note or become a
weight edit, so a wrong one costs more than a missed one: questions, guesses, conditions, negations, quotations and reported speech give nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from agentmem.extract.extractor import MOST_FACTS, Ending, Said, same_fact, speaker_of
from agentmem.extract.relations import canonical
from agentmem.notes.note import Fact

__all__ = ["MAX_TEXT", "Denied", "Language", "StatedClause", "WordLists"]

MAX_TEXT: Final = 600
"""Characters of a text that is read."""
_MAX_SENTENCES: Final = 4
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+(?=[^\s])")
_WORD: Final = re.compile(r"[^\W_]+")
_STATED: Final = 3
"""Words of the shortest statement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WordLists:
    """What every language has words for.

    Attributes:
        known: the little words by which the language is told from others.
        quotes: marks of what others said, and of what is no prose. abbreviation: how a part ends that is no sentence's end.
        fiction, wording: what makes a whole text something else than statements about the world, or one about words.
        doubt: what casts a doubt on the sentences around it. since: how a sentence begins where the story goes on.
        ends: what a text has that ends something; taken_back: what beside an ending takes it back.
        joint: between statements of one sentence; joiner: a word that puts them together.
        own: words that say nothing of a fact; said_with: those that a relation is said with; bare: a word without its endings.
    """

    known: frozenset[str]
    quotes: frozenset[str]
    abbreviation: re.Pattern[str]
    fiction: tuple[str, ...]
    wording: re.Pattern[str]
    doubt: re.Pattern[str]
    since: re.Pattern[str]
    ends: re.Pattern[str]
    taken_back: re.Pattern[str]
    joint: re.Pattern[str]
    joiner: str
    own: frozenset[str]
    said_with: Mapping[str, frozenset[str]]
    bare: Callable[[str], str]

    def serious(self, text: str) -> bool:
        """Whether a text may be about the world: short, no quotation, no fiction and no talk about words."""
        if not 6 < len(text) <= MAX_TEXT or not self.quotes.isdisjoint(text):
            return False
        lower = text.lower()
        return not any(mark in lower for mark in self.fiction) and not self.wording.search(lower)

    def sentences(self, text: str) -> list[str]:
        """The sentences of a short text; none when there are too many for a plain statement."""
        parts: list[str] = []
        for part in _SENTENCE.split(text.strip()):
            if parts and self.abbreviation.search(parts[-1]):
                parts[-1] += " " + part
            else:
                parts.append(part)
        return parts if len(parts) <= _MAX_SENTENCES else []

    def of(self, text: str) -> set[str]:
        """The words of a text that say something, without their endings."""
        return {self.bare(word) for word in _WORD.findall(text.casefold())} - self.own


class StatedClause(NamedTuple):
    """A part of a sentence, what it states, and how it would be said alone."""

    text: str
    fact: Fact | None
    alone: str


class _FactsOf(Protocol):
    def __call__(self, sentence: str, speaker: str | None, *, whole: bool) -> tuple[Fact, ...]: ...


Denied = Callable[[str], Fact | None]
"""The fact that a sentence would state if it were said, for what is denied."""


@dataclass(frozen=True, slots=True)
class Language:
    """An :class:`~agentmem.extract.extractor.Extractor` by rule.

    Attributes:
        facts_of: the facts of a sentence; ``whole``: read no sentence by a part of it alone.
        clauses_of: the parts of a sentence that say something by themselves.
        ends_of: what a sentence ends, and what else it says; the sentence that would affirm what it denies is read by what it is given.
    """

    words: WordLists
    facts_of: _FactsOf
    clauses_of: Callable[[str, str | None], Iterator[StatedClause]]
    ends_of: Callable[[str, Denied], tuple[list[Ending], str]]

    def said(self, text: str, actor: str | None = None) -> Said:
        """What a plain statement states and what it ends; see :meth:`candidate_facts`.

        "I moved from Porto to Rome" ends one home and states the other; "I don't live in Porto any more. I moved to Rome." does
        so in two sentences, of which the first leaves the second in no doubt.
        """
        if not self.words.ends.search(text) or not self.words.serious(text):
            return Said(self.candidate_facts(text, actor))
        ended: list[Ending] = []
        others: list[str] = []
        for sentence in self.words.sentences(text):
            found, rest = self.ends_of(sentence, lambda said: self.candidate_fact(said, actor, whole=True))
            ended += found
            others.append(rest if found else sentence)
        rest = " ".join(filter(None, others))
        if not ended or self.words.taken_back.search(rest):
            return Said(self.candidate_facts(text, actor))
        facts = self.candidate_facts(rest, actor)
        if any((fact.subject, fact.relation, fact.object) in ended for fact in facts):
            return Said()  # it ends what it states
        return Said(facts, tuple(dict.fromkeys(ended)))

    def candidate_fact(self, text: str, actor: str | None = None, *, whole: bool = False) -> Fact | None:
        """The first of :meth:`candidate_facts`, or ``None``."""
        return next(iter(self.candidate_facts(text, actor, whole=whole)), None)

    def candidate_facts(self, text: str, actor: str | None = None, *, whole: bool = False) -> tuple[Fact, ...]:
        """The facts that plain statements make, in their order.

        Args:
            text: what was said; up to four sentences are read.
            actor: who said it: the subject of "I" and the owner of "my". Without a name, or when it is ``"user"``, the
                subject is ``"user"``; what an assistant says of itself is nobody's fact.
            whole: read no sentence by a part of it alone, as "I changed jobs, I now work at Acme".
        """
        if not self.words.serious(text):
            return ()
        speaker, parts = speaker_of(actor), self.words.sentences(text)
        read = [(at, fact) for at, part in enumerate(parts) for fact in self.facts_of(part, speaker, whole=whole)]
        told = [fact for _, fact in read]
        found: list[Fact] = []
        for at, fact in read:
            if not self._undone(fact, at, told, parts) and not any(same_fact(fact, other) for other in found):
                found.append(fact)
        return tuple(found[:MOST_FACTS])

    def tells_more(self, text: str, facts: Sequence[Fact]) -> bool:
        """Whether a text says anything beside these facts: a word that is neither theirs nor one that their relations are said with."""
        words, known = self.words, set[str]()
        for fact in facts:
            said_with = " ".join(words.said_with.get(canonical(fact.relation), ()))
            known |= words.of(f"{fact.subject} {fact.relation} {fact.object}") | words.of(said_with)
        return not words.of(text) <= known

    def without(self, text: str, over: Sequence[Fact], actor: str | None = None) -> str | None:
        """A text without what states these facts: "I work as a plumber." of "I live in Graz and work as a plumber."

        ``None`` where they cannot be cut out with nothing else, or nothing would be left.
        """
        speaker, kept, cut = speaker_of(actor), list[str](), 0
        for sentence in self.words.sentences(text):
            clauses = list(self.clauses_of(sentence, speaker))
            gone = [[fact for fact in over if c.fact is not None and same_fact(c.fact, fact)] for c in clauses]
            cut += sum(map(len, gone))
            if any(facts and self.tells_more(c.text, facts) for c, facts in zip(clauses, gone, strict=True)):
                return None
            rest = [c for c, facts in zip(clauses, gone, strict=True) if not facts]
            if rest:
                said = f" {self.words.joiner} ".join((rest[0].alone, *(c.text for c in rest[1:])))
                kept.append(f"{said[:1].upper()}{said[1:]}." if any(gone) else sentence)
        return " ".join(kept) if cut == len(over) and kept else None

    def apart(self, text: str, facts: Sequence[Fact], actor: str | None = None) -> Iterator[tuple[str, Fact]]:
        """Each of these facts that a text states, with the words that would state it alone: "I work as a plumber"."""
        speaker = speaker_of(actor)
        clauses = [clause for sentence in self.words.sentences(text) for clause in self.clauses_of(sentence, speaker)]
        for fact in facts:
            said = next((c.alone for c in clauses if c.fact is not None and same_fact(c.fact, fact)), None)
            if said is not None:
                yield said, fact

    def several(self, text: str) -> bool:
        """Whether a text may say more than one thing: more than one sentence, or joined parts that are long enough for statements."""
        parts = [part for part in self.words.joint.split(text) if len(part.split()) >= _STATED]
        return len(parts) > 1 or len(self.words.sentences(text)) != 1

    def _undone(self, fact: Fact, at: int, read: Sequence[Fact], sentences: Sequence[str]) -> bool:
        """Whether the rest of the text doubts the statement, takes it back, or goes on to what came of it."""
        if any(_rivals(fact, other) for other in read):
            return True
        if any(self.words.doubt.search(other) for other in (*sentences[:at], *sentences[at + 1 :])):
            return True
        return any(self.words.since.match(other) for other in sentences[at + 1 :])


def _rivals(fact: Fact, other: Fact) -> bool:
    same = (fact.subject, fact.relation) == (other.subject, other.relation)
    return same and fact.functional and fact.object != other.object
