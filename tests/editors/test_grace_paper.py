"""The published GRACE: deferral balls by Add, Expand and Split, values that replace, deletion by replay."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import tiny
import torch
from helpers import OTHER, generate, logits
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agentmem.editors import EditRequest, GraceConfig, make_editor
from agentmem.editors.core.scopes import covisible
from agentmem.editors.packs import drop, parse
from agentmem.editors.published.grace.balls import Query, place, stream
from agentmem.errors import EditError, InvalidArgument, PackMismatch
from agentmem.notes.note import Scope


def query(name, *key, label=1, scope=None):
    return Query(name, np.array(key, np.float32), (label,), scope)


def radii(balls):
    return [round(ball.radius, 4) for ball in balls]


def test_far_away_adds():
    """A query farther than the nearest radius plus eps_init founds a ball of radius eps_init."""
    balls = stream([query("a", 0, 0), query("b", 5, 0, label=2)], 1.0)
    assert radii(balls) == [1, 1]
    assert [ball.owners for ball in balls] == [("a",), ("b",)]


def test_the_same_target_nearby_expands():
    """The ball widens to just contain the query; inside it nothing changes."""
    first = stream([query("a", 0, 0)], 1.0)
    wide = place(first, query("b", 1.5, 0), 1.0)
    inside = place(wide.balls, query("c", 0, 1.2), 1.0)
    assert (wide.action, radii(wide.balls)) == ("expand", [1.5])
    assert (inside.action, radii(inside.balls)) == ("inside", [1.5])
    assert inside.balls[0].owners == ("a", "b", "c")


def test_another_target_nearby_splits():
    """Both balls get half the distance; the older one keeps its key."""
    split = place(stream([query("a", 0, 0)], 1.0), query("b", 1.2, 0, label=2), 1.0)
    assert split.action == "split"
    assert radii(split.balls) == [0.6, 0.6]
    assert split.balls[0].key.tolist() == [0, 0]


def test_the_same_key_with_another_target_is_refused():
    """Zero distance leaves no room for two answers, and changes nothing."""
    balls = stream([query("a", 0, 0)], 1.0)
    refused = place(balls, query("b", 0, 0, label=2), 1.0)
    assert (refused.action, refused.ball, refused.balls) == ("refuse", 0, balls)


def test_users_do_not_split_each_other():
    """Balls that no request sees together leave each other alone, and are never shared."""
    balls = stream(
        [query("a", 0, 0, scope=Scope(user="u")), query("b", 0.5, 0, label=2, scope=Scope(user="v")),
         query("c", 0, 0.5, label=1)], 1.0,
    )  # fmt: skip
    assert [ball.owners for ball in balls] == [("a",), ("b",), ("c",)]
    assert balls[0].radius == 1.0


@st.composite
def streams(draw):
    """Queries on a small grid with few targets and scopes: overlaps of all kinds."""
    scopes = st.sampled_from([None, None, None, Scope(user="u"), Scope(user="v")])
    point = st.tuples(*[st.integers(-8, 8)] * 2)
    rows = draw(st.lists(st.tuples(point, st.integers(1, 3), scopes), min_size=1, max_size=14))
    return [query(f"e{i}", x / 4, y / 4, label=label, scope=s) for i, ((x, y), label, s) in enumerate(rows)]


@given(streams())
@settings(max_examples=200, deadline=None)
def test_balls_of_different_targets_never_overlap(queries):
    """After any stream, for every two balls that one request may see; and no point lies in two of them."""
    balls = stream(queries, 1.0)
    for one, two in combinations(balls, 2):
        if one.labels != two.labels and covisible([one.scope, two.scope])[0, 1]:
            assert one.radius + two.radius < np.linalg.norm(one.key - two.key)
    assert all(ball.radius > 0 for ball in balls)
    owners = [name for ball in balls for name in ball.owners]
    assert len(set(owners)) == len(owners)


@given(streams(), st.tuples(*[st.floats(-3, 3)] * 2))
@settings(max_examples=100, deadline=None)
def test_the_nearest_key_answers(queries, point):
    """A request gets the value of the nearest ball, or none: never that of a farther one."""
    from agentmem.editors.published.grace.book import PaperBook, packed, raw_space

    book = PaperBook("grace", "f", (), 0.0, 0.0)
    requests = [EditRequest("p", "t", id=q.id, scope=q.scope) for q in queries]
    kept = {name for ball in stream(queries, 1.0) for name in ball.owners}
    book = book.with_edits(
        [packed(r, q.labels, q.key, q.key) for r, q in zip(requests, queries, strict=True) if q.id in kept],
        (), raw_space(2),
    )  # fmt: skip
    asked = np.array([point], np.float32)
    (ball,) = book.answering(asked, [Scope(user="u")]).tolist()
    (match,) = book.match(asked, [Scope(user="u")])
    seen = [b for b in book.balls if not b.scope or b.scope.user == "u"]
    gaps = [float(np.linalg.norm(b.key.astype(float) - asked[0])) for b in seen]
    if not seen:
        assert ball == -1
        return
    assume(len(gaps) < 2 or np.diff(sorted(gaps)[:2])[0] > 1e-6)  # a tie is anybody's
    nearest = seen[int(np.argmin(gaps))]
    assert (ball != -1) == (min(gaps) <= nearest.radius) == (match.edit is not None)
    if ball != -1:
        assert book.balls[ball] is nearest


@given(streams())
@settings(max_examples=60, deadline=None)
def test_the_state_follows_from_the_order(queries):
    """Taking edits in one by one, or reading all of them from a pack, gives the same balls."""
    from agentmem.editors.published.grace.book import PaperBook, packed, raw_space

    empty = grown = PaperBook("grace", "f", (), 0.0, 0.0)
    for q in queries:
        placed = place(grown.balls, q, 1.0)
        if placed.action != "refuse":
            edit = packed(EditRequest("p", "t", id=q.id, scope=q.scope), q.labels, q.key, q.key)
            grown = grown.following([*grown.in_order(), edit], placed.balls, raw_space(2))
    read = empty.opened(parse(grown.bytes))
    assert read.order == grown.order
    assert [(b.radius, b.owners) for b in read.balls] == [(b.radius, b.owners) for b in grown.balls]
    assert read.hash == grown.hash


@pytest.fixture
def paper(taught, tok):
    """Editors that follow the paper, detached when the test is over."""
    made = []

    def build(architecture="llama", model=None, **changes):
        config = GraceConfig.paper(**changes)
        editor = make_editor("grace", model or taught(architecture), tok, config=config)
        made.append(editor)
        return editor

    yield build
    for editor in made:
        editor.detach()


def target(tok, request):
    return tok(request.target)["input_ids"] + [0]


@pytest.mark.parametrize("replacement", ["replace_last", "replace_prompt", "replace_all"])
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_edits_answer_and_others_keep_their_bits(architecture, replacement, paper, taught, tok, requests_):
    """Alone, in a padded batch, with cache and without; a row that no ball answers is the base, bit for bit."""
    model = taught(architecture)
    before, base = logits(model, tok, [OTHER]), logits(model, tok, [requests_[0].prompt])
    editor = paper(architecture, replacement=replacement)
    receipts = editor.write(requests_)
    assert [r.status for r in receipts] == ["written"] * 4, receipts
    prompts = [r.prompt for r in requests_]
    wanted = [target(tok, r) for r in requests_]

    assert generate(model, tok, prompts) == wanted
    assert [generate(model, tok, [p])[0] for p in prompts] == wanted
    assert generate(model, tok, prompts, use_cache=False) == wanted
    assert generate(model, tok, [*prompts, OTHER])[:4] == wanted
    assert [route.edit_id for route in editor.probe([*prompts, OTHER])] == ["e0", "e1", "e2", "e3", None]
    assert torch.equal(logits(model, tok, [OTHER]), before)
    editor.delete([r.id for r in requests_])
    assert not editor.edits()
    assert torch.equal(logits(model, tok, prompts[:1]), base)
    assert editor.status().state == "empty"


def test_the_value_replaces_the_layers_output(paper, taught, tok, requests_):
    """What leaves the layer at the prompt's last token is the value itself; other tokens' outputs stay."""
    model, seen = taught("llama"), []
    editor = paper()
    editor.write(requests_[:1])
    handle = model.model.layers[editor.layer].mlp.down_proj.register_forward_hook(
        lambda _m, _a, out: seen.append(out.detach())
    )
    logits(model, tok, [requests_[0].prompt])
    with editor.silence():
        logits(model, tok, [requests_[0].prompt])
    handle.remove()

    edited, base = seen
    assert torch.equal(edited[0, -1], torch.from_numpy(editor.state.edits[0].value))
    assert torch.equal(edited[0, :-1], base[0, :-1])


def test_explain_names_the_edit(paper, taught, tok, requests_):
    """The route of each row of the last request."""
    editor = paper()
    editor.write(requests_)
    generate(taught("llama"), tok, [requests_[1].prompt, OTHER])
    assert [route.edit_id for route in editor.explain()] == ["e1", None]
    assert editor.explain()[0].distance < 1e-3


def test_a_scope_hides_an_edit(paper, taught, tok, requests_):
    """Row by row, as in the default mode."""
    from dataclasses import replace

    editor, model = paper(), taught("llama")
    editor.write([replace(requests_[0], scope=Scope(user="u"))])
    prompt = requests_[0].prompt
    with editor.request(scopes=[Scope(user="u"), Scope(user="v")]):
        mine, theirs = generate(model, tok, [prompt, prompt])
    assert mine == target(tok, requests_[0])
    assert theirs != mine


WIDE = {"eps_init": 1e4}  # every prompt lies within every ball's reach: all rules come into play


def crowd():
    """Two towns for six people: expansions and splits at any radius."""
    return [
        EditRequest(tiny.HOME[0].format(name), f"{tiny.TOWNS[(i % 2) + 3]}.", id=f"x{9 - i}")
        for i, name in enumerate(tiny.NAMES[:6])
    ]


def test_delete_undoes_write_whatever_the_rules_did(paper):
    """Splits leave scars, so the rest is replayed: the hash is that of a stream without the deleted edit."""
    editor, without = paper(**WIDE), paper(**WIDE)
    stream_ = crowd()
    receipts = editor.write(stream_)
    stored = [request for request, receipt in zip(stream_, receipts, strict=True) if receipt.ok]
    assert len({r.reason.split(":")[0] for r in receipts}) > 1
    full = editor.state_hash()
    held = editor.state.order
    assert held == tuple(r.id for r in stored)

    gone = stored[1]
    editor.delete([gone.id])
    without.write([r for r in stored if r.id != gone.id])
    assert editor.state.order == without.state.order
    assert editor.state_hash() == without.state_hash()
    assert [b.radius for b in editor.state.balls] == [b.radius for b in without.state.balls]
    editor.write([gone])
    assert editor.state_hash() != full  # it comes last now: the order is part of the paper's state
    editor.delete([gone.id])
    assert editor.state_hash() == without.state_hash()


def test_save_and_load(paper, tmp_path, taught, tok, requests_):
    """The same balls, values and answers; and a pack of one algorithm does not load into the other."""
    editor, other = paper(**WIDE), paper(**WIDE)
    editor.write(crowd())
    digest = editor.save(tmp_path / "paper.safetensors")
    other.load(tmp_path / "paper.safetensors")
    assert other.state_hash() == digest == editor.state_hash()
    assert [b.radius for b in other.state.balls] == [b.radius for b in editor.state.balls]

    late = make_editor("grace", taught("llama"), tok)
    with pytest.raises(PackMismatch):
        late.load(tmp_path / "paper.safetensors")
    with pytest.raises(PackMismatch):
        paper(eps_init=2.0).load(tmp_path / "paper.safetensors")
    with pytest.raises(EditError):
        drop(tmp_path / "paper.safetensors", [editor.state.order[0]])


def test_a_shadow_commits_or_leaves_nothing(paper, requests_):
    """What is written in a shadow joins the stream on commit, after what came meanwhile."""
    editor, plain = paper(), paper()
    editor.write(requests_[:1])
    before = editor.state_hash()
    with editor.shadow():
        editor.write(requests_[1:2])
    assert editor.state_hash() == before
    with editor.shadow() as shadow:
        editor.write(requests_[1:2])
        shadow.commit()
    plain.write(requests_[:2])
    assert editor.state_hash() == plain.state_hash()


def test_a_conflicting_edit_is_refused(paper, requests_):
    """The same prompt with another target: told so, and the first one stays."""
    editor = paper()
    editor.write(requests_[:1])
    before = editor.state_hash()
    (receipt,) = editor.write([EditRequest(requests_[0].prompt, "Cairo.", id="c")])
    assert receipt.status == "failed"
    assert "e0" in receipt.reason
    assert editor.state_hash() == before


def test_options_by_name_and_errors(taught, tok):
    """The options may be given one by one; a layer that cannot be edited is refused."""
    options = GraceConfig.paper().model_dump()
    assert options["eps_init"] == 1.0
    assert make_editor("grace", taught("llama"), tok, **options).status().details["algorithm"] == "paper"
    with pytest.raises(InvalidArgument) as first:
        make_editor("grace", taught("llama"), tok, config=GraceConfig.paper(value_layer=2))
    assert first.value.hint
    with pytest.raises(InvalidArgument):
        GraceConfig.paper(eps_init=0)
    space = make_editor("grace", taught("llama"), tok, config=GraceConfig.paper()).calibrate()
    assert space.projection.shape[1] == 0  # nothing is projected


def test_writing_leaves_the_model_as_it_was(paper, taught, tok, requests_):
    """No parameter, no training flag and no gradient changes; train() and eval() do not change the state."""
    model = taught("llama")
    weights = {name: p.detach().clone() for name, p in model.named_parameters()}
    editor = paper()
    editor.write(requests_[:2])
    state = editor.state_hash()
    model.train()
    logits(model, tok, [OTHER])
    model.eval()
    assert editor.state_hash() == state
    assert all(torch.equal(p, weights[name]) and p.grad is None for name, p in model.named_parameters())


def test_a_model_without_a_projection_is_edited_block_by_block(taught, tok, requests_):
    """Fused mixtures of experts: the whole block's output is replaced, and the first block is refused."""
    model = taught("mixtral")
    editor = make_editor("grace", model, tok, config=GraceConfig.paper())
    receipts = editor.write(requests_[:2])
    assert all(receipt.ok for receipt in receipts), receipts
    assert "projection" not in str(editor.status().details["key_site"])
    assert generate(model, tok, [r.prompt for r in requests_[:2]]) == [target(tok, r) for r in requests_[:2]]
    editor.detach()
    with pytest.raises(InvalidArgument):
        make_editor("grace", model, tok, config=GraceConfig.paper(value_layer=0))


def test_a_teacher_forced_answer_follows_the_edit(paper, taught, tok, requests_):
    """Scoring a whole conversation asks at the same token as generating does (the official code loses it)."""
    editor, model = paper(), taught("llama")
    editor.write(requests_)
    pair = editor.renderer.pair(requests_[2].prompt, requests_[2].target)
    row = torch.tensor([pair.prompt + pair.labels])
    with torch.no_grad():
        said = model(input_ids=row).logits[0, len(pair.prompt) - 1 : -1].argmax(-1)
    assert tuple(said.tolist()) == pair.labels
