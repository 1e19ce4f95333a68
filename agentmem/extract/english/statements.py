"""What a text states: the facts of its sentences, and of each clause of a sentence that states several.

"I live in Graz and work as a plumber" says two things of one subject, which end at different times. A sentence is taken apart only where
each part is a statement in itself, with the subject of the one before it; what nobody can tell apart stays one statement or none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from agentmem.extract.english.facts import sentence_fact, sentences, serious, speaker_of, statement, statement_fact
from agentmem.extract.english.verbs import DOUBT, HEADS, SINCE
from agentmem.extract.lexicon import STOPWORDS
from agentmem.extract.relations import canonical, same_value
from agentmem.notes.note import Fact, Note

__all__ = [
    "MOST_FACTS",
    "candidate_fact",
    "candidate_facts",
    "said_apart",
    "same_fact",
    "several",
    "still_told",
    "tells_more",
    "without",
]

MOST_FACTS: Final = 16
"""Facts of one note."""
_JOINT: Final = re.compile(r",? and (?:also |now )?|,? but (?:also |now )?|, (?:also |now )?|; ?", re.IGNORECASE)
_JOINED: Final = re.compile(r"\b(?:and|but)\b|;", re.IGNORECASE)
_STATED: Final = 3
"""Words of the shortest statement."""
_BE: Final = frozenset({"am", "is", "are"})
_PAST: Final = re.compile(
    r"\b(?:ago|once|then|back|when|was|were|raised|grew|during|first|before|after|until)\b", re.IGNORECASE
)
_OPENING: Final = ("i ", "i'", "im ", "my ")
"""How somebody begins who speaks of themselves."""
_WORD: Final = re.compile(r"[^\W_]+")
_SAID_WITH: Final = {
    relation: frozenset(
        word for phrases in HEADS.values() for phrase in phrases if phrase.relation == relation for word in phrase.words
    )
    for relation in {phrase.relation for phrases in HEADS.values() for phrase in phrases}
} | {"age": frozenset(("years", "old")), "name": frozenset(("name", "called"))}
"""The words that a relation is said with: "moved", "reside"."""
_OWN: Final = STOPWORDS | frozenset("am m ve also now currently user name called".split())


def candidate_fact(text: str, actor: str | None = None, *, whole: bool = False) -> Fact | None:
    """The first of :func:`candidate_facts`, or ``None``.

    Args:
        whole: read no sentence by a part of it alone, as "I changed jobs, I now work at Acme".
    """
    return next(iter(candidate_facts(text, actor, whole=whole)), None)


def candidate_facts(text: str, actor: str | None = None, *, whole: bool = False) -> tuple[Fact, ...]:
    """The facts that plain statements make, in their order.

    Args:
        text: what was said; up to four sentences are read.
        actor: who said it: the subject of "I" and the owner of "my". Without a name, or when it is ``"user"``, the
            subject is ``"user"``; what an assistant says of itself is nobody's fact.
        whole: as for :func:`candidate_fact`.
    """
    if not serious(text):
        return ()
    speaker, parts = speaker_of(actor), sentences(text)
    read = [(at, fact) for at, part in enumerate(parts) for fact in _facts(part, speaker, whole=whole)]
    told = [fact for _, fact in read]
    found: list[Fact] = []
    for at, fact in read:
        if not _undone(fact, at, told, parts) and not any(same_fact(fact, other) for other in found):
            found.append(fact)
    return tuple(found[:MOST_FACTS])


def same_fact(one: Fact, other: Fact) -> bool:
    """Whether two facts state the same, whenever it holds."""
    said = (one.subject.casefold(), one.relation.casefold()) == (other.subject.casefold(), other.relation.casefold())
    return said and same_value(one.relation, one.object, other.object)


def tells_more(text: str, facts: Sequence[Fact]) -> bool:
    """Whether a text says anything beside these facts: whether it has a word that is neither theirs nor one that their relations are said with."""
    known: set[str] = set()
    for fact in facts:
        known |= _words(f"{fact.subject} {fact.relation} {fact.object}") | _words(
            " ".join(_SAID_WITH.get(canonical(fact.relation), ()))
        )
    return not _words(text) <= known


def without(text: str, over: Sequence[Fact], actor: str | None = None) -> str | None:
    """A text without what states these facts: "I work as a plumber." of "I live in Graz and work as a plumber."

    ``None`` where they cannot be cut out with nothing else, or nothing would be left.
    """
    speaker, kept, cut = speaker_of(actor), list[str](), 0
    for sentence in sentences(text):
        clauses = list(_clauses(sentence, speaker))
        gone = [[fact for fact in over if c.fact is not None and same_fact(c.fact, fact)] for c in clauses]
        cut += sum(map(len, gone))
        if any(facts and tells_more(c.text, facts) for c, facts in zip(clauses, gone, strict=True)):
            return None
        rest = [c for c, facts in zip(clauses, gone, strict=True) if not facts]
        if rest:
            said = " and ".join((rest[0].alone, *(c.text for c in rest[1:])))
            kept.append(f"{said[:1].upper()}{said[1:]}." if any(gone) else sentence)
    return " ".join(kept) if cut == len(over) and kept else None


def still_told(note: Note, moment: datetime | None = None) -> str | None:
    """The words of a note without what had ended by a moment, or has ended at all; ``None`` where nothing can be cut out, or has to be."""
    over = [fact for fact in note.facts if fact.valid_to is not None and (moment is None or fact.valid_to <= moment)]
    return without(note.content, over, note.actor) if over else None


def said_apart(note: Note) -> Iterator[tuple[str, Fact]]:
    """Each fact of a note that states several, with the words that would state it alone: "I work as a plumber"."""
    if len(note.facts) < 2:
        return
    speaker = speaker_of(note.actor)
    clauses = [clause for sentence in sentences(note.content) for clause in _clauses(sentence, speaker)]
    for fact in note.facts:
        said = next((c.alone for c in clauses if c.fact is not None and same_fact(c.fact, fact)), None)
        if said is not None:
            yield said, fact


def several(text: str) -> bool:
    """Whether a text may say more than one thing: more than one sentence, or more than one joined part that is long enough for a statement."""
    parts = [part for part in _JOINED.split(text) if len(part.split()) >= _STATED]
    return len(parts) > 1 or len(sentences(text)) != 1


def _facts(sentence: str, speaker: str | None, *, whole: bool) -> tuple[Fact, ...]:
    """The facts of a sentence: of its clauses, where the first and another state one and nothing casts a doubt on them; else its only one."""
    if not whole and statement(sentence.replace(";", ",")):
        clauses = list(_clauses(sentence, speaker))
        facts = [c.fact for c in clauses if c.fact is not None]
        joined = _JOINED.search(sentence) is not None  # what is only strung together may go on from then to now
        doubtful = any(DOUBT.search(c.text) or _PAST.search(c.text) for c in clauses if c.fact is None or not joined)
        opened = clauses[0].fact is not None or bool(_lead(statement(clauses[0].text)))
        if len(facts) > 1 and opened and not doubtful:
            return tuple(facts)
    fact = sentence_fact(sentence, speaker, whole=whole)
    return () if fact is None else (fact,)


class _Clause(NamedTuple):
    """A part of a sentence, what it states, and how it would be said alone."""

    text: str
    fact: Fact | None
    alone: str


def _clauses(sentence: str, speaker: str | None) -> Iterator[_Clause]:
    """The parts of a sentence; one that begins with no verb and states nothing belongs to the one before it."""
    sentence = sentence.strip().replace("’", "'").rstrip(".!? ")
    cuts = [0, *(end for joint in _JOINT.finditer(sentence) for end in joint.span()), len(sentence)]
    begun, before, lead = 0, "", ""
    held: _Clause | None = None
    for start, end in zip(cuts[::2], cuts[1::2], strict=True):
        clause, theirs = _read(sentence[start:end], lead, speaker)
        if held is not None and _goes_on(clause, held.fact, lead):
            whole = _read(sentence[begun:end], before, speaker)[0]
            held = whole if whole.fact is not None else whole._replace(fact=held.fact)
            continue
        if held is not None:
            yield held
        begun, before, held, lead = start, lead, clause, theirs or lead
    if held is not None:
        yield held


def _goes_on(clause: _Clause, former: Fact | None, lead: str) -> bool:
    """Whether a part only goes on with the value before it: "Graz, Austria", "fish and chips"."""
    if _begins(clause.text) and (lead or clause.fact is not None):
        return False
    fact = clause.fact
    return fact is None or (former is not None and (fact.subject, fact.relation) == (former.subject, former.relation))


def _read(piece: str, lead: str, speaker: str | None) -> tuple[_Clause, str]:
    """What a part states, by itself or with the lead of the part before it; and the lead that it gives to the next."""
    subject, _, verb = lead.rpartition(" ")
    ways = [piece]
    ways += [f"{subject} {piece}"] if subject and _begins(piece) and not piece.lower().startswith(_OPENING) else []
    ways += [f"{lead} {piece}"] if verb in _BE else []
    for said in ways:
        tokens = statement(said)
        if tokens and (fact := statement_fact(tokens, speaker)) is not None:
            return _Clause(piece, fact, said), _lead(tokens)
    return _Clause(piece, None, ways[1] if len(ways) > 1 and _begins(piece) else piece), _lead(statement(piece))


def _lead(tokens: Sequence[str]) -> str:
    """The subject of a statement with its "am" or "is", or with the first word of its verb."""
    for at in range(1, min(len(tokens) - 1, 8)):
        if tokens[at].lower() in HEADS or tokens[at].lower() in _BE:
            return " ".join(tokens[: at + 1])
    return ""


def _begins(piece: str) -> bool:
    """Whether a part begins as a statement does: with a verb, or with who speaks."""
    first = piece.partition(" ")[0].lower()
    return first in HEADS or first in _BE or piece.lower().startswith(_OPENING)


def _words(text: str) -> set[str]:
    return {_bare(word) for word in _WORD.findall(text.casefold())} - _OWN


def _bare(word: str) -> str:
    """Without the ending of a third person or plural: "works" as "work"."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _undone(fact: Fact, at: int, read: Sequence[Fact], sentences: Sequence[str]) -> bool:
    """Whether the rest of the text doubts the statement, takes it back, or goes on to what came of it."""
    if any(_rivals(fact, other) for other in read):
        return True
    if any(DOUBT.search(other) for other in (*sentences[:at], *sentences[at + 1 :])):
        return True
    return any(SINCE.match(other) for other in sentences[at + 1 :])


def _rivals(fact: Fact, other: Fact) -> bool:
    same = (fact.subject, fact.relation) == (other.subject, other.relation)
    return same and fact.functional and fact.object != other.object
