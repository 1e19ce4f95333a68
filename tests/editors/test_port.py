"""The port finds a model's parts by structure, and replays what lies above an edit exactly."""

from __future__ import annotations

import copy

import pytest
import tiny
import torch
from helpers import logits
from torch import nn

from agentmem.editors.evaluation import answer
from agentmem.editors.hooks import own_forward
from agentmem.editors.port import ModelPort
from agentmem.editors.prefix import PromptBatch
from agentmem.editors.prompts import Renderer
from agentmem.errors import LayerNotFound

FFN = {
    "llama": "model.layers.2.mlp.down_proj",
    "qwen2": "model.layers.2.mlp.down_proj",
    "qwen3": "model.layers.2.mlp.down_proj",
    "mistral": "model.layers.2.mlp.down_proj",
    "gpt2": "transformer.h.2.mlp.c_proj",
    "gpt_neox": "gpt_neox.layers.2.mlp.dense_4h_to_h",
    "gptj": "transformer.h.2.mlp.fc_out",
    "opt": "model.decoder.layers.2.fc2",
    "mixtral": "",
    "qwen2_moe": "model.layers.2.mlp.shared_expert.down_proj",
    "qwen3_moe": "",
    "gemma": "model.layers.2.mlp.down_proj",
    "gemma2": "model.layers.2.mlp.down_proj",
    "gemma3_text": "model.layers.2.mlp.down_proj",
    "phi": "model.layers.2.mlp.fc2",
    "phi3": "model.layers.2.mlp.down_proj",
}


class Adapter(nn.Module):
    """What adapter libraries do: a linear layer that keeps the base layer inside."""

    def __init__(self, base):
        super().__init__()
        self.base_layer = base
        self.in_features, self.out_features = base.in_features, base.out_features
        self.lora_A, self.lora_B = (
            nn.Linear(base.in_features, 2, bias=False),
            nn.Linear(2, base.out_features, bias=False),
        )

    def forward(self, x):
        return self.base_layer(x) + self.lora_B(self.lora_A(x))


class Packed(nn.Module):
    """What 8- and 4-bit libraries do: integers and scales, and no ``weight`` of the shape (out, in)."""

    def __init__(self, base, bits):
        super().__init__()
        self.in_features, self.out_features, self.bits = base.in_features, base.out_features, bits
        top = 2 ** (bits - 1) - 1
        scale = base.weight.detach().abs().amax(1, keepdim=True) / top
        whole = (base.weight.detach() / scale).round().to(torch.int8)
        if bits == 4:  # two to a byte, in one column
            pairs = (whole + 8).to(torch.uint8).view(-1, 2)
            whole = (pairs[:, :1] << 4) | pairs[:, 1:]
        self.weight = nn.Parameter(whole, requires_grad=False) if bits == 4 else None
        self.register_buffer("codes", whole if bits == 8 else None)
        self.register_buffer("scale", scale)
        self.bias = base.bias

    def forward(self, x):
        if self.bits == 8:
            whole = self.codes.to(x.dtype)
        else:
            whole = torch.cat((self.weight >> 4, self.weight & 15), 1).view(self.out_features, -1).to(x.dtype) - 8
        return nn.functional.linear(x, whole * self.scale.to(x.dtype), self.bias)


def packed(model, bits):
    """Every linear layer below the head replaced; the head stays, as it does when a model is loaded in 8 or 4 bits."""
    for name, module in list(model.named_modules()):
        if type(module) is nn.Linear and name != "lm_head":
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, Packed(module, bits))
    return model


def mapped(model):
    """What a device map does: every block's ``forward`` is replaced on the instance by one that moves its inputs."""
    for block in (*model.model.layers, model.model.norm, model.lm_head):
        block._old_forward = block.forward

        def moved(*args, block=block, **kwargs):
            args = [a.to("cpu") if isinstance(a, torch.Tensor) else a for a in args]
            out = block._old_forward(*args, **kwargs)
            return out.clone() if isinstance(out, torch.Tensor) else out

        block.forward = moved
    return model


class Wrapper(nn.Module):
    """A wrapper that calls forward directly, past any hook on the inner model."""

    def __init__(self, model):
        super().__init__()
        self.base_model = model
        self.config = model.config

    def forward(self, *args, **kwargs):
        return self.base_model.forward(*args, **kwargs)


def batch(tok, count=4):
    pairs = [Renderer(tok).pair(*fact) for fact in tiny.facts()[: 3 * count : 3]]
    return PromptBatch(tuple(p.prompt for p in pairs), tuple(p.labels for p in pairs))


@pytest.mark.parametrize("architecture", sorted(tiny.ARCHITECTURES))
def test_parts_are_found_by_structure(architecture, tok):
    """Layers, feed-forward output and tail are found in every architecture; soft-capped logits have no tail."""
    port = ModelPort(tiny.untrained(architecture, len(tok)), tok)

    assert port.structure.ffn_out_path == FFN[architecture]
    assert port.depth == 3
    assert port.structure.d_model == 48
    assert bool(port.structure.tail) == (architecture != "gemma2")


def test_adapter_inside_the_ffn_counts_as_one_module(tok):
    """An adapter-wrapped projection is found as a whole, not its base layer."""
    model = tiny.untrained("llama", len(tok))
    model.model.layers[2].mlp.down_proj = Adapter(model.model.layers[2].mlp.down_proj)

    assert ModelPort(Wrapper(model), tok).structure.ffn_out_path == "base_model.model.layers.2.mlp.down_proj"


def test_missing_layers_say_how_to_name_them(tok):
    """A model without a stack of blocks is refused with the cure."""
    model = tiny.untrained("llama", len(tok))
    with pytest.raises(LayerNotFound, match=r"model\.layers"):
        ModelPort(model, tok, layers="nowhere")

    model.model.layers = nn.ModuleList()
    with pytest.raises(LayerNotFound, match="layers="):
        ModelPort(model, tok)


def test_probe_leaves_training_flags_and_hooks_as_they_were(tok):
    """Looking at a model in training changes nothing in it."""
    model = tiny.untrained("gpt2", len(tok)).train()
    model.transformer.h[1].eval()
    flags = [m.training for m in model.modules()]

    ModelPort(model, tok)

    assert [m.training for m in model.modules()] == flags
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


GRADIENTS = [
    "gemma",
    "gemma2",
    "gemma3_text",
    "gpt2",
    "gpt_neox",
    "gptj",
    "llama",
    "opt",
    "phi",
    "phi3",
    "qwen2",
    "qwen3",
]


@pytest.mark.parametrize("architecture", GRADIENTS)
def test_suffix_gradient_is_the_full_gradient(architecture, tok):
    """Replaying only the layers above, on the window only, gives the whole model's loss and gradient."""
    check_gradient(tiny.untrained(architecture, len(tok)).double(), tok)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma"])
def test_tied_and_untied_heads(architecture, tied, tok):
    """Whether the head shares its matrix with the embedding changes neither what is found nor what is computed."""
    model = tiny.untrained(architecture, len(tok), tie_word_embeddings=tied).double()
    shared = model.get_output_embeddings().weight is model.get_input_embeddings().weight

    assert shared == tied
    assert ModelPort(model, tok).structure.tail[-1] is model.get_output_embeddings()
    check_gradient(model, tok)


def adapted(model):
    """Every feed-forward output behind an adapter, as adapter libraries leave it."""
    for layer in model.model.layers:
        layer.mlp.down_proj = Adapter(layer.mlp.down_proj)
    return model


DISGUISES = {
    "8 bits": lambda model: packed(model, 8),
    "4 bits": lambda model: packed(model, 4),
    "device map": mapped,
    "adapters": adapted,
}


@pytest.mark.parametrize("disguise", sorted(DISGUISES))
def test_disguised_layers_are_found_and_replayed(disguise, tok):
    """Quantised, adapter-wrapped and device-mapped layers: the same parts are found, and gradients are the model's."""
    model = DISGUISES[disguise](tiny.untrained("llama", len(tok)))
    port = ModelPort(model, tok)

    assert port.structure.ffn_out is model.model.layers[2].mlp.down_proj
    assert (port.structure.d_model, port.structure.d_key) == (48, 96)
    assert port.fingerprint() == ModelPort(model, tok).fingerprint()
    check_gradient(model.double(), tok)


@pytest.mark.parametrize("disguise", sorted(DISGUISES))
def test_disguised_models_are_edited(disguise, taught, make, tok, requests_):
    """A taught model in disguise says what is written, and is its base again when the edits are gone."""
    model = DISGUISES[disguise](copy.deepcopy(taught("llama")))
    asked = [request.prompt for request in requests_]
    base = logits(model, tok, asked)
    editor = make(model=model)

    assert all(receipt.ok for receipt in editor.write(requests_))
    assert answer(model, tok, asked) == [request.target for request in requests_]
    editor.delete([edit.id for edit in editor.edits()])
    assert torch.equal(logits(model, tok, asked), base)


def test_what_cannot_be_called_as_a_decoder_says_so(tok):
    """An encoder-decoder, and something without weights: a typed error that says what was tried."""
    from transformers import T5Config, T5ForConditionalGeneration

    sizes = {"vocab_size": len(tok), "d_model": 16, "d_ff": 16, "num_layers": 2, "num_heads": 2, "d_kv": 8}
    for model in (T5ForConditionalGeneration(T5Config(**sizes)).eval(), nn.ReLU()):
        with pytest.raises(LayerNotFound, match=type(model).__name__) as caught:
            ModelPort(model, tok)
        assert "causal" in caught.value.hint


def test_an_inner_stack_that_takes_no_token_ids_is_no_backbone(tok):
    """BERT as a decoder: its layers are called by an encoder that reads hidden states."""
    from transformers import BertConfig, BertLMHeadModel

    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    config = BertConfig(vocab_size=len(tok), is_decoder=True, **sizes)
    port = ModelPort(BertLMHeadModel(config).eval(), tok)

    assert port.keys([(5, 6, 7)]).shape == (1, 16)


def check_gradient(model, tok):
    port, rows = ModelPort(model, tok), batch(tok)
    prefix = port.prefix(rows, layer=0)
    values = (torch.randn(4, 48, generator=torch.Generator().manual_seed(0)).double() * 0.3).requires_grad_()

    ours = port.suffix(prefix, values)
    loss = torch.nn.functional.cross_entropy(ours.transpose(1, 2), prefix.labels, reduction="none")
    (gradient,) = torch.autograd.grad((loss * prefix.mask).sum(), values)

    whole_loss, whole_gradient = full_gradient(model, port, rows, values)
    assert torch.allclose((loss * prefix.mask).sum(), whole_loss, atol=1e-6)
    assert torch.allclose(gradient, whole_gradient, atol=1e-6)


def full_gradient(model, port, rows, values):
    """The same loss row by row through the whole model, without cache and without padding."""
    total = torch.zeros((), dtype=torch.double)
    for i, (prompt, labels) in enumerate(zip(rows.prompts, rows.labels, strict=True)):

        def add(module, args, output, i=i, end=prompt):
            hidden, at = output if isinstance(output, torch.Tensor) else output[0], len(end) - 1
            hidden = torch.cat((hidden[:, :at], hidden[:, at : at + 1] + values[i], hidden[:, at + 1 :]), 1)
            return hidden if isinstance(output, torch.Tensor) else (hidden, *output[1:])

        handle = port.structure.layers[0].register_forward_hook(add)
        with own_forward():
            out = model(input_ids=torch.tensor([prompt + labels[:-1]]), use_cache=False).logits[0, len(prompt) - 1 :]
        handle.remove()
        total = total + torch.nn.functional.cross_entropy(out, torch.tensor(labels), reduction="sum")
    return total, torch.autograd.grad(total, values)[0]


def test_prefix_key_is_that_of_the_last_real_prompt_token(tok):
    """The key comes from the last prompt token, whatever the padding beside it."""
    port, rows = ModelPort(tiny.untrained("llama", len(tok)), tok), batch(tok)
    seen = []
    handle = port.structure.ffn_out.register_forward_pre_hook(lambda m, a: seen.append(a[0]))
    with torch.no_grad():
        for prompt in rows.prompts:
            port.model(input_ids=torch.tensor([prompt]))
    handle.remove()
    alone = torch.stack([x[0, -1] for x in seen])

    assert torch.allclose(port.prefix(rows, layer=0).keys, alone, atol=1e-5)
    assert torch.allclose(port.keys(rows.prompts), alone, atol=1e-5)


def test_fingerprint_tells_models_and_templates_apart(tok):
    """The same model has one fingerprint; other weights or another template have another."""
    model = tiny.untrained("llama", len(tok))
    one = ModelPort(model, tok).fingerprint()
    changed = tiny.tokenizer()
    changed.chat_template = tiny.TEMPLATE + " "

    assert ModelPort(tiny.untrained("llama", len(tok)), tok).fingerprint() == one
    assert ModelPort(tiny.untrained("llama", len(tok), seed=1), tok).fingerprint() != one
    assert ModelPort(model, changed).fingerprint() != one


def test_hooks_are_counted(tok):
    """Two holders share one set of hooks; the last one takes them away."""
    port = ModelPort(tiny.untrained("llama", len(tok)), tok)
    with port.holding(0), port.holding(0):
        assert len(port.structure.layers[0]._forward_hooks) == 1
    assert not port.structure.layers[0]._forward_hooks
