"""The facts that a caller gives with a text, and what they say to have ended: checked one by one, and against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from agentmem.errors import InvalidArgument, InvalidNote
from agentmem.extract import MOST_FACTS, Ending, same_fact
from agentmem.notes.clock import as_moment
from agentmem.notes.names import NAME_LIMIT, clean_text
from agentmem.notes.note import Fact
from agentmem.projections.linking import conflicting

__all__ = ["endings", "facts_given"]


def facts_given(fact: object, facts: object) -> tuple[Fact, ...]:
    """The facts that a caller gives: one, or several at once, of which none says twice or otherwise what another one does."""
    if isinstance(facts, bool):
        return () if fact is None else (_fact(fact),)
    if isinstance(facts, str | Mapping) or not isinstance(facts, Sequence) or isinstance(facts, Fact):
        raise InvalidArgument(
            f"facts must be True, False or a list of facts, not {facts!r:.80}.",
            hint="facts=[Fact('Ana', 'lives in', 'Porto'), Fact('Ana', 'works as', 'nurse')].",
        )
    if fact is not None:
        raise InvalidArgument("Both fact and facts were given.", hint="put all of them into facts=[…].")
    if not 0 < len(facts) <= MOST_FACTS:
        raise InvalidArgument(
            f"{len(facts)} facts were given.",
            hint=f"a note takes 1 to {MOST_FACTS}; facts=False reads none off its words, and more belong into several notes.",
        )
    found: list[Fact] = []
    for each in map(_fact, facts):
        for other in found:
            if same_fact(each, other):
                raise InvalidArgument(f"The fact {str(each)!r:.80} was given twice.", hint="leave one of them out.")
            if (conflicting(each, [(0, other)]) or conflicting(other, [(0, each)])) and _meet(each, other):
                raise InvalidArgument(
                    f"{str(each)!r:.80} contradicts {str(other)!r:.80}.",
                    hint="one value at a time: say with valid_from and valid_to when each holds, or functional=False where both do.",
                )
        found.append(each)
    return tuple(found)


def _meet(one: Fact, other: Fact) -> bool:
    """Whether two facts claim to hold at one time."""
    pairs = ((one, other), (other, one))
    return not any(a.valid_to is not None and b.valid_from is not None and a.valid_to <= b.valid_from for a, b in pairs)


def _fact(fact: object) -> Fact:
    if isinstance(fact, Mapping):
        known = {f.name for f in fields(Fact)} - {"ended_by"}
        if not set(fact) <= known or not {"subject", "relation", "object"} <= set(fact):
            raise InvalidArgument(
                "A fact needs subject, relation and object.", hint=f"it may have: {', '.join(sorted(known))}."
            )
        fact = Fact(**fact)
    elif isinstance(fact, Sequence) and not isinstance(fact, str) and len(fact) == 3:
        fact = Fact(*fact)
    if not isinstance(fact, Fact):
        raise InvalidArgument(
            f"fact must be a Fact, not {type(fact).__name__}.", hint="e.g. fact=Fact('Ana', 'lives in', 'Porto')."
        )
    if fact.ended_by is not None:
        raise InvalidArgument(
            "What ended a fact is found out, not given.", hint="leave ended_by out; valid_to says when it ended."
        )
    starts, until = (
        None if moment is None else as_moment(moment, name)
        for name, moment in (("valid_from", fact.valid_from), ("valid_to", fact.valid_to))
    )
    if starts and until and until <= starts:
        raise InvalidNote(
            "A fact's valid_to is not after its valid_from.", hint="the span is half-open: it ends after it starts."
        )
    parts = {name: _of_fact(getattr(fact, name), name) for name in ("subject", "relation", "object")}
    question, asked = fact.question, fact.paraphrases
    if isinstance(asked, str) or not isinstance(asked, Sequence):
        raise InvalidArgument(
            f"A fact's paraphrases must be a list of texts, not {asked!r:.80}.", hint="paraphrases=('Where is Ana?',)."
        )
    if not isinstance(fact.functional, bool):
        raise InvalidArgument(
            f"A fact's functional must be True or False, not {fact.functional!r:.80}.", hint="functional=True."
        )
    if any(len(v) > NAME_LIMIT for v in parts.values()):
        raise InvalidNote(
            "A part of the fact is too long.", hint=f"subject, relation and object take {NAME_LIMIT} characters each."
        )
    return replace(
        fact,
        subject=parts["subject"],
        relation=parts["relation"],
        object=parts["object"],
        question=None if question in (None, "") else _of_fact(question, "question"),
        paraphrases=tuple(_of_fact(phrase, "paraphrases") for phrase in asked),
        valid_from=starts,
        valid_to=until,
    )


def endings(ends: object) -> tuple[Ending, ...]:
    """What a caller says to hold no longer: (subject, relation, value), or several; ``None`` for whichever value there is."""
    if ends is None:
        return ()
    given: Sequence[Any] = ends if isinstance(ends, Sequence) and not isinstance(ends, str) else [ends]
    if any(part is None or isinstance(part, str) for part in given):
        given = [given]
    found = []
    for one in given:
        subject, name, value = one if isinstance(one, Sequence) and len(one) == 3 else (None, None, None)
        if not isinstance(subject, str) or not isinstance(name, str) or not isinstance(value, str | None):
            raise InvalidArgument(
                f"ends must say (subject, relation, value), not {one!r:.80}.",
                hint="e.g. ends=('Ana', 'lives in', 'Porto').",
            )
        fact = _fact((subject, name, "any" if value is None else value))
        found.append(Ending(fact.subject, fact.relation, None if value is None else fact.object))
    return tuple(found)


def _of_fact(text: str, name: str) -> str:
    try:
        return clean_text(text)
    except InvalidNote as error:
        raise InvalidNote(f"The fact's {name}: {error.message}", hint=error.hint) from error
