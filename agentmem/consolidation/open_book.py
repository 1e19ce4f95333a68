"""What the model answers with the note before it: what the weights shall make it say without.

Of a note that use taught, each wording is asked anew with the note in the prompt. The answer is taken as the target where it says what was
answered in use, over the wordings (it is *stable*), and where its tokens are likelier with this note than without it and than with another
note in its place (it is *grounded*). A model that reads something else, as a small one may, is taught what was answered, if that stands in the
note word for word and was answered more than once: this is what it needs the edit for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from agentmem.consolidation.phraser import from_use, value_of
from agentmem.consolidation.phrasing import MAX_ANSWER, Heard, NotPhrased, Phrased
from agentmem.consolidation.verify import Prober
from agentmem.notes.note import Note
from agentmem.notes.quoting import notes_block
from agentmem.recall.query import query_words

if TYPE_CHECKING:
    from agentmem.consolidation.candidates import Candidate

__all__ = ["LEAST_GAIN", "settled", "with_note"]

MOST_ASKED: Final = 8
"""Wordings of a note that the model is asked, the latest."""
LEAST_GAIN: Final = 0.1
"""Nats per token by which the note has to make its answer likelier."""
Read = Sequence[tuple[Heard, str]]
"""Wordings with what the model answered to each of them, its note in the prompt."""


def with_note(note: Note, question: str) -> str:
    """A question with a note before it, as ``ask()`` puts it."""
    return f"{notes_block([note])}\n\n{question}"


def settled(candidates: Sequence[Candidate], prober: Prober) -> list[Candidate]:
    """The candidates, those that use taught with the target that they have on this model, or with the reason why they have none."""
    taught = [(c, c.phrased) for c in candidates if c.phrased is not None and c.phrased.heard]
    asked = [(c, heard) for c, phrased in taught for heard in phrased.heard[:MOST_ASKED]]
    said = prober.bare([with_note(c.note, heard.question) for c, heard in asked])
    read: dict[str, list[tuple[Heard, str]]] = {}
    for (candidate, heard), text in zip(asked, said, strict=True):
        read.setdefault(candidate.note.id, []).append((heard, text))
    found = {c.note.id: _judged(c.note, read[c.note.id]) for c, _ in taught}
    found |= _ungrounded([c.note for c, _ in taught], found, read, prober)
    return [c.phrased_as(found[c.note.id]) if c.note.id in found else c for c in candidates]


def _judged(note: Note, read: Read) -> Phrased | NotPhrased:
    core = min((value_of(heard.answer, heard.question) for heard, _ in read), key=len)
    agreed = [
        (heard, text) for heard, text in read if len(text) <= MAX_ANSWER and core <= value_of(text, heard.question)
    ]
    if 2 * len(agreed) >= len(read):
        made = from_use([heard for heard, _ in agreed])
        return from_use(made.heard, next(text for heard, text in agreed if heard.question == made.question))
    heard = [each for each, _ in read]
    if sum(each.times for each in heard) > 1 and core <= set(query_words(note.content)):
        return from_use(heard)
    return NotPhrased("the model reads something else from its note than was answered")


def _ungrounded(
    notes: Sequence[Note], found: Mapping[str, Phrased | NotPhrased], read: Mapping[str, Read], prober: Prober
) -> dict[str, NotPhrased]:
    """Those of the model's own answers that the note does not make likelier than they are without it, or with another note."""
    own = [
        (note, made)
        for note in notes
        if isinstance(made := found[note.id], Phrased) and made.target in {text for _, text in read[note.id]}
    ]
    if not own:
        return {}
    prompts: list[tuple[str, str]] = []
    for note, made in own:
        other = next((each for each in notes if each.id != note.id and each.content != note.content), None)
        instead = made.question if other is None else with_note(other, made.question)
        prompts += [(text, made.target) for text in (with_note(note, made.question), made.question, instead)]
    likely = prober.likely(prompts)
    gains = [likely[at] - max(likely[at + 1 : at + 3]) for at in range(0, len(likely), 3)]
    why = NotPhrased("its answer does not come from the note: it is as likely without it, or with another")
    return {note.id: why for (note, _), gain in zip(own, gains, strict=True) if gain < LEAST_GAIN}
