"""Train the small model from nothing.

python -m benchmarks.small_model.train --out build/small_model --tokens 8000000
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import torch
from transformers import GenerationConfig, LlamaForCausalLM

from agentmem.evaluation.world import World
from benchmarks.small_model.guidance import LESSONS
from benchmarks.small_model.muon import Muon
from benchmarks.small_model.parallel import GradientPool
from benchmarks.small_model.quick import quick_accuracy
from benchmarks.small_model.recipe import Schedule, model_config
from benchmarks.small_model.rows import RowSource
from benchmarks.small_model.tokenizer import build_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = ["Budget", "Trainer", "main"]

_LOG_EVERY = 20


@dataclass
class _Progress:
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Budget:
    """How long to train: a number of tokens, or of wall-clock minutes. Only tokens make a run repeatable."""

    tokens: int
    minutes: float | None = None

    def done(self, progress: _Progress) -> float:
        """Return the share of the budget that is used up."""
        if self.minutes is not None:
            return progress.seconds / (60 * self.minutes)
        return progress.tokens / self.tokens


class Trainer:
    """Owns model, optimisers and data; `run` trains to a number of tokens."""

    def __init__(self, out: Path, seed: int, budget: Budget, helper_niceness: int | None) -> None:
        """Build everything from ``seed``."""
        torch.manual_seed(seed)
        self.out, self.budget = out, budget
        self.schedule = Schedule()
        self.world = World.generate()
        self.tokenizer, self.model = self.start(seed)
        self.model.config._attn_implementation = "sdpa"
        self.pool = GradientPool(self.model, helper_niceness)
        matrices = [p for n, p in self.model.named_parameters() if p.ndim == 2 and "embed" not in n]
        rest = [p for n, p in self.model.named_parameters() if p.ndim != 2 or "embed" in n]
        self.muon = Muon(matrices, dtype=torch.bfloat16)
        self.adam = torch.optim.AdamW(rest, lr=1.0, betas=(0.9, 0.95), weight_decay=0.0)
        self.rows = self.source(Random(seed))
        self.progress = _Progress()
        self.lessons = torch.zeros(LESSONS)

    def start(self, seed: int) -> tuple[PreTrainedTokenizerFast, LlamaForCausalLM]:
        """Return the tokenizer and the untrained model."""
        return build_tokenizer(self.world, seed), LlamaForCausalLM(model_config())

    def source(self, rng: Random) -> RowSource:
        """Return where rows come from."""
        return RowSource(self.world, self.tokenizer.backend_tokenizer, self.schedule, rng)

    def figures(self) -> dict[str, float]:
        """Return what is measured in between."""
        return quick_accuracy(self.model, self.tokenizer, self.world)

    def run(self, check_every: int) -> None:
        """Train until the tokens are used up, measuring and saving every ``check_every`` tokens."""
        started = time.monotonic() - self.progress.seconds
        next_check, losses = self.progress.tokens + check_every, [0.0]
        while self.budget.done(self.progress) < 1:
            losses.append(self._step())
            self.progress.seconds = time.monotonic() - started
            if self.progress.step % _LOG_EVERY == 0:
                mean = sum(losses[-_LOG_EVERY:]) / _LOG_EVERY
                self._log(
                    wall=round(self.progress.seconds),
                    loss=round(mean, 4),
                    lessons=[round(x, 3) for x in self.lessons.tolist()],
                )
            if self.progress.tokens >= next_check:
                next_check += check_every
                self._check()
        self._check()
        self.pool.close()

    def _step(self) -> float:
        done = self.budget.done(self.progress)
        batch = self.rows.batch(self.progress.step, done)
        loss, lessons = self.pool.backward(batch)
        self.lessons = self.lessons.lerp(lessons, 0.05)
        factor = self.schedule.factor(self.progress.step, done)
        self.muon.step(self.schedule.matrix_rate * factor)
        for group in self.adam.param_groups:
            group["lr"] = self.schedule.other_rate * factor
        self.adam.step()
        self.progress.step += 1
        self.progress.tokens += batch.tokens.numel()
        return loss

    def _check(self) -> None:
        self.model.eval()
        figures = self.figures()
        self.model.train()
        self._log(**figures)
        self.save()
        torch.save(self._state(), self.out / "state.pt")

    def save(self) -> None:
        """Write ordinary Hugging Face files, weights in bfloat16."""
        weights = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        copy = LlamaForCausalLM(self.model.config)
        copy.load_state_dict(weights)
        copy.generation_config = GenerationConfig(
            bos_token_id=copy.config.bos_token_id,
            eos_token_id=copy.config.eos_token_id,
            pad_token_id=copy.config.pad_token_id,
            do_sample=False,
            max_new_tokens=32,
        )
        copy.bfloat16().save_pretrained(self.out)
        self.tokenizer.save_pretrained(self.out)

    def _state(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "muon": self.muon.buffers,
            "adam": self.adam.state_dict(),
            "progress": asdict(self.progress),
            "random": self.rows.rng.getstate(),
        }

    def resume(self, path: Path) -> None:
        """Continue from the state that an earlier run saved at ``path``."""
        # Our own file, which also holds the state of `random.Random`: weights alone would not do.
        state = torch.load(path, weights_only=False)
        self.model.load_state_dict(state["model"])
        self.muon.buffers.update(state["muon"])
        self.adam.load_state_dict(state["adam"])
        self.progress = _Progress(**state["progress"])
        self.rows.rng.setstate(state["random"])

    def _log(self, **figures: object) -> None:
        cpu = round(time.process_time() / 60, 2)
        line = {"step": self.progress.step, "tokens": self.progress.tokens, "cpu_minutes": cpu, **figures}
        with (self.out / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)


def main(kind: type[Trainer] = Trainer, what: str | None = __doc__, tokens: int = 8_000_000) -> None:
    """Parse the command line and train with a trainer of this kind."""
    parser = argparse.ArgumentParser(description=what, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokens", type=int, default=tokens)
    parser.add_argument("--minutes", type=float, default=None, help="wall-clock budget instead of --tokens")
    parser.add_argument("--resume", type=Path, default=None, help="state.pt of an earlier run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--check-every", type=int, default=1_000_000)
    parser.add_argument("--helper-nice", type=int, default=None, help="niceness of a helper process; none without")
    options = parser.parse_args()
    os.environ.setdefault("KMP_BLOCKTIME", "0")
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    trainer = kind(options.out, options.seed, Budget(options.tokens, options.minutes), options.helper_nice)
    if options.resume:
        trainer.resume(options.resume)
    trainer.run(options.check_every)


if __name__ == "__main__":
    main()
