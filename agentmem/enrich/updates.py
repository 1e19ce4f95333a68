"""Which earlier notes does a note replace, complete or contradict? One question to a language model for several notes at once.

A prompt holds pairs whose older notes are all of one trust, and no text that is trusted less: so nothing that is trusted less than a note has a word in
what becomes of it. What the model says of a pair that was not offered is refused; what it says of one that was is a link, and an end
only where the settings say so, of the facts that it names or of a note that says nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from agentmem.core import Core
from agentmem.enrich.model.answers import Update, Updates
from agentmem.enrich.model.dialogue import Dialogue
from agentmem.enrich.model.prompts import about_updates
from agentmem.errors import InvalidAnswer, ModelError
from agentmem.extract import secrets
from agentmem.notes.note import Note
from agentmem.projections.linking import CONTRADICTS, RELATED, SUPERSEDES, UPDATES
from agentmem.records.transaction import Transaction
from agentmem.remember.judged import ASKED, Consequences, Judgement, Retire, carry_out
from agentmem.remember.older_notes import older_notes

__all__ = ["TOGETHER", "Judged", "Updater", "trusted_enough"]

TOGETHER: Final = 8
"""Notes that one question is about."""
_LINKS: Final = {"replaces": (UPDATES, 0.9), "completes": (RELATED, 0.6), "contradicts": (CONTRADICTS, 1.0)}
"""Kinds and weights. What a language model says is no measured probability: a mark of its own is taken for nearly sure."""


@dataclass(slots=True)
class Judged:
    """What notes were judged to do, by their ids, as it goes on; ``ids`` are those of all rows concerned."""

    related: dict[str, Consequences] = field(default_factory=dict)
    ids: dict[int, str] = field(default_factory=dict)

    @property
    def replaced(self) -> tuple[str, ...]:
        """The ids of the older notes that ended, in part or as a whole, or are marked."""
        links = [link for each in self.related.values() for link in each.links if link.kind in (UPDATES, SUPERSEDES)]
        return tuple(dict.fromkeys(self.ids[link.target] for link in links))


class Question(NamedTuple):
    """Notes of one owner by row, and the pairs (later, before) of them that a model is asked about."""

    owner: int
    notes: Mapping[int, Note]
    pairs: tuple[tuple[int, int], ...]

    @property
    def rows(self) -> list[int]:
        """Those of the later notes."""
        return list(dict.fromkeys(later for later, _ in self.pairs))

    def apart(self) -> list[Question]:
        """The same, for each of the later notes by itself."""
        return [self._replace(pairs=tuple(p for p in self.pairs if p[0] == row)) for row in self.rows]

    def answered(self, dialogue: Dialogue) -> Sequence[Update]:
        """What the model says; of each pair what it says first."""
        shown = [self.notes[row] for row in sorted({row for pair in self.pairs for row in pair}, key=self._age)]
        ids = [(self.notes[later].id, self.notes[before].id) for later, before in self.pairs]
        earlier: dict[str, list[str]] = {}
        for later, before in ids:
            earlier.setdefault(later, []).append(before)
        offered = {pair: len(self.notes[rows[1]].facts) for pair, rows in zip(ids, self.pairs, strict=True)}
        said = dialogue.ask(about_updates(shown, earlier), Updates, [note.id for note in shown], offered=offered)
        return list({(each.note, each.earlier): each for each in reversed(said.updates)}.values())

    def _age(self, row: int) -> tuple[datetime, int]:
        return self.notes[row].occurred_at, row


class Updater:
    """Asks, and writes what comes of it."""

    def __init__(self, core: Core, retire: Retire, fail: Callable[[str], None]) -> None:
        self._core = core
        self._retire = retire
        self._fail = fail
        self._settings = core.settings.enrichment

    def ask(self, owners: Mapping[int, Sequence[int]], dialogue: Dialogue, judged: Judged) -> dict[int, ModelError]:
        """Ask about notes, by owner; returns the rows of those that the model gave no answer for, and why: they are left as they are.

        A question that is not answered as it should be is asked of each note alone, since one of them may be what is in the way.
        """
        waiting: dict[int, ModelError] = {}
        for owner, rows in owners.items():
            with self._core.reading_of([owner]) as tx:
                asked = self._questions(tx, owner, rows)
            for question in asked:
                parts = question.apart()
                failed = self._try([question], dialogue, judged)
                alone = len(parts) > 1 and any(isinstance(error, InvalidAnswer) for error in failed.values())
                waiting |= self._try(parts, dialogue, judged) if alone else failed
        return waiting

    def _try(self, asked: Sequence[Question], dialogue: Dialogue, judged: Judged) -> dict[int, ModelError]:
        failed: dict[int, ModelError] = {}
        for question in asked:
            try:
                self._write(question, question.answered(dialogue), judged)
            except ModelError as error:
                failed |= dict.fromkeys(question.rows, error)
        return failed

    def _questions(self, tx: Transaction, owner: int, rows: Sequence[int]) -> list[Question]:
        """One for each trust of what may be replaced; nothing is shown that looks like a secret."""
        notes, older = older_notes(self._core, tx, list(tx.notes.ids_of(rows).values()))
        fit = {row for row, note in notes.items() if self._settings.secrets or not secrets(note.content)}
        pairs: dict[float, list[tuple[int, int]]] = {}
        for later, befores in older.items():
            for before in befores:
                if {later, before} <= fit and trusted_enough(notes[later], notes[before]):
                    pairs.setdefault(notes[before].trust, []).append((later, before))
        return [Question(owner, notes, tuple(found)) for found in pairs.values()]

    def _write(self, question: Question, said: Sequence[Update], judged: Judged) -> None:
        if not said:
            return
        self._fail("updates:before-begin")
        with self._core.writing_within([question.owner]) as tx:
            found = [self._judgement(question, each) for each in said]
            done, _ = carry_out(tx, self._core.extractor, found, question.notes, self._retire)
            ends = {row for related in done.values() for link in related.links for row in link[:2]}
            judged.ids |= tx.notes.ids_of(sorted(ends))
            self._fail("updates:before-commit")
        for id, (closed, links) in done.items():
            held = judged.related.get(id, Consequences())
            judged.related[id] = Consequences((*held.closed, *closed), (*held.links, *links))

    def _judgement(self, question: Question, said: Update) -> Judgement:
        """What is to be written of what the model said of a pair."""
        rows = {note.id: row for row, note in question.notes.items()}
        stated, replaces = question.notes[rows[said.earlier]].facts, said.relation == "replaces"
        kind, weight = _LINKS[said.relation]
        return Judgement(
            rows[said.note],
            rows[said.earlier],
            weight,
            f"{ASKED}{said.relation}",
            kind,
            ends=replaces and self._settings.updates == "closed" and (len(stated) > 1 or not said.rest),
            facts=tuple(stated[number - 1] for number in said.over),
            how="superseded, as a language model judged,",
            marked="marked by a language model as replaced" if replaces else "",
        )


def trusted_enough(note: Note, older: Note) -> bool:
    """Whether a note may replace an older one: what is trusted less never does."""
    return older.trust <= note.trust
