"""Promises of the experience memory, over any episodes."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem import Memory, Settings
from agentmem.experience.values import learn, n_step_return
from agentmem.settings import ExperienceSettings

STATES, ACTIONS = ("hall", "attic", "cellar"), ("east", "west")
rewards = st.integers(-4, 4).map(float)
episodes = st.lists(
    st.lists(st.tuples(st.sampled_from(STATES), st.sampled_from(ACTIONS), rewards), min_size=1, max_size=7),
    min_size=1,
    max_size=4,
)


def tabular(runs: list[list[tuple[str, str, float]]], n: int, gamma: float) -> dict[tuple[str, str], tuple[float, int]]:
    """n-step Q-learning over whole episodes in a dictionary, time step by time step (Sutton and Barto 2018, ch. 7)."""
    sums: dict[tuple[str, str], list[float]] = defaultdict(list)

    def mean(key: tuple[str, str]) -> float:
        return sum(sums[key]) / len(sums[key])

    for run in runs:
        last = len(run) - 1
        for now in range(len(run)):
            due = range(max(0, now - n + 1), now + 1) if now == last else range(now - n + 1, now - n + 2)
            for start in due:
                if start < 0:
                    continue
                total = sum(gamma**i * run[start + i][2] for i in range(now - start + 1))
                if now != last:
                    ahead = [mean((run[now + 1][0], a)) for a in ACTIONS if sums.get((run[now + 1][0], a))]
                    total += gamma**n * max(ahead, default=0.0)
                sums[run[start][:2]].append(total)
    return {key: (mean(key), len(found)) for key, found in sums.items() if found}


@given(runs=episodes, n=st.integers(1, 4), gamma=st.sampled_from((0.0, 0.5, 0.9, 1.0)))
@settings(max_examples=60, deadline=None)
def test_any_episodes_give_the_values_of_the_textbook(runs, n, gamma):
    """Step by step, durably, through a window: the same values as an offline table over the whole episodes."""
    chosen = Settings(experience=ExperienceSettings(n_steps=n, discount=gamma))
    with Memory(None, embedder="hash", settings=chosen) as memory:
        for number, run in enumerate(runs):
            for now, (state, action, reward) in enumerate(run):
                ahead = run[now + 1][0] if now + 1 < len(run) else None
                memory.experience.record("t", state, action, reward, ahead, episode=str(number))
        learnt = {}
        for state in STATES:
            exact = memory.experience.advise("t", state, 1).exact
            learnt |= {(state, a.action): (a.q, a.visits) for a in exact.actions} if exact else {}

        expected = tabular(runs, n, gamma)
        assert learnt.keys() == expected.keys()
        for key, (q, visits) in expected.items():
            assert learnt[key] == (pytest.approx(q, abs=1e-9), visits)
        assert memory.stats()["notes"] == len({(s, a) for run in runs for s, a, _ in run})
        memory.forget({"kind": "experience"})
        assert memory.check().ok
        assert memory.stats()["experiences"] == 0


@given(targets=st.lists(rewards, min_size=1, max_size=20))
def test_with_the_paper_s_rate_a_value_is_the_mean_of_its_targets(targets):
    q, visits = 0.0, 0
    for target in targets:
        q, visits = learn(q, visits, target)

    assert (q, visits) == (pytest.approx(sum(targets) / len(targets)), len(targets))


@given(earned=st.lists(rewards, max_size=8), gamma=st.floats(0, 1), ahead=rewards)
def test_a_return_is_the_discounted_sum(earned, gamma, ahead):
    terms = [gamma**i * reward for i, reward in enumerate([*earned, ahead])]

    assert n_step_return(earned, gamma, ahead) == pytest.approx(sum(terms), abs=1e-9)
