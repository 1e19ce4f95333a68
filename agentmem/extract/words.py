"""Keywords, entities and tags of a text, by rule: fast enough to run on every note."""

from __future__ import annotations

import re
from typing import Final

from agentmem.extract.lexicon import MONTHS, STARTERS, STOPWORDS, WEEKDAYS, WORD, capitalised
from agentmem.extract.scripts import MARKS, composed, names, pieces, unspaced
from agentmem.notes.note import Note

__all__ = ["entities", "found_by", "keywords", "tags"]

_MAX_ENTITIES = 24
_MAX_READ = 4_000  # characters: what a longer text is about shows at its beginning
_LONGEST_WORD = 40
_POSSESSIVE: Final = ("'s", "’s")
_SHORTENED: Final = ("n't", "n’t", "'ll", "’ll", "'re", "’re", "'ve", "’ve")

# One pass over everything that is an entity without being capitalised; the groups name the kinds. Looking for a mail address
# tries every letter of a text, so it is left out where there is no @.
_MAIL: Final = r"(?P<mail>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)|"
_PLAIN: Final = (
    rf"(?P<tag>(?<![\w&/])#[^\W\d_](?:[\w-]|[{MARKS}])*)"
    r"|[\"“«](?P<quote>[^\"“”«»\n]{2,60})[\"”»]"
    r"|(?P<money>[$€£¥]\s?\d[\d.,]*\d|[$€£¥]\s?\d)(?:\s?(?:million|billion|k|m|bn)\b)?"
    r"|(?P<amount>(?<![\w.])\d+(?:[.,]\d+)*\s?(?:%|°C|°F|€|(?:km/h|mph|km|kg|mg|ml|cm|mm|lbs?|oz|GB|MB|TB|GHz|MHz|kWh"
    r"|euros?|dollars?|pounds|minutes?|hours?|miles?|metres?|meters?|litres?|liters?|percent|g|m|l)\b))"
)
_WITHOUT_MAIL: Final = re.compile(_PLAIN)
_SPECIAL: Final = re.compile(_MAIL + _PLAIN)
_MARKS: Final = frozenset('@#"“«$€£¥%0123456789')

_TOPICS: Final = {
    "family": "mother mom mum father dad sister brother son daughter wife husband parents family grandmother aunt uncle",
    "work": "job work office boss colleague meeting project deadline salary career employer company client interview",
    "study": "school university college exam course class lecture thesis homework degree student teacher",
    "food": "food eat dinner lunch breakfast recipe restaurant cook cooking coffee tea wine pizza vegetarian vegan cake",
    "travel": "trip travel flight hotel holiday vacation airport visit visited train beach passport journey",
    "health": "doctor hospital allergy allergic medicine diagnosis therapy pain sick ill health sleep headache pregnant",
    "sport": "football soccer tennis running run gym yoga swim swimming hike hiking marathon climbing basketball bike",
    "music": "music song concert guitar piano violin band album singer sing playlist drums",
    "art": "painting paint art museum drawing exhibition photography photo pottery sculpture",
    "books": "book novel read reading author library poem poetry",
    "film": "film movie cinema series show episode actor actress",
    "money": "money price bank invoice budget rent mortgage tax loan pay paid euro dollar",
    "home": "house flat apartment kitchen garden furniture home moved neighbour neighbor room",
    "pets": "dog cat puppy kitten pet parrot hamster rabbit",
    "technology": "computer software code python bug server laptop phone app api database model release deploy",
    "celebration": "birthday wedding party anniversary christmas easter graduation celebrate",
    "preference": "favourite favorite like likes love loves prefer prefers enjoy enjoys hate hates dislike",
    "plan": "plan plans planning tomorrow schedule appointment reminder todo soon",
}
_TOPIC_OF: Final = {word: topic for topic, text in _TOPICS.items() for word in text.split()}


def keywords(text: str, k: int = 8) -> list[str]:
    """The ``k`` words that say most, in lower case: repeated, long and capitalised ones first, then by position."""
    scores: dict[str, float] = {}
    text = text[:_MAX_READ]
    opens = WORD.match(text) is not None
    for raw in _words(text):
        word = raw.lower()
        if word.endswith(_POSSESSIVE):
            word = word[:-2]
        if word in scores:
            scores[word] += 1.0
        elif (
            word not in STOPWORDS
            and (2 < len(word) <= _LONGEST_WORD or unspaced(word))
            and not (word[0].isdigit() or word.endswith(_SHORTENED))
        ):
            scores[word] = 0.05 * min(len(word), 12) + (0.5 if raw[0] != word[0] and not opens else 0.0)
        opens = False
    return sorted(scores, key=scores.__getitem__, reverse=True)[: max(k, 0)]


def _words(text: str) -> list[str]:
    if not unspaced(text):
        return WORD.findall(text)
    cut = (pieces(word) for word in WORD.findall(composed(text)))
    return [each for parts in cut for piece, run in parts for each in (names(piece) if run else [piece])]


def _name(run: str, opens: bool, text: str) -> str:
    """The name in a run of capitalised words, or an empty string when it is not one."""
    parts = run.split(" ")
    if opens:
        while parts and parts[0].lower() in STARTERS:
            parts.pop(0)
    while parts and parts[0].lower().replace("’", "'").split("'")[0] in STOPWORDS:
        parts.pop(0)
    name = " ".join(parts).rstrip(".'’-&")
    if name.endswith(("'s", "’s")):
        name = name[:-2]
    lower = name.lower()
    if len(name) < 2 or lower in WEEKDAYS or lower in MONTHS or not name[0].isupper():
        return ""
    # At the beginning of a sentence any word has a capital: written small elsewhere, it is no name.
    if opens and len(parts) == 1 and re.search(rf"(?<!\w){re.escape(lower)}(?!\w)", text):
        return ""
    return name


def entities(text: str) -> list[str]:
    """Names, quotations, mail addresses, hashtags and amounts with a unit, in order of appearance, each once.

    A word that opens a sentence counts as a name unless it is a common word or also appears in lower case.
    """
    text = text[:_MAX_READ]
    found: dict[str, str] = {}
    if not text.isupper():
        for run, opens in capitalised(text):
            name = _name(run, opens, text)
            if name:
                found.setdefault(name.casefold(), name)
    if not _MARKS.isdisjoint(text):
        for match in (_SPECIAL if "@" in text else _WITHOUT_MAIL).finditer(text):
            kind = match.lastgroup or "amount"
            value = " ".join(match.group(kind).split())
            found.setdefault(value.casefold(), value)
    return list(found.values())[:_MAX_ENTITIES]


def tags(text: str) -> list[str]:
    """Broad topics of the text (``work``, ``food``, ``travel`` …) and its hashtags without the sign, sorted."""
    text = text[:_MAX_READ]
    found = {_TOPIC_OF[word] for word in set(WORD.findall(text.lower())) & _TOPIC_OF.keys()}
    if "#" in text:
        found |= {m.group("tag")[1:].lower() for m in _SPECIAL.finditer(text) if m.group("tag")}
    return sorted(found)


def found_by(note: Note) -> tuple[str, str]:
    """What full text finds a note by: its words, and keywords that it does not use itself."""
    own = note.content.lower()
    return note.content, "\n".join(word for word in note.keywords if word.lower() not in own)
