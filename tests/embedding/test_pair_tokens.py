"""Two texts read together: the same states whatever computes them, and words that the vocabulary does not know."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agentmem.embedding.minilm import MiniLM
from agentmem.embedding.onnx_pairs import OnnxPairs
from agentmem.embedding.pair_tokens import PairTokens
from agentmem.embedding.weights_files import packaged_minilm

PAIRS = [
    ("Where does Ana live?", "in which town is Ana at home"),
    ("Who?", "A question of many more words than the one beside it, so that it is padded"),
]


@pytest.fixture(scope="module")
def changes() -> dict[str, np.ndarray]:
    """Something that training might have added."""
    rng = np.random.default_rng(3)
    return {
        "encoder.layer.2.attention.self.query.weight": rng.normal(0, 0.02, (384, 384)).astype(np.float32),
        "encoder.layer.5.output.LayerNorm.bias": rng.normal(0, 0.1, 384).astype(np.float32),
    }


@pytest.mark.parametrize(("precision", "off"), [("fp32", 1e-5), ("int8", 0.045)])
def test_the_graph_gives_the_states_of_the_plain_encoder(
    changes: dict[str, np.ndarray], tmp_path: Path, precision: str, off: float
) -> None:
    path, tokens = packaged_minilm(), PairTokens(packaged_minilm(), 128).of(PAIRS)
    graph = OnnxPairs(path, lambda: changes, "test", precision=precision, cache=tmp_path)

    states = MiniLM(path, changes).states(*tokens)
    apart = lambda others: np.abs(others - states)[tokens.real].mean()  # noqa: E731

    assert apart(graph.states(*tokens)) < off
    assert apart(MiniLM(path).states(*tokens)) > 0.05, "the changes tell"


def test_other_changes_are_another_graph(changes: dict[str, np.ndarray], tmp_path: Path) -> None:
    for made_of in ("one", "other", "one"):
        OnnxPairs(packaged_minilm(), lambda: changes, made_of, cache=tmp_path)

    assert len(list(tmp_path.glob("pairs-fp32-*.onnx"))) == 2


def test_what_the_vocabulary_does_not_know_is_told_apart_and_known_again() -> None:
    pair = ("赵晓燕的生日", "晓燕 😀 Zoë 😀")
    plain, telling = (PairTokens(packaged_minilm(), 128, tells_unknown=way).of([pair]) for way in (False, True))
    unknown = plain.ids[0] == plain.ids[0][1]
    ids = telling.ids[0][unknown].tolist()

    assert ids[:3] == [ids[0], *ids[3:5]], "the name is the name again"
    assert len(set(ids)) == 4
    assert ids[5] == ids[6], "and a sign that was no letter"
    assert np.array_equal(plain.ids[0][~unknown], telling.ids[0][~unknown])
    assert not np.isin(ids, plain.ids).any()
