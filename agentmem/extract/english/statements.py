"""What a text states: the facts of its sentences, and of each clause of a sentence that states several.

"I live in Graz and work as a plumber" says two things of one subject, which end at different times. A sentence is taken apart only where
each part is a statement in itself, with the subject of the one before it; what nobody can tell apart stays one statement or none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from agentmem.extract.english.facts import sentence_fact, statement, statement_fact
from agentmem.extract.english.verbs import DOUBT, HEADS
from agentmem.extract.language import StatedClause
from agentmem.extract.lexicon import STOPWORDS
from agentmem.notes.note import Fact

__all__ = ["JOINED", "OWN", "SAID_WITH", "bare", "clauses_of", "facts_of"]

_JOINT: Final = re.compile(r",? and (?:also |now )?|,? but (?:also |now )?|, (?:also |now )?|; ?", re.IGNORECASE)
JOINED: Final = re.compile(r"\b(?:and|but)\b|;", re.IGNORECASE)
_BE: Final = frozenset({"am", "is", "are"})
_PAST: Final = re.compile(
    r"\b(?:ago|once|then|back|when|was|were|raised|grew|during|first|before|after|until)\b", re.IGNORECASE
)
_OPENING: Final = ("i ", "i'", "im ", "my ")
"""How somebody begins who speaks of themselves."""
SAID_WITH: Final = {
    relation: frozenset(
        word for phrases in HEADS.values() for phrase in phrases if phrase.relation == relation for word in phrase.words
    )
    for relation in {phrase.relation for phrases in HEADS.values() for phrase in phrases}
} | {"age": frozenset(("years", "old")), "name": frozenset(("name", "called"))}
"""The words that a relation is said with: "moved", "reside"."""
OWN: Final = STOPWORDS | frozenset("am m ve also now currently user name called".split())


def facts_of(sentence: str, speaker: str | None, *, whole: bool) -> tuple[Fact, ...]:
    """The facts of a sentence: of its clauses, where the first and another state one and nothing casts a doubt on them; else its only one."""
    if not whole and statement(sentence.replace(";", ",")):
        clauses = list(clauses_of(sentence, speaker))
        facts = [c.fact for c in clauses if c.fact is not None]
        joined = JOINED.search(sentence) is not None  # what is only strung together may go on from then to now
        doubtful = any(DOUBT.search(c.text) or _PAST.search(c.text) for c in clauses if c.fact is None or not joined)
        opened = clauses[0].fact is not None or bool(_lead(statement(clauses[0].text)))
        if len(facts) > 1 and opened and not doubtful:
            return tuple(facts)
    fact = sentence_fact(sentence, speaker, whole=whole)
    return () if fact is None else (fact,)


def clauses_of(sentence: str, speaker: str | None) -> Iterator[StatedClause]:
    """The parts of a sentence; one that begins with no verb and states nothing belongs to the one before it."""
    sentence = sentence.strip().replace("’", "'").rstrip(".!? ")
    cuts = [0, *(end for joint in _JOINT.finditer(sentence) for end in joint.span()), len(sentence)]
    begun, before, lead = 0, "", ""
    held: StatedClause | None = None
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


def _goes_on(clause: StatedClause, former: Fact | None, lead: str) -> bool:
    """Whether a part only goes on with the value before it: "Graz, Austria", "fish and chips"."""
    if _begins(clause.text) and (lead or clause.fact is not None):
        return False
    fact = clause.fact
    return fact is None or (former is not None and (fact.subject, fact.relation) == (former.subject, former.relation))


def _read(piece: str, lead: str, speaker: str | None) -> tuple[StatedClause, str]:
    """What a part states, by itself or with the lead of the part before it; and the lead that it gives to the next."""
    subject, _, verb = lead.rpartition(" ")
    ways = [piece]
    ways += [f"{subject} {piece}"] if subject and _begins(piece) and not piece.lower().startswith(_OPENING) else []
    ways += [f"{lead} {piece}"] if verb in _BE else []
    for said in ways:
        tokens = statement(said)
        if tokens and (fact := statement_fact(tokens, speaker)) is not None:
            return StatedClause(piece, fact, said), _lead(tokens)
    return StatedClause(piece, None, ways[1] if len(ways) > 1 and _begins(piece) else piece), _lead(statement(piece))


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


def bare(word: str) -> str:
    """Without the ending of a third person or plural: "works" as "work"."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
