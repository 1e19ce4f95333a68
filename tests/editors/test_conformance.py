"""Every registered editor keeps the promises of :mod:`agentmem.testing`; what a method cannot keep is said why."""

from __future__ import annotations

from typing import ClassVar

import pytest
import tiny

from agentmem.editors import EditRequest, available_editors, make_editor
from agentmem.testing import EditorConformance

WHOLE = "no gate: the change is to the projection itself, so every prompt of the scope passes through it"
TOGETHER = "one adapter holds all facts: a gradient says nothing about whose they are"


class OnTaughtModel(EditorConformance):
    """A tiny model that was taught some facts; the first three people move."""

    method = ""
    architecture = "llama"
    options: ClassVar[dict[str, object]] = {}
    facts = tuple(
        EditRequest(
            tiny.HOME[0].format(name),
            f"{tiny.TOWNS[(i + 3) % 6]}.",
            subject=name,
            id=f"e{i}",
            note_id=f"n{i}",
        )
        for i, name in enumerate(tiny.NAMES[:3])
    )
    unrelated = "What pet has Lea?"

    @pytest.fixture(autouse=True)
    def parts(self, taught, tok, background, calibrations):
        self.taught, self.tok, self.background, self.calibrations = taught, tok, background, calibrations

    def model(self):
        return self.taught(self.architecture), self.tok

    def make(self, model, tokenizer):
        return make_editor(self.method, model, tokenizer, **self.options)


class Gated(OnTaughtModel):
    """Editors behind a codebook of keys; the key space is found once per model."""

    def make(self, model, tokenizer):
        own = model is self.taught(self.architecture)
        known = self.calibrations.get(self.architecture) if own else None
        editor = make_editor(
            self.method, model, tokenizer, background=self.background, calibration=known, **self.options
        )
        if own:
            self.calibrations[self.architecture] = editor.calibrate()
        return editor


class TestGrace(Gated):
    method = "grace"


class TestGraceOnGpt2(Gated):
    method, architecture = "grace", "gpt2"


class TestGraceOnOpt(Gated):
    method, architecture = "grace", "opt"


class TestGraceOnMixtureOfExperts(Gated):
    method, architecture = "grace", "qwen2_moe"


class TestWise(Gated):
    method = "wise"


@pytest.mark.slow
class TestTiered(Gated):
    """Facts that stay in the first tier, which is GRACE; the default tier has those that moved on."""

    method = "tiered"


class TestTieredSettled(Gated):
    """The same promises when every fact has moved into a shard."""

    method = "tiered"

    def make(self, model, tokenizer):
        editor = super().make(model, tokenizer)
        write = editor.write

        def write_and_settle(requests):
            before = editor.dump()
            try:
                receipts = write(requests)
                moved = {r.id: r for r in editor.settle([r.id for r in editor.fresh.edits()])}
            except BaseException:
                editor.load(before)
                raise
            return [moved.get(r.id, r) if r.ok else r for r in receipts]

        editor.write = write_and_settle
        return editor


class ClosedForm(OnTaughtModel):
    """ROME and its kin need a layer that reads the question, and some above it that read the subject."""

    options: ClassVar = {"layer": 0, "prefixes": 0, "essence": 2, "steps": 60, "tokens": 1500}
    limits: ClassVar = {"test_a_prompt_of_nobody_keeps_its_bits": WHOLE}

    @pytest.fixture(autouse=True)
    def deeper(self, deep):
        self.deep = deep

    def model(self):
        return self.deep, self.tok

    def make(self, model, tokenizer):
        return make_editor(self.method, model, tokenizer, background=self.background, **self.options)


class TestRome(ClosedForm):
    method = "rome"


class TestEmmet(ClosedForm):
    method = "emmet"


class TestMemit(ClosedForm):
    method = "memit"
    options: ClassVar = ClosedForm.options | {"ridge": 0.001}


class TestLora(OnTaughtModel):
    method = "lora"
    options: ClassVar = {"rank": 4, "epochs": 40, "lr": 0.02}
    limits: ClassVar = {
        "test_a_prompt_of_nobody_keeps_its_bits": WHOLE,
        "test_scopes_hold_row_by_row": f"{TOGETHER}; a scoped fact is refused by receipt",
        "test_probe_and_explain_name_the_edit": TOGETHER,
    }


def test_every_registered_editor_is_here():
    """A new method without a class above would be a method without promises."""
    kinds = (TestEmmet, TestGrace, TestLora, TestMemit, TestRome, TestTiered, TestWise)
    assert tuple(sorted(kind.method for kind in kinds)) == available_editors()


@pytest.mark.slow
class TestGraceOnTheShippedModel(EditorConformance):
    """The suite as a third party meets it: only :meth:`make` is said; the key space is found once, to save time."""

    calibration = None

    def make(self, model, tokenizer):
        editor = make_editor("grace", model, tokenizer, calibration=self.calibration)
        type(self).calibration = type(self).calibration or editor.calibrate()
        return editor
