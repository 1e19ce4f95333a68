"""Learning by doing: an agent in a house told in sentences, with experience memory, with plain recall, without memory."""

import tempfile
from pathlib import Path
from random import Random

from agentmem import Memory
from agentmem.graph.pictures import draw_learning

TASK = "Fetch the silver cup."
HOUSE = {  # what is seen, and where each action leads; "trap" ends badly, "cup" ends well
    "hall": ("A dusty hall. A lamp flickers.", {"go left": "kitchen", "go right": "stairs"}),
    "stairs": ("Creaking stairs wind around a pillar.", {"climb": "attic", "descend": "cellar", "jump": "trap"}),
    "kitchen": ("A kitchen with a cold stove.", {"go back": "hall", "open the oven": "trap", "call the cook": "hall"}),
    "attic": ("An attic full of trunks.", {"go down": "stairs", "open a trunk": "trap", "step out": "trap"}),
    "cellar": ("A cellar that smells of wine.", {"open the door": "vault", "drink": "trap", "go up": "stairs"}),
    "vault": ("A vault with three chests.", {"left chest": "trap", "middle chest": "cup", "right chest": "hall"}),
}


def choose(memory: Memory, kind: str, seen: str, actions: list[str], rng: Random) -> str:
    """The action to take: what did well here, else what was not tried; without values, "well" is what earned a reward at once."""
    if kind == "experience":
        advice = memory.experience.advise(TASK, seen, k=1)
        untried = [a for a in actions if advice.q(a) is None]
        if good := [a.action for a in advice.encouraged if a.action in actions]:
            return good[0]
        return rng.choice(untried) if untried else max(rng.sample(actions, len(actions)), key=advice.q)
    hits = [h.note.metadata for h in memory.recall(seen, k=5)] if kind == "recall" else []
    here = {h["action"]: float(str(h["reward"])) for h in hits if h["seen"] == seen}
    good = [a for a in actions if here.get(a, 0) > 0]
    return rng.choice(good or [a for a in actions if a not in here] or actions)


def play(kind: str, seed: int, episodes: int = 32) -> list[bool]:
    rng, won = Random(seed), []
    with Memory(None, embedder="hash") as memory:
        for _ in range(episodes):
            room, steps = "hall", 0
            while room not in ("cup", "trap") and steps < 12:
                seen, ways = HOUSE[room]
                action = rng.choice(list(ways)) if rng.random() < 0.1 else choose(memory, kind, seen, list(ways), rng)
                room, steps = ways[action], steps + 1
                reward, ahead = float(room == "cup"), HOUSE[room][0] if room in HOUSE else None
                if kind == "experience":
                    memory.experience.record(TASK, seen, action, reward, ahead)
                elif kind == "recall":
                    about = {"seen": seen, "action": action, "reward": reward}
                    memory.remember(f"{seen} I chose: {action}.", metadata=about)
            won.append(room == "cup")
    return won


runs = {kind: [play(kind, seed) for seed in range(4)] for kind in ("experience", "recall", "nothing")}
curves = {kind: [sum(wins) / len(wins) for wins in zip(*many, strict=True)] for kind, many in runs.items()}
for kind, curve in curves.items():
    print(f"{kind:10} succeeded in {sum(curve[-8:]) / 8:.0%} of the last eight episodes")
print("drawn:", draw_learning(curves, Path(tempfile.mkdtemp()) / "learning.png", title=TASK).name)
