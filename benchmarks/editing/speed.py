"""Edits per second: GRACE in batches that reuse the prompt's cache, against one edit at a time through the whole model.

python -m benchmarks.editing.speed --edits 32 --out benchmarks/results/editing_speed.json

Three ways to find the same kind of value for the same facts in one run: the library's batches, the library one edit at a time,
and a plain loop that runs the whole model on prompt and target in every step, with the same optimiser, step size and stopping
rule. Beside them what the published algorithm's own settings take, and WISE by the shard and record after record.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import cross_entropy

from agentmem.editors import make_editor
from agentmem.editors.grace.config import GraceConfig
from agentmem.editors.grace.writer import fit_values
from agentmem.editors.port import ModelPort
from agentmem.editors.prompts import Rendered, Renderer
from agentmem.editors.wise.config import WiseConfig
from agentmem.evaluation.world import World
from agentmem.small_model import small_model_path
from benchmarks.editing.streams import known, load, samples

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentmem.edits import EditRequest


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


def rows(model: Any, tokenizer: Any, requests: Sequence[EditRequest], wise: int) -> list[dict[str, object]]:
    """Every way on the same facts, one after the other."""
    port, renderer, config = ModelPort(model, tokenizer), Renderer(tokenizer), GraceConfig()
    contexts = [renderer.pair(request.prompt, request.target) for request in requests]
    single = config.model_copy(update={"batch": 1})
    layer = config.layer_of(port.depth)
    few = max(2, len(contexts) // 4)

    def paper() -> int:
        editor: Any = make_editor("grace", model, tokenizer, config=GraceConfig.paper())
        done = sum(receipt.ok for receipt in editor.write(requests[:few]))
        editor.detach()
        return done

    def side_memory(options: WiseConfig, count: int) -> Callable[[], int]:
        editor: Any = make_editor("wise", model, tokenizer, config=options)
        editor.calibrate()
        _ = editor._trainer.background  # what is found once must not count here

        def write() -> int:
            done = sum(receipt.ok for receipt in editor.write(requests[:count]))
            editor.detach()
            return done

        return write

    def fitted(chosen: GraceConfig, count: int) -> int:
        return sum(fit.converged for fit in fit_values(port, [[c] for c in contexts[:count]], layer, chosen))

    ways: list[tuple[str, int, Callable[[], int]]] = [
        ("GRACE values, in batches", len(contexts), lambda: fitted(config, len(contexts))),
        ("GRACE values, one by one", few, lambda: fitted(single, few)),
        ("GRACE values, one by one, whole model each step", few, lambda: sum(
            whole_model(port, context, layer, config) for context in contexts[:few])),
        ("published GRACE, 100 steps each", few, paper),
        ("WISE, a shard together", min(64, len(requests)), side_memory(WiseConfig(), min(64, len(requests)))),
        ("published WISE, record after record", wise, side_memory(WiseConfig.paper(), wise)),
    ]  # fmt: skip
    found = []
    for name, count, way in ways:
        started = time.process_time()
        done = way()
        seconds = time.process_time() - started
        found.append({"way": name, "edits": count, "done": done, "seconds_per_edit": round(seconds / count, 4),
                      "edits_per_second": round(count / seconds, 2)})  # fmt: skip
        print(json.dumps(found[-1]), flush=True)
    return found


def main() -> None:
    """Parse the command line, measure, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=small_model_path())
    parser.add_argument("--edits", type=int, default=64)
    parser.add_argument("--wise", type=int, default=4, help="records of published WISE")
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    os.environ.setdefault("KMP_BLOCKTIME", "0")
    torch.set_num_threads(1)
    (model, tokenizer), world = load(options.model), World.generate()
    facts = known(model, tokenizer, world, options.edits, Random(11))
    requests = [sample.request for sample in samples(world, facts, 0, 12)]
    report = {
        "note": "CPU seconds, one thread, one run",
        "rows": rows(model, tokenizer, requests, options.wise),
    }
    if options.out is not None:
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
