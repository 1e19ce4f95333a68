"""``ask()`` and ``ChatAgent`` are one way: what is recalled, shown, checked and counted does not depend on who asks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from agentmem import Memory
from agentmem.ask.conversation import UNANSWERED, Turn, answered
from agentmem.ask.prompt import messages
from agentmem.embedding.embedders import make_embedder
from agentmem.errors import InvalidArgument, ModelError
from agentmem.integrations import ChatAgent
from agentmem.notes.clock import ManualClock
from agentmem.notes.protocols import Embedder
from tests.ask.test_unknown import CASES

_NOTE = re.compile(r"^- \[\d{4}-\d\d-\d\d [^\]\n]*\] (.*)$", re.MULTILINE)
Messages = Sequence[Mapping[str, str]]


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return make_embedder(None)


class Credulous:
    """Repeats the first note of its prompt, whatever it says, and keeps what it was shown."""

    def __init__(self) -> None:
        self.seen: list[Messages] = []

    def __call__(self, messages: Messages) -> str:
        self.seen.append(messages)
        found = _NOTE.findall(messages[0]["content"]) if messages[0]["role"] == "system" else []
        return found[0] if found else "Porto."


@pytest.mark.parametrize(("kind", "notes", "question", "accept", "reject"), CASES[::4])
def test_a_chat_without_a_conversation_is_an_answer(
    embedder: Embedder, kind: str, notes: list[str], question: str, accept: object, reject: object
) -> None:
    """The same prompts, the same text, the same notes, the same reasons; streamed as well."""
    asked, chatting, streaming = Credulous(), Credulous(), Credulous()
    clock = ManualClock()
    with Memory(None, embedder=embedder, clock=clock, llm=asked) as memory:
        for note in notes:
            clock.advance(days=1)
            memory.remember(note, user="u", actor="user")
        answer = memory.ask(question, user="u", max_tokens=256)
        reply = ChatAgent(chatting, memory, user="u").chat(question)
        memory.forget([str(receipt.id) for receipt in reply.receipts if receipt.id], user="u")
        agent = ChatAgent(streaming, memory, user="u")
        streamed = "".join(agent.stream(question))

    assert asked.seen == chatting.seen == streaming.seen
    assert answer.text == reply.text == streamed
    assert [(p.text, p.source, p.why, p.about) for p in answer.parts] == [
        (p.text, p.source, p.why, p.about) for p in reply.parts
    ]
    assert answer.source == reply.source
    for ours, theirs in ((answer.notes, reply.notes), (answer.used, reply.used), (answer.known, reply.known)):
        assert [note.id for note in ours] == [note.id for note in theirs]


def test_what_a_caller_s_model_believes_wrongly_is_not_said_in_a_chat(embedder: Embedder) -> None:
    with Memory(None, embedder=embedder) as memory:
        memory.remember("Ines Varga lives in Porto.", user="u")
        reply = ChatAgent(Credulous(), memory, user="u").chat("Where does Ines Duarte live?")

    assert reply.notes == ()


def refusing(messages: Messages) -> str:
    """As a hosted model with a content filter."""
    if any("forbidden" in message["content"] for message in messages[:-1]):
        raise ConnectionError("refused")
    return "In the cellar."


def test_a_question_is_not_refused_for_a_note_that_was() -> None:
    """What a model once gave no answer to stands in the way of no question that is asked outside of a chat."""
    with Memory(None, embedder="hash", llm=refusing) as memory:
        memory.remember("The forbidden thing lies in the cellar.", user="u", metadata={UNANSWERED: True})
        kept = memory.remember("The wine lies in the cellar.", user="u").id
        answer = memory.ask("What lies in the cellar?", user="u")
        asked = memory.ask("And now?", user="u", history=[{"role": "user", "content": "Tell me what is forbidden."}])

        assert (answer.text, [note.id for note in answer.notes]) == ("In the cellar.", [kept])
        assert asked.text == "In the cellar."


def test_a_model_that_fails_for_another_reason_is_asked_once() -> None:
    calls: list[Messages] = []

    def broken(messages: Messages) -> str:
        calls.append(messages)
        raise ConnectionError("away")

    with Memory(None, embedder="hash", llm=broken) as memory:
        memory.remember("The wine lies in the cellar.", user="u")
        for ask in (memory.ask, lambda text, user: ChatAgent(None, memory, user=user).chat(text)):
            calls.clear()
            with pytest.raises(ModelError):
                ask("What lies in the cellar?", user="u")
            assert len(calls) == 1


@pytest.mark.parametrize("who", ["user", "assistant"])
def test_turns_alternate_wherever_two_of_one_side_follow_each_other(who: str) -> None:
    """In a history as in a session: templates allow nothing else."""
    seen: list[Messages] = []
    turns = [
        {"role": role, "content": f"{role} {n}"} for role in ("user", "assistant") for n in range(1 + (role == who))
    ]
    with Memory(None, embedder="hash", llm=lambda messages: (seen.append(messages), "Yes.")[1]) as memory:
        memory.ask("Is it so?", history=turns, system="Be brief.")

    assert [message["role"] for message in seen[0]] == ["system", "user", "assistant", "user"]
    assert f"{who} 0\n{who} 1" in [message["content"] for message in seen[0]]


def test_turns_that_nothing_follows_are_those_without_an_answer() -> None:
    said = [Turn("user", "a"), Turn("user", "b"), Turn("assistant", "c"), Turn("user", "d")]

    assert answered(said) == (said[1], said[2])
    assert messages(None, (), said[1:3], "e")[-1] == {"role": "user", "content": "e"}


def test_weights_alone_are_asked_without_notes_whoever_answers() -> None:
    """A memory without a local model used to show a caller's model its notes all the same."""
    model = Credulous()
    with Memory(None, embedder="hash", llm=model) as memory:
        memory.remember("Ana lives in Rome.")
        answer = memory.ask("Where does Ana live?", use="weights")

    assert (answer.text, answer.source, answer.notes) == ("Porto.", "model", ())


def test_the_tokenizer_of_a_chat_counts_its_notes_whoever_answers() -> None:
    def one_token_per_letter(text: str, add_special_tokens: bool = True) -> dict[str, list[str]]:
        return {"input_ids": list(text)}

    with Memory(None, embedder="hash", llm=Credulous()) as memory:
        memory.remember("Ana lives in Rome.")
        agent = ChatAgent(None, memory, tokenizer=one_token_per_letter, context_tokens=50)

        assert agent.chat("Where does Ana live?").notes == ()
        assert memory.ask("Where does Ana live?", context_tokens=50).notes


def test_what_a_message_tells_stands_beside_each_thing_that_it_asks() -> None:
    """They are asked apart, and a model that was not told would answer somebody else."""
    model = Credulous()
    with Memory(None, embedder="hash") as memory:
        text = "Hello! I moved to Lisbon in May. Where does my sister live, and what is her hobby?"
        ChatAgent(model, memory, user="u").chat(text)

    assert len(model.seen) == 2
    for shown in model.seen:
        assert shown[-1]["content"].startswith("I moved to Lisbon in May. ")
        assert "Hello" not in shown[-1]["content"]


def test_what_asks_nothing_is_streamed_as_it_comes_and_what_asks_is_checked_first() -> None:
    """A piece that was given cannot be taken back."""
    said: list[str] = []

    def pieces(messages: Messages) -> Iterator[str]:
        for piece in ("In ", "Rome", "."):
            said.append(piece)
            yield piece

    with Memory(None, embedder="hash") as memory:
        memory.remember("Ana lives in Rome.", user="u")
        told = ChatAgent(pieces, memory, user="u").stream("I went to Rome in spring.")
        first = next(told)
        live = list(said)
        rest = list(told)
        said.clear()
        asked = ChatAgent(pieces, memory, user="u").stream("Where does Ana live?")
        next(asked)

    assert (first, live, rest) == ("In ", ["In "], ["Rome", "."])
    assert said == ["In ", "Rome", "."]


@pytest.mark.parametrize("talk", [lambda agent, text: [agent.chat(text)], ChatAgent.stream], ids=["chat", "stream"])
def test_an_exchange_is_one_transaction(talk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who stops the process between the two turns finds none of them, never a question that looks unanswered."""
    with Memory(None, embedder="hash") as memory:
        steps: list[str] = []
        monkeypatch.setattr(memory._parts.rememberer, "_fail", steps.append)
        agent = ChatAgent(lambda messages: "I keep Zanzibar17 in mind.", memory, user="u")
        assert "".join(map(str, talk(agent, "My code is Zanzibar17."))) == "I keep Zanzibar17 in mind."

        assert steps.count("remember:before-commit") == 1
        asked, said = memory.notes(user="u")
        assert [turn.note_id for turn in agent.turns] == [asked.id, said.id]
        assert memory.forget(asked.id, user="u").derived == (said.id,)


def test_items_of_one_call_are_derived_from_earlier_ones_by_their_places() -> None:
    """Across the transactions of a long call too; what was merged or refused counts as what it became."""
    with Memory(None, embedder="hash") as memory:
        size = memory.settings.remember.batch
        filler = [f"Filler number {n} is about topic {n * 7}." for n in range(size)]
        items: list[Any] = [
            "Ana sails.", *filler, {"content": "She does sail.", "derived_from": [0]},
            {"role": "system", "content": "Be brief."}, {"content": "Nobody was told.", "derived_from": [size + 2]},
        ]  # fmt: skip
        receipts = memory.remember_many(items, progress=False)
        assert [r.status for r in receipts[size + 1 :]] == ["stored", "rejected", "stored"]

        assert memory.forget(str(receipts[0].id)).derived == (receipts[size + 1].id,)


@pytest.mark.parametrize("place", [1, 2, -1, True, 0.5])
def test_what_is_made_from_itself_or_from_what_comes_later_is_refused_before_anything_is_written(place: object) -> None:
    items = ["Ana sails.", {"content": "She does sail.", "derived_from": [place]}, "Bo sails."]
    with Memory(None, embedder="hash") as memory:
        with pytest.raises(InvalidArgument) as caught:
            memory.remember_many(items, progress=False)

        assert caught.value.hint
        assert memory.notes() == []
