"""Read a fact from a plain sentence, by rule, and only when the words leave no doubt.

A fact can close an older note or become a weight edit, so a wrong one costs more than a missed one: questions, guesses,
conditions, negations, quotations and reported speech give nothing, and a value must look like a value of its relation.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from agentmem.extract.english.values import ARTICLE, POINTERS, SHAPES, YEAR, name_part
from agentmem.extract.english.verbs import (
    DIETS,
    DOUBT,
    EMPHASIS,
    FIRST_PERSON,
    HEADS,
    KIN,
    LASTING,
    MANY,
    NAMED,
    OPENERS,
    PASSING,
    REJECT,
    ROLES,
    SIDELINES,
    SMALL_TALK,
    STATES,
    STAY,
)
from agentmem.extract.lexicon import NEGATIONS, STARTERS, STOPWORDS, WEEKDAYS
from agentmem.extract.relations import RELATIONS, Relation, relation
from agentmem.notes.note import Fact

__all__ = ["sentence_fact", "statement", "statement_fact"]

_MAX_WORDS = 26
_JOKING: Final = frozenset("😂🤣😜😝😉🙃😏")
_PICTURES: Final = re.compile("(?:[\\s.!):\u2600-\u27bf\u2b50\ufe0f\u200d\U0001f000-\U0001faff])+$")
_CONTRACTIONS: Final = {"i'm": "I am", "i've": "I have", "im": "I am"}
_BETWEEN: Final = frozenset("now currently presently still already finally recently officially".split())
"""Words between a subject and its verb that do not change what is stated."""
_KIN_NAMED: Final = re.compile(r"(?P<kin>(?:[a-z-]+ )?[a-z-]+),? (?P<name>[A-Z][\w-]+(?: [A-Z][\w-]+)?),?$")
"""My sister Ines, my best friend Tom: the name tells best who it is."""
_FURTHER: Final = re.compile(
    r"(?P<lead>(?:i|i'm|i've|i have|we|my|great news|good news|big news)\b[^,]{3,60}?),? (?:and |so )?(?P<rest>(?:I|my)\b .+)$",
    re.IGNORECASE,
)
_PAST: Final = re.compile(r"\b(?:ago|once|then|back|when|was|were|born|raised|grew|during|first)\b|\d", re.IGNORECASE)
"""What a story of the past is told with: the statement that follows may be of the past as well."""
_CHANGED: Final = re.compile(
    r"^(?:actually,? )?(?P<what>(?:my|[A-Z]\w+(?:'s|’s)) [\w -]{3,30}?)(?: has)?(?: just)? changed(?: to|[,:;]? (?:and )?it(?:'|’)?s(?: now)?|[,:;]? (?:and )?it is(?: now)?|:)"
    r" (?P<value>.+)$",
    re.IGNORECASE,
)
_HOW_WORKED: Final = re.compile(
    r"\b(works?|working) (?:remotely|mostly|full[ -]time|part[ -]time|freelance|directly) (for|at|as)\b", re.IGNORECASE
)
_OF_NOW: Final = re.compile(r"^(?:new|current|present) ", re.IGNORECASE)
_ALL_TIME: Final = re.compile(r"^all[- ]time (?=favou?rite )", re.IGNORECASE)
_FAVOURITE: Final = re.compile(r"(?:all[- ]time )?favou?rite \w", re.IGNORECASE)
_MY_FAVOURITE: Final = re.compile(
    r"^my (?:all[- ]time )?(?P<name>favou?rite (?!(?:of|in|at|for|to|on|with|when|so)\b)[a-z-]+(?: (?!(?:of|in|at|for|to|on|with|when|so)\b)[a-z-]+)?)$",
    re.IGNORECASE,
)
"""A favourite of any kind is who or what it is, also where "my …" of that kind has facts of its own: "my favourite team is Ajax"."""
_IS: Final = frozenset({"am", "is", "are", "was"})
_LEADS: Final = (
    POINTERS
    | STARTERS
    | frozenset(
        "sadly luckily fortunately happily thankfully interestingly surprisingly ironically oddly strangely apparently wrong false poor".split()
    )
)
"""What no subject begins with: it points somewhere, or opens the sentence ("Sadly Tom moved to Rome")."""
_TAIL: Final = re.compile(
    r",?\s+(?:now|today|currently|nowadays|these days|recently|lately|actually|by the way|too|as well|right now|at the moment"
    r"|since [\w ]{3,20}|for (?:\w+ ){1,2}(?:years?|months?|weeks?)(?: now)?|(?:last|this) (?:year|month|week|summer|winter"
    r"|spring|autumn|weekend)|yesterday|in (?:\w+ )?\d{4}|(?:\w+ ){1,2}(?:years?|months?|weeks?|days?) ago)$",
    re.IGNORECASE,
)
_THE_OF: Final = re.compile(r"^(?:the )([a-z][a-z -]{1,30}?) (?:of|in|at) (.+)$", re.IGNORECASE)
_NO_NAME: Final = frozenset(",:()/@#")
_STAYS: Final = frozenset({"lives in", "works at", "works as", "studies at"})
_EVENTS: Final = frozenset({"moved", "relocated", "started"})
_WHICH: Final = frozenset({"best", "only", "first"})
_OBJECTS: Final = frozenset({"likes", "dislikes", "owns", "makes", "studies"})
_HOW: Final = frozenset(
    """alone abroad all always at best both by day each early every fast from hard here home in it late mostly much near never
    nothing on online only option quickly right slowly so there through to together too under up well with without being having
    getting going""".split()
)
_COMPARED: Final = frozenset("more less most least than better enough badly crazy mad nuts lot".split())
_PLAYED: Final = re.compile(r" (?:(?:in|with|for|at|on|every) .*|and (?:sing|dance).*)$", re.IGNORECASE)
_RIVER: Final = re.compile(r"the (?:river )?(?!line\b|train\b)[^\W\d]+(?: river)?$", re.IGNORECASE)
_ACTIVITIES: Final = frozenset("hobby sport activity pastime exercise food dish dessert thing".split())
_CATEGORY: Final = frozenset("part bit thing one moment scene line so far right now today currently".split())
"""Words of a relation that only the talk around it gives a meaning: "my favourite part is the end"."""


def sentence_fact(sentence: str, speaker: str | None, *, whole: bool = False) -> Fact | None:
    """The fact of one sentence, or of the statement that follows another one in it: "I changed jobs, I now work at Acme".

    Args:
        speaker: as :func:`agentmem.extract.extractor.speaker_of` says; whole: read no sentence by its second half alone.
    """
    sentence = _HOW_WORKED.sub(r"\1 \2", sentence)
    changed = _CHANGED.match(sentence.strip())
    if changed:
        sentence = f"{changed['what']} is {changed['value']}"
    fact = statement_fact(tokens, speaker) if (tokens := statement(sentence)) else None
    if fact is not None or not tokens or whole:
        return fact
    found = _FURTHER.match(sentence.strip())
    if found is None or DOUBT.search(found["lead"]) or _PAST.search(found["lead"]):
        return None
    return statement_fact(tokens, speaker) if (tokens := statement(found["rest"])) else None


def statement(sentence: str) -> list[str]:
    """The words of a sentence that states something; an empty list when it asks, doubts, denies or reports."""
    sentence = sentence.strip().replace("’", "'")
    if "?" in sentence or ";" in sentence:
        return []
    if not _JOKING.isdisjoint(sentence):
        return []
    sentence = _PICTURES.sub("", sentence).rstrip(".! ):")
    head, separator, rest = _opener(sentence)
    if separator and all(w in OPENERS or w in ("by", "the", "way", "that", "just", "you", "know") for w in head):
        sentence = rest.strip()
    tokens = sentence.split()
    if len(tokens) > 2 and [t.lower() for t in tokens[:2]] in (["remember", "that"], ["note", "that"]):
        tokens = tokens[2:]
    first = _CONTRACTIONS.get(tokens[0].lower()) if tokens else None
    if first:
        tokens = [*first.split(), *tokens[1:]]
    if not 3 <= len(tokens) <= _MAX_WORDS:
        return []
    for token in tokens:
        word = token.lower().strip(",.:()'")
        if word in REJECT or word in NEGATIONS or word.endswith("n't"):
            return [] if word != "may" or token.islower() else tokens
    return tokens


def _opener(sentence: str) -> tuple[list[str], str, str]:
    for separator in (",", ":"):
        head, found, rest = sentence.partition(separator)
        if found and head.count(" ") <= 4:
            return head.lower().split(), found, rest
    return [], "", sentence


def statement_fact(tokens: list[str], speaker: str | None) -> Fact | None:
    """The fact of the words of one statement: each place is tried where a verb phrase may begin."""
    for at in range(1, min(len(tokens) - 1, 8)):
        word = tokens[at].lower()
        subject = " ".join(tokens[: at - 1] if at > 1 and tokens[at - 1] in _BETWEEN else tokens[:at])
        for phrase in HEADS.get(word, ()):
            if subject not in ("I", "i") and not FIRST_PERSON.isdisjoint(phrase.words):
                continue
            end = at + len(phrase.words)
            if end < len(tokens) and tuple(t.lower() for t in tokens[at:end]) == phrase.words:
                if phrase.relation in _STAYS and _passes(phrase.words, " ".join(tokens[end:])):
                    return None
                fact = _verbal(subject, phrase.relation, " ".join(tokens[end:]), phrase.inverse, speaker)
                if fact is not None:
                    return fact
        if word in _IS:
            fact = _nominal(subject, " ".join(tokens[at + 1 :]), speaker)
            return fact if fact is None or word != "was" or fact.relation in LASTING else None
    return None


def _passes(words: tuple[str, ...], value: str) -> bool:
    """Whether a home or a job is one for a while, or one of long ago."""
    event = not _EVENTS.isdisjoint(words)
    return (STAY if event else PASSING).search(value) is not None


def _verbal(subject: str, name: str, value: str, inverse: bool, speaker: str | None) -> Fact | None:
    if name == "born in" and YEAR.match(value):
        name = "birth year"
    if name == "founded in" and YEAR.match(value) is None:
        return None
    if inverse:
        if name == "river" and not _RIVER.match(subject):
            return None  # traffic, data and roads run through places as well
        subject, value = _TAIL.sub("", value), subject
        value = re.sub(r"^the river ", "", value, flags=re.IGNORECASE) if name == "river" else value
    if name == "name" and subject in ("I", "i"):
        return None
    if name in ("likes", "dislikes") and value.lower().startswith("the "):
        return None  # "I love the frosting" is about what is on the table
    if name == "plays":
        value = _PLAYED.sub("", value)
    if name in _OBJECTS and not _is_object(name, value):
        return None
    return _fact(_subject(subject, speaker), RELATIONS[name], value, speaker)


def _is_object(name: str, value: str) -> bool:
    """Whether a verb goes on with what is liked, owned, made or studied, and not with how, when or how much."""
    words = value.lower().split()
    if words[0] in _HOW or not _COMPARED.isdisjoint(words) or (name == "owns" and words[0][0].isdigit()):
        return False
    if name == "makes":  # "makes Ana happy", "makes 50k a year"
        return not words[0][0].isdigit() and not (len(words) == 2 and value[0].isupper() and value.split()[1].islower())
    return True


def _nominal(subject: str, value: str, speaker: str | None) -> Fact | None:
    """Read what "is" says: X's R is Y; my R is Y; the R of X is Y; Y is the R of X; X is a ROLE; X is 30 years old."""
    while value.partition(" ")[0].lower() in EMPHASIS:
        value = value.partition(" ")[2]
    if turned := _turned(value):
        owner, name = turned
        known = relation(name)
        how = known is None or (owner == "I" and _says_how(known, subject))
        return None if how else _fact(_subject(owner, speaker), known, subject, speaker)
    owned = _owner(subject)
    if owned:
        known = relation(_OF_NOW.sub("", owned[1]))
        if known is None or _says_how(known, value):
            return None
        return _fact(_subject(owned[0], speaker), known, value, speaker)
    person = _person_of(subject)
    if person and (fact := _fact(speaker, person, value, speaker)):
        return fact
    years = re.fullmatch(r"(\d{1,3}) years old", value)
    if years:
        return _fact(_subject(subject, speaker), RELATIONS["age"], years.group(1), speaker)
    if value.lower() in DIETS:
        return _fact(_subject(subject, speaker), RELATIONS["diet"], value.lower(), speaker)
    role = re.match(r"(?:an? )([a-z-]+(?: [a-z-]+){0,3})(?: (?:at|for|in|from|and|with) .*)?$", value)
    if role and role.group(1).split()[-1] in ROLES and SMALL_TALK.isdisjoint(role.group(1).split()):
        fact = _fact(_subject(subject, speaker), RELATIONS["works as"], role.group(1), speaker)
        return fact and replace(fact, functional=role.group(1).split()[-1] not in SIDELINES)
    return None


def _turned(value: str) -> tuple[str, str] | None:
    """Owner and relation where these come last: Y is "the mayor of Porto", "my favourite team"."""
    if mine := _MY_FAVOURITE.match(_TAIL.sub("", value)):
        return "I", mine["name"]
    found = _THE_OF.match(value)
    return (_TAIL.sub("", found.group(2)), found.group(1)) if found else None


def _says_how(known: Relation, value: str) -> bool:
    """Whether "is" goes on with how, where or when the thing is, and not with what it is."""
    if known.shape not in ("thing", "role"):
        return False
    words = ARTICLE.sub("", value).split()
    kind = known.name.rpartition(" ")[2]
    if not words or not _CATEGORY.isdisjoint(known.name.split()) or (kind in NAMED and words[0].islower()):
        return True
    if kind in KIN and re.match(r"an? [a-z]", value):
        return True  # "my favourite cat is a stray"
    if known.shape == "role":
        return _TAIL.sub("", value).split()[-1].lower() not in ROLES
    first, last = words[0].lower(), words[-1].lower()
    alone = len(words) == 1 or words[1].lower() in STATES | POINTERS
    participle = alone and (
        (first.endswith("ing") and kind not in _ACTIVITIES) or (len(first) > 4 and first.endswith("ed"))
    )
    adverb = len(words) > 1 and first.endswith("ly")
    measured = len(words) > 1 and first[0].isdigit() and last in STATES
    return first in STATES or ((participle or adverb) and words[0].islower()) or measured


def _owner(subject: str) -> tuple[str, str] | None:
    """Split "Ana's favourite food", "my sister's name", "my name", "the mayor of Porto" into owner and relation."""
    named = _THE_OF.match(subject)
    if named:
        return named.group(2), named.group(1)
    owner, mark, rest = subject.rpartition("'s ")
    if mark:
        return owner, rest
    first, _, rest = subject.partition(" ")
    if first.lower() == "my" and rest and (_FAVOURITE.match(rest) or not _kin(rest)):
        return "I", _ALL_TIME.sub("", rest)
    return None


def _person_of(subject: str) -> Relation | None:
    """The relation of "my boss", "my new husband": who it is can be said, as well as what that person does."""
    first, _, rest = subject.partition(" ")
    known = relation(_OF_NOW.sub("", rest)) if first.lower() == "my" else None
    return known if known is not None and known.shape == "person" else None


def _kin(words: str) -> bool:
    return words.lower().split()[-1] in KIN


def _one(words: str) -> bool:
    """Whether "my …" tells which one: "my best friend" does, "my friend" and "my old friend" do not."""
    *adjectives, kind = words.lower().split()
    return kind not in MANY or any(word in _WHICH or word.endswith("est") for word in adjectives)


def _subject(text: str, speaker: str | None) -> str | None:
    """Who a statement is about, or ``None`` when the words do not say."""
    text = text.strip().rstrip(",")
    lower = text.lower()
    if lower == "i":
        return speaker
    if lower.startswith("my "):
        rest = lower[3:]
        if named := _KIN_NAMED.match(text[3:]):
            return named["name"] if _kin(named["kin"]) else None
        if speaker is None or not _kin(rest) or len(rest.split()) > 3 or not _one(rest):
            return None
        return f"{speaker}'s {rest}"
    parts = text.split()
    if not parts or len(parts) > 6 or not _NO_NAME.isdisjoint(text) or parts[0].lower().partition("'")[0] in _LEADS:
        return None
    core = parts[1:] if parts[0] in ("The", "the") else parts
    if not core or any(not name_part(part) for part in core) or core[0].lower() in STOPWORDS | WEEKDAYS.keys():
        return None
    return text


def _fact(subject: str | None, known: Relation | None, value: str, speaker: str | None) -> Fact | None:
    if subject is None or known is None:
        return None
    cleaned = _value(value, known.shape, speaker)
    if cleaned is None or cleaned.casefold() == subject.casefold():
        return None
    # Two names of "my dog" are two dogs rather than one renamed, and "a bank" may be the very one that was named before.
    several = (known.name == "name" and "'s " in subject) or (
        known.shape == "organisation" and cleaned.startswith(("a ", "an "))
    )
    return Fact(subject, known.name, cleaned, functional=known.functional and not several)


def _value(value: str, shape: str, speaker: str | None) -> str | None:
    """The value as it is stored, or ``None`` when it does not look like one of this shape."""
    value = value.strip(" ,.")
    if shape not in ("date", "year", "number", "phone", "email", "address"):
        value = _TAIL.sub("", value).strip(" ,.")
    if not value or value.split()[0].lower() in POINTERS:
        owned = value.lower().startswith("my ") and _subject(value, speaker)
        return owned or None
    check = SHAPES[shape]
    return check(value)
