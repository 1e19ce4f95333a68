"""Sentences read by frames: a language whose verb stands second is words and patterns alone.

A frame is a verb, what stands around its value, and perhaps a participle that closes the sentence. It is read behind its subject ("Ich wohne jetzt in
Graz") and with something else first ("Seit Mai wohne ich in Graz"). What says that something is over is put into the words that would affirm it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from agentmem.extract.extractor import Ending
from agentmem.extract.language import Denied, Language, StatedClause, WordLists
from agentmem.extract.relations import RELATIONS, relation
from agentmem.notes.note import Fact
from agentmem.runtime.lazily import cached_property

__all__ = ["Frame", "Frames", "Saying", "framed"]


class Frame(NamedTuple):
    """How a relation is said.

    Attributes:
        verbs: the finite forms, as a pattern; value: what follows, with ``{v}`` for the value; closing: the end of the sentence.
        shape: of the value, by name in :attr:`Frames.shapes`.
        lasts: that nothing passing is said by it: a home or a job for a week is none.
    """

    relation: str
    verbs: str
    value: str
    shape: str
    closing: str = ""
    lasts: bool = False


class Saying(NamedTuple):
    """How an ending is said, the sentences that would affirm what ended, and what else the words say.

    In these, groups of the pattern stand by name, ``{e}`` and ``{t}`` for the endings of a verb whose subject is ``{who}``, ``{be}`` for "is". With
    ``whichever`` it is left open what there was.
    """

    pattern: re.Pattern[str]
    affirmed: tuple[str, ...]
    rest: str = ""
    whichever: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """The data of a language.

    Attributes:
        who: pattern of a subject; me: the word for it that means who speaks; mine: pattern of "my …", with the groups ``which``, ``kin`` and ``name``.
        kin: whom or what "my …" may be, by how relations call them.
        adverbs: what may stand before or behind a value without changing it; passing: what makes a home or a job one for a while.
        reject: words of a question, a guess, a wish, a denial, or somebody's report. openers: what may stand before a statement, with a comma or a colon.
        rest: between what has ended and what else is said.
        me_forms, others_forms: what ``{e}``, ``{t}`` and ``{be}`` are.
        favourite: pattern of "my favourite …" with the groups ``kind`` and ``v``, and how relations call these kinds.
    """

    who: str
    me: str
    mine: re.Pattern[str]
    kin: Mapping[str, str]
    frames: Sequence[Frame]
    shapes: Mapping[str, Callable[[str], str | None]]
    adverbs: str
    passing: re.Pattern[str]
    reject: re.Pattern[str]
    openers: re.Pattern[str]
    joint: re.Pattern[str]
    sayings: Sequence[Saying]
    rest: re.Pattern[str]
    me_forms: Mapping[str, str]
    others_forms: Mapping[str, str]
    favourite: re.Pattern[str]
    kinds: Mapping[str, str]


def framed(words: WordLists, data: Frames) -> Language:
    """A language of these words and frames."""
    reader = _Reader(data)
    return Language(words, reader.facts_of, reader.clauses_of, reader.ends_of)


class _Reader:
    """Reads single sentences."""

    def __init__(self, data: Frames) -> None:
        self._data = data
        self._verbs = re.compile(rf"(?:{'|'.join(frame.verbs for frame in data.frames)})\b", re.IGNORECASE)

    @cached_property
    def _patterns(self) -> list[tuple[Frame, re.Pattern[str]]]:
        """Made when the first sentence is read: most memories are in one language, and an import need not wait for all."""
        data = self._data
        more = rf"(?: (?:{data.adverbs}))*"
        return [
            (frame, re.compile(pattern, re.IGNORECASE))
            for frame in data.frames
            for value in [frame.value.replace("{v}", "(?P<v>.+?)") + (f" {frame.closing}" if frame.closing else "")]
            for pattern in (
                rf"(?P<who>{data.who}) (?:{frame.verbs}){more} {value}{more}",
                rf"(?:{data.adverbs}),? (?:{frame.verbs}) (?P<who>{data.who}){more} {value}{more}",
            )
        ]

    def facts_of(self, sentence: str, speaker: str | None, *, whole: bool) -> tuple[Fact, ...]:
        """The facts of a sentence: of its clauses, where each states one, else its only one."""
        if whole:
            fact = self._fact(sentence, speaker)
            return () if fact is None else (fact,)
        return tuple(clause.fact for clause in self.clauses_of(sentence, speaker) if clause.fact is not None)

    def clauses_of(self, sentence: str, speaker: str | None) -> Iterator[StatedClause]:
        """The parts of a sentence, where each states something with the subject of the first; else the sentence."""
        parts = self._data.joint.split(_bare(sentence))
        first = self._subject_words(parts[0])
        said = [parts[0], *(f"{first} {part}" if first and self._verbs.match(part) else part for part in parts[1:])]
        facts = [self._fact(each, speaker) for each in said]
        if len(parts) > 1 and all(facts):
            yield from (StatedClause(*clause) for clause in zip(parts, facts, said, strict=True))
        else:
            yield StatedClause(sentence, self._fact(sentence, speaker), _bare(sentence))

    def ends_of(self, sentence: str, denied: Denied) -> tuple[list[Ending], str]:
        """What a sentence ends, and what else it says: tried whole, then up to each break."""
        sentence = self._data.openers.sub("", _bare(sentence))
        breaks = [(sentence, "")] + [
            (sentence[: b.start()], sentence[b.end() :]) for b in self._data.rest.finditer(sentence)
        ]
        for clause, rest in breaks:
            for saying in self._data.sayings:
                if (found := saying.pattern.fullmatch(clause)) is None:
                    continue
                parts = {name: text or "" for name, text in found.groupdict().items()}
                me = re.search(rf"\b{self._data.me}\b", clause, re.IGNORECASE) is not None
                parts |= self._data.me_forms if me else self._data.others_forms
                facts = [denied(" ".join(form.format_map(parts).split())) for form in saying.affirmed]
                ended = [Ending(f.subject, f.relation, None if saying.whichever else f.object) for f in facts if f]
                if ended:
                    told = (saying.rest.format_map(parts), rest)
                    return ended, " ".join(f"{each[:1].upper()}{each[1:]}." for each in told if each)
        return [], ""

    def _fact(self, sentence: str, speaker: str | None) -> Fact | None:
        sentence = self._data.openers.sub("", _bare(sentence))
        if "?" in sentence or self._data.reject.search(sentence):
            return None
        if favourite := self._data.favourite.fullmatch(sentence):
            return self._favourite(favourite, speaker)
        for frame, pattern in self._patterns:
            if (found := pattern.fullmatch(sentence)) is None or (frame.lasts and self._data.passing.search(sentence)):
                continue
            subject, value = (
                self._subject(found["who"], speaker),
                self._data.shapes[frame.shape](found["v"].strip(" ,")),
            )
            if subject is not None and value is not None and value.casefold() != subject.casefold():
                several = frame.relation == "name" and "'s " in subject  # two names of "my dog" are two dogs
                return Fact(
                    subject, frame.relation, value, functional=RELATIONS[frame.relation].functional and not several
                )
        return None

    def _favourite(self, found: re.Match[str], speaker: str | None) -> Fact | None:
        kind, value = self._data.kinds.get(found["kind"].casefold()), self._data.shapes["kind"](found["v"])
        known = None if kind is None else relation(f"favourite {kind}")
        return None if known is None or value is None or speaker is None else Fact(speaker, known.name, value)

    def _subject(self, who: str, speaker: str | None) -> str | None:
        """Whom a statement is about, or ``None`` when the words do not say."""
        if who.casefold() == self._data.me:
            return speaker
        if (mine := self._data.mine.fullmatch(who)) is None:
            return self._data.shapes["person"](who)
        if mine["name"]:
            return mine["name"]
        kin = self._data.kin.get(mine["kin"].casefold())
        which = self._data.kin.get((mine["which"] or "").casefold(), "")
        if kin is None or speaker is None or (mine["which"] and not which):
            return None
        return f"{speaker}'s {f'{which} {kin}'.strip()}"

    def _subject_words(self, part: str) -> str:
        part = self._data.openers.sub("", part)
        found = next((found for _, pattern in self._patterns if (found := pattern.fullmatch(part))), None)
        return "" if found is None else found["who"]


def _bare(sentence: str) -> str:
    return sentence.strip().replace("’", "'").rstrip(".! ")
