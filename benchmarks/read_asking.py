"""Learn to read off a text whether it only asks, and say how well that works.

python -m benchmarks.read_asking [--save agentmem/data/asking/asking.tsv] [--out benchmarks/results/read_asking.json]

Logistic regression on rows of words (`agentmem/extract/asking.py`), learnt from what strangers wrote (`benchmarks/strangers/`): `asks.jsonl`; what is
told and asked in `facts.jsonl` and `wordings.jsonl`; `kinds.jsonl` but for its tasks, of which nobody said whether they tell something besides. Every author's texts are judged by weights that were learnt without
that author; the lives, of which nothing is learnt, by all.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from agentmem.extract.asking import Asking, Gram, grams, scaled_length
from agentmem.notes.rows import asks
from benchmarks.life import Life

STRANGERS = Path(__file__).with_name("strangers")
RIDGE = 2e-5
"""Weight of the squares of all weights but those of any text, for a mean over texts."""
LEAST = 2
"""Texts that a row of words has to occur in."""
LIKELY = 0.5


FOREIGN = frozenset({"german", "spanish", "chinese"})


class Message(NamedTuple):
    """What somebody wrote, and whether it only asks."""

    author: str
    text: str
    only_asks: bool
    tells: bool


def messages() -> list[Message]:
    """All that is learnt from."""
    found = [
        Message(line["author"], line["text"], line["is"] == "asks", line["is"] in {"tells", "both"})
        for line in _lines("asks.jsonl")
    ]
    found += [
        Message("kinds", line["text"], line["kind"] == "recall", line["kind"] in {"fact", "standing"})
        for line in _lines("kinds.jsonl")
        if line["kind"] != "task"
    ]
    for line in _lines("facts.jsonl"):
        if line["kind"] not in FOREIGN:
            author = f"{line['author']}, facts"
            found.append(Message(author, line["told"], False, True))
            found += [Message(author, text, True, False) for text in (*line["asks"][:2], line["near"][0])]
    for line in _lines("wordings.jsonl"):
        author = f"{line['author']}, wordings"
        found.append(Message(author, line["fact"], False, True))
        found += [Message(author, text, True, False) for text in (line["question"], line["different"][0]["text"])]
    return found


def _lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (STRANGERS / name).read_text(encoding="utf-8").splitlines()]


def learnt(texts: Sequence[Message]) -> Asking:
    """Weights from some messages."""
    counted = [grams(each.text) for each in texts]
    among = Counter(gram for each in counted for gram in each)
    known = sorted(gram for gram, count in among.items() if count >= LEAST)
    rarity = {gram: 1.0 + math.log((1 + len(texts)) / (1 + among[gram])) for gram in known}
    rarest = 1.0 + math.log((1 + len(texts)) / 2)
    place = {gram: n for n, gram in enumerate(known)}
    rows, columns, values = [], [], []
    for row, each in enumerate(counted):
        all_ = {gram: rarity.get(gram, rarest) * (1.0 + math.log(count)) for gram, count in each.items()}
        norm = math.sqrt(sum(value * value for value in all_.values())) or 1.0
        mine = {gram: value for gram, value in all_.items() if gram in place}
        rows += [row] * len(mine)
        columns += [place[gram] for gram in mine]
        values += [value / norm for value in mine.values()]
    words = torch.sparse_coo_tensor(torch.tensor([rows, columns]), torch.tensor(values, dtype=torch.double), (len(texts), len(known)))  # fmt: skip
    rest = torch.tensor([[scaled_length(each.text), float(asks(each.text) > 0), 1.0] for each in texts]).double()
    found = _fit(words.coalesce(), rest, torch.tensor([float(each.only_asks) for each in texts]).double())
    weights = {gram: Gram(rarity[gram], float(found[place[gram]])) for gram in known}
    return Asking(weights, rarest, *map(float, found[-3:]))


def _fit(words: torch.Tensor, rest: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    size = words.shape[1]
    weights = torch.zeros(size + rest.shape[1], dtype=torch.double, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        scores = torch.mv(words, weights[:size]) + rest @ weights[size:]
        loss: torch.Tensor = torch.nn.functional.binary_cross_entropy_with_logits(scores, wanted)
        loss = loss + RIDGE * weights[:-1].square().sum() / 2
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return weights.detach()


def ahead(asking: Sequence[float], others: Sequence[float]) -> float:
    """The share of pairs in which what asks is held for likelier to (area under the curve)."""
    mine, theirs = np.array(asking)[:, None], np.array(others)[None, :]
    return float((mine > theirs).mean() + (mine == theirs).mean() / 2)


def judged(reading: Asking, texts: Sequence[Message]) -> dict[str, float]:
    """How well a reading does on some messages."""
    likely = [reading.likely(each.text) for each in texts]
    asking = [value for value, each in zip(likely, texts, strict=True) if each.only_asks]
    telling = [value for value, each in zip(likely, texts, strict=True) if each.tells]
    return {
        "area": round(ahead(asking, telling), 4),
        "asking found": round(float(np.mean(np.array(asking) >= LIKELY)), 4),
        "telling taken for it": round(float(np.mean(np.array(telling) >= LIKELY)), 4),
        "texts": len(texts),
    }


def of_life(life: Life) -> list[Message]:
    """The questions of a life, and its turns that answer one."""
    answers = {turn for question in life.questions for turn in question.answers}
    told = [Message(life.name, line["text"], False, True) for line in life.turns if line["id"] in answers]
    asked = [Message(life.name, text, True, False) for each in life.questions for text in (each.text, each.again)]
    return told + asked


def main() -> None:
    """Parse the command line, learn, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--save", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    texts = messages()
    reading = learnt(texts)
    report: dict[str, dict[str, float]] = {}
    for author in sorted({each.author for each in texts}):
        without = learnt([each for each in texts if each.author != author])
        report[f"author {author}"] = judged(without, [each for each in texts if each.author == author])
    for path in sorted((STRANGERS / "life").glob("*.jsonl")):
        report[f"life of {path.stem}"] = judged(reading, of_life(Life.load(path)))
    print(json.dumps(report, indent=1), len(reading.grams))
    if options.out is not None:
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if options.save is not None:
        options.save.write_text(reading.written(), encoding="utf-8")


if __name__ == "__main__":
    main()
