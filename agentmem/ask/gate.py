"""Which edit may answer a question, whatever its words: recall proposes those of the notes that it finds, and a reader of two questions confirms one.

A key in the model knows the words that its edit was written with. Recall knows slips of the fingers, first names, and what the turn before
was about; to it, what only looks like the question is as near. So proposing is its part and refusing the reader's
(:class:`~agentmem.embedding.same_question.SameQuestion`), who has the note beside the edit's question; letters of names only veto: a name that is near to one of the edit's own question, and
neither the same nor a slip of the fingers, is somebody else's, and so is whoever shares nothing with the names that the question and its note know; and a question that differs from an edit's in one word of matter asks for something else. It reads the edit's own question, and wordings that were heard in use. What is confirmed is asked of the weights in the edit's own words, by itself:
however late in a conversation the question came, the key is that of the edit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from agentmem.ask.bearing import takes_back
from agentmem.ask.conversation import Turn
from agentmem.ask.one_word import one_word_apart, stands_for
from agentmem.ask.whose import another_of_the_name
from agentmem.consolidation.beside import passage_of
from agentmem.consolidation.phraser import stands_alone, value_of
from agentmem.core import Core
from agentmem.extract.english.names import compare
from agentmem.extract.lexicon import GRAMMAR, STOPWORDS, grammar
from agentmem.extract.short_forms import short_for, short_name
from agentmem.extract.words import entities
from agentmem.notes.note import Hit, Note, Scope
from agentmem.notes.protocols import SameAsked
from agentmem.notes.rows import EditRow, Selection
from agentmem.recall.query import query_words
from agentmem.recall.result import Recollection
from agentmem.records.transaction import Transaction

__all__ = ["HEARD", "PROPOSED", "EditGate"]

PROPOSED: Final = 3
"""Notes of which an edit may answer."""
HEARD: Final = 2
"""Wordings of an edit that were heard in use and are read, besides its own question."""
_NUMBERED: Final = re.compile(r"\b\w*\d\w*\b")
_WORD: Final = re.compile(r"\w{2,}")
SPELLED: Final = 0.8
"""Share of letters in common from which a name is another spelling of one: "Ada" is none of "Nadia"."""
_TURN: Final = 300
"""Characters of the turn before that may say what a question is about."""


class _Known(NamedTuple):
    """What the reader has of an edit: one of the questions that it answers, and the passage of its note that does."""

    edit: EditRow
    own: str
    told: str


class EditGate:
    """Finds the edit that answers a question.

    Args:
        core: the store and its clock.
        recall: (question, k, scope) -> the notes found.
        same: the reader.
    """

    def __init__(self, core: Core, recall: Callable[[str, int, Scope], Recollection], same: SameAsked) -> None:
        self._core, self._recall, self._same = core, recall, same

    def proposed(self, question: str, turns: Sequence[Turn], scope: Scope) -> EditRow | None:
        """The edit that says what a question asks for; with what was asked just before it where it does not say by itself what it is about."""
        before = next((turn.content for turn in reversed(turns) if turn.role == "user"), "")
        for asked in (question, f"{before} {question}" if 0 < len(before) <= _TURN else ""):
            if asked and (edit := self._confirmed(asked, scope)) is not None:
                return edit
        return None

    def _confirmed(self, asked: str, scope: Scope) -> EditRow | None:
        hits = self._recall(asked, PROPOSED, scope).hits
        known = self._known(asked, hits, scope)
        if not known:
            return None
        read = [(each.own, _as_spelled(each.own, asked)) for each in known]
        chances = self._same.alike(read, [each.told for each in known])
        found = sorted(zip(chances, range(len(known)), strict=True), key=lambda one: -one[0])
        sure = [i for chance, i in found if chance >= self._same.least and not _of_others(known[i], asked)]
        if not sure or _namesakes(known[sure[0]].own, asked):
            return None
        edit = known[sure[0]].edit
        taught = next(hit.note for hit in hits if hit.note.id == edit.note_id)
        own = known[sure[0]].own
        if any(another_of_the_name(name, f"{own} {taught.content}", asked) for name in entities(own)):
            return None
        if any(takes_back(hit.note, taught, asked) for hit in hits):
            return None
        # Of several wordings of one edit another may agree that is not the same but for a word.
        return edit if any(known[i].edit is edit and not one_word_apart(*read[i]) for i in sure) else None

    def _known(self, asked: str, hits: Sequence[Hit], scope: Scope) -> list[_Known]:
        """The edits of these notes, each with its own question, and with those of the wordings in which it was asked and answered with what it says that are nearest."""
        if not hits:
            return []
        with self._core.selecting(scope, Selection(())) as (tx, selection):
            edits = tx.ledger.edits(owners=selection.owners, note_ids=[hit.note.id for hit in hits])
            notes = {hit.note.id: hit.note for hit in hits}
            rows = tx.notes.rows_of(list(notes))
            heard = {edit.id: _heard(tx, edit, rows[edit.note_id], notes[edit.note_id]) for edit in edits}
        return [known for edit in edits for known in _read_beside(edit, heard[edit.id], notes[edit.note_id], asked)]


def _read_beside(edit: EditRow, heard: Sequence[str], note: Note, asked: str) -> list[_Known]:
    prompt = str(edit.request["prompt"])
    told = passage_of(note.content, prompt, str(edit.request.get("target") or ""))
    return [_Known(edit, own, told) for own in _nearest([prompt, *heard], asked)]


def _heard(tx: Transaction, edit: EditRow, row: int, note: Note) -> list[str]:
    """In which words whose note it is asked, and was answered from it alone with what the edit says; none that says only behind others what is meant."""
    prompt, target = str(edit.request["prompt"]), str(edit.request.get("target") or "")
    value = value_of(target, prompt)
    return [
        each.question
        for each in tx.evidence.of(edit.owner, [row])
        if each.whole
        and each.rows == (row,)
        and each.question != prompt
        and value <= set(query_words(each.answer))
        and stands_alone(each.question, note)
    ]


def _nearest(wordings: Sequence[str], asked: str) -> list[str]:
    """The first wording, and those of the others that have most words in common with what is asked."""
    words = set(query_words(asked))

    def common(text: str) -> float:
        own = set(query_words(text))
        return len(own & words) / max(1, len(own | words))

    return [wordings[0], *sorted(wordings[1:], key=common, reverse=True)[:HEARD]]


def _marks_names(own: str) -> bool:
    """Whether it shows what is a name: in English, as written in full. Elsewhere a capital may be any noun's, or that of a question's first word."""
    return grammar(own) >= GRAMMAR


def _namesakes(own: str, asked: str) -> bool:
    """Whether a question names somebody or something whose name is merely near to one in the edit's own, and no short form of it."""
    matches = ((name, compare(name, asked)) for name in (_names(own) if _marks_names(own) else _NUMBERED.findall(own)))
    return any(match.likeness == "near" and not short_name(match.name, name) for name, match in matches)


def _of_others(known: _Known, asked: str) -> bool:
    """Whether a question names somebody, as the edit's own does, and nobody whom that or its note knows by any spelling or short form."""
    if not _marks_names(known.own):
        return False
    named = _words_of(entities(asked))
    if not named or not entities(known.own):
        return False
    texts = [known.own, known.told]
    mine = _words_of(texts)
    if any(stands_for(word, other, SPELLED) or short_for(word, other) for word in named for other in mine):
        return False
    names = [name for text in texts for name in _names(text)]
    return not any(short_name(word, name) for word in named for name in names)


def _words_of(texts: Sequence[str]) -> list[str]:
    """Words that may name something, in small letters."""
    return [word for text in texts for word in _WORD.findall(text.casefold()) if word not in STOPWORDS]


def _as_spelled(own: str, asked: str) -> str:
    """A question with the names of the edit's own as this spells them, where the fingers slipped."""
    for name in _names(own):
        match = compare(name, asked)
        if match.likeness == "slip" and match.name:
            asked = asked.replace(match.name, name)
    return asked


def _names(text: str) -> list[str]:
    return [*entities(text), *_NUMBERED.findall(text)]
