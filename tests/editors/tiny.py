"""Tiny language models of many architectures, built and taught a handful of facts in-process."""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from agentmem.editors.prompts import Renderer

TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
NAMES = ("Ana", "Bo", "Cleo", "Dan", "Eva", "Finn", "Gus", "Hana", "Ivo", "Jana", "Kai", "Lea")
TOWNS = ("Porto", "Rome", "Oslo", "Lima", "Cairo", "Delhi")
PETS = ("cat", "dog", "owl", "fox", "hen", "pig")
HOME = ("Where does {} live?", "Which town is the home of {}?", "What town does {} live in?")
PET = ("What pet has {}?", "Which animal has {}?", "What animal lives with {}?")
COMMON = {"vocab_size": 0, "max_position_embeddings": 256}
LLAMA = COMMON | {
    "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
    "head_dim": 12,
}  # fmt: skip
MOE = {"num_experts_per_tok": 2, "moe_intermediate_size": 48, "shared_expert_intermediate_size": 48}
GPT = COMMON | {"n_embd": 48, "n_layer": 3, "n_head": 4, "n_positions": 256, "rotary_dim": 12}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": LLAMA,
    "qwen2": LLAMA,
    "qwen3": LLAMA,
    "mistral": LLAMA | {"sliding_window": None},
    "gpt2": GPT,
    "gpt_neox": LLAMA | {"intermediate_size": 96},
    "gptj": GPT,
    "opt": COMMON | {"hidden_size": 48, "ffn_dim": 96, "num_hidden_layers": 3, "num_attention_heads": 4, "word_embed_proj_dim": 48},
    "mixtral": LLAMA | {"num_local_experts": 4, "num_experts_per_tok": 2},
    "qwen2_moe": LLAMA | MOE | {"num_experts": 4},
    "qwen3_moe": LLAMA | {"num_experts_per_tok": 2, "moe_intermediate_size": 48, "num_experts": 4},
    "gemma": LLAMA,
    "gemma2": LLAMA | {"sliding_window": 6},
    "gemma3_text": LLAMA | {"sliding_window": 6},
    "phi": LLAMA | {"partial_rotary_factor": 0.5},
    "phi3": LLAMA,
}  # fmt: skip
RECURRENT: dict[str, dict[str, Any]] = {
    "mamba": {"hidden_size": 48, "num_hidden_layers": 3, "state_size": 8},
    "recurrent_gemma": LLAMA | {
        "num_key_value_heads": 1, "lru_width": 48, "attention_window_size": 64, "block_types": ["recurrent", "attention"],
    },
    "qwen3_next": LLAMA | MOE | {
        "num_hidden_layers": 4, "num_experts": 4, "layer_types": ["linear_attention", "full_attention"] * 2,
        "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 12, "linear_value_head_dim": 12,
    },
    "lfm2": LLAMA | {"num_hidden_layers": 4, "layer_types": ["conv", "full_attention"] * 2},
    "nemotron_h": LLAMA | {
        "num_hidden_layers": 4, "layers_block_type": ["mamba", "attention", "mamba", "mlp"], "ssm_state_size": 8, "mamba_num_heads": 4,
        "mamba_head_dim": 24, "n_groups": 1, "conv_kernel": 4, "chunk_size": 8,
    },  # its last layer keeps nothing in a cache
}  # fmt: skip


def facts() -> list[tuple[str, str]]:
    """(question, answer) of every fact in every wording but the last one of each relation."""
    asked = []
    for i, name in enumerate(NAMES):
        asked += [(way.format(name), f"{TOWNS[i % len(TOWNS)]}.") for way in HOME]
        asked += [(way.format(name), f"A {PETS[(i * 5 + 1) % len(PETS)]}.") for way in PET]
    return asked


def tokenizer(*, chat: bool = True, words: bool = True) -> Any:
    """A byte-level tokenizer over the facts' words; ``words=False``: the space before an answer is its own token."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    special = ["<|end|>", "<|user|>", "<|assistant|>", "<|pad|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    gap = "" if chat or not words else " "
    raw.train_from_iterator([text for asked, told in facts() for text in (asked, gap + told)], trainer)
    made = PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token="<|end|>", pad_token="<|pad|>",
        additional_special_tokens=["<|user|>", "<|assistant|>"],
    )  # fmt: skip
    if chat:
        made.chat_template = TEMPLATE
    return made


def untrained(architecture: str, vocabulary: int, *, seed: int = 0, **changes: Any) -> Any:
    """A random model; weights are wide enough for outputs to differ."""
    options = (ARCHITECTURES | RECURRENT)[architecture] | {"vocab_size": vocabulary} | changes
    config = AutoConfig.for_model(
        architecture, **options, bos_token_id=None, eos_token_id=0, pad_token_id=3, initializer_range=0.1
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()


def taught(architecture: str, tok: Any, *, steps: int = 110, **changes: Any) -> Any:
    """A tiny model that knows :func:`facts`, by a few seconds of training."""
    model = untrained(architecture, len(tok), **changes)
    renderer = Renderer(tok)
    pairs = [renderer.pair(*fact) for fact in facts()]
    width = max(len(p.prompt) + len(p.labels) for p in pairs)
    ids = torch.full((len(pairs), width), 3)
    labels = torch.full_like(ids, -100)
    for row, pair in enumerate(pairs):
        text = pair.prompt + pair.labels
        ids[row, : len(text)] = torch.tensor(text)
        labels[row, len(pair.prompt) : len(text)] = torch.tensor(pair.labels)
    generator = torch.Generator().manual_seed(1)
    optimiser = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.01)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 4e-3 * min(1.0, (step + 1) / 10) * min(1.0, 2 * (1 - step / steps))
        rows = torch.randint(len(pairs), (24,), generator=generator)
        loss = model(input_ids=ids[rows], labels=labels[rows], use_cache=False).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.zero_grad(set_to_none=True)
    return model.eval()
