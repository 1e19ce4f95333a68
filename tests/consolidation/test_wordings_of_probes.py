"""What proves that an edit generalises: wordings whose telling words no key has, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem import Memory, Scope
from agentmem.consolidation import DefaultPolicy, Signals
from agentmem.consolidation.candidates import gather
from agentmem.consolidation.phrasing import Phrased, phrase
from agentmem.consolidation.report import ConsolidationReport, EditOutcome
from agentmem.consolidation.templates import FRAMES
from agentmem.consolidation.wordings import independent
from agentmem.extract.relations import RELATIONS
from agentmem.notes.clock import ManualClock
from agentmem.notes.note import Fact
from agentmem.settings import ConsolidationSettings

KEYS = ("Where does Ana live?", "In which city does Ana live?", "What is Ana's home city?")


@pytest.mark.parametrize(
    ("text", "proves"),
    [
        ("Quick question: where does Ana live?", False),
        ("What city is Ana living in?", False),
        ("ana's home city is what?", False),
        ("Where would one find Ana's home?", True),
        ("Which address goes on a letter to Ana?", True),
    ],
)
def test_a_wording_counts_when_it_says_otherwise_what_is_asked(text, proves):
    """Lead-ins, other endings and another order of the same words are the keys again."""
    assert bool(independent([text], KEYS, "Ana")) == proves


@given(
    name=st.sampled_from([*RELATIONS, "shoe size", "reports to"]),
    subject=st.sampled_from(["Ana Silva", "user", "user's sister"]),
    frame=st.sampled_from(FRAMES),
    at=st.integers(0, 20),
)
@settings(max_examples=100, deadline=None)
def test_no_lead_in_makes_a_wording_of_its_own(name, subject, frame, at):
    """Whatever stands in front of a key, it asks in the key's words."""
    made = phrase(Fact(subject, name, "Porto"))
    assert isinstance(made, Phrased)
    keys = (made.question, *made.paraphrases)

    assert independent([frame.replace("{q}", keys[at % len(keys)])], keys, subject) == ()


@pytest.mark.parametrize("name", ["shoe size", "boss", "reports to"])
def test_templates_that_fit_every_relation_prove_nothing(name):
    """Keys and probes of a relation without wordings of its own come from one template."""
    made = phrase(Fact("Ana", name, "Porto"))

    assert isinstance(made, Phrased)
    assert independent(made.probes, (made.question, *made.paraphrases), "Ana") == ()


@pytest.mark.parametrize("name", ["lives in", "works at", "favourite tree", "capital"])
def test_relations_with_wordings_of_their_own_have_some_to_hold_out(name):
    """Hand-written questions differ in the words that tell what is asked."""
    made = phrase(Fact("Ana", name, "Porto"))

    assert isinstance(made, Phrased)
    assert independent(made.probes, (made.question, *made.paraphrases), "Ana")


def test_a_wording_that_the_fact_brings_is_held_out_where_there_is_no_other():
    """Then it is no key, nor is a lead-in before it, and it comes first among the probes."""
    told = ("Which shoes fit Ana?", "What number stands on Ana's boots?")
    made = phrase(Fact("Ana", "shoe size", "38", paraphrases=told))

    assert isinstance(made, Phrased)
    assert made.probes[0] == told[1]
    assert not [key for key in made.paraphrases if told[1] in key]
    assert made.paraphrases[0] == told[0]


def test_the_policy_knows_what_cannot_be_measured():
    """By default it says so among the reasons; it can ask for a held-out wording instead."""
    signals = Signals(note_id="n", label="Ana · motto · x", probes=3, wordings=0, uses=5, use_days=3, known=0.0)
    strict = DefaultPolicy(ConsolidationSettings(min_wordings=1)).decide(signals)

    assert "its generality cannot be measured" in DefaultPolicy().decide(signals).reasons
    assert strict.action == "keep"
    assert "cannot be measured" in strict.reasons[0]


def outcome(generality: float | None) -> EditOutcome:
    return EditOutcome("n", "e", "q?", "a.", "", "a.", 1.0, generality, committed=True)


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        ((), "0 promoted, 0 rolled back, 0 kept as notes, 0 demoted"),
        ((outcome(None),), "generality unmeasured"),
        ((outcome(None), outcome(0.5)), "generality 0.50 of 1 fact,"),
        ((outcome(1.0), outcome(0.5)), "generality 0.75, locality unmeasured"),
    ],
)
def test_a_report_gives_no_figure_for_what_was_not_asked(outcomes, said):
    """A share of nothing is not 1.00."""
    report = ConsolidationReport(outcomes=outcomes)

    assert said in str(report)
    assert ("1.00" in str(report)) == bool(outcomes)
    assert report.reliability == (1.0 if outcomes else None)


def asked_probes(memory: Memory) -> tuple[str, ...]:
    """The probes of the one fact of a user."""
    with memory._parts.core.reading(Scope(user="ana")) as tx:
        (candidate,) = gather(
            tx,
            memory._parts.core,
            [owner for owner in tx.notes.visible_owners(Scope(user="ana")) if owner > 1],
            memory.phraser,
        )
    assert candidate.phrased is not None
    return candidate.phrased.probes


def test_what_was_really_asked_is_a_probe_and_never_a_key():
    """The latest first, where it names whom the fact is about and was answered with it, from this note alone; it goes with what it was kept by."""
    clock = ManualClock()
    with Memory(None, embedder="hash", clock=clock) as memory:
        note = str(
            memory.remember("Ana Silva lives in Porto.", user="ana", fact=Fact("Ana Silva", "lives in", "Porto")).id
        )
        other = str(memory.remember("Ana Silva rows.", user="ana", facts=False).id)
        plain = asked_probes(memory)
        asked = [
            ([note], "In which town do I find Ana Silva?", "porto"), ([note], "Who lives in Porto, Ana Silva?", "Ana Silva"),
            ([note], "And she?", "Porto."), ([note, other], "What of Ana Silva?", "Porto."), ([note], "Where does Ana Silva live", "Porto."),
            ([note], "Which place is Ana Silva at?", "Porto."), ([note], "Ana Silva's place?", "Porto."),
        ]  # fmt: skip
        for ids, question, answer in asked:
            clock.advance(minutes=1)
            memory.reinforce(ids, user="ana", question=question, answer=answer)

        assert asked_probes(memory) == ("Ana Silva's place?", "Which place is Ana Silva at?", *plain)
        memory.forget(other, user="ana")
        memory.remember("Ana Silva's place? I asked it.", user="ana")
        memory.forget({"content": {"$contains": "I asked"}}, user="ana")
        assert asked_probes(memory) == ("Which place is Ana Silva at?", "In which town do I find Ana Silva?", *plain)
