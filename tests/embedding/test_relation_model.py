"""The learned reader of two statements that comes with agentmem."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from agentmem.embedding.relation_model import RELATIONS, RelationModel, packaged_relations
from agentmem.errors import EmbedderError

PLAIN = [
    ("We page through PagerDuty", "PagerDuty is cancelled, since Monday we page through Opsgenie"),
    ("My landlord is Mr Petrakis", "My sister's landlord is Mrs Lowe"),
    ("My landlord is Mr Petrakis", "Mr Petrakis sold the house, Mrs Lowe is our landlord now"),
    ("The rent is 900 a month", "What should I cook tonight?"),
]


@pytest.fixture(scope="module", params=["onnx", "numpy"])
def model(request: pytest.FixtureRequest) -> RelationModel:
    return RelationModel(backend=request.param)


def test_each_pair_gets_a_chance_for_each_relation(model: RelationModel) -> None:
    found = model.between(PLAIN)

    assert found.shape == (4, len(RELATIONS))
    assert found.sum(axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    assert (found >= 0).all()


def test_no_pairs_are_no_chances(model: RelationModel) -> None:
    assert model.between([]).shape == (0, len(RELATIONS))
    assert model.replaced([]) == []


def test_plain_replacements_are_told_from_what_is_apart(model: RelationModel) -> None:
    first, sister, second, cook = model.replaced(PLAIN)

    assert min(first, second) >= model.marks > max(sister, cook)


def test_a_pair_is_read_alike_alone_and_beside_others(model: RelationModel) -> None:
    """Longer neighbours, and more than fit into one reading, change no chance."""
    pairs = [*PLAIN, *PLAIN, ("word " * 90, "Linz " * 90), *PLAIN]
    together = model.between(pairs)

    assert together == pytest.approx(np.concatenate([model.between([pair]) for pair in pairs]), abs=1e-4)


@pytest.mark.parametrize("text", ["", " ", "😀" * 400, "家は東京です"])
def test_any_text_can_be_read(model: RelationModel, text: str) -> None:
    assert np.isfinite(model.between([(text, "I moved to Linz."), ("I live in Graz.", text), (text, text)])).all()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "relations.safetensors").write_bytes(packaged_relations().read_bytes()[:1000])

    with pytest.raises(EmbedderError, match="cannot be read") as caught:
        RelationModel(tmp_path / "relations.safetensors").between(PLAIN)

    assert "reinstall" in caught.value.hint


def test_reading_needs_no_torch() -> None:
    """Neither torch nor sentence-transformers is imported for it."""
    script = (
        "import sys; from agentmem.embedding.relation_model import RelationModel; "
        "RelationModel().between([('a', 'b')]); assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
