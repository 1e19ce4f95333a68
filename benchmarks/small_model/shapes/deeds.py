"""Notes of what is done: by whom, to what, when, where, with whom, for how much; told in one sentence, and each part asked for by itself.

Shapes (:mod:`benchmarks.small_model.shapes.notes`) tell a few hundred sentences by heart; here grammar makes them, from verbs that mean much the same, so that no
sentence is met often enough to be learnt, and the word that asks decides which of several values is the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from benchmarks.small_model.shapes.grammar import (
    OTHER,
    SPEAKER,
    SPEAKERS,
    TENSES,
    Group,
    Person,
    Tense,
    Verb,
    asked,
    asked_passive,
    groups,
    said,
    said_passive,
)
from benchmarks.small_model.shapes.notes import ME, OUR, Asked, Key, Told, Writer, hurried

__all__ = ["DeedsWriter"]

WHO, WHAT = "who", "what"
# How each part is told, what kind of value it is, and the words that ask for it; a word behind the bar ends the question.
_PARTS: dict[str, tuple[tuple[tuple[str, str], ...], tuple[str, ...]]] = {
    "when": (
        (("on {}", "date"), ("on {}", "weekday"), ("at {}", "time"), ("since {}", "date")),
        ("When", "When exactly", "On what day or at what time", "What day"),
    ),
    "where": ((("in {}", "place"), ("at {}", "place"), ("near {}", "place")), ("Where", "Where exactly", "In what place")),
    "price": (
        (("for {}", "money"), ("at a price of {}", "money"), ("and paid {}", "money")),
        ("For how much", "For what sum", "How much|for", "At what price"),
    ),
    "long": (
        (("for {}", "duration"), ("within {}", "duration"), ("over {}", "duration")),
        ("How long", "For how long", "In how much time"),
    ),
    "beside": (
        (("together with {}", "person"), ("with {}", "person"), ("side by side with {}", "person")),
        ("With whom", "Who|with", "Together with whom"),
    ),
    "why": (
        (("because of {}", "phrase"), ("due to {}", "phrase"), ("on account of {}", "phrase")),
        ("Why", "For what reason", "How come"),
    ),
    "often": ((("{}", "times"),), ("How often", "How many times")),
    "tool": ((("using {}", "tool"), ("with the help of {}", "tool")), ("Using what", "With the help of what", "With what tool")),
}  # fmt: skip
_OPENERS = (
    "By the way, ", "FYI: ", "For the record, ", "Good news: ", "As you know, ", "Just so you know, ", "I hear that ", "Note to self: ",
    "It turns out that ", "As far as I can tell, ", "According to {}, ", "{} says that ", "Before I forget: ", "Small update, ", "So, ", "In the end ",
)  # fmt: skip
_CLOSERS = (
    ", as far as I know", ", by the way", ", at least for now", ", which was a relief", ", as {} told me", ", finally", ", as planned", ", believe it or not",
    ", and that is final", ", if I remember right", " (ask {})", ", to everybody's surprise", " - sorry for the delay", ", and {} was glad", ", more or less",
)  # fmt: skip
_POLITE = ("Do you know {}?", "Can you tell me {}?", "I need to know {}.", "Tell me {}.", "Remind me {}?", "I forgot {}.", "Any idea {}?", "{}, do you remember?")  # fmt: skip


@dataclass(frozen=True)
class _Deed:
    """What is told.

    Attributes:
        whose: Whom or what the note is about: it stands in each question.
        parts: The values that are told, by what asks for them.
        phrases: How those beside who and what are told.
    """

    group: Group
    tense: Tense
    person: Person
    who: str
    what: str
    about_what: bool
    parts: tuple[tuple[str, str], ...]
    phrases: tuple[str, ...]

    @property
    def whose(self) -> str:
        return self.what if self.about_what else {SPEAKER: ME, SPEAKERS: OUR}.get(self.person, self.who)

    @property
    def name(self) -> str:
        return self.whose if self.person == OTHER or self.about_what else ""

    def key(self, part: str) -> Key:
        """Return what a question for a part is about."""
        beside = "" if self.about_what or part == WHAT else self.what
        verb = self.group.verbs[0]
        return self.whose, f"{verb.base} {verb.rest} {part} {beside}"


class DeedsWriter:
    """Writes notes of what is done; all randomness comes from the generators that its methods are given.

    Args:
        writer: Draws subjects and values.
        held: Whether verbs are those kept from training; for measuring.
    """

    def __init__(self, writer: Writer, *, held: bool = False) -> None:
        """Keep the verbs."""
        self.writer = writer
        self.groups = tuple(group for group in groups() if group.held == held)
        self._states = tuple(group for group in self.groups if group.thing == "any")
        self._deeds = tuple(group for group in self.groups if group.thing != "any")

    def note(self, rng: Random) -> Told:
        """Write a note."""
        group = rng.choice(self._states if rng.random() < 0.4 else self._deeds)
        return self._told(self._drawn(group, rng), rng)

    # -- what is told ----------------------------------------------------------------------------------------

    def _drawn(self, group: Group, rng: Random) -> _Deed:
        tense: Tense = rng.choice(("past", "past", "past", "perfect", "future", "present"))
        mine = group.agent == "person" and rng.random() < 0.25
        person: Person = rng.choice((SPEAKER, SPEAKER, SPEAKERS)) if mine else OTHER
        who = {SPEAKER: "I", SPEAKERS: "we"}.get(person) or self.writer.subject(group.agent, rng)
        if group.thing == "any":
            tense = rng.choice(("past", "present", "present", "present"))
            what = self.writer.values["any"](rng)
            return _Deed(group, tense, person, who, what, False, ((WHAT, what),), ())
        what = self.writer.subject(group.thing, rng)
        about_what = not mine and rng.random() < 0.6
        drawn = [(part, *self._part(part, rng)) for part in rng.sample(list(_PARTS), rng.choice((0, 1, 1, 2)))]
        told = tuple((part, value) for part, value, _ in drawn)
        nameless = about_what and bool(drawn) and rng.random() < 0.4
        first = () if nameless else ((WHO, who),) if about_what else ((WHAT, what),)
        phrases = tuple(phrase for _, _, phrase in drawn)
        return _Deed(group, tense, person, who, what, about_what, (*first, *told), phrases)

    def _part(self, part: str, rng: Random) -> tuple[str, str]:
        """Draw the value of a part, and how it is told."""
        told, kind = rng.choice(_PARTS[part][0])
        value = f"{rng.randrange(2, 40)} times" if kind == "times" else self.writer.values[kind](rng)
        return value, told.format(value)

    def _again(self, deed: _Deed, rng: Random) -> _Deed:
        """Return the same deed with other values for all that it tells."""
        new, phrases, who, what = [], [], deed.who, deed.what
        for part, _ in deed.parts:
            if part == WHO:
                who = self.writer.subject(deed.group.agent, rng)
                new.append((part, who))
            elif part == WHAT:
                kind = deed.group.thing
                what = self.writer.values["any"](rng) if kind == "any" else self.writer.subject(kind, rng)
                new.append((part, what))
            else:
                value, phrase = self._part(part, rng)
                new.append((part, value))
                phrases.append(phrase)
        return replace(deed, parts=tuple(new), phrases=tuple(phrases), who=who, what=what)

    def _told(self, deed: _Deed, rng: Random) -> Told:
        text = self._text(deed, rng)

        def again(rng: Random) -> Told:
            # What else is done to something is told of the same thing; a new object is another matter for the parts beside it.
            return self._told(self._again(self._alone(deed), rng), rng)

        def beside(rng: Random) -> Told:
            other = self._again(deed, rng)
            if deed.about_what:
                return self._told(replace(other, what=self.writer.subject(deed.group.thing, rng)), rng)
            return self._told(replace(other, who=self.writer.subject(deed.group.agent, rng), person=OTHER), rng)

        def elsewhere(rng: Random) -> Asked:
            return self._elsewhere(deed, rng)

        def fact(part: str, value: str) -> Told:
            def asks(rng: Random) -> Asked:
                return self._asked(deed, part, rng)

            return Told(deed.key(part), text, deed.name, value, asks, elsewhere, again, beside)

        first, *more = (fact(part, value) for part, value in deed.parts)
        return replace(first, also=tuple(more))

    def _alone(self, deed: _Deed) -> _Deed:
        """Return the deed as it can be told again under its own keys."""
        if deed.about_what or len(deed.parts) == 1:
            return deed
        return replace(deed, parts=tuple(part for part in deed.parts if part[0] != WHAT))

    def _text(self, deed: _Deed, rng: Random) -> str:
        verb = rng.choice(deed.group.verbs)
        told = {part for part, _ in deed.parts}
        passive = (
            deed.group.thing != "any"
            and deed.person == OTHER
            and ((deed.about_what and WHO not in told) or rng.random() < 0.35)
        )
        if passive:
            by = "" if deed.about_what and WHO not in told else f" by {deed.who}"
            core = f"{said_passive(verb, deed.tense, deed.what)}{by}"
        else:
            core = self._active(deed, verb, rng)
        phrases = list(deed.phrases)
        rng.shuffle(phrases)
        front = phrases.pop(0) if phrases and rng.random() < 0.25 and not phrases[0].startswith("and ") else ""
        core = " ".join((f"{front}, {core}" if front else core, *phrases))
        someone = self.writer.values["person"](rng)
        if rng.random() < 0.2:
            core = rng.choice(_OPENERS).format(someone) + core
        if rng.random() < 0.15:
            core += rng.choice(_CLOSERS).format(someone)
        kept = deed.group.thing == "any" and core.startswith(deed.what)
        return (core if kept else core[:1].upper() + core[1:]) + ("" if rng.random() < 0.08 else ".")

    def _active(self, deed: _Deed, verb: Verb, rng: Random) -> str:
        draw, clause = rng.random(), said(verb, deed.tense, deed.person, deed.who)
        if deed.phrases or draw < 0.7:
            return f"{clause} {deed.what}"
        if draw < 0.8:
            return f"what {clause} is {deed.what}"
        if draw < 0.9:
            return f"it is {deed.what} that {clause}"
        return f"{deed.what} is what {clause}"

    # -- what is asked ---------------------------------------------------------------------------------------

    def _asked(self, deed: _Deed, part: str, rng: Random) -> Asked:
        verb = rng.choice(deed.group.verbs)
        tense = deed.tense if rng.random() < 0.75 else rng.choice(TENSES)
        told_who = any(name == WHO for name, _ in deed.parts) or not deed.about_what
        active = not deed.about_what or (part != WHO and told_who and rng.random() < 0.4)
        text = self._question(deed, verb, tense, part, rng, active=active)
        return Asked(hurried(text[:1].upper() + text[1:], rng), deed.name, deed.key(part))

    def _question(self, deed: _Deed, verb: Verb, tense: Tense, part: str, rng: Random, *, active: bool) -> str:
        draw = rng.random()
        if part == WHO:
            return self._who(deed, verb, tense, draw, rng)
        if part == WHAT:
            return self._what(deed, verb, tense, draw, rng)
        word, _, end = rng.choice(_PARTS[part][1]).partition("|")
        end = f" {end}" if end else ""
        if draw < 0.6:
            inner = (
                asked(verb, tense, deed.person, deed.who, deed.what)
                if active
                else asked_passive(verb, tense, deed.what)
            )
            return f"{word} {inner}{end}?"
        clause = said(verb, tense, deed.person, deed.who, deed.what) if active else said_passive(verb, tense, deed.what)
        if draw < 0.85:
            return rng.choice(_POLITE).format(f"{word.lower()} {clause}{end}")
        return f"{clause}{end} {word.lower()}" if draw < 0.95 else f"{deed.what} {verb.participle} {verb.rest} {word.lower()}".replace("  ", " ")  # fmt: skip

    def _who(self, deed: _Deed, verb: Verb, tense: Tense, draw: float, rng: Random) -> str:
        word = "who" if deed.group.agent == "person" else rng.choice(("what", "which one"))
        clause = said(verb, tense, OTHER, word, deed.what)
        if draw < 0.5:
            return f"{clause}?"
        if draw < 0.65:
            return f"{'by whom' if word == 'who' else 'by what'} {asked_passive(verb, tense, deed.what)}?"
        if draw < 0.75:
            return f"{word} is it that {clause.removeprefix(f'{word} ')}?"
        if draw < 0.9:
            return rng.choice(_POLITE).format(clause)
        return f"{deed.what} {verb.participle} {verb.rest} by {'whom' if word == 'who' else 'what'}".replace("  ", " ")

    def _what(self, deed: _Deed, verb: Verb, tense: Tense, draw: float, rng: Random) -> str:
        word = rng.choice(("what", "what", "what", "which one", "what exactly"))
        if deed.group.thing == "person":
            word = rng.choice(("whom", "who"))
        if draw < 0.55:
            return f"{word} {asked(verb, tense, deed.person, deed.who)}?"
        clause = said(verb, tense, deed.person, deed.who)
        if draw < 0.65:
            return f"{word} is it that {clause}?"
        if draw < 0.85:
            return rng.choice(_POLITE).format(f"{word} {clause}")
        return f"{clause} {word}"

    def _elsewhere(self, deed: _Deed, rng: Random) -> Asked:
        """Ask for a part that is not told, for something else that is done, or of somebody else."""
        draw, told = rng.random(), {part for part, _ in deed.parts}
        if draw < 0.4 and deed.group.thing != "any":
            untold = [part for part in (*_PARTS, *((WHO,) if deed.about_what else ())) if part not in told]
            return self._asked(deed, rng.choice(untold), rng)
        part = deed.parts[0][0]
        if draw < 0.7:
            others = self._same_kind(deed.group)
            if others:
                return self._asked(replace(deed, group=rng.choice(others)), part, rng)
        if deed.about_what:
            return self._asked(replace(deed, what=self.writer.namesake(deed.what, deed.group.thing, rng)), part, rng)
        who = self.writer.namesake(deed.who, deed.group.agent, rng)
        return self._asked(replace(deed, who=who, person=OTHER), part, rng)

    def _same_kind(self, group: Group) -> Sequence[Group]:
        return [
            other
            for other in self.groups
            if (other.agent, other.thing) == (group.agent, group.thing) and not _alike(other, group)
        ]


def _alike(one: Group, other: Group) -> bool:
    """Whether the same words could tell both: a verb that stands in two lines."""
    return bool({(verb.base, verb.rest) for verb in one.verbs} & {(verb.base, verb.rest) for verb in other.verbs})
