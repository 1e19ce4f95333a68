"""Facts in the weights: admitted, verified, answered in their owner's requests alone, and removed without a trace."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from agentmem import Fact, Memory, Scope
from agentmem.errors import ConsolidationError, JobLocked, LayerNotFound, ModelError
from agentmem.llm.small_model import load_small_model
from agentmem.notes.clock import ManualClock

WHERE, PLAYS = "Where does Ilva Quist live?", "What instrument does Oren Dorrell play?"


@pytest.fixture(scope="module")
def shared() -> Iterator[Memory]:
    """One memory and one model for all tests here: calibrating an editor costs seconds, and users never meet."""
    torch.set_num_threads(1)
    with Memory(None, embedder="hash", model=load_small_model(), clock=ManualClock()) as opened:
        yield opened


@pytest.fixture
def memory(shared: Memory) -> Iterator[Memory]:
    yield shared
    shared._parts.fail = lambda step: None


@pytest.fixture
def user(request: pytest.FixtureRequest) -> str:
    """Each test is a user of its own."""
    return str(request.node.name)


def _tell(memory: Memory, user: str, subject: str, relation: str, value: str, **options: object) -> str:
    receipt = memory.remember(
        f"{subject} {relation} {value}.",
        user=user,
        fact=Fact(subject, relation, value),
        **options,  # type: ignore[arg-type]
    )
    memory.reinforce(str(receipt.id), user=user)
    return str(receipt.id)


def _packs(memory: Memory) -> list[str]:
    return sorted(path.name for path in memory._parts.weights.pack_store.folder.iterdir())


def _logits(memory: Memory, question: str) -> torch.Tensor:
    model, tokenizer = memory._parts.weights.model, memory._parts.weights.tokenizer
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    with torch.no_grad():
        return model(**ids).logits


def test_a_fact_is_learnt_answered_alone_and_forgotten_exactly(memory: Memory, user: str) -> None:
    """The whole life of an edit, with the proofs a user would ask for."""
    memory._parts.need_model()
    base = _logits(memory, WHERE)
    other = _tell(memory, user, "Oren Dorrell", "plays", "cello")
    first = memory.consolidate(user=user)
    assert [o.note_id for o in first.promoted] == [other], first
    editor = memory.editor
    assert editor is not None
    before = editor.state_hash()

    doomed = _tell(memory, user, "Ilva Quist", "lives in", "Porto")
    report = memory.consolidate(user=user)
    assert [o.note_id for o in report.promoted] == [doomed], [str(d) for d in report.decisions]
    assert report.locality == 1.0
    assert report.older_kept == 1.0

    known = memory.ask(WHERE, user=user, use="weights")
    assert (known.text, known.source, known.notes) == ("Porto.", "weights", ())
    assert known.routes[0].distance <= known.routes[0].radius
    assert "Porto" not in memory.ask(WHERE, user="ben", use="weights").text
    assert torch.equal(_logits(memory, WHERE), base), "a request without an owner sees nobody's edits"

    held, packs = editor.state_hash(), _packs(memory)
    planned = memory.forget(doomed, user=user, dry_run=True)
    assert (editor.state_hash(), _packs(memory)) == (held, packs), "a rehearsal writes no pack and changes no weight"
    assert memory.ask(WHERE, user=user, use="weights").text == "Porto."

    receipt = memory.forget(doomed, user=user)
    assert receipt.gone
    assert (planned.places, planned.edits) == (receipt.places, receipt.edits)
    assert receipt.places["edits"] == 1
    assert {"weights", "model", "routing"} <= set(receipt.probes)
    assert editor.state_hash() == before
    with editor.request(scope=Scope(user=user)):
        assert torch.equal(_logits(memory, WHERE), base)
    assert "Porto" not in memory.ask(WHERE, user=user, use="weights").text
    assert memory.ask(PLAYS, user=user, use="weights").source == "weights"
    assert memory.check().ok


def test_a_newer_note_takes_its_edit_out_of_the_answer_at_once(memory: Memory, user: str) -> None:
    """A note beats an edit: superseded, the edit leaves the weights in the same call."""
    old = _tell(memory, user, "Ilva Quist", "lives in", "Porto")
    memory.consolidate(user=user)
    assert memory.ask(WHERE, user=user).source == "weights"
    memory._parts.core.clock.advance(days=1)  # type: ignore[attr-defined]
    memory.remember("Ilva Quist lives in Bergen.", user=user, fact=Fact("Ilva Quist", "lives in", "Bergen"))

    answer = memory.ask(WHERE, user=user)
    assert answer.source == "notes"
    assert old not in {e.note_id for e in memory.edits(user=user)}
    assert memory.check().ok


def test_what_is_said_to_have_ended_is_not_answered_any_more(memory: Memory, user: str) -> None:
    """No newer value is known, and still the weights do not go on saying the old one."""
    _tell(memory, user, "Ilva Quist", "lives in", "Porto")
    memory.consolidate(user=user)
    memory._parts.core.clock.advance(days=1)  # type: ignore[attr-defined]
    memory.remember("Ilva Quist no longer lives in Porto.", user=user)

    assert memory.edits(user=user) == []
    assert "Porto" not in memory.ask(WHERE, user=user, use="weights").text
    assert memory.check().ok


def test_new_words_for_a_note_take_its_edit_out_of_the_weights(memory: Memory, user: str) -> None:
    """update() reaches the weights in the same call."""
    note = _tell(memory, user, "Ilva Quist", "lives in", "Porto")
    memory.consolidate(user=user)
    memory.update(note, "Ilva Quist lives in Ravenna.", user=user)

    assert memory.edits(user=user) == []
    assert "Porto" not in memory.ask(WHERE, user=user, use="weights").text


def test_what_the_policy_refuses_stays_a_note_with_the_reason(memory: Memory, user: str) -> None:
    """Untrusted, secret, unused and disputed facts are named with their reasons, and nothing is written."""
    _tell(memory, user, "Teska Wexley", "lives in", "Leuven", source="web")
    memory.remember("My bank password is tulip-4711.", user=user, fact=Fact("user", "bank password", "tulip-4711"))
    memory.remember("Maruk Ondal lives in Bergen.", user=user, fact=Fact("Maruk Ondal", "lives in", "Bergen"))
    report = memory.consolidate(dry_run=True, user=user)

    reasons = {d.label: " ".join(d.reasons) for d in report.decisions}
    assert {d.action for d in report.decisions} == {"keep"}
    assert "trusted" in reasons["Teska Wexley · lives in · Leuven"]
    assert "secret" in reasons["user · bank password · tulip-4711"]
    assert "used 0 times" in reasons["Maruk Ondal · lives in · Bergen"]


def test_undo_takes_out_what_the_last_run_put_in_and_nothing_comes_back(memory: Memory, user: str) -> None:
    """Pack, state and answers are those before that run; the notes stay; what was forgotten meanwhile stays forgotten."""
    first = _tell(memory, user, "Oren Dorrell", "plays", "cello")
    assert memory.consolidate(user=user).promoted
    editor, store = memory.editor, memory._parts.core.store
    assert editor is not None
    before, pack = editor.state_hash(), memory.stats()["pack"]
    second = _tell(memory, user, "Ilva Quist", "lives in", "Porto")
    assert [o.note_id for o in memory.consolidate(user=user).promoted] == [second]
    assert memory.ask(WHERE, user=user).source == "weights"

    planned = memory.undo_consolidation(user=user, dry_run=True)
    assert (planned.notes, planned.dry_run, editor.state_hash() != before) == ((second,), True, True)
    report = memory.undo_consolidation(user=user)
    assert (report.notes, report.edits, report.pack) == ((second,), planned.edits, pack)
    assert editor.state_hash() == before
    assert [e.note_id for e in memory.edits(user=user)] == [first]
    assert memory.ask(WHERE, user=user).source == "notes"
    assert memory.ask(PLAYS, user=user).source == "weights"
    with store.read() as tx:
        retired = tx.ledger.entries(note_ids=[second], event="retired")
        assert [(e.edit_id, e.details["reason"]) for e in retired] == [(report.edits[0], "undone")]
    assert memory.check().ok

    again = memory.consolidate(user=user)
    assert not again.promoted
    assert any("undone" in reason for d in again.decisions if d.note_id == second for reason in d.reasons)
    memory.forget(first, user=user)
    with pytest.raises(ConsolidationError) as caught:
        memory.undo_consolidation(user=user)
    assert caught.value.hint
    assert memory.edits(user=user) == []
    assert memory.check().ok


def test_undo_reaches_only_the_edits_of_its_user(memory: Memory, user: str) -> None:
    """One run for two users: undone for one, it stands for the other."""
    mine = _tell(memory, user, "Ilva Quist", "lives in", "Porto")
    theirs = _tell(memory, f"{user}-other", "Oren Dorrell", "plays", "cello")
    assert {o.note_id for o in memory.consolidate().promoted} >= {mine, theirs}
    report = memory.undo_consolidation(user=user)

    assert report.notes == (mine,)
    assert memory.edits(user=user) == []
    assert [e.note_id for e in memory.edits(user=f"{user}-other")] == [theirs]


def test_a_note_forgotten_during_the_job_is_not_committed(memory: Memory, user: str) -> None:
    """The commit looks again: what was forgotten meanwhile does not enter the weights."""
    kept = _tell(memory, user, "Oren Dorrell", "plays", "cello")
    doomed = _tell(memory, user, "Ilva Quist", "lives in", "Porto")

    def interfere(step: str) -> None:
        if step == "consolidate:before-commit":
            memory.forget(doomed, user=user)

    memory._parts.fail = interfere
    report = memory.consolidate(user=user)

    assert [o.note_id for o in report.promoted] == [kept]
    assert "forgotten meanwhile" in report.failed[0].reason
    assert [e.note_id for e in memory.edits(user=user)] == [kept]
    assert memory.check().ok


def test_an_error_in_the_middle_changes_nothing_and_frees_the_lease(memory: Memory, user: str) -> None:
    """A failed job leaves books, pack and model as they were, and the next one may run."""
    _tell(memory, user, "Ilva Quist", "lives in", "Porto")

    def fail(step: str) -> None:
        if step == "consolidate:in-commit":
            raise RuntimeError("the power went")

    memory._parts.fail = fail
    with pytest.raises(RuntimeError):
        memory.consolidate(user=user)
    assert memory.edits(user=user) == []
    assert memory.check().ok
    memory._parts.fail = lambda step: None
    assert memory.consolidate(user=user).promoted


def test_two_jobs_never_run_at_once(memory: Memory, user: str) -> None:
    """The second is told so, with a hint."""
    _tell(memory, user, "Ilva Quist", "lives in", "Porto")
    clash: list[JobLocked] = []

    def again(step: str) -> None:
        if step == "consolidate:before-commit":
            with pytest.raises(JobLocked) as caught:
                memory.consolidate(user=user)
            clash.append(caught.value)

    memory._parts.fail = again
    memory.consolidate(user=user)

    assert clash[0].hint


def test_without_a_model_the_errors_say_what_to_do() -> None:
    """ask and consolidate need a model; remember, recall and forget do not."""
    with Memory(None, embedder="hash") as bare:
        bare.remember("Ana lives in Porto.")
        for call in (
            bare.consolidate,
            lambda: bare.ask("Where does Ana live?"),
            lambda: bare.rebuild("weights"),
        ):
            with pytest.raises(ModelError) as caught:
                call()
            assert "model" in caught.value.hint


def test_an_edit_answers_no_request_that_its_note_is_hidden_from(memory: Memory, user: str) -> None:
    """What a user told one agent, in one conversation, is not told by heart where recall would not show it."""
    _tell(memory, user, "Ilva Quist", "lives in", "Porto", agent="baker", session="monday")
    assert memory.consolidate(user=user).promoted

    seen = ({}, {"agent": "baker"}, {"session": "monday"}, {"agent": "baker", "session": "monday"})
    hidden = ({"agent": "tailor"}, {"session": "tuesday"}, {"agent": "baker", "session": "tuesday"})
    assert [memory.ask(WHERE, user=user, use="weights", **scope).source for scope in seen] == ["weights"] * 4
    for scope in hidden:
        assert not memory.recall(WHERE, user=user, **scope).hits
        answer = memory.ask(WHERE, user=user, use="weights", **scope)
        assert ("Porto" in answer.text, answer.edits) == (False, ()), scope
    editor = memory.editor
    assert editor is not None
    asked = [editor.probe([WHERE], Scope(user=user, agent=agent))[0].edit_id is None for agent in ("baker", "tailor")]
    assert asked == [False, True]


def test_a_model_that_cannot_be_attached_leaves_the_former_one_where_it_was(memory: Memory) -> None:
    """The memory answers on; nothing was taken off before the new one was ready."""
    memory._parts.need_model()
    editor, tokenizer = memory.editor, memory._parts.weights.tokenizer
    before = memory.ask(WHERE, user="nobody", use="nothing").text
    with pytest.raises(LayerNotFound):
        memory.attach(torch.nn.Linear(2, 2), tokenizer)

    assert memory.editor is editor
    assert memory._parts.weights.model is not None
    assert memory.ask(WHERE, user="nobody", use="nothing").text == before


def test_a_budget_bounds_what_the_model_is_asked(memory: Memory, user: str) -> None:
    """A backlog of candidates costs nothing beyond the budget: the rest is not even probed."""
    for name in ("Maruk Halse", "Jorun Moss", "Sable Roke", "Tamsin Ondal"):
        _tell(memory, user, name, "lives in", "Leuven")
    asked: list[tuple[str, int]] = []

    report = memory.consolidate(user=user, budget=1, progress=lambda stage, done, total: asked.append((stage, total)))

    probes = [total for stage, total in asked if stage.startswith("asking")]
    assert len(report.outcomes) == 1
    assert sum("over the budget" in str(decision) for decision in report.decisions) == 3
    assert probes
    assert max(probes) <= 8, "one candidate has its question and a few probes"


def test_an_answer_credits_the_weights_only_when_an_edit_fired(
    memory: Memory, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is an edit for the question; where none fires in the conversation, the notes are asked and get the credit."""
    _tell(memory, user, "Ilva Quist", "lives in", "Porto")
    assert memory.consolidate(user=user).promoted
    assert memory.ask(WHERE, user=user).source == "weights"

    monkeypatch.setattr(memory.editor, "explain", list)
    answer = memory.ask(WHERE, user=user)

    assert answer.source == "notes"
    assert answer.edits == ()
    assert [note.content for note in answer.notes] == ["Ilva Quist lives in Porto."]
    both = memory.ask(WHERE, user=user, use="both")
    assert (both.source, both.edits) == ("notes", ())


def test_an_answer_from_the_weights_reads_the_question_once(memory: Memory, user: str) -> None:
    """Whether an edit answers shows while the model answers; only where none does the notes are read, too."""
    from agentmem.editors.structure import Structure

    _tell(memory, user, "Ilva Quist", "lives in", "Porto")
    memory.consolidate(user=user)
    editor = memory.editor
    assert editor is not None
    backbone = editor.port.structure.backbone  # type: ignore[attr-defined]
    assert isinstance(editor.port.structure, Structure)  # type: ignore[attr-defined]
    read: list[int] = []

    def count(module: object, args: tuple[object, ...], options: dict[str, torch.Tensor]) -> None:
        read.append(options["input_ids"].shape[1])

    handle = backbone.register_forward_pre_hook(count, with_kwargs=True)
    try:
        known = memory.ask(WHERE, user=user)
        assert (known.text, known.source) == ("Porto.", "weights")
        whole = [length for length in read if length == max(read)]
        assert len(whole) == 1, read
        assert len(read) == 3, "the question, the window that the edit changes, and its answer as a draft"
        read.clear()
        unknown = memory.ask(PLAYS, user=user)
        assert unknown.source != "weights"
    finally:
        handle.remove()
    both = memory.ask(WHERE, user=user, use="both")
    assert both.notes
    assert memory.ask(WHERE, user=user, use="nothing").text != "Porto."


def test_a_drafted_answer_is_what_the_edited_model_generates(memory: Memory, user: str) -> None:
    """Token by token and at once, in the edit's own words and in others; the route is that of the question."""
    from agentmem.llm.clients import LocalModel

    _tell(memory, user, "Ilva Quist", "lives in", "Porto")
    memory.consolidate(user=user)
    editor, weights = memory.editor, memory._parts.weights
    assert editor is not None
    local = LocalModel(weights.model, weights.tokenizer)
    for question in (WHERE, "In which city does Ilva Quist live?", "What is Ilva Quist's home city?"):
        with editor.request(scope=Scope(user=user)):
            said = local.complete([{"role": "user", "content": question}], max_tokens=16)
        answer = memory.ask(question, user=user, use="weights", max_tokens=16)
        assert answer.text == said
        assert [route.edit_id for route in answer.routes] == list(answer.edits)


@pytest.mark.parametrize("use", ["auto", "both", "notes"])
def test_an_edit_answers_for_nobody_else_and_for_no_other_time(memory: Memory, user: str, use: str) -> None:
    """A namesake, a relative, where somebody does not live or lived before: the edit is not the answer, nor is its note."""
    _tell(memory, user, "Ilva Quist", "lives in", "Porto")
    assert len(memory.consolidate(user=user).promoted) == 1

    known = memory.ask(WHERE, user=user)
    assert (known.text, known.source, known.parts[0].source) == ("Porto.", "weights", "weights")
    for asked in (
        "Where does Ilva Holm live?", "Where does Ilva Quistberg live?", "Where does Ilvana Quist live?", "Where does Ilva Quist's sister live?",
        "Where does Ilva Quist not live?", "Where does Ilva Quist no longer live?", "Where did Ilva Quist live before?",
    ):  # fmt: skip
        answer = memory.ask(asked, user=user, use=use)  # type: ignore[arg-type]
        assert (answer.source, answer.edits) == ("none", ()), asked
        assert "Porto" not in answer.text.partition("I know only")[0], asked


def test_each_thing_that_is_asked_is_answered_from_where_it_is_known(memory: Memory, user: str) -> None:
    """One part from the weights, one that nobody told."""
    _tell(memory, user, "Ilva Quist", "lives in", "Porto")
    assert memory.consolidate(user=user).promoted

    answer = memory.ask("Where does Ilva Quist live, and where does Oren Dorrell live?", user=user)

    assert [part.source for part in answer.parts] == ["weights", "none"]
    assert answer.text.startswith("Porto. I do not know: where does Oren Dorrell live?")
