"""One scope never sees another."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem import Memory, Scope
from agentmem.errors import ScopeError, ScopeRequired, UnknownNote
from agentmem.notes.clock import ManualClock


def test_an_unscoped_read_of_scoped_notes_is_refused(memory: Memory) -> None:
    """Once notes belong to somebody, a read must say whose it asks for."""
    memory.remember("Ana's door code is 4711.", user="ana")

    for read in (lambda: memory.recall("door code"), memory.notes, memory.graph):
        with pytest.raises(ScopeRequired) as caught:
            read()
        assert "user=" in caught.value.hint


def test_a_user_sees_her_own_and_the_shared_notes(memory: Memory) -> None:
    """Notes without a user are shared; those of another user do not exist for her."""
    memory.remember("The office opens at nine.")
    memory.remember("Ana's desk is by the window.", user="ana")
    memory.remember("Ben's desk is by the door.", user="ben")

    seen = {h.note.content for h in memory.recall("desk office", user="ana")}
    assert seen == {"The office opens at nine.", "Ana's desk is by the window."}


def test_a_foreign_id_is_as_unknown_as_a_missing_one(memory: Memory) -> None:
    """get, update, forget and link tell nothing about another user's notes."""
    secret = memory.remember("Ben's plan.", user="ben").id
    own = memory.remember("Ana's plan.", user="ana").id
    ana = {"user": "ana"}

    with pytest.raises(UnknownNote) as foreign:
        memory.get(str(secret), **ana)
    with pytest.raises(UnknownNote) as missing:
        memory.get("0" * 8, **ana)
    with pytest.raises(UnknownNote):
        memory.forget(str(secret), **ana)
    assert foreign.value.hint == missing.value.hint
    assert memory.get(str(own), **ana).content == "Ana's plan."


def test_a_bound_memory_stays_within_its_scope(clock: object) -> None:
    """What the constructor binds, no call can leave."""
    with Memory(None, embedder="hash", scope=Scope(user="ana")) as bound:
        bound.remember("I live in Porto.")
        with pytest.raises(ScopeError):
            bound.recall("where", user="ben")
        with pytest.raises(ScopeError):
            bound.remember("x", user="ben")
        assert bound.recall("where")[0].note.scope.user == "ana"


def test_a_session_narrows_a_read(memory: Memory) -> None:
    """Asking within one session leaves the user's other sessions out; asking without sees all."""
    memory.remember("We spoke about risotto.", user="ana", session="monday")
    memory.remember("We spoke about sailing.", user="ana", session="tuesday")

    monday = [h.note.content for h in memory.recall("spoke", user="ana", session="monday")]
    assert monday == ["We spoke about risotto."]
    assert len(memory.recall("spoke", user="ana")) == 2


_USERS = [None, "u1", "u2"]
_AGENTS = [None, "a1", "a2"]


@settings(max_examples=40, deadline=None)
@given(
    owners=st.lists(st.sampled_from(list(itertools.product(_USERS, _AGENTS))), min_size=1, max_size=8),
    reader=st.sampled_from([p for p in itertools.product(_USERS, _AGENTS) if any(p)]),
)
def test_whatever_is_stored_a_reader_sees_exactly_what_its_scope_admits(
    owners: list[tuple[str | None, str | None]], reader: tuple[str | None, str | None]
) -> None:
    """recall, notes and the graph agree with the rule of Scope.admits."""
    scope = Scope(user=reader[0], agent=reader[1])
    with Memory(None, embedder="hash") as memory:
        ids = [
            (memory.remember(f"common word number{i}", user=u, agent=a).id, Scope(user=u, agent=a))
            for i, (u, a) in enumerate(owners)
        ]
        allowed = {i for i, s in ids if scope.admits(s)}
        asked = {"user": reader[0], "agent": reader[1]}
        assert {h.note.id for h in memory.recall("common word", k=50, **asked)} == allowed
        assert {n.id for n in memory.notes(**asked)} == allowed
        assert set(memory.graph(**asked).nodes) == allowed


EITHER: dict[str, object] = {"$or": [{"kind": "semantic"}, {"kind": "episodic"}]}
"""True of every note: what it is joined with must hold all the same."""


@pytest.mark.parametrize(
    "where", [EITHER, {"$and": [EITHER]}, {"$not": {"$not": EITHER}}, {"$or": [{"$and": [EITHER]}]}]
)
def test_a_filter_does_not_cross_the_scope(memory: Memory, where: dict[str, object]) -> None:
    """Whatever a filter says, a user reads, counts and forgets her own notes and the shared ones alone."""
    ana = memory.remember("Ana's door code is 4711.", user="ana")
    memory.remember("Ben's plan.", user="ben")

    assert [n.content for n in memory.notes(where=where, user="ben")] == ["Ben's plan."]
    assert [h.note.content for h in memory.recall("door code plan", where=where, user="ben")] == ["Ben's plan."]
    assert len(memory.forget(where, user="ben", dry_run=True).ids) == 1
    assert len(memory.forget(where, user="ben").ids) == 1
    assert memory.get(str(ana.id), user="ana").content == "Ana's door code is 4711."


def test_a_filter_does_not_cross_session_archive_or_time(memory: Memory, clock: ManualClock) -> None:
    """What a read leaves out besides foreign notes stays left out, too."""
    told = memory.remember("We spoke about risotto.", user="ana", session="monday")
    memory.remember("We spoke about sailing.", user="ana", session="tuesday")
    memory.remember("We spoke about chess.", user="ana", agent="coach", session="monday")
    clock.advance(days=3)
    memory.remember("We spoke about gold.", user="ana", session="monday")

    heard = memory.notes(
        where=EITHER, user="ana", agent="cook", session="monday", as_of=clock.now() - timedelta(days=1)
    )
    assert [n.id for n in heard] == [told.id]
    with memory._parts.core.store.write() as tx:
        tx.notes.set_archived(list(tx.notes.rows_of([str(told.id)]).values()), 1)
    assert (
        memory.notes(
            where=EITHER, user="ana", agent="cook", session="monday", as_of=clock.now() - timedelta(days=1), faded=False
        )
        == []
    )
