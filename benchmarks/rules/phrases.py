"""Sixty phrases with and without dates, as somebody asks or tells them, and the days that are meant.

Now is Wednesday, 13 May 2026, 10:00 UTC. Written before the parsers were read or run.
"""

from __future__ import annotations

__all__ = ["NOW", "PHRASES", "Phrase", "row"]

NOW = (2026, 5, 13, 10, 0)

Phrase = tuple[str, str, str | None, str | None, int]
"""A sentence, the words in it that name the days, the first and the last of them, and how many days beside them are no mistake."""


def row(sentence: str, phrase: str, first: str | None = None, last: str | None = None, slack: int = 0) -> Phrase:
    """One day is its own last; a side that is open says so."""
    return sentence, phrase, first, last if last is not None else first, slack


PHRASES = [
    row("What did we decide yesterday?", "yesterday", "2026-05-12"),
    row("Who called the day before yesterday?", "the day before yesterday", "2026-05-11"),
    row("What is on my list today?", "today", "2026-05-13"),
    row("What did I tell you three days ago?", "three days ago", "2026-05-10"),
    row("We spoke about it a week ago", "a week ago", "2026-05-06", slack=3),
    row("Two weeks ago I changed the password, where is it?", "two weeks ago", "2026-04-29", slack=3),
    row("What did we plan a couple of days ago?", "a couple of days ago", "2026-05-11", slack=1),
    row("I moved in six months ago", "six months ago", "2025-11-13", slack=15),
    row("Ten years ago she lived in Rome", "Ten years ago", "2016-05-13", slack=183),
    row("What did you say an hour ago?", "an hour ago", "2026-05-13"),
    row("The build broke 20 minutes ago", "20 minutes ago", "2026-05-13"),
    row("A fortnight ago we met at the lake", "A fortnight ago", "2026-04-29", slack=3),
    row("What did I eat last night?", "last night", "2026-05-12", slack=1),
    row("What came up this morning?", "this morning", "2026-05-13"),
    row("What did we do last weekend?", "last weekend", "2026-05-09", "2026-05-10"),
    row("What did Anna write last week?", "last week", "2026-05-04", "2026-05-10"),
    row("What happened last month?", "last month", "2026-04-01", "2026-04-30"),
    row("Where did we travel last year?", "last year", "2025-01-01", "2025-12-31"),
    row("What have I done this week?", "this week", "2026-05-11", "2026-05-17"),
    row("What have I spent this month?", "this month", "2026-05-01", "2026-05-31"),
    row("Which books have I read this year?", "this year", "2026-01-01", "2026-12-31"),
    row("What did we agree on last Friday?", "last Friday", "2026-05-08"),
    row("What did I say on Monday?", "on Monday", "2026-05-11"),
    row("What was the news in the past two weeks?", "in the past two weeks", "2026-04-29", "2026-05-13", slack=1),
    row(
        "Who wrote to me over the last three months?", "over the last three months", "2026-02-13", "2026-05-13", slack=2
    ),
    row("The wedding was on 3 March 2024", "on 3 March 2024", "2024-03-03"),
    row("On March 3, 2024 she started", "On March 3, 2024", "2024-03-03"),
    row("What did we discuss on March 3rd?", "on March 3rd", "2026-03-03"),
    row("What did we discuss on the 5th of May?", "on the 5th of May", "2026-05-05"),
    row("Invoice dated 2024-03-03", "2024-03-03", "2024-03-03"),
    row("Log of 2024-06-01T12:30 please", "2024-06-01T12:30", "2024-06-01"),
    row("The contract of 14/03/2024", "14/03/2024", "2024-03-14"),
    row("The contract of 03/14/2024", "03/14/2024", "2024-03-14"),
    row("The contract of 14.03.2024", "14.03.2024", "2024-03-14"),
    row("She was hired on Sept. 9, 2024", "on Sept. 9, 2024", "2024-09-09"),
    row("Dec 24 2023 was cold", "Dec 24 2023", "2023-12-24"),
    row("What did we build in March 2024?", "in March 2024", "2024-03-01", "2024-03-31"),
    row("What did we build in March?", "in March", "2026-03-01", "2026-03-31"),
    row("Whom did I meet in December?", "in December", "2025-12-01", "2025-12-31"),
    row("Where did I work in 2023?", "in 2023", "2023-01-01", "2023-12-31"),
    row("What did I do in June of last year?", "in June of last year", "2025-06-01", "2025-06-30"),
    row("Where were we in the summer of 2024?", "in the summer of 2024", "2024-06-01", "2024-08-31", slack=25),
    row("Our sales in Q1 2025", "Q1 2025", "2025-01-01", "2025-03-31"),
    row("Which bands did he like in the 1990s?", "in the 1990s", "1990-01-01", "1999-12-31"),
    row("What changed between March and May 2024?", "between March and May 2024", "2024-03-01", "2024-05-31"),
    row("We were in Oslo from 3 to 7 June 2024", "from 3 to 7 June 2024", "2024-06-03", "2024-06-07"),
    row("What has she said since March?", "since March", "2026-03-01", "open"),
    row("What did I note before 2020?", "before 2020", "open", "2019-12-31", slack=1),
    row("The dentist is tomorrow", "tomorrow", "2026-05-14"),
    row("The lease ends in two weeks", "in two weeks", "2026-05-27", slack=3),
    row("I may be late, who will march with us?", ""),
    row("She sat down and asked for a second one", ""),
    row("It needs version 3.11.2 of Python", ""),
    row("The price is 20.24 euros", ""),
    row("What is April's phone number?", ""),
    row("We offer 24/7 support", ""),
    row("The meeting room is number 2023", ""),
    row("Mix it in a ratio of 3/4, on medium heat", ""),
    row("Take Highway 101 and exit 12-5", ""),
    row("Which sun cream do I use?", ""),
]
assert len(PHRASES) == 60
