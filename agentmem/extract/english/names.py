"""Whom and what a question names, and whether a text names the same, a misspelling of it, or a namesake.

Most people do not capitalise when they are in a hurry, so a name shows by its place as well: behind a title, behind "does", before
a possessive. What differs by a slip of the fingers within a word is likely the same name; what differs at its end ("Stefan",
"Stefania"), in its first letter or in a number is likely another.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from agentmem.extract.english.verbs import KIN
from agentmem.extract.lexicon import MONTHS, STARTERS, STOPWORDS, WEEKDAYS, capitalised
from agentmem.extract.words import entities

if TYPE_CHECKING:
    from agentmem.ask.clauses import Clause

__all__ = ["KINDRED", "PARENTS", "Match", "Named", "compare", "folded", "named", "parts", "same_kin", "stem"]

Likeness = Literal["same", "slip", "near", "absent"]

TITLES: Final = frozenset("mr mrs ms miss dr prof professor sir madam aunt auntie uncle old".split())
_WORD: Final = re.compile(r"[^\W_]+(?:[-_./][^\W_]+)*", re.UNICODE)
_OWNED: Final = re.compile(r"['’]s?(?=\W|$)")
_TITLED: Final = re.compile(
    r"\b(?:mr|mrs|ms|miss|dr|prof|professor|sir|auntie|aunt|uncle)\.? +([^\W\d_][\w-]+)", re.IGNORECASE
)
_LETTERED: Final = re.compile(r"(?<![\w-])(?=[\w./-]*[^\W\d_])(?=[\w./-]*\d)[\w]+(?:[-_./]?\w+)*")
_HYPHENED: Final = re.compile(r"(?<![\w-])[a-z]{2,}(?:[-_][a-z]{2,})+(?![\w-])")
_NUMBERED: Final = re.compile(r"\b([a-z]{3,}) (\d{1,5}[a-z]?)\b", re.IGNORECASE)
_UNITS: Final = frozenset(
    "about around over under least most nearly than exactly only some every first last next past".split()
)
_AUX: Final = (
    r"(?:is|are|was|were|do|does|did|has|have|had|can|could|may|might|must|shall|should|will|would)(?:n['’]?t)?"
)
_SLOT: Final = re.compile(
    rf"\b(?:{_AUX}|whats|wheres|whens|(?:what|where|when)['’]s|of|for|with|at|about|from|does|than) (?P<word>[^\W\d_][\w'’-]*)",
    re.IGNORECASE,
)
_PREDICATE: Final = re.compile(r"\b(?:which|what|who) (?:is|are|was|were) $", re.IGNORECASE)
_OWNER: Final = re.compile(r"(?P<word>[^\W\d_][\w.-]*)['’]s? ", re.IGNORECASE)
_SUBJECT: Final = re.compile(
    rf"\b(?:{_AUX}|(?:what|who|where|when|how)['’]?s) (?:the |our |old |my )*(?P<rest>.+)$", re.IGNORECASE
)
KINDRED: Final = "|".join(sorted(KIN, key=len, reverse=True))
PARENTS: Final = "mum|mom|mummy|mommy|dad|daddy|grandma|grandpa|granny|nan|nana|grandad|papa|mama"
"""Whom one calls so without a "my"."""
_MY_KIN: Final = re.compile(
    rf"\b(?:my|our)(?: \w+)?? (?P<kin>{KINDRED})(?:['’]?s)?\b(?!-)|(?<!['’]s )(?<!\bof )\b(?P<parent>{PARENTS})(?:['’]s)?\b",
    re.IGNORECASE,
)
_KIN_OWNS: Final = re.compile(
    rf"\b(?:my|our)(?: \w+)?? (?P<kin>{KINDRED})['’]s? (?:\w+ )?(?:{KINDRED})\b", re.IGNORECASE
)
_SUBJECT_OF: Final = re.compile(
    r"\b(?:do|does|did|can|will|would) [\w.' -]{1,40}?['’]s? (?P<kin>[a-z][a-z-]+) (?:live|work|study|eat|drink|like|love|prefer|drive|speak|play|sing|teach|hate|dislike)\b"
)
"""Somebody or something of somebody's, who does what only they do."""
_THEIR_KIN: Final = re.compile(
    rf"['’]s? (?:\w+ )?(?P<kin>{KINDRED})(?:['’]?s)?\b(?!-)|\b(?P<of>{KINDRED}) of\b", re.IGNORECASE
)
_ASKS_KIN: Final = re.compile(
    rf"^(?:who|what)(?:['’]?s| is| are| was) (?:(?:my|our|the|his|her) |(?:(?! of )[\w.' -]){{1,40}}['’]s? )?(?:\w+ )?(?:{KINDRED})(?:['’]?s)?(?: (?:called|named?))?\W*$"
    rf"|\bnames? of (?:\w+ ){{0,3}}?(?:\w+['’]s )?(?:{KINDRED})|(?:{KINDRED})['’]s (?:first |last |full )?name|what.{{0,30}}(?:{KINDRED}) (?:called|named)"
    rf"|^(?:who|what)(?:['’]?s| is| was) the (?:{KINDRED}) of\b",
    re.IGNORECASE,
)
_SAME_KIN: Final = {
    alias: name
    for name, aliases in {
        "mother": "mom mum mummy mommy mama", "father": "dad daddy papa", "grandmother": "grandma granny nan nana", "grandfather": "grandpa grandad", "spouse": "wife husband partner fiance fiancee",
        "boss": "manager", "neighbour": "neighbor", "flatmate": "roommate", "employer": "company", "school": "university",
    }.items()
    for alias in aliases.split()
}  # fmt: skip
_SILENT: Final = (
    (re.compile(r"(.)\1"), r"\1"),
    (re.compile(r"ph"), "f"),
    (re.compile(r"(?<=[^aeiou])h|h\b"), ""),
    (re.compile(r"ck"), "k"),
    (re.compile(r"y"), "i"),
)
_NO_NAME: Final = (
    STOPWORDS
    | STARTERS
    | KIN
    | TITLES
    | {f"{word}s" for word in KIN}
    | {f"{wh}s" for wh in ("what", "who", "where", "when", "how")}
)
_ENDINGS: Final = re.compile(r"(?:ings?|ed|ers?|ies|es|s|ly|ment|ions?|e|y|ists?)$")


@dataclass(frozen=True, slots=True)
class Named:
    """Whom and what a clause names.

    Attributes:
        topic: whose matter is asked, as the clause has it ("Ana Delgado", "my sister"); empty where it does not say.
        names: what it names for certain: by a capital, a title, or a number within.
        places: words that stand where a name stands, in a question without capitals.
        kin: the relative or the like whose matter is asked ("sister" of "my sister", of "Ana's sister"); not one who is asked for.
        asker: whether it is about who asks.
        subject: whether it asks for the one who does something, so that a text's subject is its answer.
    """

    topic: str = ""
    names: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    kin: str = ""
    asker: bool = False
    subject: bool = False


class Match(NamedTuple):
    """How a text names somebody, and what it has in the place of the name."""

    likeness: Likeness
    name: str = ""


def named(clause: Clause) -> Named:
    """Whom and what a clause names."""
    text = clause.core
    names = _names(text)
    places = () if _has_capitals(text) else _places(text, names)
    kin = _kin(text)
    topic = _topic(text, (*names, *places), kin)
    asker = not names and not kin and re.search(r"\b(?:i|my|mine|we|our|me|us)\b", text, re.IGNORECASE) is not None
    return Named(topic, names, places, kin, asker, _asks_subject(text))


def _has_capitals(text: str) -> bool:
    return any(word[0].isupper() for word in text.split()[1:] if word not in ("I", "I'm", "I’m"))


def _names(text: str) -> tuple[str, ...]:
    found: list[str] = []
    opening = text[:1].upper() + text[1:]
    for run in entities(opening):
        for name in re.split(r"['’]s? ", run):
            core = " ".join(word for word in name.split() if word.casefold() not in _NO_NAME)
            if core and core[0].isupper() and not (opening.startswith(core) and not text.startswith(core)):
                found.append(core)
    found += [match.group(1) for match in _TITLED.finditer(text)]
    found += [
        match.group()
        for match in _LETTERED.finditer(text)
        if not re.fullmatch(r"\d+(?:st|nd|rd|th|am|pm|k|h|min|kg|km|[.:,]\d+)\w*", match.group())
    ]
    found += [
        match.group() for match in _NUMBERED.finditer(text)
        if match.group(1).lower() not in STOPWORDS | MONTHS.keys() | WEEKDAYS.keys() | _UNITS
    ]  # fmt: skip
    return tuple(dict.fromkeys(name for name in found if name.casefold() not in MONTHS.keys() | WEEKDAYS.keys()))


def _places(text: str, names: Sequence[str]) -> tuple[str, ...]:
    """Words of a question in small letters where a name may stand."""
    found = [match["word"] for match in _SLOT.finditer(text) if not _PREDICATE.search(text[: match.start("word")])]
    found += [match["word"] for match in _OWNER.finditer(text)]
    found += [match.group() for match in _HYPHENED.finditer(text)]
    known = {word for name in names for word in parts(name)}
    bare = (_OWNED.sub("", word) for word in found)
    return tuple(
        dict.fromkeys(
            w for w in bare if len(w) > 2 and not w.endswith(("ing", "ed")) and w.casefold() not in _NO_NAME | known
        )
    )


def _kin(text: str) -> str:
    if owns := _KIN_OWNS.search(text):
        return owns["kin"].lower()  # "my sister's dog" is whose she is, whoever he may be
    if _ASKS_KIN.search(text):
        return ""
    mine, theirs, subject = _MY_KIN.search(text), _THEIR_KIN.search(text), _SUBJECT_OF.search(text)
    if theirs:
        return str(theirs["kin"] or theirs["of"]).lower()
    if mine:
        return str(mine["kin"] or mine["parent"]).lower()
    return subject["kin"] if subject else ""


def _topic(text: str, names: Sequence[str], kin: str) -> str:
    if kin and (mine := _MY_KIN.search(text)):
        return _OWNED.sub("", mine.group())
    if not names:
        return ""
    slot = _SUBJECT.search(text)
    after = slot["rest"].casefold() if slot else ""
    first = next((name for name in names if re.match(rf"(?:\w+\.? )?{re.escape(name.casefold())}\b", after)), None)
    owner = next(
        (
            name
            for name in names
            if re.search(rf"{re.escape(name)}['’]s?(?=\W)|\b(?:{KINDRED}) of (?:the )?{re.escape(name)}", text)
        ),
        None,
    )
    name = owner or first or names[0]
    return f"{name}'s {kin}" if kin and owner else name


def _asks_subject(text: str) -> bool:
    """Whether the subject of what was told is the answer: "Who feeds the cat?", "which room has a window"."""
    found = re.match(r"(?:who|whos|who['’]s|(?:which|what|whose)(?: \w+){0,2}?)(?= )(?P<rest>.*)$", text, re.IGNORECASE)
    if found is None or not re.match(r"who\b|whos\b|who['’]|which|what", text, re.IGNORECASE):
        return False
    return re.match(
        r"who(?:['’]?s| is| was| are)? (?!(?:do|does|did|can|will|has|have)\b)", text, re.IGNORECASE
    ) is not None or (
        re.match(rf"(?:which|what)(?: [\w-]+){{0,2}}? (?!{_AUX}\b)[\w]+s\b", text, re.IGNORECASE) is not None
        and re.search(rf"\b{_AUX}\b", text, re.IGNORECASE) is None
    )


def compare(name: str, text: str, *, known: Collection[str] = ()) -> Match:
    """How a text names what a question calls ``name``.

    Args:
        known: folded words of all that was found; a word that stands there is no slip.
    """
    wanted = [word for word in parts(name) if word not in TITLES] or parts(name)
    words = list(dict.fromkeys(parts(text)))
    alike = [_best(word, words, known) for word in wanted]
    kinds = {match.likeness for match in alike}
    if kinds == {"same"}:
        return Match("same", name)
    numbered = any(any(c.isdigit() for c in word) for word in wanted)
    if "same" in kinds:
        if numbered:
            return _other_number(wanted, text) or Match("absent")
        other = _run_with(text, {m.name for m in alike if m.likeness == "same"}, wanted)
        if kinds == {"same", "slip"}:
            return Match("slip", _spelled(text, [m.name for m in alike]))
        if other or "near" in kinds:
            return Match("near", other or _spelled(text, [m.name for m in alike if m.likeness != "absent"]))
        return Match("same", name) if _first_or_last(alike) else Match("absent")
    if kinds == {"slip"} and not numbered:
        return Match("slip", _spelled(text, [m.name for m in alike]))
    found = [m.name for m in alike if m.likeness in ("near", "slip")]
    if len(found) < len(alike):
        return Match("absent")  # "Maria Dietrich" is no namesake of Marta Carver
    return Match("near", _run_with(text, set(found), ()) or _spelled(text, found)) if found else Match("absent")


def _first_or_last(alike: Sequence[Match]) -> bool:
    return alike[0].likeness == "same" or alike[-1].likeness == "same"


def _other_number(wanted: Sequence[str], text: str) -> Match | None:
    """Another number behind the same word: "room 14" where "room 9" is asked."""
    words = [word for word in wanted if not any(c.isdigit() for c in word)]
    for word in words:
        if found := re.search(rf"\b{re.escape(word)}s? #?(\d+\w*)", folded(text)):
            return Match("near", found.group())
    return None


def _run_with(text: str, shared: Collection[str], wanted: Collection[str]) -> str:
    """The name in a text that has one of these words and others that are not wanted."""
    for run, _ in capitalised(text):
        words = [word for word in parts(run) if word not in TITLES and word not in STOPWORDS]
        if (
            not set(words).isdisjoint(shared)
            and any(word not in wanted for word in words)
            and (wanted or len(words) > 0)
        ):
            return re.sub(r"^(?:The|Our|My|Old) ", "", _OWNED.sub("", run))
    return ""


def _spelled(text: str, words: Iterable[str]) -> str:
    """Folded words as a text spells them."""
    spelled = {folded(word): word for word in _WORD.findall(_OWNED.sub("", text))}
    return " ".join(dict.fromkeys(spelled.get(word, word) for word in words))


def _best(word: str, words: Sequence[str], known: Collection[str]) -> Match:
    if word in words:
        return Match("same", word)
    short = word.removesuffix("s")
    if short in words or f"{word}s" in words:
        return Match("same", short if short in words else f"{word}s")
    for other in words:
        if word not in known and _is_slip(word, other):
            return Match("slip", other)
    near = [other for other in words if _is_near(word, other)]
    return Match("near", near[0]) if near else Match("absent", word)


def _is_slip(one: str, other: str) -> bool:
    """Whether two words differ by a slip of the fingers or of spelling, and not at the beginning, at the end, or in a number."""
    if (
        one[0] != other[0]
        or min(len(one), len(other)) < 4
        or not (one.isalpha() and other.isalpha())
        or other in STOPWORDS
    ):
        return False
    if _sounded(one) == _sounded(other):
        return True
    if len(one) == len(other):
        differ = [i for i, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
        if (
            len(differ) == 2
            and differ[1] == differ[0] + 1
            and one[differ[0]] == other[differ[1]]
            and one[differ[1]] == other[differ[0]]
        ):
            return True
        return len(differ) == 1 and len(one) >= 5 and differ[0] < len(one) - 2
    short, long = sorted((one, other), key=len)
    if len(long) != len(short) + 1 or len(long) < 5:
        return False
    at = next((i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    return at < len(short) and short[at:] == long[at + 1 :]


def _sounded(word: str) -> str:
    for pattern, put in _SILENT:
        word = pattern.sub(put, word)
    return word


def _is_near(one: str, other: str) -> bool:
    """Whether a word is so like a name that it is likelier another's name than anything else, and no other form of it."""
    if other in STOPWORDS or one.isdigit() or other.isdigit() or (stem(one) == stem(other) and one.isalpha()):
        return False
    letters = re.sub(r"\d", "", one)
    if letters != one:
        return bool(letters) and letters == re.sub(r"\d", "", other)
    common = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    longest, apart = max(len(one), len(other)), _distance(one, other)
    if min(len(one), len(other)) < 3:
        return False
    return (
        (common >= 3 and 2 * common >= longest)
        or (common >= 4 and 5 * common >= 2 * longest)
        or 3 * apart <= longest
        or (common >= 2 and 2 * apart <= longest)
    )


def _distance(one: str, other: str) -> int:
    """Letters to put in, take out or change (Levenshtein 1966)."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        left, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            left, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, left + (a != b))
    return row[-1]


def folded(text: str) -> str:
    """In small letters, without accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))


def parts(text: str) -> list[str]:
    """The words of a name or a text, folded, without possessive endings; what hyphens, dots and the like hold together is one word."""
    return _WORD.findall(_OWNED.sub("", folded(text)))


def stem(word: str) -> str:
    """A word without its endings, for telling whether two are one word in other forms."""
    bare = _ENDINGS.sub("", word)
    bare = bare if len(bare) >= 3 else word
    return re.sub(r"(.)\1$", r"\1", bare)


def same_kin(one: str, other: str) -> bool:
    """Whether two words may mean the same relative: "mum" and "mother"."""
    return _SAME_KIN.get(one, one) == _SAME_KIN.get(other, other)
