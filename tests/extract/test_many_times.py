"""A text that names a time ten thousand times costs as much as its length: a note is written under a lock."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from agentmem.extract.english import dates


@pytest.mark.parametrize("word", ["March ", "Monday ", "summer ", "yesterday "])
def test_what_is_read_for_one_time_does_not_grow_with_the_text(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    tense = dates.tense
    monkeypatch.setattr(dates, "tense", lambda sentence: (read.append(len(sentence)), tense(sentence))[1])

    dates.dates("We met " + word * 1_500, datetime(2026, 5, 1, tzinfo=UTC), way=None)

    assert len(read) > 100
    assert max(read) < 1_000


def test_a_sentence_is_still_read_as_a_whole() -> None:
    """What says that it is past may stand a line away."""
    text = "We visited the museum with the children and their two cousins from abroad, if I am not mistaken, on Friday."
    ((start, _, _),) = dates.dates(text, datetime(2026, 5, 6, tzinfo=UTC), way=None)

    assert start.date().isoformat() == "2026-05-01"
