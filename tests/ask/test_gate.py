"""Which edit answers where recall proposes it: whatever the words, and not what only looks alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from agentmem import Fact, Memory, Settings
from agentmem.ask.conversation import Turn
from agentmem.ask.gate import EditGate, _Known, _of_others
from agentmem.embedding.same_question import SameQuestion
from agentmem.errors import InvalidArgument, MissingExtra
from agentmem.integrations.chat import ChatAgent
from agentmem.llm.small_model import load_small_model
from agentmem.notes.note import Scope
from agentmem.notes.rows import EditRow

BY_MEMORY = Settings(consolidation={"gate": "memory"})
FACTS = (
    ("Ines Varga lives in Porto.", Fact("Ines Varga", "lives in", "Porto")),
    ("Bo Lindqvist plays the cello.", Fact("Bo Lindqvist", "plays", "the cello")),
    ("The garden gate opens with the brass key.", None),
)


def taught(memory: Memory, **scope: str) -> Memory:
    for text, fact in FACTS:
        id = memory.remember(text, fact=fact, **scope).id
        if fact is not None:
            memory.reinforce(id, **scope)
    assert len(memory.consolidate(**scope).promoted) == 2
    return memory


@pytest.fixture(scope="module")
def memory() -> Iterator[Memory]:
    with Memory(None, model=load_small_model(), settings=BY_MEMORY) as opened:
        yield taught(opened)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Where does Ines Varga live?", "Porto."),
        ("where does ines varga live", "Porto."),
        ("Where does Ines Vagra live?", "Porto."),
        ("Wher does Ines Varga live?", "Porto."),
        ("Remind me where Ines Varga lives, please.", "Porto."),
        ("Do you happen to know where Ines Varga is living?", "Porto."),
        ("What instrument does bo lindqvist play", "The cello."),
        ("I forgot which instrument Bo Lindqvist plays.", "The cello."),
    ],
)
def test_an_edit_answers_whatever_the_words(memory: Memory, question: str, answer: str) -> None:
    asked = memory.ask(question)

    assert asked.source == "weights", asked
    assert (
        asked.text.casefold().removeprefix("about ines varga: ") == answer.casefold()
    )  # who is spelled otherwise is named
    assert asked.notes == ()


@pytest.mark.parametrize(
    "question",
    [
        "Where does Ines Varga work?",
        "Where did Ines Varga live before?",
        "Where does Ines Varga's sister live?",
        "Where would Ines Varga like to live?",
        "Where does Inez Vargas-Lund live?",
        "How long has Bo Lindqvist played the cello?",
        "Who taught Bo Lindqvist to play the cello?",
        "What does the garden gate open with?",
        "What is a cello?",
    ],
)
def test_what_only_looks_alike_is_not_answered_by_it(memory: Memory, question: str) -> None:
    assert memory.ask(question).source != "weights"


def test_a_question_with_a_pronoun_is_about_the_turn_before() -> None:
    with Memory(None, model=load_small_model(), settings=BY_MEMORY) as own:
        taught(own)
        agent = ChatAgent(None, own)
        agent.chat("I ought to write a postcard to Ines Varga.")

        reply = agent.chat("Where does she live?")

        assert "Porto" in reply.text
        assert reply.source == "weights"


def test_an_edit_is_of_its_user_and_goes_with_its_note() -> None:
    """What recall does not show is not proposed."""
    with Memory(None, model=load_small_model(), settings=BY_MEMORY) as own:
        taught(own, user="ana")

        assert own.ask("where does ines varga live", user="ana").source == "weights"
        assert own.ask("where does ines varga live", user="ben").source != "weights"

        id = next(edit.note_id for edit in own.edits(user="ana") if "Ines" in edit.prompt)
        own.forget(id, user="ana")

        assert "Porto" not in own.ask("where does ines varga live", user="ana").text


def with_edit(memory: Memory, text: str, question: str, target: str) -> str:
    """The id of a note of which the registry has an edit."""
    id = memory.remember(text).id or ""
    with memory._parts.core.writing(Scope()) as tx:
        row = tx.notes.rows_of([id])[id]
        request = {"prompt": question, "target": target}
        tx.ledger.put_edit(EditRow("e1", id, tx.notes.owners_of([row])[row], "grace", "active", 1, request))
    return id


class Agreeing:
    """A reader that confirms whatever it is asked, and keeps what that was."""

    least = 0.5

    def __init__(self) -> None:
        self.read: list[tuple[str, str]] = []
        self.notes: list[str] = []

    def alike(self, pairs: Sequence[tuple[str, str]], notes: Sequence[str] = ()) -> list[float]:
        self.read += pairs
        self.notes += notes
        return [1.0 for _ in pairs]


def test_only_notes_with_an_edit_are_read(memory: Memory) -> None:
    """And the reader sees the edit's own question before the one that was asked; what has no edit costs nothing."""
    reader = Agreeing()
    gate = EditGate(memory._parts.core, memory._parts._recall, reader)
    edit = gate.proposed("Who lives in Porto?", [], Scope())

    assert edit is not None
    assert (str(edit.request["prompt"]), "Who lives in Porto?") in reader.read
    assert all(prompt.startswith(("Where", "What", "Which")) for prompt, _ in reader.read)


def test_the_reader_has_the_passage_that_the_edit_is_of() -> None:
    """Of a long note not the whole, and none of the rest."""
    rest = "The lift was repaired again, and nobody in the house knows for how long it will last this time. " * 8
    with Memory(None) as own:
        with_edit(own, f"{rest}\n\nInes Varga lives in Porto.\n\n{rest}", "Where does Ines Varga live?", "Porto.")
        core = own._parts.core
        reader = Agreeing()
        EditGate(core, own._parts._recall, reader).proposed("Where is Ines Varga?", [], Scope())

        (note,) = reader.notes
        assert "Ines Varga lives in Porto" in note
        assert len(note) < len(rest)


def test_a_wording_answered_from_a_note_that_is_not_seen_here_is_not_read() -> None:
    """Its answer is half of another note's: where only an agent sees that one, the rest of it would stand for the whole."""
    both = "Where do Ines Varga and the brass key belong?"
    with Memory(None, model=load_small_model(), settings=BY_MEMORY) as own:
        taught(own, user="ana")
        ines = next(edit.note_id for edit in own.edits(user="ana") if "Ines" in edit.prompt)
        key = own.remember("The brass key belongs into the shed.", agent="porter").id
        own.reinforce(ines, user="ana", question="Ines Varga, where's home?", answer="Porto.")
        own.reinforce([ines, key], user="ana", agent="porter", question=both, answer="In Porto, and into the shed.")
        reader = Agreeing()
        EditGate(own._parts.core, own._parts._recall, reader).proposed("Where is Ines Varga?", [], Scope(user="ana"))

        read = {known for known, _ in reader.read}
        assert "Ines Varga, where's home?" in read
        assert both not in read


def test_a_long_turn_before_says_nothing(memory: Memory) -> None:
    class Refusing(Agreeing):
        def alike(self, pairs: Sequence[tuple[str, str]], notes: Sequence[str] = ()) -> list[float]:
            self.read += pairs
            return [0.0 for _ in pairs]

    reader = Refusing()
    gate = EditGate(memory._parts.core, memory._parts._recall, reader)
    gate.proposed("Where does she live?", [Turn("user", "Ines Varga. " * 40)], Scope())

    assert {asked for _, asked in reader.read} <= {"Where does she live?"}


def test_another_gate_is_refused_by_name() -> None:
    with pytest.raises(InvalidArgument, match="gate"):
        Settings(consolidation={"gate": "luck"})


def test_the_reader_tells_and_needs_no_torch() -> None:
    model = SameQuestion()

    same, other = model.alike(
        [
            ("Where does Ana live?", "remind me where ana lives"),
            ("Where does Ana live?", "Where does Ana's brother live?"),
        ]
    )

    assert same >= model.least > other
    assert model.alike([]) == []


def test_questions_in_other_languages_are_read_too() -> None:
    """By a reader of their own: the same words, and some others, ask for the same; what only looks alike does not."""
    model = SameQuestion()
    same = model.alike(
        [
            ("Wo wohnt Ines Varga?", "wo wohnt Ines Varga"),
            ("Wo wohnt Ines Varga?", "Weißt du noch, wo Ines Varga wohnt?"),
            ("¿Dónde vive Inés Varga?", "donde vive inés varga?"),
            ("你喜欢什么颜色?", "你喜欢什么颜色"),
        ]
    )
    other = model.alike(
        [
            ("Wo wohnt Ines Varga?", "Wo arbeitet Ines Varga?"),
            ("Wo wohnt Ines Varga?", "Wo wohnt Ina Vargas?"),
            ("¿Dónde vive Inés Varga?", "¿Dónde trabaja Inés Varga?"),
            ("你喜欢什么颜色?", "你喜欢什么菜?"),
        ]
    )

    assert min(same) >= model.least > max(other)
    assert (same[0], same[3]) == (1.0, 1.0), "the same words are the same question"


def test_a_noun_with_a_capital_is_no_name() -> None:
    """German writes all nouns with one; in English a capital marks whom a question names."""
    told = "Der Drucker steht im Keller."
    edit = EditRow("e1", "n1", 1, "grace", "active", 1, {"prompt": "Wo steht der Drucker?", "target": "Im Keller."})

    assert not _of_others(_Known(edit, "Wo steht der Drucker?", told), "An welchem Ort finde ich das Gerät?")
    assert _of_others(_Known(edit, "Where does Ana Varga live?", "Ana Varga lives in Graz."), "Where does Tom live?")


def test_without_the_readers_base_keys_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader stands on an extra: where that is not installed, a memory opens as well, unless the reader was asked for."""
    monkeypatch.setattr("agentmem.embedding.weights_files.find_spec", lambda name: None)
    with Memory(None, embedder="hash") as plain:
        assert plain._parts.core.same_question is None

    with pytest.raises(MissingExtra):
        Memory(None, embedder="hash", settings=BY_MEMORY)


def test_the_reader_is_the_default_where_its_base_is_installed() -> None:
    with Memory(None, embedder="hash") as memory:
        assert isinstance(memory._parts.core.same_question, SameQuestion)


def test_what_differs_in_one_word_is_not_answered_unless_it_was_heard_otherwise() -> None:
    """However sure the reader is; a wording of use in which the two are not the same but for a word may still agree."""
    asked, heard = "Who picks the tomatoes on Sundays?", "Watering tomatoes on Sundays, whose job?"
    with Memory(None) as own:
        id = with_edit(own, "On Sundays Ines waters the tomatoes.", "Who waters the tomatoes on Sundays?", "Ines.")
        core = own._parts.core
        gate = EditGate(core, own._parts._recall, Agreeing())

        assert gate.proposed(asked, [], Scope()) is None
        own.reinforce(id, question=heard, answer="Ines.")
        assert gate.proposed(asked, [], Scope()) is not None


@pytest.mark.parametrize(
    ("asked", "theirs"),
    [
        ("Ada Novak's favourite pastime?", False),
        ("Nadia's favourite pastime?", True),
        ("What does Nadja do for fun?", True),
    ],
)
def test_a_question_about_somebody_who_is_not_known_to_the_edit_is_not_answered(asked: str, theirs: bool) -> None:
    """However sure the reader is: it has the note before its eyes, and a hobby in it."""
    with Memory(None) as own:
        with_edit(own, "Nadia Tanaka's hobby is badminton.", "What is Nadia Tanaka's hobby?", "Badminton.")
        core = own._parts.core

        assert (EditGate(core, own._parts._recall, Agreeing()).proposed(asked, [], Scope()) is not None) is theirs


@pytest.mark.parametrize(
    "question",
    [
        "Where does the other Ines Varga live?",
        "Where does Ines Varga II live?",
        "Where does Ines Varga's ex live?",
        "Where do Ines Varga's parents live?",
        "What does Bo Lindqvist Jr. play?",
        "What does Bo Lindqvist's band play?",
    ],
)
def test_nobody_else_of_the_name_is_answered_by_heart_or_from_notes(memory: Memory, question: str) -> None:
    answer = memory.ask(question)

    assert answer.source == "none", answer
    assert answer.text.startswith("I do not know")


@pytest.mark.parametrize(
    "denial", ["It is not true that Ines Varga lives in Porto.", "Ines Varga doesn't live in Porto but in Rome."]
)
def test_what_is_plainly_denied_is_not_answered_by_heart(denial: str) -> None:
    with Memory(None, model=load_small_model(), settings=BY_MEMORY) as memory:
        taught(memory)
        assert memory.ask("Where does Ines Varga live?").source == "weights"

        memory.remember(denial)

        answer = memory.ask("Where does Ines Varga live?")
        assert answer.source != "weights"
        assert answer.source == "none" or "Porto" not in answer.text
