"""The page of a note graph in a real browser: it draws, finds, shows what a click asks for, and runs nothing that notes say."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, browsing

from agentmem import Memory
from agentmem.notes.clock import ManualClock

EVIL = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with Memory(None, embedder="hash", clock=ManualClock()) as memory:
        memory.remember("Ana lives in Porto.", tags=["home"])
        memory.remember("Porto has six bridges.")
        memory.remember("Ines, Ana's sister, plays the cello.")
        memory.remember(f"A note that wants to be markup: {EVIL}")
        return memory.graph_page(tmp_path_factory.mktemp("page") / "graph.html")


@pytest.fixture
def browser(page: Path, tmp_path: Path) -> Iterator[Browser]:
    with browsing(tmp_path / "profile") as opened:
        opened.open(page)
        yield opened


def _listed(browser: Browser) -> list[str]:
    found: list[str] = browser.run(
        "[...document.querySelectorAll('#found li button')].map((b) => b.firstChild.textContent)"
    )
    return found


def test_a_person_finds_and_reads_a_note(browser: Browser, tmp_path: Path) -> None:
    """All notes are listed and drawn; a search narrows them down; a click shows the note with its links; nothing is fetched."""
    assert len(_listed(browser)) == 4
    assert browser.run("document.getElementById('counts').textContent").startswith("4 notes")
    assert browser.run("document.querySelectorAll('#graph canvas').length") >= 1

    browser.run(
        "s = document.getElementById('search'), s.value = 'porto bridges', s.dispatchEvent(new Event('input')), 0"
    )
    assert _listed(browser) == ["Porto has six bridges."]
    browser.run("document.querySelector('#found li button').click(), 0")
    assert browser.run("document.querySelector('#note blockquote').textContent") == "Porto has six bridges."
    assert "Ana lives in Porto." in browser.run("document.querySelector('#note ul').textContent")
    assert browser.run("document.getElementById('note').hidden") is False

    browser.run("document.getElementById('whole').click(), 0")
    assert browser.run("document.getElementById('note').hidden") is True
    assert [url for url in browser.requests if not url.startswith(("file:", "data:", "about:"))] == []
    assert browser.trouble == []

    browser.run(
        "new Promise((done) => setTimeout(done, 400))"
    )  # the glide to the chosen note is over, or was cut short
    browser.screenshot(tmp_path / "page.png")
    _is_drawn(tmp_path / "page.png")


def test_what_notes_say_is_text(browser: Browser) -> None:
    """Markup in a note is shown to the letter, and never runs."""
    browser.run("s = document.getElementById('search'), s.value = 'markup', s.dispatchEvent(new Event('input')), 0")
    browser.run("document.querySelector('#found li button').click(), 0")
    assert EVIL in browser.run("document.querySelector('#note blockquote').textContent")
    assert browser.run("document.title") == "Notes and their links"
    assert browser.run("document.querySelectorAll('img').length") == 0
    assert browser.trouble == []


def _is_drawn(picture: Path) -> None:
    """The graph's part of the picture holds nodes, links and labels, and none of them runs into its right edge."""
    from PIL import Image

    with Image.open(io.BytesIO(picture.read_bytes())) as image:
        picture_of = image.convert("RGB")
        colours = picture_of.crop((0, 80, 840, 700)).getcolors(maxcolors=1 << 24)
        edge = picture_of.crop((842, 80, 858, 700)).getcolors(maxcolors=1 << 24)
    assert colours is not None
    assert len(colours) > 20, "the graph was not drawn"
    assert edge is not None
    assert len(edge) == 1, "a note lies under the list"
