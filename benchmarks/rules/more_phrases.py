"""Sixty further phrases of the same kind: parts of a time, amounts, seasons, holidays, and what only sounds like one.

Written before the grammar that reads them; now is the same Wednesday, 13 May 2026, 10:00 UTC.
"""

from __future__ import annotations

from benchmarks.rules.phrases import row

__all__ = ["MORE_PHRASES"]

MORE_PHRASES = [
    row("What was due at the end of March?", "end of March", "2026-03-24", "2026-03-31", slack=4),
    row("Where was I in mid-January?", "mid-January", "2026-01-11", "2026-01-20", slack=3),
    row("I started climbing in early 2023", "early 2023", "2023-01-01", "2023-03-31", slack=31),
    row("They moved out in late 2024", "late 2024", "2024-10-01", "2024-12-31", slack=31),
    row("What did we order a fortnight back?", "a fortnight back", "2026-04-29", slack=3),
    row("What did you do over the weekend?", "over the weekend", "2026-05-09", "2026-05-10"),
    row("Who was on call the week before last?", "the week before last", "2026-04-27", "2026-05-03"),
    row("I met her a couple of weeks ago", "a couple of weeks ago", "2026-04-29", slack=4),
    row("The roses we planted last spring are dead", "last spring", "2025-03-01", "2025-05-31", slack=21),
    row("Where did we swim last summer?", "last summer", "2025-06-01", "2025-08-31", slack=25),
    row("My parents met in the nineties", "the nineties", "1990-01-01", "1999-12-31"),
    row("He toured Japan in the early eighties", "the early eighties", "1980-01-01", "1983-12-31", slack=366),
    row("Two Fridays ago the server went down", "Two Fridays ago", "2026-05-01"),
    row("What did I cook yesterday evening?", "yesterday evening", "2026-05-12"),
    row("Whom did we see last Friday night?", "last Friday night", "2026-05-08", "2026-05-09"),
    row("Who visited us at Christmas?", "at Christmas", "2025-12-25", slack=2),
    row("Where were we on New Year's Eve?", "on New Year's Eve", "2025-12-31"),
    row("What did the kids wear on Halloween?", "on Halloween", "2025-10-31"),
    row("We fly in the second week of June 2026", "the second week of June 2026", "2026-06-08", "2026-06-14", slack=2),
    row("What was decided on the last Friday of March?", "the last Friday of March", "2026-03-27"),
    row("What broke on Tuesday of last week?", "Tuesday of last week", "2026-05-05"),
    row("How much rent did I pay the month before last?", "the month before last", "2026-03-01", "2026-03-31"),
    row("She graduated the year before last", "the year before last", "2024-01-01", "2024-12-31"),
    row("How were sales last quarter?", "last quarter", "2026-01-01", "2026-03-31"),
    row("What did we ship in Q3 of last year?", "Q3 of last year", "2025-07-01", "2025-09-30"),
    row(
        "Which books came out in the first half of 2025?", "the first half of 2025", "2025-01-01", "2025-06-30", slack=1
    ),
    row("Half an hour ago the alarm rang", "Half an hour ago", "2026-05-13"),
    row("I had that dream three nights ago", "three nights ago", "2026-05-10", slack=1),
    row("The plumber comes the day after tomorrow", "the day after tomorrow", "2026-05-15"),
    row("The visa expires a month from now", "a month from now", "2026-06-13", slack=18),
    row("A decade ago I could run that far", "A decade ago", "2016-05-13", slack=240),
    row("What is planned for the next ten days?", "the next ten days", "2026-05-13", "2026-05-23", slack=1),
    row(
        "I swore off sugar at the beginning of the year",
        "the beginning of the year",
        "2026-01-01",
        "2026-02-28",
        slack=62,
    ),
    row("The rent went up at the end of last month", "the end of last month", "2026-04-24", "2026-04-30", slack=4),
    row("It already snowed in late autumn of 2024", "late autumn of 2024", "2024-11-01", "2024-11-30", slack=21),
    row("He broke his arm this past winter", "this past winter", "2025-12-01", "2026-02-28", slack=21),
    row("A few years back I quit smoking", "A few years back", "2023-05-13", slack=400),
    row("What did I promise him on Valentine's Day?", "on Valentine's Day", "2026-02-14"),
    row("Earlier this week we changed the locks", "Earlier this week", "2026-05-11", "2026-05-13", slack=1),
    row("Between 3 May and 9 May I was ill", "Between 3 May and 9 May", "2026-05-03", "2026-05-09"),
    row("You may march on without him", ""),
    row("My second cousin makes that soup", ""),
    row("I have 3 weeks old kittens", ""),
    row("He springs to his feet and falls over", ""),
    row("If it fails we fall back to the old server", ""),
    row("The spring in the mattress is broken", ""),
    row("The bakery is at the end of the street", ""),
    row("At the end of the day it is about trust", ""),
    row("Mid-level engineers start with early access", ""),
    row("My dog August barks at June and April", ""),
    row("Order number 1999 is late", ""),
    row("Grandpa is in his nineties", ""),
    row("The Friday app crashed again", ""),
    row("We watch Saturday Night Live", ""),
    row("Take two a day for a week", ""),
    row("It takes a couple of days to dry", ""),
    row("I have been a nurse for ten years", ""),
    row("The last Christmas tree was sold at noon", ""),
    row("Turn left in two hundred metres, then it is the next right", ""),
    row("The summer dress is in the early stages of falling apart", ""),
]
assert len(MORE_PHRASES) == 60
