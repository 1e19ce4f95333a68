"""Which notes belong together, and why: pure functions from plain values to proposed links.

Each link says its reason in words. Every kind is capped, so that a note about something common does not become a hub
that spreads activation over everything.
"""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING, Final

from agentmem.errors import InvalidArgument
from agentmem.extract import entities, keywords
from agentmem.extract.relations import plain, same_value
from agentmem.notes.clock import from_micros
from agentmem.notes.rows import HALF_LIFE, LinkRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agentmem.notes.note import Fact
    from agentmem.settings import RememberSettings

__all__ = [
    "CONTRADICTS",
    "KINDS",
    "NEXT",
    "RELATED",
    "SHARES",
    "SIMILAR",
    "SUPERSEDES",
    "TOGETHER",
    "UPDATES",
    "aged",
    "by_words",
    "conflicting",
    "link_contradicts",
    "link_ended",
    "link_next",
    "link_shares",
    "link_similar",
    "link_supersedes",
    "link_terms",
    "link_together",
    "link_words",
    "terms_of",
]

NEXT: Final = "next"
SIMILAR: Final = "similar"
SHARES: Final = "shares"
SUPERSEDES: Final = "supersedes"
CONTRADICTS: Final = "contradicts"
UPDATES: Final = "updates"
TOGETHER: Final = "used_together"
RELATED: Final = "related"
KINDS: Final = (NEXT, SIMILAR, SHARES, SUPERSEDES, CONTRADICTS, UPDATES, TOGETHER)

_SAID_NEXT: Final = "said next in the same thread"
_SIMILAR: Final = "similar in meaning ("
_SHARES: Final = "both mention "
_SHOWN = 40  # characters of a term or a value in a reason
_MAX_FACT_LINKS = 8


def link_next(before: int, row: int) -> list[LinkRow]:
    """The link from the last note of a thread to the one that follows it."""
    return [] if before == row else [LinkRow(before, row, NEXT, 1.0, _SAID_NEXT)]


def link_similar(
    row: int, neighbours: Iterable[tuple[int, float]], *, threshold: float = 0.6, limit: int = 3
) -> list[LinkRow]:
    """Links to the nearest notes by cosine; the weight is the cosine.

    Args:
        row: the new note.
        neighbours: (row, cosine) of its neighbours in vector space, in any order.
        threshold: the least cosine, in (0, 1].
        limit: how many at most, the nearest first.
    """
    if not 0 < threshold <= 1:
        raise InvalidArgument(f"Threshold {threshold!r} is not in (0, 1].", hint="0.6 suits sentence embeddings.")
    best: dict[int, float] = {}
    for other, cosine in neighbours:
        if other != row and cosine >= threshold:  # not-a-number fails the comparison, as it should
            best[other] = max(min(float(cosine), 1.0), best.get(other, 0.0))
    ranked = sorted(best.items(), key=lambda item: (-item[1], item[0]))[: max(limit, 0)]
    return [LinkRow(row, other, SIMILAR, cosine, f"{_SIMILAR}{cosine:.2f})") for other, cosine in ranked]


def link_shares(
    row: int,
    mentions: Mapping[str, Sequence[int]],
    *,
    rare: int = 20,
    limit: int = 4,
    counts: Mapping[str, int] | None = None,
) -> list[LinkRow]:
    """Links to notes that mention the same entity or rare keyword.

    One shared term among n notes weighs ``1 / (1 + ln n)``: 1 when only one other note has it, a third among ten. A
    pair that shares several terms gets the noisy-or of their weights, ``1 - Π(1 - w)``, and is named by the rarest.

    Args:
        row: the new note.
        mentions: for each of its terms, the rows of other notes that mention it.
        rare: a term that more notes than this mention links nothing.
        limit: how many links at most, the strongest first.
        counts: how many notes mention a term, where ``mentions`` was cut short.
    """
    apart: dict[int, float] = {}
    weighty: list[tuple[float, str, set[int]]] = []
    for term, rows in mentions.items():
        others = set(rows)
        others.discard(row)
        n = max(len(others), (counts or {}).get(term, 0))
        if not others or n > rare:
            continue
        weight = 1.0 / (1.0 + math.log(n))
        weighty.append((-weight, term, others))
        for other in others:
            apart[other] = apart.get(other, 1.0) * (1.0 - weight)
    # Of equally strong ones the newer, because rows grow with time.
    best = heapq.nsmallest(max(limit, 0), [(product - 1.0, -other) for other, product in apart.items()])
    weighty.sort(key=_by_weight)
    return [
        LinkRow(row, -other, SHARES, -weight, _both_mention([term for _, term, rows in weighty if -other in rows]))
        for weight, other in best
    ]


def _by_weight(shared: tuple[float, str, set[int]]) -> tuple[float, str]:
    return shared[:2]


def _both_mention(terms: Sequence[str]) -> str:
    named = " and ".join(f"“{_short(term)}”" for term in terms[:2])
    more = f" and {len(terms) - 2} more" if len(terms) > 2 else ""
    return f"{_SHARES}{named}{more}"


def _short(text: str) -> str:
    if " " in text or not text.isprintable():
        text = " ".join(text.split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1].rstrip()}…"


def conflicting(fact: Fact, others: Iterable[tuple[int, Fact]]) -> list[tuple[int, Fact]]:
    """Those of ``others`` that cannot hold together with ``fact``: same subject and functional relation, another value.

    Subjects, relations and values are compared without regard to case, spacing and a final full stop; a value that says another
    one more fully is no other value (see :func:`agentmem.extract.relations.same_value`).
    """
    if not fact.functional:
        return []
    subject, relation = plain(fact.subject), plain(fact.relation)
    return [
        (row, other)
        for row, other in others
        if plain(other.subject) == subject
        and plain(other.relation) == relation
        and not same_value(relation, fact.object, other.object)
    ]


def link_supersedes(row: int, fact: Fact, older: Iterable[tuple[int, Fact]]) -> list[LinkRow]:
    """Links from the note with the newer value to those whose value it replaces."""
    return _fact_links(row, fact, older, SUPERSEDES, "{subject} · {relation}: “{old}” is now “{new}”")


def link_contradicts(row: int, fact: Fact, others: Iterable[tuple[int, Fact]]) -> list[LinkRow]:
    """Links to notes that claim another value for the same time, where none is known to be newer."""
    return _fact_links(row, fact, others, CONTRADICTS, "{subject} · {relation}: “{new}” against “{old}”")


def link_ended(row: int, other: int, fact: Fact, *, certain: bool) -> LinkRow:
    """The link from a note that says that a fact ended to the one that states it; not certain, the two contradict each other."""
    said = f"{_short(fact.subject)} · {_short(fact.relation)}: “{_short(fact.object)}” no longer"
    return LinkRow(row, other, SUPERSEDES if certain else CONTRADICTS, 1.0, said)


def _fact_links(row: int, fact: Fact, others: Iterable[tuple[int, Fact]], kind: str, reason: str) -> list[LinkRow]:
    return [
        LinkRow(
            row,
            other,
            kind,
            1.0,
            reason.format(
                subject=_short(fact.subject),
                relation=_short(fact.relation),
                old=_short(old.object),
                new=_short(fact.object),
            ),
        )
        for other, old in conflicting(fact, others)[:_MAX_FACT_LINKS]
        if other != row
    ]


def link_together(a: int, b: int, held: LinkRow | None, now: int, gain: float) -> LinkRow:
    """The link between two notes that were used together once more; ``held`` is what it was.

    A bounded Hebbian rule: what is left of the weight closes ``gain`` of its distance to 1,
    ``w' = v + gain (1 - v)`` with ``v = w 2^(-t/90 days)``, so that it grows with use, never beyond 1, and fades without.

    Args:
        a, b: the rows, in any order: the link goes from the older note to the newer one.
        now: microseconds since 1970; gain: in (0, 1).
    """
    left = aged([held], now)[0].weight if held else 0.0
    latest = max(now, (held.used_at or 0) if held else 0)
    reason = f"used together, last on {from_micros(latest):%Y-%m-%d}"
    return LinkRow(min(a, b), max(a, b), TOGETHER, left + gain * (1.0 - left), reason, latest)


def aged(links: Iterable[LinkRow], now: int) -> list[LinkRow]:
    """The links with the weights they have by now; only those that uses made fade, and a clock that went back ages none."""
    return [
        link
        if link.used_at is None
        else link._replace(weight=link.weight * 0.5 ** (max(0, now - link.used_at) / HALF_LIFE))
        for link in links
    ]


def link_words(
    row: int,
    settings: RememberSettings,
    *,
    before: int | None,
    near: Iterable[tuple[int, float]],
    mentions: Mapping[str, Sequence[int]],
) -> list[LinkRow]:
    """The links that the words of a note make with what was there before it; whoever asks, these are the links of a note.

    Args:
        row: the note; before: the one before it in its thread.
        near: (row, cosine) of the nearest of those stored before it.
        mentions: for each of its terms the last of those stored before it that mention it, one more than ``settings.rare`` at most.
    """
    links = [] if before is None else link_next(before, row)
    links += link_similar(row, near, threshold=settings.similar, limit=settings.max_similar)
    terms = dict(sorted(mentions.items()))  # a product of weights depends on their order in its last digits
    links += link_shares(row, terms, rare=settings.rare, limit=settings.max_shared)
    return [link._replace(derived=True) for link in links]


def by_words(kind: str, reason: str) -> bool:
    """Whether a link that does not say so was made by the words of its notes: its reason is one that only they give."""
    begins = {NEXT: _SAID_NEXT, SIMILAR: _SIMILAR, SHARES: _SHARES}.get(kind)
    return begins is not None and reason.startswith(begins)


def terms_of(content: str) -> list[str]:
    """The terms by which a note is linked: read off its words alone, whatever a model added to it since."""
    return link_terms(entities(content), keywords(content))


def link_terms(entities: Iterable[str], keywords: Iterable[str], *, limit: int = 12) -> list[str]:
    """The terms by which a note may be linked: its entities first, then its keywords; normalised, each once."""
    found: dict[str, None] = {}
    for term in (*entities, *keywords):
        key = plain(term)
        if len(key) > 1:
            found.setdefault(key, None)
    return list(found)[: max(limit, 0)]
