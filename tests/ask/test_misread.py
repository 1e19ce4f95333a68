"""What a small model makes of a note that answers is given only where the note says it; else the note itself is told."""

from __future__ import annotations

from random import Random

import pytest

from agentmem import Memory

NAMES = ("Ben", "Zoe", "Noah", "Nora", "Ivan", "Rosa", "Amir", "Emma", "Lena", "Otto", "Priya", "Sven")
TOLD = (
    ("{} lives in Graz.", "Where does {} live?", "Graz"),
    ("{} works as a baker.", "What is {}'s job?", "baker"),
    ("{}'s favourite dish is lasagne.", "What is {}'s favourite dish?", "lasagne"),
)


def test_what_the_only_note_says_is_never_replaced_by_an_invention() -> None:
    """First names that the model never read: the answer has the value, or quotes the note and says that it is not sure."""
    rng = Random(3)
    with Memory(None, model="small") as memory:
        for name in rng.sample(NAMES, 8):
            note, question, value = rng.choice(TOLD)
            memory.remember(note.format(name), user=name)
            answer = memory.ask(question.format(name), user=name)

            assert value in answer.text, (question.format(name), answer)
            assert answer.source in ("notes", "none")
            if answer.source == "none":
                assert (answer.parts[0].why, [note.content for note in answer.known]) == (
                    "misread",
                    [note_of(memory, name)],
                )
                assert memory.evidence(user=name) == []


def note_of(memory: Memory, user: str) -> str:
    return next(note.content for note in memory.notes(user=user) if note.actor != "assistant")


@pytest.mark.parametrize(
    ("notes", "question", "never"),
    [
        (["My dentist is Dr. Patel."], "Is Dr. Kim my dentist?", "oxj"),
        (["Emma lives in Graz."], "Where does Emma live?", "Klein"),
        (["Ana lives in Porto."], "Is Ana from Rome?", "historian"),
        (["Ines Varga lives in Porto.", "Omar Haddad works as a baker.", "The code of the garage is 7731."], "What is the garage code?", "Andersen"),
    ],
)  # fmt: skip
def test_babble_is_no_answer_and_no_evidence(notes: list[str], question: str, never: str) -> None:
    """What stands in no note is not passed off as drawn from them, and nothing is learnt of it."""
    with Memory(None, model="small") as memory:
        for note in notes:
            memory.remember(note, user="u")
        answer = memory.ask(question, user="u")

        assert never not in answer.text
        assert not any(never in each.answer for each in memory.evidence(user="u"))
