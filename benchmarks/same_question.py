"""Train the reader of two questions, and measure it on authors left out: does what answers the one answer the other?

python -m benchmarks.same_question --without d,i --out build/same    # two authors left out, to measure
python -m benchmarks.same_question --out build/same --ship           # with all of them: what ships

The wordings are `benchmarks/strangers/wordings*.jsonl`: facts with ten ways to ask for each and eight questions that look alike and ask for
something else. Beside these pairs, a fact's own wordings among each other, other facts' questions that are near, and what was said in the
turn before, in front of either.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch

from agentmem.consolidation.templates import TEMPLATES
from agentmem.embedding.embedders import make_embedder
from agentmem.embedding.same_question import packaged_same_question
from agentmem.notes.protocols import Embedder
from benchmarks.relations.measure import ship
from benchmarks.relations.model import Reader
from benchmarks.relations.pairs import Pair, area_under_curve
from benchmarks.relations.train import fit, logits

__all__ = ["LABELS", "judged", "read_wordings", "taught"]

LABELS = ("other", "same")
WORDINGS = Path(__file__).parent / "strangers"
RANK, EPOCHS = 64, 3
TEMPLATED = 12
"""Times that each relation's templates are filled."""
LEADS = (
    *(
        "Another thing:",
        "Quick one:",
        "Hey,",
        "Sorry to bother you,",
        "By the way,",
        "I was just asked this:",
        "While I think of it:",
    ),
    *(
        "Good morning!",
        "Next question:",
        "Before I forget:",
        "ok so",
        "Hm,",
        "A colleague wants to know:",
        "For my list:",
        "Please:",
    ),
)
_SAYS_NOTHING = frozenset(
    "what which who when where how is are was the a an of for in on at to do does did my our s i we it have has".split()
)
Told = Mapping[str, Any]


def read_wordings(paths: Sequence[Path]) -> list[Told]:
    """Facts with ``question``, ``same``, ``different`` and ``author``; the name of a file where a line has none."""
    return [{"author": path.stem} | json.loads(line) for path in paths for line in path.open(encoding="utf-8")]


def judged(facts: Sequence[Told]) -> list[Pair]:
    """The question of each fact with each way to ask for it, and with each that asks for something else; ``topic`` is which."""
    found = []
    for fact in facts:
        found += [Pair(fact["question"], _said(each), "same", fact["author"], each["how"]) for each in fact["same"]]
        found += [
            Pair(fact["question"], each["text"], "other", fact["author"], f"not {each['why']}")
            for each in fact["different"]
        ]
    return found


def taught(facts: Sequence[Told], rng: Random, embedder: Embedder) -> list[Pair]:
    """What the reader learns from: those pairs, and others that follow from them."""
    near, found = _nearest(facts, embedder), judged(facts)
    names = sorted({name for fact in facts for name in _named(fact)})
    for place, fact in enumerate(facts):
        others = [each for each in facts if each is not fact and each["author"] == fact["author"]]
        found += [
            Pair(before, later, is_, fact["author"])
            for before, later, is_ in (
                *_of_itself(fact, rng),
                *((fact["question"], facts[other]["question"], "other") for other in near[place]),
                *((fact["question"], _said(rng.choice(rng.choice(others)["same"])), "other") for _ in range(3)),
                *_after_a_turn(fact, others, rng),
                *_of_others(fact, names, rng),
                *_led_in(fact, rng),
            )
        ]
    return found + [Pair(before, later, is_, "templates") for before, later, is_ in _of_templates(names, rng)]


def _of_itself(fact: Told, rng: Random) -> list[tuple[str, str, str]]:
    plain = [each["text"] for each in fact["same"] if "before" not in each]
    unlike = [each["text"] for each in fact["different"]]
    return [
        (fact["question"], fact["question"], "same"),
        *((*rng.sample(plain, 2), "same") for _ in range(3)),
        *((rng.choice(plain), rng.choice(unlike), "other") for _ in range(6)),
        *((fact["question"], rng.choice(unlike).lower().rstrip("?"), "other") for _ in range(2)),
    ]


def _after_a_turn(fact: Told, others: Sequence[Told], rng: Random) -> list[tuple[str, str, str]]:
    """With what was said before: of the same, of another matter of it, and of somebody else."""
    turn, question = _turn(fact), fact["question"]
    other = rng.choice(others)
    strange = next(
        (each for each in rng.sample(list(others), 6) if not _words(each["question"]) & _words(question)), None
    )
    plain = rng.choice([each["text"] for each in fact["same"] if "before" not in each])
    found = [
        (question, f"{turn['before']} {rng.choice(fact['different'])['text']}", "other"),
        (question, f"{_turn(other)['before']} {plain}", "same"),
        (question, f"{_turn(other)['before']} {turn['text']}", "other"),
    ]
    if strange is not None:
        found.append((question, f"{turn['before']} {_turn(strange)['text']}", "other"))
    return found


def _of_others(fact: Told, names: Sequence[str], rng: Random) -> list[tuple[str, str, str]]:
    """The same wording with another name in it asks for something else; with the other name on both sides it asks for the same."""
    found = []
    mine = _named(fact)
    for name in rng.sample(mine, min(2, len(mine))):
        said = [
            each["text"] for each in fact["same"] if "before" not in each and re.search(rf"\b{name}\b", each["text"])
        ]
        for text in rng.sample(said, min(2, len(said))):
            other = rng.choice(names)
            if other not in mine:
                swapped = re.sub(rf"\b{name}\b", other, text)
                found.append((fact["question"], swapped, "other"))
                found.append((re.sub(rf"\b{name}\b", other, fact["question"]), swapped, "same"))
    return found


def _led_in(fact: Told, rng: Random) -> list[tuple[str, str, str]]:
    """Behind words that ask for nothing."""
    plain = [each["text"] for each in fact["same"] if "before" not in each]
    ways = ((rng.choice([fact["question"], *plain]), "same"), (rng.choice(fact["different"])["text"], "other"))
    return [(fact["question"], f"{rng.choice(LEADS)} {text}", is_) for text, is_ in ways]


def _of_templates(names: Sequence[str], rng: Random) -> list[tuple[str, str, str]]:
    """How relations are asked for by template: of one and of two persons, of one matter and of two."""
    found = []
    for relation, ways in TEMPLATES.items():
        for _ in range(TEMPLATED):
            one, other = (f"{a} {b}" for a, b in (rng.sample(names, 2), rng.sample(names, 2)))
            two, strange = (
                rng.sample(ways, 2),
                rng.choice(TEMPLATES[rng.choice([r for r in TEMPLATES if r != relation])]),
            )
            found.append((_filled(two[0], one), _filled(two[1], one), "same"))
            found.append((_filled(two[0], one), f"{rng.choice(LEADS)} {_filled(two[1], one)}", "same"))
            found.append((_filled(two[0], one), _filled(rng.choice(two), other), "other"))
            found.append((_filled(two[0], one), _filled(strange, one), "other"))
    return found


def _filled(pattern: str, name: str) -> str:
    own = re.sub(r"\[([^|\]]*)\|[^\]]*\]", r"\1", pattern)
    return (
        own.replace("{ps}", f"{name}'s")
        .replace("{its}", "their")
        .replace("{s}", name)
        .replace("{S}", name)
        .replace("{o}", name)
    )


def _named(fact: Told) -> list[str]:
    """Words of the question with a capital, but its first."""
    return sorted(set(re.findall(r"(?<=\s)[A-Z][a-z]{2,}", fact["question"])))


def _turn(fact: Told) -> Mapping[str, str]:
    return next(each for each in fact["same"] if "before" in each)


def _said(way: Mapping[str, str]) -> str:
    return f"{way['before']} {way['text']}" if "before" in way else way["text"]


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower())) - _SAYS_NOTHING


def _nearest(facts: Sequence[Told], embedder: Embedder) -> list[list[int]]:
    """The two facts whose questions are nearest to each one's."""
    vectors = np.asarray(embedder.embed([fact["question"] for fact in facts]), dtype=np.float32)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1.0)
    return [row.tolist() for row in np.argsort(-cosines)[:, :2]]


def measured(chances: Any, pairs: Sequence[Pair], least: float) -> dict[str, Any]:
    """Area under the curve, what is confirmed and what is let through at ``least`` and at one in a hundred, by way of asking."""
    same = np.array([pair.is_ == "same" for pair in pairs])
    hundredth = float(np.quantile(chances[~same], 0.99))
    kinds = dict.fromkeys(pair.topic for pair in pairs)
    of = {kind: np.array([pair.topic == kind for pair in pairs]) for kind in kinds}
    return {
        "pairs": len(pairs),
        "area": round(float(area_under_curve(chances, same)), 4),
        "least": least,
        "confirmed": round(float((chances[same] >= least).mean()), 4),
        "let through": round(float((chances[~same] >= least).mean()), 4),
        "confirmed where one of a hundred is let through": round(float((chances[same] > hundredth).mean()), 4),
        "at one in a hundred": round(hundredth, 4),
        "by kind": {kind: round(float((chances[of[kind]] >= least).mean()), 3) for kind in kinds},
    }


def chances(reader: Reader, pairs: Sequence[Pair]) -> Any:
    found = np.exp(logits(reader, pairs).astype(np.float64))
    return (found / found.sum(1, keepdims=True))[:, 1]


def main() -> None:
    """Parse the command line, train, measure, ship."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wordings", type=Path, nargs="+", default=sorted(WORDINGS.glob("wordings*.jsonl")))
    parser.add_argument("--without", default="", help="authors to leave out and to measure on, by commas")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--ship", action="store_true")
    parser.add_argument("--least", type=float, default=0.8, help="from which probability two questions are the same")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    options.out.mkdir(parents=True, exist_ok=True)
    facts, left = read_wordings(options.wordings), options.without.split(",")
    learnt = [fact for fact in facts if fact["author"] not in left]
    pairs = taught(learnt, Random(0), make_embedder(None))
    print(f"{len(learnt)} facts, {len(pairs)} pairs", flush=True)
    reader = fit(Reader(LABELS), pairs, epochs=EPOCHS)
    name = f"without_{options.without.replace(',', '')}" if options.without else "all"
    torch.save(reader.state_dict(), options.out / f"{name}.pt")
    if options.without:
        held = judged([fact for fact in facts if fact["author"] in left])
        report = {"without": left, **measured(chances(reader, held), held, options.least)}
        (options.out / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        print(json.dumps(report, indent=1))
    if options.ship:
        ship(reader, RANK, {"labels": LABELS, "sharpness": 1.0, "least": options.least}, packaged_same_question())


if __name__ == "__main__":
    main()
