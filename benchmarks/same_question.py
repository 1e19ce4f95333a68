"""Train the reader of two questions, and measure it on authors left out: does what answers the one answer the other?

python -m benchmarks.same_question --without d,i --out build/same    # two authors left out, to measure
python -m benchmarks.same_question --out build/same                  # with all of them
python -m benchmarks.same_question --out build/same --begin build/same/all.pt --ship     # and with the kinds: what ships

Most of the time the note stands behind the question that it answers, as the gate has it: whom "my sister's husband" means is said there, and what it
says that nobody asked. The wordings are `benchmarks/strangers/wordings*.jsonl`: facts with ten ways to ask for each and eight questions that look alike and ask for
something else. Beside these pairs, a fact's own wordings among each other, other facts' questions that are near, and what was said in the
turn before, in front of either.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch

from agentmem.consolidation.phrasing import paraphrases, question
from agentmem.consolidation.templates import TEMPLATES
from agentmem.embedding.embedders import make_embedder
from agentmem.embedding.same_question import packaged_languages, packaged_same_question, with_note
from agentmem.notes.note import Fact
from agentmem.notes.protocols import Embedder
from benchmarks.relations.measure import ship
from benchmarks.relations.model import Reader
from benchmarks.relations.pairs import Pair, area_under_curve, cosines, mostly_of
from benchmarks.relations.train import fit, logits

__all__ = ["LABELS", "judged", "read_wordings", "taught"]

LABELS = ("other", "same")
WORDINGS = Path(__file__).parent / "strangers"
KINDS = WORDINGS / "facts.jsonl"
WAITING = ("wordings_6", "wordings_7")
"""Nothing that ships is trained on these yet."""
LEARNT = [path for path in sorted(WORDINGS.glob("wordings*.jsonl")) if path.stem not in WAITING]
RANK, EPOCHS, SHARE = 64, 3, 0.6
NOTED, COMPANY = 0.75, 0.25
"""How often a note stands behind its question, and how often another's sentence beside it."""
TEMPLATED = 12
"""Times that each relation's templates are filled."""
MESSAGES = WORDINGS / "asks.jsonl"
GREETINGS = (
    *(
        "Hello!",
        "Hi",
        "hey there",
        "Good morning!",
        "How are you?",
        "What's up?",
        "Thank you.",
        "thanks!",
        "Thanks a lot, that helps.",
        "ok",
        "Okay, great.",
    ),
    *(
        "Yes.",
        "No.",
        "yes please",
        "Sure, go ahead.",
        "Never mind.",
        "Bye!",
        "Good night.",
        "Sorry, I was away.",
        "I am tired.",
        "lol",
        "hm",
        "Tell me a joke.",
    ),
)
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


def beside_notes(pairs: Sequence[Pair], note: str, others: Sequence[str], rng: Random) -> list[Pair]:
    """Each pair with what was told behind its first question: mostly, and now and then with the sentence of another note before or behind it."""
    return [replace(pair, before=_beside(pair.before, note, others, rng)) for pair in pairs]


def _beside(question: str, note: str, others: Sequence[str], rng: Random) -> str:
    more = rng.choice(others) if others and rng.random() < COMPANY else ""
    told = rng.choice((f"{note} {more}", f"{more} {note}")).strip()
    return with_note(question, told) if rng.random() < NOTED else question


def taught(facts: Sequence[Told], rng: Random, embedder: Embedder) -> list[Pair]:
    """What the reader learns from: those pairs, and others that follow from them."""
    near, names = _nearest(facts, embedder), sorted({name for fact in facts for name in _named(fact)})
    found: list[Pair] = []
    for place, fact in enumerate(facts):
        others = [each for each in facts if each is not fact and each["author"] == fact["author"]]
        mine = judged([fact])
        mine += [
            Pair(before, later, is_, fact["author"])
            for before, later, is_ in (
                *_of_itself(fact, rng),
                *((fact["question"], facts[other]["question"], "other") for other in near[place]),
                *((fact["question"], _said(rng.choice(rng.choice(others)["same"])), "other") for _ in range(3)),
                *_after_a_turn(fact, others, rng),
                *(_by_matter(fact, others, [facts[other] for other in near[place]], rng) if "language" in fact else ()),
                *_led_in(fact, rng),
            )
        ]
        told = [each["fact"] for each in others]
        found += beside_notes(mine, fact["fact"], told, rng)
        found += [
            Pair(_beside(before, note, told, rng), later, is_, fact["author"])
            for before, note, later, is_ in _of_others(fact, names, rng)
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


def _by_matter(fact: Told, others: Sequence[Told], near: Sequence[Told], rng: Random) -> list[tuple[str, str, str]]:
    """Where so little has been read in a language that the manner of a wording tells more than its matter: each manner on both sides.

    A question with slips of the fingers asks for the same, another's with such slips for something else; and so does what is said of others in haste, for a purpose
    or by a short name.
    """
    question = fact["question"]
    ways = [each["text"] for each in fact["same"]]
    strange = [*near, *rng.sample(list(others), min(4, len(others)))]
    return [
        *((question, slipped(rng.choice([question, *ways]), rng), "same") for _ in range(3)),
        *((question, slipped(rng.choice(fact["different"])["text"], rng), "other") for _ in range(2)),
        *((question, slipped(each["question"], rng), "other") for each in near),
        *((question, rng.choice(each["same"])["text"], "other") for each in strange for _ in range(2)),
        *((*rng.sample(ways, 2), "same") for _ in range(3)),
        *((rng.choice(ways), rng.choice(each["same"])["text"], "other") for each in strange),
    ]


def slipped(text: str, rng: Random) -> str:
    """With one or two slips of the fingers: letters that change their places, are left out, or struck beside."""
    letters = list(text)
    for _ in range(rng.randint(1, 2)):
        at = rng.randrange(max(1, len(letters) - 1))
        kind = rng.random()
        if kind < 0.4 and at + 1 < len(letters):
            letters[at], letters[at + 1] = letters[at + 1], letters[at]
        elif kind < 0.7 and len(letters) > 4:
            del letters[at]
        else:
            letters[at] = rng.choice(letters)
    slip = "".join(letters)
    return slip.lower() if rng.random() < 0.3 else slip


def _after_a_turn(fact: Told, others: Sequence[Told], rng: Random) -> list[tuple[str, str, str]]:
    """With what was said before: of the same, of another matter of it, and of somebody else."""
    turn, question = _turn(fact), fact["question"]
    others = [each for each in others if _turn(each)]
    if not turn or not others:
        return []
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


def from_kinds(facts: Sequence[Told], rng: Random) -> list[Pair]:
    """Of facts of any kind (`facts.jsonl`): five ways to ask that have little but the matter in common, three questions that look alike, and others of its kind."""
    found = []
    for fact in facts:
        mine = {"author": fact["author"], "kind": fact["kind"]}
        others = [each for each in facts if each is not fact and mine.items() <= each.items()]
        same = [pair for pair in permutations(fact["asks"], 2) if pair[0] == fact["asks"][0] or rng.random() < 0.5]
        near = [
            (ask, each) for ask in fact["asks"] for each in fact["near"] if ask == fact["asks"][0] or rng.random() < 0.4
        ]
        far = [(rng.choice(fact["asks"]), rng.choice(rng.choice(others)["asks"])) for _ in range(6) if others]
        for pairs, is_ in ((same, "same"), (near, "other"), (far, "other")):
            mine = [Pair(before, later, is_, fact["author"], f"kinds: {is_}") for before, later in pairs]
            found += beside_notes(mine, fact["told"], [each["told"] for each in others], rng)
    return found


def small_talk(facts: Sequence[Told], rng: Random) -> list[Pair]:
    """Whatever else is said to an assistant asks for none of it, and least of what a user asks of himself in five words."""
    said = [each["text"] for each in map(json.loads, MESSAGES.open(encoding="utf-8")) if len(each["text"]) < 200]
    mine = [(first, *more) for first, more in map(_of_the_user, TEMPLATES) if more]
    asked = [*(fact["question"] for fact in facts), *(text for ways in mine for text in ways)]
    found = [Pair(text, rng.choice(said), "other", "", "small talk: other") for text in asked for _ in range(2)]
    found += [Pair(text, rng.choice(GREETINGS), "other", "", "small talk: other") for text in asked]
    for ways in mine:
        found += [Pair(*rng.sample(ways, 2), "same", "", "small talk: same") for _ in range(6)]
        found += [Pair(rng.choice(ways), rng.choice(rng.choice(mine)), "other", "") for _ in range(4) if len(mine) > 1]
    return [
        pair for pair in found if pair.is_ == "same" or not any({pair.before, pair.later} <= set(ways) for ways in mine)
    ]


def _of_the_user(relation: str) -> tuple[str, list[str]]:
    fact = Fact("user", relation, "Porto")
    return question(fact), paraphrases(fact)


def _of_others(fact: Told, names: Sequence[str], rng: Random) -> list[tuple[str, str, str, str]]:
    """(question, note, what is asked, is): the same wording with another name in it asks for something else; with the other name everywhere it asks for the same."""
    found = []
    mine = _named(fact)
    for name in rng.sample(mine, min(2, len(mine))):
        said = [
            each["text"] for each in fact["same"] if "before" not in each and re.search(rf"\b{name}\b", each["text"])
        ]
        for text in rng.sample(said, min(2, len(said))):
            other = rng.choice(names)
            if other not in mine:
                question, note, swapped = (
                    re.sub(rf"\b{name}\b", other, each) for each in (fact["question"], fact["fact"], text)
                )
                found.append((fact["question"], fact["fact"], swapped, "other"))
                found.append((question, note, swapped, "same"))
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
    """A way to ask behind what was said before; nothing where nobody wrote one."""
    return next((each for each in fact["same"] if "before" in each), {})


def _said(way: Mapping[str, str]) -> str:
    return f"{way['before']} {way['text']}" if "before" in way else way["text"]


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower())) - _SAYS_NOTHING


def _nearest(facts: Sequence[Told], embedder: Embedder) -> list[list[int]]:
    """The two facts whose questions are nearest to each one's."""
    likeness = cosines([fact["question"] for fact in facts], embedder)
    np.fill_diagonal(likeness, -1.0)
    return [row.tolist() for row in np.argsort(-likeness)[:, :2]]


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


def between(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Weights on the way from before a second training to after it: they forget less of the first (Wortsman et al. 2022)."""
    return {name: (1 - SHARE) * tensor + SHARE * after[name] for name, tensor in before.items()}


def chances(reader: Reader, pairs: Sequence[Pair]) -> Any:
    found = np.exp(logits(reader, pairs).astype(np.float64))
    return (found / found.sum(1, keepdims=True))[:, 1]


def main() -> None:
    """Parse the command line, train, measure, ship."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wordings", type=Path, nargs="+", default=LEARNT)
    parser.add_argument("--without", default="", help="authors to leave out and to measure on, by commas")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--ship", action="store_true")
    parser.add_argument("--least", type=float, default=0.8, help="from which probability two questions are the same")
    parser.add_argument(
        "--begin", type=Path, help="a reader to go on from, with the kinds and as many of the other pairs, twice"
    )
    parser.add_argument("--all-of", default="", help="with --begin: all pairs of these authors, and some of the others")
    parser.add_argument(
        "--beside", type=float, default=1.0, help="with --all-of: pairs of the others for each of these"
    )
    parser.add_argument(
        "--everything", action="store_true", help="with --begin: all the other pairs, and what comes of it as it is"
    )
    parser.add_argument(
        "--without-kinds", default="", help="authors of kinds to leave out and to measure on, by commas"
    )
    parser.add_argument("--languages", action="store_true", help="the reader of questions that are not in English")
    parser.add_argument("--epochs", type=int, default=0, help="3, and 1 with --begin, where none are named")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    options.out.mkdir(parents=True, exist_ok=True)
    facts, left = read_wordings(options.wordings), options.without.split(",")
    facts = [fact for fact in facts if options.languages or "language" not in fact]
    learnt = [fact for fact in facts if fact["author"] not in left]
    pairs = taught(learnt, Random(0), make_embedder(None))
    kinds = [json.loads(line) for line in KINDS.open(encoding="utf-8")]
    strange = options.without_kinds.split(",")
    reader = Reader(LABELS, tells_unknown=options.languages)
    if options.begin is not None:
        reader.go_on_from(options.begin)
        more = from_kinds([fact for fact in kinds if fact["author"] not in strange], Random(1))
        more += small_talk(learnt, Random(4))
        if options.all_of:
            authors = options.all_of.split(",")
            fresh = lambda pair: pair.author in authors and not pair.topic.startswith("kinds")  # noqa: E731
            pairs = mostly_of(fresh, [*more, *pairs], options.beside, Random(5))
        else:
            pairs = [*more, *(pairs if options.everything else Random(2).sample(pairs, len(more)))]
    print(f"{len(learnt)} facts, {len(pairs)} pairs", flush=True)
    first = {name: tensor.clone() for name, tensor in reader.state_dict().items()}
    reader = fit(reader, pairs, epochs=options.epochs or (EPOCHS if options.begin is None else 1))
    if options.begin is not None and not (options.everything or options.all_of):
        reader.load_state_dict(between(first, reader.state_dict()))
    name = f"without_{(options.without + options.without_kinds).replace(',', '')}" if options.without else "all"
    name += "_kinds" if options.begin is not None else ""
    torch.save(reader.state_dict(), options.out / f"{name}.pt")
    if options.without:
        held = [
            replace(pair, before=with_note(pair.before, fact["fact"]))
            for fact in facts
            if fact["author"] in left
            for pair in judged([fact])
        ]
        held += from_kinds([fact for fact in kinds if fact["author"] in strange], Random(3))
        report = {"without": left + strange, **measured(chances(reader, held), held, options.least)}
        (options.out / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        print(json.dumps(report, indent=1))
    if options.ship:
        about = {"labels": LABELS, "sharpness": 1.0, "least": options.least, "tells_unknown": options.languages}
        ship(reader, RANK, about, packaged_languages() if options.languages else packaged_same_question())


if __name__ == "__main__":
    main()
