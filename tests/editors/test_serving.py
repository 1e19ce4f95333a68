"""However a model is loaded and served: an edit is written, said by free generation, and gone bit for bit, or refused with the cure."""

from __future__ import annotations

import copy

import pytest
import tiny
import torch
from helpers import OTHER, generate, logits
from transformers.cache_utils import DynamicCache, QuantizedLayer

from agentmem.editors import make_editor
from agentmem.editors.fingerprint import fingerprint
from agentmem.editors.prompts import Renderer
from agentmem.errors import EditError
from agentmem.llm.local_model import LocalModel
from agentmem.llm.placement import device_of

pytestmark = pytest.mark.integrations  # with packages that few have; the default tests need none of them

METHODS = ("grace", "wise")


def check(model, tok, requests, background, method, **options):
    """Written, said in this way of generating, silent for another, and gone."""
    asked = [request.prompt for request in requests]
    base = logits(model, tok, asked)
    generate(model, tok, [OTHER], **options)  # served before it is edited: what was compiled then has no hooks
    editor = make_editor(method, model, tok, background=background)
    try:
        receipts = editor.write(requests)
        assert all(receipt.ok for receipt in receipts), receipts
        wanted = [list(Renderer(tok).pair(request.prompt, request.target).labels) for request in requests]
        assert [generate(model, tok, [text], **options)[0] for text in asked] == wanted
        editor.delete([request.id for request in requests])
        assert not editor.edits()
        assert torch.equal(logits(model, tok, asked), base)
        assert [generate(model, tok, [text], **options)[0] for text in asked] != wanted
    finally:
        editor.detach()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64], ids=str)
def test_in_any_numbers(dtype, method, taught, tok, requests_, background):
    check(copy.deepcopy(taught("llama")).to(dtype), tok, requests_, background, method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "options",
    [
        {"cache_implementation": "static", "disable_compile": True},
        {"cache_implementation": "dynamic"},
        {"prompt_lookup_num_tokens": 3},
        {"num_beams": 3},
    ],
    ids=str,
)
def test_in_any_way_of_generating(options, method, taught, tok, requests_, background):
    check(taught("llama"), tok, requests_, background, method, **options)


class InEighths(QuantizedLayer):
    """A quantised cache layer with the coarsest of codes."""

    def _quantize(self, tensor, axis):
        return (tensor * 8).round().to(torch.int8)

    def _dequantize(self, q_tensor):
        return q_tensor.float() / 8


@pytest.mark.parametrize("method", METHODS)
def test_a_quantised_cache_is_refused_with_the_cure(method, taught, tok, requests_, background):
    """What a token brought cannot be taken out of it again; requests that no edit answers are served from it."""
    model = taught("llama")
    editor = make_editor(method, model, tok, background=background)
    try:
        editor.write(requests_)
        with pytest.raises(EditError, match="InEighths") as caught:
            generate(model, tok, [requests_[0].prompt], past_key_values=_quantised())
        assert "dynamic" in caught.value.hint
        assert generate(model, tok, [OTHER], past_key_values=_quantised())
        with editor.silence():
            assert generate(model, tok, [requests_[0].prompt], past_key_values=_quantised())
    finally:
        editor.detach()


def _quantised():
    cache = DynamicCache()
    cache.layers = [InEighths(residual_length=4) for _ in range(3)]
    return cache


def _forward(model):
    model.forward = torch.compile(model.forward, backend="eager")


def _layers(model):
    for layer in model.model.layers:
        layer.compile(backend="eager")


COMPILED = {"its forward": _forward, "itself": lambda model: model.compile(backend="eager"), "its layers": _layers}


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("part", sorted(COMPILED))
def test_compiled_before_it_is_edited(part, method, taught, tok, requests_, background):
    """What was traced without hooks is not run once there are edits, and what was traced with them not when there are none."""
    model = copy.deepcopy(taught("llama"))
    COMPILED[part](model)
    try:
        check(model, tok, requests_[:2], background, method)
    finally:
        torch._dynamo.reset()


@pytest.mark.slow
@pytest.mark.parametrize("part", sorted(COMPILED))
def test_compiled_while_it_is_edited(part, taught, tok, requests_, background):
    model = copy.deepcopy(taught("llama"))
    asked = requests_[0].prompt
    before = generate(model, tok, [asked])
    editor = make_editor("grace", model, tok, background=background)
    try:
        editor.write(requests_[:2])
        COMPILED[part](model)
        assert generate(model, tok, [asked])[0] == list(Renderer(tok).pair(asked, requests_[0].target).labels)
        editor.delete([requests_[0].id, requests_[1].id])
        assert generate(model, tok, [asked]) == before
    finally:
        editor.detach()
        torch._dynamo.reset()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("where", ["in part on disk", "on disk", "in memory"])
def test_with_weights_that_are_fetched_for_each_layers_turn(
    where, method, taught, tok, requests_, background, tmp_path
):
    """Offloaded by accelerate; and a pack of the one fits the other, for the model is the same."""
    accelerate = pytest.importorskip("accelerate")
    model, cpu = copy.deepcopy(taught("llama")), torch.device("cpu")
    if where == "in part on disk":
        places = dict.fromkeys(
            ("model.embed_tokens", "model.layers.0", "model.rotary_emb", "model.norm", "lm_head"), "cpu"
        )
        places |= {"model.layers.1": "disk", "model.layers.2": "disk"}
        model = accelerate.dispatch_model(model, device_map=places, offload_dir=str(tmp_path), main_device="cpu")
    elif where == "on disk":
        model = accelerate.disk_offload(model, str(tmp_path), execution_device=cpu)
    else:
        model = accelerate.cpu_offload(model, execution_device=cpu)
    assert any(parameter.device.type == "meta" for parameter in model.parameters())

    assert device_of(model) == cpu
    assert fingerprint(model, tok) == fingerprint(taught("llama"), tok)
    check(model, tok, requests_, background, method)
    said = LocalModel(model, tok).complete([{"role": "user", "content": OTHER}], max_tokens=8)
    assert said == LocalModel(taught("llama"), tok).complete([{"role": "user", "content": OTHER}], max_tokens=8)


@pytest.mark.parametrize("method", METHODS)
def test_without_a_chat_template(method, plain_tok, requests_, background):
    model = tiny.taught("llama", plain_tok)
    check(model, plain_tok, requests_, background, method)
