"""Further pages, a least score, and hits by nearness in meaning alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from agentmem import Memory
from agentmem.embedding.embedders import HashEmbedder
from agentmem.errors import InvalidArgument
from agentmem.notes.clock import ManualClock

WORDS = ("house", "dog", "plan", "trip", "code", "boat", "recipe", "song", "doctor", "key", "red", "Porto")
QUERY = "the red dog of the doctor in Porto"


def _filled(memory: Memory, count: int = 150) -> None:
    memory.remember_many(
        [f"The {WORDS[n % 12]} and the {WORDS[n * 7 % 11]} number {n} are {WORDS[n % 5]}." for n in range(count)],
        facts=False, session="monday",
    )  # fmt: skip


@pytest.mark.parametrize("score", ["hybrid", "cosine"])
@pytest.mark.parametrize("k", [7, 45])
def test_pages_hold_every_note_once(memory: Memory, k: int, score: Any) -> None:
    """Page after page of one length: nothing twice, nothing left out."""
    _filled(memory)

    pages = [memory.recall(QUERY, k=k, offset=start, score=score) for start in range(0, 160, k)]

    ids = [hit.note.id for page in pages for hit in page]
    assert len(ids) == len(set(ids)) == 150
    assert [len(page) for page in pages[:3]] == [k] * 3
    assert not memory.recall(QUERY, k=k, offset=1000, score=score)


def test_the_first_page_is_what_it_was_without_pages(memory: Memory) -> None:
    _filled(memory)

    assert memory.recall(QUERY, k=20, offset=0).hits == memory.recall(QUERY, k=20).hits
    assert memory.recall(QUERY, k=10, offset=10).hits == memory.recall(QUERY, k=20).hits[10:]


def test_a_cosine_is_that_of_the_two_vectors(memory: Memory) -> None:
    """Reported and ordered by it, whatever words, links and actors would have said."""
    _filled(memory, 60)
    memory.remember("Where is the red dog?", actor="Porto")
    embedder = HashEmbedder()
    texts = [note.content for note in memory.notes()]
    cosines = embedder.embed(texts) @ embedder.embed([QUERY])[0]

    hits = memory.recall(QUERY, k=61, score="cosine").hits

    assert len(hits) == 61
    expected = dict(zip(texts, cosines.tolist(), strict=True))
    assert [h.score for h in hits] == pytest.approx([expected[h.note.content] for h in hits], abs=2e-3)
    assert np.all(np.diff([h.score for h in hits]) <= 1e-6)
    assert all(set(h.reasons) <= {"cosine"} for h in hits)


def test_equal_texts_have_equal_cosines_and_come_as_they_were_stored(memory: Memory) -> None:
    """The hybrid score tells them apart by age and place; the cosine does not."""
    ids = [memory.remember("The boat is red.", merge=False).id for _ in range(3)]

    hits = memory.recall("red boat", score="cosine").hits

    assert [h.note.id for h in hits] == ids
    assert len({h.score for h in hits}) == 1


def test_a_cosine_reaches_a_note_behind_many_that_are_not_asked_for(memory: Memory, clock: ManualClock) -> None:
    """Archived notes are passed over however many of them are nearer."""
    memory.remember_many([f"The red dog of the doctor in Porto, {n}." for n in range(400)], importance=0.0)
    clock.advance(days=9000)
    assert len(memory.fade()) > 300
    kept = memory.remember("A boat that is new.").id
    active = {note.id for note in memory.notes(faded=False)}

    hits = memory.recall(QUERY, k=1000, score="cosine").hits

    assert {hit.note.id for hit in hits} == active
    assert kept in active


@pytest.mark.parametrize("score", ["hybrid", "cosine"])
def test_a_least_score_leaves_out_what_is_below(memory: Memory, score: Any) -> None:
    _filled(memory)
    every = memory.recall(QUERY, k=100, score=score).hits
    least = every[30].score

    hits = memory.recall(QUERY, k=100, score=score, min_score=least).hits

    assert hits == tuple(hit for hit in every if hit.score >= least)
    assert 0 < len(hits) < 100
    assert not memory.recall(QUERY, score=score, min_score=99.0)


class Reverse:
    """Prefers what the ranking has last."""

    name = "reverse"

    def scores(self, query: str, texts: list[str]) -> list[float]:
        return [place / len(texts) for place in range(len(texts))]


def test_pages_of_a_reranked_recall_hold_every_note_once(memory: Memory) -> None:
    """The reranker reads the first hits whichever page is asked for, and a least score counts what it adds."""
    _filled(memory)
    memory.reranker = Reverse()  # type: ignore[assignment]

    pages = [memory.recall(QUERY, k=25, offset=start) for start in range(0, 160, 25)]

    ids = [hit.note.id for page in pages for hit in page]
    assert len(ids) == len(set(ids)) == 150
    every = [hit for page in pages[:2] for hit in page]
    least = every[4].score
    assert [h.note.id for h in memory.recall(QUERY, k=5, min_score=least)] == [h.note.id for h in every[:5]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"offset": -1}, {"offset": True}, {"offset": 1.0}, {"offset": 10**6}, {"min_score": "0.3"}, {"min_score": True},
        {"min_score": float("nan")}, {"score": "dot"}, {"score": None}, {"score": ["cosine"]},
    ],
)  # fmt: skip
def test_wrong_pages_are_refused(memory: Memory, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument) as error:
        memory.recall("x", **wrong)

    assert error.value.hint


def test_a_past_moment_and_a_filter_hold_for_cosines(memory: Memory, clock: ManualClock) -> None:
    memory.remember("The red dog is in Porto.", tags=["a"], valid_to=clock.now() + timedelta(days=1))
    memory.remember("The red dog is in Graz.", tags=["b"])

    found = memory.recall("red dog", score="cosine", as_of=clock.now() + timedelta(days=2))

    assert [h.note.content for h in found] == ["The red dog is in Graz."]
    assert len(memory.recall("red dog", score="cosine", where={"tags": "a"})) == 1


@pytest.mark.parametrize("score", ["hybrid", "cosine"])
def test_all_that_fits_is_neither_ten_nor_everything(score: Any) -> None:
    """Who asks which games were played gets every note that tells of one, and not the rest of the memory; order and scores are those of a page."""
    games = [
        "chess",
        "tennis",
        "poker",
        "cricket",
        "hockey",
        "domino",
        "rugby",
        "snooker",
        "golf",
        "volleyball",
        "curling",
        "darts",
        "badminton",
    ]
    with Memory(None) as memory:
        told = memory.remember_many(
            [f"We played {game} with the neighbours." for game in games], facts=False, merge=False
        )
        memory.remember_many(
            [f"Invoice {n} from the plumber was paid by transfer." for n in range(60)], facts=False, merge=False
        )

        found = memory.recall("Which games did we play with the neighbours?", k="all", score=score)
        page = memory.recall("Which games did we play with the neighbours?", k=len(found), score=score)

    assert {receipt.id for receipt in told} <= {hit.note.id for hit in found}
    assert len(found) < 30
    assert [hit.note.id for hit in found] == [hit.note.id for hit in page]


def test_all_of_nothing_and_all_from_somewhere(memory: Memory) -> None:
    """A memory without notes has none, the best one fits whatever it scores, and there are no pages of all."""
    assert not memory.recall(QUERY, k="all")
    memory.remember("The boat is red.")
    assert len(memory.recall("Qwerty?", k="all")) == 1
    assert not memory.recall(QUERY, k="all", min_score=50.0)
    for wrong in ({"k": "all", "offset": 10}, {"k": "every"}, {"k": 0}):
        with pytest.raises(InvalidArgument):
            memory.recall(QUERY, **wrong)  # type: ignore[arg-type]
