"""Which notes an answer draws on: the signal that strengthens memories, so it must count uses and nothing else."""

from __future__ import annotations

import pytest

from agentmem import Fact, Memory, Note
from agentmem.asking import used_notes

QUESTION = "Where does Ana live?"


@pytest.fixture(scope="module")
def notes() -> dict[str, Note]:
    with Memory(None, embedder="hash") as memory:
        told = {
            "fact": memory.remember("Ana lives in Porto.", fact=Fact("Ana", "lives in", "Porto")),
            "plain": memory.remember("Ana moved to a white house near the old harbour."),
            "other": memory.remember("Ana plays the cello in the town orchestra."),
        }
        return {name: memory.get(str(receipt.id)) for name, receipt in told.items()}


@pytest.mark.parametrize(
    ("answer", "used"),
    [
        ("Porto.", {"fact"}),
        ("Ana lives in Porto, a lovely city by the Douro river.", {"fact"}),
        ("As far as I remember she has a white house, quite near the old harbour!", {"plain"}),
        ("The harbour.", {"plain"}),
        ("I do not know where Ana lives.", set()),
        ("Where does Ana live?", set()),
        ("She lives in Lisbon and collects stamps.", set()),
    ],
)
def test_a_use_is_what_the_answer_could_not_have_said_without_the_note(
    notes: dict[str, Note], answer: str, used: set[str]
) -> None:
    """Terse and talkative answers count; standing in the prompt does not."""
    found = used_notes(answer, QUESTION, list(notes.values()))

    assert {name for name, note in notes.items() if note in found} == used
