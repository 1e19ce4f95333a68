"""A second look at the first hits: what a reranker says joins the score, and what it may not say is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from agentmem import Memory, Settings
from agentmem.embedding.cross_encoder import CrossEncoderReranker
from agentmem.errors import EmbedderError
from agentmem.notes.clock import ManualClock
from agentmem.settings import RecallSettings

NOTES = (
    "Ana lives in Porto.",
    "Where does Ana live?",
    "Ana's sister lives in Bergen.",
    "The cello stands in Ana's room.",
)
QUERY = "Where does Ana live?"


class Judge:
    """A reranker that likes texts with one word, and remembers what it was shown."""

    def __init__(self, word: str) -> None:
        self.word, self.shown = word, []

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        self.shown.append((query, list(texts)))
        return [float(self.word in text) for text in texts]


@pytest.fixture
def told(memory: Memory) -> Memory:
    memory.remember_many(NOTES, progress=False)
    return memory


def test_its_verdict_is_part_of_the_score_and_of_the_reasons(told: Memory) -> None:
    """The order follows the sum, the sum is that of the reasons, and only as many hits are read as were asked for."""
    plain = told.recall(QUERY, k=2)
    told.reranker = judge = Judge("cello")
    hits = told.recall(QUERY, k=2)
    assert "cello" in hits[0].note.content
    assert "cello" not in plain[0].note.content
    assert hits[0].reasons["reranker"] == 1.0
    for hit in hits:
        assert hit.score == pytest.approx(sum(hit.reasons.values()))
    assert len(hits) == 2
    assert hits.plan["reranked"] == len(judge.shown[0][1]) == len(NOTES)
    told.reranker = None
    assert [h.note.id for h in told.recall(QUERY, k=2)] == [h.note.id for h in plain]


@pytest.mark.parametrize("said", [[0.5], [0.5, 0.5, 0.5, float("nan")], [0.5, 0.5, 0.5, 7.0]])
def test_what_is_no_score_is_refused(told: Memory, said: list[float]) -> None:
    """Too few, not a number, or a bare logit: an error with a cure, not a silent order."""

    class Broken:
        def scores(self, query: str, texts: Sequence[str]) -> list[float]:
            return said

    told.reranker = Broken()
    with pytest.raises(EmbedderError) as error:
        told.recall(QUERY)
    assert "sigmoid" in error.value.hint


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Tiny cross-encoders with random weights, as their files lie on disk."""
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification, set_seed

    from agentmem.embedding.weights_files import packaged_minilm

    def build(outputs: int) -> Path:
        set_seed(3)
        path = tmp_path_factory.mktemp("encoder")
        tokenizer = AutoTokenizer.from_pretrained(packaged_minilm())
        config = BertConfig(
            vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
            max_position_embeddings=128, num_labels=outputs,
        )  # fmt: skip
        BertForSequenceClassification(config).save_pretrained(path)
        tokenizer.save_pretrained(path)
        return path

    return build


def test_a_cross_encoder_by_path(on_disk: Callable[[int], Path]) -> None:
    """Loaded at the first query; the same pair gets the same score, in whatever company; scores are shares."""
    path = on_disk(1)
    reranker = CrossEncoderReranker(path)
    both = reranker.scores(QUERY, list(NOTES))
    assert all(0.0 <= score <= 1.0 for score in both)
    assert len(set(both)) > 1
    assert reranker.scores(QUERY, [NOTES[2]])[0] == pytest.approx(both[2], abs=1e-5)
    assert reranker.scores(QUERY, []) == []

    settings = Settings(recall=RecallSettings(reranker=str(path), rerank=3))
    with Memory(None, embedder="hash", clock=ManualClock(), settings=settings) as memory:
        memory.remember_many(NOTES, progress=False)
        found = memory.recall(QUERY, k=2)
        assert found.plan["reranked"] == 3
        assert all("reranker" in hit.reasons for hit in found)


def test_a_model_that_is_not_there_or_is_no_reranker(on_disk: Callable[[int], Path], told: Memory) -> None:
    """Said when it is named, or when it is loaded; recall without it goes on."""
    with pytest.raises(EmbedderError) as missing:
        told.reranker = "nobody/has-this-model"
    assert missing.value.hint
    told.reranker = str(on_disk(3))
    with pytest.raises(EmbedderError) as wrong:
        told.recall(QUERY)
    assert "3 outputs" in str(wrong.value)
    told.reranker = None
    assert told.recall(QUERY)
