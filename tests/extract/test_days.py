"""Days that are named by their number alone, or in words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from agentmem.extract.english.dates import dates

WEDNESDAY = datetime(2026, 3, 18, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "way", "day"),
    [
        ("What did I do on the 10th?", -1, "2026-03-10"),
        ("What did I do on the 25th?", -1, "2026-02-25"),
        ("What is on the 10th?", 1, "2026-04-10"),
        ("The rent is due on the 20th.", 0, "2026-03-20"),
        ("What did I do on Tuesday the 10th?", -1, "2026-03-10"),
        ("We met on Friday, the 13th, at noon.", -1, "2026-03-13"),
        ("What did I do on the 10th of this month?", -1, "2026-03-10"),
        ("What did I do on the 10th of last month?", -1, "2026-02-10"),
        ("We are away until the 5th of next month", 1, "2026-04-05"),
        ("What did I do on the 31st?", -1, "2026-01-31"),
        ("What did I do on the tenth of March?", -1, "2026-03-10"),
        ("It was March the twenty-first, 2024.", -1, "2024-03-21"),
        ("We married on the first of May 2019.", -1, "2019-05-01"),
    ],
)  # fmt: skip
def test_a_day_is_read(text: str, way: int, day: str) -> None:
    ((start, end, _),) = dates(text, WEDNESDAY, way=way)  # type: ignore[arg-type]

    assert start.date().isoformat() == day
    assert (end - start).days == 1


@pytest.mark.parametrize(
    "text",
    [
        "The office is on the 10th floor.",
        "It worked on the 2nd attempt.",
        "He lives on the 5th street from here.",
        "I came in on the 3rd place.",
        "By the 4th mile I was tired.",
        "What did I do on the 32nd?",
    ],
)
def test_a_floor_is_no_day(text: str) -> None:
    assert dates(text, WEDNESDAY) == []


@pytest.mark.parametrize("year", [1, 9999])
def test_at_the_ends_of_the_calendar(year: int) -> None:
    dates("On the 10th we met, on the 31st we left.", datetime(year, 12 if year > 1 else 1, 31, tzinfo=UTC), way=None)
