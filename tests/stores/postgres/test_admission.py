"""What the guard promises over SQLite holds over PostgreSQL, with the server's own rules below it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agentmem.stores.postgres.store import PostgresStore
from tests.stores import test_admission as promises


@pytest.fixture
def filed(server: Any, new_schema: Callable[[], str]) -> Iterator[Any]:
    made = promises.Filed(PostgresStore(server.url(), schema=new_schema()))
    yield made
    made.store.close()


test_what_touches_anothers_note = promises.test_what_touches_anothers_note_raises_and_leaves_no_trace
test_what_a_caller_may_name = promises.test_what_a_caller_may_name_is_narrowed
test_a_question_about_a_shared_note = promises.test_a_question_about_a_shared_note_is_seen_by_nobody_else
test_a_job_may_touch_everybodys_notes = promises.test_a_job_may_touch_everybodys_notes_and_a_request_within_it_may_not
