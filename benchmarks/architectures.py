"""Which architectures can be edited: tiny models of many, each attached, written, asked and emptied again.

python -m benchmarks.architectures --out benchmarks/results/architectures.json

Every architecture is a model of three to six narrow layers with the shipped model's tokenizer and chat template, taught the homes and
pets of a dozen people in some seconds. Three of them move; what counts is not how well it knows them but whether edits reach its
answers in every way of generating, and leave no trace:

* attach: the editor can be made;
* write: all three facts are learnt;
* answer: greedy ``generate`` says each target; batch: so it does for all of them in one padded batch; uncached: without a cache;
* chunked: so it does where the prompt is read in pieces;
* silent: a prompt of nobody keeps its logits, bit for bit;
* delete: without one fact the state is, by hash, that of the others; without all, logits are the base's, bit for bit.

A refusal is recorded with its type, its message and its hint. An exception that is not of agentmem's own is a crash, and so is any
that comes after the first write.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from agentmem.editors import EditRequest, make_editor
from agentmem.editors.background import background_groups
from agentmem.editors.prompts import Renderer
from agentmem.errors import AgentMemError
from agentmem.llm.small_model import small_model_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WIDTH = 64
PLAIN: dict[str, Any] = {
    "hidden_size": WIDTH, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
    "head_dim": 16, "max_position_embeddings": 512,
}  # fmt: skip
GPT: dict[str, Any] = {"n_embd": WIDTH, "n_layer": 3, "n_head": 4, "n_positions": 512}
FULL: dict[str, Any] = PLAIN | {"num_key_value_heads": 4}
ROUTED: dict[str, Any] = PLAIN | {
    "num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64, "shared_expert_intermediate_size": 64,
}  # fmt: skip
LATENT: dict[str, Any] = FULL | {
    "moe_intermediate_size": 64, "n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2, "first_k_dense_replace": 1,
    "kv_lora_rank": 16, "q_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 16, "head_dim": 8, "n_group": 1,
    "topk_group": 1,
}  # fmt: skip
SLIDING: dict[str, Any] = PLAIN | {"sliding_window": 16}
HYBRID: dict[str, Any] = ROUTED | {
    "num_hidden_layers": 4, "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 16, "linear_value_head_dim": 16,
    "layer_types": ["linear_attention", "full_attention", "linear_attention", "full_attention"],
}  # fmt: skip
STATES: dict[str, Any] = {
    "mamba_d_state": 8,
    "mamba_n_heads": 4,
    "mamba_d_head": 32,
    "mamba_n_groups": 1,
    "mamba_expand": 2,
    "mamba_d_conv": 4,
}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": PLAIN, "mistral": SLIDING, "ministral": SLIDING, "qwen2": PLAIN, "qwen3": PLAIN, "gemma": PLAIN, "gemma2": SLIDING,
    "gemma3_text": SLIDING, "phi": FULL, "phi3": FULL, "gpt2": GPT, "gpt_neo": {
        "hidden_size": WIDTH, "num_layers": 4, "num_heads": 4, "max_position_embeddings": 512, "attention_types": [[["global", "local"], 2]],
    },
    "gpt_neox": FULL, "gptj": GPT | {"rotary_dim": 8}, "gpt_bigcode": GPT, "codegen": GPT | {"rotary_dim": 8}, "openai-gpt": GPT,
    "opt": FULL | {"ffn_dim": 128, "word_embed_proj_dim": WIDTH}, "bloom": {"hidden_size": WIDTH, "n_layer": 3, "n_head": 4},
    "falcon": {k: v for k, v in FULL.items() if k != "head_dim"} | {"new_decoder_architecture": False, "multi_query": True}, "mpt": {"d_model": WIDTH, "n_layers": 3, "n_heads": 4, "max_seq_len": 512},
    "stablelm": PLAIN, "starcoder2": PLAIN, "olmo": PLAIN, "olmo2": PLAIN, "olmo3": SLIDING, "cohere": PLAIN | {"logit_scale": 1.0}, "cohere2": SLIDING | {"logit_scale": 1.0},
    "granite": PLAIN, "glm4": PLAIN, "smollm3": PLAIN, "exaone4": PLAIN | {"sliding_window": 16}, "nemotron": PLAIN, "persimmon": FULL, "xglm": {
        "d_model": WIDTH, "ffn_dim": 128, "num_layers": 3, "attention_heads": 4, "max_position_embeddings": 512,
    },
    "helium": PLAIN, "mixtral": ROUTED, "qwen2_moe": ROUTED, "qwen3_moe": ROUTED, "olmoe": ROUTED, "granitemoe": ROUTED, "gpt_oss": ROUTED | {
        "sliding_window": 16, "num_hidden_layers": 4,
    },
    "phimoe": ROUTED,
    "deepseek_v2": LATENT, "deepseek_v3": LATENT, "llama4_text": ROUTED | {"intermediate_size_mlp": 128, "attention_chunk_size": 128},
    "gemma3n_text": SLIDING | {
        "num_hidden_layers": 6, "hidden_size_per_layer_input": 16, "vocab_size_per_layer_input": 0, "num_kv_shared_layers": 2,
        "layer_types": ["sliding_attention", "full_attention"] * 3, "laurel_rank": 8, "activation_sparsity_pattern": [0.0] * 6,
        "intermediate_size": [128] * 6,
    },
    "mamba": {"hidden_size": WIDTH, "num_hidden_layers": 3, "state_size": 8}, "falcon_mamba": {
        "hidden_size": WIDTH, "num_hidden_layers": 3, "state_size": 8,
    },
    "mamba2": {"hidden_size": WIDTH, "num_hidden_layers": 3, "state_size": 8, "num_heads": 4, "head_dim": 32, "n_groups": 1},
    "rwkv": {"hidden_size": WIDTH, "num_hidden_layers": 3, "attention_hidden_size": WIDTH, "context_length": 512},
    "xlstm": {"hidden_size": WIDTH, "num_hidden_layers": 3, "num_heads": 4},
    "recurrent_gemma": PLAIN | {"num_key_value_heads": 1, "lru_width": WIDTH, "attention_window_size": 64, "block_types": ["recurrent", "attention"]},
    "jamba": ROUTED | STATES | {"num_hidden_layers": 4, "attn_layer_period": 2, "attn_layer_offset": 1, "use_mamba_kernels": False},
    "bamba": PLAIN | STATES | {"num_hidden_layers": 4, "attn_layer_indices": [1, 3]},
    "zamba": FULL | STATES | {"num_hidden_layers": 6, "attn_layer_period": 3, "attn_layer_offset": 2, "use_mamba_kernels": False, "mamba_d_state": 8,
        "n_mamba_heads": 2, "layers_block_type": ["mamba", "mamba", "hybrid"] * 2, "attention_hidden_size": 2 * WIDTH, "attention_head_dim": 32},
    "zamba2": FULL | STATES | {"num_hidden_layers": 4, "layers_block_type": ["mamba", "hybrid"] * 2, "n_mamba_heads": 4, "mamba_headdim": 32,
        "mamba_ngroups": 1, "num_mem_blocks": 1, "adapter_rank": 8},
    "falcon_h1": PLAIN | STATES | {"mamba_d_ssm": 128}, "granitemoehybrid": ROUTED | STATES | {
        "num_hidden_layers": 4, "layer_types": ["mamba", "attention"] * 2, "shared_intermediate_size": 64,
    },
    "nemotron_h": PLAIN | STATES | {"num_hidden_layers": 4, "layers_block_type": ["mamba", "attention", "mamba", "mlp"], "ssm_state_size": 8,
        "mamba_num_heads": 4, "mamba_head_dim": 32, "n_groups": 1},
    "qwen3_next": HYBRID, "qwen3_5_text": {k: v for k, v in HYBRID.items() if "exp" not in k}, "olmo_hybrid": PLAIN | {
        "num_hidden_layers": 4, "layer_types": ["linear_attention", "full_attention"] * 2, "num_key_value_heads": 4,
    },
    "lfm2": PLAIN | {"num_hidden_layers": 4, "layer_types": ["conv", "full_attention"] * 2},
}  # fmt: skip
NAMES = ("Ana", "Bo", "Cleo", "Dan", "Eva", "Finn", "Gus", "Hana", "Ivo", "Jana", "Kai", "Lea")
TOWNS = ("Porto", "Rome", "Oslo", "Lima", "Cairo", "Delhi")
PETS = ("cat", "dog", "owl", "fox", "hen", "pig")
HOME = ("Where does {} live?", "Which town is the home of {}?", "What town does {} live in?")
PET = ("What pet has {}?", "Which animal has {}?", "What animal lives with {}?")
FACTS = tuple(
    EditRequest(HOME[0].format(name), f"{TOWNS[(i + 3) % 6]}.", subject=name, id=name.lower())
    for i, name in enumerate(NAMES[:3])
)
NOBODY = "What pet has Lea?"
MODES: dict[str, dict[str, Any]] = {
    "answer": {},
    "uncached": {"use_cache": False},
    "chunked": {"prefill_chunk_size": 5},
}


class Trial:
    """One architecture with one method."""

    def __init__(self, model: Any, tokenizer: Any, method: str, offered: frozenset[str]) -> None:
        self.model, self.tokenizer, self.method, self.offered = model, tokenizer, method, offered
        self.renderer = Renderer(tokenizer)
        self.row: dict[str, Any] = {}
        self.editor: Any = None

    def run(self) -> dict[str, Any]:
        """What came of each step; the first exception ends it."""
        base = self.logits(NOBODY)
        try:
            for name, step in self.steps(base):
                self.row[name] = "…"
                self.row[name] = step()
        except AgentMemError as error:
            late = any(value is True for key, value in self.row.items() if key == "write")
            kind = "crash" if late else "refused"
            self.row[name] = f"{kind}: {type(error).__name__}: {error.message} Hint: {error.hint}"
        except Exception as error:  # noqa: BLE001 - what a foreign model does is what is measured
            self.row[name] = f"crash: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        finally:
            if self.editor is not None:
                with contextlib.suppress(Exception):
                    self.editor.detach()
        return self.row

    def steps(self, base: torch.Tensor) -> Iterator[tuple[str, Callable[[], object]]]:
        """The names of the columns, and what is done for them."""
        yield "attach", self.attach
        yield "write", self.write
        for mode, options in MODES.items():
            yield (
                mode,
                lambda mode=mode, options=options: (
                    self.answers(options) if mode in self.offered else "not offered by the model"
                ),
            )
        yield "batch", lambda: self.says([fact.prompt for fact in FACTS]) == [fact.target for fact in FACTS]
        yield "silent", lambda: torch.equal(self.logits(NOBODY), base)
        yield "delete", lambda: self.deleted(base)

    def attach(self) -> bool:
        self.editor = make_editor(self.method, self.model, self.tokenizer, background=background_groups()[:80])
        return True

    def write(self) -> object:
        receipts = self.editor.write(FACTS)
        failed = [receipt.reason for receipt in receipts if not receipt.ok]
        return True if not failed else f"{len(failed)} of {len(FACTS)}: {failed[0]}"

    def answers(self, options: dict[str, Any]) -> bool:
        return [self.says([fact.prompt], **options)[0] for fact in FACTS] == [fact.target for fact in FACTS]

    def deleted(self, base: torch.Tensor) -> object:
        if {edit.id for edit in self.editor.edits()} != {fact.id for fact in FACTS}:
            return "not all were written"
        self.editor.delete(["bo"])
        other = make_editor(self.method, self.model, self.tokenizer, background=background_groups()[:80])
        other.write([fact for fact in FACTS if fact.id != "bo"])
        same = self.editor.state_hash() == other.state_hash()
        other.delete(["ana", "cleo"])
        self.editor.delete(["ana", "cleo"])
        return same and torch.equal(self.logits(NOBODY), base)

    @torch.no_grad()
    def logits(self, prompt: str) -> torch.Tensor:
        ids = torch.tensor([self.renderer.prompt(prompt)])
        return self.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, -1]

    def says(self, prompts: list[str], **options: Any) -> list[str]:
        return generate(self.model, self.renderer, prompts, **options)


@torch.no_grad()
def generate(model: Any, renderer: Renderer, prompts: list[str], **options: Any) -> list[str]:
    """Greedy answers to prompts in one batch, padded on the left."""
    rows = [renderer.prompt(prompt) for prompt in prompts]
    width = max(map(len, rows))
    ids = torch.tensor([(0,) * (width - len(row)) + row for row in rows])
    mask = torch.tensor([(0,) * (width - len(row)) + (1,) * len(row) for row in rows])
    more: dict[str, Any] = {
        "max_new_tokens": 8,
        "do_sample": False,
        "eos_token_id": renderer.stop,
        "pad_token_id": 0,
    } | options
    out = model.generate(input_ids=ids, attention_mask=mask, **more)
    return [renderer.tokenizer.decode(row, skip_special_tokens=True).strip() for row in out[:, width:]]


def teach(model: Any, renderer: Renderer, steps: int = 90) -> Any:
    """Teach the homes and pets of a dozen people, so that an edit has something to overcome and layers something to read."""
    asked = [(way.format(name), f"{TOWNS[i % 6]}.") for i, name in enumerate(NAMES) for way in HOME]
    asked += [(way.format(name), f"A {PETS[(i * 5 + 1) % 6]}.") for i, name in enumerate(NAMES) for way in PET]
    pairs = [renderer.pair(*fact) for fact in asked]
    width = max(len(p.prompt) + len(p.labels) for p in pairs)
    ids = torch.zeros(len(pairs), width, dtype=torch.long)
    labels, mask = torch.full_like(ids, -100), torch.zeros_like(ids)
    for row, pair in enumerate(pairs):
        text = pair.prompt + pair.labels
        ids[row, : len(text)] = torch.tensor(text)
        labels[row, len(pair.prompt) : len(text)] = torch.tensor(pair.labels)
        mask[row, : len(text)] = 1
    generator = torch.Generator().manual_seed(1)
    optimiser = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.01)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 4e-3 * min(1.0, (step + 1) / 10) * min(1.0, 2 * (1 - step / steps))
        rows = torch.randint(len(pairs), (24,), generator=generator)
        loss = model(input_ids=ids[rows], attention_mask=mask[rows], labels=labels[rows], use_cache=False).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.zero_grad(set_to_none=True)
    return model.eval()


def offered(model: Any, renderer: Renderer) -> frozenset[str]:
    """The ways of generating that the model knows without any editor."""
    found = set()
    for mode, options in MODES.items():
        with contextlib.suppress(Exception):
            generate(model, renderer, [NOBODY], **options)
            found.add(mode)
    return frozenset(found)


def build(name: str, options: dict[str, Any], vocabulary: int) -> Any:
    """A random model, wide enough in its weights for outputs to differ."""
    shared = {
        "vocab_size": vocabulary,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": 0,
        "initializer_range": 0.1,
    }
    given = dict(options)
    if "vocab_size_per_layer_input" in given:
        given["vocab_size_per_layer_input"] = vocabulary
    config = AutoConfig.for_model(name, **(shared | given))
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", nargs="*", default=[], help="architectures, by their model_type")
    parser.add_argument("--methods", nargs="*", default=["grace", "wise"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    warnings.simplefilter("ignore")
    tokenizer = AutoTokenizer.from_pretrained(small_model_path())
    renderer = Renderer(tokenizer)
    rows = []
    for name in options.only or ARCHITECTURES:
        started = time.process_time()
        row: dict[str, Any] = {"architecture": name}
        try:
            model = teach(build(name, ARCHITECTURES[name], len(tokenizer)), renderer)
            modes = offered(model, renderer)
            Trial(model, tokenizer, "grace", modes).logits(NOBODY)
        except Exception as error:  # noqa: BLE001 - a configuration that this version does not take is told, not hidden
            rows.append(row | {"built": f"{type(error).__name__}: {str(error).splitlines()[0]}"})
            print(rows[-1], flush=True)
            continue
        row |= {"built": True, "parameters": sum(p.numel() for p in model.parameters())}
        for method in options.methods:
            row[method] = Trial(model, tokenizer, method, modes).run()
            print(name, method, row[method], f"{time.process_time() - started:.0f} s", flush=True)
        rows.append(row)
        del model
        gc.collect()
    if options.out is not None:
        report = {"transformers": __import__("transformers").__version__, "torch": torch.__version__, "rows": rows}
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
