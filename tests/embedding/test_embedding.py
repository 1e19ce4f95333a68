"""Embedders: what they promise whatever they wrap, and the packaged MiniLM against its reference."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from agentmem import Memory
from agentmem.embedding import weights_files
from agentmem.embedding.embedders import (
    MINILM_SHA256,
    CachedEmbedder,
    CallableEmbedder,
    CheckedEmbedder,
    HashEmbedder,
    MiniLMEmbedder,
    OnnxEmbedder,
    SentenceTransformerEmbedder,
    make_embedder,
    packaged_minilm,
    verify_minilm,
)
from agentmem.errors import EmbedderError, InvalidArgument, MissingExtra
from agentmem.notes.protocols import Embedder

TEXTS = ["I live in Porto.", "Where do I live?", "My cat eats fish.", "", "naïve café 🙂", "word " * 400]


def lengths(texts: Sequence[str]) -> Any:
    """A function from texts to rows that are not normalised."""
    return [[1.0 + len(t), 2.0, float(t.count("a"))] for t in texts]


EMBEDDERS: dict[str, Callable[[], CachedEmbedder]] = {
    "hash": HashEmbedder,
    "hash-64": lambda: HashEmbedder(64),
    "minilm": MiniLMEmbedder,
    "onnx": OnnxEmbedder,
    "onnx-int8": lambda: OnnxEmbedder(precision="int8"),
    "callable": lambda: CallableEmbedder(lengths),
    "checked": lambda: CheckedEmbedder(HashEmbedder(32)),
}


@pytest.fixture(params=EMBEDDERS, scope="module")
def embedder(request: pytest.FixtureRequest) -> CachedEmbedder:
    return EMBEDDERS[request.param]()


def test_an_embedder_keeps_the_protocol(embedder: CachedEmbedder) -> None:
    assert isinstance(embedder, Embedder)
    assert str(embedder.dimension) in embedder.fingerprint


def test_every_row_is_a_unit_vector(embedder: CachedEmbedder) -> None:
    rows = embedder.embed(TEXTS)

    assert rows.dtype == np.float32
    assert rows.shape == (len(TEXTS), embedder.dimension)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_the_order_of_the_texts_is_the_order_of_the_rows(embedder: CachedEmbedder) -> None:
    one_by_one = np.concatenate([embedder.embed([t]) for t in TEXTS])
    embedder.clear_cache()

    assert np.allclose(embedder.embed(TEXTS[::-1])[::-1], one_by_one, atol=1e-5)


def test_no_text_gives_no_row(embedder: CachedEmbedder) -> None:
    assert embedder.embed([]).shape == (0, embedder.dimension)


def test_a_second_embedder_of_the_same_kind_agrees(embedder: CachedEmbedder, request: pytest.FixtureRequest) -> None:
    other = EMBEDDERS[request.node.callspec.params["embedder"]]()

    assert other.fingerprint == embedder.fingerprint
    assert np.array_equal(other.embed(TEXTS), (embedder.clear_cache(), embedder.embed(TEXTS))[1])


def test_one_text_is_not_a_list_of_letters(embedder: CachedEmbedder) -> None:
    with pytest.raises(InvalidArgument, match="not a list"):
        embedder.embed("hello")


def test_what_is_not_text_is_refused(embedder: CachedEmbedder) -> None:
    with pytest.raises(InvalidArgument, match="Item 1 is int"):
        embedder.embed(["a", 3])  # type: ignore[list-item]


def counting() -> tuple[CallableEmbedder, list[str]]:
    seen: list[str] = []

    def embed(texts: list[str]) -> Any:
        seen.extend(texts)
        return lengths(texts)

    made = CallableEmbedder(embed, cache_size=3, batch_size=2)
    seen.clear()
    return made, seen


def test_the_same_text_is_computed_once() -> None:
    made, seen = counting()
    made.embed(["a", "bb", "a"])
    made.embed(["bb", "a"])

    assert sorted(seen) == ["a", "bb"]


def test_the_cache_keeps_what_was_used_last() -> None:
    made, seen = counting()
    made.embed(["a", "bb", "ccc"])
    made.embed(["a"])
    made.embed(["dddd"])
    seen.clear()
    made.embed(["a", "dddd"])

    assert seen == []


def test_a_discarded_text_leaves_the_cache() -> None:
    made, seen = counting()
    made.embed(["a"])

    assert made.discard(["a", "never seen"]) == 1
    made.embed(["a"])
    assert seen == ["a", "a"]


def test_changing_a_returned_row_does_not_change_the_next() -> None:
    made = HashEmbedder()
    made.embed(["a"])[0][:] = 7

    assert np.isclose(np.linalg.norm(made.embed(["a"])[0]), 1)


def test_progress_is_told_after_every_batch() -> None:
    made, _ = counting()
    seen: list[tuple[int, int]] = []
    made.embed(["a", "bb", "ccc", "dddd", "a"], on_progress=lambda done, total: seen.append((done, total)))

    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (5, 5)


@pytest.mark.parametrize("backend", ["numpy", "onnx"])
def test_a_question_is_embedded_beside_a_long_list(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two computations of one packaged model meet, and the vectors are those of one after the other, bit for bit."""
    alone = make_embedder(None, backend=backend)
    lists = [[f"Text number {n} of {name} is about topic {n * 7}." for n in range(12)] for name in ("one", "other")]
    expected = [alone.embed(texts) for texts in lists]
    made, both = make_embedder(None, backend=backend), threading.Barrier(2, timeout=20)
    encode = type(made)._encode
    monkeypatch.setattr(type(made), "_encode", lambda self, texts: (both.wait(), encode(self, texts))[1])
    with ThreadPoolExecutor(2) as pool:
        vectors = list(pool.map(made.embed, lists))

    for rows, wanted in zip(vectors, expected, strict=True):
        np.testing.assert_array_equal(rows, wanted)


def test_many_threads_may_embed_at_once() -> None:
    made = HashEmbedder(cache_size=10)
    texts = [f"note {i}" for i in range(40)]
    expected = made.embed(texts)
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(made.embed(texts))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(results) == 8
    assert all(np.array_equal(r, expected) for r in results)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[float("nan"), 1.0]], "NaN"),
        ([[float("inf"), 1.0]], "NaN"),
        ([[0.0, 0.0]], "NaN"),
        ([1.0, 2.0], "shape"),
        ([[1.0], [2.0]], "shape"),
        ("text", "no array"),
        (None, "shape|no array|NaN"),
    ],
)
def test_what_a_function_returns_is_checked(rows: Any, message: str) -> None:
    with pytest.raises(EmbedderError, match=message):
        CallableEmbedder(lambda texts: rows)


def test_a_function_that_changes_its_mind_is_caught() -> None:
    made = CallableEmbedder(lambda texts: [[1.0, 0.0]] * len(texts) if "fox" in texts[0] else [[1.0]])

    with pytest.raises(EmbedderError, match="shape"):
        made.embed(["other"])


def test_somebody_elses_embedder_must_give_unit_vectors() -> None:
    class Long:
        dimension = 2
        fingerprint = "long#2"

        def embed(self, texts: Sequence[str]) -> Any:
            return np.full((len(texts), 2), 3.0, dtype=np.float32)

    with pytest.raises(EmbedderError, match=r"norm 4\.243"):
        make_embedder(Long()).embed(["a"])


def test_a_failed_batch_leaves_nothing_in_the_cache() -> None:
    good = [True]
    made = CallableEmbedder(lambda texts: [[1.0, float("nan") if not good[0] else 0.0]] * len(texts))
    good[0] = False
    with pytest.raises(EmbedderError):
        made.embed(["a"])
    good[0] = True

    assert made.embed(["a"]).tolist() == [[1.0, 0.0]]


def test_functions_with_different_vectors_have_different_fingerprints() -> None:
    def other(texts: Sequence[str]) -> Any:
        return [[-1.0, 2.0, 3.0] for _ in texts]

    assert make_embedder(lengths).fingerprint == CallableEmbedder(lengths, batch_size=1).fingerprint
    assert make_embedder(lengths).fingerprint != make_embedder(other).fingerprint
    assert CallableEmbedder(lengths, name="mine-v2").fingerprint == "mine-v2#3"


def test_hashed_vectors_bring_shared_words_together() -> None:
    question, same, other = HashEmbedder().embed(
        ["Where does Ana live?", "Ana lives in Porto with her brother.", "The train to Berlin was late."]
    )

    assert question @ same > 0.3
    assert abs(question @ other) < 0.2


def test_hashed_vectors_are_the_same_in_every_process() -> None:
    code = "from agentmem.embedding.embedders import HashEmbedder; print(HashEmbedder().embed(['Ana lives in Porto.']).tobytes().hex())"
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert len(printed) == 1


def test_what_you_have_becomes_an_embedder() -> None:
    ours = HashEmbedder()

    assert isinstance(make_embedder(), OnnxEmbedder)
    assert isinstance(make_embedder("minilm"), OnnxEmbedder)
    assert isinstance(make_embedder(backend="numpy"), MiniLMEmbedder)
    assert isinstance(make_embedder("hash"), HashEmbedder)
    assert make_embedder(ours) is ours
    assert isinstance(make_embedder(lengths), CallableEmbedder)
    assert isinstance(make_embedder(packaged_minilm()), OnnxEmbedder)
    assert isinstance(make_embedder(packaged_minilm(), backend="torch"), SentenceTransformerEmbedder)
    with pytest.raises(InvalidArgument, match="cannot be made from int"):
        make_embedder(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["nobody/no-such-model", "no-such-model", "../nowhere/at/all", "a b"])
def test_a_name_that_is_not_on_disk_is_refused_with_the_cure(name: str) -> None:
    with pytest.raises(EmbedderError, match="allow_download=True"):
        make_embedder(name)


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_files, "find_spec", lambda name: None)

    with pytest.raises(MissingExtra, match="`offline` extra"):
        make_embedder()


def test_the_packaged_weights_are_the_published_ones() -> None:
    assert verify_minilm() == MINILM_SHA256


def test_changed_weights_are_refused(tmp_path: Path) -> None:
    target = tmp_path / "model.safetensors"
    shutil.copy(packaged_minilm() / "model.safetensors", target)
    with target.open("r+b") as file:
        file.seek(50_000_000)
        file.write(b"\x01")

    with pytest.raises(EmbedderError, match="not the published model"):
        verify_minilm(tmp_path)


def test_a_directory_without_safetensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")

    with pytest.raises(EmbedderError, match="no safetensors"):
        make_embedder(tmp_path)


def test_minilm_knows_what_texts_mean() -> None:
    question, near, far = make_embedder().embed(["Where is my home?", "I live in Porto.", "Stocks fell again."])

    assert question @ near > question @ far + 0.2


def test_minilm_needs_no_torch() -> None:
    code = (
        "import sys; from agentmem.embedding.embedders import make_embedder; make_embedder().embed(['hello']); "
        "assert not {'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_minilm_gives_the_vectors_of_sentence_transformers(capfd: pytest.CaptureFixture[str]) -> None:
    reference = SentenceTransformerEmbedder()
    texts = TEXTS + [f"{'On some day ' * (i % 7)}note {i} was about subject {i * 31 % 17}." for i in range(100)]
    expected = reference.embed(texts)
    out, err = capfd.readouterr()

    assert (out, err) == ("", "")
    assert reference.fingerprint == MiniLMEmbedder().fingerprint
    assert np.abs(MiniLMEmbedder().embed(texts) - expected).max() < 2e-6


@pytest.mark.slow
def test_a_copy_on_disk_has_the_fingerprint_of_its_weights(tmp_path: Path) -> None:
    path = tmp_path / "all-MiniLM-L6-v2"
    shutil.copytree(packaged_minilm(), path)
    copy = SentenceTransformerEmbedder(path)

    assert copy.fingerprint == MiniLMEmbedder().fingerprint


def test_an_embedder_says_which_scripts_it_is_for() -> None:
    """The packaged one, whatever computes it; one of the caller's when it says so; of any other nobody knows."""

    class Greek(HashEmbedder):
        def __init__(self) -> None:
            super().__init__()
            self.scripts = ("Greek",)

    assert {type(e): e.scripts for e in (make_embedder(backend="numpy"), make_embedder(backend="torch"))} == {
        MiniLMEmbedder: ("Latin",),
        SentenceTransformerEmbedder: ("Latin",),
    }
    assert CheckedEmbedder(Greek()).scripts == ("Greek",)
    assert make_embedder("hash").scripts is None
    assert make_embedder(lambda texts: np.ones((len(texts), 8))).scripts is None


@pytest.mark.parametrize("kind", ["function", "object"])
def test_an_embedder_that_fails_is_named_and_loses_nothing(tmp_path: Path, kind: str):
    """A service of the caller's that does not answer: remember and recall say so in our words, and work again with it."""
    inner, down = HashEmbedder(), False

    def vectors(texts: list[str]) -> Any:
        if down:
            raise ConnectionError("no route to the service")
        return inner.embed(texts)

    service = SimpleNamespace(dimension=inner.dimension, fingerprint="mine", embed=vectors)
    with Memory(tmp_path / "memory", embedder=vectors if kind == "function" else service) as memory:
        memory.remember("My sister lives in Porto.")
        down = True
        with pytest.raises(EmbedderError, match="no route") as told:
            memory.remember("The code is 4711.")
        assert told.value.hint
        assert isinstance(told.value.__cause__, ConnectionError)
        with pytest.raises(EmbedderError):
            memory.recall("Where does my sister live?")
        down = False
        assert memory.recall("Where does my sister live?")[0].note.content == "My sister lives in Porto."
        assert len(memory.notes()) == 1


def test_an_embedder_that_lacks_something_is_told_what() -> None:
    """Not that it has to have embed(), which it has."""

    class Nameless:
        dimension = 8

        def embed(self, texts: list[str]) -> Any: ...

    with pytest.raises(InvalidArgument, match=r"Nameless has embed\(\), but lacks fingerprint\.") as caught:
        make_embedder(Nameless())  # type: ignore[arg-type]

    assert "exact weights" in caught.value.hint
