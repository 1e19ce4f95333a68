"""Choosing the key layer by measuring, keeping the result, and recording it in packs."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tiny
import torch
from helpers import generate

from agentmem.editors import GraceConfig, calibrate, make_editor
from agentmem.editors.gate.separability import best_layer, candidate_layers, score_keys
from agentmem.editors.packed import LayerScore
from agentmem.editors.packs import read_pack
from agentmem.errors import InvalidArgument

GROUPS = [tuple(way.format(name) for way in ways) for name in tiny.NAMES for ways in (tiny.HOME, tiny.PET)]


def clusters(apart, groups=48, size=3, width=12):
    """Raw keys of groups whose centres lie ``apart`` times farther from each other than their members."""
    rng = np.random.default_rng(5)
    centres = rng.normal(size=(groups, width)) * apart
    raw = np.repeat(centres, size, 0) + rng.normal(size=(groups * size, width))
    return raw.astype(np.float32), np.repeat(np.arange(groups), size)


def test_separate_groups_score_high_and_noise_does_not():
    """Clear clusters are recognised nearly always; keys that say nothing hardly ever."""
    good, bad = (score_keys(0, *clusters(apart), GraceConfig()) for apart in (20.0, 0.0))
    assert good.recognised > 0.95
    assert good.auc > 0.99
    assert good.d_prime > 3
    assert bad.recognised < 0.2
    assert abs(bad.d_prime) < 1.5
    assert good.paraphrases == bad.paraphrases == 96


def test_scores_are_measured_on_held_out_groups_at_the_allowed_alarm():
    """A looser alarm recognises more, and never changes the distances."""
    raw, member = clusters(2.0)
    tight, loose = (score_keys(0, raw, member, GraceConfig(false_alarm=a)) for a in (0.0, 0.3))
    assert tight.recognised < loose.recognised
    assert tight.auc == loose.auc


@pytest.mark.parametrize(
    ("shares", "chosen"), [((0.5, 0.5), 1), ((0.53, 0.5), 1), ((0.7, 0.5), 0), ((0.2, 0.5), 1), ((0.3, 0.1), 1)]
)
def test_the_last_layer_stays_unless_another_is_clearly_better(shares, chosen):
    """A difference within a standard error changes nothing, nor does one that most paraphrases still are missed after."""
    rows = [LayerScore(i, share, 0.9, 1.0, 200) for i, share in enumerate(shares)]
    assert best_layer(rows) == chosen


@pytest.mark.parametrize("depth", [1, 2, 5, 8, 9, 28, 80])
def test_candidates_span_the_depth(depth):
    """At most eight, the first and the last among them."""
    layers = candidate_layers(depth)
    assert layers[0] == 0
    assert layers[-1] == depth - 1
    assert len(layers) == min(depth, 8)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gpt_neox"])
def test_a_model_is_measured_layer_by_layer(architecture, taught, tok):
    """Every layer has a row, the chosen one is marked, and its keys are what the editor reads."""
    model = taught(architecture)
    found = calibrate(model, tok, groups=GROUPS)
    assert [row.layer for row in found.scores] == [0, 1, 2]
    assert all(0 <= row.recognised <= 1 and 0 <= row.auc <= 1 for row in found.scores)
    table = found.table().splitlines()
    assert len(table) == 4
    chosen = 2 if found.layer is None else found.layer
    assert [i for i, line in enumerate(table[1:]) if line.startswith("*")] == [chosen]

    editor = make_editor("grace", model, tok, calibration=found)
    assert editor.status().details["key_layer"] == chosen
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_keys_come_from_the_layer_that_was_asked_for(taught, tok, background):
    """The raw key is the input of that layer's projection, at the last token."""
    model, seen = taught("llama"), []
    editor = make_editor("grace", model, tok, background=background, key_layer=1)
    space = editor.calibrate()
    assert space.layer == 1
    row = editor.renderer.prompt("Where does Ana live?")
    handle = model.model.layers[1].mlp.down_proj.register_forward_pre_hook(
        lambda _m, args: seen.append(args[0].detach())
    )
    key = editor.port.keys([row])
    handle.remove()
    assert torch.equal(key[0], seen[0][0, -1])


def test_the_pack_records_the_layer(taught, tok, background, requests_, tmp_path):
    """An editor that reads elsewhere adopts the layer of the pack; a pack of the last layer says nothing about it."""
    model = taught("llama")
    editor = make_editor("grace", model, tok, background=background, key_layer=1)
    editor.write(requests_)
    editor.save(tmp_path / "one")
    answers = generate(model, tok, [r.prompt for r in requests_])
    routes = editor.probe([r.prompt for r in requests_])
    editor.detach()
    other = make_editor("grace", model, tok, background=background)
    other.write(requests_[:1])
    other.save(tmp_path / "last")
    assert read_pack(tmp_path / "one").calibration.layer == 1
    assert read_pack(tmp_path / "last").calibration.layer is None
    assert b"key_layer" not in (tmp_path / "last").read_bytes()

    other.load(tmp_path / "one")  # while its hooks are installed
    assert other.status().details["key_layer"] == 1
    assert [route.edit_id for route in other.probe([r.prompt for r in requests_])] == [r.edit_id for r in routes]
    assert generate(model, tok, [r.prompt for r in requests_]) == answers
    assert other.state_hash() == editor.state_hash()
    other.detach()


def test_results_are_kept_by_model_and_recipe(taught, tok, tmp_path, monkeypatch):
    """The second call reads the file; other groups, another model or a damaged file are measured anew."""
    model = taught("llama")
    first = calibrate(model, tok, groups=GROUPS, cache=tmp_path)
    (file,) = tmp_path.iterdir()
    monkeypatch.setattr(
        "agentmem.editors.gate.key_space.measure_layers", lambda *_a, **_k: pytest.fail("measured again")
    )
    again = calibrate(model, tok, groups=GROUPS, cache=tmp_path)
    assert again.scores == first.scores
    assert again.layer == first.layer
    assert (again.projection == first.projection).all()
    monkeypatch.undo()

    calibrate(taught("gpt2"), tok, groups=GROUPS, cache=tmp_path)
    calibrate(model, tok, groups=GROUPS[:-1], cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    file.write_bytes(b"damaged")
    assert calibrate(model, tok, groups=GROUPS, cache=tmp_path).scores == first.scores
    assert file.stat().st_size > 1000


def test_the_environment_names_the_cache(taught, tok, tmp_path, monkeypatch):
    """Without a folder nothing is kept."""
    monkeypatch.delenv("AGENTMEM_CACHE_DIR", raising=False)
    calibrate(taught("llama"), tok, groups=GROUPS, key_layer="last")
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("AGENTMEM_CACHE_DIR", str(tmp_path))
    calibrate(taught("llama"), tok, groups=GROUPS, key_layer="last")
    assert len(list((tmp_path / "calibrations").iterdir())) == 1


@pytest.mark.parametrize(
    "options", [{"groups": GROUPS[:5]}, {"groups": [("alone",)] * 40}, {"key_layer": 3}, {"key_layer": -4}]
)
def test_too_few_groups_and_missing_layers_are_refused(options, taught, tok, tmp_path):
    """With a hint, and nothing kept."""
    with pytest.raises(InvalidArgument) as caught:
        calibrate(taught("llama"), tok, cache=tmp_path, **options)
    assert caught.value.hint
    assert not list(tmp_path.iterdir())


def test_a_table_of_nothing_measured_is_a_heading(taught, tok):
    """``last`` measures nothing, and the table says so by being empty."""
    found = calibrate(taught("llama"), tok, groups=GROUPS, key_layer="last")
    assert found.scores == ()
    assert len(found.table().splitlines()) == 1
    assert json.dumps([row.layer for row in found.scores]) == "[]"


def test_background_texts_without_paraphrases_give_finite_keys(taught, tok, background):
    """Where no two prompts ask the same, nothing is known of how paraphrases differ; keys are whitened by all there is."""
    editor = make_editor("grace", taught("llama"), tok, background=[group[0] for group in background])
    space = editor.calibrate()

    assert np.isfinite(space.projection).all()
    assert np.isfinite(space.background).all()
