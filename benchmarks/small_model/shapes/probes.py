"""What is asked of notes of any shape, to measure: shapes, names of matters and authors that nothing is trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random

from agentmem.evaluation.world import ToldNote, answer, random_date, render_notes
from benchmarks.small_model import wording
from benchmarks.small_model.probes import Messages, Probe
from benchmarks.small_model.shapes.deeds import DeedsWriter
from benchmarks.small_model.shapes.notes import Told, Writer
from benchmarks.small_model.shapes.strangers import StrangersNotes, read_facts
from benchmarks.small_model.shapes.vocabulary import common_words

__all__ = ["SHAPE_PROBES"]

STRINGS = ("code", "address", "path", "phone", "email", "version", "date", "time", "money", "port", "list")
_TOLD_BY = {
    "facts_opened": ("facts_opened",),
    "exam_wordings": ("exam_wordings_open", "exam_wordings_opened", "exam_wordings_2_opened"),
    "exam_languages": ("exam_languages_open", "exam_languages_opened"),
}


@dataclass
class _Maker:
    """Makes probes; all randomness comes from ``rng``."""

    rng: Random
    note: Callable[[Random], Told]
    others: Callable[[Random], Told]

    def system(self, notes: Sequence[Told | str]) -> Messages:
        """Render a block of dated notes, in this order."""
        dates = sorted(random_date(self.rng) for _ in notes)
        told = [
            ToldNote(date, "user", note if isinstance(note, str) else note.text)
            for date, note in zip(dates, notes, strict=True)
        ]
        return [{"role": "system", "content": render_notes(told)}]

    def among(self, note: Told, least: int, most: int) -> list[Told | str]:
        """Return the note among others that say nothing of the kind."""
        notes: list[Told | str] = [note]
        for _ in range(self.rng.randint(least, most)):
            other = self.others(self.rng)
            if other.key != note.key and other.value != note.value:
                notes.insert(self.rng.randint(0, len(notes)), other)
        return notes

    def asked(self, note: Told, least: int = 3, most: int = 7) -> Probe:
        """Ask for the note among others."""
        messages = self.system(self.among(note, least, most))
        return Probe([*messages, {"role": "user", "content": note.asks(self.rng).text}], answer(note.value))

    def asked_elsewhere(self, note: Told) -> Probe:
        """Ask for what the note looks like telling, and does not."""
        notes = self.among(note, 3, 7)
        told = {other.key for other in notes if isinstance(other, Told)}
        asked = note.elsewhere(self.rng)
        while asked.key in told:
            asked = note.elsewhere(self.rng)
        return Probe([*self.system(notes), {"role": "user", "content": asked.text}], answer(None))

    def renewed(self, note: Told) -> Probe:
        """Ask for what was told twice, with two values."""
        assert note.again is not None
        newer = note.again(self.rng)
        notes = self.among(newer, 2, 5)
        notes.insert(self.rng.randint(0, notes.index(newer)), note)
        return Probe([*self.system(notes), {"role": "user", "content": newer.asks(self.rng).text}], answer(newer.value))


@cache
def _writer(held_forms: bool, held_names: bool) -> Writer:
    return Writer(common_words(), held_forms=held_forms, held_names=held_names)


def _generated(
    held_forms: bool = False, held_names: bool = False, values: Sequence[str] = (), subjects: Sequence[str] = ()
) -> Callable[[Random], _Maker]:
    def make(rng: Random) -> _Maker:
        writer = _writer(held_forms, held_names)
        fitting = [
            form
            for form in writer.forms
            if (not subjects or form.subject in subjects) and (not held_names or form.named)
        ]

        def note(rng: Random) -> Told:
            if not values:
                return writer.note(rng, rng.choice(fitting))
            kind = rng.choice(values)
            fit = [form for form in fitting if form.value == kind] or [form for form in fitting if form.value == "any"]
            return writer.note(rng, rng.choice(fit))

        return _Maker(rng, note, writer.note)

    return make


def _done(held: bool) -> Callable[[Random], _Maker]:
    def make(rng: Random) -> _Maker:
        writer = _writer(False, False)
        deeds = DeedsWriter(writer, held=held)
        return _Maker(rng, lambda rng: rng.choice(deeds.note(rng).facts), writer.note)

    return make


def _by_strangers(files: Sequence[str]) -> Callable[[Random], _Maker]:
    def make(rng: Random) -> _Maker:
        notes = StrangersNotes(read_facts(files), changed=False)
        return _Maker(rng, notes.note, notes.note)

    return make


Probes = Callable[[Random, int], list[Probe]]


def _each(make: Callable[[Random], _Maker], ask: Callable[[_Maker, Told], Probe]) -> Probes:
    def probes(rng: Random, count: int) -> list[Probe]:
        maker = make(rng)
        return [ask(maker, maker.note(rng)) for _ in range(count)]

    return probes


def _repeated(rng: Random, count: int) -> list[Probe]:
    writer = _writer(False, False)
    values = [writer.values[rng.choice(STRINGS)](rng) for _ in range(count)]
    return [Probe([{"role": "user", "content": rng.choice(wording.REPEAT) + value}], value) for value in values]


def _alone(maker: _Maker, note: Told) -> Probe:
    return maker.asked(note, 0, 0)


SHAPE_PROBES: dict[str, Probes] = {
    "trained shapes": _each(_generated(), _Maker.asked),
    "held-out shapes": _each(_generated(held_forms=True), _Maker.asked),
    "held-out verbs": _each(_done(held=True), _Maker.asked),
    "held-out verbs, not told": _each(_done(held=True), _Maker.asked_elsewhere),
    "held-out names of matters": _each(_generated(held_names=True), _Maker.asked),
    "first person": _each(_generated(subjects=("me", "our")), _Maker.asked),
    "strings read from notes": _each(_generated(values=STRINGS), _Maker.asked),
    "strings said again": _repeated,
    "newest of two": _each(_generated(), _Maker.renewed),
    "not told": _each(_generated(), _Maker.asked_elsewhere),
    "strangers, alone": _each(_by_strangers(_TOLD_BY["facts_opened"]), _alone),
    "strangers, among others": _each(_by_strangers(_TOLD_BY["facts_opened"]), _Maker.asked),
    "strangers, not told": _each(_by_strangers(_TOLD_BY["facts_opened"]), _Maker.asked_elsewhere),
    "second strangers, among others": _each(_by_strangers(_TOLD_BY["exam_wordings"]), _Maker.asked),
    "other languages, among others": _each(_by_strangers(_TOLD_BY["exam_languages"]), _Maker.asked),
}
"""Name to what makes the probes of a figure."""
