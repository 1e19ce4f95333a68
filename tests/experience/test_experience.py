"""Experience memory: values as n-step Q-learning has them, advice from similar situations, and the rules of every note."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from agentmem import AsyncMemory, Memory, Scope, Settings
from agentmem.embedding.embedders import HashEmbedder
from agentmem.errors import EmbedderMismatch, InvalidArgument, InvalidNote, ScopeError, ScopeRequired
from agentmem.notes.clock import ManualClock
from agentmem.settings import ExperienceSettings
from agentmem.stores.sqlite import migrations

TASK = "find the key"
TWO = Settings(experience=ExperienceSettings(n_steps=2, discount=0.5))
Step = tuple[str, str, float, str | None]
Open = Callable[..., Memory]


def play(memory: Memory, *steps: Step, task: str = TASK, **options: object) -> None:
    for observation, action, reward, ahead in steps:
        memory.experience.record(task, observation, action, reward, ahead, **options)  # type: ignore[arg-type]


def values(memory: Memory, observation: str, task: str = TASK, **options: str) -> dict[str, tuple[float, int]]:
    """Action to (Q, visits) in exactly this situation."""
    exact = memory.experience.advise(task, observation, 1, **options).exact
    return {a.action: (pytest.approx(a.q), a.visits) for a in exact.actions} if exact else {}


@pytest.fixture
def learner(clock: ManualClock) -> Memory:
    return Memory(None, embedder="hash", clock=clock, settings=TWO)


# -- learning ------------------------------------------------------------------------------------------------


def test_values_are_those_of_n_step_q_learning_worked_by_hand(learner: Memory) -> None:
    """n = 2, γ = 1/2, α = 1/visits, on three states."""
    play(learner, ("hall", "east", 0, "attic"), ("attic", "east", 1, "cellar"), ("cellar", "dig", 4, None))
    # hall, east: 0 + 1/2·1 + 1/4·0 (cellar unknown); attic: 1 + 1/2·4; cellar: 4
    assert values(learner, "hall") == {"east": (0.5, 1)}
    assert values(learner, "attic") == {"east": (3.0, 1)}

    play(learner, ("hall", "east", 0, "attic"), ("attic", "east", 1, "cellar"), ("cellar", "wait", 0, None))
    # hall, east: 0 + 1/2·1 + 1/4·4 = 1.5, mean with 0.5; attic: 1 + 0, mean with 3
    play(learner, ("hall", "jump", -1, "cellar"), ("cellar", "dig", 2, None))
    # hall, jump: -1 + 1/2·2; cellar, dig: mean of 4 and 2

    assert values(learner, "hall") == {"east": (1.0, 2), "jump": (0.0, 1)}
    assert values(learner, "attic") == {"east": (2.0, 2)}
    assert values(learner, "cellar") == {"dig": (3.0, 2), "wait": (0.0, 1)}


def test_a_constant_learning_rate_replaces_the_mean(clock: ManualClock) -> None:
    settings = Settings(experience=ExperienceSettings(learning_rate=0.5))
    with Memory(None, embedder="hash", clock=clock, settings=settings) as memory:
        play(memory, ("hall", "dig", 8, None))
        play(memory, ("hall", "dig", 0, None))

        assert values(memory, "hall") == {"dig": (2.0, 2)}


def test_the_same_step_again_is_no_second_note(learner: Memory) -> None:
    """A revisit updates the value; spacing and Unicode form make no other situation, another action does."""
    first = learner.experience.record(TASK, "a café hall", "go east", 1, None)
    again = learner.experience.record(TASK, " a  cafe\u0301 hall", "go  east", 3, None)
    other = learner.experience.record(TASK, "a café hall", "go west", 0, None)

    assert (first.status, again.status, other.status) == ("stored", "merged", "stored")
    assert first.id == again.id != other.id
    assert learner.stats()["notes"] == learner.stats()["experiences"] == 2
    assert values(learner, "a café hall")["go east"] == (2.0, 2)


def test_a_flag_ends_an_episode_as_a_missing_observation_does(learner: Memory) -> None:
    learner.experience.record(TASK, "hall", "dig", 2, "hall with a hole", done=True)
    learner.experience.record(TASK, "hall with a hole", "jump", 100, None)

    assert values(learner, "hall") == {"dig": (2.0, 1)}


def test_an_episode_that_was_left_is_valued_by_what_its_last_state_is_worth(learner: Memory) -> None:
    """Whoever starts anew without an end was interrupted, not defeated: the return is bootstrapped from where it stood."""
    play(learner, ("cellar", "dig", 4, None))
    play(learner, ("hall", "jump", 1, "cellar"))
    assert values(learner, "hall") == {}
    play(learner, ("garden", "wait", 0, None))

    assert values(learner, "hall") == {"jump": (1 + 0.5 * 4, 1)}


def test_episodes_at_the_same_time_do_not_mix(learner: Memory) -> None:
    play(learner, ("hall", "east", 0, "attic"), episode="one")
    play(learner, ("hall", "east", 0, "attic"), episode="two")
    play(learner, ("attic", "dig", 4, None), episode="one")
    play(learner, ("attic", "wait", 0, None), episode="two")

    assert values(learner, "hall") == {"east": (1.0, 2)}  # (1/2·4 + 1/2·0) / 2


# -- advice --------------------------------------------------------------------------------------------------


def test_low_values_discourage_and_the_highest_encourages(learner: Memory) -> None:
    for action, reward in (("east", 2.0), ("north", 1.0), ("south", 0.5), ("west", -1.0)):
        play(learner, ("hall", action, reward, None))
    play(learner, ("roof", "fly", -3, None))

    advice = learner.experience.advise(TASK, "hall", 1)
    worst = learner.experience.advise(TASK, "roof", 1)

    assert [a.action for a in advice.encouraged] == ["east"]
    assert [a.action for a in advice.discouraged] == ["west"]
    assert [a.action for a in advice.precedents[0].actions] == ["east", "north", "south", "west"]
    assert [a.action for a in worst.discouraged] == ["fly"]  # the best of what is known, and still no good
    assert worst.encouraged == ()


def test_a_new_situation_is_advised_by_the_most_similar_one(memory: Memory) -> None:
    play(memory, ("a dark cellar with a wooden chest", "open the chest", 1, None))
    play(memory, ("a sunny garden with a fountain", "open the chest", -1, None))

    advice = memory.experience.advise(TASK, "a cold dark cellar with an iron chest")

    assert advice.exact is None
    assert advice.precedents[0].observation == "a dark cellar with a wooden chest"
    assert 0 < advice.precedents[1].similarity < advice.precedents[0].similarity < 1
    assert [a.action for a in advice.encouraged] == ["open the chest"]  # the nearer precedent is believed
    assert advice.discouraged == ()
    assert 'Encouraged: "open the chest" -> 1.00' in str(advice)


def test_the_task_counts_as_much_as_its_weight_says(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all weight on the task the observation does not matter, and the other way round."""
    for weight, nearest in ((1.0, "water the flowers"), (0.0, "feed the cat")):
        monkeypatch.setattr("agentmem.experience.memory.TASK_WEIGHT", weight)
        with Memory(None, embedder="hash", clock=clock) as memory:
            play(memory, ("a quiet kitchen", "go", 1, None), task="feed the cat")
            play(memory, ("a wide meadow", "go", 1, None), task="water the flowers")

            assert memory.experience.advise("water the flowers", "a quiet kitchen today").precedents[0].task == nearest


def test_nothing_known_is_empty_advice(memory: Memory) -> None:
    memory.remember("The hall is large.")
    advice = memory.experience.advise(TASK, "hall")

    assert not advice
    assert (advice.encouraged, advice.discouraged, advice.exact, str(advice)) == ((), (), None, "")


# -- notes among notes ---------------------------------------------------------------------------------------


def test_recall_leaves_experiences_aside_unless_asked(memory: Memory) -> None:
    """However many lie nearer than the notes; and nothing links or merges with them."""
    for number in range(230):
        play(memory, (f"a hall with a door numbered {number}", "open the door", 1, None))
    told = memory.remember("There is a hall with a red door.")

    assert told.links == ()
    assert [h.note.id for h in memory.recall("a hall with a door", k=50)] == [told.id]
    asked = memory.recall("a hall with a door", k=20, where={"kind": "experience"})
    assert {h.note.kind for h in asked} == {"experience"}
    assert len(asked) == 20
    assert {h.note.kind for h in memory.recall("a hall with a door", k=20, where={"kind": "episodic"})} == {"episodic"}
    lived = memory.notes(where={"metadata.action": "open the door"}, limit=1)[0]
    assert "filter leaves it out" in memory.why_not("a hall with a door", lived.id).reason
    assert memory.rebuild("graph") == 0
    assert memory.check().ok


def test_a_user_s_experience_is_that_user_s(memory: Memory) -> None:
    play(memory, ("hall", "east", 1, None), user="ana")
    play(memory, ("hall", "west", 1, None), user="ben")

    assert list(values(memory, "hall", user="ana")) == ["east"]
    assert not memory.experience.advise(TASK, "hall", user="eve")
    with pytest.raises(ScopeRequired):
        memory.experience.advise(TASK, "hall")


def test_two_agents_of_one_user_learn_apart(memory: Memory) -> None:
    """An agent sees its own experience and the user's; the user sees all."""
    play(memory, ("hall", "east", 1, None), user="ana", agent="cook")
    play(memory, ("hall", "east", -1, None), user="ana", agent="guard")

    assert values(memory, "hall", user="ana", agent="cook") == {"east": (1.0, 1)}
    assert values(memory, "hall", user="ana", agent="guard") == {"east": (-1.0, 1)}
    assert len(memory.experience.advise(TASK, "hall", user="ana").precedents) == 2


def test_a_bound_memory_stays_within_its_user_and_outlives_its_session(open_memory: Open) -> None:
    with open_memory(scope=Scope(user="ana", session="monday")) as monday:
        play(monday, ("hall", "east", 1, None))
        with pytest.raises(ScopeError):
            monday.experience.record(TASK, "hall", "east", 1, None, user="ben")
    with open_memory(scope=Scope(user="ana", session="tuesday")) as tuesday:
        assert values(tuesday, "hall") == {"east": (1.0, 1)}


def test_forget_takes_the_value_with_the_note(learner: Memory) -> None:
    play(learner, ("hall", "east", 1, None), ("hall", "west", 2, None))
    west = learner.notes(where={"metadata.action": "west"})[0]

    receipt = learner.forget(west)

    assert receipt.gone
    assert receipt.places["experiences"] == 1
    assert values(learner, "hall") == {"east": (1.0, 1)}
    assert learner.check().ok
    play(learner, ("hall", "west", 5, None))
    assert values(learner, "hall")["west"] == (5.0, 1)  # nothing of the old value is left


def test_a_forgotten_step_takes_the_returns_through_it_along(clock: ManualClock) -> None:
    """The reward in the gap is gone, so what came before it cannot be valued; what comes after can."""
    with Memory(None, embedder="hash", clock=clock) as memory:
        play(memory, ("hall", "east", 0, "attic"), ("attic", "east", 100, "cellar"), ("cellar", "dig", 1, "tunnel"))
        memory.forget({"metadata.observation": "attic"})
        play(memory, ("tunnel", "crawl", 2, None))

        assert values(memory, "hall") == {}
        assert values(memory, "cellar") == {"dig": (1 + 0.95 * 2, 1)}
        assert memory.check().ok


def test_no_byte_of_a_forgotten_experience_remains(open_memory: Open, tmp_path: Path) -> None:
    with open_memory() as memory:
        play(memory, ("hall", "open zzqxdoor", 0, "zzqxcellar"), ("zzqxcellar", "dig", 1, None))
        assert memory.forget({"metadata.task": TASK}).gone
    kept = b"".join(path.read_bytes() for path in (tmp_path / "memory").rglob("*") if path.is_file())

    assert b"zzqx" not in kept


def test_an_experience_fades_and_comes_back_when_it_is_made_again(learner: Memory, clock: ManualClock) -> None:
    play(learner, ("hall", "east", 1, None))
    clock.advance(days=4000)
    assert len(learner.fade()) == 1
    assert values(learner, "hall") == {}
    play(learner, ("hall", "east", 1, None))

    assert values(learner, "hall") == {"east": (1.0, 2)}


# -- durability ----------------------------------------------------------------------------------------------


def test_an_episode_goes_on_where_a_closed_memory_left_it(open_memory: Open) -> None:
    """The window of waiting steps is durable: a process may end in the middle of an episode."""
    with open_memory(settings=TWO) as first:
        play(first, ("hall", "east", 0, "attic"))
    with open_memory(settings=TWO) as second:
        play(second, ("attic", "dig", 4, None))
    with open_memory(settings=TWO) as third:
        assert values(third, "hall") == {"east": (2.0, 1)}
        assert third.check().ok


def test_a_step_that_fails_leaves_nothing(learner: Memory) -> None:
    """Note, value and window are one transaction."""
    play(learner, ("hall", "east", 0, "attic"))

    def fail(step: str) -> None:
        raise RuntimeError(step)

    learner._parts.fail = fail
    with pytest.raises(RuntimeError, match="record:before-commit"):
        play(learner, ("attic", "dig", 4, None))
    learner._parts.fail = lambda step: None
    assert learner.stats()["experiences"] == learner.stats()["notes"] == 1
    play(learner, ("attic", "dig", 4, None))

    assert values(learner, "hall") == {"east": (2.0, 1)}
    assert values(learner, "attic") == {"dig": (4.0, 1)}


def test_a_retry_with_the_same_key_changes_nothing(learner: Memory) -> None:
    for _ in range(2):
        play(learner, ("hall", "east", 0, "attic"), idempotency_key="s1")
    first = learner.experience.record(TASK, "attic", "dig", 4, None, idempotency_key="s2")
    again = learner.experience.record(TASK, "attic", "dig", 4, None, idempotency_key="s2")

    assert values(learner, "hall") == {"east": (2.0, 1)}
    assert values(learner, "attic") == {"dig": (4.0, 1)}
    assert again.id == first.id
    learner.forget({"kind": "experience"})
    late = learner.experience.record(TASK, "attic", "dig", 4, None, idempotency_key="s2")
    assert (late.status, learner.stats()["notes"]) == ("rejected", 0)


def test_a_changed_embedder_is_said_and_cured_by_rebuild(tmp_path: Path) -> None:
    with Memory(tmp_path, embedder=HashEmbedder(64)) as memory:
        play(memory, ("hall", "east", 1, None))
    with Memory(tmp_path, embedder=HashEmbedder(128)) as memory:
        with pytest.raises(EmbedderMismatch):
            memory.experience.advise(TASK, "hall")
        memory.rebuild("vectors")

        assert values(memory, "hall") == {"east": (1.0, 1)}


def test_a_directory_from_before_gains_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Migration 2 adds experiences to a store that has notes already, and leaves those alone."""
    from agentmem.stores.sqlite.schema import MIGRATIONS
    from agentmem.stores.sqlite.store import SqliteStore

    with monkeypatch.context() as before:
        before.setattr(migrations, "MIGRATIONS", MIGRATIONS[:1])
        before.setattr(migrations, "SCHEMA_VERSION", 1)
        SqliteStore(tmp_path / "notes.db").close()
    with Memory(tmp_path, embedder="hash") as memory:
        play(memory, ("hall", "east", 1, None))

        assert values(memory, "hall") == {"east": (1.0, 1)}
        assert memory.check().ok


# -- bad input -----------------------------------------------------------------------------------------------

GOOD = {"task": TASK, "observation": "hall", "action": "east", "reward": 1.0, "next_observation": None}


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"task": ""}, InvalidNote),
        ({"observation": "  "}, InvalidNote),
        ({"action": 7}, InvalidNote),
        ({"next_observation": ""}, InvalidNote),
        ({"observation": "x" * 65_530}, InvalidNote),
        ({"reward": "1"}, InvalidArgument),
        ({"reward": True}, InvalidArgument),
        ({"reward": float("nan")}, InvalidArgument),
        ({"reward": 10**400}, InvalidArgument),
        ({"reward": 1e300}, InvalidArgument),
        ({"done": 1}, InvalidArgument),
        ({"episode": None}, InvalidArgument),
        ({"episode": "x" * 257}, InvalidArgument),
        ({"idempotency_key": 3}, InvalidArgument),
        ({"user": ""}, InvalidArgument),
    ],
)
def test_a_wrong_step_is_refused_with_a_cure_and_writes_nothing(memory: Memory, wrong: dict, error: type) -> None:
    with pytest.raises(error) as caught:
        memory.experience.record(**(GOOD | wrong))

    assert caught.value.hint
    assert memory.stats()["notes"] == memory.stats()["experiences"] == 0


@pytest.mark.parametrize("k", [0, -1, 1001, True, 1.5])
def test_a_wrong_k_is_refused(memory: Memory, k: object) -> None:
    with pytest.raises(InvalidArgument) as caught:
        memory.experience.advise(TASK, "hall", k)  # type: ignore[arg-type]
    assert caught.value.hint


async def test_the_async_memory_has_the_same() -> None:
    async with AsyncMemory(embedder="hash") as memory:
        receipt = await memory.experience.record(TASK, "hall", "east", 1, None, user="ana")
        advice = await memory.experience.advise(TASK, "hall", user="ana")

    assert [a.id for a in advice.encouraged] == [receipt.id]


class _Other(HashEmbedder):
    """Of the same dimension, and of another space."""

    fingerprint = "other"  # type: ignore[assignment]

    def _encode(self, texts: Sequence[str]) -> Any:
        return -super()._encode(texts)


class _Overtaken(HashEmbedder):
    """Another embedder takes its place while it works."""

    memory: Memory | None = None

    def _encode(self, texts: Sequence[str]) -> Any:
        memory, self.memory = self.memory, None
        if memory is not None:
            memory.reembed(_Other())
        return super()._encode(texts)


def test_a_change_of_the_embedder_meanwhile_mixes_no_vectors(clock: ManualClock) -> None:
    """A step that was embedded before the switch and stored after it would lie in another space than all others."""
    overtaken = _Overtaken()
    with Memory(None, embedder=overtaken, clock=clock) as memory:
        memory.experience.record("tidy up", "a cup on the floor", "pick up the cup", 1.0, None)
        overtaken.memory = memory
        memory.experience.record("tidy up", "a plate on the table", "take the plate", 1.0, None)
        advice = memory.experience.advise("tidy up", "a plate on the table, and more")

        assert advice.encouraged
        with memory._parts.core.store.read() as tx:
            stored = tx.vectors.load(tx.notes.select_all())[1]
        assert (stored @ _Other().embed([note.content for note in memory.notes()]).T).diagonal().min() > 0.99


def test_a_reward_may_be_a_number_of_numpy(memory: Memory) -> None:
    """Environments give float32 and int64."""
    import numpy as np

    for n, reward in enumerate((np.float32(0.5), np.int64(1))):
        memory.experience.record("tidy up", f"room {n}", "pick up the cup", reward, None)

    assert [memory.experience.advise("tidy up", f"room {n}").q("pick up the cup") for n in range(2)] == [0.5, 1.0]


def test_an_experience_is_not_reworded(memory: Memory) -> None:
    """Its value is found by task, observation and action: with other words it would be a note that says one thing and counts for another."""
    play(memory, ("a closed door", "open it", 1.0, None))
    lived = memory.notes(where={"kind": "experience"})[0]

    with pytest.raises(InvalidArgument) as caught:
        memory.update(lived.id, "Task: find the lock")

    assert "record()" in str(caught.value.hint)
    assert memory.get(lived.id) == lived
    assert values(memory, "a closed door") == {"open it": (1.0, 1)}
