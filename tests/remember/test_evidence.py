"""What is asked and answered from notes stays beside them: in its own words, of who asked, and no longer than the notes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentmem import AsyncMemory, Fact, Memory, Scope, Settings
from agentmem.errors import InvalidArgument, UnknownNote
from agentmem.integrations import AsyncChatAgent, ChatAgent
from agentmem.notes.clock import ManualClock
from agentmem.notes.evidence import MOST_ANSWER, MOST_QUESTION, Evidence
from agentmem.notes.protocols import Message
from agentmem.records.evidence import MOST_WORDINGS
from agentmem.settings import RememberSettings

HOME = Fact("Ana", "lives in", "Porto")
QUESTION = "Where does Ana live?"


class Says:
    """A model that says what it is told to."""

    def __init__(self, text: str = "Porto.") -> None:
        self.text = text

    def __call__(self, messages: list[Message]) -> str:
        return self.text


@pytest.fixture
def model() -> Says:
    return Says()


@pytest.fixture
def memory(model: Says, clock: ManualClock) -> Iterator[Memory]:
    with Memory(None, embedder="hash", llm=model, clock=clock) as memory:
        yield memory


def told(memory: Memory, text: str = "Ana lives in Porto.", user: str | None = "ana", **how: Any) -> str:
    return str(memory.remember(text, user=user, **({"fact": HOME} if "Porto" in text else {}), **how).id)


def wordings(memory: Memory, id: str | None = None, user: str | None = "ana", **how: Any) -> list[str]:
    return [each.question for each in memory.evidence(id, user=user, **how)]


# -- where it comes from ------------------------------------------------------------------------------------------


def test_an_answer_from_notes_leaves_its_question(memory: Memory, clock: ManualClock) -> None:
    """In its own words, with what was answered, from which notes, when and how often; the same words again count up."""
    id = told(memory)
    memory.ask(QUESTION, user="ana")
    clock.advance(days=1)
    memory.ask("where  does ana live", user="ana")
    memory.ask(QUESTION, user="ana", session="monday")
    clock.advance(days=1)
    memory.ask(QUESTION, user="ana")

    found = memory.evidence(id, user="ana")
    assert [(e.question, e.times, e.scope.session) for e in found] == [
        (QUESTION, 2, None), (QUESTION, 1, "monday"), ("where does ana live", 1, None)
    ]  # fmt: skip
    assert found[0] == Evidence(QUESTION, "Porto.", (id,), clock.now(), 2, found[0].scope)
    assert found == memory.evidence(user="ana")
    assert "answered from it: 3" in memory.explain(id, user="ana")


def test_a_chat_leaves_what_was_asked_in_it(memory: Memory) -> None:
    """Each question of a message as it stands there; none that was made of it by rule."""
    told(memory)
    agent = ChatAgent(None, memory, user="ana", session="s")
    agent.chat("I am back. Tell me, where does Ana live?")
    "".join(agent.stream("where  does Ana live and who knows Ana's town"))
    assert set(wordings(memory)) == {
        "I am back. Tell me, where does Ana live?",
        "where does Ana live",
        "who knows Ana's town",
    }
    memory.forget({"session": "s"}, user="ana")
    assert wordings(memory) == []

    assert len(agent.chat("Where do Ana and Ben live?").parts) == 2
    assert wordings(memory) == []


def test_the_awaited_kin_leave_it_too() -> None:
    async def run() -> list[str]:
        async with AsyncMemory(None, embedder="hash", llm=Says()) as memory:
            id = (await memory.remember("Ana lives in Porto.", user="ana", fact=HOME)).id
            await memory.ask(QUESTION, user="ana")
            await AsyncChatAgent(None, memory, user="ana").chat("So where does Ana live?")
            await memory.reinforce(str(id), user="ana", question="Ana's home?", answer="Porto")
            return [e.question for e in await memory.evidence(str(id), user="ana")]

    assert asyncio.run(run()) == ["Ana's home?", "So where does Ana live?", QUESTION]


def test_who_answers_elsewhere_says_what_was_asked(memory: Memory, clock: ManualClock) -> None:
    """With the notes that were used; what is wrong with that is said before anything is written."""
    ids = [told(memory), told(memory, "Ana rows.")]
    memory.reinforce(ids, user="ana", question="And Ana?", answer="Porto, rowing")
    wrong: list[tuple[Any, Any]] = [("Where?", None), (None, "Porto"), (5, "Porto"), ("Where?", b"Porto")]
    for question, answer in wrong:
        with pytest.raises(InvalidArgument) as caught:
            memory.reinforce(ids, user="ana", question=question, answer=answer)
        assert "question=" in caught.value.hint

    assert [(e.question, set(e.notes)) for e in memory.evidence(user="ana")] == [("And Ana?", set(ids))]
    assert memory.get(ids[0], user="ana").state.recalls == 1


# -- what leaves none ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["I don't know.", "Noted.", "Lisbon, I think.", ""])
def test_an_answer_that_is_none_from_notes_leaves_nothing(memory: Memory, model: Says, answer: str) -> None:
    """Not known, refused, said by the model itself."""
    told(memory)
    model.text = answer
    memory.ask(QUESTION, user="ana")
    memory.ask(QUESTION, user="ana", use="nothing")
    memory.ask(QUESTION, user="ana", use="weights")

    assert wordings(memory) == []


@pytest.mark.parametrize(
    ("note", "question", "answer"),
    [
        ("The key is sk-abcdefgh12345678XYZ.", "What is the key?", "It is kept."),
        ("Ana lives in Porto.", "Is ana@example.org Ana's?", "Porto"),
        ("Ana lives in Porto.", "What is it?", "Call +351 912 345 678"),
    ],
)
def test_nothing_of_a_secret_is_kept(memory: Memory, note: str, question: str, answer: str) -> None:
    """Wherever it stands: in the note, in the question, in the answer."""
    memory.reinforce([told(memory, note), told(memory, "Ana rows.")], user="ana", question=question, answer=answer)

    assert wordings(memory) == []


@pytest.mark.parametrize(
    "question", ["", " \n\t", "\0\x1b\x07", "where " * 100, "x" * 1_000_000, "\u202e\u200b", "w" * (MOST_QUESTION + 1)]
)
def test_a_wording_that_is_none_costs_no_use(memory: Memory, question: str) -> None:
    """Empty, made of control characters, or longer than any question that comes again: the use counts, and nothing is kept."""
    id = told(memory)
    memory.reinforce(id, user="ana", question=question, answer="Porto")

    assert wordings(memory) == []
    assert memory.get(id, user="ana").state.recalls == 1


def test_what_is_kept_is_bounded(memory: Memory, clock: ManualClock) -> None:
    """One line without control characters, halves of characters or marks of direction; an answer up to so long; and so many wordings of a note."""
    id = told(memory)
    memory.reinforce(
        id, user="ana", question="Where\0 does\r\n Ana\u202e live\x1b[31m\ud800?", answer="Porto " * 10_000
    )
    kept = memory.evidence(user="ana")[0]
    assert kept.question == "Where does Ana live[31m?"
    assert MOST_ANSWER - 10 < len(kept.answer) <= MOST_ANSWER + 2
    for number in range(MOST_WORDINGS + 8):
        clock.advance(seconds=1)
        memory.reinforce(id, user="ana", question=f"Where does Ana live, {number}?", answer="Porto")

    assert wordings(memory) == [f"Where does Ana live, {n}?" for n in range(MOST_WORDINGS + 7, 7, -1)]


def test_nothing_is_kept_where_a_setting_says_so_or_nothing_can_be_written(tmp_path: Path, model: Says) -> None:
    off = Settings(remember=RememberSettings(evidence=False))
    with Memory(tmp_path / "m", embedder="hash", llm=model, settings=off) as memory:
        id = told(memory)
        memory.ask(QUESTION, user="ana")
        memory.reinforce(id, user="ana", question=QUESTION, answer="Porto")
        assert memory.get(id, user="ana").state.recalls == 2
        assert wordings(memory) == []
    with Memory(tmp_path / "m", embedder="hash", llm=model, read_only=True) as memory:
        assert memory.ask(QUESTION, user="ana").source == "notes"
        assert wordings(memory) == []


def test_a_use_that_failed_teaches_nothing(memory: Memory) -> None:
    """Neither one that did not help, nor one whose answer is not known."""
    id = told(memory)
    memory.reinforce(id, "again", user="ana", question=QUESTION, answer="Porto")
    memory.reinforce(id, user="ana", question=QUESTION, answer="I do not know that.")

    assert wordings(memory) == []


def test_an_answer_with_words_of_a_note_that_is_gone_is_not_kept(clock: ManualClock) -> None:
    """One of its notes was forgotten while the model was at it."""
    doomed: list[str] = []

    def slowly(messages: object) -> str:
        memory.forget(doomed.pop(), user="ana")
        return "Porto, and the cello."

    with Memory(None, embedder="hash", llm=slowly, clock=clock) as memory:
        kept = told(memory, "Ana plays the cello.", fact=Fact("Ana", "plays", "the cello"))
        doomed.append(told(memory))
        memory.ask(QUESTION, user="ana")

        assert memory.get(kept, user="ana").state.recalls == 1
        assert wordings(memory) == []


# -- how it goes --------------------------------------------------------------------------------------------------


def test_it_goes_with_any_of_its_notes(memory: Memory) -> None:
    """The answer may have the words of each; the receipt says how many went, and that none is found."""
    ids = [told(memory), told(memory, "Ana rows on the river."), told(memory, "Ana is a nurse.")]
    memory.reinforce(ids[:2], user="ana", question="Both?", answer="Porto, rowing")
    memory.reinforce(ids[1:], user="ana", question="The others?", answer="a nurse who rows")
    assert memory.forget(ids[0], user="ana", dry_run=True).places["evidence"] == 1
    assert len(wordings(memory)) == 2

    receipt = memory.forget(ids[0], user="ana")
    assert (receipt.places["evidence"], receipt.probes["evidence"], receipt.gone) == (1, True, True)
    assert wordings(memory) == ["The others?"]
    assert memory.check().ok


def test_new_words_of_a_note_end_it_and_other_changes_do_not(memory: Memory) -> None:
    """What was answered from the former ones may be no answer any more."""
    ids = [told(memory), told(memory, "Ana rows.")]
    memory.reinforce(ids, user="ana", question="Both?", answer="Porto, rowing")
    memory.update(ids[0], user="ana", tags=["home"], importance=0.9)
    assert wordings(memory) == ["Both?"]

    memory.update(ids[0], "Ana lives in Porto, near the sea.", user="ana")
    assert wordings(memory) == []


@pytest.mark.parametrize("gone", ["question", "answer"])
def test_it_goes_with_the_turn_that_repeats_it(memory: Memory, model: Says, gone: str) -> None:
    """What was asked is a note of the chat, too, and so is the reply: forgetting either leaves none of its words."""
    id = told(memory)
    model.text = "Ana is at home in Porto, dearest Xanthippe."
    reply = ChatAgent(None, memory, user="ana", session="s").chat("Where does Ana live, my dear Zebedee?")
    assert len(wordings(memory, id)) == 1
    turn = reply.receipts[0 if gone == "question" else 1].id
    memory.forget(str(turn), user="ana")

    assert wordings(memory) == []
    assert memory.get(id, user="ana")


def test_a_long_answer_goes_with_the_reply_that_it_is_cut_from(memory: Memory) -> None:
    id = told(memory)
    answer = "Porto, dearest Xanthippe, " * 60
    memory.reinforce(id, user="ana", question=QUESTION, answer=answer)
    assert memory.evidence(user="ana")[0].answer.endswith(" …")
    memory.forget(told(memory, f"So: {answer}", facts=False), user="ana")

    assert wordings(memory) == []


def test_a_note_that_says_the_same_value_takes_no_others_answer_along(memory: Memory) -> None:
    """A short answer is in the words of its own note."""
    told(memory)
    memory.ask(QUESTION, user="ana")
    other = told(memory, "Yes, Porto. It rained there.", facts=False)
    memory.forget(other, user="ana")

    assert wordings(memory) == [QUESTION]


# -- whose it is --------------------------------------------------------------------------------------------------


def test_what_is_asked_of_shared_notes_is_seen_by_nobody_else(memory: Memory, clock: ManualClock) -> None:
    """Two users ask the same of one note in the same words: each has a question, a count and a place of her own."""
    shared = told(memory, user=None)
    for user, times in (("ana", 1), ("ben", 3)):
        told(memory, f"This is {user}'s.", user=user)
        for _ in range(times):
            memory.reinforce(shared, user=user, question="Where?", answer=f"Porto, {user}")
    for number in range(MOST_WORDINGS):
        clock.advance(seconds=1)
        memory.reinforce(shared, user="ben", question=f"Where, {number}?", answer="Porto")

    (hers,) = memory.evidence(shared, user="ana")
    assert (hers.answer, hers.times) == ("Porto, ana", 1)
    assert "answered from it: 1" in memory.explain(shared, user="ana")
    assert "Where?" not in wordings(memory, user="ben")  # his own pushed it out, and none of hers
    assert memory.evidence(user="cy") == []
    receipt = memory.forget(shared, user="ana")
    assert receipt.places["evidence"] == 1  # she is told of no others
    assert memory.evidence(user="ben") == []


def test_what_is_asked_within_an_agent_or_a_session_stays_there(memory: Memory) -> None:
    id = told(memory)
    for who in ({}, {"agent": "cook"}, {"agent": "coach"}):
        memory.reinforce(id, user="ana", question=f"Where, {who.get('agent')}?", answer="Porto", **who)
    theirs = told(memory, "Ana likes soup.", agent="cook")
    memory.reinforce([id, theirs], user="ana", question="Soup where?", answer="soup in Porto")

    assert set(wordings(memory, agent="cook")) == {"Where, None?", "Where, cook?", "Soup where?"}
    assert set(wordings(memory, agent="coach")) == {"Where, None?", "Where, coach?"}
    assert len(wordings(memory)) == 4


def test_who_has_no_note_leaves_nothing_and_what_one_left_goes_with_the_last(memory: Memory) -> None:
    """Nobody could forget the questions of somebody of whom nothing else is known."""
    shared = told(memory, user=None)
    memory.reinforce(shared, user="ana", question="Where?", answer="Porto")
    assert wordings(memory) == []
    own = told(memory, "Ana rows.")
    memory.reinforce(shared, user="ana", question="Where?", answer="Porto")
    assert wordings(memory) == ["Where?"]

    memory.forget(own, user="ana")
    told(memory, "Ana is back.")
    assert wordings(memory) == []


def test_the_name_of_a_session_or_an_agent_goes_with_its_last_note(memory: Memory) -> None:
    """Also where what was asked within it was answered from a note that stays."""
    id = told(memory)
    for who in ({"session": "monday"}, {"agent": "cook"}):
        notes = [told(memory, f"Ana likes {dish}.", **who) for dish in ("soup", "fish")]
        memory.ask(QUESTION, user="ana", **who)
        assert [e.scope for e in memory.evidence(id, user="ana", **who)] == [
            Scope("ana", who.get("agent"), who.get("session"))
        ]
        memory.forget(notes[0], user="ana")
        assert wordings(memory) == [QUESTION]

        memory.forget(notes[1], user="ana")
        assert wordings(memory) == []


def test_an_unbound_use_is_of_whose_the_notes_are(memory: Memory) -> None:
    """A program that serves all says what was asked; where the notes are of several, nobody has it."""
    hers, shared, his = (
        told(memory),
        told(memory, "The office is open.", user=None),
        told(memory, "Ben rows.", user="ben"),
    )
    memory.reinforce([hers, shared], question="Hers?", answer="Porto, open")
    memory.reinforce([hers, his], question="Both?", answer="Porto, rowing")

    assert wordings(memory) == ["Hers?"]
    assert memory.evidence(user="ben") == []
    with pytest.raises(UnknownNote):
        memory.evidence(his, user="ana")


# -- beside others ------------------------------------------------------------------------------------------------

WRITER = """
import sys
from agentmem import Memory
with Memory(sys.argv[1], embedder="hash") as memory:
    for n in range(40):
        memory.reinforce(sys.argv[2].split(","), user="ana", question=f"Where, {n % 20}?", answer=f"Porto, says {sys.argv[3]}")
"""


def test_two_processes_that_keep_at_once_lose_no_count(tmp_path: Path) -> None:
    with Memory(tmp_path / "m", embedder="hash") as memory:
        ids = [told(memory), told(memory, "Ana rows.")]
    children = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "m"), ",".join(ids), name])
        for name in ("one", "two")
    ]
    assert [child.wait(120) for child in children] == [0, 0]

    with Memory(tmp_path / "m", embedder="hash") as memory:
        found = memory.evidence(user="ana")
        assert {e.question: e.times for e in found} == {f"Where, {n}?": 4 for n in range(20)}
        assert all(set(e.notes) == set(ids) for e in found)
        assert memory.check().ok


Change = Callable[[Memory, str], object]


@pytest.mark.parametrize(
    "change", [lambda m, id: m.forget(id, user="ana"), lambda m, id: m.update(id, "Gone.", user="ana")]
)
def test_without_taking_it_along_it_would_stay(memory: Memory, change: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    """The null control: with the deletion switched off, the questions of a note outlive its words under the other one."""
    from agentmem.records.evidence import EvidenceRows

    ids = [told(memory), told(memory, "Ana rows.")]
    memory.reinforce(ids, user="ana", question="Both?", answer="Porto, rowing")
    monkeypatch.setattr(EvidenceRows, "_delete", lambda self, asked: None)
    change(memory, ids[0])

    with memory._parts.core.store.read() as tx:
        assert any(map(tx.evidence.of, tx.notes.all_owners()))


@pytest.mark.slow
def test_a_model_that_is_asked_in_plain_lines_leaves_none() -> None:
    """It goes on with a text: that is a use of the note, and no answer to learn."""
    from agentmem.llm.small_model import load_small_model

    pytest.importorskip("torch")
    model, tokenizer = load_small_model()
    with Memory(None, embedder="hash") as memory:
        id = told(memory)
        for plain, kept in ((True, 0), (None, 1)):
            memory.attach(model, tokenizer, plain=plain)
            before = memory.get(id, user="ana").state.recalls
            assert "Porto" in memory.ask(QUESTION, user="ana").text
            assert memory.get(id, user="ana").state.recalls == before + 1
            assert len(wordings(memory)) == kept


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        ("In Porto.", True),
        ("Ana lives in Porto.", True),
        ("I'm not sure, maybe Porto, maybe not.", False),
        ("Unfortunately that information is unavailable to me; Porto was mentioned though.", False),
        ("Not in Porto.", False),
        ("Ana does not live in Porto, she lives in Madrid.", False),
    ],
)
def test_what_denies_or_doubts_its_note_is_nothing_to_learn(answer: str, kept: bool) -> None:
    with Memory(None, llm=lambda messages, **options: answer) as memory:
        memory.remember("Ana lives in Porto.", user="u")
        memory.ask("Where does Ana live?", user="u")
        assert bool(memory.evidence(user="u")) is kept


def test_a_denial_is_learnt_where_the_note_denies() -> None:
    with Memory(None, llm=lambda messages, **options: "Ana doesn't eat fish.") as memory:
        memory.remember("Ana doesn't eat fish.", user="u")
        memory.ask("What doesn't Ana eat?", user="u")
        assert memory.evidence(user="u")
