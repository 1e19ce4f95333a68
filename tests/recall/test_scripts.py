"""Recall where the embedder does not know the script: words decide, and vectors are believed no more than they can tell."""

from __future__ import annotations

import pytest

from agentmem import Memory

TOLD = [
    "我昨天在东京买了一台相机。",
    "妹妹养了一只猫，叫咪咪。",
    "我们星期天去湖上划船。",
    "弟弟明年要去北京上大学。",
    "医生说我对花生过敏。",
]
ASKED = {"我在哪里买了相机？": 0, "妹妹的猫叫什么？": 1, "我对什么过敏？": 4, "弟弟要去哪里上大学？": 3}


@pytest.fixture
def chinese():
    """With the packaged embedder, which was trained on English."""
    with Memory(None) as memory:
        memory.remember_many(
            [{"content": text, "actor": "user"} for text in TOLD], user="ana", session="s", progress=False
        )
        yield memory


def test_a_question_in_another_script_finds_its_note_first(chinese: Memory) -> None:
    for question, answer in ASKED.items():
        assert chinese.recall(question, user="ana", k=1)[0].note.content == TOLD[answer]


@pytest.mark.parametrize("question", ASKED)
def test_a_question_asked_before_in_another_script_does_not_crowd_out_its_answer(
    chinese: Memory, question: str
) -> None:
    """Three times, each with a reply that knows nothing."""
    for _ in range(3):
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": "对不起，我不知道。"}]
        chinese.remember_many(turns, user="ana", session="t", progress=False)

    assert chinese.recall(question, user="ana", k=1)[0].note.content == TOLD[ASKED[question]]


def test_notes_that_the_embedder_cannot_tell_apart_are_not_taken_for_repetitions() -> None:
    """Two that it reads not one letter of have one vector, whatever they say; both are notes, and neither stands behind the other for it."""
    texts = ["我姐姐喜欢喝绿茶。", "我弟弟喜欢吃苹果。"]
    with Memory(None) as memory:
        stored = memory.remember_many(texts, user="ana", progress=False)
        hits = memory.recall("我姐姐和我弟弟喜欢什么？", user="ana")

        assert [receipt.status for receipt in stored] == ["stored", "stored"]
        assert hits[0].reasons["semantic"] == pytest.approx(hits[1].reasons["semantic"], abs=1e-4)
        assert all({"repeated", "interference"}.isdisjoint(hit.reasons) for hit in hits)
