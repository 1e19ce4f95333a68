"""What every editor takes from one place: which class serves the options, and that a shadow's commit is what was verified."""

from __future__ import annotations

import pytest
import tiny

from agentmem.editors import EditRequest, GraceConfig, WiseConfig, make_editor
from agentmem.editors.grace.editor import GraceEditor
from agentmem.editors.published.grace.editor import PublishedGraceEditor
from agentmem.editors.published.wise.editor import PublishedWiseEditor
from agentmem.editors.tiers.editor import TieredEditor
from agentmem.editors.wise.editor import WiseEditor
from agentmem.errors import InvalidArgument

WISE = {"layer": 2}


@pytest.mark.parametrize(
    ("method", "options", "kind"),
    [
        ("grace", {}, GraceEditor),
        ("grace", {"config": GraceConfig(steps=5)}, GraceEditor),
        ("grace", {"config": GraceConfig.paper()}, PublishedGraceEditor),
        ("grace", {"algorithm": "paper"}, PublishedGraceEditor),
        ("wise", WISE, WiseEditor),
        ("wise", WISE | {"gate": "both"}, PublishedWiseEditor),
        ("wise", WISE | {"margin_weight": 1.0}, PublishedWiseEditor),
        ("wise", {"config": WiseConfig.paper(**WISE)}, PublishedWiseEditor),
    ],
)
def test_the_options_say_which_algorithm_is_built(method, options, kind, taught, tok, background):
    """By name or in one value; a constructor gives an editor of its own class, and of no other."""
    assert type(make_editor(method, taught("llama"), tok, background=background, **options)) is kind
    assert type(kind(taught("llama"), tok, background=background, **options)) is kind


def test_both_tiers_take_what_their_methods_take(taught, tok, background):
    """The published gate as the bulk tier's, and an option that no method has."""
    editor = TieredEditor(taught("llama"), tok, background=background, settled=WISE | {"gate": "activation"})
    assert type(editor.settled) is PublishedWiseEditor
    with pytest.raises(InvalidArgument, match="steep"):
        TieredEditor(taught("llama"), tok, background=background, steep=3)


def test_an_editor_that_hears_nothing_refuses_the_gate_that_listens(taught, tok, background):
    """Rather than to let keys alone decide in silence."""
    with pytest.raises(InvalidArgument) as refused:
        WiseEditor(taught("llama"), tok, background=background, gate="activation", **WISE)
    assert "make_editor" in refused.value.hint


def test_another_methods_configuration_is_refused(taught, tok):
    """So is what is none at all; the cure names the right one."""
    for wrong in (WiseConfig(), {"steps": 5}):
        with pytest.raises(InvalidArgument) as refused:
            make_editor("grace", taught("llama"), tok, config=wrong)
        assert "GraceConfig" in refused.value.hint


def test_what_is_committed_is_what_was_verified(taught, tok):
    """The published rules depend on the order of a stream: an edit that joins another's ball changes that one as well."""
    config = GraceConfig.paper(value_layer=1, eps_init=1e4, steps=60)
    editor = make_editor("grace", taught("llama"), tok, config=config)
    asked = [(tiny.HOME[0].format(name), town) for name, town in (("Ana", "Lima."), ("Bo", "Cairo."), ("Ana", "Lima."))]
    told = [EditRequest(prompt, target, id=f"x{i}") for i, (prompt, target) in enumerate(asked)]
    editor.write(told[:2])
    with editor.shadow() as shadow:
        (receipt,) = editor.write(told[2:])
        verified = editor.state_hash()
        shadow.commit()
    editor.detach()

    assert "shares the value of x0" in receipt.reason
    assert editor.state_hash() == verified
