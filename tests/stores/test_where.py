"""A filter means the same in SQL and in Python, whatever the notes hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentmem.notes.clock import micros
from agentmem.notes.filters import kind_of, matches, parse
from agentmem.notes.note import Fact, MemoryState, Note, Scope
from agentmem.notes.rows import Selection
from agentmem.records.transaction import Transaction
from agentmem.stores.sqlite.store import SqliteStore

# few values, so that they meet; some are made to break quoting, JSON and SQL
WORDS = st.sampled_from(
    [
        "a",
        "b",
        "ab",
        "",
        ",",
        '"',
        '","',
        "a\\",
        "'; DROP TABLE note; --",
        "%",
        "é",
        "😀",
        "A",
        "a\0b",
        "\x1f",
        "\\u0061",
    ]
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
NUMBERS = st.sampled_from([0, 1, -1, 0.5, 1.0, 2**53, 2**53 + 1, 2**63, 1e300, -0.0]) | st.floats(
    allow_nan=False, allow_infinity=False
)
TIMES = st.sampled_from([datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3)])
SCALARS = WORDS | NUMBERS | st.booleans()
KEYS = st.sampled_from(["a", "b", "key"])
MAYBE = st.none() | WORDS
METADATA = st.dictionaries(
    KEYS | WORDS,
    SCALARS | st.none() | st.lists(SCALARS, max_size=3) | st.dictionaries(KEYS, SCALARS, max_size=2),
    max_size=3,
)
FACTS = st.builds(Fact, WORDS, WORDS, WORDS)
NOTES = st.builds(
    Note,
    id=st.uuids().map(str),
    content=WORDS,
    kind=st.sampled_from(["episodic", "semantic"]),
    scope=st.builds(Scope, user=MAYBE, agent=MAYBE, session=MAYBE),
    actor=MAYBE,
    thread=MAYBE,
    source=MAYBE,
    context=WORDS,
    occurred_at=TIMES,
    created_at=TIMES,
    valid_from=st.none() | TIMES,
    valid_to=st.none() | TIMES,
    archived_at=st.none() | TIMES,
    importance=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    trust=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    tags=st.lists(WORDS, max_size=3).map(tuple),
    keywords=st.lists(WORDS, max_size=3).map(tuple),
    metadata=METADATA,
    facts=st.lists(FACTS, max_size=3).map(tuple),
    state=st.just(MemoryState(1.0, 5.0, datetime(2026, 1, 1, tzinfo=UTC))),
)
FIELDS = (
    "id content kind actor user agent session thread source context subject relation object occurred_at created_at "
    "valid_from valid_to importance trust version tags keywords archived metadata.a metadata.key"
).split()
VALUES = {
    "text": WORDS,
    "list": WORDS,
    "time": TIMES,
    "number": NUMBERS,
    "flag": st.booleans(),
    "any": SCALARS,
}
SINGLE = {
    "flag": ["$eq", "$ne"],
    "list": ["$contains"],
    "time": ["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"],
    "number": ["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"],
    "text": ["$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$contains"],
    "any": ["$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$contains"],
}


@st.composite
def one_test(draw: st.DrawFn) -> dict[str, object]:
    field = draw(st.sampled_from(FIELDS))
    kind = kind_of(field)
    op = draw(st.sampled_from(SINGLE[kind] + ([] if kind == "flag" else ["$in", "$nin", "$exists"])))
    if op == "$exists":
        return {field: {op: draw(st.booleans())}}
    if op in ("$in", "$nin"):
        return {field: {op: draw(st.lists(VALUES[kind], max_size=3))}}
    values = VALUES[kind]
    if kind == "any" and op not in ("$eq", "$ne", "$contains"):
        values = WORDS | NUMBERS
    return {field: {op: draw(values)}}


FILTERS = st.recursive(
    one_test(),
    lambda inner: (
        inner.map(lambda part: {"$not": part})
        | st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"$or": parts})
        | st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"$and": parts})
    ),
    max_leaves=6,
)


class _Undo(Exception):
    pass


@pytest.fixture(scope="module")
def shelf() -> Iterator[SqliteStore]:
    store = SqliteStore()
    yield store
    store.close()


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(notes=st.lists(NOTES, min_size=1, max_size=5), where=FILTERS)
def test_sql_and_python_agree(shelf: SqliteStore, notes: list[Note], where: dict[str, object]) -> None:
    """Select, count and facets admit exactly the notes that the filter matches in Python."""
    parsed = parse(where)
    with pytest.raises(_Undo), shelf.write() as tx:
        rows = {}
        for note in notes:
            owner = tx.notes.owner(note.scope, create=True)
            rows[tx.notes.insert(note, owner, b"")] = note
        expected = {row for row, note in rows.items() if matches(parsed, note)}
        selection = Selection(tx.notes.all_owners(), where=parsed, archived=True)

        assert set(tx.notes.select(selection)) == expected
        assert tx.notes.count(selection) == len(expected)
        assert {facet.row for facet in tx.notes.facets(list(rows), selection)} == expected
        assert {row for row, note in tx.notes.load(list(rows)).items() if matches(parsed, note)} == expected
        raise _Undo


def _filed(tx: Transaction, notes: list[Note]) -> dict[int, tuple[int, Note]]:
    """The notes in the store: owner and note by row."""
    filed = {}
    for note in notes:
        owner = tx.notes.owner(note.scope, create=True)
        assert owner is not None
        filed[tx.notes.insert(note, owner, b"")] = (owner, note)
    return filed


def _given(tx: Transaction, selection: Selection, rows: list[int]) -> list[set[int]]:
    """What every way to ask hands out."""
    return [
        set(tx.notes.select(selection)),
        set(tx.notes.page(selection, 0, 1_000)),
        {facet.row for facet in tx.notes.facets(rows, selection)},
    ]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    notes=st.lists(NOTES, min_size=2, max_size=6),
    where=FILTERS,
    agent=MAYBE,
    session=MAYBE,
    faded=st.booleans(),
    as_of=st.none() | TIMES,
    first=st.booleans(),
)
def test_a_filter_only_narrows(
    shelf: SqliteStore, notes: list[Note], where: dict[str, object], agent: str | None, session: str | None, faded: bool,
    as_of: datetime | None, first: bool,
) -> None:  # fmt: skip
    """Owner, agent, session, archive and time conditions hold whatever is asked, also with an $or on top."""
    either = {"$or": [where, {"$not": where}]}
    with pytest.raises(_Undo), shelf.write() as tx:
        filed = _filed(tx, notes)
        owners = sorted({owner for owner, _ in filed.values()})
        moment = None if as_of is None else micros(as_of)
        bare = Selection(
            tuple(owners[:1] if first else owners), agent, session, None, moment, archived=faded, closed=moment is None
        )
        every = _given(tx, bare, list(filed))[0]

        for asked in (where, either, {"$and": [either]}):
            selection = replace(bare, where=parse(asked))
            wanted = {row for row in every if matches(selection.where, filed[row][1])}
            assert all(found == wanted for found in _given(tx, selection, list(filed)))
            assert tx.notes.count(selection) == len(wanted)
            assert tx.notes.any(selection) == bool(wanted)
        raise _Undo


@pytest.mark.parametrize("text", ["1 OR 1", "0) OR (1", "1) OR (1", "(1)OR(n.owner > 0)"])
def test_no_text_of_a_filter_widens(shelf: SqliteStore, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A compiler that forgets its brackets, or closes those of others, still only narrows what is admitted."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    notes = [
        Note(id=f"{user}-{n}", content="x", scope=Scope(user=user), occurred_at=now, created_at=now, state=MemoryState(1.0, 5.0, now))
        for user in ("ana", "ben") for n in range(3)
    ]  # fmt: skip
    with pytest.raises(_Undo), shelf.write() as tx:
        filed = _filed(tx, notes)
        owner = min(owner for owner, _ in filed.values())
        admitted = {row for row, (whose, _) in filed.items() if whose == owner}
        monkeypatch.setattr("agentmem.stores.sqlite.where.condition", lambda where: (text, []))
        selection = Selection((owner,), where=parse({"kind": "episodic"}))

        assert all(found <= admitted for found in _given(tx, selection, list(filed)))
        assert tx.notes.count(selection) <= len(admitted)
        raise _Undo
