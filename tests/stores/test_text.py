"""Full text: what is found, for whom, and that no text is syntax."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem.notes import Scope
from agentmem.stores.sqlite.store import SqliteStore

HOSTILE = [
    '"',
    '""',
    "'",
    "a OR b",
    "AND",
    "NOT",
    "NEAR(a b)",
    "content:",
    "scope:o1",
    "{scope}:o2",
    "o2",
    "-a",
    "^a",
    "a*",
    "*",
    "(",
    ")))",
    "\0",
    "a\0b",
    "😀",
    "é" * 100,
    "x" * 10_000,
    "x " * 5_000,
    "\ud800",
    "",
    " ",
    "'; DROP TABLE note; --",
    "fts MATCH 'a'",
    "+",
    ":",
    "\\",
    "日本語",
]


@pytest.mark.parametrize("word", HOSTILE)
def test_no_text_is_syntax(store, make, put, word) -> None:
    """Whatever the words are, the search neither raises nor leaves its owners."""
    with store.write() as tx:
        mine = put(tx, make(1, content="apples and o2 and a b x"))
        put(tx, make(2, content="apples and o2 and a b x", scope=Scope(user="ana")))
        for words in ([word], [word, "apples"], [word] * 100):
            found = {row for row, _ in tx.text.search(words, [1], 10)}
            assert found <= {mine}
            assert found or "apples" not in words
        if word.isprintable() and "\ud800" not in word:
            tx.text.put(mine, 1, word, word)
            assert {row for row, _ in tx.text.search([word], [1], 10)} <= {mine}


@pytest.fixture(scope="module")
def empty() -> Iterator[SqliteStore]:
    opened = SqliteStore()
    yield opened
    opened.close()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(max_size=8), max_size=5))
def test_any_words(empty, words: list[str]) -> None:
    """No words, however strange, make a search fail."""
    with empty.read() as tx:
        assert tx.text.search(words, [1, 2], 5) == []


def test_owners_do_not_leak(store, make, put) -> None:
    """A search sees its owners' notes alone, also when a word looks like somebody's scope token."""
    with store.write() as tx:
        rows = {
            name: put(tx, make(i, scope=Scope(user=name))) for i, name in enumerate(["ana", "ben", "carl"])
        }
        shared = put(tx, make(9))
        owners = {name: tx.notes.owner(Scope(user=name)) for name in rows}
        for name, row in rows.items():
            for words in (["apples"], ["o2", "apples"], ["o3"], ["o1", "o2", "o3", "o4"]):
                assert {r for r, _ in tx.text.search(words, [owners[name]], 10)} <= {row}
        assert {r for r, _ in tx.text.search(["apples"], [1, owners["ana"]], 10)} == {shared, rows["ana"]}
        assert {r for r, _ in tx.text.search(["apples"], tx.notes.all_owners(), 10)} == {
            shared,
            *rows.values(),
        }
        assert tx.text.search(["o2"], tx.notes.all_owners(), 10) == []
        assert tx.text.search(["apples"], [], 10) == []


def test_ranking(store, make, put) -> None:
    """Rarer words count more, the content more than the context; words are stemmed, accents and case ignored."""
    with store.write() as tx:
        both = put(tx, make(1, content="the harbour of Porto"))
        common = put(tx, make(2, content="the garden"))
        near = put(tx, make(3, content="something else entirely"))
        tx.text.set_context(near, "harbour")
        found = tx.text.search(["the", "harbours", "porto"], [1], 10)
        assert found[0][0] == both
        assert {row for row, _ in found} == {both, common, near}
        assert all(score > 0 for _, score in found)
        assert [row for row, _ in tx.text.search(["HARBOUR"], [1], 10)] == [both, near]
        assert len(tx.text.search(["the"], [1], 1)) == 1
        accented = put(tx, make(4, content="Café déjà vu"))
        assert [row for row, _ in tx.text.search(["cafe"], [1], 10)] == [accented]


def test_upkeep(store, make, put) -> None:
    """Putting again replaces; deleting counts; a rebuild changes nothing."""
    with store.write() as tx:
        a, b = put(tx, make(1, content="pears")), put(tx, make(2, content="plums"))
        tx.text.put(a, 1, "figs", "dates")
        assert tx.text.search(["pears"], [1], 5) == []
        assert tx.text.count() == 2
        assert tx.text.rebuild() == 2
        assert [row for row, _ in tx.text.search(["dates", "plums"], [1], 5)] == [b, a]
        assert tx.text.delete([a, 99]) == 1
        assert tx.text.count() == 1


def test_common_words_give_way_in_a_large_scope(store, make, put) -> None:
    """Where rare words remain, one that stands in nearly every note is not scored; alone, or in a small scope, it is."""
    with store.write() as tx:
        rows = [put(tx, make(i, content=f"common words number {i}")) for i in range(1700)]
        mine = put(tx, make(5000, content="common words of mine", scope=Scope(user="ana")))
        rare = tx.text.search(["common", "1234"], [1], 5)
        alone = tx.text.search(["common", "words"], [1], 5)
        small = tx.text.search(["common", "1234"], [tx.notes.owner(Scope(user="ana"))], 5)

    assert [row for row, _ in rare] == [rows[1234]]
    assert len(alone) == 5
    assert [row for row, _ in small] == [mine]
