"""Our rules for dates and secrets, beside libraries that find the same: what each gets right, and how long it takes.

python -m benchmarks.rules [--out benchmarks/results/rules.json]

The libraries are none of our requirements: `pip install dateparser parsedatetime timefhuman python-dateutil detect-secrets`; one that is
missing is left out. The phrases and texts were written before anybody looked at what any of them can read. Each library is asked
about whole sentences, which is what we need, and, where its business is a phrase alone, about that, with the settings that suit it best.
A time is the median of processor milliseconds a sentence, the readers taking turns.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.rules.more_phrases import MORE_PHRASES
from benchmarks.rules.phrases import NOW, PHRASES, Phrase
from benchmarks.rules.texts import LOOK_ALIKES, MORE_LOOK_ALIKES, MORE_SECRETS, SECRETS

Days = tuple[date, date]
Reader = Callable[[str], Sequence[Days]]
ANCHOR = datetime(*NOW)  # noqa: DTZ001 - the libraries take no time zone
SETTINGS = {"RELATIVE_BASE": ANCHOR, "PREFER_DATES_FROM": "past"}
ROUNDS = 5


def ours() -> Iterator[tuple[str, Reader, str]]:
    """Half-open spans as the days they hold."""
    from agentmem.extract.english.dates import dates

    def read(text: str) -> list[Days]:
        return [(start.date(), (end - timedelta(microseconds=1)).date()) for start, end, _ in dates(text, ANCHOR)]

    yield "agentmem", read, "sentence"


def dateparser_readers() -> Iterator[tuple[str, Reader, str]]:
    """A date and the period it stands for, so that "March 2024" is the whole month."""
    from dateparser.date import DateDataParser
    from dateparser.search import search_dates

    parser = DateDataParser(languages=["en"], settings=SETTINGS)

    def phrase(text: str) -> list[Days]:
        found = parser.get_date_data(text)
        return [] if found is None or found.date_obj is None else [_period(found.date_obj.date(), found.period)]

    def sentence(text: str) -> list[Days]:
        found = search_dates(text, languages=["en"], settings=SETTINGS) or []
        longer = [(words, at) for words, at in found if len(words) > 3]  # "we" would be a Wednesday
        return [days for words, at in longer for days in phrase(words) or [(at.date(), at.date())]]

    yield "dateparser, sentence", sentence, "sentence"
    yield "dateparser, phrase", phrase, "phrase"


def parsedatetime_readers() -> Iterator[tuple[str, Reader, str]]:
    """Points in time."""
    import parsedatetime

    calendar = parsedatetime.Calendar()

    def sentence(text: str) -> list[Days]:
        return [(at.date(), at.date()) for at, *_ in calendar.nlp(text, sourceTime=ANCHOR) or ()]

    def phrase(text: str) -> list[Days]:
        at, found = calendar.parseDT(text, sourceTime=ANCHOR)
        return [(at.date(), at.date())] if found else []

    yield "parsedatetime, sentence", sentence, "sentence"
    yield "parsedatetime, phrase", phrase, "phrase"


def timefhuman_readers() -> Iterator[tuple[str, Reader, str]]:
    """Points, pairs and lists of them."""
    from timefhuman import Direction, tfhConfig, timefhuman

    config = tfhConfig(now=ANCHOR, direction=Direction.previous)

    def read(text: str) -> list[Days]:
        found = timefhuman(text, config=config)
        return list(_flat(found if isinstance(found, list) else [found]))

    yield "timefhuman, sentence", read, "sentence"
    yield "timefhuman, phrase", read, "phrase"


def dateutil_readers() -> Iterator[tuple[str, Reader, str]]:
    """Absolute dates, in a phrase or fuzzily in a sentence."""
    from dateutil import parser

    def read(text: str) -> list[Days]:
        try:
            at = parser.parse(text, default=ANCHOR, fuzzy=True)
        except (ValueError, OverflowError):
            return []
        return [(at.date(), at.date())]

    yield "dateutil, sentence", read, "sentence"
    yield "dateutil, phrase", read, "phrase"


def _period(day: date, period: str) -> Days:
    if period == "year":
        return day.replace(month=1, day=1), day.replace(month=12, day=31)
    if period == "month":
        first = day.replace(day=1)
        return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    if period == "week":
        monday = day - timedelta(days=day.weekday())
        return monday, monday + timedelta(days=6)
    return day, day


def _flat(found: Any) -> Iterator[Days]:
    for each in found:
        if isinstance(each, datetime):
            yield each.date(), each.date()
        elif isinstance(each, date):
            yield each, each
        elif isinstance(each, tuple) and all(isinstance(end, datetime | date) for end in each):
            days = list(_flat(each))
            yield days[0][0], days[-1][1]
        elif isinstance(each, list):
            yield from _flat(each)


def judged(found: Sequence[Days], first: str | None, last: str | None, slack: int) -> tuple[bool, bool]:
    """Whether what was found lies within the days that are meant, and whether it is all of them."""
    if first is None:
        return not found, not found
    if not found:
        return False, False
    assert last is not None
    least, most = min(days[0] for days in found), max(days[1] for days in found)
    aside = timedelta(days=slack)
    start = date(1, 1, 1) if first == "open" else date.fromisoformat(first)
    end = date(9999, 12, 31) if last == "open" else date.fromisoformat(last)
    early = start if first == "open" else start - aside
    late = end if last == "open" else end + aside
    within = least >= early and most <= late
    whole = within and (first != "open" and least <= start + aside) and (last != "open" and most >= end - aside)
    return within, whole


def reading_dates(phrases: Sequence[Phrase]) -> dict[str, Any]:
    """Each reader's figures, and the sentences that it gets wrong."""
    readers = [
        each
        for make in (ours, dateparser_readers, parsedatetime_readers, timefhuman_readers, dateutil_readers)
        for each in _there(make)
    ]
    figures: dict[str, Any] = {}
    for name, read, what in readers:
        right, whole, wrong = 0, 0, []
        for sentence, phrase, first, last, slack in phrases:
            text = sentence if what == "sentence" or not phrase else phrase
            within, all_of_it = judged(_tried(read, text), first, last, slack)
            right, whole = right + within, whole + all_of_it
            if not within:
                wrong.append(text)
        figures[name] = {"of": len(phrases), "within": right, "whole": whole, "wrong": wrong}
    spent = timed({name: read for name, read, _ in readers}, [sentence for sentence, *_ in phrases])
    return {name: {**figures[name], "cpu_ms": spent[name]} for name in figures}


def detectors() -> Iterator[tuple[str, Callable[[str], bool], str]]:
    """Whether a text holds a key or a password."""
    from agentmem.extract.secrets import secrets

    yield "agentmem", lambda text: any(secret.kind in {"key", "password"} for secret in secrets(text)), "sentence"
    yield from _there(detect_secrets)


def detect_secrets() -> Iterator[tuple[str, Callable[[str], bool], str]]:
    """With all that it brings, and without what judges by entropy alone."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
    from detect_secrets.core.scan import get_plugins
    from detect_secrets.settings import transient_settings

    every = [found.__name__ for found in get_mapping_from_secret_type_to_class().values()]
    for name, left in (("all plugins", ()), ("without entropy", ("Base64HighEntropyString", "HexHighEntropyString"))):
        with transient_settings({"plugins_used": [{"name": plugin} for plugin in every if plugin not in left]}):
            plugins = list(get_plugins())

        def find(text: str, plugins: list[Any] = plugins) -> bool:
            lines = enumerate(text.splitlines(), 1)
            return any(plugin.analyze_line("a note", line, number) for number, line in lines for plugin in plugins)

        yield f"detect-secrets, {name}", find, "sentence"


def finding_secrets(kept: Sequence[tuple[str, str]], harmless: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """How many secrets each detector finds, and how many harmless texts it takes for one."""
    finders = {name: find for name, find, _ in detectors()}
    spent = timed(finders, [text for _, text in (*kept, *harmless)])
    return {
        name: {
            "found": sum(find(text) for _, text in kept),
            "of": len(kept),
            "false_alarms": sum(find(text) for _, text in harmless),
            "of_harmless": len(harmless),
            "missed": [kind for kind, text in kept if not find(text)],
            "alarmed_by": [kind for kind, text in harmless if find(text)],
            "cpu_ms": spent[name],
        }
        for name, find in finders.items()
    }


def timed(readers: dict[str, Callable[[str], Any]], texts: Sequence[str]) -> dict[str, float]:
    """Median processor milliseconds a text, warm."""
    spent: dict[str, list[float]] = {name: [] for name in readers}
    for text in texts:
        for name, read in readers.items():
            _tried(read, text)
            start = time.process_time()
            for turn in range(1, ROUNDS + 1):
                _tried(read, text + " " * turn)  # some know a text again
            spent[name].append((time.process_time() - start) / ROUNDS)
    return {name: round(1000 * statistics.median(times), 4) for name, times in spent.items()}


def _tried(read: Callable[[str], Any], text: str) -> Any:
    try:
        return read(text)
    except Exception:  # noqa: BLE001 - a reader that fails has found nothing
        return []


def _there(make: Callable[[], Iterator[Any]]) -> list[Any]:
    try:
        return list(make())
    except ImportError as error:
        print(f"left out: {error}")
        return []


def _versions() -> dict[str, str]:
    found = {}
    for name in ("dateparser", "parsedatetime", "timefhuman", "python-dateutil", "detect-secrets"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def main() -> None:
    """Print the figures, and write them with ``--out``."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    result = {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "versions": _versions(),
        "dates": reading_dates(PHRASES),
        "more_dates": reading_dates(MORE_PHRASES),
        "secrets": finding_secrets(SECRETS, LOOK_ALIKES),
        "more_secrets": finding_secrets(MORE_SECRETS, MORE_LOOK_ALIKES),
    }
    for what in ("dates", "more_dates", "secrets", "more_secrets"):
        for name, figures in result[what].items():
            print(what, name, {key: value for key, value in figures.items() if not isinstance(value, list)})
    if given.out:
        given.out.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
