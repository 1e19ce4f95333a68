"""Whoever reads facts is one extractor: the rules that come with a memory, or what its owner brings."""

from __future__ import annotations

from typing import Any

import pytest

from agentmem import Fact, Memory
from agentmem.enrich.model.answers import CandidateFact
from agentmem.enrich.model.grounding import AskedExtractor
from agentmem.errors import InvalidArgument, InvalidNote
from agentmem.extract import LANGUAGES, Ending, Extractor, Said
from agentmem.extract.english import ENGLISH
from agentmem.notes.clock import ManualClock


class Tabular:
    """Reads "key = value" lines, and "key = " as the end of whatever there was."""

    def said(self, text: str, actor: str | None = None) -> Said:
        key, mark, value = text.partition("=")
        if not mark:
            return Said()
        subject = actor or "host"
        if not value.strip():
            return Said((), (Ending(subject, key.strip(), None),))
        return Said((Fact(subject, key.strip(), value.strip()),))


class Broken:
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def said(self, text: str, actor: str | None = None) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_rules_and_a_language_model_s_answer_are_extractors() -> None:
    asked = AskedExtractor(CandidateFact(subject="Ana", relation="residence", object="Porto"))

    for extractor in (LANGUAGES, ENGLISH, asked, Tabular()):
        assert isinstance(extractor, Extractor)
    assert ENGLISH.said("Ana lives in Porto.") == asked.said("Ana lives in Porto.")
    assert asked.said("Ben lives in Porto.") == Said()


def test_an_extractor_of_one_s_own_says_what_notes_state_and_end() -> None:
    """When they are stored, when they get new words, and when what ended them is forgotten."""
    with Memory(None, embedder="hash", clock=ManualClock(), extractor=Tabular()) as memory:
        first = memory.remember("port = 8080")
        memory.clock.advance(days=1)
        second = memory.remember("port = 9090")

        assert second.superseded == (first.id,)
        assert memory.get(second.id).fact == Fact("host", "port", "9090")
        assert memory.get(memory.remember("I live in Porto.").id).facts == ()
        memory.update(second.id, "shell = fish")
        assert memory.get(first.id).valid_to is None
        memory.clock.advance(days=1)
        third = memory.remember("port =")
        assert third.superseded == (first.id,)
        memory.forget(third.id)
        assert memory.get(first.id).valid_to is None


@pytest.mark.parametrize(
    "answer",
    [
        None, [], ("a", "b"), Said((("a", "b"),)), Said((Fact("", "is", "b"),)), Said((Fact("a", "b", "\0"),)), Said((), ("x",)),
        Said((Fact("a", "b", "x" * 300),)), ValueError("no"), Said((Fact("a", "b", "c"), Fact("a", "b", "d"))),
    ],
)  # fmt: skip
def test_what_an_extractor_must_not_give_is_refused_and_nothing_is_stored(answer: Any) -> None:
    with Memory(None, embedder="hash", extractor=Broken(answer)) as memory:
        with pytest.raises(InvalidNote, match="The extractor") as caught:
            memory.remember("port = 8080")

        assert "facts=False" in caught.value.hint
        assert memory.notes() == []
        assert memory.remember("port = 8080", facts=False).status == "stored"


def test_an_extractor_that_fails_later_keeps_nothing_from_being_forgotten() -> None:
    class Failing(Tabular):
        fails, failed = False, 0

        def said(self, text: str, actor: str | None = None) -> Said:
            if self.fails:
                self.failed += 1
                raise OSError
            return super().said(text, actor)

    extractor = Failing()
    with Memory(None, embedder="hash", clock=ManualClock(), extractor=extractor) as memory:
        first = memory.remember("shell = Fish", occurred_at="2025-01-01").id
        second = memory.remember("shell = Zsh", occurred_at="2025-02-01").id
        memory.clock.advance(days=1)
        memory.remember("Nobody speaks of Fish")
        extractor.fails = True
        memory.forget(second)

        assert extractor.failed
        assert memory.get(first).valid_to is None


@pytest.mark.parametrize("extractor", [1, "english", object()])
def test_what_is_no_extractor_is_refused(extractor: Any) -> None:
    with pytest.raises(InvalidArgument, match="said") as caught:
        Memory(None, embedder="hash", extractor=extractor)

    assert caught.value.hint
