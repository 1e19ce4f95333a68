"""The story of a memory, served on a port of this machine; and what a person does with a page."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from browser import Browser
from page_story import END, tell

from agentmem import Memory
from agentmem.aio import AsyncMemory
from agentmem.integrations.server import Access, Tokens, make_app
from agentmem.integrations.server.running import server
from agentmem.notes.clock import ManualClock
from agentmem.notes.note import Scope

__all__ = ["ServedPage", "click", "go", "go_on", "said", "served_page", "until", "whole", "words"]


@dataclass
class ServedPage:
    """Where the page is, the ids of its story by name, and tokens, where it asks for them."""

    address: str
    ids: dict[str, str]
    tokens: Tokens | None


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """An application on a free port, in a thread of its own."""
    running = server(app, port=0, grace=1)
    thread = threading.Thread(target=lambda: asyncio.run(running.serve()), daemon=True)
    thread.start()
    end = time.monotonic() + 60
    while not running.started:
        assert thread.is_alive(), "the server ended"
        assert time.monotonic() < end, "the server does not start"
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}"
    finally:
        running.should_exit = True
        thread.join(30)


@contextmanager
def served_page(folder: Path, *, signed: bool = False, told: bool = True, **options: Any) -> Iterator[ServedPage]:
    """The story, served; without tokens as on one's own machine."""
    options = {"embedder": "hash", **options}
    ids = {}
    if told:
        with Memory(folder / "memory", clock=(clock := ManualClock()), embedder=options["embedder"]) as memory:
            ids = tell(memory, clock)
    tokens = Tokens(folder / "tokens.json", clock=ManualClock(END)) if signed else None
    scope = None if signed else Scope(user="mara")
    memory = AsyncMemory(folder / "memory", clock=ManualClock(END), scope=scope, **options)
    app = make_app(memory, tokens=tokens, access=None if signed else Access.local(scope), close=True)
    with serving(app) as address:
        yield ServedPage(address, ids, tokens)


def go(tab: Browser, served: ServedPage, way: str = "") -> None:
    """Open a view in a new page."""
    tab.open_blank()
    tab.open(f"{served.address}/page/#/{way}")


def until(tab: Browser, script: str, seconds: float = 20) -> None:
    """Wait for what an expression says to be so."""
    end = time.monotonic() + seconds
    while not tab.run(f"Boolean({script})"):
        assert time.monotonic() < end, (script, tab.run("document.querySelector('main').innerText"), tab.trouble)
        time.sleep(0.03)


def words(tab: Browser, selector: str) -> list[str]:
    """What elements say."""
    found: list[str] = tab.run(f"[...document.querySelectorAll({json.dumps(selector)})].map((e) => e.textContent)")
    return found


def click(tab: Browser, selector: str, said: str = "") -> None:
    """Press what says so, once it is there."""
    script = f"[...document.querySelectorAll({json.dumps(selector)})].find((e) => e.textContent.includes({json.dumps(said)}) && !e.disabled)"
    until(tab, script)
    tab.run(f"{script}.click(), 0")


def said(tab: Browser) -> str:
    text: str = tab.run("document.querySelector('main').innerText")
    return text


def whole(tab: Browser) -> bool:
    """Nothing went wrong, nothing was asked of anybody else, and nothing runs out of the window."""
    assert tab.trouble == [], tab.trouble
    assert [url for url in tab.requests if not url.startswith(("http://127.0.0.1", "about:", "data:", "blob:"))] == []
    wide = tab.run("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, wide
    return True


def go_on(tab: Browser, way: str) -> None:
    """To another view in the same page."""
    tab.run(f"document.documentElement.dataset.ready = 'false', location.hash = {json.dumps('#/' + way)}, 0")
    tab.wait_until_ready()
