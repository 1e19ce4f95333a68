"""A language model given by name, by path or as objects: where it runs, how it is asked, and what is said when it is not there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from agentmem import Fact, Memory, Settings
from agentmem.errors import InvalidArgument, MissingExtra, ModelError, NoChatTemplate
from agentmem.llm.clients import load_model
from agentmem.llm.loading import ModelSpec
from agentmem.llm.small_model import load_small_model, small_model_path
from agentmem.llm.tokenizing import conversational
from agentmem.settings import ConsolidationSettings

sys.path.insert(0, str(Path(__file__).parents[1] / "editors"))

import tiny


@pytest.fixture(scope="module")
def base() -> tuple[Any, Any]:
    """A model that knows a few facts and was never given a chat template."""
    tokenizer = tiny.tokenizer(chat=False)
    return tiny.untrained("llama", len(tokenizer)), tokenizer


@pytest.mark.parametrize(
    "model",
    [
        "nonexistent/model",
        "no such model",
        "/nowhere/at/all",
        Path("nowhere"),
        "~nobody/model",
        "http://127.0.0.1:8000/v1",
        "",
        "a/b/c/d",
    ],
)
def test_a_model_that_is_not_there_is_said_where_it_is_named(model: Any, tmp_path: Path) -> None:
    """At construction and by ``attach``, before a directory is made, and without loading anything."""
    with pytest.raises(ModelError) as caught:
        Memory(tmp_path / "memory", embedder="hash", model=model)
    with Memory(embedder="hash") as memory, pytest.raises(ModelError):
        memory.attach(model)

    assert caught.value.hint
    assert not (tmp_path / "memory").exists()


@pytest.mark.parametrize(
    "options",
    [
        {"model": 3}, {"model": object()}, {"model": (1, 2, 3)}, {"model": ("small", None)}, {"model": lambda messages: "hi"},
        {"device": "cpu"}, {"plain": True}, {"model": "small", "device": "the kitchen"}, {"model": "small", "device": 3},
        {"model": "small", "dtype": "float17"}, {"model": "small", "dtype": 16}, {"model": "small", "plain": "yes"},
        {"device_map": "auto"}, {"model": "small", "device_map": "auto"}, {"model": "small", "device_map": 3},
    ],
)  # fmt: skip
def test_what_is_no_model_is_refused_at_construction(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Memory(embedder="hash", **options)

    assert caught.value.hint


def test_a_model_without_its_tokenizer_is_refused_at_construction(base: tuple[Any, Any]) -> None:
    with pytest.raises(InvalidArgument, match="tokenizer"):
        Memory(embedder="hash", model=base[0])
    with pytest.raises(InvalidArgument, match="by name or path"):
        Memory(embedder="hash", model=base, device="cpu")


def test_a_directory_without_a_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json"):
        Memory(embedder="hash", model=tmp_path)


def test_weights_are_loaded_at_the_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(ModelSpec, "load", lambda self: (loaded.append(str(self.model)), load_small_model())[1])
    with Memory(embedder="hash", model=small_model_path()) as memory:
        before = list(loaded)
        memory.ask("Where does Ana live?", use="nothing")

    assert before == []
    assert loaded == [str(small_model_path())]


def test_a_model_given_by_name_runs_where_the_machine_is_best(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it was saved on an accelerator, in float32 on the CPU; told otherwise, as told."""
    moved: list[str] = []
    path = small_model_path()  # a path, as of any model; it was saved in bfloat16
    on_cpu = load_model(path, device="cpu")[0].dtype
    told = load_model(path, device="cpu", dtype="bfloat16")[0].dtype
    shipped = load_model("small")[0]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, device: (moved.append(str(device)), self)[1])
    on_gpu = load_model(path)[0].dtype

    assert (on_cpu, told, on_gpu) == (torch.float32, torch.bfloat16, torch.bfloat16)
    assert moved == ["cuda"]
    assert (shipped.dtype, shipped.device.type) == (torch.float32, "cpu")


def test_a_device_that_the_machine_lacks_is_a_typed_error() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has it")
    with pytest.raises(ModelError, match="cuda") as caught:
        load_model("small", device="cuda")

    assert 'device="cpu"' in caught.value.hint


def test_options_reach_the_model_that_is_attached() -> None:
    with Memory(embedder="hash", model="small", device="cpu", dtype="bfloat16") as memory:
        memory.ask("Where does Ana live?", use="nothing")
        assert memory._parts.weights.model.dtype == torch.bfloat16
        memory.attach("small", dtype="float32", plain=True)
        assert memory._parts.weights.model.dtype == torch.float32
        local = memory._parts.local()
        assert local is not None
        assert local.prompt([{"role": "user", "content": "Hi."}]) == "User: Hi.\nAssistant:"


def test_a_model_without_a_chat_template_is_asked_in_plain_turns(base: tuple[Any, Any]) -> None:
    """Notes and all; the caller's tokenizer stays as it was."""
    with Memory(embedder="hash", model=base) as memory:
        memory.remember("I live in Porto.", user="ana")
        answer = memory.ask("Where do I live?", user="ana", max_tokens=4)
        bare = memory.ask("Where do I live?", user="ana", max_tokens=4, use="nothing")
        local = memory._parts.local()

    assert answer.prompt_tokens > bare.prompt_tokens + len("I live in Porto.".split())
    assert local is not None
    assert local.plain
    assert base[1].chat_template is None


def test_a_model_without_a_chat_template_is_refused_only_where_plain_turns_are_not_wanted(
    base: tuple[Any, Any],
) -> None:
    with Memory(embedder="hash", model=base, plain=False) as memory, pytest.raises(NoChatTemplate, match="plain=True"):
        memory.ask("Where do I live?")


@pytest.mark.slow
def test_what_was_consolidated_answers_in_plain_turns() -> None:
    """Editors and ``ask`` write the same prompt, so that an edit fires where it was written."""
    tokenizer = tiny.tokenizer(chat=False)
    model = tiny.taught("llama", conversational(tokenizer), steps=60)
    lenient = Settings(consolidation=ConsolidationSettings(min_generality=0.0))  # a tiny model tells few wordings apart
    with Memory(embedder="hash", model=(model, tokenizer), settings=lenient) as memory:
        fact = Fact(
            "Ana", "lives in", "Lima", question="Where does Ana live?", paraphrases=("Which town is the home of Ana?",)
        )
        receipt = memory.remember("Ana lives in Lima.", user="u", fact=fact)
        memory.reinforce(str(receipt.id), user="u")
        report = memory.consolidate(user="u")
        answer = memory.ask("Where does Ana live?", user="u")

    assert [o.note_id for o in report.promoted] == [receipt.id], report.outcomes
    assert (answer.text, answer.source) == ("Lima.", "weights")


@pytest.mark.parametrize("device_map", ["auto", {"": "cpu"}, "in part on disk"])
def test_a_model_by_name_may_be_spread(device_map: Any, tmp_path: Path) -> None:
    """Over what the machine has, and fetched layer by layer where it does not fit: it answers as it does on one device."""
    pytest.importorskip("accelerate")
    tokenizer = tiny.tokenizer()
    tiny.untrained("llama", len(tokenizer)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    if device_map == "in part on disk":
        names = ("model.embed_tokens", "model.layers.0", "model.rotary_emb", "model.norm", "lm_head")
        device_map = dict.fromkeys(names, "cpu") | {"model.layers.1": "disk", "model.layers.2": "disk"}
    asked = "Where does Ana live?"
    with Memory(embedder="hash", model=tmp_path, device="cpu") as whole:
        wanted = whole.ask(asked).text
    with Memory(embedder="hash", model=tmp_path, device_map=device_map) as memory:
        assert memory.ask(asked).text == wanted


def test_a_device_and_a_map_contradict_each_other(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="contradict"):
        ModelSpec(tmp_path, device="cpu", device_map="auto")


def test_a_device_map_without_accelerate_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentmem.llm.loading.find_spec", lambda name: None)
    with pytest.raises(MissingExtra) as caught:
        ModelSpec(tmp_path, device_map="auto")
    assert "pip install" in caught.value.hint
