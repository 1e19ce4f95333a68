"""When two notes are the same note: an exact hash, and a veto on merging what only looks alike.

Two sentences that differ in one number, name or "not" have nearly the same vector; a cosine may propose that they are
duplicates, the content decides. The veto is strict: a duplicate kept costs a line, a merged difference is lost.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final, NamedTuple

from agentmem.extract.lexicon import MONTHS, NEGATIONS, NUMBERS, WEEKDAYS
from agentmem.extract.scripts import MARKS
from agentmem.notes.names import MAX_BYTES, clean_text
from agentmem.notes.rows import ASKING

__all__ = ["MAX_BYTES", "clean_text", "content_hash", "same_meaning_possible", "same_words"]

_TRAILING: Final = " .!…。！,;:"  # not the question mark: a question is not its answer
_LETTERS: Final = rf"[^\W\d_]+(?:[{MARKS}]+[^\W\d_]*)*"
_TOKEN: Final = re.compile(rf"(?<![^\W_])[-+−]?\d+(?:[.,:]\d+)*|{_LETTERS}(?:['’]{_LETTERS})*|\d+")
_CONTRACTED: Final = {"n't": " not", "'ll": " will", "'re": "", "'ve": " have", "'m": "", "'d": "", "'s": ""}
_ENDS: Final = re.compile("(n't|'ll|'re|'ve|'m|'d|'s)$")

_PERSONS: Final = {
    word: person
    for person, group in {
        "I": "i me my mine myself",
        "you": "you your yours yourself yourselves",
        "he": "he him his himself",
        "she": "she her hers herself",
        "we": "we us our ours ourselves",
        "they": "they them their theirs themselves",
    }.items()
    for word in group.split()
}
# Words without which a statement says the same.
_EMPTY: Final = frozenset(
    """a an the is are am be been being do does have has having and also just really very quite so please well oh ok okay
    that this it its of indeed actually""".split()
)
# Words that count wherever they stand: time, amount, tense, obligation, condition, direction. All other words count in
# their order, because the dog that bites is not the dog that is bitten.
_FREE: Final = frozenset(
    """before after more less most least all every each some always often sometimes usually rarely seldom once twice again
    still already only even almost was were had did will shall should must may might can could would cannot if unless
    until since because although while during in on at by for with within without today tonight tomorrow yesterday now
    ago later then too enough""".split()
)
_SAME: Final = {"cannot": "can", "were": "was"}


class _Content(NamedTuple):
    numbers: tuple[str, ...]
    names: tuple[str, ...]
    words: tuple[str, ...]
    free: frozenset[str]
    persons: tuple[str, ...]
    symbols: frozenset[str]
    spelled: tuple[str, ...]
    indents: tuple[str, ...]
    denies: bool
    asks: bool


def content_hash(text: str) -> bytes:
    """SHA-256 of the text without what does not change it: letter case, Unicode form, spacing, final full stops."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return hashlib.sha256(_spaced(folded).encode("utf-8", "surrogatepass")).digest()


def same_words(a: str, b: str) -> bool:
    """Whether two texts are the same but for Unicode form, spacing within a line, final full stops and the letter that a sentence begins with.

    One that is written large or small within is another password, unit, flag or name, and how lines are set in is code.
    """
    return a == b or _spelling(a) == _spelling(b)


def same_meaning_possible(a: str, b: str) -> bool:
    """False when two texts cannot say the same, however near their vectors are.

    They cannot when they differ in a number or date, a name, who is spoken of, a denial, a question mark, a word of
    time, tense or direction, a symbol, how a code is spelled, how lines are set in, or any content word or its place: what may differ is inflection that keeps the
    meaning, articles, emphasis, contractions, and where an adverb stands.
    """
    return same_words(a, b) or _content(a) == _content(b)


def _spelling(text: str) -> tuple[tuple[str, ...], str]:
    text = unicodedata.normalize("NFC", text)
    words = _spaced(text)
    return _indents(text), words[:1].casefold() + words[1:]


def _spaced(text: str) -> str:
    """With single spaces, and without what it ends with that says nothing."""
    words = " ".join(text.split())
    return words.rstrip(_TRAILING) or words


def _indents(text: str) -> tuple[str, ...]:
    """How the lines of a text are set in, of one that has several."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return tuple(line[: len(line) - len(line.lstrip())] for line in lines) if len(lines) > 1 else ()


def _stem(word: str) -> str:
    """Inflection that keeps the meaning taken off: live, lives, living. Past forms stay: lived is not lives."""
    if len(word) > 5 and word.endswith("ing"):
        word = word[:-3]
        return word[:-1] if word[-1] == word[-2] else word
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("es"):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    return word.removesuffix("e") if len(word) > 3 else word


def _number(token: str) -> str:
    """One spelling per number: 1,000 as 1000, 3.0 as 3, 07 as 7."""
    token = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", token.replace("−", "-")).replace(",", ".").lstrip("+")
    if "." in token and token.count(".") == 1:
        token = token.rstrip("0").rstrip(".")
    return re.sub(r"^(-?)0+(?=\d)", r"\1", token)


def _split(text: str) -> list[str]:
    """The tokens, contractions written out."""
    tokens: list[str] = []
    for token in _TOKEN.findall(text.replace("’", "'")):
        end = _ENDS.search(token.lower())
        if end is None:
            tokens.append(token)
            continue
        stem = {"ca": "can", "wo": "will", "sha": "shall"}.get(token[: end.start()].lower(), token[: end.start()])
        tokens += (stem + _CONTRACTED[end.group()]).split()
    return tokens


def _content(text: str) -> _Content:
    text = unicodedata.normalize("NFC", text)
    numbers: list[str] = []
    names: list[str] = []
    persons: list[str] = []
    ordered: list[str] = []
    free: set[str] = set()
    spelled: list[str] = []
    denies = False
    for position, token in enumerate(_split(text)):
        word = token.casefold()
        if any(c.isupper() for c in token[1:]) or (token.isalnum() and not token.isalpha() and not token.isdigit()):
            spelled.append(token)
        if any(c.isdigit() for c in word):
            numbers.append(_number(word))
        elif word in NUMBERS and len(word) > 2 and word not in ("few", "several", "couple"):
            numbers.append(str(NUMBERS[word]))
        elif word in NEGATIONS:
            denies = not denies
        elif word in _PERSONS:
            persons.append(_PERSONS[word])
        elif word in _FREE:
            free.add(_SAME.get(word, word))
        elif word not in _EMPTY or (len(token) == 1 and token.isupper() and position > 0):
            stem = _stem(word)
            ordered.append(stem)
            if token[0].isupper() and (position > 0 or word in MONTHS or word in WEEKDAYS):
                names.append(stem)
    symbols = frozenset(c for c in text if not c.isascii() and unicodedata.category(c)[0] == "S") | {
        c for c in text if c in "#%$+=<>@&*/~^"
    }
    return _Content(
        *(tuple(numbers), tuple(names), tuple(ordered), frozenset(free), tuple(dict.fromkeys(persons))),
        *(symbols, tuple(spelled), _indents(text), denies, any(mark in text for mark in ASKING)),
    )
