"""A fact leaves no trace: whatever was written beside it, the state without it is the one in which it never was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
import tiny
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentmem.editors import EditRequest, lanes, make_editor, packs
from agentmem.editors.background import background_groups
from agentmem.editors.gate import intake
from agentmem.editors.grace import writer
from agentmem.editors.port import ModelPort
from agentmem.editors.prompts import Renderer
from agentmem.editors.tiers import pack as tiers
from agentmem.evaluation.world import World
from agentmem.evaluation.world import answer as as_answer
from agentmem.llm.small_model import load_small_model

LEADS = ("Tell me: {}", "I forgot: {}", "Say, {}", "A question: {}")
FAST = settings(
    max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
LONG = settings(FAST, max_examples=60)


def ways(forms: Sequence[str], name: str) -> list[str]:
    """Everything that the strategy may ask about a subject in one relation."""
    plain = [form.format(name) for form in forms]
    return [*plain, *(lead.format(text) for lead in LEADS for text in plain)]


@st.composite
def facts(draw: Any) -> EditRequest:
    """A fact about one of a few people, with 0 to 6 paraphrases, in words of any of them."""
    name = draw(st.sampled_from(tiny.NAMES[:5]))
    home = draw(st.booleans())
    asked = ways(tiny.HOME if home else tiny.PET, name)
    prompt = draw(st.sampled_from(asked))
    others = draw(st.lists(st.sampled_from(asked), max_size=6, unique=True))
    target = draw(st.sampled_from(tiny.TOWNS)) if home else f"A {draw(st.sampled_from(tiny.PETS))}"
    return EditRequest(prompt, f"{target}.", subject=draw(st.sampled_from([name, None])), paraphrases=tuple(others))


@st.composite
def histories(draw: Any) -> tuple[list[list[EditRequest]], list[int]]:
    """Facts in batches, near-duplicates among them, and which of them are deleted in the end."""
    drawn = draw(st.lists(facts(), min_size=2, max_size=6))
    drawn += [replace(fact, paraphrases=fact.paraphrases[1:]) for fact in drawn[: draw(st.integers(0, 2))]]
    named = [replace(fact, id=f"e{i}") for i, fact in enumerate(drawn)]
    order = draw(st.permutations(named))
    cuts = sorted(draw(st.sets(st.integers(1, len(order) - 1), max_size=3)))
    batches = [list(order[a:b]) for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True)]
    return batches, draw(st.lists(st.integers(0, len(order) - 1), min_size=1, max_size=3, unique=True))


def after(editor: Any, batches: Sequence[Sequence[EditRequest]]) -> list[EditRequest]:
    """Write batch by batch; what the editor took, in the order in which it came."""
    return [
        request for batch in batches for request, receipt in zip(batch, editor.write(batch), strict=True) if receipt.ok
    ]


def traces(make: Any, history: tuple[list[list[EditRequest]], list[int]]) -> str:
    """What a history of writes and deletions leaves behind, against writing what stays at once; empty for nothing."""
    batches, gone = history
    editor, other = make(), make()
    held = after(editor, batches)
    leaving = [str(held[i % len(held)].id) for i in gone] if held else []
    drop = tiers.drop if editor.method == "tiered" else packs.drop
    pack = drop(editor.dump(), leaving)
    editor.delete(leaving)
    stays = [request for request in held if request.id not in leaving]
    assert [request.id for request in after(other, [stays] if stays else [])] == [request.id for request in stays]
    if editor.state_hash() != other.state_hash() or editor.dump() != other.dump():
        return "the state after the deletion"
    return "" if pack == other.dump() else "the pack without the deleted"


@pytest.fixture
def editors(taught, tok, background, calibrations):
    """Makes editors of a method on a taught model; those made are detached in the end."""
    made: list[Any] = []

    def maker(method: str, architecture: str = "llama", **options: Any) -> Any:
        def make() -> Any:
            editor = make_editor(
                method,
                taught(architecture),
                tok,
                background=background,
                calibration=calibrations.get(architecture),
                **options,
            )
            calibrations[architecture] = editor.calibrate()
            made.append(editor)
            return editor

        return make

    yield maker
    for editor in made:
        editor.detach()


@FAST
@given(history=histories())
def test_grace_forgets_without_a_trace(editors, history):
    """delete(write(S + x)) == write(S), by hash and by bytes, however S came in."""
    assert traces(editors("grace"), history) == ""


@settings(FAST, max_examples=2)
@given(history=histories())
def test_tiers_forget_without_a_trace(editors, history):
    """The same for two tiers whose facts are all in the first."""
    assert traces(editors("tiered"), history) == ""


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["gpt2", "gemma2", "qwen2_moe", "gpt_neox"])
@LONG
@given(history=histories())
def test_grace_forgets_without_a_trace_on_other_architectures(editors, architecture, history):
    """The same with learned positions, sliding windows, and experts that see their tokens in company."""
    assert traces(editors("grace", architecture), history) == ""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["grace", "tiered"])
@LONG
@given(history=histories())
def test_many_histories_leave_no_trace(editors, method, history):
    """The same, oftener."""
    assert traces(editors(method), history) == ""


def settled(editor: Any, batches: Sequence[Sequence[EditRequest]]) -> set[str]:
    """Write batch by batch and move everything into shards; the ids of what is there."""
    for batch in batches:
        editor.write(batch)
        editor.settle([str(request.id) for request in editor.fresh.edits()])
    return {str(request.id) for request in editor.edits()}


@settings(FAST, max_examples=2)
@given(history=histories())
def test_shards_forget_without_a_trace(editors, history):
    """The same for facts that have moved into shards, as far as the shards can hold all of them."""
    shards_forget(editors("tiered"), history)


@pytest.mark.slow
@settings(LONG, max_examples=20)
@given(history=histories())
def test_shards_forget_without_a_trace_in_many_histories(editors, history):
    """The same, oftener."""
    shards_forget(editors("tiered"), history)


def shards_forget(make: Any, history: tuple[list[list[EditRequest]], list[int]]) -> None:
    """Where the same facts end in the same tiers, the states are the same."""
    batches, gone = history
    editor, other = make(), make()
    held = sorted(settled(editor, batches))
    leaving = [held[i % len(held)] for i in gone] if held else []
    editor.delete(leaving)
    places = {id: editor.tier_of(id) for id in held if id not in leaving}
    stays = [request for batch in batches for request in batch if request.id in places]
    if settled(other, [stays] if stays else []) == set(places) and places == {id: other.tier_of(id) for id in places}:
        assert editor.state_hash() == other.state_hash()


@pytest.mark.slow
def test_fifty_facts_with_paraphrases_forget_one_on_the_shipped_model():
    """Fifty facts with three paraphrases each, written at once: without one of them the state is that of the others."""
    model, tok = load_small_model()
    world = World.generate()
    requests = []
    for i, fact in enumerate(Random(1).sample(world.facts, 50)):
        prompt, *others = Random(i).sample(world.questions(fact), 4)
        target = as_answer(world.counterfactual(fact, Random(i)))
        requests.append(EditRequest(prompt, target, fact.subject, tuple(others), id=f"e{i:02}"))
    editor = make_editor("grace", model, tok, background=background_groups()[:300])
    other = make_editor("grace", model, tok, calibration=editor.calibrate())
    try:
        history = ([requests], [7])
        assert traces(iter([editor, other]).__next__, history) == ""
    finally:
        editor.detach()
        other.detach()


@pytest.mark.slow
def test_without_fixed_shapes_company_leaves_a_trace(editors, monkeypatch):
    """The null control: padded to their neighbours and computed together, the same facts come out with other bits."""
    people = [
        EditRequest(way.format(name), f"{tiny.TOWNS[(i + 3) % 6]}.", subject=name, id=f"e{i}{n}",
                    paraphrases=tuple(lead.format(tiny.HOME[2].format(name)) for lead in LEADS[:n]))
        for i, name in enumerate(tiny.NAMES[:6]) for n, way in enumerate(tiny.HOME)
    ]  # fmt: skip

    def together(self: Any, edits: Any) -> Any:
        for count in sorted({len(contexts) for contexts in edits}):
            chosen = [i for i, contexts in enumerate(edits) if len(contexts) == count]
            rows = [context for i in chosen for context in edits[i]]
            own = lanes.PromptBatch(tuple(c.prompt for c in rows), tuple(c.labels for c in rows))
            yield lanes.LaneBatch(tuple(chosen), len(chosen), count, self._port.prefix(own, layer=self._layer))

    def shared(self: Any, prompts: Any) -> Any:
        keys = iter(self.calibration.keys(self.port.keys([p for own in prompts for p in own]).numpy()))
        return [intake.np.stack([next(keys) for _ in own]) for own in prompts]

    histories = [([people], [0]), ([people[:5], people[5:]], [7, 2]), ([[one] for one in people[:6]], [5])]
    make = editors("grace")
    assert [traces(make, history) for history in histories] == ["", "", ""]
    monkeypatch.setattr(writer.Lanes, "batches", together)
    monkeypatch.setattr(intake.Intake, "_keys", shared)
    assert any(traces(make, history) for history in histories)


def test_where_rows_of_a_batch_do_not_agree_edits_are_computed_alone(tok, taught):
    """Kernels that treat the rows of a batch differently are found out, and everybody is given a batch of his own."""
    port = ModelPort(taught("llama"), tok)
    renderer = Renderer(tok)
    jobs = [[renderer.pair(tiny.HOME[0].format(name), "Porto.")] for name in tiny.NAMES[:6]]
    assert {batch.lanes for batch in lanes.Lanes(port, 0, 8).batches(jobs)} == {8}

    def slanted(_module: Any, _args: Any, output: Any) -> Any:
        hidden = output[0] if isinstance(output, tuple) else output
        tilt = 1 + 1e-5 * torch.arange(hidden.shape[0], dtype=hidden.dtype)[:, None, None]
        return (hidden * tilt, *output[1:]) if isinstance(output, tuple) else hidden * tilt

    handle = port.structure.layers[1].register_forward_hook(slanted)
    try:
        port.agreeing.clear()
        found = list(lanes.Lanes(port, 0, 8).batches(jobs))
    finally:
        handle.remove()
    assert [(batch.edits, batch.lanes) for batch in found] == [((i,), 1) for i in range(6)]


def test_routed_experts_are_computed_alone(tok):
    """How many tokens an expert gets at once is the others' affair as well, so nobody shares a batch there."""
    mixed = {
        name: lanes.mixes_rows(tiny.untrained(name, len(tok))) for name in ("llama", "gpt2", "mixtral", "qwen3_moe")
    }
    assert mixed == {"llama": False, "gpt2": False, "mixtral": True, "qwen3_moe": True}
