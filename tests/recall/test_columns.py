"""Columns say what the rows say: each array operation against the loop that it stands for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem.notes.columns import FacetColumns, LinkColumns, aligned, places
from agentmem.notes.rows import HALF_LIFE, Facets, LinkRow
from agentmem.projections.linking import aged

_MOMENTS = st.none() | st.integers(0, 100)
_FACETS = st.lists(
    st.builds(
        Facets, row=st.integers(1, 9), owner=st.just(1), actor=st.sampled_from([None, "Ana", "Ben"]), session=st.none(),
        occurred_at=st.integers(0, 100), length=st.just(1), importance=st.floats(0, 1), trust=st.just(1.0), stability=st.just(1.0),
        difficulty=st.just(5.0), last_review=st.just(0), recalls=st.just(0), archived=st.booleans(), thread=st.none(),
        position=st.none(), valid_from=_MOMENTS, valid_to=_MOMENTS, asks=st.booleans(),
    ),
    max_size=8,
)  # fmt: skip
_LINKS = st.lists(
    st.builds(
        LinkRow, source=st.integers(1, 9), target=st.integers(1, 9), kind=st.sampled_from(["next", "user"]),
        weight=st.floats(0, 1), reason=st.just(""), used_at=st.none() | st.integers(1, 3 * HALF_LIFE),
    ),
    max_size=8,
)  # fmt: skip


@given(facets=_FACETS, moment=st.integers(0, 100), span=st.tuples(st.integers(0, 100), st.integers(0, 100)))
def test_facets_by_column(facets: list[Facets], moment: int, span: tuple[int, int]) -> None:
    columns = FacetColumns(facets)

    assert columns.rows.tolist() == [f.row for f in facets]
    assert columns.numbers("importance").tolist() == [f.importance for f in facets]
    found = columns.places(np.arange(11)).tolist()
    assert [facets[at].row if at >= 0 else None for at in found] == [
        row if row in {f.row for f in facets} else None for row in range(11)
    ]
    assert columns.asks.tolist() == [f.asks for f in facets]
    assert columns.within((span,)).tolist() == [span[0] <= f.occurred_at < span[1] for f in facets]
    ended = [
        (f.valid_to is not None and f.valid_to <= moment) or (f.valid_from is not None and f.valid_from > moment)
        for f in facets
    ]
    assert columns.ended(moment).tolist() == ended
    codes = columns.codes("actor").tolist()
    assert [[a == b for b in codes] for a in codes] == [[f.actor == g.actor for g in facets] for f in facets]
    assert [code < 0 for code in codes] == [f.actor is None for f in facets]


@given(links=_LINKS, now=st.integers(0, 4 * HALF_LIFE), known=st.sets(st.integers(1, 9)))
def test_links_by_column(links: list[LinkRow], now: int, known: set[int]) -> None:
    """Weights are those that `aged` gives; `beyond` are the ends that are not known."""
    columns = LinkColumns(links, now)

    assert columns.weights.tolist() == pytest.approx([link.weight for link in aged(links, now)])
    ends = {row for link in links for row in link[:2]}
    assert columns.beyond(np.array(sorted(known), dtype=np.int64)).tolist() == sorted(ends - known)


@given(rows=st.lists(st.integers(1, 9)), values=st.dictionaries(st.integers(1, 9), st.floats(0, 1)))
def test_values_are_found_by_row(rows: list[int], values: dict[int, float]) -> None:
    """As in a dictionary: a row that is not known has no place, and the value 0."""
    wanted, known = np.array(rows, dtype=np.int64), np.array(sorted(values), dtype=np.int64)
    kept = np.array([values[row] for row in sorted(values)])

    assert aligned(wanted, known, kept).tolist() == [values.get(row, 0.0) for row in rows]
    assert places(wanted, known).tolist() == [sorted(values).index(row) if row in values else -1 for row in rows]
