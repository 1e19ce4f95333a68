"""Bases in 8 and 4 bits: what lets no gradient through is learnt through all the same, and what is served is what was checked."""

from __future__ import annotations

import copy
import warnings
import weakref

import pytest
import tiny
import torch
from helpers import OTHER, generate, logits
from test_port import batch
from torch import nn

from agentmem.editors import make_editor
from agentmem.editors.fingerprint import fingerprint
from agentmem.editors.gradients import gradients
from agentmem.editors.lanes import mixes_rows
from agentmem.editors.port import ModelPort
from agentmem.editors.prompts import Renderer
from agentmem.errors import EditError

pytestmark = pytest.mark.integrations  # with packages that few have; the default tests need none of them


class Levels(nn.Module):
    """A linear layer of whole numbers that records nothing for autograd, as kernels do; no ``weight``, but a way to get the matrix."""

    def __init__(self, base, bits=8):
        super().__init__()
        self.in_features, self.out_features = base.in_features, base.out_features
        scale = base.weight.detach().abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
        self.register_buffer("qweight", (base.weight.detach() / scale).round().to(torch.int8))
        self.register_buffer("scales", scale)

    @property
    def matrix(self):
        return self.qweight * self.scales

    @torch.no_grad()
    def forward(self, x):
        return x @ self.matrix.to(x.dtype).T


class InByOut(Levels):
    """As GPTQ and AWQ keep it: input first."""

    def dequantize_weight(self):
        return self.matrix.T


class Hqq(Levels):
    def dequantize(self):
        return self.matrix


class Bitsandbytes(Levels):
    """Its product brings a gradient of its own."""

    def forward(self, x):
        return x @ self.matrix.to(x.dtype).T


class Threshold(Levels):
    """No matrix stands for this."""

    def forward(self, x):
        return super().forward(x).sign()


def replaced(model, kind, **options):
    """A copy in which every linear layer below the head is of another kind."""
    model = copy.deepcopy(model)
    for name, module in list(model.named_modules()):
        if type(module) is nn.Linear and name != "lm_head":
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, kind(module, **options))
    return model


def dynamic(model):
    """torch's own: weights and activations in 8 bits, also of the head."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the way that needs no further package is on its way out of torch
        return torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)


def torchao(config, **options):
    def convert(model):
        quantization = pytest.importorskip("torchao.quantization", exc_type=ImportError)
        given = dict(options)
        for name in ("granularity", "weight_granularity"):
            if name in given:
                given[name] = quantization.PerGroup(given[name])
        made = copy.deepcopy(model)
        chosen = getattr(quantization, config)(**given)
        quantization.quantize_(made, chosen, filter_fn=lambda m, name: type(m) is nn.Linear and "lm_head" not in name)
        return made

    return convert


KINDS = {
    "torch, dynamic": dynamic,
    "like GPTQ": lambda model: replaced(model, InByOut, bits=4),
    "like HQQ": lambda model: replaced(model, Hqq),
    "like bitsandbytes": lambda model: replaced(model, Bitsandbytes),
    "of no known kind": lambda model: replaced(model, Levels),
    "torchao, int8": torchao("Int8WeightOnlyConfig"),
    "torchao, int8, activations too": torchao("Int8DynamicActivationInt8WeightConfig"),
    "torchao, int4": torchao("IntxWeightOnlyConfig", weight_dtype=torch.int4, granularity=16),
    "torchao, int4, activations in int8": torchao(
        "Int8DynamicActivationIntxWeightConfig", weight_dtype=torch.int4, weight_granularity=16
    ),
}


@pytest.fixture(scope="module")
def wide(tok):
    """Wide enough for eight bits to tell a dozen people apart."""
    return tiny.taught("llama", tok, hidden_size=64, head_dim=16, intermediate_size=128)


@pytest.mark.parametrize("method", ["grace", "wise"])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_quantised_base_is_edited_and_is_itself_again(kind, method, wide, tok, requests_, background):
    """Written, said with and without a cache and in a batch, silent for others, and gone bit for bit."""
    model = KINDS[kind](wide)
    asked = [request.prompt for request in requests_]
    base, quiet = logits(model, tok, asked), logits(model, tok, [OTHER])
    editor = make_editor(method, model, tok, background=background)
    try:
        empty = editor.state_hash()
        receipts = editor.write(requests_)
        assert all(receipt.ok for receipt in receipts), receipts

        wanted = [list(Renderer(tok).pair(request.prompt, request.target).labels) for request in requests_]
        assert [generate(model, tok, [text])[0] for text in asked] == wanted
        assert [generate(model, tok, [text], use_cache=False)[0] for text in asked] == wanted
        assert generate(model, tok, asked) == wanted
        assert torch.equal(logits(model, tok, [OTHER]), quiet)
        editor.delete([request.id for request in requests_])
        assert editor.state_hash() == empty
        assert torch.equal(logits(model, tok, asked), base)
    finally:
        editor.detach()


@pytest.mark.parametrize("kind", ["torch, dynamic", "like GPTQ", "torchao, int8, activations too"])
def test_without_one_fact_the_state_is_that_of_the_others(kind, wide, tok, requests_, background):
    model = KINDS[kind](wide)
    editor, other = (make_editor("grace", model, tok, background=background) for _ in range(2))
    editor.write(requests_[:3])
    editor.delete([requests_[1].id])
    other.write([requests_[0], requests_[2]])

    assert editor.state_hash() == other.state_hash()
    for each in (editor, other):
        each.detach()


@pytest.mark.parametrize("kind", ["like GPTQ", "like HQQ", "of no known kind"])
def test_the_gradient_is_that_of_the_matrix_and_the_forward_the_layers_own(kind, wide, tok):
    """The same as in a model of ordinary layers with the very matrices that the levels stand for."""
    model = KINDS[kind](wide)
    plain = copy.deepcopy(wide)
    for name, module in model.named_modules():
        if isinstance(module, Levels):
            plain.get_submodule(name).weight.data = module.matrix.clone()
    found = [_loss_and_gradient(each, tok) for each in (model, plain)]

    assert torch.allclose(found[0][0], found[1][0], atol=1e-4)
    assert torch.allclose(found[0][1], found[1][1], atol=1e-4)
    port = ModelPort(model, tok)
    prefix = port.prefix(batch(tok), layer=0)
    with torch.no_grad():
        served = port.suffix(prefix, None)
    assert torch.equal(port.suffix(prefix, None).detach(), served)


def test_one_matrix_at_a_time_is_made_and_none_is_kept(wide, tok):
    """A model of 4 bits does not become one of 32 beside it."""
    alive, most = weakref.WeakSet(), [0]

    class Counted(InByOut):
        def dequantize_weight(self):
            made = self.matrix
            alive.add(made)
            most[0] = max(most[0], len(alive))
            return made

    model = replaced(wide, Counted)
    _loss_and_gradient(model, tok)

    assert most[0] == 1
    assert not alive


def test_what_no_matrix_stands_for_is_refused_with_the_cure(wide, tok, requests_, background):
    model = replaced(wide, Threshold)
    model.lm_head = Threshold(model.lm_head)
    before = logits(model, tok, [OTHER])
    editor = make_editor("grace", model, tok, background=background)
    with pytest.raises(EditError, match="gradient") as caught:
        editor.write(requests_)
    assert "floating point" in caught.value.hint
    assert not editor.edits()
    assert torch.equal(logits(model, tok, [OTHER]), before)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_packs_know_which_levels_they_were_made_for(kind, wide, tok):
    """The fingerprint reads what a layer computes with, wherever it keeps that; and no batch of such a base is trusted."""
    model, again = KINDS[kind](wide), KINDS[kind](wide)
    moved = copy.deepcopy(wide)
    with torch.no_grad():
        moved.model.layers[1].mlp.down_proj.weight.mul_(-1)

    assert fingerprint(model, tok) == fingerprint(again, tok) != fingerprint(wide, tok)
    assert fingerprint(KINDS[kind](moved), tok) != fingerprint(model, tok)
    assert mixes_rows(model)
    assert not mixes_rows(wide)


def _loss_and_gradient(model, tok):
    port = ModelPort(model, tok)
    prefix = port.prefix(batch(tok), layer=0)
    values = (torch.randn(4, 64, generator=torch.Generator().manual_seed(0)) * 0.3).requires_grad_()
    loss = torch.nn.functional.cross_entropy(port.suffix(prefix, values).transpose(1, 2), prefix.labels)
    return loss.detach(), gradients(loss, [values])[0]
