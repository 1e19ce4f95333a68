"""Edits per second, end to end: an editor is made, calibrated where it has to be, and writes the same facts.

python -m benchmarks.editing.speed --edits 64 --rounds 3 --out benchmarks/results/editing_speed.json

Each way is measured whole, from the model to the edits in place, on the same facts, and the ways take turns, round after round:
GRACE and WISE as they are, and both as published. Calibration is paid once however many edits follow, so it stands beside.
Below them, values alone, in three ways: the library's batches, the library one edit at a time, and a plain loop that runs the
whole model on prompt and target in every step, with the same optimiser, step size and stopping rule.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from random import Random
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.nn.functional import cross_entropy

from agentmem.editors import make_editor
from agentmem.editors.grace.config import GraceConfig
from agentmem.editors.grace.writer import fit_values
from agentmem.editors.port import ModelPort
from agentmem.editors.prompts import Rendered, Renderer
from agentmem.editors.wise.config import WiseConfig
from agentmem.evaluation.world import World
from agentmem.llm.small_model import small_model_path
from benchmarks.editing.streams import known, load, samples

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agentmem.notes.edit import EditRequest


class Cost(NamedTuple):
    """Edits that were held, CPU seconds, and how many of these are paid once."""

    done: int
    seconds: float
    once: float


def whole_model(port: ModelPort, context: Rendered, layer: int, config: GraceConfig) -> bool:
    """One value by running the whole model in every step; whether the model then says the target."""
    ids = torch.tensor([[*context.prompt, *context.labels[:-1]]])
    labels, at = torch.tensor(context.labels), len(context.prompt) - 1
    value = torch.zeros(port.structure.d_model, requires_grad=True)
    seen: list[torch.Tensor] = []

    def add(_module: Any, _args: Any, output: Any) -> Any:
        hidden = output[0] if isinstance(output, tuple) else output
        seen.append(hidden[0, at].detach())
        there = torch.nn.functional.one_hot(torch.tensor(at), hidden.shape[1])[None, :, None]
        changed = hidden + there * value
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    handle = port.structure.layers[layer].register_forward_hook(add)
    try:
        with torch.no_grad():
            port.model(input_ids=ids, use_cache=False)
        scale = float(seen[-1].square().mean().sqrt())
        optimiser, streak, said = torch.optim.Adam([value], lr=config.lr * scale), 0, False
        for _ in range(config.steps):
            logits = port.model(input_ids=ids, use_cache=False).logits[0, at:]
            plain = logits.detach()
            own = plain.gather(-1, labels[:, None]).squeeze(-1)
            lead = float((own - plain.scatter(-1, labels[:, None], float("-inf")).amax(-1)).min())
            said, streak = lead > 0, streak + 1 if lead >= config.margin else 0
            if streak >= config.patience:
                break
            (value.grad,) = torch.autograd.grad(cross_entropy(logits, labels), value)
            optimiser.step()
            with torch.no_grad():
                cap = config.norm_cap * scale * value.numel() ** 0.5
                value.mul_(min(1.0, cap / max(float(value.norm()), 1e-12)))
        return said
    finally:
        handle.remove()


def ends(model: Any, tokenizer: Any, requests: Sequence[EditRequest]) -> dict[str, tuple[int, Callable[[], Cost]]]:
    """Every editor from the model to the edits in place: how many edits, and what they cost."""

    def whole(method: str, config: Any, count: int) -> Callable[[], Cost]:
        def work() -> Cost:
            begun = time.process_time()
            editor: Any = make_editor(method, model, tokenizer, config=config)
            if hasattr(editor, "calibrate"):
                editor.calibrate()
            once = time.process_time() - begun
            done = sum(receipt.ok for receipt in editor.write(requests[:count]))
            seconds = time.process_time() - begun
            editor.detach()
            return Cost(done, seconds, once)

        return work

    many, few = len(requests), max(2, len(requests) // 4)
    return {
        "GRACE": (many, whole("grace", GraceConfig(), many)),
        "published GRACE": (few, whole("grace", GraceConfig.paper(), few)),
        "WISE": (many, whole("wise", WiseConfig(), many)),
        "published WISE": (few, whole("wise", WiseConfig.paper(layer=-2), few)),
    }


def values(model: Any, tokenizer: Any, requests: Sequence[EditRequest]) -> dict[str, tuple[int, Callable[[], Cost]]]:
    """GRACE's values alone, without keys, radii and books."""
    port, renderer, config = ModelPort(model, tokenizer), Renderer(tokenizer), GraceConfig()
    contexts = [renderer.pair(request.prompt, request.target) for request in requests]
    single, few = config.model_copy(update={"batch": 1}), max(2, len(contexts) // 4)
    layer = config.layer_of(port.depth)

    def timed(work: Callable[[], int]) -> Callable[[], Cost]:
        def run() -> Cost:
            begun = time.process_time()
            return Cost(work(), time.process_time() - begun, 0.0)

        return run

    def fitted(chosen: GraceConfig, count: int) -> int:
        return sum(fit.converged for fit in fit_values(port, [[c] for c in contexts[:count]], layer, chosen))

    return {
        "GRACE values alone, in batches": (len(contexts), timed(lambda: fitted(config, len(contexts)))),
        "GRACE values alone, one by one": (few, timed(lambda: fitted(single, few))),
        "GRACE values alone, one by one, whole model each step": (
            few, timed(lambda: sum(whole_model(port, context, layer, config) for context in contexts[:few])),
        ),
    }  # fmt: skip


def rows(ways: Mapping[str, tuple[int, Callable[[], Cost]]], rounds: int) -> list[dict[str, object]]:
    """The ways by turns; medians over the rounds."""
    costs: dict[str, list[Cost]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (_, way) in ways.items():
            costs[name].append(way())
            print(f"{name}: {costs[name][-1]}", flush=True)
    found: list[dict[str, object]] = []
    for name, (count, _) in ways.items():
        seconds, once = (median(getattr(cost, what) for cost in costs[name]) for what in ("seconds", "once"))
        found.append({"way": name, "edits": count, "done": costs[name][0].done, "seconds": round(seconds, 3), "of_these_once": round(once, 3),
                      "edits_per_second": round(count / seconds, 2),
                      "edits_per_second_without_what_is_paid_once": round(count / (seconds - once), 2)})  # fmt: skip
    return found


def main() -> None:
    """Parse the command line, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=small_model_path())
    parser.add_argument("--edits", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--machine", default="two CPU cores", help="kept with the result")
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    os.environ.setdefault("KMP_BLOCKTIME", "0")
    torch.set_num_threads(1)
    (model, tokenizer), world = load(options.model), World.generate()
    facts = known(model, tokenizer, world, options.edits, Random(11))
    requests = [sample.request for sample in samples(world, facts, 0, 12)]
    ways = ends(model, tokenizer, requests) | values(model, tokenizer, requests)
    report = {
        "note": "CPU seconds, one thread; medians over rounds by turns",
        "machine": options.machine,
        "rounds": options.rounds,
        "rows": rows(ways, options.rounds),
    }
    if options.out is not None:
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
