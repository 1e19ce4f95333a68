"""The conformance suite finds what is wrong: each broken editor fails the test of the promise that it breaks."""

from __future__ import annotations

import copy
import uuid
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from unittest import SkipTest

import pytest
import tiny
import torch

from agentmem.editors.grace.editor import GraceEditor
from agentmem.notes.edit import EditRequest
from agentmem.notes.note import Scope
from agentmem.testing import EditorConformance


class ForgetsNothing(GraceEditor):
    def delete(self, ids):
        return list(ids)


class WritesByHalves(GraceEditor):
    def write(self, requests):
        return [super(WritesByHalves, self).write([request])[0] for request in requests]


class NamesAtRandom(GraceEditor):
    def write(self, requests):
        return super().write([r if r.id else replace(r, id=uuid.uuid4().hex) for r in requests])


class MixesUsersUp(GraceEditor):
    def request(self, scope=None, scopes=None):
        return super().request(scope=Scope(user="ana"))


class LeavesAHook(GraceEditor):
    def detach(self):
        super().detach()
        if not self.port.model._forward_hooks:
            self.port.model.register_forward_hook(lambda module, args, output: None)


class NeverSilent(GraceEditor):
    def silence(self):
        return nullcontext()


class TouchesWeights(GraceEditor):
    def write(self, requests):
        with torch.no_grad():
            next(self.port.model.parameters()).mul_(1.0001)
        return super().write(requests)


class LeavesGradients(GraceEditor):
    def write(self, requests):
        parameter = next(self.port.model.parameters())
        parameter.grad = torch.zeros_like(parameter)
        return super().write(requests)


class LearnsFromProbes(GraceEditor):
    def probe(self, prompts, scope=None):
        found = super().probe(prompts, scope)
        if len(self.edits()) > 1:
            self.delete([self.edits()[0].id])
        return found


class KeepsShadows(GraceEditor):
    @contextmanager
    def shadow(self):
        with super().shadow() as shadow:
            try:
                yield shadow
            finally:
                shadow.commit()


class LoadsAnything(GraceEditor):
    def _check(self, pack):
        """Not a look."""


class ForgetsScopesOfPacks(GraceEditor):
    def edits(self):
        return tuple(replace(edit, note_id=None) for edit in super().edits())


class EditsWhatNobodyAsked(GraceEditor):
    def __init__(self, model, tokenizer, **options):
        super().__init__(model, tokenizer, **options)
        model.model.layers[1].register_forward_hook(self._scale)

    def _scale(self, module, args, output):
        return output if self._session.get().silent else output * (1 + 1e-3 * len(self.edits()))


class RemembersTheOrder(GraceEditor):
    def write(self, requests):
        self.told = [*getattr(self, "told", []), *(request.id for request in requests)]
        return super().write(requests)

    def state_hash(self):
        return super().state_hash() + "".join(getattr(self, "told", []))


BROKEN = {
    ForgetsNothing: "test_deleting_undoes_writing_exactly",
    WritesByHalves: "test_bad_input_is_refused_with_a_hint_and_changes_nothing",
    NamesAtRandom: "test_ids_are_stable_and_writing_again_changes_nothing",
    MixesUsersUp: "test_scopes_hold_row_by_row",
    LeavesAHook: "test_without_edits_the_model_is_its_base",
    NeverSilent: "test_without_edits_the_model_is_its_base",
    TouchesWeights: "test_parameters_are_untouched",
    LeavesGradients: "test_parameters_are_untouched",
    LearnsFromProbes: "test_reading_never_writes",
    KeepsShadows: "test_a_shadow_is_private_and_dropped",
    LoadsAnything: "test_a_pack_of_another_base_is_refused",
    ForgetsScopesOfPacks: "test_what_is_written_is_listed_and_said",
    EditsWhatNobodyAsked: "test_a_prompt_of_nobody_keeps_its_bits",
    RemembersTheOrder: "test_order_of_writing_makes_no_difference",
}


@pytest.fixture
def suite_of(taught, tok, background, calibrations):
    """A conformance suite over one class of editors, on a model of its own."""

    def get(editor_class, **said):
        model = copy.deepcopy(taught("llama"))

        class Suite(EditorConformance):
            facts = tuple(
                EditRequest(
                    tiny.HOME[0].format(n), f"{tiny.TOWNS[(i + 3) % 6]}.", subject=n, id=f"e{i}", note_id=f"n{i}"
                )
                for i, n in enumerate(tiny.NAMES[:3])
            )
            unrelated = "What pet has Lea?"

            def model(self):
                return model, tok

            def make(self, model, tokenizer):
                known = calibrations.get("llama")
                editor = editor_class(model, tokenizer, background=background, calibration=known)
                calibrations.setdefault("llama", editor.calibrate())
                return editor

        for name, value in said.items():
            setattr(Suite, name, value)
        return Suite

    return get


def run(kind, name):
    """What a runner of tests does."""
    kind.setup_class()
    suite = kind()
    try:
        suite.setup_method(getattr(suite, name))
        getattr(suite, name)()
    finally:
        suite.teardown_method()
        kind.teardown_class()


@pytest.mark.parametrize("broken", BROKEN, ids=lambda kind: kind.__name__)
def test_a_broken_promise_fails_its_test(broken, suite_of):
    """The sound editor passes the very test that the broken one fails."""
    run(suite_of(GraceEditor), BROKEN[broken])
    with pytest.raises(AssertionError):
        run(suite_of(broken), BROKEN[broken])


def test_limits_skip_with_their_reason_and_must_name_tests(suite_of):
    """A declared limit is a skip that says why; one that names no test is an error, not a silent hole."""
    name = "test_reading_never_writes"
    with pytest.raises(SkipTest, match="it does"):
        run(suite_of(LearnsFromProbes, limits={name: "by its nature, it does"}), name)
    with pytest.raises(AssertionError, match="test_reading"):
        run(suite_of(GraceEditor, limits={"test_reading": "a slip"}), name)
    with pytest.raises(SkipTest, match="does not promise"):
        run(suite_of(RemembersTheOrder, order_free=False), "test_order_of_writing_makes_no_difference")


def test_the_suite_needs_no_pytest():
    """Importing agentmem imports no suite, and importing the suite no pytest."""
    import subprocess
    import sys

    code = (
        "import sys, agentmem; assert 'agentmem.testing' not in sys.modules\n"
        "sys.modules['pytest'] = None\n"
        "from agentmem.testing import EditorConformance"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
