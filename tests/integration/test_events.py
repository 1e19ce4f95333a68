"""What a memory tells who watches it: every verb, once, at its end, and never a word of what is remembered."""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
import shutil
import time
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from agentmem import AsyncMemory, Memory, Scope
from agentmem.consolidation.policy import Decision
from agentmem.consolidation.report import ConsolidationReport, EditOutcome
from agentmem.errors import AgentMemError, InvalidArgument
from agentmem.events import MemoryEvent, NoticeEvent, VerbEvent, gist, unwatched
from agentmem.events.notices import NOTICES, kind_of, named
from agentmem.events.watched import WATCHED
from agentmem.experience.memory import ExperienceMemory
from agentmem.integrations.async_chat import AsyncChatAgent
from agentmem.integrations.chat import ChatAgent
from agentmem.notes.clock import ManualClock
from agentmem.settings import IndexSettings, Settings

NO_VERBS = {"subscribe"}


def verbs_of(owner: type) -> dict[str, str | None]:
    methods = inspect.getmembers(owner, inspect.isfunction)
    return {name: getattr(method, WATCHED, None) for name, method in methods if not name.startswith("_")}


def watched(memory: Memory | AsyncMemory, **options: bool) -> list[MemoryEvent]:
    told: list[MemoryEvent] = []
    memory.subscribe(told.append, **options)
    return told


def test_every_verb_of_memory_and_of_experience_is_told_of():
    """A verb that is added and makes no event fails this test."""
    assert {name: said for name, said in verbs_of(Memory).items() if said != name} == dict.fromkeys(NO_VERBS)
    assert verbs_of(ExperienceMemory) == {"record": "experience.record", "advise": "experience.advise"}


def test_a_verb_is_told_at_its_end_with_what_came_of_it(clock: ManualClock):
    with Memory(embedder="hash", clock=clock) as memory:
        told = watched(memory)
        began = clock.now()
        memory.remember("Ana lives in Porto.", user="ana")
        clock.advance(days=1)
        memory.remember("Ana lives in Lisbon.", user="ana")
        memory.recall("Where does Ana live?", user="ana", agent="bot")
        memory.forget({"user": "ana"}, user="ana")

    first, second, recalled, forgotten, closed = told
    assert (first.verb, first.at, first.error, first.has_user, first.has_agent) == ("remember", began, "", True, False)
    assert first.counts["stored"] == 1
    assert (second.counts["superseded"], second.counts["closed"]) == (1, 1)
    assert recalled.counts["hits"] == 2
    assert recalled.has_agent
    assert recalled.labels == {"plan": "exact"}
    assert recalled.ids[0] == second.ids[0]
    assert recalled.seconds > 0
    assert forgotten.counts["notes"] == 2
    assert forgotten.counts["probes"] == forgotten.counts["probes_gone"] > 0
    assert closed.verb == "close"


def test_names_are_told_only_to_who_asks_for_them():
    with Memory(embedder="hash", scope=Scope(agent="bot")) as memory:
        plain, named_too = watched(memory), watched(memory, names=True)
        memory.remember({"content": "A note.", "user": "ana", "session": "monday"})

    assert (plain[0].user, plain[0].agent, plain[0].session) == (None, None, None)
    assert (plain[0].has_user, plain[0].has_agent, plain[0].has_session) == (True, True, True)
    assert (named_too[0].user, named_too[0].agent, named_too[0].session) == ("ana", "bot", "monday")


def test_an_error_is_told_by_its_class_and_reaches_the_caller():
    with Memory(embedder="hash") as memory:
        told = watched(memory)
        with pytest.raises(InvalidArgument):
            memory.recall("")

    assert (told[0].verb, told[0].error, told[0].ok, told[0].counts) == ("recall", "InvalidArgument", False, {})


def test_events_cannot_be_changed():
    with Memory(embedder="hash") as memory:
        told = watched(memory)
        memory.remember("A note.")

    with pytest.raises(FrozenInstanceError):
        told[0].verb = "other"
    with pytest.raises(TypeError):
        told[0].counts["stored"] = 2


def test_a_verb_that_uses_others_is_told_once():
    with Memory(embedder="hash") as memory:
        id = memory.remember("Ana lives in Porto.").id
        told = watched(memory)
        memory.why_not("Where does Ana live?", id)
        memory.put_many([{"namespace": ("a",), "key": "k", "value": {"a": 1}}])

    assert [event.verb for event in told] == ["why_not", "put_many", "close"]


def test_a_subscriber_that_raises_breaks_nothing_and_is_told_of_once_without_its_words(
    caplog: pytest.LogCaptureFixture,
):
    def failing(event: MemoryEvent) -> None:
        raise ValueError("secret words")

    with Memory(embedder="hash") as memory, caplog.at_level(logging.WARNING, "agentmem.events"):
        memory.subscribe(failing)
        told = watched(memory)
        assert memory.remember("A note.").ok
        assert memory.recall("note")

    assert [event.verb for event in told] == ["remember", "recall", "close"]
    assert len(caplog.records) == 1
    assert "ValueError from" in caplog.text
    assert "test_events.py" in caplog.text
    assert "secret" not in caplog.text


def test_whoever_takes_it_back_is_told_no_more():
    with Memory(embedder="hash") as memory:
        told: list[MemoryEvent] = []
        stop = memory.subscribe(told.append)
        memory.remember("A note.")
        stop()
        stop()
        memory.recall("note")

    assert [event.verb for event in told] == ["remember"]


def test_what_a_subscriber_asks_the_memory_makes_no_events():
    with Memory(embedder="hash") as memory:
        told: list[MemoryEvent] = []
        memory.subscribe(lambda event: (memory.stats(), told.append(event)))
        memory.remember("A note.")
        with unwatched():
            memory.stats()
        stop = told[:]

    assert [event.verb for event in stop] == ["remember"]


@pytest.mark.parametrize("wrong", [None, "print", lambda: None], ids=["nothing", "a text", "async"])
def test_what_cannot_be_told_is_refused(wrong: object):
    async def awaited(event: MemoryEvent) -> None: ...

    with Memory(embedder="hash") as memory, pytest.raises(InvalidArgument):
        memory.subscribe(awaited if callable(wrong) else wrong)


async def test_an_async_memory_tells_of_its_verbs_and_how_long_they_stood_in_the_queue():
    memory = AsyncMemory(embedder="hash")
    told = watched(memory)  # before it is open
    async with memory:
        await asyncio.gather(*(memory.remember(f"Note number {number}.") for number in range(5)))
        await memory.recall("number")
        await memory.experience.advise("task", "observation")

    assert [event.verb for event in told] == [*["remember"] * 5, "recall", "experience.advise", "close"]
    assert all(event.waited > 0 for event in told[:7])
    assert told[4].waited > told[4].seconds / 2  # it stood behind the four before it


async def test_a_call_that_is_cancelled_in_the_queue_was_never_begun_and_makes_no_event():
    async with AsyncMemory(embedder="hash") as memory:
        told = watched(memory)
        first = asyncio.create_task(memory.remember_many([f"Note {n}." for n in range(200)], progress=False))
        second = asyncio.create_task(memory.remember("Never."))
        await asyncio.sleep(0)
        second.cancel()
        await first
        await memory.flush()

    assert [event.verb for event in told] == ["remember_many", "flush", "close"]


def test_a_turn_of_a_chat_is_told_as_an_answer_and_as_what_was_remembered():
    with Memory(embedder="hash") as memory:
        memory.remember("Ana lives in Porto.", user="ana")
        told = watched(memory)
        ChatAgent(lambda messages: "In Porto.", memory, user="ana").chat("Where does Ana live?")
        "".join(ChatAgent(lambda messages: "Hello!", memory, user="ana").stream("Good morning."))

    chats = [event for event in told if event.verb == "chat"]
    assert [event.error for event in chats] == ["", ""]
    assert chats[0].labels["source"] == "notes"
    assert chats[0].counts["prompt_tokens"] > 0
    assert chats[0].has_user
    assert [event.verb for event in told].count("remember_many") == 2
    assert "ask" not in [event.verb for event in told]


def test_a_chat_whose_model_fails_is_told_by_the_class_of_its_error():
    def failing(messages: object) -> str:
        raise OSError("gone")

    with Memory(embedder="hash") as memory:
        told = watched(memory)
        with pytest.raises((AgentMemError, OSError)) as raised:
            ChatAgent(failing, memory).chat("Good morning.")

    assert next(event for event in told if event.verb == "chat").error == type(raised.value).__name__


async def test_a_chat_on_an_async_memory_is_told_of_too():
    async with AsyncMemory(embedder="hash") as memory:
        told = watched(memory)
        agent = AsyncChatAgent(lambda messages: "Hello!", memory)
        await agent.chat("Good morning.")
        async for _ in agent.stream("Good evening."):
            pass

    assert [event.verb for event in told].count("chat") == 2


def test_an_index_that_is_gone_is_a_notice(tmp_path: Path):
    settings = Settings(index=IndexSettings(exact_limit=10))
    with Memory(tmp_path / "m", embedder="hash", settings=settings) as memory:
        memory.remember_many([f"Note number {n}." for n in range(40)], progress=False)
        memory.flush()
    for folder in (tmp_path / "m").iterdir():
        if folder.name.startswith("index-"):
            shutil.rmtree(folder)
    with Memory(tmp_path / "m", embedder="hash", settings=settings) as memory:
        told = watched(memory)
        found = memory.recall("number 7")

    assert found.degraded
    notices = [event for event in told if isinstance(event, NoticeEvent)]
    assert [(event.verb, event.kind, event.what) for event in notices] == [
        ("recall", "degraded", named(found.warnings)[0])
    ]
    assert notices[0].what in ("index missing", "index damaged")
    recalled = next(event for event in told if isinstance(event, VerbEvent))
    assert recalled.notices == (notices[0].what,)
    assert recalled.counts["degraded"] == 1


def test_a_warning_that_has_no_name_is_other_and_never_its_own_words():
    assert named(["the vector index is missing; x", "Ana's secret", "Ana's other secret"]) == ("index missing", "other")
    assert {kind_of(name) for name in NOTICES} == {"degraded", "warning"}


def test_a_forgetting_that_matched_nothing_is_a_warning():
    with Memory(embedder="hash") as memory:
        told = watched(memory)
        memory.forget({"tags": {"$contains": "none"}})

    assert told[0] == NoticeEvent("forget", told[0].at, "warning", "nothing matched")


def test_edits_that_answer_by_their_keys_alone_are_a_notice(
    monkeypatch: pytest.MonkeyPatch, small_model: tuple[Any, Any]
):
    """Where a model is attached, and what reads questions is not installed."""
    monkeypatch.setattr("agentmem.embedding.weights_files.find_spec", lambda name: None)
    with Memory(embedder="hash") as memory:
        memory.remember("Ana lives in Porto.")
        memory.attach(*small_model)
        told = watched(memory)
        memory.ask("Where does Ana live?")

    assert told[0] == NoticeEvent("ask", told[0].at, "degraded", "reader absent")
    assert told[1].verb == "ask"


def test_a_consolidation_is_told_by_how_many_facts_were_admitted_refused_and_failed():
    decisions = tuple(
        Decision(f"n{i}", "label", action, 0.5, ())
        for i, action in enumerate(("promote", "promote", "keep", "keep", "keep"))
    )
    outcomes = tuple(EditOutcome(f"n{i}", f"e{i}", "q", "t", "b", "a", 1.0, None, committed=bool(i)) for i in range(2))
    read = gist.consolidation(ConsolidationReport(decisions, outcomes))

    assert {name: read.counts[name] for name in ("candidates", "admitted", "refused", "failed")} == {
        "candidates": 5, "admitted": 1, "refused": 3, "failed": 1,
    }  # fmt: skip
    assert read.ids == ("n1",)


def say_everything(memory: Memory, words: list[str], folder: Path) -> None:
    """Every verb, with these words wherever a word can be put; half of them raise, which tells of errors."""
    a, b, c, d, user, key = words
    whose = {"user": user}

    def said(verb: str, *args: object, **options: object) -> object:
        try:
            return getattr(memory, verb)(*args, **options)
        except (AgentMemError, TypeError, KeyError) as error:
            return error

    text = f"{a.title()} lives in {b.title()}."
    receipt = said(
        "remember", text, tags=[c], metadata={key: d}, source="user", idempotency_key=key, session=d, **whose
    )
    said("remember", f"{a.title()} lives in {c.title()}.", **whose)
    said("remember_many", [text, {"content": f"{c} {d}"}], progress=False, **whose)
    said("remember", f"{a}", nonsense=b)
    found = said("recall", f"Where does {a.title()} live?", **whose)
    said("recall", f"{a}", where={key: b}, user=d)
    said("why_not", f"{a} {b}", receipt.id, **whose)
    said("reinforce", found, question=f"{a}?", answer=f"{b}.", **whose)
    said("evidence", **whose)
    said("get", receipt.id, **whose)
    said("get", f"{a}")
    said("notes", **whose)
    said("update", receipt.id, f"{a.title()} lives in {d.title()}.", **whose)
    for verb in ("history", "undo_updates", "explain"):
        said(verb, receipt.id, **whose)
    said("link", receipt.id, found[0].note.id, key, reason=f"{a} {b}", **whose)
    said("graph", **whose)
    said("why_linked", receipt.id, found[0].note.id, **whose)
    said("graph_page", folder / f"{c}.html", **whose)
    said("put", (a, b), key, {"text": f"{c} {d}"}, **whose)
    said("put_many", [{"namespace": (a,), "key": key, "value": {c: d}}], **whose)
    said("search", (a,), f"{c}", **whose)
    said("list_namespaces", **whose)
    said("delete", (a, b), key, **whose)
    for verb in ("sweep", "users", "jobs", "check", "stats", "flush", "detach"):
        said(verb)
    said("attach", f"{folder}/{a}")
    said("consolidate", dry_run=True, **whose)
    for verb in ("status", "edits", "undo_consolidation", "verify", "enrich", "reflect"):
        said(verb, **whose)
    said("verify_bytes", [f"{a} {b}"])
    said("ask", f"Where does {a.title()} live?", history=[{"role": "user", "content": f"{c}"}], **whose)
    said("rebuild", "text")
    said("rebuild", f"{a}")
    said("reembed", "hash")
    said("export_lora", folder / f"{a}", **whose)
    said("export", folder / f"{a}.jsonl", **whose)
    said("load_export", folder / f"{a}.jsonl", **whose)
    said("load_export", folder / f"{b}.jsonl", **whose)
    said("unfade", said("fade"))
    memory.experience.record(f"{a}", f"{b}", f"{c}", 1.0, f"{d}", episode=key, **whose)
    memory.experience.advise(f"{a}", f"{b}", **whose)
    ChatAgent(lambda messages: f"{b} {c}", memory, user=user, session=d).chat(f"{a}?")
    said("forget", [receipt.id], **whose)
    said("forget", {key: a}, **whose)
    said("forget_as_in", f"{folder}/{a}")
    said("close")


@pytest.mark.parametrize("seed", range(3))
def test_no_event_has_a_word_of_what_is_remembered_asked_or_answered(seed: int, tmp_path: Path):
    """Whatever the words are, in whichever verb, and where it fails."""
    draw = random.Random(seed)
    words = ["qx" + "".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=8)) for _ in range(6)]
    memory = Memory(tmp_path / "m", embedder="hash", llm=lambda messages: f"{words[1]} and {words[2]}.")
    told = watched(memory)
    say_everything(memory, words, tmp_path)

    shown = repr(told).lower()
    assert [word for word in words if word in shown] == []
    assert {event.verb for event in told} == {
        *verbs_of(Memory),
        *verbs_of(ExperienceMemory).values(),
        "chat",
    } - NO_VERBS - {"record", "advise"}
    assert any(event.error for event in told if isinstance(event, VerbEvent))


def test_nobody_who_watches_costs_less_than_a_microsecond_a_verb():
    """The least of several measures: the wrapper's own time, of a verb that does nothing."""
    with Memory(embedder="hash") as memory:
        verb = type(memory).users
        spent = []
        parts, count = type("Parts", (), {})(), 20_000
        parts.keeper = type("Keeper", (), {"users": lambda self, scope: []})()
        real, memory._parts = memory._parts, parts
        try:
            for _ in range(5):
                costs = []
                for method in (verb, verb.__wrapped__):
                    began = time.perf_counter()
                    for _ in range(count):
                        method(memory)
                    costs.append((time.perf_counter() - began) / count)
                spent.append(costs[0] - costs[1])
        finally:
            memory._parts = real

    assert min(spent) < 1e-6
