"""Fixtures: tiny taught models and editors with a few counterfactual facts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

import tiny

from agentmem.editors import EditRequest, make_editor

MAIN = ("llama", "qwen2", "gpt2", "gpt_neox")


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Spinning threads on a shared machine cost more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tok():
    return tiny.tokenizer()


@pytest.fixture(scope="session")
def plain_tok():
    return tiny.tokenizer(chat=False)


@pytest.fixture(scope="session")
def taught(tok):
    """Taught models by architecture, each trained once."""
    made = {}

    def get(architecture):
        if architecture not in made:
            made[architecture] = tiny.taught(architecture, tok)
        return made[architecture]

    get.made = made
    return get


@pytest.fixture(scope="module", autouse=True)
def no_hooks_left(taught):
    """An editor that nobody detached would answer in the next module, too, whichever that is."""
    yield
    for model in taught.made.values():
        for part in model.modules():
            part._forward_hooks.clear()
            part._forward_pre_hooks.clear()


@pytest.fixture(scope="session")
def deep(tok):
    """Four layers: one that reads the question, and enough above it to read the subject later than that."""
    return tiny.taught("llama", tok, steps=160, num_hidden_layers=4, hidden_size=64, head_dim=16)


@pytest.fixture(scope="session")
def requests_():
    """Counterfactual facts: the first four people move."""
    return [
        EditRequest(
            tiny.HOME[0].format(name),
            f"{tiny.TOWNS[(i + 3) % 6]}.",
            subject=name,
            id=f"e{i}",
            note_id=f"n{i}",
        )
        for i, name in enumerate(tiny.NAMES[:4])
    ]


@pytest.fixture(scope="session")
def background():
    """A small background: calibration has its own tests."""
    from agentmem.editors.background import background_groups

    return background_groups()[:80]


@pytest.fixture(scope="session")
def calibrations():
    """Key spaces by architecture: finding them is tested once, not in every test."""
    return {}


@pytest.fixture
def make(taught, tok, background, calibrations):
    """Editors on a taught model, detached when the test is over."""
    made = []

    def build(architecture="llama", model=None, **options):
        key = architecture if model is None else None
        options = {"background": background, "calibration": calibrations.get(key)} | options
        editor = make_editor("grace", model or taught(architecture), tok, **options)
        if key is not None:
            calibrations[key] = editor.calibrate()
        made.append(editor)
        return editor

    yield build
    for editor in made:
        editor.detach()
