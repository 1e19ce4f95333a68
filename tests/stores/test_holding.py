"""A process that meets many owners holds as much of them as it has room for, and answers as if it held everything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentmem.notes.note import Scope
from agentmem.stores.holding import Holding
from agentmem.stores.text.text import TextIndex
from agentmem.stores.vectors.exact import ExactIndex


@given(st.integers(0, 12), st.lists(st.tuples(st.integers(0, 6), st.integers(0, 5)), max_size=40))
def test_the_last_asked_for_stay(room: int, asked: list[tuple[int, int]]) -> None:
    """What is held is the longest tail of what was asked for that there is room for, and never less than the last one."""
    holding: Holding[range] = Holding(room)
    sizes: dict[int, int] = {}
    last: list[int] = []
    for owner, size in asked:
        block = holding.ask(owner, lambda size=size: range(size))
        known = sizes[owner] if owner in last else size
        assert len(block) == known
        sizes[owner] = known
        last = [*(each for each in last if each != owner), owner]
        while len(last) > 1 and sum(sizes[each] for each in last) > room:
            last.pop(0)
        assert list(holding) == last


def told(store, make, put, vectors) -> tuple[list[int], list[int]]:
    """Three owners with seven notes each: (owners, rows)."""
    with store.write() as tx:
        scopes = [Scope(user=name) for name in ("ana", "ben", "eva")]
        owners = [tx.notes.owner(scope, create=True) for scope in scopes]
        return owners, [
            put(
                tx, make(n, scope=scopes[n % 3], content=f"note {n} speaks of {'pears' if n % 2 else 'apples'}"), vector
            )
            for n, vector in enumerate(vectors[:21])
        ]


def test_vectors_of_more_owners_than_there_is_room_for(store, make, put, unit) -> None:
    """Answers are those of an index with room for all, also for several owners at once and after changes of what is not held."""
    vectors, small, large = unit(30), ExactIndex(store, room=8), ExactIndex(store)
    owners, rows = told(store, make, put, vectors)

    def asked(index: ExactIndex, *of: int) -> list[int]:
        with store.read() as tx:
            return index.search(tx, [owners[each] for each in of], vectors[25], 5)[0].tolist()

    for of in ((0,), (1,), (2,), (0, 1), (0, 1, 2), (2,), (0,)):
        assert asked(small, *of) == asked(large, *of)
    assert small.size() < large.size() / 2
    with store.write() as tx:
        tx.vectors.delete([rows[1], rows[4]])
        tx.vectors.put([rows[7]], owners[1], vectors[25:26])
    assert asked(small, 1) == asked(large, 1)
    assert asked(small, 1)[0] == rows[7]
    assert not {rows[1], rows[4]} & set(asked(small, 0, 1, 2))


def test_words_of_more_owners_than_there_is_room_for(store, make, put, unit) -> None:
    small, large = TextIndex(store, room=8), TextIndex(store)
    owners, rows = told(store, make, put, unit(21))

    def asked(index: TextIndex, *of: int) -> list[tuple[int, float]]:
        with store.read() as tx:
            return index.search(tx, ["apples", "7"], [owners[each] for each in of], 9)

    for of in ((0,), (1,), (2,), (0, 1), (0, 1, 2), (2,), (0,)):
        assert asked(small, *of) == asked(large, *of)
        assert asked(small, *of)
    assert small.size() < large.size() / 2
    with store.write() as tx:
        tx.notes.delete([rows[4]])
    assert asked(small, 1) == asked(large, 1)
    assert rows[4] not in dict(asked(small, 1))
