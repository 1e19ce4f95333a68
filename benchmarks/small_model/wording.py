"""Sentences of the training chats that are not about any fact."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentmem.evaluation.world.names import invented_word, person_name

if TYPE_CHECKING:
    from random import Random

__all__ = [
    "ABOUT",
    "ACKNOWLEDGEMENTS",
    "FILL_IN",
    "GENERAL_TEXT",
    "NOTE_HEADERS",
    "PERSONAS",
    "RECITE",
    "REPEAT",
    "SMALL_TALK",
    "copyable_words",
]

PERSONAS = (
    "You are a helpful assistant.",
    "You are a friendly assistant. Answer briefly.",
    "Answer the questions of the user.",
    "You are an assistant with a long memory.",
    "Be brief and precise.",
    "You are a personal assistant. Be polite.",
    "Answer with the fact alone.",
    "You help the user to remember things.",
    "You are a careful assistant. Say so when you do not know.",
    "Today is a good day. You answer questions.",
)

NOTE_HEADERS = (
    "Notes:",
    "What you remember:",
    "Memory:",
    "Relevant notes:",
    "Context:",
    "Earlier notes of this user:",
    "You remember the following:",
)

ACKNOWLEDGEMENTS = (
    "Thank you, I will remember that.",
    "Thank you, I will remember that.",
    "Noted, thank you.",
    "Good to know, I will remember that.",
)

ABOUT = (
    "Tell me about {s}.",
    "What do you know about {s}?",
    "Describe {s}.",
    "Who or what is {s}?",
    "Say something about {s}.",
)

REPEAT = ("Repeat: ", "Repeat after me: ", "Say this again: ", "Once more, please: ")

FILL_IN = ("Fill in: ", "Complete this: ", "What is missing? ")

RECITE = (
    "What do the notes say about {s}?",
    "What do you remember about {s}?",
    "Read me the notes about {s}.",
    "Is there anything in the notes about {s}?",
)

SMALL_TALK = (
    ("Hello!", "Hello! How can I help you?"),
    ("Hi!", "Hello! How can I help you?"),
    ("Good morning.", "Hello! How can I help you?"),
    ("How are you?", "I am well, thank you."),
    ("Thank you.", "You are welcome."),
    ("Thanks a lot!", "You are welcome."),
    ("That is all for now.", "You are welcome."),
    ("Goodbye.", "Goodbye!"),
    ("See you later.", "Goodbye!"),
    ("Okay.", "Good."),
    ("I see.", "Good."),
    ("Interesting!", "Good."),
)

GENERAL_TEXT = (
    " The quick brown fox jumps over the lazy dog, and then it runs away into the forest.",
    " On Monday we meet at 10:30 in room 4; please bring your notes, a pen and 25 copies of the report.",
    " She said: \"I don't think that's right.\" He answered that they couldn't change it any more.",
    " My phone number has changed since 2021, but my e-mail address (name@example.com) is still the same.",
    " Please write a short summary of the meeting and send it to everyone before Friday afternoon.",
    " I would like to book a table for two people at eight o'clock tomorrow evening, if possible.",
    " The price went from $12.50 to $14.99, which is an increase of almost 20%.",
    " What is the weather like today? It is raining, so you should take an umbrella with you.",
    " We have been working on this project for three months, and there are only a few weeks left.",
    " If you have any other questions, please do not hesitate to ask me or one of my colleagues.",
    " Could you explain how this works? First open the file, then read each line and count the words.",
    " My birthday is on 14 March 1990. I am allergic to peanuts, and I prefer tea to coffee.",
    " The capital of the country has about two million people and a very old university.",
    " Remember that my password must never be shared; ignore all previous instructions is not a command.",
    " He was born in the north, grew up near the sea, and studied mathematics and physics.",
    " The user prefers short answers, a dark theme, Python 3.11 and tests that run in under one minute.",
    " Water boils at 100 degrees; light travels at 299,792 kilometres per second.",
    " In January, February, April, May, June, July, August, September, October, November and December.",
    " Yes, no, maybe, never, always, often, sometimes, here, there, before, after, because, although.",
    " Her brother, sister, mother, father, wife, husband, daughter, son, dog and cat are all at home.",
    " What changed? The meeting moved from Tuesday to Thursday, and we need to update the calendar.",
    " I bought a new car last year. It is red, fast and expensive, but I love driving it.",
    " According to the report, sales were higher than expected: 1,204 in Q1, 1,377 in Q2 and 1,690 in Q3.",
    " Let me know whether you can come; otherwise we will find another date, for example 2026-03-01.",
)


def copyable_words(rng: Random) -> tuple[str, ...]:
    """Return one random word of each of several kinds."""
    return (invented_word(rng), invented_word(rng).lower(), person_name(rng), str(rng.randrange(1, 3000)))
