"""What notes say is learnt from how it was asked and answered: without a fact, a relation or a template."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agentmem import Fact, Memory, Settings
from agentmem.consolidation.phraser import FactPhraser, UsePhraser, default_phraser
from agentmem.consolidation.phrasing import MAX_ANSWER, Heard, NotPhrased, Phrased
from agentmem.consolidation.strategies import AlwaysPolicy
from agentmem.llm.small_model import load_small_model
from agentmem.notes.clock import ManualClock
from agentmem.records.evidence import MOST_WORDINGS

STAGING = "The staging box answers on port 8443, by the way."
ASKED = ("Which port does the staging box use?", "staging port?", "What port is the staging box on?")


@pytest.fixture
def memory(clock: ManualClock) -> Iterator[Memory]:
    with Memory(
        None, model=load_small_model(), settings=Settings(consolidation={"gate": "memory"}), clock=clock
    ) as opened:
        yield opened


def used(memory: Memory, text: str = STAGING, *asked: str, answer: str = "8443.", **scope: str) -> str:
    """The id of a note that was asked about in these words."""
    id = str(memory.remember(text, merge=False, **scope).id)
    for question in asked or ASKED:
        memory.reinforce(id, question=question, answer=answer, **scope)
    return id


def learnt(memory: Memory, **scope: str) -> list[str]:
    return [each.note_id for each in memory.consolidate(**scope).promoted]


# -- what is learnt -------------------------------------------------------------------------------------------------


def test_a_note_without_a_fact_is_learnt_as_it_was_asked(memory: Memory) -> None:
    """The wording that was used becomes the question, its answer the target; another wording is answered from the weights."""
    id = used(memory, user="ana")
    assert memory.get(id, user="ana").facts == ()

    report = memory.consolidate(user="ana")

    assert [each.note_id for each in report.promoted] == [id]
    (outcome,) = report.outcomes
    assert outcome.question in ASKED
    assert outcome.target == "8443."
    answer = memory.ask("remind me which port the staging box uses", user="ana")
    assert (answer.text, answer.source) == ("8443.", "weights")
    assert memory.ask(ASKED[0], user="bo").source != "weights"


def test_the_wordings_that_were_heard_last_are_kept_back(memory: Memory) -> None:
    """They prove the edit, and are no words of it."""
    used(memory)
    (decision,) = memory.consolidate(dry_run=True).decisions
    memory.consolidate()

    (edit,) = memory.editor.edits()
    words = {edit.prompt, *edit.paraphrases}
    assert decision.action == "promote"
    assert len(words & set(ASKED)) == 1  # of three, two are kept back
    assert edit.subject is None


def test_what_was_answered_differently_is_another_matter(memory: Memory) -> None:
    """Of a note with two things to ask for, the one that was asked for in more words is learnt."""
    id = used(memory, "The staging box answers on port 8443 and stands in Porto.", *ASKED)
    memory.reinforce(id, question="In which city does the staging box stand?", answer="In Porto.")
    memory.consolidate()

    (edit,) = memory.editor.edits()
    assert edit.target == "8443."
    assert "In which city does the staging box stand?" not in (edit.prompt, *edit.paraphrases)


def test_a_fact_goes_before_use(memory: Memory) -> None:
    """Templates know more wordings than were heard; use stands in where they know none."""
    id = str(memory.remember("Ines Varga lives in Porto.", fact=Fact("Ines Varga", "lives in", "Porto")).id)
    memory.reinforce(id, question="Ines, where's home?", answer="Porto.")
    memory.consolidate()

    (edit,) = memory.editor.edits()
    assert edit.subject == "Ines Varga"
    assert "Ines, where's home?" not in (edit.prompt, *edit.paraphrases)


def test_what_was_heard_is_known_again(memory: Memory) -> None:
    """However short it was: the wordings beside the note say what is meant, as long as they are kept there."""
    used(memory, STAGING, *ASKED, "what did we say for staging?")
    learnt(memory)

    for question in (*ASKED, "what did we say for staging?"):
        assert memory.ask(question).source == "weights", question
    memory.forget(str(memory.remember("what did we say for staging?").id))
    assert memory.ask("what did we say for staging?").source != "weights"


def test_what_pointed_to_something_else_is_no_wording_of_it(memory: Memory) -> None:
    """Asked of another box the same words would be answered with this one's port."""
    used(memory, STAGING, *ASKED, "Which port does it use?")
    learnt(memory)

    assert memory.ask("Which port does it use?").source != "weights"


def test_more_wordings_are_a_new_chance(memory: Memory) -> None:
    """What failed in these words fails again, and is not tried; with others it is another edit."""
    id = used(memory, STAGING, *ASKED, answer="8443 in the box.")
    memory.policy = AlwaysPolicy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agentmem.editors.grace.tails.MOST_STEPS", 0)
        patch.setattr("agentmem.editors.grace.tails.BEGIN", ())
        patch.setattr("agentmem.editors.grace.writer._TRIED", 0)
        patch.setattr("agentmem.editors.grace.writer._HOPELESS", 0.0)
        assert [each.note_id for each in memory.consolidate().failed] == [id]
    assert memory.consolidate().outcomes == ()

    memory.reinforce(id, question="On which port can I reach the staging box?", answer="8443 in the box.")
    assert learnt(memory) == [id]


# -- what is not ----------------------------------------------------------------------------------------------------


def test_what_the_model_reads_otherwise_needs_more_than_one_answer(memory: Memory) -> None:
    """A small model cannot read the note: what somebody answered once is not believed against it, twice it is."""
    id = used(memory, STAGING, ASKED[0])
    (decision,) = memory.consolidate().decisions
    assert "reads something else" in decision.reasons[0]

    memory.reinforce(id, question=ASKED[1], answer="Port 8443.")
    assert learnt(memory) == [id]


def test_what_does_not_stand_in_the_note_is_not_believed(memory: Memory) -> None:
    """Neither the model nor the note says so, however often it was answered."""
    used(memory, STAGING, *ASKED, answer="9000.")

    report = memory.consolidate()
    assert not report.promoted
    assert "reads something else" in report.decisions[0].reasons[0]


@pytest.mark.parametrize(
    ("text", "question", "answer", "why"),
    [
        (STAGING, "Which port does it use?", "8443.", "do not say by themselves"),
        (STAGING, "port?", "8443.", None),
        (STAGING, "and?", "8443.", "do not say by themselves"),
        ("Rosa Lind's recital is on Friday.", "When is her recital?", "Friday.", "do not say by themselves"),
        ("Rosa Lind's recital is on Friday.", "When is Rosa's recital, does she know?", "Friday.", None),
        ("Mia wohnt in Lyon.", "Wo wohnt sie?", "Lyon.", "do not say by themselves"),
        (STAGING, ASKED[0], "8443 " * MAX_ANSWER, "texts to look up"),
    ],
)
def test_a_wording_has_to_say_by_itself_what_is_meant(
    memory: Memory, text: str, question: str, answer: str, why: str | None
) -> None:
    """One that points to what was said before would answer for whatever it points to next."""
    note = memory.get(str(memory.remember(text).id))
    made = UsePhraser().phrase(note, [Heard(question, answer)])

    assert isinstance(made, Phrased) if why is None else isinstance(made, NotPhrased) and why in made.reason


def test_what_others_asked_of_a_shared_note_teaches_nobody(memory: Memory) -> None:
    """Everybody would be served by an edit in the words of one."""
    id = str(memory.remember(STAGING).id)
    for question in ASKED:
        memory.reinforce(id, question=question, answer="8443.", user="ana")

    assert memory.consolidate().promoted == ()
    assert memory.consolidate(user="ana").promoted == ()


def test_nothing_is_learnt_of_a_secret(memory: Memory) -> None:
    id = str(memory.remember("The password of the staging box is tulip-4711.").id)
    memory.reinforce(id, question="What is the password of the staging box?", answer="tulip-4711")

    assert memory.consolidate().promoted == ()


def test_why_says_what_is_missing(memory: Memory) -> None:
    id = str(memory.remember(STAGING).id)
    said = memory.explain(id)
    assert said.startswith("keep: the note states no fact, and no question was answered from it")
    assert "reinforce(id, question=…, answer=…)" in said


# -- forgetting -----------------------------------------------------------------------------------------------------


def test_forgetting_the_note_forgets_the_edit(memory: Memory) -> None:
    id = used(memory)
    learnt(memory)

    memory.forget(id)
    assert memory.editor.edits() == ()


def test_an_edit_goes_with_the_question_that_it_was_learnt_from(memory: Memory) -> None:
    """A turn of a chat is a note, too: when it is forgotten, its words stay in no weights."""
    used(memory)
    learnt(memory)
    (edit,) = memory.editor.edits()
    turn = str(memory.remember(edit.prompt).id)
    bystander = str(memory.remember("Is it going to rain tomorrow?").id)

    memory.forget(bystander)
    assert memory.editor.edits() == (edit,)
    memory.forget(turn)
    assert memory.editor.edits() == ()
    assert memory.ask(edit.prompt).source != "weights"
    assert memory.status().ok


def test_a_wording_that_was_kept_back_may_go(memory: Memory) -> None:
    """No word of it is in the weights."""
    used(memory)
    learnt(memory)
    (edit,) = memory.editor.edits()
    (kept, *_) = [text for text in ASKED if text not in (edit.prompt, *edit.paraphrases)]

    memory.forget(str(memory.remember(kept).id))
    assert memory.editor.edits() == (edit,)


def test_wordings_that_an_edit_was_learnt_from_stay_until_they_are_forgotten(
    memory: Memory, clock: ManualClock
) -> None:
    """The oldest wordings make room for new ones, but not those: forgetting has to find them."""
    id = used(memory)
    learnt(memory)
    (edit,) = memory.editor.edits()
    for number in range(MOST_WORDINGS + 3):
        clock.advance(hours=1)
        memory.reinforce(id, question=f"Which port has the staging box in week {number}?", answer="8443.")

    kept = {each.question for each in memory.evidence(id)}
    assert edit.prompt in kept
    assert len(set(ASKED) & kept) == 1
    memory.forget(str(memory.remember(edit.prompt).id))
    assert memory.editor.edits() == ()


def test_a_question_that_is_forgotten_during_the_run_teaches_nothing(memory: Memory) -> None:
    """What was planned is looked at once more in the transaction that writes it down."""
    used(memory)
    forgotten = []

    def meanwhile(stage: str, done: int, total: int) -> None:
        if stage.startswith("verifying") and not forgotten:
            forgotten.append(memory.forget(str(memory.remember(ASKED[0]).id)))
            forgotten.append(memory.forget(str(memory.remember(ASKED[2]).id)))

    report = memory.consolidate(progress=meanwhile)
    assert report.promoted == ()
    assert "forgotten meanwhile" in report.outcomes[0].reason
    assert memory.editor.edits() == ()


def test_exports_have_what_was_learnt_from_use_only_with_the_questions(memory: Memory, tmp_path: Path) -> None:
    """The edit is in the words of who asked, which an export has only if asked for."""
    id = used(memory, user="ana")
    learnt(memory, user="ana")
    question = memory.editor.edits()[0].prompt
    memory.export(tmp_path / "plain.jsonl", user="ana")
    memory.export(tmp_path / "whole.jsonl", user="ana", evidence=True)

    assert question not in (tmp_path / "plain.jsonl").read_text(encoding="utf-8")
    assert question in (tmp_path / "whole.jsonl").read_text(encoding="utf-8")
    with Memory(None, embedder="hash") as other:
        other.load_export(tmp_path / "whole.jsonl")
        assert [each.question for each in other.evidence(id, user="ana")]


def test_a_rebuild_writes_it_anew(memory: Memory) -> None:
    used(memory)
    learnt(memory)
    before = memory.editor.state_hash()

    memory.rebuild("weights")
    assert memory.editor.state_hash() == before
    assert memory.ask(ASKED[0]).source == "weights"


# -- phrasers -------------------------------------------------------------------------------------------------------


def test_another_phraser_may_take_its_place(memory: Memory) -> None:
    """Whoever finds questions in another way puts an object with ``phrase`` there."""
    used(memory)
    memory.phraser = FactPhraser()
    assert memory.consolidate().promoted == ()

    memory.phraser = default_phraser()
    assert memory.consolidate().promoted


def test_who_asks_why_a_fact_stays_a_note_is_told_how_to_teach_it(memory: Memory) -> None:
    """A question that a model misreads leaves no evidence: the cure stands beside the refusal, and goes once it was heeded."""
    id = str(memory.remember("Ines Varga lives in Porto.").id)
    before = memory.explain(id)
    memory.reinforce(id, question="Where does Ines Varga live?", answer="Porto")

    assert "used 0 times" in before
    assert "reinforce(id, question=…, answer=…)" in before
    assert "reinforce(" not in memory.explain(id)


def test_a_note_with_a_secret_says_why_nothing_is_learnt() -> None:
    """The cure for other notes, to say in which words it is asked for, is none here."""
    with Memory(None, embedder="hash") as memory:
        note = str(memory.remember("The wifi password of the cabin is moosehead77.").id)
        memory.reinforce(note, question="What is the wifi password of the cabin?", answer="moosehead77")

        assert memory.evidence() == []
        assert "secret" in memory.explain(note)
        assert "reinforce" not in memory.explain(note)
