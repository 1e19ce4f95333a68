"""Writing, deleting, scoping, shadowing: the state of a GRACE editor."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import tiny
from helpers import OTHER, generate

from agentmem.editors import EditRequest, make_editor
from agentmem.editors.evaluation import Case, answer, evaluate
from agentmem.editors.gate import intake
from agentmem.errors import EditError, InvalidArgument, UnknownEdit
from agentmem.notes.note import Scope

HOME = tiny.HOME[0].format("Ana")


@pytest.mark.parametrize(
    ("method", "options"),
    [("nothing", {}), ("grace", {"radios": 1}), ("grace", {"value_layer": 2}), ("grace", {"lr": -1})],
)
def test_unknown_names_and_options_say_what_there_is(method, options, taught, tok):
    """A wrong method or option is refused with the choices."""
    with pytest.raises(InvalidArgument) as caught:
        make_editor(method, taught("llama"), tok, **options)
    assert caught.value.hint


def test_delete_undoes_write_by_hash(make, requests_):
    """The state after writing and deleting is the state before, also with neighbours whose radii had shrunk."""
    editor = make()
    hashes = [editor.state_hash()]
    for request in requests_:
        editor.write([request])
        hashes.append(editor.state_hash())
    assert len(set(hashes)) == 5
    radii = editor.state.radii.copy()

    for request, before in zip(reversed(requests_), reversed(hashes[:-1]), strict=True):
        assert editor.delete([request.id]) == [request.id]
        assert editor.state_hash() == before
    editor.write([requests_[0]])
    editor.write(requests_[1:2])
    editor.write(requests_[2:3])
    editor.write(requests_[3:])
    assert editor.state_hash() == hashes[-1]
    assert (editor.state.radii == radii).all()


def test_batched_values_equal_single_ones(make, requests_, monkeypatch):
    """Optimising many edits at once gives what each alone gives, within rounding."""
    # A hair's difference may fall on two sides of a step of what is stored: values are compared as they were found.
    monkeypatch.setattr(intake, "coarse", lambda rows, _tolerance: rows)
    together, alone = make(), make()
    together.write(requests_)
    for request in requests_:
        alone.write([request])

    for a, b in zip(together.state.edits, alone.state.edits, strict=True):
        assert abs(a.value - b.value).max() <= 1e-5 * max(1.0, abs(a.value).max())


def test_deleting_what_is_not_there_raises(make, requests_):
    """An unknown id raises, and nothing is deleted with it."""
    editor = make()
    editor.write(requests_)
    before = editor.state_hash()
    with pytest.raises(UnknownEdit, match="no edit 'nobody'"):
        editor.delete(["e0", "nobody"])
    assert editor.state_hash() == before
    editor.delete(["e0"])
    with pytest.raises(UnknownEdit):
        editor.delete(["e0"])


def test_an_exception_inside_write_leaves_the_state(make, requests_, monkeypatch):
    """Writing is all or nothing."""
    editor = make()
    editor.write(requests_[:1])
    before = editor.state_hash()

    def fail(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(editor.port, "suffix", fail)
    with pytest.raises(MemoryError):
        editor.write(requests_[1:])
    assert editor.state_hash() == before


def test_same_key_and_target_share_one_value(make, taught, tok):
    """A second owner of the same fact joins it without training, and either one can leave."""
    editor = make()
    editor.write([EditRequest(HOME, "Cairo.", id="a", note_id="n1")])
    receipt = editor.write([EditRequest(HOME, "Cairo.", id="b", note_id="n2")])[0]
    twins = editor.write([EditRequest(tiny.HOME[0].format("Bo"), "Delhi.", id=i) for i in "cd"])

    assert (receipt.status, receipt.steps) == ("aliased", 0)
    assert [t.status for t in twins] == ["written", "aliased"]
    assert editor.status().details["values"] == 2
    editor.delete(["a"])
    assert answer(taught("llama"), tok, [HOME]) == ["Cairo."]


def test_ids_are_taken_once(make):
    """An id names one edit: another request under it is refused, in one call or later."""
    editor = make()
    with pytest.raises(InvalidArgument):
        editor.write([EditRequest(HOME, "Cairo.", id="a"), EditRequest(HOME, "Lima.", id="a")])
    editor.write([EditRequest(HOME, "Cairo.", id="a")])
    with pytest.raises(EditError, match="belongs to another edit"):
        editor.write([EditRequest(HOME, "Lima.", id="a")])


def test_conflicting_targets_for_one_prompt_fail(make):
    """Two answers to the same question cannot both be kept; the receipt names the edit in the way."""
    editor = make()
    editor.write([EditRequest(HOME, "Cairo.", id="a")])
    before = editor.state_hash()
    receipt = editor.write([EditRequest(HOME, "Lima.", id="b")])[0]

    assert receipt.status == "failed"
    assert "edit a" in receipt.reason
    assert editor.state_hash() == before


def test_what_does_not_converge_is_reported_and_not_stored(make):
    """A value that never says its target is not kept; the others of the call are."""
    editor = make(steps=1, norm_cap=1e-3)
    receipts = editor.write([EditRequest(HOME, "Cairo.", id="a")])

    assert [r.status for r in receipts] == ["failed"]
    assert "did not say the target" in receipts[0].reason
    assert editor.status().state == "empty"


def test_paraphrases_become_keys(make, taught, tok):
    """Every paraphrase of a request is a further key of its value."""
    editor = make()
    ways = tuple(way.format("Ana") for way in tiny.HOME)
    receipt = editor.write([EditRequest(ways[0], "Cairo.", paraphrases=ways[1:])])[0]

    assert receipt.keys == 3
    assert answer(taught("llama"), tok, ways) == ["Cairo."] * 3


def test_scopes_are_enforced_row_by_row(make, taught, tok):
    """A row sees the edits of its own scope and the shared ones; without a request, only the shared ones."""
    model, editor = taught("llama"), make()
    ana, bo = Scope(user="ana"), Scope(user="bo")
    base = answer(model, tok, [HOME])[0]
    receipts = editor.write(
        [EditRequest(HOME, "Cairo.", scope=ana, id="a"), EditRequest(HOME, "Lima.", scope=bo, id="b"),
         EditRequest(tiny.HOME[0].format("Bo"), "Delhi.", id="c")]
    )  # fmt: skip

    assert all(r.status == "written" for r in receipts)
    assert answer(model, tok, [HOME, tiny.HOME[0].format("Bo")]) == [base, "Delhi."]
    with editor.request(scope=ana):
        assert answer(model, tok, [HOME, tiny.HOME[0].format("Bo")]) == ["Cairo.", "Delhi."]
    with editor.request(scopes=[ana, bo, Scope(user="eve")]):
        assert answer(model, tok, [HOME] * 3) == ["Cairo.", "Lima.", base]
        with pytest.raises(InvalidArgument, match="3 scopes"):
            answer(model, tok, [HOME] * 2)
        beams = generate(model, tok, [HOME] * 3, num_beams=2)
        assert beams == generate(model, tok, [HOME] * 3)
    editor.default_scope = bo
    assert answer(model, tok, [HOME]) == ["Lima."]
    assert editor.probe([HOME], scope=ana)[0].edit_id == "a"


def test_requests_of_two_threads_do_not_meet(make, taught, tok):
    """A scope, a silence or a shadow belongs to the thread that opened it."""
    model, editor = taught("llama"), make()
    editor.write([EditRequest(HOME, "Cairo.", scope=Scope(user="ana"), id="a")])
    said = {}

    def elsewhere():
        said["other"] = answer(model, tok, [HOME])[0]

    with editor.request(scope=Scope(user="ana")):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        said["here"] = answer(model, tok, [HOME])[0]

    assert said["here"] == "Cairo."
    assert said["other"] != "Cairo."


def test_shadow_is_private_until_committed(make, taught, tok):
    """What is written in a shadow is seen inside it alone; commit makes it everybody's, leaving drops it."""
    model, editor = taught("llama"), make()
    base, before, seen = answer(model, tok, [HOME])[0], editor.state_hash(), {}

    def elsewhere():
        seen["said"], seen["hash"] = answer(model, tok, [HOME])[0], editor.state_hash()

    with editor.shadow() as shadow:
        editor.write([EditRequest(HOME, "Cairo.", id="a")])
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert answer(model, tok, [HOME]) == ["Cairo."]
    assert seen == {"said": base, "hash": before}
    assert (answer(model, tok, [HOME])[0], editor.state_hash()) == (base, before)

    with editor.shadow() as shadow:
        editor.write([EditRequest(HOME, "Cairo.", id="a")])
        inside = editor.state_hash()
        shadow.commit()
    assert editor.state_hash() == inside
    assert answer(model, tok, [HOME]) == ["Cairo."]


def test_shadow_commit_joins_what_others_wrote(make, requests_):
    """A commit adds and removes its own edits; those that arrived meanwhile stay; a taken id is refused."""
    editor = make()
    editor.write(requests_[:2])
    with editor.shadow() as shadow:
        editor.delete(["e0"])
        editor.write(requests_[2:3])
        thread = threading.Thread(target=lambda: editor.write(requests_[3:]))
        thread.start()
        thread.join()
        shadow.commit()
        assert [r.id for r in editor.edits()] == ["e1", "e2", "e3"]
    assert [r.id for r in editor.edits()] == ["e1", "e2", "e3"]

    with editor.shadow() as shadow:
        editor.write([replace(requests_[0], id="new")])
        thread = threading.Thread(target=lambda: editor.write([EditRequest(OTHER, "Porto.", id="new")]))
        thread.start()
        thread.join()
        with pytest.raises(EditError, match="somebody else"):
            shadow.commit()


def test_probe_and_explain_say_which_edit_and_how_far(make, taught, tok, requests_):
    """Routes name edit, note, distance and radius; the bare model has none."""
    editor = make()
    assert [r.edit_id for r in editor.probe([HOME])] == [None]
    editor.write(requests_)
    hit, miss = editor.probe([requests_[1].prompt, OTHER])
    answer(taught("llama"), tok, [requests_[1].prompt])
    seen = editor.explain()[0]

    assert (hit.edit_id, hit.note_id) == (seen.edit_id, seen.note_id) == ("e1", "n1")
    assert hit.distance < 0.01 * hit.radius  # its key, but for rounding
    assert miss.edit_id is None
    assert miss.distance > miss.radius
    with editor.silence():
        answer(taught("llama"), tok, [requests_[1].prompt])
        assert editor.explain() == []


def test_status_reports(make, requests_):
    """State, counts, size and hash in one frozen report."""
    editor = make()
    assert editor.status().state == "empty"
    editor.write(requests_)
    status = editor.status()

    assert (status.state, status.edits, status.keys, status.method) == ("active", 4, 4, "grace")
    assert status.size_bytes == len(editor.state.bytes)
    assert status.state_hash == editor.state_hash()
    editor.detach()
    assert editor.status().state == "detached"


def test_progress_is_reported(taught, tok, background, requests_):
    """Long writes say how far they are."""
    seen = []
    editor = make_editor(
        "grace",
        taught("llama"),
        tok,
        background=background,
        batch=2,
        on_progress=lambda done, total: seen.append((done, total)),
    )
    editor.write(requests_)
    editor.detach()

    assert seen == sorted(set(seen))
    assert len(seen) > 1
    assert seen[-1] == (4, 4)


def test_plain_models_without_a_template_are_edited(plain_tok, background):
    """Without a chat template prompts are plain text and the end of the prompt is the key."""
    model = tiny.taught("llama", plain_tok)
    base = answer(model, plain_tok, [OTHER])
    editor = make_editor("grace", model, plain_tok, background=background)
    receipt = editor.write([EditRequest(HOME, "Cairo.")])[0]

    assert receipt.ok
    assert answer(model, plain_tok, [HOME, OTHER]) == ["Cairo.", *base]


def test_a_target_the_model_decides_elsewhere_is_brought_about_there(background):
    """A lone space as first token moves the decision behind the value's position: the tail of the value is where it falls."""
    split = tiny.tokenizer(chat=False, words=False)
    model = tiny.taught("llama", split)
    base = answer(model, split, [HOME])
    editor = make_editor("grace", model, split, background=background)
    receipt = editor.write([EditRequest(HOME, "Cairo.")])[0]

    assert receipt.ok
    assert answer(model, split, [HOME]) == ["Cairo."]
    editor.delete([receipt.id])
    assert answer(model, split, [HOME]) == base


def test_evaluation_counts_by_free_generation(make, taught, tok, requests_):
    """Reliability, generality and locality are shares of what was asked."""
    model, editor = taught("llama"), make()
    editor.write(requests_[:2])
    cases = [Case(r.prompt, r.target, (r.prompt,), (OTHER, "What pet has Kai?")) for r in requests_[:3]]
    report = evaluate(model, tok, cases, editor=editor)

    assert report.asked == (3, 3, 2)
    assert report.reliability == pytest.approx(2 / 3)
    assert report.generality == pytest.approx(2 / 3)
    assert report.locality == 1.0
    assert (requests_[2].prompt, requests_[2].target) in [wrong[:2] for wrong in report.wrong]
