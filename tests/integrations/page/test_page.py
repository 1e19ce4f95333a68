"""The page of ``agentmem serve`` in a real browser: a person's whole walk over one memory."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from browser import Browser
from page_story import EVIL
from page_walk import ServedPage, click, go, go_on, said, until, whole, words

from agentmem.integrations.auth.access import RIGHTS
from agentmem.integrations.server import Access


def test_the_way_to_the_page_is_the_address_itself(tab: Browser, told: ServedPage) -> None:
    """``/`` leads to the page, which shows what came last, and whose it is."""
    tab.open(told.address)

    assert tab.run("location.pathname") == "/page/"
    assert tab.run("document.title") == "Search · agentmem"
    assert words(tab, ".whose .name") == ["mara"]
    assert len(words(tab, ".card")) == 12
    assert whole(tab)


def test_a_search_says_why(tab: Browser, told: ServedPage) -> None:
    """Each hit has the parts of its score, which add up to it, what lifted it, and a mark when it is over; filters and a moment narrow it."""
    go(tab, told)
    tab.run("document.querySelector('input[type=search]').focus(), 0")
    tab.write("Where do I live?")
    until(tab, "document.querySelectorAll('.card .score').length > 1")
    found = words(tab, ".card .said")

    assert found[0] == "I live in Bergen."
    assert "over since 16 Mar 2026" in words(tab, ".card")[found.index("I live in Lisbon.")]
    parts = [float(each.replace("−", "-")) for each in words(tab, ".card:first-child .parts .value")]
    score = float(words(tab, ".card:first-child .score b")[0])
    assert abs(sum(parts) - score) < 0.05
    assert "lifted by" in words(tab, ".card:first-child .why")[0]
    assert tab.run("location.hash") == "#/search?q=Where+do+I+live%3F"

    go(tab, told, "search?q=Where+do+I+live%3F&asof=2026-03-10")
    assert "I live in Bergen." not in words(tab, ".card .said")
    assert "I live in Lisbon." in words(tab, ".card .said")
    go(tab, told, "search?q=kiln&from=2026-03-17")
    assert words(tab, ".card .said")[0].startswith("The kiln's maker")
    assert min(tab.run("[...document.querySelectorAll('.card time')].map((e) => e.dateTime)")) >= "2026-03-17"
    assert whole(tab)


def test_the_life_of_a_note(tab: Browser, told: ServedPage) -> None:
    """Its curve with its uses, its words over time with what changed, facts, links with reasons, and where it lies."""
    go(tab, told, f"note/{told.ids['the garden 1']}")
    text = said(tab)

    assert tab.run("document.querySelectorAll('.plot path.line').length") == 1
    assert tab.run("document.querySelectorAll('.plot .event.used').length") >= 1
    assert tab.run("document.querySelectorAll('.plot .event.reworded').length") == 1
    assert "balcony." in words(tab, ".versions del")[-1]
    assert words(tab, ".versions ins")[-1].endswith("shed behind the house.")
    assert "user hobby pottery" in text.replace("\n", " ")
    assert "the kiln that was bought there" in text
    assert "vectors" in " ".join(words(tab, ".places li"))

    go(tab, told, f"note/{told.ids['moving house 6']}")
    assert words(tab, ".asked q") == ["Is there anything I am allergic to?", "What must I not eat?"]
    go(tab, told, f"note/{told.ids['moving house 1']}")
    assert "held 2 Mar 2026 – 16 Mar 2026" in said(tab)
    click(tab, ".life button", "Why is it not found?")
    tab.write("Where do I live?")
    tab.press("Enter")
    until(tab, "document.querySelector('dialog .answered').textContent.length > 10")
    assert whole(tab)


def test_a_note_is_changed_where_it_is_shown(tab: Browser, start: Callable[..., ServedPage]) -> None:
    """New words stand there at once, and the former ones are in its history."""
    served = start()
    go(tab, served, f"note/{served.ids['kiln']}")
    click(tab, ".life button", "Change")
    tab.run("t = document.querySelector('dialog textarea'), t.value = 'The kiln has no maker any more.', 0")
    click(tab, "dialog button.main", "Change")
    until(tab, "document.querySelector('h1').textContent === 'The kiln has no maker any more.'")

    assert words(tab, ".versions del")
    assert words(tab, ".life .tag") != []
    assert whole(tab)


def test_the_graph_grows_with_what_is_opened(tab: Browser, told: ServedPage) -> None:
    """By a click in the picture, and by the keys alone in the list beside it."""
    go(tab, told, f"graph?around={told.ids['kiln']}")
    before = len(words(tab, ".node"))
    tab.run("document.querySelector('.beside li button').focus(), 0")
    for _ in range(before):
        tab.press("Enter", "j")
        time.sleep(0.1)
    until(tab, f"document.querySelectorAll('.node').length > {before}")

    assert len(words(tab, ".node")) == len(words(tab, ".beside > ul li"))
    assert tab.run("document.activeElement.closest('.beside') !== null")
    assert "shares" in words(tab, ".edge title")[0] or "next" in " ".join(words(tab, ".edge title"))
    spread = tab.run(
        "(() => { const p = [...document.querySelectorAll('.node')].map((n) => n.getAttribute('transform')); return new Set(p).size === p.length; })()"
    )
    assert spread, "two notes lie on each other"
    assert whole(tab)


def test_a_conversation_is_read_turn_by_turn(tab: Browser, told: ServedPage) -> None:
    """In the order in which it was said, with the facts that it brought in, those that are over struck out."""
    go(tab, told, "conversations?name=moving%20house")

    assert words(tab, ".talks .list b") == ["plans for may", "a new city", "the garden", "moving house"]
    assert words(tab, ".turn .said")[0] == "I live in Lisbon."
    assert words(tab, ".turn .said")[-1].startswith("Once a year.")
    assert words(tab, ".brought li.over") == ["user · lives in · Lisbon"]
    assert "Ines · lives in · Hanoi" in words(tab, ".brought li")
    assert whole(tab)


def test_a_dry_run_says_what_would_go_into_the_weights_and_why(tab: Browser, told: ServedPage) -> None:
    """Nothing is written by it; a run that cannot be says what helps."""
    go(tab, told, "weights")
    click(tab, "button", "What would go in?")
    until(tab, "document.querySelectorAll('.decision').length > 3")
    verdicts = dict(zip(words(tab, ".decision a"), words(tab, ".decision"), strict=True))

    assert "stays as it is" in verdicts["user · lives in · Lisbon"]
    assert "no longer valid" in verdicts["user · lives in · Lisbon"]
    click(tab, "button", "Consolidate …")
    click(tab, "dialog button.main", "Consolidate")
    until(tab, "document.querySelector('.trouble')")
    assert "What helps" in words(tab, ".trouble")[0]
    click(tab, "button", "Take the last run back …")
    until(tab, "document.querySelector('.trouble')?.textContent.includes('undo')")
    assert [each for each in tab.trouble if "409" not in each] == []


def test_forgetting_shows_first_asks_and_gives_a_receipt(tab: Browser, start: Callable[..., ServedPage]) -> None:
    """From a note, and by a filter: what would go, a dialog, and then every place with its probe; the note is found no more."""
    served = start()
    go(tab, served, f"note/{served.ids['kiln']}")
    click(tab, ".life a", "Forget")
    until(tab, "document.querySelector('.doomed')")

    assert words(tab, ".doomed .said") == ["The kiln's maker answers the phone on Tuesdays alone."]
    click(tab, "button.danger", "Forget 1 note")
    assert tab.run("document.activeElement.textContent") == "Keep it"
    tab.press("Escape")
    until(tab, "!document.querySelector('dialog')")
    assert words(tab, ".doomed .said") != []
    click(tab, "button.danger", "Forget 1 note")
    click(tab, "dialog button.danger", "Forget for good")
    until(tab, "document.querySelector('.receipt')")
    assert words(tab, ".stamp") == ["gone"]
    assert len(words(tab, ".probes .gone")) >= 5
    assert words(tab, ".probes .left") == []
    assert tab.run("document.activeElement.tagName") == "H2"

    go(tab, served, f"note/{served.ids['kiln']}")
    assert "What helps" in said(tab)
    tab.trouble.clear()  # 404 is what was asked for
    go(tab, served, "conversations?name=the%20garden")
    click(tab, ".talks a", "Forget it")
    until(tab, "document.querySelectorAll('.doomed li').length === 4")
    click(tab, "button.danger", "Forget 4 notes")
    click(tab, "dialog button.danger", "Forget for good")
    until(tab, "document.querySelector('.stamp')?.textContent === 'gone'")
    go(tab, served, "search?q=pottery%20kiln")
    assert not [each for each in words(tab, ".card .said") if "kiln" in each]
    assert whole(tab)


def test_an_empty_filter_forgets_nothing(tab: Browser, start: Callable[..., ServedPage]) -> None:
    """It is refused before it is sent; a tag is looked at first, and what is confirmed is what was shown."""
    served = start()
    go(tab, served, "forget?by=filter")
    click(tab, "form button.main", "Look")
    assert "everything" in words(tab, ".notice")[0]
    tab.run("document.querySelector('input[name=tag]').focus(), 0")
    tab.write("pottery")
    tab.press("Enter")
    until(tab, "document.querySelectorAll('.doomed li').length === 2")

    assert whole(tab)


def test_what_is_in_it_and_whether_it_agrees(tab: Browser, told: ServedPage) -> None:
    """Counts, what is due, the check of every projection, and the machine."""
    go(tab, told, "overview")
    text = said(tab)

    assert "20\nnotes" in text or "notes\n20" in text
    assert "remembered with less than 90 %" in text
    click(tab, "button", "Check")
    until(tab, "document.querySelector('main').innerText.includes('Every projection agrees')")
    assert "sqlite" in said(tab)
    assert whole(tab)


def test_what_notes_say_is_words(tab: Browser, told: ServedPage) -> None:
    """Markup in a note stands there to the letter in every view, and never runs."""
    evil = told.ids["page"]
    for way in (
        "search?q=web%20page",
        f"note/{evil}",
        f"graph?around={evil}",
        f"forget?id={evil}",
        "overview",
        "search",
    ):
        go(tab, told, way)
        assert EVIL[:40] in tab.run("document.querySelector('main').textContent"), way
        assert tab.run("document.querySelectorAll('main img, main script').length") == 0
        assert "owned" not in tab.run("document.title").split(" ·")[-1]
    assert whole(tab)


def test_an_empty_memory_is_told_something(tab: Browser, start: Callable[..., ServedPage]) -> None:
    """Every view says that there is nothing yet; what is remembered is shown."""
    served = start(told=False)
    for way in ("graph", "conversations", "weights", "overview", "forget"):
        go(tab, served, way)
        assert "This did not work" not in said(tab), way
    go(tab, served)
    click(tab, ".empty button", "Remember something")
    tab.write("Mara lives in Bergen.")
    click(tab, "dialog button.main", "Remember")
    until(tab, "document.querySelector('h1')?.textContent === 'Mara lives in Bergen.'")
    assert whole(tab)


def test_a_token_is_asked_for_and_says_whose_notes_these_are(tab: Browser, start: Callable[..., ServedPage]) -> None:
    """It is kept for the tab alone; a wrong one is told, with what helps; whoever may name anyone chooses, and nobody sees another's."""
    served = start(signed=True)
    assert served.tokens is not None
    ben = served.tokens.add(Access("ben", user="ben"))[0]
    every = served.tokens.add(Access("service", anyone=True, rights=frozenset(RIGHTS)))[0]

    go(tab, served)
    tab.write("wrong")
    tab.press("Enter")
    until(tab, "document.querySelector('.door .trouble')")
    assert tab.run("sessionStorage.length") == 0
    tab.trouble.clear()  # 401 is what was asked for
    tab.run("document.querySelector('.door input').focus(), 0")
    tab.write(ben)
    tab.press("Enter")
    until(tab, "document.querySelectorAll('.card').length")
    assert "Ben keeps bees in Porto." in words(tab, ".card .said")
    assert not [each for each in words(tab, ".card .said") if "Bergen" in each]
    assert tab.run("localStorage.length") == 0
    assert "may look, and not consolidate" in (go_on(tab, "weights"), said(tab))[1]
    assert ben not in tab.run("document.documentElement.outerHTML")

    click(tab, "#leave")
    until(tab, "document.querySelector('.door input')")
    assert tab.run("sessionStorage.length") == 0
    tab.write(every)
    tab.press("Enter")
    until(tab, "document.querySelector('.whose select')")
    assert words(tab, ".whose option") == ["ben", "mara", "shared by everybody"]
    tab.run(
        "s = document.querySelector('.whose select'), s.value = 'user:mara', s.dispatchEvent(new Event('change')), 0"
    )
    go_on(tab, "search?q=Where+do+I+live%3F")
    assert words(tab, ".card .said")[0] == "I live in Bergen."
    assert tab.trouble == []


def test_the_keys_are_enough(tab: Browser, told: ServedPage) -> None:
    """The first Tab skips to the content; letters lead to views, through hits and to help; single keys can be turned off."""
    go(tab, told, "overview")
    tab.run("document.activeElement.blur(), 0")
    tab.press("Tab")
    assert tab.run("document.activeElement.textContent") == "Skip to the content"
    tab.press("Enter")
    assert tab.run("document.activeElement.id") == "main"
    tab.press("g", "s")
    until(tab, "document.activeElement.matches('input[type=search]')")
    tab.write("kiln")
    until(tab, "document.querySelector('.card .score')")
    tab.run("document.querySelector('main').focus(), 0")
    tab.press("j", "j")
    assert tab.run("document.activeElement.closest('.card') === document.querySelectorAll('.card')[1]")
    tab.press("Enter")
    until(tab, "location.hash.startsWith('#/note/') && document.activeElement.tagName === 'H1'")
    tab.press("?")
    until(tab, "document.querySelector('dialog[open]')")
    tab.run("document.querySelector('dialog input[type=checkbox]').click(), 0")
    tab.press("Escape")
    until(tab, "!document.querySelector('dialog')")
    tab.press("g", "o")
    time.sleep(0.1)
    assert tab.run("location.hash").startswith("#/note/")
    assert whole(tab)


def test_colours_are_the_systems_until_they_are_chosen(tab: Browser, told: ServedPage) -> None:
    """And the choice is there before anything is painted, the next time."""
    paper = "getComputedStyle(document.body).backgroundColor"
    tab.window(1280, 860, dark=True)
    go(tab, told)
    dark = tab.run(paper)
    tab.run("document.getElementById('theme').click(), 0")
    light = tab.run(paper)
    tab.open(f"{told.address}/page/?again#/search")

    assert dark != light
    assert tab.run(paper) == light
    assert tab.run("document.getElementById('theme').getAttribute('aria-pressed')") == "false"
    assert whole(tab)


@pytest.mark.parametrize(
    "way",
    [
        "note/%",
        "note/nobody",
        "note/../../x",
        "graph?around=nobody",
        "nowhere",
        "search?q=%F0%9F",
        "conversations?name=nobody",
        "forget?id=nobody",
    ],
)
def test_an_address_that_leads_nowhere_is_told(tab: Browser, told: ServedPage, way: str) -> None:
    """In words, with the page still there; nothing is thrown."""
    go(tab, told, way)

    assert said(tab).strip()
    assert words(tab, "nav a span")[0] == "Search"
    assert [each for each in tab.trouble if "404" not in each] == []


def test_the_graph_comes_to_rest_where_things_may_move(tab: Browser, told: ServedPage) -> None:
    """It glides into place, all of it in sight, and then stands."""
    tab.window(1280, 860, calm=False)
    go(tab, told, "graph")
    place = "document.querySelector('.canvas g').innerHTML.length + document.querySelector('.node').getAttribute('transform')"
    until(
        tab,
        f"(window.last === ({place}) ? (window.same = (window.same ?? 0) + 1) : (window.same = 0), window.last = ({place}), window.same > 8)",
    )
    inside = "(() => { const b = document.querySelector('.canvas').getBoundingClientRect(); return [...document.querySelectorAll('.node circle')].every((c) => { const r = c.getBoundingClientRect(); return r.left >= b.left && r.right <= b.right && r.top >= b.top && r.bottom <= b.bottom; }); })()"

    assert tab.run(inside)
    assert whole(tab)


def test_a_server_that_is_gone_is_told(tab: Browser, told: ServedPage) -> None:
    """With what helps, and a way to try again."""
    go(tab, told)
    tab.run("window.fetch = () => Promise.reject(new TypeError('gone')), 0")
    go_on(tab, "overview")
    assert "The server does not answer." in said(tab)
    assert "agentmem serve" in said(tab)
    assert words(tab, ".trouble button") == ["Try again"]
    assert whole(tab)
