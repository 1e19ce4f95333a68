"""What a query asks for, read off its words: what to search for, whom it names or means, and which time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agentmem.extract import MACHINES, USERS, entities
from agentmem.extract.lexicon import FUNCTION_WORDS
from agentmem.extract.scripts import WORD, composed, cut, unspaced
from agentmem.notes.passages import LONG, SENTENCE_END
from agentmem.notes.rows import ASKING

__all__ = [
    "QueryView",
    "asked_part",
    "meant_actors",
    "named_actors",
    "of_asker",
    "query_terms",
    "query_words",
    "without_names",
]

_WORD = re.compile(rf"{WORD}(?:['’]{WORD})?")
_SENTENCE_END = re.compile(rf"{SENTENCE_END.pattern}|(?<=[。！？])")
_STOP = FUNCTION_WORDS | frozenset("s t d ll m re ve don didn doesn".split())  # what an apostrophe leaves
_ASKED = re.compile(
    "什么时候|什么时间|什麼時候|为什么|為什麼|什么|什麼|怎么样|怎麼樣|怎么|怎麼|怎样|怎樣|如何|哪里|哪裡|哪儿|哪些|哪个|哪個|哪一|哪|谁|誰|多少|几个|幾個|吗|嗎|呢|请问|請問|告诉我|告訴我"
    "|いつ|どこ|だれ|どれ|どの|どんな|どう|なぜ|なに|何|いくつ|いくら|でしょうか|でしたか|ましたか|ですか|ますか|です|ます"
    "|무엇|누구|누가|어디|언제|어느|어떤|어떻게|얼마나|몇|입니까|습니까|인가요|나요"
    "|เมื่อไหร่|เมื่อไร|ที่ไหน|อย่างไร|ยังไง|อะไร|ทำไม|เท่าไหร่|เท่าไร|ใคร|กี่|ไหม|หรือไม่"
)
"""What asks in scripts without blanks, and stands in no answer."""
_READ = 16_384  # characters at either end of a message in which a question is looked for
_VAGUE = (
    frozenset(
        "hey hi hello dear today now here going think thoughts help please know advice idea ideas suggestion suggestions suggest recommend tips tip "
        "else more further sure ok okay right sense thing things something anything way make mean like maybe possible next proceed start "
        "explain tell say give need want let's".split()
    )
    | _STOP
)
"""Words of a question that leave open what it is about."""
_ORDER = re.compile(
    r"(?:(?:and|so|now|then|ok|okay|hey|hi),? |please,? |just )*(?:tell|remind|show|give|find|list|write|draft|explain|describe|summari[sz]e|recommend|suggest"
    r"|compare|look up|let me know|i(?:'d| would) like to know|i need to know|i want to know)\b",
    re.IGNORECASE,
)
"""How a request begins that is no question."""
_FIRST = re.compile(
    r"\b(?:i|i['’](?:m|ve|d|ll)|me|my|mine|myself|we|we['’](?:re|ve|d|ll)|us|our|ours|ourselves)\b", re.IGNORECASE
)
_SECOND = re.compile(r"\byou(?:['’]\w+|r|rs|rself)?\b", re.IGNORECASE)
_REQUEST = re.compile(
    r"\b(?:(?:can|could|would|will) you (?:please |kindly )?|please )?(?:tell|remind|show|give|help) (?:me|us)\b"
    r"|\b(?:can|could|would|will) you (?:please |kindly )?(?:check|recall|remember|look up|find out|say)\b"
    r"|\bdo you (?:know|remember|recall|think|happen to know)\b|\bi (?:forgot|forget|wonder|was wondering|need to know|want to know)\b",
    re.IGNORECASE,
)
"""What leads in to any question, and asks of neither who asks nor who answers."""
_SAID = (
    "say|said|tell|told|recommend(?:ed)?|suggest(?:ed)?|mention(?:ed)?|list(?:ed)?|g[ai]ven?|provided?|write|wrote|written|explain(?:ed)?"
    "|described?|proposed?|advised?|created?|c[oa]me up"
)
_TOLD = re.compile(
    rf"\byou (?:ever |just |already |also |once )?(?:{_SAID})\b"
    r"|\byour (?:\w+ )?(?:advice|suggestions?|recommendations?|answers?|repl(?:y|ies)|lists?|explanations?|examples?)\b",
    re.IGNORECASE,
)
# "My", "where do I", "about me": a question about who asks. "Tell me" and "I forgot" lead in to any.
_OF_ASKER = re.compile(
    r"\b(?:my|mine|myself|our|ours|ourselves)\b"
    r"|\b(?:am|are|was|were|do|did|have|had|can|could|may|must|shall|should|will|would)\s+(?:i|we)\b"
    r"|\b(?:about|at|by|for|from|of|to|with)\s+(?:me|us)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class QueryView:
    """What a query asks for, beside its words.

    Attributes:
        actors: whose notes it asks for, by name or by "I" and "you"; ``None`` among them stands for notes without an actor.
        spans: which time (microseconds, half-open).
        named: those of the actors whom it names.
        foreign: the share of its letters in scripts that the embedder is not for.
        searched: its words without those of a date; alone: whether it asks for nothing but its times.
    """

    text: str
    actors: frozenset[str | None] = frozenset()
    spans: tuple[tuple[int, int], ...] = ()
    named: frozenset[str] = frozenset()
    foreign: float = 0.0
    searched: str = ""
    alone: bool = False


def asked_part(text: str) -> str | None:
    """What a long message asks: the questions and requests it begins and ends with, else all its questions; ``None`` when it is short or
    asks nothing.

    A message tells much that its question is not about, and an embedding model reads its beginning only. A question counts when two of
    its words say what it is about: "What do you think?" asks about all of the message.
    """
    if len(text) <= LONG:
        return None
    text = text.strip()
    text = text if len(text) <= 2 * _READ else f"{text[:_READ]}\n{text[-_READ:]}"
    sentences = [part for part in _SENTENCE_END.split(text) if part]
    telling = [part if _is_about_something(part) else "" for part in sentences]
    ends = [part for part in telling[:1] + telling[1:][-1:] if part.endswith(ASKING) or _ORDER.match(part)]
    return " ".join(ends or (part for part in telling if part.endswith(ASKING))) or None


def _is_about_something(question: str) -> bool:
    return len([word for word in query_words(question) if word not in _VAGUE]) > 1


def query_words(text: str) -> list[str]:
    """The words of a query that carry meaning, in order, without repeats; all words if none does. In scripts without blanks, each two
    neighbouring letters stand for a word.

    Without the "'s" of a possessive: "Ana's hobby" asks for what is told of Ana, not for notes that say "Ana's".
    """
    text = composed(text)
    words = list(dict.fromkeys(_words(_without_asking(text)) or _words(text)))
    return [w for w in words if w not in _STOP] or words


def _without_asking(text: str) -> str:
    return _ASKED.sub(" ", text) if unspaced(text) else text


def _words(text: str, *, singles: bool = False) -> list[str]:
    words = [_bare(word) for word in _WORD.findall(text)]
    return cut(words, singles=singles) if unspaced(text) else words


def _bare(word: str) -> str:
    return word.lower().removesuffix("'s").removesuffix("’s")


def query_terms(text: str) -> list[str]:
    """What full text is searched for: the words of a query, each of its names of several words as a phrase besides, and the single
    letters of scripts without blanks, which are words in some of them.

    To single words "Ana Delgado" is as much in "Victor Delgado's sister Ana" as in what is told of Ana Delgado; as a phrase it is
    rarer than either word, and BM25 weighs it accordingly.
    """
    text = composed(text)
    words = query_words(text)
    words += [name for name in entities(text) if len(_WORD.findall(name)) > 1]
    if not unspaced(text):
        return words
    return list(dict.fromkeys([*words, *filter(unspaced, _words(_without_asking(text), singles=True))]))


def named_actors(text: str, actors: Sequence[str]) -> frozenset[str]:
    """Those of ``actors`` whom the text names, by their full name or its first word."""
    present = {_bare(w) for w in _WORD.findall(text)}
    found = set()
    for actor in actors:
        parts = [p.lower() for p in _WORD.findall(actor)]
        if parts and (parts[0] in present or all(p in present for p in parts) or _stands_in(parts[0], text)):
            found.add(actor)
    return frozenset(found)


def _stands_in(name: str, text: str) -> bool:
    """Whether a name in a script without blanks, where no word begins or ends, stands in a text; a single letter stands in much."""
    return len(name) > 1 and unspaced(name) and name in text.lower()


def meant_actors(text: str, actors: Sequence[str], user: str | None = None) -> frozenset[str | None]:
    """Those of ``actors`` whom "I" or "you" means, where others speak as well; with those who ask, notes that nobody said.

    Args:
        user: whose notes are asked; one of the actors may bear this name.
    """
    person = _person(text)
    if person is None:
        return frozenset()
    machines = {actor for actor in actors if actor.casefold() in MACHINES}
    if person == "agent":
        return frozenset(machines)
    asking = USERS | ({user.casefold()} if user else frozenset())
    askers = {actor for actor in actors if actor.casefold() in asking}
    if not askers and machines:
        askers = set(actors) - machines
    return frozenset((None, *askers)) if askers and len(askers) < len(actors) else frozenset()


def _person(text: str) -> Literal["asker", "agent"] | None:
    """Whether a question is about who asks ("What did I order?") or who answers ("What did you recommend?")."""
    asked = _REQUEST.sub(" ", text)
    if _TOLD.search(asked):
        return "agent"
    if _FIRST.search(asked):
        return "asker"
    return "agent" if _SECOND.search(asked) else None


def of_asker(text: str) -> bool:
    """Whether a question is about who asks."""
    return _OF_ASKER.search(text) is not None


def without_names(text: str, actors: frozenset[str]) -> str:
    """The query as it is embedded: notes are embedded without their speaker, so names would only mislead."""
    for actor in actors:
        for part in [actor, *_WORD.findall(actor)]:
            edge = "" if unspaced(part) and len(part) > 1 else r"\b"
            text = re.sub(rf"{edge}{re.escape(part)}(?:['’]s)?{edge}", " ", text, flags=re.IGNORECASE)
    stripped = re.sub(r"\s+", " ", text).strip()
    return stripped if any(c.isalnum() for c in stripped) else text
