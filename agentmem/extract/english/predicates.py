"""Whether the words of a relation are a noun ("preferred seat") or say what somebody does or is ("reports to", "afraid of").

What the words are shows in how they are built, not in their last letters: a noun phrase of English does not end in a preposition,
and "version", "plugin" and "motto" end in none. A single word in -s may be a verb or a plural, and what stands before a preposition
a participle or a past; such are asked for in words that fit both.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from agentmem.extract.english.verbs import FIRST_PERSON, HEADS

__all__ = ["Form", "Predicate", "form", "head"]

Form = Literal["noun", "nouns", "does", "is", "has", "open"]
"""A noun or its plural, what somebody does, is (or has done), or has; or none of these for certain."""

PREPOSITIONS: Final = frozenset(
    """about above across after against along among around as at before behind below beneath beside between beyond by down for from in inside into near
    of off on onto out outside over past through to towards toward under until up upon via with within without""".split()
)
_AUX: Final = frozenset("is are was were am has have had".split())
_USUAL: Final = frozenset(
    """use prefer need keep want host contain include require support wear eat drink ride lead manage teach read watch follow collect build sell buy
    cook grow sing write paint hear see get give take bring send spend cost weigh measure hold carry represent describe govern advise employ sponsor train
    believe fear trust admire respect avoid miss remember""".split()
)
_VERBS: Final = FIRST_PERSON | _USUAL | {word for head in HEADS for word in (head,)}
"""Verbs that relations are made of; the rest of the words in -s may as well be plurals."""
_ADJECTIVE: Final = re.compile(
    r"\w+(?:able|ible|ful|less|ous|ing)$|(?:keen|proud|afraid|fond|good|bad|close|married|allergic|due|free|full|short|sick|sure|aware|new|late|known|born|made|tired"
    r"|familiar|similar|dependent|independent|identical|different|relevant|typical|essential|present|absent|patient|content)$"
)
"""Endings that only adjectives have before a preposition, and the usual ones with endings that nouns have as well ("capital of")."""
_PARTICIPLE: Final = re.compile(
    r"(?:\w{2,}(?:ed|en|wn)|been|done|made|met|won|lost|read|sung|seen|got|kept|held|built|bought|sold|taught|caught|had)$"
)
_NOUNS: Final = re.compile(r"\w{2,}(?:ions|ings|ments|ers|ors|ances|ences|ities|ists|ships|isms|esses)$")
_SINGULAR: Final = re.compile(
    r"\w*(?:ss|us|is|ics)$|(?:news|series|species|means|alias|atlas|canvas|gas|lens|chaos|bias|visas?|christmas|texas|kansas)$"
)


class Predicate(NamedTuple):
    """What the words of a relation are: the verb as it stands behind "does", or the auxiliary and what follows it."""

    kind: Form
    base: str = ""
    aux: str = "is"
    rest: str = ""


def form(name: str) -> Predicate:
    """What the words of a relation are, in lower case with single spaces."""
    words = name.split()
    if not words:
        return Predicate("noun")
    first, last = words[0], words[-1]
    rest = " ".join(words[1:])
    if first in _AUX and rest:
        return _auxiliary(first, rest)
    if len(words) > 1 and last in PREPOSITIONS:
        return _stranded(first, name, rest)
    if _base(first) in _VERBS and first.endswith("s"):
        return Predicate("does", " ".join(filter(None, (_base(first), rest)))) if not rest else Predicate("open")
    main = head(name)
    if len(words) > 1 or not last.endswith("s") or _SINGULAR.match(last):
        return Predicate("nouns" if main.endswith("s") and not _SINGULAR.match(main) else "noun")
    return Predicate("nouns" if _NOUNS.match(last) else "open")


def head(name: str) -> str:
    """The word of a noun phrase that says what it is: "number" of "number of employees"."""
    words = name.split()
    end = next((at for at, word in enumerate(words) if at and word in PREPOSITIONS), len(words))
    return words[end - 1] if words else ""


def _auxiliary(aux: str, rest: str) -> Predicate:
    if aux in ("has", "have", "had"):
        perfect = _PARTICIPLE.match(rest.split(maxsplit=1)[0]) is not None
        return (
            Predicate("is", aux="had" if aux == "had" else "has", rest=rest)
            if perfect
            else Predicate("has", rest=re.sub(r"^an? ", "", rest))
        )
    past = aux in ("was", "were")
    return Predicate("is", aux="was" if past else "is", rest=rest)


def _stranded(first: str, name: str, rest: str) -> Predicate:
    """Words that end in a preposition: what follows it is asked."""
    if _ADJECTIVE.match(first):
        return Predicate("is", rest=name)
    if first.endswith("s") and not _SINGULAR.match(first):
        return Predicate("does", f"{_base(first)} {rest}")
    return Predicate("open")


def _base(verb: str) -> str:
    """The verb of its third person: studies, goes, uses."""
    if verb in ("has", "does"):
        return {"has": "have", "does": "do"}[verb]
    if re.search(r"[^aeiou]ies$", verb) and len(verb) > 4:
        return f"{verb[:-3]}y"
    if re.search(r"(?:ss|sh|ch|x|zz|[^aeiou]o)es$", verb):
        return verb[:-2]
    return verb.removesuffix("s")
