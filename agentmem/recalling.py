"""The read path: a query becomes candidates from full text and vectors, their linked neighbours, and a ranking."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from agentmem import recall as ranking
from agentmem.clock import from_micros, micros
from agentmem.core import Core, aside
from agentmem.enrich import dates
from agentmem.errors import IndexUnavailable
from agentmem.filters import asks_for
from agentmem.linking import TOGETHER, aged
from agentmem.notes import Hit, MemoryState, Note, Scope
from agentmem.planning import choose
from agentmem.protocols import Embedder, Reranker
from agentmem.recall import RANKED, QueryView, Ranking
from agentmem.recollection import Recollection
from agentmem.reranking import reranked
from agentmem.storage import Facets, LinkRow, Selection, Transaction

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Recaller", "WhyNot", "state_of"]

FILTERED_SCAN_LIMIT = 50_000
WAITING = 20_000
DAY = 86_400e6
_ENDS = 2_048  # characters of a long query that are searched for, at either end
Search = Callable[[int], list[tuple[int, float]]]
Best = Callable[[Transaction, Search, int], list[tuple[int, float]]]
"""The best rows of a search: all of them, or those that are no experiences."""


@dataclass(frozen=True, slots=True)
class WhyNot:
    """Why a note was not among the first hits: its place and its parts, or the reason it was left out.

    ``rank`` counts from 1 and is ``None`` when the note was not a candidate.
    """

    id: str
    reason: str
    rank: int | None = None
    score: float | None = None
    cutoff: float | None = None
    parts: Mapping[str, float] | None = None

    def __str__(self) -> str:
        return self.reason


@dataclass(slots=True)
class _Found:
    """Candidates of one query, before and after ranking."""

    ranking: Ranking
    candidates: set[int]
    plan: dict[str, object]
    warnings: list[str]


def _searched(query: str) -> str:
    """What of a query is searched for: a pasted document asks its question before or after itself."""
    return query if len(query) <= 2 * _ENDS else f"{query[:_ENDS]}\n{query[-_ENDS:]}"


class Recaller:
    """Answers queries over what a scope may see; ``reranker`` reads the first hits again when there is one."""

    def __init__(self, core: Core, reranker: Reranker | None = None) -> None:
        self._core = core
        self.reranker = reranker

    def recall(self, query: str, k: int, scope: Scope, selection: Selection) -> Recollection:
        """The best ``k`` notes of what the scope may see and the selection asks for."""
        searched = _searched(query)
        found = self._core.with_embedder(lambda embedder: self._recall(embedder, searched, k, scope, selection))
        if searched is query:
            return found
        said = f"the first and last {_ENDS:,} of {len(query):,} characters"
        return replace(found, query=query, plan={**found.plan, "query": said})

    def _recall(self, embedder: Embedder, query: str, k: int, scope: Scope, selection: Selection) -> Recollection:
        now = self._core.clock.now()
        with self._core.store.read() as tx:
            selection = self._core.selection(tx, scope, selection)
            if not selection.owners or not tx.notes.any(replace(selection, where=None, as_of=None, archived=True)):
                return Recollection(query, (), now, plan={"vectors": "none", "candidates": 0})
            self._core.check_embedder(tx, embedder)
            view = self._view(tx, query, selection.owners, now)
        # Embedding is the slow part: it happens outside the transaction, so that no writer waits for it.
        vector = embedder.embed([ranking.without_names(query, view.actors)])[0]
        with self._core.store.read() as tx:
            self._core.check_embedder(tx, embedder)  # the notes may have been embedded anew in between
            wanted = k if self.reranker is None else max(k, self._core.settings.recall.rerank)
            found = self._find(tx, view, vector, selection, wanted, now)
            hits = self._hits(tx, found.ranking, wanted)
        if self.reranker is not None:  # a model's forward, outside the transaction as well
            found.plan["reranked"] = len(hits)
            hits = reranked(self.reranker, query, hits, self._core.settings.recall.rerank_weight)[:k]
        found.plan["candidates"] = len(found.candidates)
        return Recollection(query, hits, now, bool(found.warnings), tuple(found.warnings), found.plan)

    def why_not(self, query: str, note: Note, k: int, scope: Scope, selection: Selection) -> WhyNot:
        """Where ``note`` came out for ``query``, and why not higher."""
        searched = _searched(query)
        return self._core.with_embedder(lambda embedder: self._why_not(embedder, searched, note, k, scope, selection))

    def _why_not(self, embedder: Embedder, query: str, note: Note, k: int, scope: Scope, selection: Selection) -> WhyNot:
        now = self._core.clock.now()
        with self._core.store.read() as tx:
            selection = self._core.selection(tx, scope, selection)
            view = self._view(tx, query, selection.owners, now)
            row = tx.notes.rows_of([note.id])[note.id]
        vector = embedder.embed([ranking.without_names(query, view.actors)])[0]
        with self._core.store.read() as tx:
            self._core.check_embedder(tx, embedder)
            found = self._find(tx, view, vector, selection, k, now, extra=(row,))
        return _explain(note, row, found, k, selection)

    def _view(self, tx: Transaction, query: str, owners: Sequence[int], now: datetime) -> QueryView:
        actors = ranking.named_actors(query, tx.notes.actors(owners))
        spans = tuple((micros(start), micros(end)) for start, end, _ in dates(query, now))
        return QueryView(query, actors, spans)

    def _find(
        self,
        tx: Transaction,
        view: QueryView,
        vector: npt.NDArray[np.float32],
        selection: Selection,
        k: int,
        now: datetime,
        extra: Sequence[int] = (),
    ) -> _Found:
        settings = self._core.settings.recall
        limit = max(settings.candidates, 2 * k)
        only = self._only(tx, selection)
        lived = asks_for(selection.where, "kind", "experience") or not tx.experiences.any(selection.owners)
        if only is not None and not lived:
            only = sorted(set(only) - tx.experiences.among(only))
        warnings: list[str] = []
        best = _all if lived else aside
        cosine, plan = self._by_vector(tx, selection.owners, vector, limit, only, warnings, best)
        bm25 = self._by_text(tx, view.text, selection.owners, limit, only, best)
        candidates = set(cosine) | set(bm25)
        rows = list(candidates | set(extra))
        self._fill_cosines(tx, rows, selection.owners, vector, cosine)
        ahead = ranking.Candidates(candidates, cosine, bm25)
        seeds = ahead.seeds()
        if not view.actors and not view.spans:
            # Nothing in the query lifts a note that neither its words nor its meaning brought near the top.
            top = ahead.first(settings, max(RANKED, 4 * k))
            rows = [*top, *(set(extra) - set(top))]
        links = self._links(tx, seeds, now)
        near = self._neighbours(links, {*rows, *candidates})
        rows += near
        self._fill_cosines(tx, rows, selection.owners, vector, cosine)
        hidden = set() if lived else tx.experiences.among(rows)
        facets = tx.notes.facets([row for row in rows if row not in hidden], selection)
        scored = ranking.rank(
            facets, cosine, bm25, links, view, settings,
            retrievability=self._strengths(facets, now), ended=self._ended(facets, selection, now),
            alike=self._alike(tx, seeds, selection.owners) if settings.interference else None,
        )  # fmt: skip
        return _Found(scored, candidates, plan | {"text": "fts5", "neighbours": len(near)}, warnings)

    def _only(self, tx: Transaction, selection: Selection) -> list[int] | None:
        """Rows of a narrow selection: filtering 200 candidates afterwards would lose what it asks for."""
        if selection.where is None and selection.session is None and selection.as_of is None:
            return None
        rows = tx.notes.select(selection, order="-occurred", limit=FILTERED_SCAN_LIMIT + 1)
        return rows if len(rows) <= FILTERED_SCAN_LIMIT else None

    def _by_vector(
        self,
        tx: Transaction,
        owners: Sequence[int],
        vector: npt.NDArray[np.float32],
        limit: int,
        only: list[int] | None,
        warnings: list[str],
        best: Best,
    ) -> tuple[dict[int, float], dict[str, object]]:
        indexer, settings = self._core.indexer, self._core.settings.index
        health = indexer.health() if indexer is not None else "not kept"
        if health in ("missing", "damaged"):
            warnings.append(f"the vector index is {health}; the stored vectors were compared instead")
        narrowed = None if only is None else len(only)
        size = 0 if only is not None else self._core.exact.count(tx, owners, settings.exact_limit)
        if health == "ok" and size > settings.exact_limit and tx.outbox.count() > WAITING:
            health = "behind"  # it has seen too little: comparing what waits would cost more than not asking it
        plan = choose(size, limit, settings, index=health, only=narrowed)
        if plan.way == "chroma":
            try:
                found = best(tx, lambda n: list(self._by_index(tx, owners, vector, n).items()), limit)
                return dict(found), plan.describe()
            except IndexUnavailable as error:
                warnings.append(f"the vector index failed ({error.message}); the stored vectors were compared instead")
                plan = choose(size, limit, settings, index="failing")

        def scan(n: int) -> list[tuple[int, float]]:
            rows, scores = self._core.exact.search(tx, owners, vector, n, rows=only, shortlist=plan.shortlist)
            return list(zip(rows.tolist(), scores.tolist(), strict=True))

        found = best(tx, scan, limit)
        return dict(found), plan.describe() | ({"filtered": narrowed} if narrowed is not None else {})

    def _by_index(
        self, tx: Transaction, owners: Sequence[int], vector: npt.NDArray[np.float32], limit: int
    ) -> dict[int, float]:
        """The index knows what the outbox has delivered; the rest is compared exactly."""
        assert self._core.indexer is not None
        pending = [item.row for item in tx.outbox.take(WAITING) if item.op == "upsert" and item.owner in owners]
        found: dict[int, float] = {}
        for owner in owners:
            found.update(self._core.indexer.search(owner, vector, limit))
        self._fill_cosines(tx, list(dict.fromkeys([*found, *pending])), owners, vector, found, fresh=True)
        best = sorted(found.items(), key=lambda item: -item[1])[:limit]
        return dict(best)

    def _by_text(
        self, tx: Transaction, query: str, owners: Sequence[int], limit: int, only: list[int] | None, best: Best
    ) -> dict[int, float]:
        words = ranking.query_words(query)
        found = best(tx, lambda n: tx.text.search(words, owners, n), limit if only is None else 4 * limit)
        admitted = None if only is None else set(only)
        return {row: score for row, score in found if admitted is None or row in admitted}

    def _fill_cosines(
        self,
        tx: Transaction,
        rows: Sequence[int],
        owners: Sequence[int],
        vector: npt.NDArray[np.float32],
        cosine: dict[int, float],
        *,
        fresh: bool = False,
    ) -> None:
        """Cosines of rows that were found another way; ``fresh`` recomputes what an approximate index said."""
        missing = [r for r in rows if fresh or r not in cosine]
        if missing:
            values = self._core.exact.scores(tx, missing, owners, vector)
            for row, value in zip(missing, values.tolist(), strict=True):
                if not math.isnan(value):  # else there is no vector, so it may be a removed row or one of another owner
                    cosine[row] = value
                else:
                    cosine.pop(row, None)

    def _links(self, tx: Transaction, rows: Sequence[int], now: datetime) -> list[LinkRow]:
        """What activation may flow along, as strong as it is by now."""
        links = aged(tx.links.touching(rows, without=ranking.FAINT), micros(now))
        return links if self._core.settings.recall.together else [link for link in links if link.kind != TOGETHER]

    def _alike(self, tx: Transaction, rows: Sequence[int], owners: Sequence[int]) -> tuple[list[int], npt.NDArray[np.float64]]:
        """The cosines between the best candidates: shape (rows, rows)."""
        found, cosines = self._core.exact.alike(tx, rows, owners)
        return found, cosines.astype(float)

    @staticmethod
    def _neighbours(links: Sequence[LinkRow], known: set[int]) -> list[int]:
        ends = (row for link in links for row in (link.source, link.target))
        return [row for row in dict.fromkeys(ends) if row not in known]

    @staticmethod
    def _ended(facets: Sequence[Facets], selection: Selection, now: datetime) -> frozenset[int]:
        """Rows that do not hold now; when the caller asks for a past moment, those admitted held then."""
        if selection.as_of is not None:
            return frozenset()
        moment = micros(now)
        return frozenset(
            f.row
            for f in facets
            if (f.valid_to is not None and f.valid_to <= moment) or (f.valid_from is not None and f.valid_from > moment)
        )

    def _strengths(self, facets: Sequence[Facets], now: datetime) -> list[float]:
        curve = self._core.curve
        many = getattr(curve, "strengths", None)
        if many is None:
            return [curve.retrievability(state_of(f), now) for f in facets]
        moment = micros(now)
        days = [max(moment - f.last_review, 0) / DAY for f in facets]
        strengths: list[float] = many(days, [f.stability for f in facets])
        return strengths

    @staticmethod
    def _hits(tx: Transaction, found: Ranking, k: int) -> tuple[Hit, ...]:
        best = found.top(k)
        lifted = {row: found.via(row) for row in best}
        notes = tx.notes.load(best)
        ids = tx.notes.ids_of(list(dict.fromkeys(r for via in lifted.values() for r in via)))
        return tuple(
            Hit(notes[row], found.score(row), found.parts(row), tuple(ids[r] for r in lifted[row] if r in ids))
            for row in best
            if row in notes
        )


def _all(tx: Transaction, search: Search, k: int) -> list[tuple[int, float]]:  # noqa: ARG001 - a Best
    return search(k)


def state_of(facet: Facets) -> MemoryState:
    """The curve's state, out of the ranking columns."""
    return MemoryState(facet.stability, facet.difficulty, from_micros(facet.last_review), facet.recalls)


def _explain(note: Note, row: int, found: _Found, k: int, selection: Selection) -> WhyNot:
    if row not in found.ranking:
        why = "it has faded: ask with faded=True" if note.archived_at and not selection.archived else "the filter leaves it out"
        return WhyNot(note.id, f"Not a candidate: {why}.")
    place, score, parts = found.ranking.place(row), found.ranking.score(row), found.ranking.parts(row)
    last = found.ranking.top(k)[-1]
    cutoff, bar = found.ranking.score(last), found.ranking.parts(last)
    if place <= k:
        return WhyNot(note.id, f"It is hit number {place}.", place, score, cutoff, parts)
    best = max(dict.fromkeys((*bar, *parts)), key=lambda name: bar.get(name, 0.0) - parts.get(name, 0.0))
    origin = "" if row in found.candidates else " Neither its words nor its vector were among the first candidates."
    reason = (
        f"It came out {place}., at {score:.3f}; hit {k} has {cutoff:.3f}, mostly by {best} "
        f"({bar.get(best, 0.0):.3f} against {parts.get(best, 0.0):.3f}).{origin}"
    )
    return WhyNot(note.id, reason, place, score, cutoff, parts)
