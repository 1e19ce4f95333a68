"""Does experience help? Success by episode in a house told in sentences: with values, with plain recall, with no memory.

python -m benchmarks.experience [--seeds 20] [--episodes 60] [--out benchmarks/results/experience.json]

A house is a grid of rooms. An episode begins in one corner, succeeds (+1) in the opposite one, fails (-1) in a trap, and is cut
off after 30 steps. Three agents act in the same houses with the same exploration (one step in ten is random):

- experience: `memory.experience`: takes the encouraged action of the nearest precedent, else one that it does not know, else
  the one of the highest value;
- recall: remembers every transition with its reward as a plain note and recalls the most similar ones: repeats what earned a
  reward, avoids what cost one, else acts at random. Similarity without values;
- none: acts at random.

With `details` above 1 each sight of a room carries one of so many irrelevant sentences: the same situation rarely recurs word by word.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from statistics import fmean, stdev

from agentmem import Memory, Settings
from agentmem.settings import ExperienceSettings, IndexSettings

__all__ = ["AGENTS", "House", "episodes", "main"]

TASK = "Find the way to the treasure."
STEPS, EXPLORE = 30, 0.1
MOVES = {"go north": (0, -1), "go east": (1, 0), "go south": (0, 1), "go west": (-1, 0)}
ADJECTIVES = "red blue dusty quiet narrow golden broken marble wooden round empty warm cold dark painted tiled".split()
ROOMS = "kitchen library hall attic cellar garden study chapel workshop bedroom pantry gallery stable tower bath porch".split()
DETAILS = ("", " Rain taps on the roof.", " A clock ticks somewhere.", " Dust dances in the light.")
Act = Callable[[str, Sequence[str]], str]
Learn = Callable[[str, str, float, str | None], None]


class House:
    """Rooms on a grid of ``size`` by ``size``, with traps that leave a way to the treasure."""

    def __init__(self, rng: Random, size: int = 4, traps: int = 2, details: int = 1) -> None:
        self._rng, self._size, self._details = rng, size, details
        cells = [(x, y) for x in range(size) for y in range(size)]
        names = list(zip(rng.sample(ADJECTIVES, size * size), rng.sample(ROOMS, size * size), strict=True))
        self._name = dict(zip(cells, names, strict=True))
        self._goal = (size - 1, size - 1)
        while True:
            self._traps = frozenset(rng.sample([c for c in cells if c not in ((0, 0), self._goal)], traps))
            if self._reachable():
                break
        self._at = (0, 0)

    def _reachable(self) -> bool:
        seen, frontier = {(0, 0)}, [(0, 0)]
        while frontier:
            cell = frontier.pop()
            for ahead in self._ahead(cell).values():
                if ahead not in seen and ahead not in self._traps:
                    seen.add(ahead)
                    frontier.append(ahead)
        return self._goal in seen

    def _ahead(self, cell: tuple[int, int]) -> dict[str, tuple[int, int]]:
        moves = {name: (cell[0] + dx, cell[1] + dy) for name, (dx, dy) in MOVES.items()}
        return {name: to for name, to in moves.items() if to in self._name}

    def reset(self) -> str:
        self._at = (0, 0)
        return self.look()

    def look(self) -> str:
        adjective, room = self._name[self._at]
        ways = ", ".join(name.removeprefix("go ") for name in self.actions())
        return f"You are in the {adjective} {room}. Doors lead {ways}.{self._rng.choice(DETAILS[: self._details])}"

    def actions(self) -> list[str]:
        return list(self._ahead(self._at))

    def step(self, action: str) -> tuple[str | None, float]:
        """What is seen next (``None`` at an end) and the reward."""
        self._at = self._ahead(self._at)[action]
        if self._at == self._goal:
            return None, 1.0
        if self._at in self._traps:
            return None, -1.0
        return self.look(), 0.0


def with_experience(memory: Memory, rng: Random, k: int = 1) -> tuple[Act, Learn]:
    def act(seen: str, actions: Sequence[str]) -> str:
        advice = memory.experience.advise(TASK, seen, k)
        good = [a.action for a in advice.encouraged if a.action in actions]
        untried = [a for a in actions if advice.q(a) is None]
        return (
            good[0]
            if good
            else rng.choice(untried)
            if untried
            else max(rng.sample(actions, len(actions)), key=lambda a: advice.q(a) or 0.0)
        )

    def learn(seen: str, action: str, reward: float, ahead: str | None) -> None:
        memory.experience.record(TASK, seen, action, reward, ahead)

    return act, learn


def with_recall(memory: Memory, rng: Random, k: int = 10) -> tuple[Act, Learn]:
    def act(seen: str, actions: Sequence[str]) -> str:
        hits = [hit.note.metadata for hit in memory.recall(f"Task: {TASK}\nObservation: {seen}", k=k)]
        room = seen.split(".", maxsplit=1)[0]
        here = [h for h in hits if str(h["observation"]).split(".")[0] == room]
        good = [str(h["action"]) for h in here if float(str(h["reward"])) > 0]
        bad = {h["action"] for h in here if float(str(h["reward"])) < 0}
        return rng.choice(good or [a for a in actions if a not in bad] or actions)

    def learn(seen: str, action: str, reward: float, ahead: str | None) -> None:
        text = f"Task: {TASK}\nObservation: {seen}\nAction: {action}\nReward: {reward}\nThen: {ahead or 'the end'}"
        memory.remember(text, metadata={"observation": seen, "action": action, "reward": reward})

    return act, learn


def without(memory: Memory, rng: Random) -> tuple[Act, Learn]:  # noqa: ARG001 - one shape for all agents
    return (lambda seen, actions: rng.choice(actions)), (lambda seen, action, reward, ahead: None)


AGENTS = {"experience": with_experience, "recall": with_recall, "none": without}


def episodes(
    agent: str, seed: int, count: int, settings: Settings, details: int, embedder: str | None
) -> tuple[list[int], float]:
    """Success (0 or 1) of each episode, and the processor seconds per step."""
    house, rng, wins, steps = House(Random(seed), details=details), Random(seed + 1), [], 0
    started = time.process_time()
    with Memory(None, embedder=embedder, settings=settings) as memory:
        act, learn = AGENTS[agent](memory, rng)
        for _ in range(count):
            seen, reward = house.reset(), 0.0
            for _ in range(STEPS):
                actions = house.actions()
                action = rng.choice(actions) if rng.random() < EXPLORE else act(seen, actions)
                ahead, reward = house.step(action)
                learn(seen, action, reward, ahead)
                steps += 1
                if ahead is None:
                    break
                seen = ahead
            wins.append(int(reward > 0))
    return wins, (time.process_time() - started) / steps


def measure(
    seeds: int, count: int, conditions: Sequence[tuple[str, str, int, int]], embedder: str | None
) -> Iterator[dict[str, object]]:
    for name, agent, n_steps, details in conditions:
        settings = Settings(experience=ExperienceSettings(n_steps=n_steps), index=IndexSettings(backend="exact"))
        runs = [episodes(agent, 1000 * seed, count, settings, details, embedder) for seed in range(seeds)]
        curves = [wins for wins, _ in runs]
        last = [fmean(wins[-20:]) for wins in curves]
        row = {
            "name": name,
            "agent": agent,
            "n_steps": n_steps if agent == "experience" else None,
            "details": details,
            "success_last_20": round(fmean(last), 4),
            "sd_over_seeds": round(stdev(last), 4) if seeds > 1 else None,
            "success_all": round(fmean(fmean(wins) for wins in curves), 4),
            "cpu_ms_per_step": round(1000 * fmean(seconds for _, seconds in runs), 3),
            "curve": [round(fmean(wins[i] for wins in curves), 3) for i in range(count)],
        }
        print(
            f"{name:42} last 20: {row['success_last_20']}  all: {row['success_all']}  CPU ms/step: {row['cpu_ms_per_step']}"
        )
        yield row


CONDITIONS = (
    ("experience, n = 5", "experience", 5, 1),
    ("experience, n = 1", "experience", 1, 1),
    ("recall without values", "recall", 5, 1),
    ("no memory", "none", 5, 1),
    ("experience, n = 5, varied sentences", "experience", 5, 4),
    ("recall without values, varied sentences", "recall", 5, 4),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--episodes", type=int, default=60)
    parser.add_argument("--embedder", default="hash", help="hash, or a model's name; 'minilm' is the packaged one")
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    embedder = None if options.embedder == "minilm" else options.embedder
    about = {
        "seeds": options.seeds,
        "episodes": options.episodes,
        "embedder": options.embedder,
        "steps": STEPS,
        "explore": EXPLORE,
    }
    rows = []
    for row in measure(options.seeds, options.episodes, CONDITIONS, embedder):
        rows.append(row)
        if options.out is not None:
            options.out.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
