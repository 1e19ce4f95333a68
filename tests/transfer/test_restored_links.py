"""Which links an import takes from its file, and which it makes of the words of the notes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentmem import Memory, Settings
from agentmem.embedding.embedders import HashEmbedder
from agentmem.notes.clock import ManualClock
from agentmem.notes.rows import LinkRow
from agentmem.settings import RememberSettings
from agentmem.transfer.format import Tally, line_of

TEXTS = [f"The office number {number} is in Porto near the river." for number in range(7)]
TRUSTED: dict[str, Any] = {"trust": "trusted"}


@pytest.fixture
def told(tmp_path: Path) -> tuple[list[str], Path]:
    """Seven notes that are alike, and a file with them."""
    with Memory(None, embedder="hash", clock=ManualClock()) as memory:
        ids = [str(memory.remember(text, user="ana").id) for text in TEXTS]
        memory.export(tmp_path / "told.jsonl", everything=True)
    return ids, tmp_path / "told.jsonl"


def changed(path: Path, change: Callable[[list[dict[str, Any]]], None]) -> Path:
    """The file with other links."""
    header, *inner, _ = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    links = [part for part in inner if part["type"] == "link"]
    change(links)
    inner = [part for part in inner if part["type"] == "note"] + links
    tally = Tally()
    for part in inner:
        tally.add(part["type"], line_of(part))
    path.write_bytes(b"".join(line_of(part) for part in [header, *inner, tally.footer()]))
    return path


def stronger(links: list[dict[str, Any]]) -> None:
    for link in links:
        if link["kind"] == "similar":
            link.update(weight=0.999, reason="similar in meaning (1.00)")


def graph(memory: Memory) -> list[LinkRow]:
    with memory._parts.core.store.read() as tx:
        return tx.links.touching(tx.notes.select_all())


def similar(memory: Memory) -> set[float]:
    return {link.weight for link in graph(memory) if link.kind == "similar"}


def test_what_a_trusted_file_says_of_links_stands_and_is_checked(told: tuple[list[str], Path]) -> None:
    """A rebuild makes them what the words make."""
    with Memory(None, embedder="hash") as memory:
        memory.load_export(changed(told[1], stronger), **TRUSTED)

        assert similar(memory) == {0.999}
        assert any("not what their words make" in problem for problem in memory.check().problems)
        memory.rebuild("graph")
        assert 0.999 not in similar(memory)
        assert memory.check().ok


@pytest.mark.parametrize(("trust", "embedder"), [(None, "hash"), ("trusted", HashEmbedder(48))])
def test_a_claim_is_not_taken_over(told: tuple[list[str], Path], trust: str | None, embedder: Any) -> None:
    """A file that nobody vouches for says nothing of what words make; nor does one whose cosines are another embedder's."""
    with Memory(None, embedder=embedder) as memory:
        memory.load_export(changed(told[1], stronger), trust=trust)

        assert 0.999 not in similar(memory)
        assert memory.check().ok


def test_between_other_notes_the_links_are_those_of_all(told: tuple[list[str], Path]) -> None:
    """An owner who has more than the file does is linked anew, with the notes that were there."""
    with Memory(None, embedder="hash") as memory:
        memory.remember(TEXTS[0] + " It is blue.", user="ana")  # row 1
        memory.load_export(changed(told[1], stronger), **TRUSTED)

        assert 0.999 not in similar(memory)
        assert memory.check().ok
        assert any(link.target == 1 for link in graph(memory))


def test_links_in_any_order_are_taken_over(told: tuple[list[str], Path]) -> None:
    """Of a file that was put together by hand, too, none is lost."""
    with Memory(None, embedder="hash") as straight, Memory(None, embedder="hash") as mixed:
        straight.load_export(told[1], **TRUSTED)
        mixed.load_export(
            changed(told[1], lambda links: links.sort(key=lambda link: link["reason"] + link["target"], reverse=True)),
            **TRUSTED,
        )

        assert graph(mixed) == graph(straight)


def test_a_link_that_the_file_does_not_have_is_not_there(told: tuple[list[str], Path]) -> None:
    """Not even of notes of which it has no link at all."""
    with Memory(None, embedder="hash") as memory:
        report = memory.load_export(changed(told[1], lambda links: links.clear()), **TRUSTED)

        assert graph(memory) == []
        assert report.links == 0


@pytest.mark.parametrize("trust", [None, "trusted"])
def test_a_persons_link_comes_back_where_words_make_one_too(
    told: tuple[list[str], Path], tmp_path: Path, trust: str | None
) -> None:
    """It takes the place of that one here, as it did where it was made."""
    with Memory(None, embedder="hash") as memory, Memory(None, embedder="hash") as copy:
        memory.load_export(told[1], **TRUSTED)
        made = next(link for link in graph(memory) if link.kind == "similar")
        memory.link(
            told[0][made.source - 1], told[0][made.target - 1], "similar", reason="as I say", weight=0.25, user="ana"
        )
        memory.export(tmp_path / "more.jsonl", everything=True)
        report = copy.load_export(tmp_path / "more.jsonl", trust=trust)

        assert [link[3:5] for link in graph(copy) if link[:3] == made[:3]] == [(0.25, "as I say")]
        assert report.links == len(graph(copy)) == len(graph(memory))
        assert copy.load_export(tmp_path / "more.jsonl", trust=trust).links == 0


def test_an_import_that_stopped_between_notes_and_links_is_taken_up(told: tuple[list[str], Path]) -> None:
    """Until then the notes have the links that words make; repeated, those of the file."""
    small = Settings(remember=RememberSettings(batch=1 + len(TEXTS)))  # the header and the notes
    with Memory(None, embedder="hash", settings=small) as memory:

        def stop(step: str) -> None:
            if step == "import:after-batch":
                raise RuntimeError(step)

        memory._parts.fail = stop
        with pytest.raises(RuntimeError):
            memory.load_export(changed(told[1], stronger), **TRUSTED)
        assert memory.check().ok
        memory._parts.fail = lambda step: None
        memory.load_export(told[1], **TRUSTED)

        assert similar(memory) == {0.999}
