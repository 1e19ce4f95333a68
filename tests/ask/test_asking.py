"""Which notes an answer draws on: the signal that strengthens memories, so it must count uses and nothing else."""

from __future__ import annotations

import pytest

from agentmem import Fact, Memory, Note
from agentmem.ask.ask import used_notes
from agentmem.errors import InvalidArgument

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


def test_a_note_that_is_forgotten_while_it_is_answered_from_does_not_cost_the_answer() -> None:
    """A remote model takes its time, and nobody who forgets a note waits for it."""
    notes: list[str] = []

    def slowly(messages: object) -> str:
        memory.forget(notes.pop(), user="ana")
        return "Porto, and the cello."

    with Memory(None, embedder="hash", llm=slowly) as memory:
        kept = memory.remember("Ana plays the cello.", user="ana", fact=Fact("Ana", "plays", "the cello")).id
        notes.append(str(memory.remember("Ana lives in Porto.", user="ana", fact=Fact("Ana", "lives in", "Porto")).id))
        answer = memory.ask(QUESTION, user="ana")

        assert answer.text == "Porto, and the cello."
        assert len(answer.used) == 2
        assert memory.get(str(kept), user="ana").state.recalls == 1


@pytest.mark.parametrize(
    "options",
    [
        {"history": None},
        {"history": "Hello"},
        {"history": [("user", "Hello")]},
        {"history": [{"role": "assistant", "content": 7}]},
        {"history": [{"content": "Hello"}]},
        {"exclude": None},
        {"exclude": "0190"},
        {"exclude": [7]},
        {"system": 5},
    ],
)
def test_what_stands_around_a_question_is_checked_before_anything_is_asked(options: dict[str, object]) -> None:
    """A typed error that says what to write, whatever model answers."""
    asked: list[object] = []
    with Memory(None, embedder="hash", llm=lambda messages: str(asked.append(messages))) as memory:
        memory.remember("Ana lives in Porto.")
        with pytest.raises(InvalidArgument) as caught:
            memory.ask(QUESTION, **options)  # type: ignore[arg-type]

    assert caught.value.hint
    assert not asked
