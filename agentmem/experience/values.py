"""What acting taught: values of actions by n-step Q-learning, and the advice that comes of them. Pure arithmetic.

After REMEMBERER (Zhang et al. 2023, "Large Language Models Are Semi-Parametric Reinforcement Learning Agents"): an experience
is a task g, an observation o, an action a and its value Q(g, o, a), learnt off-policy from the rewards r of whole episodes:

    target = r_t + γ·r_{t+1} + … + γ^{n-1}·r_{t+n-1} + γ^n · max_a Q(g, o_{t+n}, a)
    Q ← (1 - α)·Q + α·target,   α = 1 / (how often this Q was updated)

The last term is missing where the episode ends within n steps, and zero where nothing is known of o_{t+n} (the paper's own code
takes the most similar state there; a state that was never seen has no value here).
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = [
    "NEUTRAL",
    "ActionValue",
    "Advice",
    "Precedent",
    "action_digest",
    "advise",
    "digest",
    "learn",
    "n_step_return",
    "query_text",
    "render",
    "state_digest",
    "texts_of",
]

NEUTRAL: Final = 0.0
"""The value up to which an action is discouraged."""


@dataclass(frozen=True, slots=True)
class ActionValue:
    """An action tried before: ``q`` was learnt from ``visits`` returns; ``id`` names its note."""

    action: str
    q: float
    visits: int
    id: str


@dataclass(frozen=True, slots=True)
class Precedent:
    """A situation met before, how similar it is to the one asked about, and what was done in it, best action first."""

    task: str
    observation: str
    similarity: float
    actions: tuple[ActionValue, ...]


@dataclass(frozen=True, slots=True)
class Advice:
    """What experience says to do, and not to do.

    ``precedents`` come most similar first. ``encouraged`` and ``discouraged`` are taken from them, in their order; where two
    precedents disagree about an action, the more similar one is believed.
    """

    task: str
    observation: str
    precedents: tuple[Precedent, ...] = ()
    encouraged: tuple[ActionValue, ...] = ()
    discouraged: tuple[ActionValue, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.precedents)

    @property
    def exact(self) -> Precedent | None:
        """The precedent of the very same task and observation, if there is one."""
        first = self.precedents[0] if self.precedents else None
        asked = digest(self.task, self.observation)
        return first if first is not None and digest(first.task, first.observation) == asked else None

    def q(self, action: str) -> float | None:
        """The value of an action in the most similar precedent that knows it; ``None`` when none does."""
        return next((a.q for p in self.precedents for a in p.actions if digest(a.action) == digest(action)), None)

    def __str__(self) -> str:
        """For a prompt: each precedent as an example with encouraged and discouraged actions, texts quoted as data."""
        good, bad = {a.id for a in self.encouraged}, {a.id for a in self.discouraged}
        lines = []
        for number, precedent in enumerate(self.precedents, 1):
            lines.append(f"Example {number} (similarity {precedent.similarity:.2f})")
            lines.append(f"Task: {_quoted(precedent.task)}")
            lines.append(f"Observation: {_quoted(precedent.observation)}")
            for label, ids in (("Encouraged", good), ("Discouraged", bad)):
                said = [f"{_quoted(a.action)} -> {a.q:.2f}" for a in precedent.actions if a.id in ids]
                lines.append(f"{label}: {', '.join(said) or 'nothing known'}")
        return "\n".join(lines)


def n_step_return(rewards: Sequence[float], discount: float, bootstrap: float = 0.0) -> float:
    """Σ γ^i·r_i + γ^len(rewards)·bootstrap: the target of an update (Sutton and Barto 2018, eq. 7.1, with max_a Q)."""
    total = bootstrap
    for reward in reversed(rewards):
        total = reward + discount * total
    return total


def learn(q: float, visits: int, target: float, rate: float | None = None) -> tuple[float, int]:
    """The value after one more target, and the number of its updates; ``rate=None`` is 1 / that number: the mean."""
    visits += 1
    alpha = 1 / visits if rate is None else rate
    return (1 - alpha) * q + alpha * target, visits


def advise(task: str, observation: str, precedents: Sequence[Precedent], neutral: float = NEUTRAL) -> Advice:
    """Advice from precedents, most similar first.

    Per precedent: the best action is encouraged when its value is over ``neutral``; discouraged is every action up to
    ``neutral``, and the worst one in any case when another is better.
    """
    encouraged: dict[str, ActionValue] = {}
    discouraged: dict[str, ActionValue] = {}
    for precedent in precedents:
        ranked = sorted(precedent.actions, key=lambda a: (-a.q, a.action))
        best, worst = ranked[0].q, ranked[-1].q
        for each in ranked:
            if each.action in encouraged or each.action in discouraged:
                continue
            if each.q == best and best > neutral:
                encouraged[each.action] = each
            elif each.q <= neutral or (each.q == worst and worst < best):
                discouraged[each.action] = each
    return Advice(task, observation, tuple(precedents), tuple(encouraged.values()), tuple(discouraged.values()))


def query_text(task: str, observation: str) -> str:
    """The situation in words, as it is looked up."""
    return f"Task: {task}\nObservation: {observation}"


def render(task: str, observation: str, action: str) -> str:
    """An experience as the content of its note."""
    return f"{query_text(task, observation)}\nAction: {action}"


def digest(*parts: str | None) -> bytes:
    """SHA-256 of some texts, spacing and Unicode form aside: what the same situation, action or episode is known by."""
    clean = [part if part is None else " ".join(unicodedata.normalize("NFC", part).split()) for part in parts]
    return hashlib.sha256(json.dumps(clean).encode()).digest()


def state_digest(agent: str | None, task: str, observation: str) -> bytes:
    """What a situation is known by: an agent's own ones are told apart from everybody's."""
    return digest("state", agent, task, observation)


def action_digest(action: str) -> bytes:
    """What an action is known by."""
    return digest("action", action)


def texts_of(metadata: Mapping[str, object]) -> list[str]:
    """The parts of an experience that are embedded beside its content."""
    return [text for name in ("task", "observation") if isinstance(text := metadata.get(name), str)]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
