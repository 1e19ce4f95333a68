"""A consolidation that is begun, watched and taken back on the page, with the model that comes with agentmem."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from browser import Browser
from page_walk import ServedPage, click, go, until, whole, words

from agentmem.llm.small_model import small_model_path


@pytest.mark.slow
def test_a_run_shows_what_the_model_said_before_and_after(tab: Browser, start: Callable[..., ServedPage]) -> None:
    """Progress while it runs, also for who comes back to the view; a report; the note's life tells of the edit; undo takes it out again."""
    served = start(embedder=None, model=str(small_model_path()))
    go(tab, served, "weights")
    click(tab, "button", "Consolidate …")
    click(tab, "dialog button.main", "Consolidate")
    until(tab, "document.querySelector('progress')")
    go(tab, served, "weights")
    until(tab, "document.querySelector('progress')")
    until(tab, "document.querySelector('.stage h2')?.textContent.includes('went in')", 240)
    until(tab, "document.querySelectorAll('.verdict.promote').length > 1")
    taught = words(tab, ".decision a")
    before, after = words(tab, ".change del")[0], words(tab, ".change ins")[0]

    assert "What is my hobby?" in taught
    assert after not in before
    go(tab, served, f"note/{served.ids['the garden 1']}")
    assert words(tab, ".change ins") == ["pottery."]
    go(tab, served, "weights")
    click(tab, "button", "Take the last run back …")
    click(tab, "dialog button.danger", "Take it back")
    until(tab, "document.querySelector('main').innerText.includes('Nothing yet')", 60)
    assert whole(tab)
