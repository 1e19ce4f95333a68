"""What holds for every architecture: base bits, equal ways to generate, exact undo."""

from __future__ import annotations

import pytest
import tiny
import torch
from conftest import MAIN
from helpers import OTHER, generate, ids, logits

from agentmem.editors import EditRequest

WAYS = {
    "cached": {},
    "uncached": {"use_cache": False},
    "beams": {"num_beams": 3},
    "uncached beams": {"num_beams": 2, "use_cache": False},
    "static cache": {"cache_implementation": "static", "disable_compile": True},
    "chunked prefill": {"prefill_chunk_size": 5},
}


def targets(tok, requests):
    return [[*tok(r.target, add_special_tokens=False)["input_ids"], 0] for r in requests]


@pytest.mark.parametrize("architecture", MAIN)
def test_without_edits_the_model_is_its_base(architecture, make, taught, tok):
    """No edits, silence, or detach: the same bits, and no hook left on the model."""
    model = taught(architecture)
    base = logits(model, tok, [OTHER, tiny.HOME[0].format("Ana")])
    editor = make(architecture)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    editor.write([EditRequest(tiny.HOME[0].format("Ana"), "Cairo.", id="x")])
    edited = logits(model, tok, [OTHER, tiny.HOME[0].format("Ana")])

    with editor.silence():
        assert torch.equal(logits(model, tok, [OTHER, tiny.HOME[0].format("Ana")]), base)
    editor.detach()
    editor.detach()
    assert torch.equal(logits(model, tok, [OTHER, tiny.HOME[0].format("Ana")]), base)
    editor.attach()
    editor.attach()
    assert torch.equal(logits(model, tok, [OTHER, tiny.HOME[0].format("Ana")]), edited)
    editor.delete(["x"])
    assert torch.equal(logits(model, tok, [OTHER, tiny.HOME[0].format("Ana")]), base)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize("architecture", MAIN)
def test_silent_row_of_a_mixed_batch_keeps_its_bits(architecture, make, taught, tok, requests_):
    """A row that no edit answers has the base's bits, in logits and in the cache, beside rows that are edited."""
    model, texts = taught(architecture), [requests_[0].prompt, OTHER, requests_[1].prompt]
    batch = ids(tok, texts)
    with torch.no_grad():
        base = model(**batch)
    editor = make(architecture)
    editor.write(requests_)
    with torch.no_grad():
        out = model(**batch)

    routes = [route.edit_id for route in editor.explain()]
    assert routes == ["e0", None, "e1"]
    assert torch.equal(out.logits[1], base.logits[1])
    assert not torch.equal(out.logits[0], base.logits[0])
    for ours, theirs in zip(out.past_key_values.layers, base.past_key_values.layers, strict=True):
        assert torch.equal(ours.keys[1], theirs.keys[1])
        assert torch.equal(ours.values[1], theirs.values[1])


@pytest.mark.parametrize("architecture", [*MAIN, "gptj", "opt", "qwen3", "mixtral", "qwen2_moe"])
def test_every_way_to_generate_says_the_target(architecture, make, taught, tok, requests_):
    """Greedy generation gives target and stop token alone, in a batch, and without a cache."""
    model, editor = taught(architecture), make(architecture)
    assert [r.status for r in editor.write(requests_)] == ["written"] * 4
    prompts, wanted = [r.prompt for r in requests_], targets(tok, requests_)

    assert generate(model, tok, prompts) == wanted
    assert [generate(model, tok, [prompt])[0] for prompt in prompts] == wanted
    assert generate(model, tok, prompts, use_cache=False) == wanted


@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_generation_options_make_no_difference(architecture, way, make, taught, tok, requests_):
    """Cache or none, beams, static cache, chunked prefill: edited and other rows come out the same."""
    model, editor = taught(architecture), make(architecture)
    editor.write(requests_)
    prompts = [*(r.prompt for r in requests_), OTHER]

    assert generate(model, tok, prompts, **WAYS[way]) == generate(model, tok, prompts)


def test_sliding_window_layers_are_edited(make, taught, tok, requests_):
    """A cache that has dropped early tokens is refilled for the rows that fired; the others keep their bits."""
    model, editor = taught("gemma2"), make("gemma2")
    base = generate(model, tok, [OTHER])
    editor.write(requests_)
    prompts = [r.prompt for r in requests_]

    assert generate(model, tok, [*prompts, OTHER]) == targets(tok, requests_) + base
    assert generate(model, tok, [*prompts, OTHER], use_cache=False) == targets(tok, requests_) + base


@pytest.mark.parametrize("architecture", MAIN)
def test_padding_side_is_irrelevant(architecture, make, taught, tok, requests_):
    """Left, right or no padding: the same logits after the prompt, within rounding."""
    model, editor = taught(architecture), make(architecture)
    editor.write(requests_)
    texts = [requests_[0].prompt, OTHER, "Ana"]
    left, right = logits(model, tok, texts), logits(model, tok, texts, side="right")
    alone = torch.cat([logits(model, tok, [text]) for text in texts])

    assert torch.allclose(left, right, atol=1e-4)
    assert torch.allclose(left, alone, atol=1e-4)


def test_logits_to_keep_loss_and_hidden_states_follow(make, taught, tok, requests_):
    """What else a forward returns is edited consistently."""
    model, editor = taught("llama"), make()
    editor.write(requests_)
    batch = ids(tok, [requests_[0].prompt, OTHER])
    with torch.no_grad():
        full = model(**batch, output_hidden_states=True, labels=batch["input_ids"])
        last = model(**batch, logits_to_keep=1)

    assert torch.allclose(full.logits[:, -1:], last.logits, atol=1e-5)
    head = model.lm_head(full.hidden_states[-1])
    assert torch.allclose(head, full.logits, atol=1e-5)
    shifted = torch.nn.functional.cross_entropy(full.logits[:, :-1].flatten(0, 1), batch["input_ids"][:, 1:].flatten())
    assert torch.allclose(full.loss, shifted, atol=1e-5)


def test_tuple_outputs_are_edited(make, taught, tok, requests_):
    """return_dict=False changes the shape of the answer, not the answer."""
    model, editor = taught("llama"), make()
    editor.write(requests_)
    batch = ids(tok, [requests_[0].prompt, OTHER])
    with torch.no_grad():
        assert torch.equal(model(**batch, return_dict=False)[0], model(**batch).logits)


def test_inputs_embeds_are_routed(make, taught, tok, requests_):
    """A prompt given as embeddings is answered like the same prompt given as ids."""
    model, editor = taught("llama"), make()
    editor.write(requests_)
    batch = ids(tok, [requests_[0].prompt, OTHER])
    embedded = model.get_input_embeddings()(batch["input_ids"]).detach()
    with torch.no_grad():
        by_embedding = model(inputs_embeds=embedded, attention_mask=batch["attention_mask"]).logits
        assert torch.allclose(by_embedding[:, -1], model(**batch).logits[:, -1], atol=1e-5)


def test_edited_forward_is_differentiable(make, taught, tok, requests_):
    """Somebody who trains an adapter through an edited forward gets gradients, not an error."""
    model, editor = taught("llama"), make()
    editor.write(requests_)
    batch = ids(tok, [requests_[0].prompt, OTHER])
    loss = model(**batch, labels=batch["input_ids"]).loss
    loss.backward()

    assert model.lm_head.weight.grad is not None
    model.zero_grad(set_to_none=True)


def test_train_and_eval_and_inference_mode_make_no_difference(make, taught, tok, requests_):
    """Modes of the model are no switches: nothing is written by reading, and writing works in every mode."""
    model, editor = taught("llama"), make()
    model.train()
    try:
        with torch.inference_mode():
            editor.write(requests_)
        before = editor.state_hash()
        generate(model, tok, [requests_[0].prompt])
    finally:
        model.eval()
    with torch.inference_mode():
        assert generate(model, tok, [requests_[0].prompt]) == targets(tok, requests_[:1])
    other = make()
    other.write(requests_)

    assert editor.state_hash() == before == other.state_hash()
    assert all(p.grad is None for p in model.parameters())


def test_bfloat16_models_are_edited(make, taught, tok, requests_):
    """Values stay fp32 while the model computes in bf16."""
    import copy

    model = copy.deepcopy(taught("llama")).to(torch.bfloat16)
    editor = make(model=model)
    receipts = editor.write(requests_)

    assert all(receipt.ok for receipt in receipts)
    assert generate(model, tok, [r.prompt for r in requests_]) == targets(tok, requests_)


def test_two_editors_do_not_meet(make, taught, tok, requests_):
    """Editors on two models, and two editors on one model, answer their own edits only."""
    first, second, third = make("llama"), make("qwen2"), make("llama")
    first.write(requests_[:1])
    second.write(requests_[1:2])
    third.write(requests_[2:3])

    wanted = targets(tok, requests_)
    llama = generate(taught("llama"), tok, [r.prompt for r in requests_])
    qwen = generate(taught("qwen2"), tok, [r.prompt for r in requests_])
    assert [a == b for a, b in zip(llama, wanted, strict=True)] == [True, False, True, False]
    assert [a == b for a, b in zip(qwen, wanted, strict=True)] == [False, True, False, False]


def test_an_exception_inside_a_forward_leaves_nothing_behind(make, taught, tok, requests_):
    """A forward that raises half-way does not disturb the next one."""
    model, editor = taught("llama"), make()
    editor.write(requests_)
    wanted = generate(model, tok, [requests_[0].prompt])

    def fail(module, args):
        raise RuntimeError("out of memory")

    handle = model.model.layers[1].register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        generate(model, tok, [requests_[0].prompt])
    handle.remove()

    assert generate(model, tok, [requests_[0].prompt]) == wanted


def test_long_chats_cached_and_prefilled_anew_agree(make, taught, tok, requests_):
    """A conversation on a growing cache gives what the whole conversation gives when it is read again."""
    from transformers import DynamicCache

    from agentmem.editors.prompts import Renderer

    model, editor, renderer = taught("llama"), make(), Renderer(tok)
    editor.write(requests_)
    first, second = requests_[0], requests_[1]
    cache = DynamicCache(config=model.config)
    start = torch.tensor([renderer.prompt(first.prompt)])
    turn = model.generate(start, past_key_values=cache, max_new_tokens=8, do_sample=False, pad_token_id=3)
    said = tok.decode(turn[0, start.shape[1] :], skip_special_tokens=True)
    longer = torch.tensor([renderer.prompt(second.prompt, [(first.prompt, said)])])
    with torch.no_grad():
        cached = model(longer[:, cache.get_seq_length() :], past_key_values=cache).logits[:, -1]
        after_cache = editor.explain()
        anew = model(longer).logits[:, -1]

    assert said == first.target
    assert torch.allclose(cached, anew, atol=1e-4)
    assert after_cache[0].edit_id == editor.explain()[0].edit_id
