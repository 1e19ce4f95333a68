"""ROME, EMMET and MEMIT as editors: what they write is said, what they forget is gone, the weights stay."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch
from helpers import OTHER, generate, logits

from agentmem.editors import EditRequest, make_editor, packs
from agentmem.editors.deltas.records import DeltaRecord
from agentmem.editors.evaluation import answer
from agentmem.editors.reading import read
from agentmem.editors.rome.drafts import prepare
from agentmem.editors.rome.values import spread
from agentmem.editors.structure import projections
from agentmem.errors import EditError, InvalidArgument, LayerNotFound, ModelError, PackMismatch, UnknownEdit

METHODS = ("rome", "emmet", "memit")
HOME = tiny.HOME[0].format("Ana")
QUICK = {"layer": 0, "prefixes": 0, "essence": 2, "steps": 60, "tokens": 1500}


@pytest.fixture
def build(deep, tok, background):
    """Editors of this family on a taught model, detached when the test is over."""
    made = []

    def get(method="emmet", model=deep, **options):
        weak = {"ridge": 0.001} if method == "memit" else {}
        options = {"background": background, **QUICK, **weak, **options}
        editor = make_editor(method, model, tok, **options)
        made.append(editor)
        return editor

    yield get
    for editor in made:
        editor.detach()


def weights(model):
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def random_book(editor, count):
    """A state of random records: what an editor does with them does not depend on where they come from."""
    generator = np.random.default_rng(0)
    deep, wide, narrow = len(editor.layers), editor.port.structure.d_key, editor.port.structure.d_model
    keys = generator.normal(size=(count, deep, wide)).astype(np.float32)
    return editor.state.with_edits(
        DeltaRecord(
            EditRequest(f"Where is {i}?", "There.", id=f"r{i:03}"),
            (1, 0),
            {
                "keys": keys[i],
                "directions": keys[i].astype(np.float64),
                "residuals": generator.normal(size=(deep, narrow)).astype(np.float32),
            },
        )
        for i in range(count)
    )


def targets(tok, requests):
    return [[*tok(r.target, add_special_tokens=False)["input_ids"], 0] for r in requests]


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gpt_neox", "opt"])
def test_the_hook_is_the_weight_edit(architecture, build, tok):
    """A copy of the model with Δ added to its weights (Linear, or GPT-2's transposed Conv1D) says the same as the
    hooked model, and detaching the hooks gives the base's bits."""
    model = tiny.untrained(architecture, len(tok))
    texts = [OTHER, HOME, "What?"]
    base = logits(model, tok, texts)
    editor = build("memit", model, layer=1, spread=2)
    editor.load(random_book(editor, 5).bytes)
    merged = tiny.untrained(architecture, len(tok))
    sites = projections(build("memit", merged, layer=1, spread=2).port.structure)
    with torch.no_grad():
        for layer, (left, right) in editor._deltas(editor.state, (0, 1, 2, 3, 4)).items():
            weight, delta = sites[layer].weight, left @ right.T
            weight += delta.T if type(sites[layer]).__name__ == "Conv1D" else delta

    ours, theirs = logits(model, tok, texts), logits(merged, tok, texts)
    assert not torch.allclose(ours, base, atol=1e-3)
    assert torch.allclose(ours, theirs, atol=1e-4 * float(theirs.abs().max()))
    editor.detach()
    assert torch.equal(logits(model, tok, texts), base)


def test_a_thousand_edits_on_a_model_are_finite(build, tok):
    """A state of 1,000 records, ten times the width of the keys: answers are numbers, and deletion is exact."""
    model = tiny.untrained("llama", len(tok))
    editor = build("emmet", model)
    base = logits(model, tok, [HOME])
    book = random_book(editor, 1000)
    editor.load(book.bytes)
    assert torch.isfinite(logits(model, tok, [HOME])).all()
    gone = [f"r{i:03}" for i in range(0, 1000, 2)]
    editor.delete(gone)
    assert editor.state_hash() == book.with_edits((), gone).hash
    editor.delete([r.id for r in editor.edits()])
    assert torch.equal(logits(model, tok, [HOME]), base)


@pytest.mark.parametrize("method", METHODS)
def test_delete_leaves_what_an_editor_has_that_never_wrote_it(method, build, deep, tok, requests_):
    """Same hash, same deltas to the bit, same logits, in whatever order; all deleted is the base."""
    model = deep
    base = logits(model, tok, [OTHER, HOME])
    one, two = build(method), build(method)
    one.write(requests_[::-1])
    two.write([requests_[3]])
    two.write([requests_[0]])
    one.detach()
    edited = logits(model, tok, [OTHER, HOME])
    assert one.state_hash() != two.state_hash()
    assert one.delete(["e1", "e2"]) == ["e1", "e2"]

    assert one.state_hash() == two.state_hash()
    for a, b in zip(one._deltas(one.state, (0, 1)).values(), two._deltas(two.state, (0, 1)).values(), strict=True):
        assert torch.equal(a[0], b[0])
        assert torch.equal(a[1], b[1])
    two.detach()
    one.attach()
    assert torch.equal(logits(model, tok, [OTHER, HOME]), edited)
    one.delete(["e0", "e3"])
    assert one.status().state == "empty"
    assert torch.equal(logits(model, tok, [OTHER, HOME]), base)
    with pytest.raises(UnknownEdit):
        one.delete(["e0"])


def test_the_constraint_holds_at_the_stored_key(build, requests_):
    """EMMET's delta gives each key its residual; ROME's does so for the last id only, by its nature."""
    editor = build("emmet")
    editor.write(requests_)
    (left, right) = editor._deltas(editor.state, (0, 1, 2, 3))[0]
    keys, residuals = (torch.from_numpy(editor.state.stacked(name)[:, 0]) for name in ("keys", "residuals"))
    got = (keys @ right) @ left.T

    assert (got - residuals).abs().max() <= 1e-4 * residuals.abs().max()


def test_one_edit_of_emmet_is_one_edit_of_rome(build, requests_):
    """The same records, and the same delta to 1e-5."""
    rome, emmet = build("rome"), build("emmet")
    rome.write(requests_[:1])
    emmet.write(requests_[:1])
    dense = [left @ right.T for left, right in (e._deltas(e.state, (0,))[0] for e in (rome, emmet))]

    assert torch.allclose(*dense, rtol=1e-5, atol=1e-5 * float(dense[0].abs().max()))


def test_memit_shares_a_change_out_over_layers(build, requests_):
    """With every layer's share added in turn, the last layer holds what the value asked for."""
    editor = build("memit", layer=2, spread=3)
    draft = prepare(requests_[:1], editor.state, editor.renderer, editor.config, editor._texts)[0]
    value = torch.linspace(-3, 3, 64)
    share = spread(editor.port, draft.task, value, editor.layers)
    context = draft.task.contexts[0]
    row, at = (*context.head, *context.rest), len(context.head) - 1
    adding = dict(zip(editor.layers, share.residuals, strict=True))
    bare = read(editor.port, [row], [2], hidden_after=2).hidden[0, at]
    moved = read(editor.port, [row], [2], hidden_after=2, adding=adding, columns=[at]).hidden[0, at]

    assert editor.layers == (0, 1, 2)
    assert share.residuals.norm(dim=1).min() > 0
    assert torch.allclose(moved - bare, value, atol=1e-3)


BAD = {
    "no such subject": (EditRequest(HOME, "Cairo.", subject="Zoe"), "does not stand in the prompt"),
    "no subject at all": (EditRequest("where is it?", "Cairo."), "No subject was found"),
    "known already": (EditRequest(HOME, "Porto.", subject="Ana"), "says this already"),
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_what_cannot_be_located_or_is_known_fails_by_receipt(case, build):
    """A failed receipt with what to do, and the state as before."""
    request, reason = BAD[case]
    editor = build()
    before = editor.state_hash()
    receipt = editor.write([request])[0]

    assert (receipt.status, receipt.keys) == ("failed", 0)
    assert reason in receipt.reason
    assert editor.state_hash() == before


def test_bad_requests_and_options_are_refused(build, deep, tok):
    """Empty texts, ids that clash, unknown options and layers raise with a hint; nothing is written."""
    editor = build()
    good = EditRequest(HOME, "Cairo.", id="a")
    editor.write([good])
    before = editor.state_hash()
    for requests, error in (
        ([EditRequest(HOME, " ")], InvalidArgument),
        ([EditRequest("", "Cairo.")], InvalidArgument),
        ([EditRequest(HOME, "Lima.", id="a")], EditError),
        ([EditRequest(OTHER, "A cat.", id="b"), EditRequest(OTHER, "A dog.", id="b")], InvalidArgument),
        (["a text"], InvalidArgument),
    ):
        with pytest.raises(error) as caught:
            editor.write(requests)
        assert caught.value.hint
    clash = editor.write([EditRequest(HOME, "Lima.", id="c")])[0]
    assert (clash.status, "edit a" in clash.reason) == ("failed", True)
    assert editor.write([good])[0].status == "aliased"
    assert editor.write([EditRequest(HOME, "Cairo.", id="twin")])[0].status == "aliased"
    editor.delete(["twin"])
    assert editor.state_hash() == before
    for options in ({"layer": 3}, {"radius": 1}, {"lr": -1.0}):
        with pytest.raises(InvalidArgument):
            make_editor("rome", deep, tok, **options)


def test_architectures_that_do_not_fit_are_refused(tok):
    """A fused mixture of experts has no projection; Gemma 2 rescales what the projection gives."""
    with pytest.raises(LayerNotFound, match="feed-forward"):
        make_editor("rome", tiny.untrained("mixtral", len(tok)), tok)
    with pytest.raises(ModelError, match="residual stream"):
        make_editor("rome", tiny.untrained("gemma2", len(tok)), tok)


def test_packs_come_back_and_are_checked(build, deep, taught, tok, requests_, tmp_path):
    """Save and load give the same bits; a pack of another base, other options or another method is refused; a pack
    can be cut without the model, to the very bytes that deleting gives."""
    model, editor = deep, build("emmet")
    editor.write(requests_[:2])
    sha = editor.save(tmp_path / "pack")
    edited = logits(model, tok, [HOME, OTHER])
    editor.detach()
    other = build("emmet")
    other.load(tmp_path / "pack")

    assert other.state_hash() == editor.state_hash() == sha
    assert torch.equal(logits(model, tok, [HOME, OTHER]), edited)
    assert [r.id for r in packs.list_edits(tmp_path / "pack")] == ["e0", "e1"]
    cut = packs.drop(tmp_path / "pack", ["e0"])
    other.delete(["e0"])
    assert cut == other.dump()
    before = other.state_hash()
    for wrong in (
        build("rome"),
        build("emmet", layer=1),
        build("emmet", taught("llama")),
    ):
        with pytest.raises(PackMismatch) as caught:
            wrong.load(tmp_path / "pack")
        assert caught.value.hint
        assert wrong.status().state == "empty"
    damaged = bytearray((tmp_path / "pack").read_bytes())
    damaged[-9] ^= 1
    with pytest.raises(PackMismatch, match="damaged"):
        other.load(bytes(damaged))
    with pytest.raises(UnknownEdit):
        packs.drop(cut, ["e0"])
    with pytest.raises(PackMismatch, match="'emmet' pack"):
        packs.read_pack(cut)
    assert other.state_hash() == before


def test_probe_and_explain_name_the_edit(build, deep, tok, requests_):
    """The edit at the subject of a prompt is named with its note; an unrelated prompt has none."""
    editor = build("emmet")
    editor.write(requests_)
    hit, miss = editor.probe([requests_[1].prompt, OTHER])
    generate(deep, tok, [OTHER, requests_[2].prompt])
    routes = editor.explain()

    assert (hit.edit_id, hit.note_id) == ("e1", "n1")
    assert hit.distance < 0.2 <= hit.radius
    assert miss.edit_id is None
    assert [r.edit_id for r in routes] == [None, "e2"]


def test_shadow_is_private_until_committed(build, deep, tok, requests_):
    """What is written in a shadow is dropped at its end, unless committed."""
    model, editor = deep, build("emmet")
    before, base = editor.state_hash(), answer(model, tok, [HOME])
    with editor.shadow():
        editor.write(requests_[:1])
        assert answer(model, tok, [HOME]) == [requests_[0].target]
    assert (editor.state_hash(), answer(model, tok, [HOME])) == (before, base)
    with editor.shadow() as shadow:
        editor.write(requests_[:1])
        shadow.commit()
    assert answer(model, tok, [HOME]) == [requests_[0].target]
    assert editor.status().state == "active"


def test_the_second_moment_is_kept_by_fingerprint(build, taught, tmp_path):
    """A cache folder spares the estimate, is not shared between models, and a damaged file is made anew."""
    moments = build("emmet", cache=tmp_path).calibrate()
    files = list(tmp_path.iterdir())
    assert len(files) == 1
    again = build("emmet", cache=tmp_path)
    again.port.structure.backbone.forward, kept = None, again.port.structure.backbone.forward  # would raise
    try:
        assert torch.equal(again.calibrate()[0], moments[0])
    finally:
        del again.port.structure.backbone.forward
        assert again.port.structure.backbone.forward.__func__ is kept.__func__
    files[0].write_bytes(b"damaged")
    assert torch.equal(build("emmet", cache=tmp_path).calibrate()[0], moments[0])
    build("emmet", taught("llama"), cache=tmp_path).calibrate()
    assert len(list(tmp_path.iterdir())) == 2
    assert float(torch.linalg.eigvalsh(moments[0])[0]) > 0
