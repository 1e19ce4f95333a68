"""Who has forgotten everything is known to nobody who reads the files, by name: mostly a mail address. Who comes back is known all the same."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch

from agentmem import Fact, Memory
from agentmem.forget.places import TRACES, Traces
from agentmem.integrations import ChatAgent
from agentmem.llm.small_model import load_small_model
from agentmem.notes.clock import ManualClock
from agentmem.stores.sqlite.seals import teach
from tests.attack import plain_model
from tests.attack.byte_search import canary
from tests.attack.byte_search import traces as found
from tests.attack.tenants import Teller
from tests.former import SEALED, undo

START = datetime(2026, 1, 1, 9, tzinfo=UTC)


def opened(place: Path, **options: object) -> Memory:
    return Memory(place, embedder="hash", clock=ManualClock(START), **options)  # type: ignore[arg-type]


def names() -> tuple[str, str, str]:
    """A user, an agent and a session, of each of which no six letters stand anywhere else."""
    rng = random.Random(5)
    return f"{canary(rng)}.{canary(rng)}", canary(rng), canary(rng)


def company(memory: Memory) -> None:
    """Others, who stay."""
    for user in ("user0", "user1", "user2"):
        memory.remember_many(
            [f"The {i}. boat of {user} sails to harbour {i * 7}." for i in range(16)],
            user=user,
            session="open",
            progress=False,
        )
    memory.remember("An agent speaks.", agent="agent0")


Verb = Callable[[Memory, str, str, str], None]


def _remember(memory: Memory, user: str, agent: str, session: str) -> None:
    memory.remember(
        "I have a dentist appointment.", user=user, session=session, idempotency_key=f"{user}-1", actor=user
    )
    memory.remember("I have a cat.", user=user, agent=agent, tags=[user])
    echo = {"role": "assistant", "content": "I have a dentist appointment.", "idempotency_key": f"{user}-2"}
    (refused,) = memory.remember_many([echo], user=user, progress=False)
    assert refused.status == "rejected"


def _own(memory: Memory, user: str, agent: str, session: str) -> None:
    memory.remember("I am an agent and have a dentist.", agent=agent, session=session)
    memory.remember("A user has one, too.", user=user)


def _chat(memory: Memory, user: str, agent: str, session: str) -> None:
    chat = ChatAgent(lambda messages: "Noted.", memory, user=user, session=session)
    for text in ("I live in Lisbon.", "I have a dentist appointment.", "Where do I live?"):
        chat.chat(text)


def _experience(memory: Memory, user: str, agent: str, session: str) -> None:
    for step in range(3):
        memory.experience.record(
            "tidy",
            f"cup {step}",
            f"drop {step}",
            float(step),
            f"cup {step + 1}",
            episode=session,
            user=user,
            idempotency_key=f"{user}{step}",
        )


def _described(memory: Memory, user: str, agent: str, session: str) -> None:
    ids = [str(memory.remember(f"Pear {i} sails to the isle of {user}.", user=user).id) for i in range(3)]
    memory.link(ids[0], ids[2], "user", reason=f"{user} said so", user=user)
    memory.update(ids[1], "Nothing of it.", user=user)
    memory.reinforce(ids, user=user)


VERBS: dict[str, Verb] = {
    "remember": _remember,
    "agents": _own,
    "chat": _chat,
    "experience": _experience,
    "links": _described,
}


def forget_all(memory: Memory, user: str, agent: str) -> None:
    for scope in ({"user": user}, {"agent": agent}):
        if ids := [note.id for note in memory.notes(**scope) if note.scope.user or note.scope.agent]:  # type: ignore[arg-type]
            receipt = memory.forget(ids, **scope)  # type: ignore[arg-type]
            assert receipt.gone, (receipt.probes, receipt.warnings)
            assert receipt.probes["names"]


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_a_name_goes_with_the_last_note(tmp_path: Path, verb: Verb) -> None:
    """No six letters of a user's, an agent's or a session's name are in any file when everything of theirs is forgotten, open or closed."""
    user, agent, session = names()
    with opened(tmp_path / "m") as memory:
        company(memory)
        verb(memory, user, agent, session)
        company(memory)
        assert found(tmp_path / "m", [user], tmp_path / "copy"), "nothing was planted: the test proves nothing"

        forget_all(memory, user, agent)

        assert found(tmp_path / "m", [user, agent, session], tmp_path / "copy") == []
        assert memory.verify_bytes([user, agent, session]).ok
        assert memory.check(deep=True).ok, memory.check(deep=True)
    assert found(tmp_path / "m", [user, agent, session], tmp_path / "copy") == []


@pytest.mark.parametrize("real", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_edits_in_the_weights_take_no_name_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real: bool) -> None:
    """A fact that was written into the weights leaves neither packs nor books with the name of whose it was."""
    torch.set_num_threads(1)
    user, agent, session = names()
    with opened(tmp_path / "m", model=load_small_model() if real else None) as memory:
        if not real:
            plain_model.teach(memory, Teller(), monkeypatch)
        memory.remember("The boat sails.", user="other")
        id = str(
            memory.remember(
                "Ilva Quist lives in Porto.", user=user, fact=Fact("Ilva Quist", "lives in", "Porto"), session=session
            ).id
        )
        memory.reinforce(id, user=user)
        assert memory.consolidate(user=user).promoted
        assert found(tmp_path / "m", [user], tmp_path / "copy")

        forget_all(memory, user, agent)

        assert found(tmp_path / "m", [user, session], tmp_path / "copy") == []
        assert memory.remember("Ilva Quist lives in Oslo.", user=user).status == "stored"
        assert memory.check().ok, memory.check()


def test_who_comes_back_is_known(tmp_path: Path) -> None:
    """The same owner, whose tombstones and keys still refuse what comes late; what is refused brings no name back, and the first note does."""
    user, agent, session = names()
    with opened(tmp_path / "m") as memory:
        company(memory)
        memory.clock.advance(days=1)  # type: ignore[attr-defined]
        _remember(memory, user, agent, session)
        with memory._parts.core.store.read() as tx:
            before = tx.notes.owner(memory.notes(user=user)[-1].scope)
        memory.clock.advance(days=1)  # type: ignore[attr-defined]
        forget_all(memory, user, agent)
    with opened(tmp_path / "m") as memory:
        memory.clock.advance(days=3)  # type: ignore[attr-defined]
        late = memory.remember("I have a dentist appointment.", user=user, occurred_at=START)
        retried = memory.remember("I have a dentist appointment.", user=user, idempotency_key=f"{user}-1")
        again = memory.remember("I have a dentist appointment.", user=user, idempotency_key=f"{user}-1")
        echo = memory.remember("I have a dentist appointment.", user=user, idempotency_key=f"{user}-2")
        assert [late.status, retried.status, again.status, echo.status] == ["rejected"] * 4
        assert memory.notes(user=user) == []
        memory.flush()
        assert found(tmp_path / "m", [user, session], tmp_path / "copy") == []

        said = memory.remember("I have a dog.", user=user)

        assert said.status == "stored"
        assert [note.scope.user for note in memory.notes(user=user)] == [user]
        assert memory.recall("dog", user=user).hits[0].note.content == "I have a dog."
        with memory._parts.core.store.read() as tx:
            assert tx.notes.owner(memory.notes(user=user)[-1].scope) == before
        assert memory.check(deep=True).ok
        forget_all(memory, user, agent)
        assert found(tmp_path / "m", [user], tmp_path / "copy") == []


def test_a_name_stays_as_long_as_a_note_does(tmp_path: Path) -> None:
    """Of two notes the first takes nothing along; another process that opens the memory writes under the same owner."""
    user, _, _ = names()
    with opened(tmp_path / "m") as memory, opened(tmp_path / "m") as other:
        first, second = (str(memory.remember(text, user=user).id) for text in ("I have a cat.", "It rains in Porto."))
        assert other.remember("I have a bird.", user=user).status == "stored"
        memory.forget(first, user=user)
        assert {note.scope.user for note in other.notes(user=user)} == {user}
        memory.forget([second, other.notes(user=user)[-1].id], user=user)
        assert found(tmp_path / "m", [user], tmp_path / "copy") == []
        again = other.remember("I am back.", user=user)
        assert again.status == "stored"
        assert [note.scope.user for note in memory.notes(user=user)] == [user]
        assert memory.check().ok


def test_names_of_a_former_version_go_when_it_is_opened(tmp_path: Path) -> None:
    """Of who had forgotten everything before names could go; damage from before stays damage, and everything else is as it was."""
    user, agent, session = names()
    with opened(tmp_path / "m") as memory:
        company(memory)
        _remember(memory, user, agent, session)
        forget_all(memory, user, agent)
        said = [note.content for note in memory.notes(user="user1")]
    with closing(sqlite3.connect(tmp_path / "m" / "notes.db")) as old, old:
        teach(old)
        undo(old.execute, SEALED)
        old.execute("UPDATE owner SET user = ? WHERE user IS NULL AND agent IS NULL AND id <> 1", (user,))
        old.execute("UPDATE note SET valid_from = 5 WHERE id = 1")
        (owner,) = old.execute("SELECT id FROM owner WHERE user = ?", (user,)).fetchone()
        old.execute(
            'INSERT INTO idempotency VALUES (?, ?, NULL, \'{"id":null,"status":"rejected"}\')', (owner, f"{user}-3")
        )
    assert found(tmp_path / "m", [user], tmp_path / "copy")

    with opened(tmp_path / "m") as memory:
        assert found(tmp_path / "m", [user], tmp_path / "copy") == []
        assert [note.content for note in memory.notes(user="user1")] == said
        assert len(memory.check().problems) == 1
        assert "is not what was written" in memory.check().problems[0]
        assert memory.remember("I have a hen.", user=user, idempotency_key=f"{user}-3").status == "rejected"


def test_without_its_trace_the_name_stays(tmp_path: Path) -> None:
    """The null control: with that place taken off the list, the same search finds the name."""
    user, agent, session = names()
    with opened(tmp_path / "m") as memory:
        memory._parts.eraser._traces = Traces([trace for trace in TRACES if trace.name != "names"])  # type: ignore[attr-defined]
        _remember(memory, user, agent, session)
        memory.forget([note.id for note in memory.notes(user=user)], user=user)

        assert found(tmp_path / "m", [user], tmp_path / "copy")
