"""What the guard promises over SQLite holds over PostgreSQL, with the server's own rules below it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentmem.stores.postgres.store import PostgresStore

_spec = importlib.util.spec_from_file_location("admission_of_sqlite", Path(__file__).parents[1] / "test_admission.py")
assert _spec is not None and _spec.loader is not None
_promises = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_promises)


@pytest.fixture
def filed(server: Any, new_schema: Callable[[], str]) -> Iterator[Any]:
    made = _promises.Filed(PostgresStore(server.url(), schema=new_schema()))
    yield made
    made.store.close()


test_what_touches_anothers_note = _promises.test_what_touches_anothers_note_raises_and_leaves_no_trace
test_what_a_caller_may_name = _promises.test_what_a_caller_may_name_is_narrowed
test_a_question_about_a_shared_note = _promises.test_a_question_about_a_shared_note_is_seen_by_nobody_else
test_a_job_may_touch_everybodys_notes = _promises.test_a_job_may_touch_everybodys_notes_and_a_request_within_it_may_not
