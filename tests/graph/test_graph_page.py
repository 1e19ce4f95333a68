"""The page of a note graph: complete, self-contained, and harmless whatever the notes say."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem import Memory
from agentmem.errors import InvalidArgument
from agentmem.graph.page import _json, page, write_page
from agentmem.notes.clock import ManualClock

EVIL = "</script><script>alert(1)</script><!-- <img src=x onerror=alert(2)> ]]> \u2028 & {{script}} \\u003c"


class _Reader(HTMLParser):
    """Tags, and the text of each script, as a browser's parser would see them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.titles: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        if self._inside == "title":
            self.titles.append(data)


def _read(text: str) -> _Reader:
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return reader


def _data(text: str) -> dict[str, list[dict[str, object]]]:
    return json.loads(_read(text).scripts[0])


@pytest.fixture
def memory() -> Memory:
    return Memory(None, embedder="hash", clock=ManualClock())


def test_the_page_holds_what_a_click_shows(memory: Memory, tmp_path: Path) -> None:
    """Each note with its fact, dates, tags and strength, and each link with its kinds and reasons."""
    ana = memory.remember("Ana lives in Porto.", tags=["home"]).id
    bridges = memory.remember("Porto has six bridges.").id
    data = _data(memory.graph_page(tmp_path / "new" / "graph.html").read_text())

    nodes = {node["id"]: node for node in data["nodes"]}
    assert set(nodes) == {ana, bridges}
    assert nodes[ana]["content"] == "Ana lives in Porto."
    assert nodes[ana]["fact"] == "Ana · lives in · Porto"
    assert nodes[ana]["occurred_at"].startswith("2026-01-01T09:00")
    assert "home" in nodes[ana]["tags"]
    assert nodes[ana]["strength"] == 1.0
    assert [link["reasons"] for link in data["links"]] == ["shares: both mention “porto”"]
    assert data["counts"] == "2 notes, 1 links"


def test_nothing_is_loaded_from_anywhere(memory: Memory) -> None:
    """No address in any tag; the policy admits the two scripts of the page by hash, and nothing else."""
    memory.remember("Ana lives in Porto.")
    text = page(memory.graph())
    read = _read(text)

    assert not [
        (tag, name) for tag, found in read.tags for name in found if name in ("src", "href", "srcset", "action")
    ]
    assert [dict(found).get("type") for tag, found in read.tags if tag == "script"] == ["application/json", None, None]
    policy = next(found["content"] for tag, found in read.tags if "http-equiv" in found)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in read.scripts[1:]]
    assert re.findall(r"'sha256-([^']+)'", policy) == hashes
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.split("style-src")[0]
    assert "Permission is hereby granted, free of charge" in read.scripts[1]


@pytest.mark.parametrize("place", ["content", "tag", "actor", "reason", "title"])
def test_markup_in_a_note_does_no_harm(memory: Memory, place: str) -> None:
    """Wherever the words stand, the page has the same tags and scripts as without them, and shows them as they are."""
    plain = _read(page(memory.graph(), title="Notes"))
    tags = [EVIL] if place == "tag" else []
    a = memory.remember(EVIL if place == "content" else "One.", tags=tags, actor=EVIL if place == "actor" else None).id
    b = memory.remember("Two.").id
    memory.link(str(a), str(b), reason=EVIL if place == "reason" else "")
    read = _read(page(memory.graph(), title=EVIL if place == "title" else "Notes"))

    same = [tag for tag, _ in read.tags]
    assert same == [tag for tag, _ in plain.tags]
    assert read.scripts[1:] == plain.scripts[1:]
    found = "".join(read.titles) if place == "title" else json.dumps(json.loads(read.scripts[0]), ensure_ascii=False)
    assert (EVIL if place == "title" else json.dumps(EVIL, ensure_ascii=False)[1:-1]) in found


@given(text=st.text(max_size=60) | st.sampled_from([EVIL, "</SCRIPT >", "<!--<script", "\ud800", "\x00"]))
@settings(max_examples=200, deadline=None)
def test_data_is_data(text: str) -> None:
    """Any text survives the way into the page and back, and has no character that a parser could act on."""
    written = _json({"content": text})

    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written)["content"] == text.encode("utf-8", "replace").decode()


def test_the_script_never_writes_markup() -> None:
    """What notes say enters the page as text nodes: the script knows no way to write HTML or to run text."""
    script = (Path(__file__).parents[2] / "agentmem" / "data" / "graph_page" / "page.js").read_text()

    for way in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "fetch(",
        "XMLHttpRequest",
    ):
        assert way not in script


def test_forgotten_and_former_words_are_not_in_the_page(memory: Memory) -> None:
    """Neither a forgotten note, nor what a note said before it was changed."""
    doomed = str(memory.remember("The treasure lies under the quombledore.").id)
    changed = str(memory.remember("The code is zyxwvut.").id)
    memory.update(changed, "The code is new.")
    memory.forget(doomed)
    text = page(memory.graph())

    assert "quombledore" not in text
    assert "zyxwvut" not in text
    assert doomed not in text
    assert "The code is new." in text


def test_the_newest_notes_are_shown_of_too_many(memory: Memory) -> None:
    """A limit keeps the newest and says so; links to what is left out are left out."""
    for i in range(6):
        memory.remember(f"Lunch {i} was dish {i}.", user=None)
        memory.clock.advance(days=1)  # type: ignore[attr-defined]
    data = _data(page(memory.graph(), limit=2))

    assert [node["content"] for node in data["nodes"]] == ["Lunch 5 was dish 5.", "Lunch 4 was dish 4."]
    assert data["counts"].endswith("6 notes in all")
    assert {end for link in data["links"] for end in (link["source"], link["target"])} <= {
        n["id"] for n in data["nodes"]
    }
    for bad in (0, -1, True, 1.5):
        with pytest.raises(InvalidArgument):
            page(memory.graph(), limit=bad)  # type: ignore[arg-type]


def test_an_empty_memory_has_a_page_too(memory: Memory, tmp_path: Path) -> None:
    assert _data(write_page(memory.graph(), tmp_path / "graph.html").read_text())["counts"] == "0 notes, 0 links"


def test_notes_do_not_lie_on_each_other(memory: Memory) -> None:
    """Linked or alone, no two notes share a place, and the same graph is laid out the same."""
    for i in range(40):
        memory.remember(f"{'Porto' if i % 3 else 'Rain'} has thing {i} and thing {i * i}.")
    text = page(memory.graph())
    places = {(node["x"], node["y"]) for node in _data(text)["nodes"]}

    assert len(places) == 40
    assert page(memory.graph()) == text
