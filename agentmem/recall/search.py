"""The read path: a query becomes candidates from full text and vectors, their linked neighbours, and a ranking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from agentmem.core import Core
from agentmem.errors import IndexUnavailable
from agentmem.extract.scripts import outside
from agentmem.notes.clock import from_micros, micros
from agentmem.notes.columns import FacetColumns, Flags, LinkColumns, Rows, Values, aligned, places, together
from agentmem.notes.note import Hit, MemoryState, Note, Scope
from agentmem.notes.protocols import Embedder, Reranker
from agentmem.notes.rows import Facets, Selection
from agentmem.projections.linking import TOGETHER, UPDATES
from agentmem.recall import rank as ranking
from agentmem.recall.copies import doubles, said_once
from agentmem.recall.echoes import Alike
from agentmem.recall.exact_or_index import Way, choose
from agentmem.recall.page import Page
from agentmem.recall.passage import nearest_passages
from agentmem.recall.query import (
    QueryView,
    asked_part,
    meant_actors,
    named_actors,
    query_terms,
    without_names,
)
from agentmem.recall.rank import RANKED, Fits, Ranked, Ranking
from agentmem.recall.rerank import reranked
from agentmem.recall.result import Recollection
from agentmem.recall.times import NOWHEN, OfTime, asked_times
from agentmem.recall.why_not import WhyNot, explain
from agentmem.records.transaction import Transaction

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Recaller", "state_of"]

FILTERED_SCAN_LIMIT = 50_000
WAITING = 20_000
DAY = 86_400e6
_ENDS = 2_048  # characters of a long query that are searched for, at either end
Scores = list[tuple[int, float]]
"""Rows with a score each, best first."""


class _Best(NamedTuple):
    """Notes in the order of their scores, how they were found, and what was missing."""

    ranked: list[Ranked]
    plan: dict[str, object]
    warnings: list[str]


@dataclass(slots=True)
class _Found:
    """Candidates of one query, before and after ranking."""

    ranking: Ranking
    candidates: Rows
    plan: dict[str, object]
    warnings: list[str]


def _searched(query: str) -> tuple[str, str | None]:
    """What of a query is searched for, and what that is called in the plan when it is not all of it."""
    asked = asked_part(query)
    said = None if asked is None else f"what it asks in {len(query):,} characters: {asked:.200}"
    query = asked or query
    if len(query) <= 2 * _ENDS:
        return query, said
    return f"{query[:_ENDS]}\n{query[-_ENDS:]}", f"the first and last {_ENDS:,} of {len(query):,} characters"


class Recaller:
    """Answers queries over what a scope may see; ``reranker`` reads the first hits again when there is one."""

    def __init__(self, core: Core, reranker: Reranker | None = None) -> None:
        self._core = core
        self.reranker = reranker

    def recall(self, query: str, page: Page, scope: Scope, selection: Selection) -> Recollection:
        """A page of the best notes of what the scope may see and the selection asks for."""
        searched, said = _searched(query)
        found = self._core.with_embedder(lambda embedder: self._recall(embedder, searched, page, scope, selection))
        if said is None:
            return found
        return replace(found, query=query, plan={**found.plan, "query": said})

    def _recall(self, embedder: Embedder, query: str, page: Page, scope: Scope, base: Selection) -> Recollection:
        now = self._core.clock.now()
        with self._core.selecting(scope, base) as (tx, selection):
            self._core.check_embedder(tx, embedder)
            if not selection.owners or not tx.notes.any(replace(selection, where=None, as_of=None, archived=True)):
                return Recollection(query, (), _asked(selection, now), plan={"vectors": "none", "candidates": 0})
            view = self._view(tx, embedder, query, scope, selection.owners, now)
        # Embedding is the slow part: it happens outside the transaction, so that no writer waits for it.
        vector = embedder.embed([query if page.score == "cosine" else without_names(query, view.named)])[0]
        again = self.reranker if page.score == "hybrid" else None
        first = page.first(None if again is None else self._core.settings.recall.rerank)
        with self._core.reading_of(selection.owners) as tx:
            self._core.check_embedder(tx, embedder)  # the notes may have been embedded anew in between
            if page.score == "cosine":
                best = self._by_cosine(tx, vector, selection, page)
            else:
                best = self._ranked(tx, view, vector, selection, page, first, now)
            looked = first if again is not None and page.offset < first else 0  # hits that the reranker reads
            start = 0 if looked else page.offset
            wanted = page.fitting(best.ranked)[start : max(looked, page.end)]
            hits = self._hits(tx, wanted, selection.spaces, vector)
        if again is not None and looked:  # a model's forward, outside the transaction as well
            best.plan["reranked"] = len(hits[:looked])
            hits = (*reranked(again, query, hits[:looked], self._core.ranking.rerank_weight), *hits[looked:])
            hits = tuple(hit for hit in hits if page.admits(hit.score))[page.offset :]
        return Recollection(
            query, hits[: page.k], _asked(selection, now), bool(best.warnings), tuple(best.warnings), best.plan
        )

    def _ranked(
        self,
        tx: Transaction,
        view: QueryView,
        vector: npt.NDArray[np.float32],
        selection: Selection,
        page: Page,
        first: int,
        now: datetime,
    ) -> _Best:
        """The best notes in their order up to the end of a page, or as far as there are any."""
        best: dict[int, Ranked] = {}
        for depth in page.depths(first):
            found = self._find(tx, view, vector, selection, depth, now)
            for ranked in found.ranking.best(depth):
                if len(best) < depth:
                    best.setdefault(ranked.row, ranked)
            if len(found.ranking) < depth:
                break
        least = None if self.reranker is not None else page.least  # what it adds to a score counts, too
        kept = [ranked for ranked in best.values() if least is None or ranked.score >= least]
        return _Best(kept, found.plan | {"candidates": len(found.candidates)}, found.warnings)

    def _by_cosine(self, tx: Transaction, vector: npt.NDArray[np.float32], selection: Selection, page: Page) -> _Best:
        """The nearest notes alone, by the cosine of their vector, or of the nearest passage of a long one; equal ones as they were stored."""
        limit, spaces, only = max(page.end, RANKED), selection.spaces, self._only(tx, selection)
        while True:
            warnings: list[str] = []
            notes = 0 if only is not None else self._core.exact.count(tx, spaces, self._core.settings.index.exact_limit)
            near, plan = self._by_vector(tx, spaces, vector, limit, only, warnings, notes)
            admitted = {facet.row for facet in tx.notes.facets(near.tolist(), selection)}
            if len(admitted) >= page.end or len(near) < limit:
                break
            limit *= 4
        cosines = self._cosines(tx, near, spaces, vector).tolist()
        order = sorted(
            (-round(cosine, 6), row, cosine)
            for row, cosine in zip(near.tolist(), cosines, strict=True)
            if row in admitted and page.admits(cosine)
        )
        best = [Ranked(row, cosine, {"cosine": round(cosine, 6)}, ()) for _, row, cosine in order[: page.end]]
        return _Best(best, plan | {"score": "cosine", "candidates": len(near)}, warnings)

    def why_not(self, query: str, note: Note, k: int, scope: Scope, selection: Selection) -> WhyNot:
        """Where ``note`` came out for ``query``, and why not higher."""
        searched, _ = _searched(query)
        return self._core.with_embedder(lambda embedder: self._why_not(embedder, searched, note, k, scope, selection))

    def _why_not(self, embedder: Embedder, query: str, note: Note, k: int, scope: Scope, base: Selection) -> WhyNot:
        now = self._core.clock.now()
        with self._core.selecting(scope, base) as (tx, selection):
            view = self._view(tx, embedder, query, scope, selection.owners, now)
            row = tx.notes.rows_of([note.id])[note.id]
        vector = embedder.embed([without_names(query, view.named)])[0]
        with self._core.reading_of(selection.owners) as tx:
            self._core.check_embedder(tx, embedder)
            found = self._find(tx, view, vector, selection, k, now, extra=(row,))
        return explain(note, row, found.ranking, found.candidates, k, selection)

    @staticmethod
    def _view(
        tx: Transaction, embedder: Embedder, query: str, scope: Scope, owners: Sequence[int], now: datetime
    ) -> QueryView:
        actors = tx.notes.actors(owners)
        named = named_actors(query, actors)
        times = asked_times(query, now, named)
        meant = named | meant_actors(query, actors, scope.user)
        foreign = outside(query, getattr(embedder, "scripts", None))
        return QueryView(query, meant, times.spans, named, foreign, times.searched, times.alone)

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
        spaces = selection.spaces
        notes = self._core.exact.count(tx, spaces, self._core.settings.index.exact_limit)
        weights = ranking.calibrated(ranking.trusted(self._core.ranking, view), notes)
        limit = max(self._core.settings.recall.candidates, 2 * k)
        fits, plan, warnings, times = self._candidates(tx, view, vector, selection, limit, weights.text, notes)
        candidates, links = fits.rows, self._links(tx, fits.with_copies(fits.seeds()), now)
        # Nothing in the query lifts a note that neither its words nor its meaning brought near the top, unless it names somebody or
        # a time.
        top = candidates if view.actors or view.spans else fits.first(max(RANKED, 4 * k))
        others = links.beyond(candidates)
        if extra:
            named = np.array(extra, dtype=np.int64)
            top, others = together(top, named[places(named, candidates) >= 0]), together(others, named)
            others = others[places(others, candidates) < 0]
        # A link may lead out of the spaces that are searched, or to a note without words, which is found by its key alone.
        cosines = self._core.exact.scores(tx, others, spaces, vector).astype(float)
        here = ~np.isnan(cosines)
        others, fits = others[here], fits.joined(others[here], cosines[here])
        fits = self._grouped(tx, fits) if len(others) else fits
        facets = FacetColumns(tx.notes.facets(np.concatenate((top, others)).tolist(), selection))
        scored = ranking.rank(
            facets, fits, links, view, weights, importance=self._core.settings.recall.importance,
            retrievability=self._strengths(facets, now), ended=self._ended(facets, selection, now), asking=self._asking(tx, facets),
            best=self._alike(tx, facets, fits.first(RANKED), spaces),
            timed=times.fitting(tx, facets, view.spans, alone=view.alone) if view.spans else None,
        )  # fmt: skip
        return _Found(scored, candidates, plan | {"text": "bm25", "neighbours": len(others)}, warnings)

    def _candidates(
        self,
        tx: Transaction,
        view: QueryView,
        vector: npt.NDArray[np.float32],
        selection: Selection,
        limit: int,
        weight: float,
        size: int,
    ) -> tuple[Fits, dict[str, object], list[str], OfTime]:
        """What vectors and full text find, a point of BM25 by its weight, how it was searched, what was missing, and the notes of the times
        that are named, which are searched by themselves as well.
        """
        spaces, only = selection.spaces, self._only(tx, selection)
        warnings: list[str] = []
        nearest, plan = self._by_vector(tx, spaces, vector, limit, only, warnings, size)
        times = self._of_time(tx, view, selection, only, size)
        terms = query_terms(view.text if times is NOWHEN else view.searched)
        known = np.sort(nearest)
        cosines = self._cosines(tx, known, spaces, vector)
        again = known[self._once(tx, Fits.of(known, cosines, np.zeros(len(known)))) != known]
        telling = nearest[places(nearest, again) < 0]
        words = self._core.text.search(tx, terms, spaces, limit, only, telling, again)
        near = nearest
        if times.rows:
            timed, _ = self._core.exact.search(tx, spaces, vector, limit, rows=times.rows, passages=True)
            near, found = together(near, timed), {row for row, _ in words}
            within = self._core.text.search(tx, terms, spaces, limit, times.rows, telling, again)
            words += [each for each in within if each[0] not in found]
            plan["of the time"] = len(times.rows)
        said = _rows(words)
        order, rows = np.argsort(said), together(near, said)
        points = aligned(rows, said[order], np.array([score for _, score in words], dtype=float)[order])
        fits = Fits.of(rows, self._cosines(tx, rows, spaces, vector), weight * points)
        return self._grouped(tx, fits), plan, warnings, times

    def _grouped(self, tx: Transaction, fits: Fits) -> Fits:
        """With what stands for each of those that are of the same text."""
        return replace(fits, same=self._once(tx, fits))

    @staticmethod
    def _once(tx: Transaction, fits: Fits) -> Rows:
        """[n] the row that stands for each: another one where both are of the same text."""
        same, doubted = fits.rows.copy(), doubles(fits.rows, fits.cosine, fits.words)
        if len(doubted):
            rows = fits.rows[doubted]
            same[doubted] = said_once(rows, tx.notes.digests(rows.tolist()))
        return same

    def _of_time(
        self, tx: Transaction, view: QueryView, selection: Selection, only: Sequence[int] | None, size: int
    ) -> OfTime:
        """The notes of the times that a query names."""
        if not view.spans or not self._core.ranking.time:
            return NOWHEN
        return OfTime.of(tx, view.spans, selection.owners, size, only)

    def _only(self, tx: Transaction, selection: Selection) -> list[int] | None:
        """Rows of a narrow selection: filtering 200 candidates afterwards would lose what it asks for."""
        if selection.where is None and selection.session is None and selection.as_of is None:
            return None
        rows = tx.notes.select(selection, order="-occurred", limit=FILTERED_SCAN_LIMIT + 1)
        return rows if len(rows) <= FILTERED_SCAN_LIMIT else None

    def _by_vector(
        self,
        tx: Transaction,
        spaces: Sequence[int],
        vector: npt.NDArray[np.float32],
        limit: int,
        only: list[int] | None,
        warnings: list[str],
        notes: int,
    ) -> tuple[Rows, dict[str, object]]:
        indexer, settings = self._core.indexer, self._core.settings.index
        health = indexer.health() if indexer is not None else "not kept"
        if health in ("missing", "damaged"):
            warnings.append(f"the vector index is {health}; the stored vectors were compared instead")
        narrowed = None if only is None else len(only)
        size = 0 if only is not None else notes
        if health == "ok" and size > settings.exact_limit and tx.outbox.count() > WAITING:
            health = "behind"  # it has seen too little: comparing what waits would cost more than not asking it
        way: Way = "chroma" if indexer is None else indexer.way
        plan = choose(size, limit, settings, index=health, only=narrowed, way=way)
        if plan.way in ("chroma", "hnsw"):
            try:
                return self._by_index(tx, spaces, vector, limit), plan.describe()
            except IndexUnavailable as error:
                warnings.append(f"the vector index failed ({error.message}); the stored vectors were compared instead")
                plan = choose(size, limit, settings, index="failing")
        near, _ = self._core.exact.search(tx, spaces, vector, limit, rows=only, shortlist=plan.shortlist, passages=True)
        return near, plan.describe() | ({"filtered": narrowed} if narrowed is not None else {})

    def _by_index(self, tx: Transaction, spaces: Sequence[int], vector: npt.NDArray[np.float32], limit: int) -> Rows:
        """The index knows what the outbox has delivered; the rest is compared exactly, and so is what it found."""
        assert self._core.indexer is not None
        rows = {item.row: None for item in tx.outbox.take(WAITING) if item.op == "upsert" and item.owner in spaces}
        rows.update(dict.fromkeys(self._core.exact.by_passage(tx, spaces, vector, limit).tolist()))
        for space in spaces:
            rows.update(dict.fromkeys(row for row, _ in self._core.indexer.search(space, vector, limit)))
        scores = self._core.exact.scores(tx, list(rows), spaces, vector)
        # without a vector it may be a removed row, or one of another owner
        found = [(row, score) for row, score in zip(rows, scores.tolist(), strict=True) if score == score]  # noqa: PLR0124 - NaN
        return _rows(sorted(found, key=lambda item: -item[1])[:limit])

    def _cosines(self, tx: Transaction, rows: Rows, spaces: Sequence[int], vector: npt.NDArray[np.float32]) -> Values:
        """[n] the cosine of each row; 0 without a vector."""
        scores: Values = self._core.exact.scores(tx, rows, spaces, vector).astype(float)
        return np.nan_to_num(scores, copy=False)

    def _links(self, tx: Transaction, rows: Rows, now: datetime) -> LinkColumns:
        """What activation may flow along, as strong as it is by now."""
        links = tx.links.touching(rows.tolist(), without=ranking.FAINT)
        if not self._core.ranking.together:
            links = [link for link in links if link.kind != TOGETHER]
        return LinkColumns(links, micros(now))

    def _alike(self, tx: Transaction, facets: FacetColumns, rows: Rows, spaces: Sequence[int]) -> Alike:
        """How near the best candidates are to each other."""
        rows, units = self._core.exact.units(tx, rows[facets.places(rows) >= 0], spaces)
        return Alike(facets.places(rows), (units @ units.T).astype(float))

    @staticmethod
    def _asking(tx: Transaction, facets: FacetColumns) -> Values:
        """[n] how likely each note only asks."""
        read = tx.readings.asking(facets.rows.tolist())
        return np.fromiter(read.values(), dtype=float, count=len(facets)) / 100.0

    @staticmethod
    def _ended(facets: FacetColumns, selection: Selection, now: datetime) -> Flags:
        """[n] which notes do not hold now; when the caller asks for a past moment, those admitted held then."""
        return np.zeros(len(facets), dtype=bool) if selection.as_of is not None else facets.ended(micros(now))

    def _strengths(self, facets: FacetColumns, now: datetime) -> Values:
        curve = self._core.curve
        many = getattr(curve, "strengths", None)
        if many is None:
            return np.array([curve.retrievability(state_of(f), now) for f in facets.facets])
        days = np.maximum(micros(now) - facets.numbers("last_review"), 0.0) / DAY
        return np.asarray(many(days, facets.numbers("stability")), dtype=float)

    def _hits(
        self, tx: Transaction, best: Sequence[Ranked], spaces: Sequence[int], vector: npt.NDArray[np.float32]
    ) -> tuple[Hit, ...]:
        notes = tx.notes.load([ranked.row for ranked in best])
        nearest = nearest_passages(tx, self._core, notes, spaces, vector)
        ids = tx.notes.ids_of(list(dict.fromkeys(row for ranked in best for row in ranked.via)))
        newer: dict[int, tuple[str, ...]] = {}
        for link in tx.links.touching(list(notes), (UPDATES,), without=ranking.FAINT):
            if link.source in notes and link.target in notes:
                newer[link.target] = (*newer.get(link.target, ()), notes[link.source].id)
        return tuple(
            Hit(
                notes[row], score, parts, tuple(ids[other] for other in via if other in ids), nearest.get(row),
                newer=newer.get(row, ()),
            )
            for row, score, parts, via in best
            if row in notes
        )  # fmt: skip


def _asked(selection: Selection, now: datetime) -> datetime:
    """The moment that a recollection answers for."""
    return now if selection.as_of is None else from_micros(selection.as_of)


def _rows(scores: Scores) -> Rows:
    return np.array([row for row, _ in scores], dtype=np.int64)


def state_of(facet: Facets) -> MemoryState:
    """The curve's state, out of the ranking columns."""
    return MemoryState(facet.stability, facet.difficulty, from_micros(facet.last_review), facet.recalls)
