"""From a fact to the ways it is asked for: a question, paraphrases that become keys, and probes held out to check them.

A weight edit is only worth having when it answers phrasings that it was not written with, so every fact gets two
disjoint sets: paraphrases, which the editor may use, and probes, which only verification sees.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from agentmem.consolidation.templates import (
    DOES,
    FAVOURITE,
    FRAMES,
    HAS,
    IS,
    NOUN,
    NOUNS,
    OPAQUE,
    PERSONS,
    TEMPLATES,
    THINGS_TOO,
)
from agentmem.consolidation.wordings import independent
from agentmem.extract.english.names import compare
from agentmem.extract.english.predicates import Form, form, head
from agentmem.extract.lexicon import STOPWORDS
from agentmem.extract.relations import canonical, meant

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agentmem.notes.note import Fact, Note

__all__ = [
    "Heard",
    "NotPhrased",
    "Phrased",
    "framed",
    "paraphrases",
    "phrase",
    "probed",
    "question",
    "requests_for",
    "target",
    "unique",
]

MAX_ANSWER: Final = 80
"""Characters: a longer answer is a text to look up, not a thing to know by heart."""
MAX_PARAPHRASES: Final = 8
MAX_PROBES: Final = 4
MAX_ASKED: Final = 2
"""Real wordings that are probes besides."""
_MIN_PARAPHRASES, _MIN_PROBES = 4, 2
_MAX_QUESTION = 300  # characters: what is longer is no question that comes again in other words

_CHOICE: Final = re.compile(r"\[([^|\]]*)\|([^\]]*)\]")
_ASKING: Final = frozenset("what who whom whose where when why how which".split())
_FIRST_PERSON: Final = re.compile(r"\b(?:i|me|my|mine|myself|we|us|our|ours)\b", re.IGNORECASE)
_POINTERS: Final = frozenset("he she it they we you i this that these those him her them someone".split())


class Heard(NamedTuple):
    """A wording in which something was asked, the latest answer that was drawn from the note, how often, and by what the store knows it."""

    question: str
    answer: str
    times: int = 1
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Phrased:
    """A fact ready to be written into weights.

    ``question`` and ``paraphrases`` may be keys of the edit; ``probes`` are other phrasings, never used as keys.

    Attributes:
        subject: whom it is about; empty where only use tells.
        heard: where use taught it, the wordings in which it was asked and what they were answered, the question among them.
        marks: where use taught it, by what the store knows the wordings that may be keys: with these it has to go.
    """

    subject: str
    question: str
    target: str
    paraphrases: tuple[str, ...]
    probes: tuple[str, ...]
    heard: tuple[Heard, ...] = ()
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotPhrased:
    """Why a note cannot be asked for."""

    reason: str


def question(fact: Fact) -> str:
    """The most natural question for the fact: its own when it has one."""
    return fact.question or _questions(fact)[0]


def paraphrases(fact: Fact, limit: int = 12) -> list[str]:
    """Other ways to ask the same: the fact's own first, then by rule, with and without a lead-in."""
    rest = unique([*fact.paraphrases, *_questions(fact), *framed([question(fact), *_questions(fact)])])
    asked = question(fact).casefold()
    return [text for text in rest if text.casefold() != asked][:limit]


def target(fact: Fact) -> str:
    """The answer as it is to be said: the object and a full stop."""
    answer = " ".join(fact.object.split()).rstrip(" .;:,")
    return answer if answer.endswith(("!", "?", "…")) else f"{answer}."


def phrase(fact: Fact) -> Phrased | NotPhrased:
    """Question, target, paraphrases and held-out probes of a fact, or the reason why there are none.

    The last plain questions of a relation are probes, because other words are a harder test than another lead-in; what
    the fact brings itself goes into the keys. Where no probe is a wording of its own, the last that the fact brings becomes one:
    what is asked in the keys' own words only proves nothing.
    """
    reason = _unfit(fact)
    if reason:
        return NotPhrased(reason)
    first = question(fact)
    own = [text for text in unique(fact.paraphrases) if text.casefold() != first.casefold()]
    keys, probes = _keys_and_probes(fact, first, own)
    if len(own) > 1 and not independent(probes, (first, *keys), fact.subject):
        fewer, others = _keys_and_probes(fact, first, own[:-1])
        if independent(own[-1:], (first, *fewer), fact.subject):
            keys, probes = (
                fewer,
                [own[-1], *(text for text in others if own[-1].casefold() not in text.casefold())][:MAX_PROBES],
            )
    if len(keys) < _MIN_PARAPHRASES or len(probes) < _MIN_PROBES:
        return NotPhrased("there are too few different ways to ask for it")
    return Phrased(fact.subject, first, target(fact), tuple(keys), tuple(probes))


def _keys_and_probes(fact: Fact, first: str, own: Sequence[str]) -> tuple[list[str], list[str]]:
    """Paraphrases for the editor, and phrasings that it never sees."""
    made = [text for text in _questions(fact) if text.casefold() not in {t.casefold() for t in (first, *own)}]
    held = min(len(made) // 2, MAX_PROBES - 1)
    plain, probes = made[: len(made) - held], made[len(made) - held :]
    # Lead-ins fill both sides, different ones on each, and only around questions that are no probes themselves.
    frames = framed([first, *own, *plain])
    keys = [*own, *plain][:MAX_PARAPHRASES]
    keys += frames[0::2][: max(_MIN_PARAPHRASES + 1 - len(keys), 0)]
    probes = [*probes, *frames[1::2][: max(_MIN_PROBES - len(probes), 1)]]
    taken = {text.casefold() for text in (first, *keys)}
    return keys, [text for text in unique(probes) if text.casefold() not in taken][:MAX_PROBES]


def requests_for(note: Note) -> Phrased | NotPhrased:
    """What to ask and what to answer for the fact of a note, or why it has no such question."""
    if note.fact is None:
        return NotPhrased("the note states no single fact")
    return phrase(note.fact)


def probed(made: Phrased, asked: Iterable[str]) -> Phrased:
    """The same with the wordings in which it was really asked before the other probes, the first of ``asked`` first.

    One that is a key already, or does not name whom the fact is about, proves nothing. None becomes a key: what an edit is written with
    stays in it when the question is forgotten.
    """
    keys = {_bare(text) for text in (made.question, *made.paraphrases)}
    real = [text for text in unique(asked) if _bare(text) not in keys and _names(text, made.subject)]
    probes = [text for text in made.probes if _bare(text) not in set(map(_bare, real))]
    return replace(made, probes=(*real[:MAX_ASKED], *probes))


def _bare(text: str) -> str:
    return text.casefold().strip(" ?!.")


def _unfit(fact: Fact) -> str:
    parts = (fact.subject, fact.relation, fact.object)
    if not all(part.strip() for part in parts):
        return "the fact has an empty part"
    if not canonical(fact.relation).removeprefix("favourite").strip():
        return f"the relation {fact.relation!r} says nothing"
    if any("\n" in part for part in parts):
        return "the fact runs over several lines"
    words = fact.subject.casefold().split()
    if fact.subject.strip().casefold() in _POINTERS or words[0] in _ASKING or all(word in STOPWORDS for word in words):
        return f"the subject {fact.subject!r} does not say who is meant"
    if len(fact.object) > MAX_ANSWER:
        return f"the answer has {len(fact.object)} characters; more than {MAX_ANSWER} is a text to look up"
    if foreign := next(
        (text for text in (fact.question, *fact.paraphrases) if text and not _names(text, fact.subject)), None
    ):
        return f"the question {foreign[:60]!r} does not name {fact.subject!r}: it would answer for others"
    longest = max(len(text) for text in (question(fact), *fact.paraphrases, *_questions(fact)))
    if longest > _MAX_QUESTION:
        return f"a question for it has {longest} characters; at most {_MAX_QUESTION} are asked"
    return ""


def _names(text: str, subject: str) -> bool:
    """Whether a question is about a subject: it has its name, or says "I" or "my" where the subject is who asks."""
    name = " ".join(subject.split())
    if name.casefold().split("'")[0].split("’")[0] == "user":
        return _FIRST_PERSON.search(text) is not None
    return name.casefold() in text.casefold() or compare(name, text).likeness == "same"


def _questions(fact: Fact) -> list[str]:
    """The plain questions for a fact, the most natural first."""
    name = meant(fact.relation, fact.subject, fact.object) or fact.relation
    values = _subject_forms(fact.subject)
    mine = fact.subject.strip().casefold() == "user"
    read = form(name)
    if name in TEMPLATES:
        patterns: Sequence[str] = TEMPLATES[name]
    elif name.startswith("favourite "):
        patterns, name = FAVOURITE, name.removeprefix("favourite ")
    else:
        patterns = _PATTERNS[read.kind]
    asks = "Who" if _is_person(head(name), fact.object) else "What"
    aux = "am" if mine and read.aux == "is" else "have" if mine and read.aux == "has" else read.aux
    person = r"\2" if mine else r"\1"
    filled = [_CHOICE.sub(person, pattern) for pattern in patterns]
    return unique(
        _fill(pattern, {**values, "r": name, "W": asks, "b": read.base, "rest": read.rest, "aux": aux})
        for pattern in filled
    )


def _is_person(noun: str, value: str) -> bool:
    """Whether a noun is asked for with "who"; a head, a chair and a coach may be things, whose values are written small."""
    return noun in PERSONS and not (noun in THINGS_TOO and value.strip()[:1].islower())


_PATTERNS: Final[dict[Form, tuple[str, ...]]] = {
    "noun": NOUN,
    "nouns": NOUNS,
    "does": DOES,
    "is": IS,
    "has": HAS,
    "open": OPAQUE,
}


def _fill(pattern: str, values: dict[str, str]) -> str:
    """Put the values in, once, so that braces or brackets inside a value stay what they are."""
    return re.sub(r"\{(\w+)\}", lambda match: values[match.group(1)], pattern)


def _subject_forms(subject: str) -> dict[str, str]:
    """The subject as it stands in a question; "user" is who asks, "user's sister" is "my sister"."""
    subject = " ".join(subject.split())
    if subject.casefold() == "user":
        return {"s": "I", "o": "me", "ps": "my", "S": "I", "its": "my"}
    if subject.casefold().startswith("user's "):
        subject = f"my {subject[7:]}"
    own = f"{subject}'" if subject.endswith("s") and not subject.endswith("ss") else f"{subject}'s"
    return {"s": subject, "o": subject, "ps": own, "S": subject, "its": "their"}


def framed(asked: Sequence[str]) -> list[str]:
    """Questions behind lead-ins, another question behind each."""
    return [frame.replace("{q}", asked[i % len(asked)]) for i, frame in enumerate(FRAMES)]


def unique(texts: Iterable[str]) -> list[str]:
    """The texts without blanks and repetitions, in order."""
    found: dict[str, str] = {}
    for text in texts:
        clean = " ".join(text.split())
        if clean:
            found.setdefault(clean.casefold(), clean)
    return list(found.values())
