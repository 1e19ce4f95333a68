"""From what was trained: calibration and thresholds from authors left out, the file that ships, and its figures on pairs by other hands.

python -m benchmarks.relations.measure --out build/relations --open benchmarks/strangers/test_pairs*.jsonl --projects benchmarks/strangers/projects.jsonl
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file

from agentmem.embedding.relation_model import RELATIONS, RelationModel, packaged_relations
from benchmarks.relations.model import Reader
from benchmarks.relations.pairs import Pair, area_under_curve, read_open, read_pairs, read_projects, recall_at

PRECISION = 0.99
MARKS = 0.5
"""More likely than not; no threshold was looked for."""
REPLACES = RELATIONS.index("replaces")


def calibrated(found: Any, wanted: Any) -> float:
    """The factor on the logits (one over a temperature, Guo et al. 2017) under which those left out are most likely."""
    factors = np.linspace(0.3, 2.0, 171)
    return float(
        min(factors, key=lambda factor: -np.log(chances(found, factor)[np.arange(len(wanted)), wanted]).mean())
    )


def chances(found: Any, sharpness: float) -> Any:
    powers = np.exp(sharpness * (found - found.max(axis=1, keepdims=True)))
    return powers / powers.sum(axis=1, keepdims=True)


def at(threshold: float, chance: Any, truth: Any) -> Mapping[str, float]:
    named = chance >= threshold
    hits = int((named & truth).sum())
    return {
        "threshold": round(float(threshold), 4),
        "named": int(named.sum()),
        "precision": round(hits / max(1, int(named.sum())), 4),
        "recall": round(hits / int(truth.sum()), 4),
        "ordered_right": round(float((named == truth).mean()), 4),
        "replaced_ordered_right": round(hits / int(truth.sum()), 4),
        "others_left_alone": round(float((~named & ~truth).sum() / (~truth).sum()), 4),
    }


def left_out(pairs: Sequence[Pair], out: Path) -> tuple[float, float | None, Mapping[str, Any]]:
    """(sharpness, closes) and the figures of those authors' pairs whom a model was trained without, read by that model."""
    authors = [author for author in sorted({pair.author for pair in pairs}) if (out / f"without_{author}.npy").exists()]
    if not authors:
        return 1.0, None, {}
    pairs = [pair for author in authors for pair in pairs if pair.author == author]
    found = np.concatenate([np.load(out / f"without_{author}.npy") for author in authors]).astype(np.float64)
    wanted = np.array([RELATIONS.index(pair.is_) for pair in pairs])
    truth, sharpness = wanted == REPLACES, calibrated(found, wanted)
    chance, said = chances(found, sharpness)[:, REPLACES], found.argmax(axis=1)
    share, closes = recall_at(PRECISION, chance, truth)
    confusion = [
        [int(((wanted == i) & (said == j)).sum()) for j in range(len(RELATIONS))] for i in range(len(RELATIONS))
    ]
    return (
        sharpness,
        closes if share else None,
        {
            "authors": authors,
            "right": round(float((said == wanted).mean()), 4),
            "area_under_curve": round(area_under_curve(chance, truth), 4),
            "confusion": {"rows are": RELATIONS, "columns are said": RELATIONS, "counts": confusion},
            "recall_at_precision": {str(p): round(recall_at(p, chance, truth)[0], 4) for p in (0.9, 0.95, 0.97, 0.99)},
            "marks": at(MARKS, chance, truth),
        },
    )


def ship(reader: Reader, rank: int, about: Mapping[str, Any], file: Path) -> None:
    """What training added, matrices as the product of two thin ones (Eckart & Young 1936), in half precision."""
    tensors: dict[str, Any] = {}
    for name, weight in reader.named_weights().items():
        added = (weight - reader.base[name]).double()
        if added.ndim == 1:
            tensors[name] = added
            continue
        left, sizes, right = torch.linalg.svd(added, full_matrices=False)
        roots = sizes[:rank].sqrt()
        tensors[f"{name}.up"], tensors[f"{name}.down"] = left[:, :rank] * roots, roots[:, None] * right[:rank]
    tensors |= {"head.weight": reader.head.weight.detach(), "head.bias": reader.head.bias.detach()}
    halves = {name: np.ascontiguousarray(tensor.numpy().astype(np.float16)) for name, tensor in tensors.items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(halves, str(file), metadata={"agentmem": json.dumps(about)})


def opened(model: RelationModel, pairs: Sequence[Pair]) -> tuple[Any, Any]:
    return model.between([pair.texts for pair in pairs])[:, REPLACES].astype(np.float64), np.array(
        [p.is_ == "replaces" for p in pairs]
    )


def by_others(model: RelationModel, pairs: Sequence[Pair]) -> Mapping[str, Any]:
    """The figures of pairs that nothing is trained on."""
    chance, truth = opened(model, pairs)
    return {
        "pairs": len(pairs),
        "area_under_curve": round(area_under_curve(chance, truth), 4),
        "recall_at_precision": {str(p): round(recall_at(p, chance, truth)[0], 4) for p in (0.8, 0.9, 0.95, 0.99)},
        "marks": at(MARKS, chance, truth),
    }


def timed(model: RelationModel, pairs: Sequence[Pair], together: int) -> float:
    """Milliseconds of processor time a pair, in calls of so many."""
    texts = [pair.texts for pair in pairs][: 8 * together]
    began = time.process_time()
    for start in range(0, len(texts), together):
        model.between(texts[start : start + together])
    return round(1000 * (time.process_time() - began) / len(texts), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="what benchmarks.relations.train wrote")
    parser.add_argument(
        "--open", type=Path, nargs="+", default=(), help="pairs by other hands, which nothing is trained on"
    )
    parser.add_argument("--projects", type=Path, nargs="+", default=(), help="messages of one user about one thing")
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--file", type=Path, default=packaged_relations())
    parser.add_argument("--results", type=Path, default=Path(__file__).parent.parent / "results" / "relations.json")
    args = parser.parse_args()
    sharpness, closes, figures = left_out(read_pairs(), args.out)
    reader = Reader()
    reader.load_state_dict(torch.load(args.out / "reader.pt", weights_only=True))
    about = {"relations": RELATIONS, "sharpness": sharpness, "marks": MARKS, "closes": closes}
    ship(reader.eval(), args.rank, about, args.file)
    model, report = RelationModel(args.file), {"shipped": {**about, "rank": args.rank}, "authors_left_out": figures}
    others = {path.stem: read_open(path) for path in args.open}
    others |= {path.stem: read_projects(path) for path in args.projects}
    if others:
        report["other_hands"] = {name: by_others(model, pairs) for name, pairs in others.items()}
    report["milliseconds_a_pair"] = {str(n): timed(model, read_pairs(), n) for n in (1, 8)}
    report["megabytes"] = round(args.file.stat().st_size / 1e6, 2)
    args.results.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
