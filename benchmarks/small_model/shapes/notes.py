"""Notes of generated shapes: a subject, what of it, a value, how that is told and in how many ways it is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import NamedTuple
from zlib import crc32

from agentmem.evaluation.world import names
from benchmarks.small_model.shapes.values import Vocabulary, kinds_of_values

__all__ = ["Asked", "Form", "Told", "Writer", "forms"]

ME, OUR = "me", "our"
_KEPT_CAPITALS = {"code", "address", "path", "email", "version"}
_TYPING = "qwertyuiopasdfghjklzxcvbnm"


@dataclass(frozen=True)
class Form:
    """One shape.

    Attributes:
        subject: Kind of subject.
        value: Kind of value.
        named: Whether the matter has a name of its own, drawn anew for each note.
        held: Whether it is kept from training.
    """

    subject: str
    value: str
    named: bool
    held: bool
    told: tuple[str, ...]
    asked: tuple[str, ...]


Key = tuple[str, str]


class Asked(NamedTuple):
    """A question, how the subject is named in it (may be empty), and what it is about: with the key of a note, that note answers it."""

    text: str
    named: str
    key: Key


@dataclass(frozen=True)
class Told:
    """A note and how it may be asked for.

    Attributes:
        key: What it is about; two notes with one key contradict each other.
        name: The words in it that name whom it is about; may be empty.
        value: The answer, as it stands in the text.
        asks: Draws a question for it.
        elsewhere: Draws a question that looks alike and that it does not answer.
        again: Tells the same matter with another value.
        beside: Tells the same of somebody or something else.
        also: What else the same text tells, each with its own key, value and questions.
    """

    key: Key
    text: str
    name: str
    value: str
    asks: Callable[[Random], Asked] = field(compare=False)
    elsewhere: Callable[[Random], Asked] = field(compare=False)
    again: Callable[[Random], Told] | None = field(default=None, compare=False)
    beside: Callable[[Random], Told] | None = field(default=None, compare=False)
    also: tuple[Told, ...] = field(default=(), compare=False)

    @property
    def facts(self) -> tuple[Told, ...]:
        """All that the text tells."""
        return (self, *self.also)


@cache
def forms(folder: Path = Path(__file__).parent) -> tuple[Form, ...]:
    """Read the shapes, our own and those by others."""
    found: list[Form] = []
    texts = [(folder / name).read_text() for name in ("forms.txt", "forms_by_strangers.txt")]
    for block in "\n\n".join(texts).split("\n\n"):
        lines = [line for line in block.splitlines() if line and not line.startswith("#")]
        if not lines:
            continue
        head = lines[0].split()
        held = head[0] == "held"
        subject, named, value = head[held:]
        told = tuple(line[2:] for line in lines if line.startswith("+ "))
        asked = tuple(line[2:] for line in lines if line.startswith("? "))
        found.append(Form(subject, value, named == "relation", held, told, asked))
    return tuple(found)


def _key(form: Form, subject: str, matter: str) -> Key:
    return subject, f"{form.told[0]} {matter}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


class Writer:
    """Writes notes of the shapes; all randomness comes from the generators that its methods are given.

    Args:
        words: Ordinary words.
        held_forms: Whether shapes are those kept from training; for measuring.
        held_names: Whether names of matters are those kept from training; for measuring.
    """

    def __init__(self, words: Vocabulary, *, held_forms: bool = False, held_names: bool = False) -> None:
        """Keep the words and the shapes."""
        self.words, self.held_names = words, held_names
        self.values = kinds_of_values(words)
        self.forms = tuple(form for form in forms() if form.held == held_forms)

    def note(self, rng: Random, form: Form | None = None) -> Told:
        """Write a note; matters with invented names are a third of all."""
        if form is None:
            named = [form for form in self.forms if form.named]
            form = rng.choice(named if named and rng.random() < 0.35 else self.forms)
        return self._told(form, self.subject(form.subject, rng), self._matter(rng) if form.named else "", rng)

    def subject(self, kind: str, rng: Random) -> str:
        """Draw a subject of a kind."""
        words, word = self.words, self.words.word(rng)
        if kind == "whatever":
            kind = rng.choice(("thing", "server", "project", "team"))
        if kind == "person":
            return self.values["person"](rng)
        if kind in (ME, OUR):
            return kind
        forms = {
            "thing": (
                f"the {word}",
                f"the {words.some(rng, 2, 2)}",
                f"the {word} {rng.choice('machine box door card room car book key boat'.split())}",
                f"{word} {rng.randrange(1, 99)}",
            ),
            "server": (
                f"the {word} server",
                f"{word}-{rng.randrange(1, 30):02d}",
                f"{word}.internal",
                _capital(names.invented_word(rng)),
                f"the {word} service",
                f"{word}db",
            ),
            "project": (
                f"Project {_capital(word)}",
                f"the {word} project",
                f"the {words.some(rng, 2, 2)} report",
                f"the {word} migration",
                _capital(names.invented_word(rng)),
            ),
            "team": (
                f"the {word} team",
                f"the {word} group",
                f"the {word} club",
                f"{_capital(word)} United",
                f"the {words.some(rng, 2, 2)} shift",
            ),
            "rule": (
                f"the {word} release",
                f"{words.some(rng, 2, 2)}",
                f"a {word} review",
                f"deploying {word}",
                f"the {word} test",
            ),
        }[kind]
        return rng.choice(forms)

    def _matter(self, rng: Random) -> str:
        """Draw the name of a matter; a checksum keeps a fifth of all for measuring."""
        while True:
            name = rng.choice(
                (
                    self.words.some(rng, 2, 2),
                    self.words.word(rng),
                    f"{names.invented_word(rng).lower()} {self.words.word(rng)}",
                    names.invented_word(rng).lower(),
                    f"{self.words.word(rng)} {rng.choice('number name date limit day code person place level size colour rate owner'.split())}",
                )
            )
            if (crc32(name.encode()) % 5 == 0) == self.held_names:
                return name

    def _told(self, form: Form, subject: str, matter: str, rng: Random) -> Told:
        value = self.values[form.value](rng)
        text = self._filled(rng.choice(form.told), subject, matter, value, form)

        def asks(rng: Random) -> Asked:
            return self._asked(form, subject, matter, rng)

        def elsewhere(rng: Random) -> Asked:
            return self._asked_elsewhere(form, subject, matter, rng)

        def again(rng: Random) -> Told:
            return self._told(form, subject, matter, rng)

        def beside(rng: Random) -> Told:
            return self._told(form, self.subject(form.subject, rng), matter, rng)

        name = "" if subject in (ME, OUR) else subject
        return Told(_key(form, subject, matter), text, name, value, asks, elsewhere, again, beside)

    def _filled(self, sentence: str, subject: str, matter: str, value: str, form: Form) -> str:
        text = sentence.replace("{s}", subject).replace("{S}", subject).replace("{r}", matter).replace("{v}", value)
        starts_with_value = sentence.startswith("{v}")
        plain = value[:1].islower() and value.split(" ", 1)[0].isalpha() and form.value not in _KEPT_CAPITALS
        kept = starts_with_value and not plain
        return text if kept or sentence[:1].islower() else _capital(text)

    def _asked(self, form: Form, subject: str, matter: str, rng: Random) -> Asked:
        asked = rng.choice(form.asked)
        question = asked.replace("{s}", subject).replace("{r}", matter)
        named = "" if subject in (ME, OUR) else subject
        said = question if asked[:1].islower() else _capital(question)
        return Asked(hurried(said, rng), named, _key(form, subject, matter))

    def _asked_elsewhere(self, form: Form, subject: str, matter: str, rng: Random) -> Asked:
        mine = subject in (ME, OUR)
        others = [other for other in self.forms if other.subject == form.subject and other is not form]
        draw = rng.random()
        if form.named and (draw < 0.5 or (mine and not others)):
            return self._asked(form, subject, self._matter(rng), rng)
        if others and (mine or draw < 0.75):
            other = rng.choice(others)
            return self._asked(other, subject, self._matter(rng) if other.named else "", rng)
        kind = "person" if mine else form.subject
        about = [other for other in self.forms if other.subject == kind]
        if mine or not about:
            form = rng.choice([other for other in self.forms if other.subject not in (ME, OUR)])
            return self._asked(form, self.subject(form.subject, rng), self._matter(rng) if form.named else "", rng)
        return self._asked(form, self.namesake(subject, kind, rng), matter, rng)

    def namesake(self, subject: str, kind: str, rng: Random) -> str:
        """Return a subject that has some word in common, or a new one."""
        parts = subject.split(" ")
        if subject in (ME, OUR) or len(parts) < 2 or rng.random() < 0.4:
            return self.subject("person" if kind in (ME, OUR) else kind, rng)
        at = rng.randrange(1, len(parts)) if parts[0] == "the" else rng.randrange(len(parts))
        word = next(word for word in iter(lambda: self.words.word(rng), "") if word != parts[at].lower())
        parts[at] = _capital(word) if parts[at][:1].isupper() else word
        return " ".join(parts)


def hurried(question: str, rng: Random) -> str:
    """Have a fifth of the questions typed as people do: small letters, no mark at the end, a slip."""
    draw = rng.random()
    if draw < 0.06:
        return question.lower()
    if draw < 0.1:
        return question.rstrip("?.")
    if draw < 0.18 and len(question) > 8:
        at = rng.randrange(1, len(question) - 1)
        slip = rng.choice((question[at + 1] + question[at], "", question[at] + rng.choice(_TYPING)))
        return question[:at] + slip + question[at + (2 if len(slip) == 2 and slip[0] == question[at + 1] else 1) :]
    if draw < 0.22:
        return f"{rng.choice(('Hey, ', 'Quick question: ', 'Sorry, ', 'Could you tell me: ', 'One more thing. '))}{question}"
    return question
