"""Whether a request names what an edit is about: the cheapest evidence there is, and independent of the model.

A key that lies near an edit's may be a paraphrase, or the same words about somebody else. A request that names the edit's
subject is hardly the latter, so its key may lie farther away; one that names somebody else is, however near its key (DEPN and
WISE gate by activation alone; MELO and retrieval-based editors such as SERAC, Mitchell et al. 2022, judge by the text, as this
does).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from agentmem.editors.background import guess_subject
from agentmem.extract.english.verbs import KIN
from agentmem.extract.lexicon import NEGATIONS, STOPWORDS
from agentmem.notes.edit import EditRequest
from agentmem.runtime.lazily import cached_property

__all__ = ["AskedText", "Mention", "Mentions"]

_ASKER = "user"
_I = frozenset({"i", "me", "my", "mine", "myself"})
_WORD = re.compile(r"\w+")
_SPOKEN = re.compile(r"\w+(?:['’]t\b)?")
_BEFORE = re.compile(r"(?:(\w+) of |([^\W\d_][\w'’.-]*)([ -]))$")
_AFTER = re.compile(r"(?:['’]s (\w[\w-]*)|([ -])([^\W\d_][\w-]*))")


class Mention:
    """Recognises a subject in a text, whatever the case; whole words only.

    The user who asks is recognised by "I", "me" and "my", and "user's sister" by "my sister".
    """

    def __init__(self, request: EditRequest) -> None:
        name = " ".join((request.subject or guess_subject(request.prompt)).split())
        self._known, self._words = bool(name), _as_asked(name.casefold())
        self._request = request

    def __bool__(self) -> bool:
        return self._known

    @property
    def first_words(self) -> frozenset[str]:
        """A text that names the subject has at least one of these words; empty when the subject has no word."""
        if not self._words:
            return _I if self._known else frozenset()
        return frozenset(_WORD.findall(self._words)[:1])

    def in_text(self, text: str) -> bool:
        """Whether the text names the subject."""
        return self._known and self.in_folded(text.casefold())

    def in_folded(self, folded: str) -> bool:
        """Whether a text in folded case names the subject, which there is."""
        if not self._words:
            return not _I.isdisjoint(_WORD.findall(folded))
        at = folded.find(self._words)
        while at >= 0:
            end = at + len(self._words)
            if not (at and _is_word(folded[at - 1])) and not (end < len(folded) and _is_word(folded[end])):
                return True
            at = folded.find(self._words, at + 1)
        return False

    def is_meant(self, text: str, turning: Collection[str]) -> bool:
        """Whether a text that names the subject may ask about it, and not about others whose names have its name within.

        "Ana Silva", "Mary Ana" and "Ana-Maria" are others than Ana; so is her sister, of whom "Where does Ana's sister live?" asks
        ("Who is Ana's sister?" asks about Ana). Where she does not live, or lived formerly, is another question as well. Words
        that the edit itself has change nothing.

        Args:
            text: what is asked.
            turning: the words of the text that make another question of it, in folded case.
        """
        if any(self._new(word) for word in turning):
            return False
        if not self._words:
            return True
        found = list(self._pattern.finditer(text))
        return not found or any(self._stands_alone(text, match.start(), match.end()) for match in found)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(rf"(?<!\w){re.escape(self._words)}(?!\w)", re.IGNORECASE)

    def _stands_alone(self, text: str, start: int, end: int) -> bool:
        before, after = _BEFORE.search(text[:start]), _AFTER.match(text[end:])
        if before is not None:
            relative, name, gap = before.groups()
            if relative is not None and self._other(relative, text[end:]):
                return False
            if name is not None and (gap == "-" or _is_name(name, text[: before.start(2)])) and self._new(name):
                return False
        if after is None:
            return True
        relative, gap, name = after.groups()
        if relative is not None:
            return not self._other(relative, text[end + after.end() :])
        return not ((gap == "-" or name[0].isupper()) and self._new(name))

    def _other(self, relative: str, rest: str) -> bool:
        """Whether somebody who stands to the subject as ``relative`` says is asked about: the question goes on behind the words."""
        return relative.casefold() in KIN and _WORD.search(rest) is not None and self._new(relative)

    def _new(self, word: str) -> bool:
        """Whether the edit itself does not use the word."""
        return word.casefold() not in self._own_words

    @cached_property
    def _own_words(self) -> frozenset[str]:
        said = " ".join((self._request.prompt, *self._request.paraphrases)).casefold()
        return frozenset((*_WORD.findall(said), *_SPOKEN.findall(said)))

    @cached_property
    def is_needed(self) -> bool:
        """Whether only a text that names the subject can ask what the edit answers: when every phrasing of the edit does."""
        request = self._request
        return request.subject is not None and all(
            self.in_text(text) for text in (request.prompt, *request.paraphrases)
        )


class Mentions:
    """Recognises the subjects of many edits at once.

    A text can only name those whose first word it has, so a table of first words leaves a handful to be looked for, however
    many edits there are.
    """

    def __init__(self, requests: Sequence[EditRequest]) -> None:
        self._all = tuple(Mention(request) for request in requests)
        self._by_word: dict[str, list[int]] = {}
        self._wordless: list[int] = []
        for at, mention in enumerate(self._all):
            words = mention.first_words
            for word in words:
                self._by_word.setdefault(word, []).append(at)
            if mention and not words:
                self._wordless.append(at)

    def in_text(self, text: str) -> list[int]:
        """The edits whose subjects the text names, ascending."""
        if not text:
            return []
        folded = text.casefold()
        likely = set(self._wordless)
        for word in set(_WORD.findall(folded)):
            likely.update(self._by_word.get(word, ()))
        return [at for at in sorted(likely) if self._all[at].in_folded(folded)]

    def meant(self, text: str) -> list[int]:
        """The edits whose subjects the text may ask about, ascending: named, and not as a part of another's name."""
        named = self.in_text(text)
        if not named:
            return []
        turning = frozenset(word.casefold() for word in _SPOKEN.findall(text) if _turns_round(word))
        return [at for at in named if self._all[at].is_meant(text, turning)]

    @cached_property
    def all_needed(self) -> bool:
        """Whether every edit answers only requests that name its subject."""
        return all(mention.is_needed for mention in self._all)

    def is_needed(self, edit: int) -> bool:
        """Whether this edit answers only requests that name its subject."""
        return self._all[edit].is_needed


def _is_word(character: str) -> bool:
    r"""What ``\w`` matches."""
    return character.isalnum() or character == "_"


def _turns_round(word: str) -> bool:
    """Whether a word makes another question of the one it stands in."""
    return word.casefold() in NEGATIONS or word.casefold().endswith(("n't", "n’t"))


def _is_name(word: str, before: str) -> bool:
    """Whether a capital letter makes a name of a word: not of one that opens a sentence, nor of a word like "Is"."""
    opening = before.rstrip()
    return (
        word[0].isupper()
        and word.casefold() not in STOPWORDS
        and bool(opening)
        and (opening[-1].isalnum() or opening[-1] == ",")
    )


def _as_asked(name: str) -> str:
    """The words of a subject in the mouth of the user; empty for the user."""
    if name == _ASKER:
        return ""
    return f"my {name[len(_ASKER) + 3 :]}" if name.startswith(f"{_ASKER}'s ") else name


class AskedText(NamedTuple):
    """The words that ask: ``whole`` is false when the message began before them, so that a name may be missing."""

    text: str = ""
    whole: bool = False
