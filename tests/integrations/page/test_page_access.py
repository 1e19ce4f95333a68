"""The page for everybody: axe finds nothing in any view, light or dark, wide or narrow, and nothing moves once it stands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
from browser import Browser
from page_walk import ServedPage, click, go, until, whole

AXE = "axe-core@4.14.1"
VIEWS = (
    "search",
    "search?q=Where+do+I+live%3F&kind=episodic",
    "NOTE",
    "graph",
    "conversations?name=moving%20house",
    "weights",
    "FORGET",
    "forget?by=filter",
    "overview",
)


@pytest.fixture(scope="session")
def axe() -> str:
    """The rules of axe-core, from the registry; skips where they cannot be had."""
    npm = shutil.which("npm")
    cache = Path(os.environ.get("AGENTMEM_TEST_CACHE", Path(tempfile.gettempdir()) / "agentmem-test-cache")) / AXE
    kept = cache / "axe.min.js"
    if not kept.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        got = npm and subprocess.run(
            [npm, "pack", AXE, "--silent"], cwd=cache, capture_output=True, text=True, timeout=60
        )
        if not got or got.returncode:
            assert not os.environ.get("AGENTMEM_FRAMEWORKS"), "npm pack axe-core failed"
            pytest.skip("needs axe-core from the npm registry")
        with tarfile.open(cache / got.stdout.split()[-1]) as packed:
            script = packed.extractfile("package/axe.min.js")
            assert script is not None
            kept.write_bytes(script.read())
    return kept.read_text(encoding="utf-8")


def findings(tab: Browser, axe: str) -> list[str]:
    """What axe finds, by its rule and the first place."""
    tab.run(f"{axe};0")
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    found = tab.run(
        f"axe.run(document, {json.dumps(rules)}).then((r) => JSON.stringify(r.violations.map((v) => [v.id, v.nodes.length, v.nodes[0].html.slice(0, 200), v.nodes[0].failureSummary])))"
    )
    return [str(each) for each in json.loads(found)]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing(tab: Browser, told: ServedPage, axe: str, dark: bool) -> None:
    """In no view and in no dialog, by the rules of WCAG 2.2 AA and its best practices."""
    tab.window(1280, 860, dark=dark)
    found = {}
    for view in VIEWS:
        way = view.replace("NOTE", f"note/{told.ids['the garden 1']}").replace(
            "FORGET", f"forget?id={told.ids['kiln']}"
        )
        go(tab, told, way)
        if view == "weights":
            click(tab, "button", "What would go in?")
            until(tab, "document.querySelectorAll('.decision').length > 3")
        if view == "NOTE":
            click(tab, ".life button", "Change")
        if problems := findings(tab, axe):
            found[view] = problems
        assert whole(tab)

    assert found == {}


def test_axe_finds_nothing_on_a_phone(tab: Browser, told: ServedPage, axe: str) -> None:
    """And no view is wider than 360 pixels, with something to press in every place that a thumb reaches."""
    tab.window(360, 740)
    found = {}
    for view in VIEWS:
        way = view.replace("NOTE", f"note/{told.ids['the garden 1']}").replace(
            "FORGET", f"forget?id={told.ids['kiln']}"
        )
        go(tab, told, way)
        if problems := findings(tab, axe):
            found[view] = problems
        assert whole(tab), view
        assert tab.run(
            "[...document.querySelectorAll('nav a, .side button:not([hidden])')].filter((e) => e.getClientRects().length).every((e) => e.getBoundingClientRect().height >= 36)"
        )

    assert found == {}


def test_nothing_moves_once_it_stands(tab: Browser, told: ServedPage) -> None:
    """The browser's own measure of layout shifts, from the first paint of a view on, stays in what counts as good (0.1)."""
    for view in (
        "search",
        f"note/{told.ids['the garden 1']}",
        "conversations?name=moving%20house",
        "overview",
        "weights",
    ):
        go(tab, told, view)
        shift = tab.run(
            "new Promise((done) => { let sum = 0; new PerformanceObserver((list) => { for (const e of list.getEntries()) sum += e.value; })"
            ".observe({ type: 'layout-shift', buffered: true }); setTimeout(() => done(sum), 120); })"
        )
        assert shift < 0.1, (view, shift)


def test_those_who_want_calm_see_nothing_move(tab: Browser, told: ServedPage) -> None:
    """The graph is laid out before it is shown, and no transition runs."""
    go(tab, told, "graph")
    first = tab.run("document.querySelector('.canvas g').innerHTML")
    tab.run("new Promise((done) => setTimeout(done, 150))")

    assert tab.run("document.querySelector('.canvas g').innerHTML") == first
    assert tab.run("document.getAnimations().length") == 0
