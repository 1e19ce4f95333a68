"""A drafted answer: right or wrong, the text is the greedy one; right, it costs one pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from agentmem.llm.clients import LocalModel
from agentmem.llm.small_model import load_small_model
from agentmem.notes.protocols import Message


@pytest.fixture(scope="module")
def local() -> LocalModel:
    return LocalModel(*load_small_model())


@pytest.fixture(scope="module")
def asked(local: LocalModel) -> list[Message]:
    """A question whose answer has several sentences."""
    from agentmem.evaluation.world import World

    return [{"role": "user", "content": f"Tell me about {World.generate().facts[0].subject}."}]


@contextmanager
def forwards(model: Any) -> Iterator[list[int]]:
    """The number of tokens of each forward inside."""
    lengths: list[int] = []
    hook = model.register_forward_pre_hook(
        lambda _module, _args, kwargs: lengths.append(kwargs["input_ids"].shape[1]), with_kwargs=True
    )
    try:
        yield lengths
    finally:
        hook.remove()


def test_a_right_draft_is_checked_in_one_pass(local: LocalModel, asked: list[Message]) -> None:
    whole = local.complete(asked, max_tokens=64)
    assert whole.count(".") >= 2

    with forwards(local.model) as lengths:
        assert local.prefill(asked, max_tokens=64).finish(whole) == whole
    with forwards(local.model) as plain:
        local.complete(asked, max_tokens=64)
    assert len(lengths) == 2 < len(plain)


@pytest.mark.parametrize("tokens", [1, 2, 3, 5, 8, 200])
@pytest.mark.parametrize("tail", ["", " Porto.", " nobody knows what"])
def test_a_wrong_draft_changes_nothing(local: LocalModel, asked: list[Message], tokens: int, tail: str) -> None:
    """Right up to some token, then over, or something else: the answer is the model's own to its end."""
    whole = local.complete(asked, max_tokens=64)
    ids = local.tokenizer(" " + whole, add_special_tokens=False)["input_ids"]
    draft = local.tokenizer.decode(ids[:tokens]).strip() + tail

    assert local.prefill(asked, max_tokens=64).finish(draft) == whole


@pytest.mark.parametrize("most", [1, 2, 3, 7])
def test_a_draft_never_makes_an_answer_longer_than_asked_for(
    local: LocalModel, asked: list[Message], most: int
) -> None:
    whole = local.complete(asked, max_tokens=64)

    assert local.prefill(asked, max_tokens=most).finish(whole) == local.complete(asked, max_tokens=most)


def test_a_stop_string_ends_a_drafted_answer(local: LocalModel, asked: list[Message]) -> None:
    whole = local.complete(asked, max_tokens=64)
    stop = whole[whole.index(".") :][:2]

    assert (
        local.prefill(asked, max_tokens=64, stop=[stop]).finish(whole)
        == local.complete(asked, max_tokens=64, stop=[stop])
        == whole[: whole.index(stop)]
    )


def test_a_checkpoint_that_shapes_its_choices_is_asked_the_usual_way(asked: list[Message]) -> None:
    """A suppressed token is none of the model's choices, however sure it is of it."""
    model, tokenizer = load_small_model()
    local = LocalModel(model, tokenizer)
    whole = local.complete(asked, max_tokens=16)
    first = tokenizer(" " + whole, add_special_tokens=False)["input_ids"][0]
    model.generation_config.suppress_tokens = [first]
    other = local.complete(asked, max_tokens=16)

    assert other != whole
    assert local.prefill(asked, max_tokens=16).finish(whole) == other


def test_training_mode_comes_back_module_by_module(local: LocalModel, asked: list[Message]) -> None:
    layer = local.model.model.layers[1]
    layer.train()
    try:
        local.complete(asked, max_tokens=2)
        assert [name for name, module in local.model.named_modules() if module.training] == [
            f"model.layers.1{'.' if name else ''}{name}" for name, _ in layer.named_modules()
        ]
    finally:
        local.model.eval()


@pytest.mark.parametrize("cache", ["static", "dynamic", "hybrid"])
def test_a_checkpoint_that_names_its_cache_is_asked_with_it(asked: list[Message], cache: str) -> None:
    model, tokenizer = load_small_model()
    plain = LocalModel(model, tokenizer).complete(asked, max_tokens=8)
    model.generation_config.cache_implementation = cache
    model.generation_config.disable_compile = True

    assert LocalModel(model, tokenizer).prefill(asked, max_tokens=8).finish() == plain


@pytest.mark.parametrize("family", ["mamba", "openai-gpt"])
def test_models_without_a_cache_of_keys_answer_too(local: LocalModel, asked: list[Message], family: str) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = (
        {"hidden_size": 16, "num_hidden_layers": 2} if family == "mamba" else {"n_embd": 16, "n_layer": 2, "n_head": 2}
    )
    config = AutoConfig.for_model(
        family, vocab_size=len(local.tokenizer), pad_token_id=0, initializer_range=0.2, **sizes
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        other = LocalModel(AutoModelForCausalLM.from_config(config).eval(), local.tokenizer)
    plain = other.complete(asked, max_tokens=6)

    assert other.prefill(asked, max_tokens=6).finish() == plain
    assert other.prefill(asked, max_tokens=6).finish(plain) == plain
