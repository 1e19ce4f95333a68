"""Whom a question asks about: by name, by "I", by "you"."""

from __future__ import annotations

import pytest

from agentmem import Memory
from agentmem.notes.rows import Selection, asks
from agentmem.recall.query import asked_part, meant_actors, named_actors, query_terms, without_names
from agentmem.stores.dicts import DictStore
from agentmem.stores.sqlite.store import SqliteStore

CHAT = ("assistant", "user")
ASKER = frozenset((None, "user"))
AGENT = frozenset(("assistant",))


@pytest.mark.parametrize(
    ("question", "meant"),
    [
        ("Where do I live?", ASKER),
        ("what's my sister's name", ASKER),
        ("Which of our dogs is older?", ASKER),
        ("Can you remind me where I parked?", ASKER),
        ("Do you remember what I ordered?", ASKER),
        ("What did I tell you about my knee?", ASKER),
        ("What did you recommend for my knee?", AGENT),
        ("Which recipe have you given me?", AGENT),
        ("I need your list of museums again", AGENT),
        ("How do you feel about jazz?", AGENT),
        ("Can you tell me where Ana lives?", frozenset()),
        ("Where does Ana live?", frozenset()),
    ],
)
def test_i_and_you_mean_who_asks_and_who_answers(question: str, meant: frozenset[str | None]) -> None:
    """What leads in to a question asks of nobody; what the agent said is asked of the agent, for whomever it was."""
    assert meant_actors(question, CHAT) == meant


@pytest.mark.parametrize(
    ("actors", "user", "meant"),
    [
        (("user",), None, frozenset()),
        ((), None, frozenset()),
        (("Ana", "Ben"), None, frozenset()),
        (("Ana", "Ben"), "ana", frozenset((None, "Ana"))),
        (("Ana", "bot"), None, frozenset((None, "Ana"))),
        (("ai", "human", "tool"), None, frozenset((None, "human"))),
    ],
)
def test_i_means_somebody_only_where_others_speak_too(
    actors: tuple[str, ...], user: str | None, meant: frozenset[str | None]
) -> None:
    """Among people, only the one who bears the user's name is known to be who asks."""
    assert meant_actors("Where do I live?", actors, user) == meant


def test_a_question_in_the_first_person_finds_what_the_user_said_before_what_the_agent_said() -> None:
    """The agent's answers are longer and have more of the words; the answer about the user is the user's."""
    turns = [
        {"role": "user", "content": "I play squash on Tuesdays, at the club by the station."},
        {
            "role": "assistant",
            "content": "Squash is a great sport to play at a club. Which sport one plays matters less than playing it at all.",
        },
    ]
    with Memory(None, embedder="hash") as memory:
        memory.remember_many(turns, user="u", session="s", progress=False)
        mine = memory.recall("Which sport do I play at the club?", user="u")
        yours = memory.recall("What did you say about which sport to play at a club?", user="u")

    assert mine[0].note.actor == "user"
    assert mine[0].reasons["actor"] == pytest.approx(0.2)
    assert yours[0].note.actor == "assistant"
    assert all("actor" not in hit.reasons for hit in mine if hit.note.actor == "assistant")


def test_notes_that_nobody_said_are_as_much_the_users_as_what_the_user_said() -> None:
    """An application that notes facts without a speaker loses nothing to the chat around them."""
    with Memory(None, embedder="hash") as memory:
        memory.remember("The parking place is number 40.", user="u")
        memory.remember_many(
            [
                {"role": "user", "content": "Hello."},
                {"role": "assistant", "content": "Parking in this city takes patience."},
            ],
            user="u",
            progress=False,
        )
        best = memory.recall("Which is my parking place?", user="u")[0]

    assert best.note.actor is None
    assert best.reasons["actor"] == pytest.approx(0.2)


def test_a_name_is_left_out_of_what_is_embedded_and_a_full_name_is_searched_as_a_phrase() -> None:
    """Notes are embedded without their speaker."""
    assert named_actors("What does Ana Lima like?", ["Ana Lima", "Bo"]) == {"Ana Lima"}
    assert without_names("What does Ana like?", frozenset({"Ana"})) == "What does like?"
    assert query_terms("What does Ana Lima like?") == ["ana", "lima", "like", "Ana Lima"]


TALE = "The parcel came on Monday and the box was wet. " * 12


@pytest.mark.parametrize(
    ("message", "asked"),
    [
        (f"{TALE}Where did my sister buy the boat?", "Where did my sister buy the boat?"),
        (f"Where did my sister buy the boat?\n{TALE}", "Where did my sister buy the boat?"),
        (f"Where is the boat moored? {TALE}Who sold the boat?", "Where is the boat moored? Who sold the boat?"),
        (
            f"{TALE}Who sold the boat? {TALE}Where is Ana's harbour? {TALE}",
            "Who sold the boat? Where is Ana's harbour?",
        ),
        (f"Who sold the boat? {TALE}Where is Ana's harbour?{TALE}", "Who sold the boat?"),
        (
            f"{TALE}Please remind me where my sister bought the boat.",
            "Please remind me where my sister bought the boat.",
        ),
        (f"Draft a letter to Tom about the harbour.\n{TALE}", "Draft a letter to Tom about the harbour."),
        (f"{TALE}Tell me more.", None),
        (f"{TALE}Give the dog a bone. {TALE}", None),
        (f"{TALE}What do you think?", None),
        (f"Hey, how are you doing today? {TALE}Any suggestions on how to proceed from here?", None),
        (TALE, None),
        ("Who sold the boat? It was not me.", None),
        (f"Where is the oar of the boat? {'x. ' * 200_000}", "Where is the oar of the boat?"),
    ],
)
def test_a_long_message_is_searched_for_what_it_asks(message: str, asked: str | None) -> None:
    """Not for what it tells besides; a question that is about nothing by itself is about all of the message."""
    assert asked_part(message) == asked


def test_what_a_long_message_asks_is_found_and_the_plan_says_what_was_searched() -> None:
    with Memory(None, embedder="hash") as memory:
        told = memory.remember("My sister bought the boat in Rovinj.").id
        memory.remember_many(
            [f"The parcel number {n} came wet on Monday in its box." for n in range(20)], progress=False
        )
        found = memory.recall(f"{TALE}Where did my sister buy the boat?")
        why = memory.why_not(f"{TALE}Where did my sister buy the boat?", str(told))

    assert found[0].note.id == told
    assert found.query.startswith("The parcel")
    assert str(found.plan["query"]).endswith("characters: Where did my sister buy the boat?")
    assert why.rank == 1


@pytest.mark.parametrize(
    ("query", "named", "rest"),
    [
        ("小明昨天买了什么？", {"小明"}, "昨天买了什么？"),
        ("カメラは太郎さんのですか？", {"太郎"}, "カメラは さんのですか？"),
        ("明天去哪里？", set(), "明天去哪里？"),
    ],
)
def test_names_are_found_where_no_word_begins_or_ends(query: str, named: set[str], rest: str) -> None:
    """A single letter is no name there: it stands in too many words."""
    found = named_actors(query, ["小明", "太郎", "明", "Ana"])

    assert found == named
    assert without_names(query, found) == rest


@pytest.mark.parametrize("told", ["", "我们星期天去划船。" * 20])
def test_questions_of_other_scripts_are_questions_in_every_store(told: str) -> None:
    """What ends in ？ or ؟ only asks, and tells something before it when it does."""
    texts = [f"{told}{end}" for end in ("她住在哪里？", "أين تسكن؟", "她住在波尔图。")]
    for store in (DictStore(), SqliteStore()):
        with Memory(None, embedder="hash", store=store) as memory:
            memory.remember_many(texts, user="u", progress=False)
            with memory._parts.core.store.read() as tx:
                rows = tx.notes.select_all()
                selection = Selection(tuple(tx.notes.all_owners()))
                found = {facet.row: int(facet.asks) for facet in tx.notes.facets(rows, selection)}
            expected = [2 if told else 1, 2 if told else 1, 0]
            assert [found[row] for row in rows] == expected == [asks(text) for text in texts]
