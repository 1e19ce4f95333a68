"""About whom a note is: whom a clause asks about, somebody of the same name, a relative, or somebody else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from agentmem.extract.english.names import KINDRED, PARENTS, Match, Named, compare, parts, same_kin
from agentmem.extract.lexicon import STARTERS, STOPWORDS
from agentmem.extract.words import entities
from agentmem.notes.note import Note

__all__ = ["Whose", "about_whom", "another_of_the_name"]

Whose = Literal["own", "open", "other"]
"""Whether a note is about whom the clause asks, does not show it, or is about somebody else."""

_VERB: Final = (
    r"(?:is|are|was|were|has|have|had|does|do|did|can|could|will|would|should|must|may|isnt|arent|wasnt|dont|doesnt|didnt|cant|hasnt|wont|[\w]+(?:s|ed)|went|got|took|came|made"
    r"|gave|ran|put|said|won|lost|kept|left|swopped|sold|bought)(?:n['’]t)?"
)
_TITLE: Final = r"(?:(?:mr|mrs|ms|miss|dr|prof|professor|sir|old|our|the|my|his|her|auntie|aunt|uncle)\.? )*"
_OWNED_LEAD: Final = re.compile(
    rf"^\W*{_TITLE}(?P<owner>[^\W\d_][\w.-]*(?: [A-ZÀ-Ý][\w-]*)*?)['’]s? (?:\w+ )?(?P<kin>{KINDRED})\b", re.IGNORECASE
)
_KIN_LEAD: Final = re.compile(
    rf"^\W*(?:my|our|his|her|their)(?: \w+)?? (?P<kin>{KINDRED})\b(?!['’-])(?:,? (?P<name>[^\W\d_][\w-]*)(?= {_VERB}\b|,))?",
    re.IGNORECASE,
)
_THINGS: Final = "dog|cat|parrot|horse|hamster|rabbit|company|team|school|university|employer|bank"
"""What is one's own like one's car: "my team's meeting" is mine as well."""
_KIN_OWNER: Final = re.compile(
    rf"^\W*(?:(?:my|our)(?: \w+)?? (?!(?:{_THINGS})\b)(?P<kin>{KINDRED})['’]s?|(?P<parent>{PARENTS})(?:['’]s)?)(?= )"
    r"(?! (?:rang|said|says|told|tells|called|calls|thinks|thought|wrote|texted|asked|reckons|mentioned)\b)",
    re.IGNORECASE,
)
_OF_TELLER: Final = re.compile(r"^\W*(?:my|i|i['’]m|i['’]ve|i['’]d)\b", re.IGNORECASE)
_MINE: Final = re.compile(r"\b(?:i|my|mine|me)\b", re.IGNORECASE)
_SUFFIX: Final = r",? (?:jr|sr|junior|senior|ii|iii|iv|the (?:younger|elder|second|third))\b"
_SMALL_LEAD: Final = re.compile(
    rf"^\W*(?P<title>{_TITLE})(?P<name>[^\W\d_][\w-]*)(?: (?:at|in|from|on|next|over) (?:\w+ ){{1,3}}?)?(?:['’]s?)? ?(?={_VERB}\b)",
    re.IGNORECASE,
)
_FIRST: Final = re.compile(
    rf"\b(?:i|me|mine|we|us|ours?|(?:my|our)(?! (?:\w+ )?(?:{KINDRED})\b)|i['’]\w+)\b", re.IGNORECASE
)
_NAMELESS: Final = STOPWORDS | STARTERS


def about_whom(
    note: Note,
    text: str,
    who: Named,
    asked: str,
    told: Mapping[str, str],
    known: set[str],
    asker: str | None = None,
) -> tuple[str, bool, Whose]:
    """Whom a note is about (where it is another than the clause names), whether that is a near one, and the verdict.

    Args:
        text: all that shows about whom the note is.
        who: whom the clause asks about; asked: the words of the clause.
        told: the texts of all the notes beside it, by id; known: the words of these.
        asker: who asks, where notes call them by name.
    """
    verdicts = (_whose(who, text, note, told, known, lead, asked) for lead in _leads(note, text, asker))
    return min(verdicts, key=lambda verdict: verdict[2] == "other")


def _whose(
    who: Named, text: str, note: Note, told: Mapping[str, str], known: set[str], lead: _Lead, asked: str
) -> tuple[str, bool, Whose]:
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
    if other := next((found for name in who.names if (found := another_of_the_name(name, text, asked))), ""):
        return other, True, "other"
    if who.kin and (other := _other_kin(who, lead, text, told)):
        return other, True, "other"
    if _is_relative(who, lead):
        return f"{lead.owner}'s {lead.kin}", True, "other"
    if (
        who.asker
        and not who.subject
        and lead.sure
        and (lead.kin or _MINE.search(asked))  # "our contract" may be told of as that of the company
        and compare(lead.name or lead.kin, asked).likeness == "absent"
        and _somebody_else(lead, note)
    ):
        return lead.name or lead.kin, bool(lead.kin), "other"
    mine = who.asker and _FIRST.search(note.content) is not None
    return slip, False, "own" if mine or who.names or who.places or who.kin else "open"


def another_of_the_name(name: str, text: str, asked: str) -> str:
    """The name in a text, where a question asks of "the other" one of it, or of a junior, whom the text does not mention."""
    other = re.search(
        rf"\b(?:the other|another|a different) {re.escape(name)}\b|\b{re.escape(name)}{_SUFFIX}", asked, re.IGNORECASE
    )
    told = other.group() if other else name if re.search(rf"\w{_SUFFIX}\W*$", name, re.IGNORECASE) else ""
    missing = told and re.search(re.escape(told.rstrip(".")), text, re.IGNORECASE) is None
    return re.sub(rf"{_SUFFIX}\W*$", "", name, flags=re.IGNORECASE) if missing else ""


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
    if subjects:
        return [_of_fact(subject, note, asker) for subject in subjects]
    lead = _lead(note, text)
    return [_Lead(mine=True) if lead.name and lead.name.casefold() in _tellers(note, asker) else lead]


def _tellers(note: Note, asker: str | None) -> set[str]:
    """What who tells is called by notes that he wrote of himself."""
    return {"user", *(name.casefold() for name in (asker, note.actor, note.scope.user) if name)}


def _lead(note: Note, text: str) -> _Lead:
    told = note.content if not text.count("\n") else text.split("\n", maxsplit=1)[0]
    if owned := _OWNED_LEAD.match(told):
        return _Lead(kin=owned["kin"].lower(), owner=owned["owner"])
    if kin := _KIN_LEAD.match(told):
        name = kin["name"] or ""
        name = "" if name.casefold() in _NAMELESS or re.fullmatch(_VERB, name) else name
        return _Lead(name=name, kin=kin["kin"].lower(), mine=True)
    if owner := _KIN_OWNER.match(told):
        return _Lead(kin=(owner["kin"] or owner["parent"]).lower(), mine=True)
    if _OF_TELLER.match(told):
        return _Lead(mine=True)
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
    tellers = _tellers(note, asker)
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
