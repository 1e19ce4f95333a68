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
from typing import Final, Literal

from agentmem.ask.clauses import Clause
from agentmem.consolidation.phrasing import paraphrases, question
from agentmem.extract.english.names import KINDRED, Match, Named, compare, named, parts, same_kin, stem
from agentmem.extract.languages import still_told
from agentmem.extract.lexicon import STARTERS, STOPWORDS
from agentmem.extract.relations import plain
from agentmem.extract.words import entities
from agentmem.notes.note import Fact, Hit, Note
from agentmem.notes.quoting import note_order
from agentmem.recall.query import query_words

__all__ = ["Bearing", "Likeness", "bearings", "denies", "holding", "is_denied", "outdates", "related", "segments"]

Whose = Literal["own", "open", "other"]
"""Whether a note is about whom the clause asks, does not show it, or is about somebody else."""
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
    r"\bno longer\b|\bno more\b|\bany ?more\b|\bany longer\b|\bused to\b|\bformer(?:ly)?\b|\bprevious(?:ly)?\b|\bback then\b|\bin the past\b|\bex-\w"
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
_VERB: Final = (
    r"(?:is|are|was|were|has|have|had|does|do|did|can|could|will|would|should|must|may|isnt|arent|wasnt|dont|doesnt|didnt|cant|hasnt|wont|[\w]+(?:s|ed)|went|got|took|came|made"
    r"|gave|ran|put|said|won|lost|kept|left|swopped|sold|bought)(?:n['’]t)?"
)
_HASTY: Final = re.compile(
    r"\b(is|are|was|were|do|does|did|has|have|had|ca|could|must|might|should|wo|would|need)nt\b", re.IGNORECASE
)
_AFTER_NOT: Final = re.compile(r"(?:\bnot|\bnever|n['’]?t)\b(?P<rest>.*)$", re.IGNORECASE)
_TITLE: Final = r"(?:(?:mr|mrs|ms|miss|dr|prof|professor|sir|old|our|the|my|his|her|auntie|aunt|uncle)\.? )*"
_OWNED_LEAD: Final = re.compile(
    rf"^\W*{_TITLE}(?P<owner>[^\W\d_][\w.-]*(?: [A-ZÀ-Ý][\w-]*)*?)['’]s? (?:\w+ )?(?P<kin>{KINDRED})\b", re.IGNORECASE
)
_KIN_LEAD: Final = re.compile(
    rf"^\W*(?:my|our|his|her|their)(?: \w+)?? (?P<kin>{KINDRED})\b(?!['’-])(?:,? (?P<name>[^\W\d_][\w-]*)(?= {_VERB}\b|,))?",
    re.IGNORECASE,
)
_SMALL_LEAD: Final = re.compile(
    rf"^\W*(?P<title>{_TITLE})(?P<name>[^\W\d_][\w-]*)(?: (?:at|in|from|on|next|over) (?:\w+ ){{1,3}}?)?(?:['’]s?)? ?(?={_VERB}\b)",
    re.IGNORECASE,
)
_OF_SENSE: Final = frozenset(
    """original originally before previous previously former formerly longer anymore use used vain initial initially past old now nowadays
    currently moment right today still number""".split()
)
"""Words that say which time a question is about, or how much, and not what it is about."""
_SAME_QUESTION: Final = 0.6
"""Cosine, names left out, from which two questions ask the same."""
_WAYS: Final = 5
_FIRST: Final = re.compile(
    rf"\b(?:i|me|mine|we|us|ours?|(?:my|our)(?! (?:\w+ )?(?:{KINDRED})\b)|i['’]\w+)\b", re.IGNORECASE
)
_NAMELESS: Final = STOPWORDS | STARTERS


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
        text = about[hit.note.id]
        verdicts = [
            _whose(who, text, hit.note, told, known, lead, clause.core) for lead in _leads(hit.note, text, asker)
        ]
        name, near, whose = min(verdicts, key=_foreign)
        found.append(Bearing(hit, whose, near, name, not hit.note.valid_at(now) or denies(hit.note, clause)))
    return found


def _foreign(verdict: tuple[str, bool, Whose]) -> bool:
    return verdict[2] == "other"


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


def _whose(
    who: Named, text: str, note: Note, told: Mapping[str, str], known: set[str], lead: _Lead, asked: str
) -> tuple[str, bool, Whose]:
    """Whom a note is about (where it is another than the clause names), whether that is a near one, and the verdict."""
    slip = ""
    told_of = [
        name
        for name in who.names or who.places
        if name in who.topic and compare(name, text, known=known).likeness == "same"
    ]
    for name in who.names or who.places:
        if told_of and name not in who.topic and not any(c.isdigit() for c in name):
            continue  # it tells of whom is asked; "Portugal" is no namesake of the Porto that may be the answer
        match = compare(name, text, known=known)
        if match.likeness == "near" and _is_name(match, text, lead):
            return match.name, True, "other"
        if match.likeness == "slip":
            slip = match.name
        elif match.likeness == "absent" and who.topic.startswith(name) and lead.name and not who.kin:
            return ("", False, "open") if who.subject else (lead.name, False, "other")
    if who.kin and (other := _other_kin(who, lead, text, told)):
        return other, True, "other"
    if _is_relative(who, lead):
        return f"{lead.owner}'s {lead.kin}", True, "other"
    if (
        who.asker
        and not who.subject
        and lead.sure
        and compare(lead.name or lead.kin, asked).likeness == "absent"
        and _somebody_else(lead, note)
    ):
        return lead.name or lead.kin, bool(lead.kin), "other"
    mine = who.asker and _FIRST.search(note.content) is not None
    return slip, False, "own" if mine or who.names or who.places or who.kin else "open"


def _is_relative(who: Named, lead: _Lead) -> bool:
    """Whether a note is about a relative of whom the clause asks about, and the clause about no relative."""
    if not lead.kin or not lead.owner or lead.name or who.kin:
        return False
    asked = parts(" ".join((*who.names, who.topic)))
    return any(compare(lead.owner, name).likeness == "same" for name in who.names) and not any(
        same_kin(lead.kin, word) for word in asked
    )


def _is_name(match: Match, text: str, lead: _Lead) -> bool:
    """Whether what is like a name is a name itself: by a capital, a number, a title, as whom a note is about, or by being called so."""
    name = match.name.casefold()
    if (
        any(c.isdigit() or c in "-_./" for c in name)
        or name in lead.name.casefold()
        or any(name in found or found in name for found in map(str.casefold, entities(text)))
    ):
        return True
    return re.search(rf"\b(?:mr|mrs|ms|miss|dr|called|named)\.? {re.escape(name)}\b", text.casefold()) is not None


@dataclass(frozen=True, slots=True)
class _Lead:
    """Whom a note begins with: a name, or a relative of an owner; ``mine`` when the owner is who tells.

    ``sure`` is false for a word that may have its capital from the beginning of the sentence alone.
    """

    name: str = ""
    kin: str = ""
    owner: str = ""
    mine: bool = False
    sure: bool = True


def _leads(note: Note, text: str, asker: str | None) -> list[_Lead]:
    """Whom a note is about: whom its facts are about, or whom it begins with."""
    subjects = dict.fromkeys(fact.subject for fact in note.facts)
    return [_of_fact(subject, note, asker) for subject in subjects] or [_lead(note, text)]


def _lead(note: Note, text: str) -> _Lead:
    told = note.content if not text.count("\n") else text.split("\n", maxsplit=1)[0]
    if owned := _OWNED_LEAD.match(told):
        return _Lead(kin=owned["kin"].lower(), owner=owned["owner"])
    if kin := _KIN_LEAD.match(told):
        name = kin["name"] or ""
        name = "" if name.casefold() in _NAMELESS or re.fullmatch(_VERB, name) else name
        return _Lead(name=name, kin=kin["kin"].lower(), mine=True)
    found = next(iter(entities(told)), "")
    start = re.match(rf"^\W*{_TITLE}", told, re.IGNORECASE)
    if found and start and told[start.end() :].startswith(found):
        sure = " " in found or start.group().strip() != "" or told[start.end() + len(found) :].startswith(("'s", "’s"))
        return _Lead(name=found, sure=sure)
    if called := re.search(r"\b(?:called|named) (?P<name>[A-ZÀ-Ý][\w-]*)", told):
        return _Lead(name=called["name"], sure=False)
    small = _SMALL_LEAD.match(told)
    if (
        small
        and small["name"].casefold() not in _NAMELESS
        and not small["name"].endswith(("ing", "tion"))
        and (told[:1].islower() or small["name"][0].isupper())
    ):
        plain = small["title"].casefold().split()
        if not set(plain) & {"the", "our", "my", "his", "her"} or set(plain) & {"mr", "mrs", "ms", "dr", "old"}:
            return _Lead(name=small["name"], sure=False)
    return _Lead()


def _of_fact(subject: str, note: Note, asker: str | None) -> _Lead:
    tellers = {"user", *(name.casefold() for name in (asker, note.actor, note.scope.user) if name)}
    owner, mark, rest = subject.rpartition("'s ")
    if subject.casefold() in tellers:
        return _Lead(mine=True)
    if mark and (kin := re.search(rf"\b({KINDRED})$", rest, re.IGNORECASE)):
        return _Lead(
            kin=kin.group(1).lower(),
            owner="" if owner.casefold() in tellers else owner,
            mine=owner.casefold() in tellers,
        )
    return _Lead(name=subject)


def _other_kin(who: Named, lead: _Lead, text: str, told: Mapping[str, str]) -> str:
    """Whose a note is that is asked of a relative: another relative's, the owner's, or a stranger's; empty when it may be that one's."""
    words = set(parts(text))
    if any(same_kin(who.kin, word) or same_kin(who.kin, word.removesuffix("s")) for word in words):
        if (
            lead.kin
            and not same_kin(lead.kin, who.kin)
            and not lead.name
            and re.search(rf"\b{who.kin}", text, re.IGNORECASE) is None
        ):
            return lead.kin
        return ""
    if lead.kin:
        return f"{lead.owner}'s {lead.kin}" if lead.owner else f"{'my ' if lead.mine else ''}{lead.kin}"
    name = lead.name
    if name and not _introduced(who.kin, name, told):
        return name
    return "" if name or not lead.mine else "you"


def _introduced(kin: str, name: str, told: Mapping[str, str]) -> bool:
    """Whether some note says that the relative has this name: "My sister Rosa …", "my sister is called Rosa", "Rosa, my sister"."""
    first = re.escape(parts(name)[0]) if parts(name) else "$^"
    near = re.compile(
        rf"\b{kin}s?,?(?: (?:is|was|are)(?: called| named)?| called| named|['’]s (?:first )?name is)? {first}\b|\b{first}(?: \w+)?,? (?:is )?(?:my|his|her|\w+['’]s) (?:\w+ )?{kin}",
        re.IGNORECASE,
    )
    return any(near.search(text) for text in told.values())


def _somebody_else(lead: _Lead, note: Note) -> bool:
    """Whether a note is about somebody else than who tells it, and does not mention them."""
    if lead.mine and not lead.kin:
        return False
    return bool(lead.name or lead.kin) and _FIRST.search(note.content) is None


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
