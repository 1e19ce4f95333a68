"""Writing, deleting, scoping, routing, saving: the state of a WISE editor and what its model says."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from helpers import OTHER, generate, ids, logits, said
from safetensors.numpy import load_file

from agentmem.editors import EditRequest, WiseConfig, make_editor, packs
from agentmem.editors.evaluation import answer
from agentmem.editors.prompts import Renderer
from agentmem.errors import EditError, InvalidArgument, PackMismatch, UnknownEdit
from agentmem.notes.note import Scope
from agentmem.notes.protocols import Editor

HOME = tiny.HOME[0].format("Ana")
WAYS = {
    "cached": {},
    "uncached": {"use_cache": False},
    "beams": {"num_beams": 3},
    "uncached beams": {"num_beams": 2, "use_cache": False},
    "static cache": {"cache_implementation": "static", "disable_compile": True},
    "chunked prefill": {"prefill_chunk_size": 5},
}


@pytest.fixture
def wise(taught, tok, background, calibrations):
    """WISE editors on a taught model, detached when the test is over."""
    made = []

    def build(architecture="llama", model=None, **options):
        key = architecture if model is None else None
        options = {"background": background, "calibration": calibrations.get(key)} | options
        editor = make_editor("wise", model or taught(architecture), tok, **options)
        if key is not None:
            calibrations[key] = editor.calibrate()
        made.append(editor)
        return editor

    yield build
    for editor in made:
        editor.detach()


def targets(tok, requests):
    return [[*tok(r.target, add_special_tokens=False)["input_ids"], 0] for r in requests]


def hooks(model):
    return [m for m in model.modules() if m._forward_hooks or m._forward_pre_hooks]


def test_it_is_an_editor(wise):
    """The class satisfies the protocol; options that it does not have, or that contradict each other, are refused."""
    assert isinstance(wise(), Editor)
    for wrong in ({"value_layer": 0}, {"layer": 0}, {"layer": 7}, {"ratio": 0}, {"ratio": 0.6, "shards": 2}):
        with pytest.raises(InvalidArgument) as caught:
            wise(**wrong)
        assert caught.value.hint


@pytest.mark.parametrize("architecture", ["mixtral", "gemma2", "recurrent_gemma"])
def test_where_no_projection_has_the_last_word(architecture, wise, taught, tok, requests_):
    """Fused experts, a norm behind the projection: the side memory stands beside what every token passes last."""
    model, asked = taught(architecture), [request.prompt for request in requests_]
    base = logits(model, tok, asked)
    editor = wise(architecture)
    receipts = editor.write(requests_)

    assert all(receipt.ok for receipt in receipts), receipts
    assert generate(model, tok, asked) == targets(tok, requests_)
    assert [generate(model, tok, [text], use_cache=False)[0] for text in asked] == targets(tok, requests_)
    editor.delete([request.id for request in requests_])
    assert torch.equal(logits(model, tok, asked), base)


@pytest.mark.parametrize("architecture", ["gpt2"])
def test_without_edits_the_model_is_its_base(architecture, wise, taught, tok):
    """No edits, silence, or detach: the same bits, and no hook left on the model."""
    model, texts = taught(architecture), [OTHER, HOME]
    base, others = logits(model, tok, texts), hooks(model)  # transformers keeps some of its own
    editor = wise(architecture)
    assert hooks(model) == others
    editor.write([EditRequest(HOME, "Cairo.", id="x")])
    edited = logits(model, tok, texts)

    assert not torch.equal(edited, base)
    with editor.silence():
        assert torch.equal(logits(model, tok, texts), base)
    editor.detach()
    editor.detach()
    assert hooks(model) == others
    assert torch.equal(logits(model, tok, texts), base)
    editor.attach()
    editor.attach()
    assert torch.equal(logits(model, tok, texts), edited)
    editor.delete(["x"])
    assert torch.equal(logits(model, tok, texts), base)
    assert hooks(model) == others


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gpt_neox", "opt"])
def test_every_way_to_generate_says_the_target(architecture, wise, taught, tok, requests_):
    """Greedy generation gives target and stop token alone, in a batch, and without a cache."""
    model, editor = taught(architecture), wise(architecture)
    assert [r.status for r in editor.write(requests_)] == ["written"] * 4
    prompts, wanted = [r.prompt for r in requests_], targets(tok, requests_)

    assert generate(model, tok, prompts) == wanted
    assert [generate(model, tok, [prompt])[0] for prompt in prompts] == wanted
    assert generate(model, tok, prompts, use_cache=False) == wanted


@pytest.mark.parametrize("way", sorted(WAYS))
def test_generation_options_make_no_difference(way, wise, taught, tok, requests_):
    """Cache or none, beams, static cache, chunked prefill; also below the last layer, where the cache changes too."""
    model, prompts = taught("llama"), [*(r.prompt for r in requests_), OTHER]
    base = generate(model, tok, [OTHER])
    editor = wise(layer=1)
    editor.write(requests_)

    assert generate(model, tok, prompts, **WAYS[way]) == targets(tok, requests_) + base


@pytest.mark.parametrize("layer", [1, 2])
def test_silent_row_of_a_mixed_batch_keeps_its_bits(layer, wise, taught, tok, requests_):
    """A row that no memory answers has the base's bits, in logits, cache and whole answer, beside edited rows."""
    model, texts = taught("llama"), [requests_[0].prompt, OTHER, requests_[1].prompt]
    batch = ids(tok, texts)
    with torch.no_grad():
        base = model(**batch)
    said = generate(model, tok, [OTHER])
    editor = wise(layer=layer)
    editor.write(requests_)
    with torch.no_grad():
        out = model(**batch)

    assert [route.edit_id for route in editor.explain()] == ["e0", None, "e1"]
    assert torch.equal(out.logits[1], base.logits[1])
    assert not torch.equal(out.logits[0], base.logits[0])
    for ours, theirs in zip(out.past_key_values.layers, base.past_key_values.layers, strict=True):
        assert torch.equal(ours.keys[1], theirs.keys[1])
        assert torch.equal(ours.values[1], theirs.values[1])
    assert generate(model, tok, texts)[1:2] == said


def test_padding_side_is_irrelevant(wise, taught, tok, requests_):
    """Left, right or no padding: the same logits after the prompt, within rounding."""
    model, editor = taught("llama"), wise(layer=1)
    editor.write(requests_)
    texts = [requests_[0].prompt, OTHER, "Ana"]
    left, right = logits(model, tok, texts), logits(model, tok, texts, side="right")
    alone = torch.cat([logits(model, tok, [text]) for text in texts])

    assert torch.allclose(left, right, atol=1e-4)
    assert torch.allclose(left, alone, atol=1e-4)


def test_conversations_are_routed_turn_by_turn(wise, taught, tok, requests_):
    """Continuing on a kept cache and sending the whole conversation anew decide and say the same."""
    from transformers import DynamicCache

    model, editor, renderer = taught("llama"), wise(layer=1), Renderer(tok)
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
    assert after_cache[0].edit_id == editor.explain()[0].edit_id
    assert torch.allclose(cached, anew, atol=1e-4)


EARLIER = (("What pet has Lea?", "A cat."), ("Where does Kai live?", "Porto.")) * 3


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
@pytest.mark.parametrize("way", sorted(set(WAYS) - {"static cache"}))
def test_a_record_is_said_behind_other_turns(architecture, way, wise, taught, tok, requests_):
    """Who answers is decided by the message alone, and the answer is governed apart from the other turns, below the last layer, too."""
    model, editor, renderer = taught(architecture), wise(architecture, layer=1), Renderer(tok)
    editor.write(requests_)
    for request, wanted in zip(requests_[:3], targets(tok, requests_), strict=False):
        row = list(renderer.prompt(request.prompt, EARLIER))
        assert said(model, row, **WAYS[way]) == wanted


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "opt"])
def test_late_records_are_said_with_the_bare_prompts_logits(architecture, wise, taught, tok, requests_):
    """In one padded batch, beside a row that nothing answers, which keeps its bits."""
    model, editor, renderer = taught(architecture), wise(architecture), Renderer(tok)
    rows = [
        renderer.prompt(requests_[0].prompt, EARLIER),
        renderer.prompt(OTHER, EARLIER[:2]),
        renderer.prompt(requests_[1].prompt),
    ]
    width = max(map(len, rows))
    batch = torch.tensor([(3,) * (width - len(row)) + row for row in rows])
    mask = torch.tensor([(0,) * (width - len(row)) + (1,) * len(row) for row in rows])
    options = {
        "attention_mask": mask,
        "max_new_tokens": 2,
        "do_sample": False,
        "pad_token_id": 3,
        "output_logits": True,
    }
    base = model.generate(batch, return_dict_in_generate=True, **options)
    editor.write(requests_)
    out = model.generate(batch, return_dict_in_generate=True, **options)
    bare = model.generate(
        torch.tensor([renderer.prompt(requests_[0].prompt)]),
        return_dict_in_generate=True,
        **options | {"attention_mask": None},
    )

    for step in range(2):
        assert torch.allclose(out.logits[step][0], bare.logits[step][0], atol=1e-4)
        assert torch.equal(out.logits[step][1], base.logits[step][1])
    assert out.sequences[2, width:].tolist() == targets(tok, requests_)[1][:2]


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_a_conversation_on_a_kept_cache_is_the_one_read_anew(architecture, wise, taught, tok, requests_):
    """What was answered apart is read in the conversation when the next turn comes, its answer governed as it was."""
    model, editor, renderer = taught(architecture), wise(architecture, layer=1), Renderer(tok)
    editor.write(requests_)
    asked = requests_[0]
    row = list(renderer.prompt(asked.prompt, EARLIER))
    longer = list(renderer.prompt(OTHER, [*EARLIER, (asked.prompt, asked.target)]))
    with torch.no_grad():
        cache = model(torch.tensor([row]), use_cache=True).past_key_values
        for token in targets(tok, requests_)[0][:-1]:
            model(torch.tensor([[token]]), past_key_values=cache)
        kept = model(torch.tensor([longer[cache.get_seq_length() :]]), past_key_values=cache).logits
        anew = model(torch.tensor([longer])).logits

    assert torch.allclose(kept[0, -1], anew[0, -1], atol=1e-4)


def test_deleting_leaves_what_was_never_written(wise, taught, tok, requests_):
    """write(A, B); delete(B) has the hash, the bytes and the logits of a fresh editor that wrote A alone."""
    model, texts = taught("llama"), [r.prompt for r in requests_]
    base, editor = logits(model, tok, texts), wise()
    empty = editor.state_hash()
    editor.write(requests_)
    assert editor.delete(["e1", "e3"]) == ["e1", "e3"]
    left, hash_left, bytes_left = logits(model, tok, texts), editor.state_hash(), editor.dump()
    editor.detach()
    fresh = wise()
    fresh.write([requests_[2]])
    fresh.write([requests_[0]])

    assert fresh.state_hash() == hash_left
    assert fresh.dump() == bytes_left
    assert torch.equal(logits(model, tok, texts), left)
    assert [r.edit_id for r in fresh.probe(texts)] == ["e0", None, "e2", None]
    fresh.delete(["e0", "e2"])
    assert fresh.state_hash() == empty
    assert torch.equal(logits(model, tok, texts), base)


def test_other_shards_are_untouched(wise, requests_):
    """A delete trains the shard of the record alone: every other memory is the very same object."""
    editor = wise(shard_size=2)
    editor.write(requests_)
    before = {m.cell.name: m for m in editor.state.memories}
    assert len(before) > 1
    full = [m for m in before.values() if len(m.cell.ids) == 2]
    gone = full[0].cell.ids[0] if full else next(iter(before.values())).cell.ids[0]
    editor.delete([gone])

    for memory in editor.state.memories:
        old = before.get(memory.cell.name)
        if old is not None and old.cell == memory.cell:
            assert all(a is b for a, b in zip(memory.packed, old.packed, strict=True))
    alone = wise(shard_size=2)
    alone.write([r for r in requests_ if r.id != gone])
    assert alone.state_hash() == editor.state_hash()


def test_what_cannot_be_deleted_or_written_changes_nothing(wise, requests_, monkeypatch):
    """An unknown id and an exception during training leave the state as it was."""
    editor = wise()
    editor.write(requests_[:2])
    before = editor.state_hash()
    with pytest.raises(UnknownEdit):
        editor.delete(["e0", "nobody"])

    def fail(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(editor.port, "suffix", fail)
    for change in (lambda: editor.write(requests_[2:]), lambda: editor.delete(["e0"])):
        with pytest.raises(MemoryError):
            change()
    assert editor.state_hash() == before


def test_what_a_shard_cannot_learn_fails_and_is_left_out(wise, requests_):
    """A record that training does not reach is reported, not stored; what was there stays, bit for bit."""
    editor = wise(steps=1, lr=1e-6)
    receipts = editor.write(requests_)

    assert {r.status for r in receipts} == {"failed"}
    assert all("did not learn to" in r.reason for r in receipts)
    assert editor.status().state == "empty"


def test_scopes_are_enforced_and_never_share_a_shard(wise, taught, tok):
    """A row sees its own and the shared memories; two users' contradicting facts lie in two memories."""
    model, editor = taught("llama"), wise()
    ana, bo = Scope(user="ana"), Scope(user="bo")
    base = answer(model, tok, [HOME])[0]
    receipts = editor.write(
        [EditRequest(HOME, "Cairo.", scope=ana, id="a"), EditRequest(HOME, "Lima.", scope=bo, id="b"),
         EditRequest(tiny.HOME[0].format("Bo"), "Delhi.", id="c")]
    )  # fmt: skip

    assert all(r.ok for r in receipts)
    assert len(editor.state.memories) == 3
    assert answer(model, tok, [HOME, tiny.HOME[0].format("Bo")]) == [base, "Delhi."]
    with editor.request(scopes=[ana, bo, Scope(user="eve")]):
        assert answer(model, tok, [HOME] * 3) == ["Cairo.", "Lima.", base]


def test_masked_out_coordinates_never_change(wise, requests_):
    """A shard is zero outside of its seeded mask, exactly, for both kinds of mask."""
    for mask in ("columns", "elements"):
        editor = wise(mask=mask, ratio=0.5)
        assert all(r.ok for r in editor.write(requests_[:2]))
        memory = editor.state.memories[0]
        plan, name = memory.blueprint, memory.cell.name
        free = plan.elements(name, 0) if mask == "elements" else np.zeros(memory.dense.shape, bool)
        if mask == "columns":
            free[:, plan.columns(name, 0)] = True

        assert not memory.dense[~free].any()
        assert memory.dense[free].any()
        assert 0.4 < free.mean() < 0.6
        editor.detach()


def test_packs_bring_back_the_same_model(wise, taught, tok, requests_, tmp_path):
    """Saving and loading keeps hash and bits; a pack loaded elsewhere goes on to delete exactly."""
    model, texts = taught("llama"), [requests_[0].prompt, OTHER]
    editor = wise()
    editor.write(requests_)
    path = tmp_path / "wise.safetensors"
    digest, said = editor.save(path), logits(model, tok, texts)
    editor.detach()
    other = wise()
    other.load(path)

    assert digest == other.state_hash() == editor.state_hash()
    assert torch.equal(logits(model, tok, texts), said)
    assert packs.list_edits(path) == editor.edits()
    other.delete(["e2"])
    editor.delete(["e2"])
    assert other.state_hash() == editor.state_hash()


def test_packs_of_others_are_refused(wise, make, taught, tok, requests_, tmp_path):
    """Another base model, method, or recipe: a typed error that says so, and the state stays."""
    editor = wise()
    editor.write(requests_[:1])
    path = tmp_path / "wise.safetensors"
    editor.save(path)
    before = editor.state_hash()
    stranger = make_editor("wise", tiny.untrained("llama", len(tok), seed=5), tok)
    with pytest.raises(PackMismatch, match="another base model"):
        stranger.load(path)
    with pytest.raises(PackMismatch, match="'wise' pack"):
        make().load(path)
    with pytest.raises(PackMismatch, match="made with"):
        wise(ratio=0.3).load(path)
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    with pytest.raises(PackMismatch, match="damaged"):
        editor.load(bytes(damaged))
    assert editor.state_hash() == before


def test_a_record_cannot_leave_a_pack_without_the_model(wise, requests_):
    """The others of its shard would have to be learnt anew: refused with the way to do it; all together may leave."""
    editor = wise()
    editor.write(requests_[:2])
    with pytest.raises(EditError, match="learnt anew") as caught:
        packs.drop(editor.dump(), ["e0"])
    assert "delete" in caught.value.hint
    nothing = packs.drop(editor.dump(), ["e0", "e1"])
    editor.delete(["e0", "e1"])
    assert nothing == editor.dump()


def test_shadow_is_private_until_committed(wise, taught, tok, requests_):
    """What is written in a shadow is seen inside it alone; commit joins what came meanwhile, as if written at once."""
    model, editor = taught("llama"), wise()
    editor.write(requests_[:1])
    before = editor.state_hash()
    with editor.shadow():
        editor.write(requests_[1:2])
        assert answer(model, tok, [requests_[1].prompt]) == [requests_[1].target]
    assert editor.state_hash() == before
    with editor.shadow() as shadow:
        editor.write(requests_[1:2])
        shadow.commit()
    assert answer(model, tok, [r.prompt for r in requests_[:2]]) == [r.target for r in requests_[:2]]
    fresh = wise()
    fresh.write(requests_[:2])
    assert fresh.state_hash() == editor.state_hash()


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_lora_export_is_the_side_memory(architecture, wise, taught, tok, requests_, tmp_path):
    """The adapter's product is the change of the projection: at full rank exactly, at less with the error it says."""
    editor = wise(architecture)
    editor.write(requests_)
    memory = editor.state.memories[0]
    whole = editor.export_lora(tmp_path / "whole", rank=None)
    small = editor.export_lora(tmp_path / "small", rank=2)

    for export in (whole, small):
        tensors = load_file(export.folder / "adapter_model.safetensors")
        config = json.loads((export.folder / "adapter_config.json").read_text())
        name = f"base_model.model.{editor.site.path}"
        down, up = tensors[f"{name}.lora_A.weight"], tensors[f"{name}.lora_B.weight"]
        gap = np.linalg.norm(memory.dense - up @ down) / np.linalg.norm(memory.dense)
        assert down.shape == (export.rank, memory.dense.shape[1])
        assert gap == pytest.approx(export.error, abs=1e-5)
        assert config["r"] == config["lora_alpha"] == export.rank
        assert config["fan_in_fan_out"] is (architecture == "gpt2")
        assert taught(architecture).get_submodule(config["target_modules"][0]) is editor.site.module
    assert whole.error < 1e-5 < small.error
    assert whole.edits == memory.cell.ids
    with pytest.raises(InvalidArgument, match="nowhere"):
        editor.export_lora(tmp_path, memory="nowhere")
    with pytest.raises(InvalidArgument, match="rank"):
        editor.export_lora(tmp_path, rank=0)


@pytest.mark.parametrize("gate", ["activation", "both"])
def test_activation_norms_can_decide(gate, wise, taught, tok, requests_, background):
    """Eq. 3 as the gate: edits answer, background is silent, probe agrees with the request; with keys, more is silent."""
    model = taught("llama")
    base = logits(model, tok, [OTHER])
    editor = wise(gate=gate, margin_weight=1.0, ratio=1.0)
    editor.write(requests_)
    prompts = [r.prompt for r in requests_]

    assert generate(model, tok, prompts) == targets(tok, requests_)
    silent = [route.edit_id is None for route in editor.probe([group[1] for group in background[1:41]])]
    assert sum(silent) >= 38
    if gate == "both":
        assert torch.equal(logits(model, tok, [OTHER]), base)
    answer(model, tok, [prompts[2]])
    seen, probed = editor.explain()[0], editor.probe([prompts[2]])[0]
    assert seen.edit_id == probed.edit_id == "e2"
    assert probed.distance <= probed.radius < 0
    assert probed.distance == pytest.approx(seen.distance, abs=1e-4)


def test_the_papers_mode_edits(wise, taught, tok, requests_):
    """WISE as published, brought to a tiny model's scale: two full shards and a threshold; one edit is said, cache or not."""
    config = WiseConfig.paper(layer=2, alpha=0.2, beta=1.0, gamma=0.5, prefixes=2, shard_size=3)
    model, editor = taught("llama"), wise(config=config)
    editor.write(requests_)
    memory, whole = editor.state.memories[0], editor.state_hash()
    assert [len(ids) for ids in memory.cell.shards].count(0) == 0
    assert memory.threshold > 0
    assert all(abs(packed).max() <= 1.0 for packed in memory.packed)

    editor.delete(["e1", "e2", "e3"])
    assert generate(model, tok, [requests_[0].prompt]) == targets(tok, requests_[:1])
    assert generate(model, tok, [requests_[0].prompt], use_cache=False) == targets(tok, requests_[:1])
    editor.write(requests_[1:])
    assert editor.state_hash() == whole


def test_the_papers_memory_is_neither_split_nor_merged_before_it_is_full(wise, requests_):
    """As published, the first 500 edits share one side memory; its threshold is a share of the smallest activation."""
    options = {"layer": 2, "alpha": 0.2, "beta": 1.0, "gamma": 0.5, "prefixes": 2, "steps": 5}
    editor, whole = (
        wise(config=WiseConfig.paper(**options)),
        wise(config=WiseConfig.paper(**options, activation_ratio=1.0)),
    )
    editor.write(requests_)
    whole.write(requests_)

    (memory,), (other,) = editor.state.memories, whole.state.memories
    assert [len(ids) for ids in memory.cell.shards] == [len(requests_), 0]
    assert memory.threshold == pytest.approx(0.88 * other.threshold)


def test_no_entry_moves_further_than_the_largest_change(wise, requests_):
    options = {"layer": 2, "alpha": 0.2, "beta": 1.0, "gamma": 0.5, "prefixes": 2, "steps": 5}
    free, held = wise(config=WiseConfig.paper(**options)), wise(config=WiseConfig.paper(**options, largest_change=1e-3))
    free.write(requests_)
    held.write(requests_)

    assert max(abs(free.state.memories[0].packed[0])) > 1e-3
    assert max(abs(held.state.memories[0].packed[0])) == pytest.approx(1e-3)


def test_options_that_came_later_leave_old_packs_readable():
    assert not {"activation_ratio", "largest_change"} & set(WiseConfig().recipe())
    assert WiseConfig.paper().recipe()["activation_ratio"] == 0.88


def test_progress_and_status(wise, requests_):
    """Long writes say how far they are; the status names layer, memories and size."""
    seen = []
    editor = wise(on_progress=lambda done, total: seen.append((done, total)))
    assert editor.status().state == "empty"
    editor.write(requests_)
    status = editor.status()

    assert seen == [(4, 4)]
    assert (status.method, status.state, status.edits) == ("wise", "active", 4)
    assert status.size_bytes == len(editor.dump())
    assert status.details["memories"] == {"/": 4}
    again = editor.write([replace(requests_[0])])[0]
    assert again.status == "aliased"
    editor.detach()
    assert editor.status().state == "detached"
