"""Packs of edits in the database: learnt on one machine, answered on another, and gone for both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agentmem import Fact, Memory
from agentmem.errors import PackMismatch
from agentmem.llm.small_model import load_small_model
from agentmem.stores.postgres.store import PostgresStore
from agentmem.weights.shared_packs import SharedPacks

WHERE = "Where does Ilva Quist live?"


def test_a_pack_is_fetched_by_who_has_not_made_it(server: Any, new_schema: Callable[[], str]) -> None:
    """And one that nobody serves any more is in no table."""
    store = PostgresStore(server.url(), schema=new_schema())
    one, other = SharedPacks(store.packs), SharedPacks(store.packs)
    first, second = one.put(b"first"), one.put(b"second")

    assert (other.get(first), other.get(second)) == (b"first", b"second")
    one.collect([second])
    assert one.get(second) == b"second"
    with pytest.raises(PackMismatch, match="missing"):
        SharedPacks(store.packs).get(first)
    store.close()


def test_what_one_process_learnt_by_heart_another_answers_and_forgets(own_server: Any) -> None:
    """The files of a memory on a database are its own and go with it; what is true lies in the database."""
    url = own_server.url()
    with Memory(url, embedder="hash", model=load_small_model()) as worker:
        id = str(
            worker.remember("Ilva Quist lives in Porto.", user="ana", fact=Fact("Ilva Quist", "lives in", "Porto")).id
        )
        worker.reinforce(id, user="ana")
        assert [each.note_id for each in worker.consolidate(user="ana").promoted] == [id]

    with Memory(url, embedder="hash", model=load_small_model()) as serving:
        known = serving.ask(WHERE, user="ana", use="weights")
        assert (known.text, known.source) == ("Porto.", "weights")
        assert "Porto" not in serving.ask(WHERE, user="ben", use="weights").text
        planned = serving.forget(id, user="ana", dry_run=True)
        receipt = serving.forget(id, user="ana")

        assert receipt.gone
        assert (planned.places, planned.edits) == (receipt.places, receipt.edits)
        assert "Porto" not in serving.ask(WHERE, user="ana", use="weights").text
        assert serving.check().ok
