"""ONNX Runtime as an embedding backend: the vectors of torch, a cache that may break, and nothing heavy on the way."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from agentmem import Memory
from agentmem.embedding import embedders as embedding
from agentmem.embedding import onnx_format
from agentmem.embedding.embedders import (
    MiniLMEmbedder,
    OnnxEmbedder,
    SentenceTransformerEmbedder,
    make_embedder,
    packaged_minilm,
)
from agentmem.embedding.encoder_files import EncoderShape, Unsupported, encoder_shape
from agentmem.embedding.onnx_encoder import _runs, cache_directory
from agentmem.embedding.onnx_graph import quantized
from agentmem.errors import EmbedderError, EmbedderMismatch, InvalidArgument, MissingExtra
from agentmem.runtime.threads import thread_count

WORDS = "[PAD] [UNK] [CLS] [SEP] ana ines lives in porto plays the cello sister".split()
TEXTS = ["ana lives in porto", "ines", "", "the sister plays the cello " * 9, " ines plays "]


def tiny(path: Path, kind: str = "bert", pooling: str = "mean", **changes: Any) -> Path:
    """A two-layer encoder with random weights, written by sentence-transformers itself."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel

    torch.manual_seed(7)
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    sizes: dict[str, Any] = {
        "vocab_size": len(WORDS), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 64, "max_position_embeddings": 40, "pad_token_id": 0, "initializer_range": 0.5,
    }  # fmt: skip
    sizes |= changes
    model = BertModel(BertConfig(**sizes)) if kind == "bert" else XLMRobertaModel(XLMRobertaConfig(**sizes))
    model.save_pretrained(path / "hf")
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", unk_token="[UNK]"
    )
    fast.save_pretrained(path / "hf")
    transformer = Transformer(str(path / "hf"), max_seq_length=24)
    modules = [transformer, Pooling(32, pooling_mode=pooling), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(str(path / "model"))
    return path / "model"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("small"))


# -- the same vectors --------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bert", "xlm-roberta"])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_any_bert_like_model_gives_the_vectors_of_torch(tmp_path: Path, kind: str, pooling: str) -> None:
    """Also for texts that are cut, empty or of very different lengths in one batch."""
    path = tiny(tmp_path, kind, pooling)
    torch, onnx = make_embedder(path, backend="torch"), make_embedder(path)

    assert isinstance(onnx, OnnxEmbedder)
    assert onnx.fingerprint == torch.fingerprint
    assert (torch.embed(TEXTS) * onnx.embed(TEXTS)).sum(axis=1).min() > 0.99999


def test_the_packaged_model_gives_the_same_vectors_on_each_backend() -> None:
    texts = ["Where does Ana live?", "Ana lives in Porto.", "word " * 400, "", "naïve café 🙂"]
    onnx, numpy = OnnxEmbedder(), MiniLMEmbedder()

    assert onnx.fingerprint == numpy.fingerprint
    assert np.abs(onnx.embed(texts) - numpy.embed(texts)).max() < 1e-5


@pytest.mark.slow
def test_the_packaged_model_gives_the_vectors_of_sentence_transformers() -> None:
    texts = [f"{'On some day ' * (i % 7)}note {i} was about subject {i * 31 % 17}." for i in range(60)]
    onnx, torch = OnnxEmbedder(), SentenceTransformerEmbedder()

    assert onnx.fingerprint == torch.fingerprint
    assert (onnx.embed(texts) * torch.embed(texts)).sum(axis=1).min() > 0.9999


def test_a_store_opens_with_the_other_backend_and_finds_its_notes(tmp_path: Path) -> None:
    with Memory(tmp_path, embedder=make_embedder(backend="numpy")) as memory:
        memory.remember("Ana lives in Porto.")

    with Memory(tmp_path, embedder=make_embedder(backend="onnx")) as memory:
        assert memory.recall("Where does Ana live?")[0].note.content == "Ana lives in Porto."


# -- int8 --------------------------------------------------------------------------------------------------------


def test_int8_vectors_are_close_but_never_share_a_store(tmp_path: Path) -> None:
    exact, int8 = make_embedder(), make_embedder("minilm+int8")
    texts = ["Where does Ana live?", "Ana lives in Porto.", "The train to Berlin was late again."]
    with Memory(tmp_path, embedder=exact) as memory:
        memory.remember("Ana lives in Porto.")

    assert (exact.embed(texts) * int8.embed(texts)).sum(axis=1).min() > 0.97
    with Memory(tmp_path, embedder=int8) as memory, pytest.raises(EmbedderMismatch, match=r"\+int8"):
        memory.remember("Ines lives in Porto.")


def test_an_int8_vector_does_not_depend_on_what_is_embedded_with_it() -> None:
    int8 = make_embedder("minilm+int8")
    alone = int8.embed(["Ana lives in Porto."])
    int8.clear_cache()

    assert np.array_equal(int8.embed(["zebra " * 50, "Ana lives in Porto.", "!"])[1:2], alone)


@example(np.full((6, 4), 2.1e-42, np.float32))
@given(arrays.arrays(np.float32, (6, 4), elements=st.floats(-1000, 1000, width=32)))
@settings(deadline=None)
def test_a_quantised_weight_is_off_by_half_a_step_at_most(weight: Any) -> None:
    levels, scale = quantized(weight)

    assert levels.dtype == np.int8
    assert np.abs(levels.astype(int)).max() <= 64
    assert (np.abs(levels * scale - weight) <= scale / 2 * (1 + 1e-5)).all()


# -- the cache ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_graph_is_built_once(small: Path, tmp_path: Path) -> None:
    first = OnnxEmbedder(small, cache=tmp_path)
    rows = first.embed(TEXTS)
    (file,) = tmp_path.iterdir()
    written = file.stat().st_mtime_ns
    again = OnnxEmbedder(small, cache=tmp_path).embed(TEXTS)

    assert np.array_equal(rows, again)
    assert [f.stat().st_mtime_ns for f in tmp_path.iterdir()] == [written]
    assert not stat.S_IMODE(file.stat().st_mode) & 0o077


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flipped(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


@pytest.mark.slow
@pytest.mark.parametrize("damage", [truncated, flipped, Path.unlink])
def test_a_damaged_cache_is_built_again(small: Path, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    rows = OnnxEmbedder(small, cache=tmp_path).embed(TEXTS)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    damage(file)

    assert np.array_equal(OnnxEmbedder(small, cache=tmp_path).embed(TEXTS), rows)
    assert [f.read_bytes() for f in tmp_path.iterdir()] == [whole]


@pytest.mark.slow
def test_other_weights_get_another_graph_and_another_fingerprint(small: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    changed = shutil.copytree(small, tmp_path / "model")
    tensors = load_file(changed / "model.safetensors")
    tensors["encoder.layer.1.output.dense.weight"] *= -1
    save_file(tensors, changed / "model.safetensors")
    one, other = (OnnxEmbedder(path, cache=tmp_path / "cache") for path in (small, changed))

    assert one.fingerprint != other.fingerprint
    assert not np.allclose(one.embed(TEXTS), other.embed(TEXTS))
    assert len(list((tmp_path / "cache").iterdir())) == 2


@pytest.mark.slow
def test_where_nothing_can_be_written_the_graph_is_built_in_memory(small: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("in the way")
    embedder = OnnxEmbedder(small, cache=blocked / "cache")

    assert np.allclose(embedder.embed(TEXTS), OnnxEmbedder(small, cache=tmp_path / "ok").embed(TEXTS))
    assert [p.name for p in tmp_path.iterdir() if p.name != "ok"] == ["a file"]


def test_changed_packaged_weights_make_no_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = shutil.copytree(packaged_minilm(), tmp_path / "model")
    with (copy / "model.safetensors").open("r+b") as file:
        file.seek(50_000_000)
        file.write(b"\x01")
    monkeypatch.setattr("agentmem.embedding.models.packaged_minilm", lambda: copy)

    with pytest.raises(EmbedderError, match="not the model of this name"):
        OnnxEmbedder(cache=tmp_path / "cache").embed(["a"])
    assert not (tmp_path / "cache").exists()


def test_the_cache_lies_where_the_platform_keeps_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AGENTMEM_CACHE_DIR", str(tmp_path))
    chosen = cache_directory()
    monkeypatch.delenv("AGENTMEM_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(sys, "platform", "linux")

    assert chosen == tmp_path / "embedders"
    assert cache_directory() == tmp_path / "xdg" / "agentmem" / "embedders"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_directory() == Path.home() / ".cache" / "agentmem" / "embedders"


# -- what runs where ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "changes", "reason"),
    [
        ("config.json", {"model_type": "mpnet"}, "model type is mpnet"),
        ("config.json", {"hidden_act": "relu"}, "activation"),
        ("config_sentence_transformers.json", {"default_prompt_name": "query"}, "prompt"),
        ("sentence_bert_config.json", {"do_lower_case": True}, "lowers the case"),
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "pools neither"),
        ("modules.json", None, "no modules.json"),
    ],
)
def test_what_could_give_other_vectors_is_left_to_torch(
    tmp_path: Path, file: str, changes: dict[str, Any] | None, reason: str
) -> None:
    copy = shutil.copytree(packaged_minilm(), tmp_path / "model")
    if changes is None:
        (copy / file).unlink()
    else:
        (copy / file).write_text(json.dumps(json.loads((copy / file).read_text()) | changes))
    shape = encoder_shape(copy)

    assert isinstance(shape, Unsupported)
    assert reason in shape.reason
    assert isinstance(make_embedder(copy), SentenceTransformerEmbedder)
    with pytest.raises(EmbedderError, match="cannot run on ONNX Runtime"):
        make_embedder(copy, backend="onnx")


def test_the_packaged_model_is_read_as_published() -> None:
    assert encoder_shape(packaged_minilm()) == EncoderShape(384, 6, 12, 1e-12, 0, "mean", 256)


def test_without_onnxruntime_another_backend_gives_the_same_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    found = embedding.find_spec
    monkeypatch.setattr(embedding, "find_spec", lambda name: None if name == "onnxruntime" else found(name))

    assert isinstance(make_embedder(), MiniLMEmbedder)
    assert isinstance(make_embedder(packaged_minilm()), SentenceTransformerEmbedder)
    assert make_embedder().fingerprint == OnnxEmbedder().fingerprint


def test_asked_for_and_not_installed_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    with pytest.raises(MissingExtra, match="`onnx` extra"):
        make_embedder(backend="onnx").embed(["a"])


@given(st.lists(st.integers(2, 256), max_size=80), st.integers(1, 1024))
def test_every_text_runs_once_and_padding_stays_within_the_budget(lengths: list[int], budget: int) -> None:
    runs = list(_runs(lengths, budget))

    assert sorted(place for run in runs for place in run) == list(range(len(lengths)))
    assert all(len(run) == 1 or len(run) * max(lengths[place] for place in run) <= budget for run in runs)
    assert [lengths[place] for run in runs for place in run] == sorted(lengths, reverse=True)


@pytest.mark.parametrize(
    "options",
    [
        {"backend": "tensorflow"},
        {"threads": 0},
        {"backend": "onnx", "device": "cuda"},
        {"spec": "minilm+int8", "backend": "torch"},
        {"spec": "minilm+int8", "device": "cuda"},
        {"backend": "numpy", "device": "cuda"},
    ],
)
def test_what_cannot_be_had_is_refused_with_the_cure(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument) as caught:
        make_embedder(**options)

    assert caught.value.hint


def test_threads_follow_the_argument_then_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")

    assert (thread_count(2), thread_count(), OnnxEmbedder(threads=2).threads) == (2, 3, 2)
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert 1 <= thread_count() <= 4


@given(st.integers(-(2**63), 2**63 - 1))
def test_numbers_are_written_as_protocol_buffers_read_them(number: int) -> None:
    """Decoded by hand: seven bits a byte, lowest first, two's complement of 64 bits."""
    whole = b"".join(bytes(c) for c in onnx_format.node("Op", [], ["x"], {"n": number}))
    start = whole.index(b"\x0a\x01n") + 4
    value, shift = 0, 0
    for byte in whole[start:]:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break

    assert (value - (1 << 64) if value >> 63 else value) == number


# -- a cold shell ------------------------------------------------------------------------------------------------

HEAVY = {"chromadb", "sentence_transformers", "torch", "transformers", "scipy", "sklearn"}
COLD = """
import sys, resource
sys.argv = ["agentmem", "recall", "Where does Ana live?", "--user", "ana", "--path", {path!r}, "--json"]
from agentmem.integrations.cli import main
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
used = resource.getrusage(resource.RUSAGE_SELF)
print("\\n" + repr((used.ru_utime + used.ru_stime, sorted({heavy!r} & set(sys.modules)), "onnxruntime" in sys.modules)))
"""


def test_recall_from_a_cold_shell_takes_little_time_and_no_torch(tmp_path: Path) -> None:
    with Memory(tmp_path) as memory:
        memory.remember("Ana lives in Porto.", user="ana")
    code = COLD.format(path=str(tmp_path), heavy=HEAVY)
    # As in anybody's shell, the first run leaves byte code for the next; the best of some is what the machine can do.
    shell = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=shell)
        for _ in range(5)
    ]
    told = [eval(run.stdout.splitlines()[-1]) for run in runs]

    assert "Ana lives in Porto." in runs[0].stdout
    assert not any(heavy for _, heavy, _ in told)
    assert all(onnx for _, _, onnx in told)
    assert min(seconds for seconds, _, _ in told) < 1.5
