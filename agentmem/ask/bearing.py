"""What a note has to say to a clause: about whom it is, whether it holds, and whether it is about the matter at all.

A reader answers from whatever stands in its prompt. That "Ana Silva lives in Porto" says nothing about where Ana Costa lives, and "Ana no
longer lives in Porto" nothing about where she lives now, is therefore found out before a note is shown, and again when an answer
draws on it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from agentmem.ask.answer import UNTRUSTED_BELOW
from agentmem.ask.clauses import Clause
from agentmem.ask.whose import Whose, about_whom
from agentmem.consolidation.phrasing import paraphrases, question
from agentmem.extract.english.names import named, parts, stem
from agentmem.extract.languages import still_told
from agentmem.extract.lexicon import STOPWORDS
from agentmem.extract.relations import plain
from agentmem.extract.words import entities
from agentmem.notes.note import Fact, Hit, Note
from agentmem.notes.quoting import note_order
from agentmem.notes.rows import ASKING
from agentmem.recall.query import query_words

__all__ = [
    "Bearing",
    "Likeness",
    "bearings",
    "denies",
    "holding",
    "is_denied",
    "outdates",
    "related",
    "segments",
    "takes_back",
    "tells_besides",
]

Likeness = Callable[[Sequence[tuple[str, str]]], Sequence[float]]
"""How near the texts of each pair come to each other, as cosines."""

_BREAK: Final = re.compile(
    r"(?<=[.!?…;:,])\s+|\s+(?:but|and now|so now|so|because|whereas|while)\s+|\n+", re.IGNORECASE
)
_POINTS: Final = re.compile(
    r"^\W*(?:he|she|it|they|his|her|its|their|hers|theirs)(?:['’]?(?:s|d|ll|re))?\b", re.IGNORECASE
)
_PAST_FORM: Final = (
    r"(?:was|were|had|did|\w{2,}ed|met|went|got|took|came|made|gave|ran|put|won|lost|kept|left|saw|sat|stood|taught|told|thought|wrote|drove|rode|sold"
    r"|bought|brought|built|held|led|felt|grew|knew|began|spoke|wore|slept|spent|sang|swam|paid|played|worked|lived)"
)
_OVER: Final = re.compile(
    r"\bno longer\b|\bno more\b|\bany ?more\b|\bany longer\b|\bused to\b|\bformer(?:ly)?\b|\bprevious(?:ly)?\b|\bback then\b|\bin the past\b|\bex-(?!husband|wife|partner|boyfriend|girlfriend)\w"
    rf"|\b(?:until|till|up to)\b.*\b{_PAST_FORM}\b|\b{_PAST_FORM}\b.*\b(?:until|till|up to)\b|^\W*before (?:[\w'’]+ ){{1,3}}?{_PAST_FORM}\b.*\b{_PAST_FORM}\b"
    rf"|\b{_PAST_FORM}\b.*\bbefore (?:he|she|it|they|we|i|that|then)\b",
    re.IGNORECASE,
)
_NOT: Final = re.compile(
    r"\b(?:is|are|was|were|am|been|be|do|does|did|has|have|had)(?:n['’]?t| not| never)\b|\b(?:never|not)\b|\bnot a\b",
    re.IGNORECASE,
)
_MODAL_NOT: Final = re.compile(
    r"\b(?:can|could|must|may|might|shall|should|will|would|wo|sha)(?:n?['’]?t|not| not| never)\b|\bcannot\b|\bnobody\b|\bno\b",
    re.IGNORECASE,
)
_BE_NOT: Final = re.compile(r"\b(?:is|are|was|were|am)(?:n['’]?t| not| never)\b|\bnot\b", re.IGNORECASE)
_PAST: Final = re.compile(
    r"\b(?:was|were|had|did|ago|once|formerly|originally|initially|as a (?:child|boy|girl|kid)|young|back then|in (?:19|20)\d\d)\b",
    re.IGNORECASE,
)
_CHANGED: Final = re.compile(
    r"\b(?:now|nowadays|today|these days|currently|from (?:\w+ ){1,3}on|new|changed?|instead|later|moved|then|again|lately|recently|since|meanwhile|anymore|longer"
    r"|another|(?:up|down|re)[a-z]{3,}ed|\w+(?:ed|pt|ght) .{0,40}\b(?:to|for|into)\b)\b",
    re.IGNORECASE,
)
_HASTY: Final = re.compile(
    r"\b(is|are|was|were|do|does|did|has|have|had|ca|could|must|might|should|wo|would|need)nt\b", re.IGNORECASE
)
_AFTER_NOT: Final = re.compile(r"(?:\bnot|\bnever|n['’]?t)\b(?P<rest>.*)$", re.IGNORECASE)
_OF_SENSE: Final = frozenset(
    """original originally before previous previously former formerly longer anymore use used vain initial initially past old now nowadays
    currently moment right today still number""".split()
)
"""Words that say which time a question is about, or how much, and not what it is about."""
_CONTRACTED: Final = re.compile(r"\b\w+n['’]?t\b", re.IGNORECASE)
_TAKES_BACK: Final = re.compile(
    rf"{_OVER.pattern}|{_NOT.pattern}|\b(?:wrong|untrue|false|gave up|given up|quit|stopped|sold|left\b.*\bfor good)\b",
    re.IGNORECASE,
)
_PLAINLY: Final = frozenset(
    stem(word)
    for word in "true wrong untrue false correct actually name call case fact never not no longer anymore more gave given up quit stop stopped sold left good".split()
)
"""Words of a plain denial besides what is denied."""
_SAME_QUESTION: Final = 0.6
"""Cosine, names left out, from which two questions ask the same."""
_WAYS: Final = 5


@dataclass(frozen=True, slots=True)
class Bearing:
    """What one note has to say to a clause.

    Attributes:
        whose: whether it is about whom the clause asks.
        near: whether it is a namesake's, or a relative's.
        name: whom it is about, where that is another, or the clause misspells the name.
        over: whether it says, or its validity says, that what it tells holds no longer, or never did.
    """

    hit: Hit
    whose: Whose
    near: bool = False
    name: str = ""
    over: bool = False

    @property
    def note(self) -> Note:
        return self.hit.note


def bearings(clause: Clause, hits: Sequence[Hit], now: datetime, *, asker: str | None = None) -> list[Bearing]:
    """What each hit has to say to a clause, in their order; :func:`related` tells which of them are about the matter.

    Args:
        now: the moment that is asked about.
        asker: who asks, where notes call them by name.
    """
    who = named(clause)
    told = {hit.note.id: _text(hit.note) for hit in hits}
    about = _pointed(hits, told)
    known = {word for text in told.values() for word in parts(text)}
    found = []
    for hit in hits:
        name, near, whose = about_whom(hit.note, about[hit.note.id], who, clause.core, told, known, asker)
        found.append(Bearing(hit, whose, near, name, not hit.note.valid_at(now) or denies(hit.note, clause)))
    return found


def related(clause: Clause, found: Sequence[Bearing], likeness: Likeness | None, least: float) -> list[Bearing]:
    """Those of the notes that are about the matter: they have all the words that say what is asked, or come near it without what they share.

    "Ana lives in Porto" and "What is Ana's job?" have Ana in common, who is no matter; "The library closes at six" and "What is the
    wifi code of the library?" the library. What they do not share tells whether they speak of the same. Each may use other words,
    so that it is compared by meaning.

    Args:
        likeness: compares texts by meaning; without it every note counts.
        least: cosine from which the rest of a note is about the rest of the question.
    """
    if likeness is None or not least:
        return list(found)
    names = clause_names(clause)
    matter = matter_words(clause.said, names)
    wanted: list[int] = []
    pairs: list[tuple[str, str]] = []
    asked = _without(clause.core, names)
    for place, each in enumerate(found):
        told = _told(each.hit, clause)
        stems = {stem(word) for word in parts(told)}
        theirs = {word for name in entities(told) for word in parts(name)}
        if not matter - stems or not _news(told, matter, names | theirs):
            continue
        shared = {word for word in (*parts(clause.core), *parts(told)) if stem(word) in matter & stems}
        wanted.append(place)
        pairs.append((_without(clause.core, names | shared), _without(told, names | shared | theirs)))
        alike = [(asked, _without(text, names)) for text in _questions(each.note, clause)]
        wanted += [-1 - place] * len(alike)
        pairs += alike
    near = dict.fromkeys(range(len(found)), 1.0) | dict.fromkeys(wanted, 0.0)
    for place, cosine in zip(wanted, likeness(pairs) if pairs else (), strict=True):
        near[place] = max(near[place], cosine)
    return [
        each for place, each in enumerate(found) if near[place] >= least or near.get(-1 - place, 0.0) >= _SAME_QUESTION
    ]


def _news(text: str, matter: set[str], names: set[str]) -> set[str]:
    """What a note speaks of that the question does not, apart from names and numbers: nothing in "My company is Acme"."""
    words = {
        stem(word)
        for word in parts(" ".join(query_words(text)))
        if word not in names | STOPWORDS and not word[0].isdigit()
    }
    return words - matter


def _questions(note: Note, clause: Clause) -> list[str]:
    """The ways to ask for the facts of a note that a clause of its sense may ask for."""
    return [text for fact in _asked_for(note, clause) for text in (question(fact), *paraphrases(fact, _WAYS))]


def clause_names(clause: Clause) -> set[str]:
    """The words of a clause that say whom or what it is about, and none of its matter."""
    who = named(clause)
    return {word for name in (*who.names, *who.places, who.topic) for word in parts(name)}


def _text(note: Note) -> str:
    """All that shows about whom a note is."""
    subjects = dict.fromkeys(fact.subject for fact in note.facts)
    return " · ".join(filter(None, (note.actor, *subjects, note.content, note.context)))


def _pointed(hits: Sequence[Hit], told: Mapping[str, str]) -> dict[str, str]:
    """The text that shows about whom each note is: one that begins with "she" is about whom the note before it is about."""
    found: dict[str, str] = {}
    before = ""
    for note in sorted((hit.note for hit in hits), key=note_order):
        pointing = note.fact is None and _POINTS.match(note.content) is not None
        found[note.id] = f"{before}\n{told[note.id]}" if pointing and before else told[note.id]
        before = before if pointing else told[note.id]
    return found


def _told(hit: Hit, clause: Clause) -> str:
    rest = still_told(hit.note) if clause.sense == "holds" else None
    words = hit.passage or hit.note.content if rest is None else rest
    return f"{words} {' '.join(fact.relation for fact in _asked_for(hit.note, clause))}"


def _asked_for(note: Note, clause: Clause) -> Sequence[Fact]:
    """The facts of a note; who asks what holds asks for none that ended and left the note behind."""
    open_ones = [fact for fact in note.facts if fact.valid_to is None]
    return open_ones if open_ones and clause.sense == "holds" else note.facts


def matter_words(text: str, names: set[str]) -> set[str]:
    """The stems of what a question is about, apart from whom."""
    words = parts(" ".join(query_words(text)))
    return {
        stem(word)
        for word in words
        if word not in names and word not in STOPWORDS and word not in _OF_SENSE and len(word) > 1
    }


def _without(text: str, names: set[str]) -> str:
    bare = re.sub(
        r"[^\W_]+(?:[-_./][^\W_]+)*(?:['’]s?(?!\w))?",
        lambda m: "" if set(parts(m.group())) & names else m.group(),
        text,
    )
    return " ".join(bare.split()) or text


def segments(text: str) -> list[str]:
    """The statements of a text: its sentences, and what commas and "but" divide in them."""
    return [part for part in _BREAK.split(text) if part and part.strip()]


def denies(note: Note, clause: Clause) -> bool:
    """Whether a note only denies what is asked, or says that it is over; one that affirms something as well does not."""
    said = [part for part in segments(note.content) if len(query_words(part)) > 1 or len(parts(part)) > 2]
    names = clause_names(clause)
    asked = matter_words(clause.said, names) | {stem(word) for word in names}
    about = [part for part in said if asked & {stem(word) for word in parts(part)}] or said
    return bool(about) and all(is_denied(part, clause) for part in about)


def is_denied(statement: str, clause: Clause) -> bool:
    """Whether a statement says that what is asked holds no longer, or is not so.

    What somebody cannot or does not do may well be asked: "Ulrike can't stand celery" tells what she dislikes. So it counts where
    a clause asks for what is not so, or for what the statement denies in the same words.
    """
    statement = _HASTY.sub(r"\1n't", statement)
    if _OVER.search(statement) or _BE_NOT.search(statement):
        return True
    if clause.sense == "denied":
        return _NOT.search(statement) is not None or _MODAL_NOT.search(statement) is not None
    if _NOT.search(statement) and not _MODAL_NOT.search(statement):
        return bool(matter_words(clause.said, clause_names(clause)) & {stem(word) for word in parts(statement)})
    return False


def holding(found: Sequence[Bearing], clause: Clause) -> list[Bearing]:
    """Those of the notes about the matter that can answer a clause of its sense."""
    if clause.sense == "denied":
        denying = [b for b in found if b.over or _denies_some(b.note, clause)]
        verb = _negated(clause)
        return denying or [b for b in found if stem(verb) not in {stem(word) for word in parts(b.note.content)}]
    if clause.sense == "held":
        return _former(found, clause)
    return [b for b in found if not b.over]


def _denies_some(note: Note, clause: Clause) -> bool:
    return any(is_denied(part, clause) for part in segments(note.content))


def _negated(clause: Clause) -> str:
    """The verb that a clause negates: "live" of "Where does Ana not live?"."""
    found = _AFTER_NOT.search(clause.core)
    names = {word for name in named(clause).names for word in parts(name)}
    return next((w for w in query_words(found["rest"]) if w not in names), "") if found else ""


def _former(found: Sequence[Bearing], clause: Clause) -> list[Bearing]:
    """What is over, tells of the past, or was told before something else about the same."""
    told = sorted(found, key=lambda b: note_order(b.note))
    over = [b for b in told if b.over or _denies_some(b.note, clause)]
    before = [
        b
        for place, b in enumerate(told)
        if any(outdates(later.note, b.note) or _ended(later.note, b.note) for later in told[place + 1 :])
    ]
    return over or before or [b for b in told if _PAST.search(b.note.content)]


def takes_back(later: Note, note: Note, asked: str) -> bool:
    """Whether a note that was told later plainly denies what this one has to say to a question: "Lena isn't my dentist any more, Otto is"."""
    doubted = later.trust < UNTRUSTED_BELOW <= note.trust or (later.actor == "assistant" != note.actor)
    if doubted or note_order(later) <= note_order(note):
        return False
    known = _stems(asked)
    news = {word for word in _stems(note.content) if not any(_same_stem(word, other) for other in known)}
    for part in segments(later.content):
        if part.rstrip().endswith(ASKING):
            continue  # "Doesn't Tom live in Leeds?" denies nothing
        said = _stems(part)
        if (
            2 * len(news & said) > len(news)
            and not said - news - known - _PLAINLY
            and _TAKES_BACK.search(_HASTY.sub(r"\1n't", part))
        ):
            return True
    return False


def tells_besides(later: Note, note: Note, asked: str) -> bool:
    """Whether a note that takes another back says what is so instead."""
    return bool(_stems(later.content) - _stems(note.content) - _stems(asked) - _PLAINLY)


def _stems(text: str) -> set[str]:
    return {stem(word) for word in parts(" ".join(query_words(_CONTRACTED.sub(" ", text))))} - STOPWORDS - _OF_SENSE


def _same_stem(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return short == long or (len(short) > 2 and long.startswith(short) and len(long) - len(short) == 1)


def _ended(later: Note, note: Note) -> bool:
    """Whether a note ended a part of another."""
    return any(fact.ended_by == later.id for fact in note.facts)


def outdates(later: Note, note: Note) -> bool:
    """Whether a note that was told later says that something is otherwise now, of the same as this one; statements of different relations do not."""
    if note_order(later) <= note_order(note) or not _CHANGED.search(later.content):
        return False
    holding, newer = ({plain(f.relation) for f in n.facts if f.valid_to is None} for n in (note, later))
    if holding and newer and not holding & newer:
        return False
    one, other = ({stem(w) for w in parts(" ".join(query_words(n.content)))} for n in (note, later))
    return bool(one & other) or _POINTS.match(later.content) is not None
