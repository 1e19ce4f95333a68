"""What a caller can get wrong, or forget about, is said in a typed error with a cure, and an answer fits its question."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from pydantic import BaseModel

from agentmem import Fact, Memory, Scope
from agentmem.errors import InvalidArgument, InvalidNote
from agentmem.notes.clock import ManualClock
from agentmem.recall.weights import RankingWeights
from agentmem.settings import (
    MOVED,
    ConsolidationSettings,
    ForgettingSettings,
    IndexSettings,
    RecallSettings,
    Settings,
)

EARLY = "0001-01-01T00:00:00+05:00"  # lies before the year 1 in UTC


@pytest.mark.parametrize(
    "options",
    [
        {"occurred_at": EARLY},
        {"tags": 5},
        {"fact": Fact("Ana", "lives in", "Porto", question=["Where?"])},  # type: ignore[arg-type]
        {"fact": Fact("Ana", "lives in", "Porto", question="Where\0?")},
        {"fact": Fact("Ana", "lives in", "Porto", paraphrases="Where is Ana?")},  # type: ignore[arg-type]
        {"fact": Fact("Ana", "lives in", "Porto", functional="yes")},  # type: ignore[arg-type]
    ],
)
def test_a_wrong_value_of_a_note_is_a_typed_error(memory: Memory, options: dict[str, Any]) -> None:
    """It is said before anything is written."""
    with pytest.raises((InvalidArgument, InvalidNote)) as caught:
        memory.remember("Ana lives in Porto.", **options)

    assert caught.value.hint
    assert memory.notes() == []


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.recall("Ana", as_of="yesterday"),
        lambda m: m.recall("Ana", as_of=EARLY),
        lambda m: m.notes(limit=-1),
        lambda m: m.notes(offset="1"),
        lambda m: m.graph(hops="2"),
        lambda m: m.reinforce(None),
        lambda m: m.reinforce([None]),
        lambda m: m.reinforce(m.remember("Ben lives in Faro.")),
        lambda m: m.unfade(None),
        lambda m: m.notes(where={"$or": [{"actor": f"a{i}"} for i in range(1001)]}),
    ],
)
def test_a_wrong_argument_is_a_typed_error(memory: Memory, call: Callable[[Any], object]) -> None:
    """Whichever verb it is given to."""
    memory.remember("Ana lives in Porto.")

    with pytest.raises(InvalidArgument) as caught:
        call(memory)

    assert caught.value.hint


def test_a_filter_may_have_hundreds_of_conditions(memory: Memory) -> None:
    """As many as the language allows; a database may count their nesting."""
    memory.remember("Ana lives in Porto.", actor="a999")

    assert len(memory.notes(where={"$or": [{"actor": f"a{i}"} for i in range(1000)]})) == 1
    assert memory.notes(where={"$and": [{"actor": {"$ne": f"a{i}"}} for i in range(1000)]}) == []


@pytest.mark.parametrize("scope", [Scope(user=""), Scope(agent=" "), Scope(user=5), Scope(user="a\0b")])  # type: ignore[arg-type]
def test_a_memory_is_bound_to_a_name_or_to_none(scope: Scope) -> None:
    """An empty user, as from an unset variable, would count as no scope where jobs run over all users."""
    with pytest.raises(InvalidArgument):
        Memory(None, embedder="hash", scope=scope)


def test_one_key_for_many_items_is_refused(memory: Memory) -> None:
    """The second item would pass for a repetition of the first, and be lost."""
    with pytest.raises(InvalidArgument, match="One key"):
        memory.remember_many(["The cat sleeps.", "Dogs bark at night."], idempotency_key="import-7")

    assert memory.notes() == []


def test_the_prompt_of_a_past_moment_holds_what_held_then(memory: Memory, clock: ManualClock) -> None:
    """What has ended since is not left out of an answer about the time before."""
    memory.remember("Ana lives in Porto.")
    then = clock.now()
    clock.advance(days=100)
    memory.remember("Ana lives in Lisbon.")

    found = memory.recall("Where does Ana live?", as_of=then)

    assert "Porto" in found.context()
    assert "Lisbon" not in found.context()


def test_new_words_for_an_agents_answer_state_no_fact(memory: Memory, clock: ManualClock) -> None:
    """What an assistant says of itself closes nothing that the user said, corrected or not."""
    memory.remember({"role": "user", "content": "I live in Porto."})
    clock.advance(days=1)
    answer = memory.remember({"role": "assistant", "content": "I have no home."}).id

    memory.update(str(answer), "I live in Berlin.")

    assert memory.get(str(answer)).fact is None
    assert all(note.valid_to is None for note in memory.notes())


def test_a_report_is_taken_back_also_when_a_note_of_it_was_forgotten(memory: Memory, clock: ManualClock) -> None:
    """What is gone is gone; the others come back."""
    bicycle = memory.remember("The blue bicycle stands in the cellar.").id
    clouds = memory.remember("Clouds over the northern sea.").id
    clock.advance(days=4000)
    report = memory.fade()
    memory.forget(str(bicycle))

    assert memory.unfade(report) == (clouds,)


def test_a_time_zone_changes_no_moment(memory: Memory, clock: ManualClock) -> None:
    """The same instant in another zone is the same instant, for notes and for questions about the past."""
    at = clock.now() - timedelta(days=3)
    memory.remember("Ana lives in Porto.", occurred_at=at.isoformat().replace("09:00:00+00:00", "18:00:00+09:00"))

    assert memory.notes()[0].occurred_at == at
    assert len(memory.notes(as_of=at.isoformat().replace("09:00:00+00:00", "04:00:00-05:00"))) == 1


def test_a_tilde_is_the_home_directory(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with Memory("~/notes", embedder="hash") as memory:
        memory.remember("Ana lives in Porto.")
    assert (tmp_path / "notes" / "notes.db").is_file()


@pytest.mark.parametrize(
    ("section", "values", "said"),
    [
        (RecallSettings, {"importance": -1}, "importance=-1"),
        (RecallSettings, {"importance": float("inf")}, "finite"),
        (RecallSettings, {"txt": 1}, "txt=1"),
        (ForgettingSettings, {"min_age_days": float("inf")}, "finite"),
        (ForgettingSettings, {"min_age_days": 1e12}, "365000"),
        (ConsolidationSettings, {"min_trust": 2}, "min_trust=2"),
        (IndexSettings, {"backend": "faiss"}, "'chroma' or 'exact'"),
        (Settings, {"recal": RecallSettings()}, "recal="),
        (Settings, {"recall": {"rerank": 0}}, "RecallSettings: rerank=0"),
    ],
)
def test_a_setting_that_nothing_can_work_with_is_refused_at_once(
    section: type, values: dict[str, Any], said: str
) -> None:
    """Not by the first call that computes with it, and not in the words of the library that checks it."""
    with pytest.raises(InvalidArgument) as caught:
        section(**values)

    assert said in caught.value.message
    assert caught.value.hint
    assert "pydantic" not in str(caught.value)


def leaves(section: type[BaseModel]) -> list[str]:
    found = []
    for name, field in section.model_fields.items():
        inner = field.annotation
        deeper = isinstance(inner, type) and issubclass(inner, BaseModel)
        found += [f"{name}.{leaf}" for leaf in leaves(inner)] if deeper else [name]  # type: ignore[arg-type]
    return found


def test_settings_are_few() -> None:
    """A setting is what an operator can decide without having read the code; who adds one beyond these takes another out."""
    assert len(leaves(Settings)) <= 45


@pytest.mark.parametrize(("section", "name"), [(s, name) for s, names in MOVED.items() for name in names])
def test_who_passes_a_former_setting_is_told_where_it_went(section: str, name: str) -> None:
    """As a keyword and within a mapping; and what the hint names is there."""
    kind = next(
        f.annotation for f in Settings.model_fields.values() if getattr(f.annotation, "__name__", "") == section
    )
    part = next(key for key, field in Settings.model_fields.items() if field.annotation is kind)
    for made, values in ((kind, {name: 0.1}), (Settings, {part: {name: 0.1}})):
        with pytest.raises(InvalidArgument, match=f"{section}: {name} is no setting") as caught:
            made(**values)  # type: ignore[misc]

    if section == "RecallSettings":
        assert f"RankingWeights({name}=" in caught.value.hint
    else:
        constant, _, module = caught.value.hint.partition(";")[0].rstrip(".").split(" ", 2)
        assert hasattr(import_module(module), constant)


def test_every_weight_that_was_a_setting_is_one_now() -> None:
    """And no weight that came later is named where former settings went."""
    assert {field.name for field in fields(RankingWeights)} - set(MOVED["RecallSettings"]) == {"newer", "remembered"}
    assert set(MOVED["RecallSettings"]) <= {field.name for field in fields(RankingWeights)}


def test_the_largest_weights_answer_a_query_in_any_script() -> None:
    """What a query in a foreign script adds to the weight of words stays within what a weight may be."""
    with Memory(None, embedder="hash", ranking=RankingWeights(text=10, foreign=10)) as memory:
        memory._parts.core.embedder.scripts = ("Latin",)
        memory.remember("我住在里斯本。")

        assert memory.recall("里斯本")[0].note.content == "我住在里斯本。"


@pytest.mark.parametrize(
    "weights",
    [{"text": -1}, {"text": float("nan")}, {"text": float("inf")}, {"time": "0.1"}, {"reply": True}, {"together": 1.0}, {"successor": 1.5}, {"newer": 5}, {"actor": 50},
     {"unnamed": 2}],
)  # fmt: skip
def test_a_weight_that_nothing_can_work_with_is_refused_at_once(weights: dict[str, Any]) -> None:
    """By name, with the measured one in the hint; and what is no weights at all by the memory."""
    with pytest.raises(InvalidArgument, match=f"{next(iter(weights))}=") as caught:
        RankingWeights(**weights)
    with pytest.raises(InvalidArgument, match="ranking must be RankingWeights"):
        Memory(None, embedder="hash", ranking=weights)  # type: ignore[arg-type]

    assert "measured" in caught.value.hint
