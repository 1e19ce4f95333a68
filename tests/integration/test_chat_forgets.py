"""What an agent repeated of a note goes with the note; what the user said herself stays."""

from __future__ import annotations

import pytest

from agentmem import Memory
from agentmem.errors import ScopeError, ScopeRequired, UnknownNote
from agentmem.integrations import with_memory
from agentmem.integrations.chat import ChatAgent


def quoting(messages):
    """A model that says what it was shown."""
    shown = next((m["content"] for m in messages if m["role"] == "system"), "")
    return "You live in Lisbon." if "Lisbon" in shown else "I do not know."


@pytest.mark.parametrize("model", [quoting, "small"], ids=["notes", "small"])
def test_a_reply_that_repeats_a_note_is_forgotten_with_it(model, tmp_path):
    with Memory(tmp_path) as memory:
        told = ChatAgent(model, memory, user="ana", session="monday").chat("I live in Lisbon.").receipts[0].id
        reply = ChatAgent(model, memory, user="ana", session="tuesday").chat("Where do I live?")
        assert "Lisbon" in reply.text

        receipt = memory.forget(told, user="ana")

        assert receipt.derived
        assert [note.content for note in memory.notes(user="ana") if "Lisbon" in note.content] == []
        assert memory.verify_bytes(["Lisbon"]).ok
        assert "Lisbon" not in ChatAgent(model, memory, user="ana", session="later").chat("Where do I live?").text


def test_a_reply_from_the_weights_is_forgotten_with_the_note_that_taught_them(tmp_path):
    with Memory(tmp_path, model="small") as memory:
        told = memory.remember("Ines Varga lives in Porto.", user="ana", fact=("Ines Varga", "lives in", "Porto")).id
        for _ in range(3):
            memory.reinforce(told, user="ana")
        assert memory.consolidate().promoted
        reply = ChatAgent(None, memory, user="ana").chat("Where does Ines Varga live?")
        assert reply.source == "weights"

        memory.forget(told, user="ana")

        assert [note.content for note in memory.notes(user="ana") if "Porto" in note.content] == []


def test_a_reply_is_forgotten_with_the_turn_that_it_repeats(tmp_path):
    """Not recalled, but shown as the conversation so far; and what only says the message itself again."""
    replies = iter(["I keep Zanzibar17 in mind.", "It is Zanzibar17.", "Sunny."])
    with Memory(tmp_path, embedder="hash") as memory:
        agent = ChatAgent(lambda messages: next(replies), memory, user="ana")
        told = agent.chat("My code is Zanzibar17.").receipts[0].id
        agent.chat("What is my code?")
        agent.chat("What is the weather like?")

        memory.forget(told, user="ana")

        assert [note.content for note in memory.notes(user="ana")] == [
            "What is my code?",
            "What is the weather like?",
            "Sunny.",
        ]
        assert memory.verify_bytes(["Zanzibar17"]).ok
        assert all("Zanzibar17" not in turn.content for turn in agent.turns)


def test_what_two_notes_were_repeated_for_goes_with_either_and_a_users_own_words_stay():
    with Memory(None, embedder="hash") as memory:
        one, two = memory.remember("Ana sails.").id, memory.remember("Bo sails.").id
        both = memory.remember("Ana and Bo sail.", derived_from=[one, two]).id
        own = memory.remember("We all sail on Sundays.", actor="user").id
        memory.remember("We all sail on Sundays.", actor="user", derived_from=[two])

        assert memory.forget(two, dry_run=True).derived == (both,)
        memory.forget(two)

        assert {note.id for note in memory.notes()} == {one, own}


def test_nothing_is_derived_from_what_is_gone_or_somebody_elses():
    with Memory(None, embedder="hash") as memory:
        hers = memory.remember("Ana sails.", user="ana").id
        for bad in ([hers], ["nothing"]):
            with pytest.raises(UnknownNote):
                memory.remember("She sails.", user="bob", derived_from=bad)
        assert memory.notes(user="bob") == []


def test_a_note_forgotten_while_the_model_answers_leaves_no_reply():
    with Memory(None, embedder="hash") as memory:
        told = memory.remember("I live in Lisbon.", user="ana", actor="user").id

        def slow(messages):
            said = quoting(messages)
            memory.forget(told, user="ana")
            return said

        reply = ChatAgent(slow, memory, user="ana").chat("Where do I live?")
        assert reply.text == "You live in Lisbon."
        assert any("not remembered" in warning for warning in reply.warnings)
        assert [note.content for note in memory.notes(user="ana")] == ["Where do I live?"]


ITEM = {"role": "user", "content": "Ana moved to Rome.", "user": "ana", "trust": 1.0}


@pytest.mark.parametrize("given", [ITEM, [ITEM], {"content": "Ana moved to Rome.", "user": "ana"}])
def test_an_item_does_not_choose_its_owner_against_the_call(given):
    with Memory(None, embedder="hash") as memory:
        memory.remember("Ana lives in Porto.", user="ana")
        with pytest.raises(ScopeError):
            memory.remember(given, user="bob", trust="untrusted", source="web")
        assert [note.content for note in memory.notes(user="ana")] == ["Ana lives in Porto."]
        assert memory.notes(user="bob") == []


@pytest.mark.parametrize("call", [{"trust": "untrusted"}, {"source": "web"}])
def test_an_item_gets_no_more_trust_than_the_call_gives(call):
    with Memory(None, embedder="hash") as memory:
        most = memory.remember("A web page.", **call)
        item = memory.remember({"content": "Ana moved to Rome.", "trust": 1.0, "source": "user"}, **call)
        trust = {note.id: note.trust for note in memory.notes()}
        assert trust[item.id] == trust[most.id] < 1
        lower = memory.remember({"content": "Perhaps.", "trust": 0.0}, trust=0.5).id
        assert next(note.trust for note in memory.notes() if note.id == lower) == 0.0


def test_what_is_known_instead_is_forgotten_with_the_note_that_tells_it(memory: Memory):
    """Not knowing quotes a note, too: "I know only: …"."""
    told = memory.remember("My sister Mara lives in Graz.", user="ana")
    agent = ChatAgent(lambda messages: "I do not know.", memory, user="ana")
    reply = agent.chat("Where does my sister Mara work?")
    assert "Graz" in reply.text

    memory.forget(told.id, user="ana")

    assert not [note.content for note in memory.notes(user="ana") if "Graz" in note.content]


@pytest.mark.parametrize("wrapped", [False, True], ids=["ChatAgent", "with_memory"])
@pytest.mark.parametrize(
    ("told", "question", "answer"),
    [
        ("Zibbler keeps Vexomorph in the cellar.", "What does Zibbler keep in the cellar?", "He stores his precious Vexomorph downstairs, I believe."),
        ("The safe opens with 77310 turned twice.", "How does the safe open?", "Turn it, I think it was 77310, and pull."),
    ],
)  # fmt: skip
def test_a_reply_that_has_a_name_or_a_number_from_a_note_is_forgotten_with_it(
    tmp_path, wrapped, told, question, answer
):
    """In whatever words it is put: the model has it from the note that stood in its prompt."""
    secret = next(word for word in ("Vexomorph", "77310") if word in told)

    def model(messages):
        return answer if secret in str(messages) else "I do not know."

    with Memory(tmp_path, llm=model) as memory:
        note = memory.remember(told, user="ana").id
        if wrapped:
            with_memory(model, memory, user="ana", session="c")([{"role": "user", "content": question}])
        else:
            ChatAgent(None, memory, user="ana", session="c").chat(question)
        assert [each for each in memory.notes(user="ana") if each.actor == "assistant" and secret in each.content]

        memory.forget(note, user="ana")

        assert [each.content for each in memory.notes(user="ana")] == [question]
        assert memory.verify_bytes([secret]).ok


def test_a_chat_that_nobody_owns_keeps_nothing():
    """Whose it is was forgotten to be said: what was said would be everybody's."""
    with Memory(None, embedder="hash") as memory:
        memory.remember("Ben lives in Rome.", user="ben")
        with pytest.raises(ScopeRequired):
            ChatAgent(lambda messages: "Noted.", memory).chat("My PIN is 4711.")
        assert [note.content for note in memory.notes(user="ben")] == ["Ben lives in Rome."]
