"""What a message asks, clause by clause: each a question that stands alone, with the time and the polarity that it asks about.

"Where does Ana live, and what is her hobby?" asks two things, of which one may be known; "Where did Ana live before?" and "Where
does Ana no longer live?" ask for something else than where she lives. English rules, pure functions; a message without anything
that asks is one clause that nothing is checked of.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final, Literal

from agentmem.extract.english import ENGLISH
from agentmem.extract.languages import LANGUAGES
from agentmem.extract.lexicon import GRAMMAR, grammar
from agentmem.extract.relations import relation
from agentmem.notes.passages import SENTENCE_END
from agentmem.notes.rows import ASKING
from agentmem.recall.query import query_words

__all__ = ["WH", "Clause", "Kind", "Sense", "clauses", "in_english", "told"]

Sense = Literal["holds", "held", "denied"]
"""Whether a clause asks what holds, what held once, or what does not hold."""
Kind = Literal["number", "whether", "reason", "thing"]
"""What kind of answer a clause asks for: a number, yes or no, a reason or a way, or anything else."""

_LEAD_IN: Final = re.compile(
    r"^\W*(?:(?:hey|hi|hello|ok|okay|so|and|now|well|also|please|just|quick question|by the way|btw|one more thing|another question|just to check"
    r"|tell me|remind me|please answer|say|(?:i was|i am|i'm) (?:asking myself|wondering))\b[\s,:!.-]*)+"
    r"|\b(?:(?:can|could|would|will) you (?:please |kindly |just )?|please )?(?:tell|remind|show|give|help) (?:me|us)\b(?: again)?:?"
    r"|\b(?:can|could|would|will) you (?:please |kindly )?(?:check|recall|remember|look up|find out|say)\b"
    r"|\bdo(?:n['’]?t)? you (?:know|remember|recall|happen to know)\b(?: the answer\??| by any chance)?|\bany idea\b|\b(?:i|we) (?:forgot|forget|wonder|was wondering|need to know"
    r"|want to know|would like to know|['’]d like to know|(?:do not|don['’]?t|cannot|can['’]?t|couldn['’]?t) (?:know|remember|recall|think of)(?: any ?more)?)\b:?",
    re.IGNORECASE,
)
"""What leads in to any question."""
_ABBREVIATED: Final = re.compile(r"\b(?:[A-Z]|Dr|Mr|Mrs|Ms|St|Prof|No|Sr|Jr)\.$", re.IGNORECASE)
_ORDER: Final = re.compile(r"\W*(?:(?:hey|hi|ok|so|and|now|please|just),? )*(?:tell|remind|show|give)\b", re.IGNORECASE)
MOST: Final = 4
"""Clauses of one message that are answered apart; one with more is asked as a whole."""
_TELLS: Final = 2
"""Words that carry meaning in what tells something."""
WH: Final = r"(?:who|whom|whose|what|which|when|where|why|how)"
_SHORT: Final = r"(?:['’]?(?:s|re|d|ll|ve))?"  # who's, and whos in haste
_AUX: Final = (
    r"(?:am|is|are|was|were|do|does|did|has|have|had|can|could|may|might|must|shall|should|will|would"
    r"|isn|aren|wasn|weren|don|doesn|didn|hasn|haven|hadn|can|couldn|mustn|shouldn|won|wouldn)(?:['’]?t)?"
)
_PREPOSITION: Final = r"(?:in|on|at|by|to|from|for|with|of|since|until|till|under|into|about|near|during)"
_ASKS: Final = re.compile(rf"(?:{_PREPOSITION} )?{WH}{_SHORT}\b|{_AUX}\b(?= )|number of\b", re.IGNORECASE)
_WHETHER: Final = re.compile(rf"{_AUX}\b", re.IGNORECASE)
_NEXT: Final = re.compile(
    rf"[,;]? (?:and|plus|as well as|but)(?: also| then)? (?=(?:{_PREPOSITION} )?{WH}{_SHORT}\b)|; ?(?=(?:{_PREPOSITION} )?{WH}{_SHORT}\b)"
    rf"|, (?=(?:{_PREPOSITION} )?{WH}{_SHORT} (?:\w+ ){{0,2}}?{_AUX}\b)"
    rf"|[,;]? (?:and|plus)(?: also)? (?=(?:is|are|was|were|do|does|did|has|have|can|will) (?:i|you|he|she|it|we|they|my|our|the|[A-Z]\w*)\b)",
    re.IGNORECASE,
)
"""Where the next thing is asked. What follows "and" alone goes on with the same question: "Who bakes and sells bread?"."""
_HEADED: Final = re.compile(r"^(?P<head>[^\s,:?][^,:?]{0,40}): (?=\S)")
_BOTH: Final = re.compile(rf"^(?P<one>{WH}) and (?P<other>{WH}) (?P<rest>.+)$", re.IGNORECASE)
_NOUNS: Final = re.compile(
    r"^(?P<ask>(?:what|who|when)(?:['’]?s| is| are| was| were)? )(?P<of>(?:my|our|\w[\w '’.-]*['’]s|\w[\w .-]*s['’]) )"
    r"(?P<one>[\w-]+(?: [\w-]+)?),? and (?P<other>(?:[\w-]+ )?[\w-]+)(?P<end>\W*)$",
    re.IGNORECASE,
)
_NOUNS_OF: Final = re.compile(
    r"^(?P<ask>(?:what|who|when)(?:['’]?s| is| are| was| were)? )the (?P<one>[\w-]+(?: [\w-]+)?),? and (?:the )?(?P<other>(?:[\w-]+ )?[\w-]+)"
    r"(?P<end> of [^,]+)$",
    re.IGNORECASE,
)
_NAME: Final = r"[A-ZÀ-Ý][\w'’.-]*(?: [A-ZÀ-Ý][\w'’.-]*){0,2}"
_PAIR: Final = re.compile(
    rf"^(?P<ask>.*?\b)(?P<aux>do|are|were|have|Do|Are|Were|Have) (?P<one>{_NAME}) and (?P<other>{_NAME})(?P<rest> [a-z].*)$"
)
_ONE_OF: Final = {"do": "does", "are": "is", "were": "was", "have": "has"}
_VERB: Final = re.compile(rf"\b{_AUX}\b|{WH}['’]?(?:s|re|d|ll)\b|\b\w+(?:[a-z]s|ed|ing|en)\b", re.IGNORECASE)
_SUBJECT: Final = re.compile(r"\b(?:he|she|they|it)\b", re.IGNORECASE)
_OWNER: Final = re.compile(
    r"\b(?:his|their|its|her(?= [a-z])(?! (?:and|or|now|today|yet|in|on|at|to|for|with)\b))\b", re.IGNORECASE
)
_OBJECT: Final = re.compile(r"\b(?:him|them|her)\b", re.IGNORECASE)
_WHICH: Final = re.compile(rf"\bwhich (?!{_AUX}\b)(?P<noun>\w+)", re.IGNORECASE)
_BARE_WHICH: Final = re.compile(rf"\bwhich(?= {_AUX}\b)", re.IGNORECASE)
_POINTED: Final = re.compile(r"\b(?:the|my|our) [\w-]+", re.IGNORECASE)
_MANY: Final = re.compile(r"\bhow many (?P<noun>\w+)", re.IGNORECASE)
_PLURAL: Final = re.compile(r"\b(?:they|them|their)\b", re.IGNORECASE)

_NUMBER: Final = re.compile(
    r"\bhow (?:many|old|tall|heavy|high|deep|long is|far|much)\b|\b(?:number|age|price|year|pin|code) (?:of|is|does|do|did|was|has|have)\b"
    r"|\b(?:number|age|year|pin)\W*$",
    re.IGNORECASE,
)
_REASON: Final = re.compile(
    r"^(?:why|how(?! (?:many|much|old|long|often|tall|far|heavy|high|deep)\b))\b", re.IGNORECASE
)
_HELD: Final = re.compile(
    r"\b(?:used to|did(?:n['’]?t)? .*\buse to|formerly|previous(?:ly)?|former|original(?:ly)?|initial(?:ly)?|back then|in those days|at first|in the past"
    r"|in (?:former|earlier|older|the old) (?:times|days|years)|in (?:his|her|their|my|our|its) (?:young|younger|early|former) (?:days|years)"
    r"|ex-(?!husband|wife|partner|boyfriend|girlfriend)\w+|(?:no|not|n['’]?t\b.*) (?:longer|any ?more)|any ?more|(?:as|when) (?:\w+ ){0,3}?(?:a )?(?:young|little|small|child|kid|boy|girl)\b)",
    re.IGNORECASE,
)
_BEFORE: Final = re.compile(
    r"\b(?:did|was|were|had|used|what|which|who|where|whats|wheres)\b.*\bbefore(?:\W*$| (?:that|this|then|now|it|he|she|they|we|i|you|moving|the (?:change|move|switch))\b)",
    re.IGNORECASE,
)
_BEFORE_NAME: Final = re.compile(r"\b(?:did|was|were|had)\b.*\bbefore [A-ZÀ-Ý][\w-]*\W*$")
_PRESENT_BEFORE: Final = re.compile(r"\b(?:do|does|should|must|can|will|shall|may)\b.*\bbefore\b", re.IGNORECASE)
_OLD: Final = re.compile(
    r"(?:\b(?:my|our|his|her|their|its|the)|['’]s) (?:old|last|earlier|prior) (?P<noun>[\w-]+(?: [\w-]+)?)",
    re.IGNORECASE,
)
_DENIED: Final = re.compile(
    r"\b(?:not|never|in vain|cannot|nobody|no longer|cant|dont|doesnt|didnt|isnt|arent|wasnt|mustnt|shouldnt|wont|wouldnt|couldnt)\b|n['’]t\b",
    re.IGNORECASE,
)
_ASIDE: Final = re.compile(
    r"\b(?:i|we) (?:do not|don['’]?t|cannot|can['’]?t|couldn['’]?t|did not|didn['’]?t) (?:know|remember|recall|find(?: out)?|think of|recollect)\b(?: exactly| anymore| any more)?"
    r"|\bif (?:not|i['’]?m not)\b.*$|\bwhether or not\b|\bor not\b|,? (?:is|are|was|were|do|does|did|has|have|can|wo|would)n['’]?t (?:i|you|he|she|it|we|they)\W*$"
    r"|\b(?:that|because|since|although|though|if|when|while|who|which) .*$",
    re.IGNORECASE,
)
"""Where a "not" is about something else than what is asked: who asks does not remember, or a clause within."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One thing that is asked.

    Attributes:
        text: a question that stands alone, with the names in it that it leaves to the clause before.
        sense: whether it asks what holds, what held once, or what does not hold.
        kind: what kind of answer it asks for.
        asks: false for what asks nothing, or too much at once: it is answered as it stands, and nothing is checked.
        said: its own words, where ``text`` has more.
    """

    text: str
    sense: Sense = "holds"
    kind: Kind = "thing"
    asks: bool = True
    said: str = ""

    @property
    def core(self) -> str:
        """The question without what leads in to it."""
        return bare(self.text)


def clauses(message: str) -> tuple[Clause, ...]:
    """The things that a message asks, in order, at least one: the message itself where it asks one thing, or none."""
    asking = [part for part in _sentences(message) if _is_question(part)]
    asking = [part for part in asking if query_words(bare(part)) and bare_lead(part)] or asking
    if not asking:
        return (Clause(message, asks=False),)
    parts = [part for sentence in asking for part in _split(sentence)]
    if len(parts) > MOST:
        return (Clause(message, asks=False),)
    if len(parts) == 1:
        return (_clause(message, asking[0]),)
    return tuple(_resolved(parts))


def in_english(clause: Clause) -> bool:
    """Whether a clause is in the language that these rules are of: it begins as a question does there, or has enough of its little words."""
    asks = _ASKS.match(clause.core) is not None or grammar(clause.text) >= GRAMMAR
    return asks and ENGLISH in LANGUAGES.of(clause.text)


def told(message: str) -> str:
    """What a message tells besides what it asks: a clause that is asked apart leaves it out."""
    telling = [part for part in _sentences(message) if not _is_question(part)]
    return " ".join(part for part in telling if len(query_words(bare_lead(part))) >= _TELLS)


def _sentences(text: str) -> list[str]:
    parts: list[str] = []
    for part in filter(None, SENTENCE_END.split(text.strip())):
        if parts and _ABBREVIATED.search(parts[-1]):
            parts[-1] += f" {part}"
        else:
            parts.append(part)
    return parts


def bare(text: str) -> str:
    """A question without what leads in to it: "Can you tell me where Ana lives?" asks where Ana lives."""
    text = _told(text)
    found = re.sub(r"\s+", " ", _LEAD_IN.sub(" ", text)).strip(" ,.:;-")
    return found or text


def _told(text: str) -> str:
    """A question without a statement before it: "I left my key at home, where is the spare one?"."""
    head, comma, rest = text.rpartition(", ")
    if comma and _ASKS.match(rest) and not _ASKS.match(bare_lead(head)) and ":" not in head:
        return rest
    return text


def bare_lead(text: str) -> str:
    """The text without a greeting or a request before it."""
    return _LEAD_IN.sub(" ", text).strip(" ,.:;-")


def _is_question(sentence: str) -> bool:
    text = bare_lead(sentence)
    if sentence.rstrip().endswith(ASKING) or _ASKS.match(text) or _ASKS.match(bare(sentence)):
        return True
    return text != sentence.strip(" ,.:;-") and _ORDER.match(sentence) is not None


def _split(sentence: str) -> list[str]:
    """The questions of one sentence, each as it stands there."""
    if _BOTH.match(bare_lead(sentence)):
        return _coordinated(sentence)
    parts: list[str] = []
    at = 0
    for found in _NEXT.finditer(sentence):
        if _ASKS.search(bare_lead(sentence[at : found.start()])) or parts:
            parts.append(sentence[at : found.start()])
            at = found.end()
    parts.append(sentence[at:])
    return [each for part in parts for each in _coordinated(part)]


def _coordinated(part: str) -> list[str]:
    """Two questions in the words of one: "Where and when …", "my name and age", "Where do Ana and Ben live"."""
    lead, asked = _lead(part)
    if both := _BOTH.match(asked):
        return [f"{both['one']} {both['rest']}", f"{both['other']} {both['rest']}"]
    for pattern, join in ((_NOUNS, "{ask}{of}{noun}{end}"), (_NOUNS_OF, "{ask}the {noun}{end}")):
        found = pattern.match(asked)
        if found and all(_is_relation(found[side]) for side in ("one", "other")):
            said = found.groupdict()
            return [join.format_map({**said, "noun": said[side]}) for side in ("one", "other")]
    pair = _PAIR.match(asked)
    if pair and not re.search(r"\b(?:each other|together|both|share|differ)", asked):
        verb = _ONE_OF[pair["aux"].lower()]
        verb = verb.capitalize() if pair["aux"][0].isupper() else verb
        return [f"{pair['ask']}{verb} {pair[side]}{pair['rest']}" for side in ("one", "other")]
    return [f"{lead}{asked}"]


def _lead(part: str) -> tuple[str, str]:
    asked = bare_lead(part)
    at = part.find(asked)
    return (part[:at], part[at:]) if at > 0 else ("", part)


def _is_relation(noun: str) -> bool:
    return relation(noun) is not None


def _resolved(parts: list[str]) -> list[Clause]:
    """The clauses, each with the names that it takes from those before it, and with whole sentences for mere phrases."""
    from agentmem.extract.english.names import named  # it reads clauses

    made: list[Clause] = []
    topic, head, kind = "", "", ""
    for part in parts:
        said = bare(part).rstrip("?!. ")
        headed = _HEADED.match(said)
        if headed and not _ASKS.match(said):
            head, said = headed["head"], said[headed.end() :]
            topic = topic or head
        text = _with_names(said, topic, made[-1].text if made else "")
        text = _BARE_WHICH.sub(rf"\g<0> {kind}", text, count=1) if kind else text
        about = named(_clause(text, text)).topic
        if not about and (head or (made and _is_phrase(text))):
            context = topic or _object(made[-1].text if made else "")
            text = f"{text}, about {context}" if context and context.casefold() not in text.casefold() else text
        topic = about or topic
        found = _WHICH.search(text)
        kind = found["noun"] if found else ""
        made.append(replace(_clause(f"{text[:1].upper()}{text[1:]}?", said), said=f"{said}?"))
    return made


def _object(text: str) -> str:
    """What a question without a name is about: the last thing in it that "the" or "my" points at."""
    found = _POINTED.findall(text)
    return found[-1] if found else ""


def _is_phrase(text: str) -> bool:
    """Whether a question has no verb of its own: "in which hospital"."""
    rest = re.sub(rf"^(?:{_PREPOSITION} )?{WH}\b ?", "", text, flags=re.IGNORECASE)
    return _VERB.search(rest) is None and not re.match(rf"{WH}['’]?(?:s|re)\b", text, re.IGNORECASE)


def _with_names(text: str, topic: str, before: str) -> str:
    """The clause with what the clause before is about instead of a pronoun."""
    if not topic:
        return text
    owner, mark, kin = topic.rpartition("'s ")
    if mark and f"{kin}s" in before and not _PLURAL.search(text):
        topic = owner  # of "Ana's twins", "she" is Ana
    many = _MANY.search(before)
    if many and _PLURAL.search(text):
        topic = f"{_possessive(topic)} {many['noun']}"
    for pattern, name in ((_OWNER, _possessive(topic)), (_SUBJECT, topic), (_OBJECT, topic)):
        if found := pattern.search(text):
            return f"{text[: found.start()]}{name}{text[found.end() :]}"
    return text


def _possessive(name: str) -> str:
    return f"{name}'s"


def _clause(text: str, asking: str) -> Clause:
    asked = bare(asking)
    kind: Kind = (
        "whether"
        if _WHETHER.match(asked)
        else "reason"
        if _REASON.match(asked)
        else "number"
        if _NUMBER.search(asked)
        else "thing"
    )
    return Clause(text, sense=_sense(asked, kind), kind=kind, said=text)


def _sense(asked: str, kind: Kind) -> Sense:
    """What kind of support the question wants; a negated "why" or "isn't it" asks about what holds."""
    opening = re.match(rf"(?:{_PREPOSITION} )?\w+", asked)  # "in which" at the beginning is no aside
    at = opening.end() if opening else 0
    main = asked[:at] + _ASIDE.sub("", asked[at:])
    if (
        _HELD.search(asked)
        or _BEFORE_NAME.search(asked)
        or (_BEFORE.search(asked) and not _PRESENT_BEFORE.search(asked))
    ):
        return "holds" if kind == "reason" else "held"
    old = _OLD.search(asked)
    if old and _is_relation(old["noun"].split()[0]):
        return "held"
    if _DENIED.search(main) and kind not in ("whether", "reason"):
        return "denied"
    return "holds"
