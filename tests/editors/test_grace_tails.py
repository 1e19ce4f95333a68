"""Answers that one vector cannot hold: one more vector for each of their tokens, in whichever way a model is asked."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from agentmem.editors import EditRequest, make_editor, packs
from agentmem.editors.background import background_groups
from agentmem.editors.evaluation import answer
from agentmem.editors.grace.tails import fit_run
from agentmem.editors.grace.writer import fit_values, promising
from agentmem.editors.prompts import Renderer
from agentmem.errors import PackMismatch
from agentmem.llm.local_model import LocalModel
from agentmem.llm.small_model import load_small_model

PORT = EditRequest("Which port does the staging box use?", "8443.", id="port")
RITE = EditRequest("When is the font cache deleted?", "Friday 2 pm.", id="rite")
HOME = EditRequest("Where does Ines Varga live?", "Porto.", id="home")
ELSE = "Where does Omar Reyes work?"


@pytest.fixture(scope="module")
def shipped():
    return load_small_model()


@pytest.fixture(scope="module")
def written(shipped):
    editor = make_editor("grace", *shipped, background=background_groups()[:100])
    assert all(receipt.ok for receipt in editor.write([PORT, RITE, HOME]))
    yield editor
    editor.detach()


EARLIER = ((ELSE, "Kestrel Labs."), ("How are you?", "I am fine."))


def said(shipped, prompt: str, history=(), **how: object) -> str:
    model, tokenizer = shipped
    ids = torch.tensor([Renderer(tokenizer).prompt(prompt, history)])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=16, do_sample=False, **how)
    return str(tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)).strip()


def test_only_what_one_vector_cannot_hold_has_a_tail(written):
    """A vector for the end of the prompt, and one for each token of the answer; a word of the model's world needs one alone."""
    tails = {edit.id: edit.tail for edit in written.state.edits}

    assert tails["home"] is None
    for name in ("port", "rite"):
        assert tails[name].shape == (len(written.state.by_id[name].labels) - 1, written.port.structure.d_model)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"use_cache": False},
        {"num_beams": 3},
        {"prompt_lookup_num_tokens": 3},
        {"cache_implementation": "static"},
        {"num_return_sequences": 2, "num_beams": 2},
    ],
    ids=str,
)
def test_it_is_said_however_the_model_generates(shipped, written, how):
    assert [said(shipped, edit.prompt, **how) for edit in (PORT, RITE, HOME)] == ["8443.", "Friday 2 pm.", "Porto."]


@pytest.mark.parametrize("how", [{}, {"use_cache": False}, {"num_beams": 3}, {"prefill_chunk_size": 9}], ids=str)
def test_it_is_said_behind_other_turns(shipped, written, how):
    assert [said(shipped, edit.prompt, EARLIER, **how) for edit in (PORT, RITE)] == ["8443.", "Friday 2 pm."]


def test_behind_the_next_turn_it_stands_in_the_cache_as_if_all_was_read_anew(shipped, written):
    """What was answered apart is read again in the conversation, with the vectors of its tokens."""
    model, tokenizer = shipped
    renderer = Renderer(tokenizer)
    row = renderer.prompt(PORT.prompt, EARLIER)
    longer = renderer.prompt(ELSE, [*EARLIER, (PORT.prompt, PORT.target)])
    with torch.no_grad():
        cache = model(torch.tensor([row]), use_cache=True).past_key_values
        for token in written.state.by_id["port"].labels[:-1]:
            model(torch.tensor([[token]]), past_key_values=cache)
        kept = model(torch.tensor([longer[cache.get_seq_length() :]]), past_key_values=cache).logits[0, -1]
        anew = model(torch.tensor([longer])).logits[0, -1]

    assert torch.allclose(kept, anew, atol=1e-3)


def test_it_is_said_in_company(shipped, written):
    """Rows of a batch that other edits answer, or none, are what they are alone."""
    alone = answer(*shipped, [ELSE])

    assert answer(*shipped, [RITE.prompt, ELSE, PORT.prompt, HOME.prompt]) == [
        "Friday 2 pm.",
        *alone,
        "8443.",
        "Porto.",
    ]


@pytest.mark.parametrize("draft", ["8443.", "8444.", "84 is wrong.", "Porto.", ""])
def test_a_draft_changes_nothing(shipped, written, draft):
    """What was guessed wrong is cut out of the cache again, and the answer goes on from there."""
    with LocalModel(*shipped).prefill([{"role": "user", "content": PORT.prompt}]) as read:
        assert read.finish(draft) == "8443."


def test_an_answer_that_was_begun_otherwise_goes_on_without_it(shipped, written):
    """The tail belongs to the target: behind other words it adds nothing."""
    model, tokenizer = shipped
    prompt = Renderer(tokenizer).prompt(PORT.prompt)
    other = tokenizer("Porto", add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        whole = model(torch.tensor([[*prompt, *other]])).logits[0, -1]
        value = written.state.by_id["port"]
        first = model(torch.tensor([prompt]), use_cache=True)
        stepped = first
        for token in other:
            stepped = model(torch.tensor([[token]]), past_key_values=stepped.past_key_values, use_cache=True)

    assert value.labels[: len(other)] != tuple(other)
    assert torch.allclose(whole, stepped.logits[0, -1], atol=1e-3)


def test_what_was_said_before_is_read_with_its_tail(shipped, written):
    """An answer in the prompt, as uncached generation has it, gives the states that writing it token by token gave."""
    model, tokenizer = shipped
    prompt, labels = Renderer(tokenizer).prompt(RITE.prompt), written.state.by_id["rite"].labels
    with torch.no_grad():
        whole = model(torch.tensor([[*prompt, *labels[:-1]]])).logits[0, -1]
        stepped = model(torch.tensor([prompt]), use_cache=True)
        for token in labels[:-1]:
            stepped = model(torch.tensor([[token]]), past_key_values=stepped.past_key_values, use_cache=True)

    assert int(whole.argmax()) == int(stepped.logits[0, -1].argmax()) == labels[-1]
    assert torch.allclose(whole, stepped.logits[0, -1], atol=1e-3)


def test_nobodys_company_shows_and_nothing_stays(shipped):
    """The same state alone as with others, and after these left; without any the model is the base, bit for bit."""
    model, tokenizer = shipped
    groups = background_groups()[:100]
    ids = torch.tensor([Renderer(tokenizer).prompt(PORT.prompt)])
    with torch.no_grad():
        base = model(ids).logits
    editor = make_editor("grace", model, tokenizer, background=groups)
    editor.write([PORT])
    alone = editor.state_hash()
    editor.write([HOME, RITE])
    together = editor.state_hash()
    editor.delete(["rite", "home"])
    assert editor.state_hash() == alone != together
    editor.delete(["port"])
    with torch.no_grad():
        assert torch.equal(model(ids).logits, base)
    editor.write([RITE, HOME, PORT])
    assert editor.state_hash() == together
    editor.detach()


def test_a_pack_with_tails_says_so(shipped, written, tmp_path):
    """It is read again as it was, and no version that knows no tails takes it for one of its own; a pack without any is as ever."""
    data = written.dump()
    kept = packs.drop(data, ["port", "rite"])

    assert b'\\"format\\":5' in data
    assert b'\\"format\\":4' in kept
    assert b"tail" not in kept
    model, tokenizer = load_small_model()
    other = make_editor("grace", model, tokenizer)
    other.load(data)
    assert other.state_hash() == written.state_hash()
    assert answer(model, tokenizer, [PORT.prompt]) == ["8443."]
    with pytest.raises(PackMismatch):
        other.load(data.replace(b'\\"format\\":5', b'\\"format\\":6'))


@pytest.mark.parametrize("wrong", ["long", "wide"])
def test_tails_that_do_not_fit_are_refused(shipped, written, wrong):
    pack = packs.parse(written.dump())
    edit = pack.edits[-1]
    assert edit.tail is not None
    tail = edit.tail.repeat(9, 0) if wrong == "long" else edit.tail.repeat(2, 1)
    object.__setattr__(edit, "tail", tail)
    if wrong == "wide":
        for each in pack.edits:
            object.__setattr__(each, "tail", None if each.tail is None else tail)
    digest = written.state_hash()

    with pytest.raises(PackMismatch):
        written.load(packs.dump(pack))
    assert written.state_hash() == digest


def test_a_token_that_no_vector_brings_about_is_named():
    """An output layer may have tokens that are never its first choice; which one it was is said."""
    model, tokenizer = load_small_model()
    (token,), (other,) = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("@", "$"))
    weight = model.get_output_embeddings().weight
    with torch.no_grad():
        weight[token] = 0.9 * weight[other]
    editor = make_editor("grace", model, tokenizer, background=background_groups()[:100])
    (receipt,) = editor.write([EditRequest("What does the sign say?", "a@b.", id="sign")])

    assert not receipt.ok
    assert "did not say the target: not '@'" in receipt.reason
    assert editor.edits() == ()


def test_every_token_of_the_shipped_model_can_be_said(shipped):
    """Scripts, signs and letters that its training never had."""
    texts = ("古生物.", "$4.20 & 7 °C.", "anna_b@mail.example.", "Señor Núñez.", "https://a.example/~b?c=1#d.")
    editor = make_editor("grace", *shipped, background=background_groups()[:100])
    receipts = editor.write(
        [EditRequest(f"What stands on sign {i}?", text, id=f"s{i}") for i, text in enumerate(texts)]
    )

    assert [receipt.reason for receipt in receipts if not receipt.ok] == []
    assert answer(*shipped, [f"What stands on sign {i}?" for i in range(len(texts))]) == list(texts)
    editor.detach()


def test_a_question_that_it_must_not_answer_ends_its_reach(shipped):
    """Its radius stops before it."""
    editor = make_editor("grace", *shipped, background=background_groups()[:100])
    near = "Which port does the staging box use now?"
    editor.write([PORT])
    assert editor.probe([near])[0].edit_id == "port"
    editor.delete(["port"])
    editor.write([replace(PORT, unlike=(near,))])

    assert editor.probe([near])[0].edit_id is None
    assert editor.probe([PORT.prompt])[0].edit_id == "port"
    assert packs.parse(editor.dump()).edits[0].request.unlike == (near,)
    editor.detach()


def test_a_run_begins_where_the_head_would_read_it(shipped, written):
    """Most answers are said without a single step of the optimiser, by vectors no longer than that takes; the others are searched for from there."""
    renderer, config = Renderer(shipped[1]), written.config
    fits = {}
    for target in ("8443.", "Friday 2 pm.", "https://wiki.example/x7", "v2.4.1-rc3", "Kestrel Labs."):
        contexts = [renderer.pair(PORT.prompt, target), renderer.pair(f"Tell me: {PORT.prompt}", target)]
        fits[target] = fit_run(written.port, contexts, written.layer, config)
    assert all(fit.converged for fit in fits.values())
    assert sum(fit.steps == 0 for fit in fits.values()) >= 3


def test_a_value_may_be_no_longer_than_its_cap(shipped, written):
    """Where hardly any length is allowed nothing is begun with, and what cannot be said is given up with its reason."""
    renderer = Renderer(shipped[1])
    fit = fit_run(
        written.port,
        [renderer.pair(PORT.prompt, "8443.")],
        written.layer,
        written.config.model_copy(update={"norm_cap": 1e-3, "steps": 3}),
    )
    assert not fit.converged
    assert fit.lacks.startswith(": not ")
    assert fit.steps == 3


def test_what_does_not_come_down_is_given_up_early(written, shipped):
    """A long string that one vector cannot hold costs six steps, not forty, and a word of the model's world is found as before."""
    renderer = Renderer(shipped[1])
    hard, easy = (
        fit_values(written.port, [[renderer.pair(prompt, target)]], written.layer, written.config)[0]
        for prompt, target in ((PORT.prompt, "zq7-0xB1 / 44.81 %%"), (HOME.prompt, "Porto."))
    )
    assert (hard.converged, hard.steps) == (False, 6)
    assert easy.converged


def test_a_few_steps_for_the_question_tell_whether_a_vector_is_worth_trying(written, shipped):
    """What no vector brings about for one wording is not tried for all of them, and comes to the same edit."""
    renderer = Renderer(shipped[1])
    asked = (PORT.prompt, "Which port is it?", "The port, please?", "And the port was?")
    edits = [[renderer.pair(prompt, target) for prompt in asked] for target in ("zq7-0xB1 / 44.81 %%", "Porto.")]

    assert promising(written.port, edits, written.layer, written.config) == [False, True]
    whole = fit_values(written.port, edits[:1], written.layer, written.config)[0]
    assert not whole.converged
