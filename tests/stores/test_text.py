"""Full text: what is found, for whom, by which score, and that no text is syntax."""

from __future__ import annotations

import math
import random
import sqlite3
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem.errors import StoreCorrupt
from agentmem.extract.stems import Tokenizer
from agentmem.notes.note import Scope
from agentmem.stores.sqlite.store import SqliteStore
from agentmem.stores.text.text import TextIndex, worth

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


class Stop(Exception):
    pass


@pytest.fixture
def index(store) -> TextIndex:
    return TextIndex(store)


def rows(found: list[tuple[int, float]]) -> list[int]:
    return [row for row, _ in found]


def ask(index: TextIndex, store: SqliteStore, words, owners=(1,), limit=10, only=None) -> list[tuple[int, float]]:
    with store.read() as tx:
        return index.search(tx, words, owners, limit, only)


@pytest.mark.parametrize("word", HOSTILE)
def test_no_text_is_syntax(store, index, make, put, word) -> None:
    """Whatever the words are, the search neither raises nor leaves its owners."""
    with store.write() as tx:
        mine = put(tx, make(1, content="apples and o2 and a b x"))
        put(tx, make(2, content="apples and o2 and a b x", scope=Scope(user="ana")))
        for words in ([word], [word, "apples"], [word] * 100):
            found = {row for row, _ in index.search(tx, words, [1], 10)}
            assert found <= {mine}
            assert found or "apples" not in words
        tx.text.put(mine, 1, word, word)
        assert {row for row, _ in index.search(tx, [word], [1], 10)} <= {mine}


@pytest.fixture(scope="module")
def empty() -> Iterator[SqliteStore]:
    opened = SqliteStore()
    yield opened
    opened.close()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(max_size=8), max_size=5))
def test_any_words(empty, words: list[str]) -> None:
    """No words, however strange, make a search fail."""
    assert ask(TextIndex(empty), empty, words, [1, 2]) == []


def test_owners_do_not_leak(store, index, make, put) -> None:
    """A search sees its owners' notes alone, whatever the words are."""
    with store.write() as tx:
        found = {name: put(tx, make(i, scope=Scope(user=name))) for i, name in enumerate(["ana", "ben", "carl"])}
        shared = put(tx, make(9))
        owners = {name: tx.notes.owner(Scope(user=name)) for name in found}
        everybody = tx.notes.all_owners()
    for name, row in found.items():
        for words in (["apples"], ["o2", "apples"], ["o3"], ["o1", "o2", "o3", "o4"]):
            assert set(rows(ask(index, store, words, [owners[name]]))) <= {row}
    assert set(rows(ask(index, store, ["apples"], [1, owners["ana"]]))) == {shared, found["ana"]}
    assert set(rows(ask(index, store, ["apples"], everybody))) == {shared, *found.values()}
    assert ask(index, store, ["apples"], []) == []
    assert ask(index, store, ["apples"], [1], 0) == []


def test_ranking(store, index, make, put) -> None:
    """Rarer words count more, own words more than others; words are stemmed, accents and case ignored."""
    with store.write() as tx:
        both = put(tx, make(1, content="the harbour of Porto"))
        common = put(tx, make(2, content="the garden"))
        near = put(tx, make(3, content="something else entirely"))
        tx.text.put(near, 1, "something else entirely", "harbour")
        found = index.search(tx, ["the", "harbours", "porto"], [1], 10)
        assert found[0][0] == both
        assert set(rows(found)) == {both, common, near}
        assert all(score > 0 for _, score in found)
        assert rows(index.search(tx, ["HARBOUR"], [1], 10)) == [both, near]
        assert rows(index.search(tx, ["HARBOUR"], [1], 10, [near, 99])) == [near]
        assert len(index.search(tx, ["the"], [1], 1)) == 1
        accented = put(tx, make(4, content="Café déjà vu"))
        assert rows(index.search(tx, ["cafe"], [1], 10)) == [accented]


def test_a_note_is_found_by_what_stands_beside_it(store, index, make, put) -> None:
    """By the turn before and the turn after, in whatever order they came, and by nothing farther away or of another thread."""
    with store.write() as tx:
        turns = {
            name: put(tx, make(i, content=name, thread=thread, position=position))
            for i, (name, thread, position) in enumerate(
                [("first", "t", 0), ("third", "t", 2), ("fourth", "t", 3), ("aside", "u", 1), ("alone", None, None)]
            )
        }
    assert rows(ask(index, store, ["first"])) == [turns["first"], turns["third"]]
    with store.write() as tx:
        turns["second"] = put(tx, make(9, content="second", thread="t", position=1))
    assert rows(ask(index, store, ["first"])) == [turns["first"], turns["second"]]
    assert rows(ask(index, store, ["second"])) == [turns["second"], turns["first"], turns["third"]]
    with store.write() as tx:
        tx.notes.delete([turns["second"]])
    assert ask(index, store, ["second"]) == []
    assert rows(ask(index, store, ["third"])) == [turns["third"], turns["first"], turns["fourth"]]
    with store.write() as tx:
        tx.text.put(turns["third"], 1, "changed", "")
    assert ask(index, store, ["third"]) == []
    assert rows(ask(index, store, ["changed"])) == [turns["third"], turns["first"], turns["fourth"]]


def test_several_words_in_one_are_a_phrase(store, index, make, put) -> None:
    """They stand side by side, in their order, in one note; also where a word comes twice."""
    with store.write() as tx:
        whole = put(tx, make(1, content="Ana Ana Delgado paints", thread="t", position=0))
        turned = put(tx, make(2, content="Delgado, Ana"))
        split = put(tx, make(3, content="her sister Ana", thread="t", position=1))
        put(tx, make(4, content="Delgado sleeps", thread="t", position=2))
        twice = put(tx, make(5, content="Ana Delgado met Ana Delgado. I don't know."))
    assert rows(ask(index, store, ["Ana Delgado"])) == [twice, whole, split]
    assert rows(ask(index, store, ["ana ana delgado"])) == [whole, split]
    assert rows(ask(index, store, ["Delgado Ana"])) == [turned]
    assert rows(ask(index, store, ["don't"])) == [twice]
    assert ask(index, store, ["know Ana", "paints her"]) == []


def test_upkeep(store, index, make, put) -> None:
    """Putting again replaces; deleting counts; what is missing or differs is named."""
    with store.write() as tx:
        a, b = put(tx, make(1, content="pears")), put(tx, make(2, content="plums"))
        tx.text.put(a, 1, "figs", "dates")
        assert index.search(tx, ["pears"], [1], 5) == []
        assert tx.text.count() == 2
        assert rows(index.search(tx, ["dates", "plums"], [1], 5)) == [b, a]
        assert tx.text.differing([(a, 1, "figs", "dates"), (b, 1, "plums", "")]) == []
        assert tx.text.differing([(a, 1, "figs", ""), (b, 1, "plum", ""), (99, 1, "x", "")]) == [a, 99]
        assert tx.text.delete([a, 99]) == 1
        assert tx.text.count() == 1
        assert (tx.text.missing(0, 9), tx.text.missing(a, 9)) == ([a], [])


def test_no_word_lies_in_the_file(tmp_path, make, put) -> None:
    """What is stored of words are digests, other ones for each owner and in each store."""
    stores = [SqliteStore(tmp_path / name) for name in ("a.db", "b.db")]
    digests = []
    for store in stores:
        with store.write() as tx:
            digests += [tx.text.digests(owner, ["harbour", "two words", "!"]) for owner in (1, 2)]
            row = put(tx, make(1, content="x"))
            tx.text.put(row, 1, "harbour zanzibar", "quillwort")
        store.close()

    assert [[len(word) for word in words] for words in digests] == [[1, 2, 0]] * 4
    assert len({int(words[0][0]) for words in digests}) == 4
    for path in tmp_path.iterdir():
        assert not {w for w in (b"harbour", b"zanzibar", b"quillwort") if w in path.read_bytes().lower()}


WORDS = [
    "apple",
    "apples",
    "Running",
    "runs",
    "the",
    "the",
    "the",
    "harbour",
    "technologies",
    "a",
    "is",
    "Ana",
    "Delgado",
    "x9",
    "flies",
]
TEXT = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
NOTE = st.tuples(TEXT, TEXT, st.sampled_from([None, "t", "u"]), st.integers(0, 3))


def fts5_worth(count: int, having: int) -> float:
    """What a word is worth in SQLite."""
    return max(math.log((count - having + 0.5) / (having + 0.5)), 1e-6)


def test_a_word_is_worth_more_than_in_proportion_the_rarer_it_is() -> None:
    """And even among a handful of notes one that a single note has is worth something."""
    bits = [worth(1_000, having) for having in (500, 100, 10, 1)]
    plain = [fts5_worth(1_000, having) for having in (500, 100, 10, 1)]
    assert bits == sorted(bits)
    assert all(mine / bits[-1] < 0.9 * theirs / plain[-1] for mine, theirs in zip(bits[1:-1], plain[1:-1], strict=True))
    assert worth(3, 1) > 1.5 * worth(3, 3) > 0


def test_a_word_that_most_of_what_is_near_has_is_worth_little() -> None:
    """However rare it is in the scope; what a few of these have is worth what its rarity says, and nothing is worth more for being near."""
    near = [worth(10_000, 60, having) for having in (0, 3, 10, 20, 50)]

    assert near[0] == near[1] == worth(10_000, 60)
    assert near == sorted(near, reverse=True)
    assert near[-1] < 0.05 * near[0]
    assert worth(60, 60, 50) > 0


def test_the_matter_of_a_question_decides_nothing_among_notes_about_it(store, index, make, put) -> None:
    """Sixty notes about a virus among many others: "virus" and a common word of all others weigh less than the one word that tells."""
    with store.write() as tx:
        of_it = [put(tx, make(n, content=f"the virus {'virus ' * (n % 3)}spreads, says page {n}")) for n in range(60)]
        wanted = put(tx, make(60, content="it does not survive heat"))
        others = [put(tx, make(100 + n, content=f"rain in town {n}")) for n in range(500)]
        words, near = ["virus", "heat"], np.array([wanted, *of_it])

        plain = [row for row, _ in index.search(tx, words, [1], 100)]
        found = index.search(tx, words, [1], 100, near=near)
        narrow = index.search(tx, words, [1], 100, [*of_it[:3], others[0]], near)

    assert found[0][0] == wanted
    assert {row for row, _ in found} == set(plain) == {wanted, *of_it}
    assert found[0][1] > 5 * found[1][1]
    assert {row for row, _ in narrow} == set(of_it[:3])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(NOTE, min_size=1, max_size=25),
    st.lists(st.sampled_from([*WORDS, "Ana Delgado", "the apples", "is a is"]), min_size=1, max_size=6),
)
def test_scores_are_those_of_fts5(make, notes, words) -> None:
    """Of one owner's notes the same ones are found as by SQLite's own full text, with the same scores to nine decimals but for what a
    word is worth.
    """
    oracle = sqlite3.connect(":memory:")
    oracle.execute(
        "CREATE VIRTUAL TABLE fts USING fts5(own, before, after, context, tokenize = 'porter unicode61 remove_diacritics 2')"
    )
    store = SqliteStore()
    with store.write() as tx:
        for i, (content, context, thread, position) in enumerate(notes):
            note = make(i, thread=thread, position=None if thread is None else position)
            row = tx.notes.insert(note, 1, b"")
            tx.text.put(row, 1, content, context)
        around = {}
        for row in tx.notes.select_all():
            position = notes[row - 1][3]
            beside = tx.threads.neighbours(row)
            before = [r for r in beside if (notes[r - 1][3], r) < (position, row)]
            after = [r for r in beside if r not in before]
            around[row] = (before[0] if before else None, after[0] if after else None)
    for row, beside in around.items():
        words_beside = [notes[r - 1][0] if r else "" for r in beside]
        oracle.execute(
            "INSERT INTO fts (rowid, own, before, after, context) VALUES (?, ?, ?, ?, ?)",
            (row, notes[row - 1][0], *words_beside, notes[row - 1][1]),
        )
    expected: dict[int, float] = {}
    for word in dict.fromkeys(words):
        scores = oracle.execute(
            "SELECT rowid, -bm25(fts, 1.0, 0.5, 0.5, 0.5) FROM fts WHERE fts MATCH ?", (f'"{word}"',)
        ).fetchall()
        for row, score in scores:
            expected[row] = expected.get(row, 0.0) + score * worth(len(notes), len(scores)) / fts5_worth(
                len(notes), len(scores)
            )
    found = dict(ask(TextIndex(store), store, words, limit=100))
    store.close()

    assert found == pytest.approx(expected, abs=1e-9, rel=1e-9)


def test_terms_are_those_of_fts5() -> None:
    """Words are cut and folded as by SQLite in scripts with blanks and without signs; Latin letters lose their accents, others keep theirs."""
    texts = [
        "Café déjà vu",
        "don't STOP",
        "İstanbul",
        "ΟΔΟΣ οδος",
        "й и",
        "①²x",
        "Cafe\u0301",
        "Ångström Việt Nam ő",
        "a_b-c3.d",
    ]
    oracle = sqlite3.connect(":memory:")
    oracle.execute("CREATE VIRTUAL TABLE fts USING fts5(text, tokenize = 'porter unicode61 remove_diacritics 2')")
    oracle.execute("CREATE VIRTUAL TABLE term USING fts5vocab(fts, instance)")
    oracle.executemany("INSERT INTO fts (rowid, text) VALUES (?, ?)", enumerate(texts))
    tokens = Tokenizer()

    for i, text in enumerate(texts):
        expected = [term for (term,) in oracle.execute("SELECT term FROM term WHERE doc = ? ORDER BY offset", (i,))]
        assert [term for word in tokens.words(text) for term in tokens.terms(word)] == expected


def test_few_words_are_remembered() -> None:
    """The cache of stems is bounded, emptied on demand, and changes nothing."""
    tokens = Tokenizer(most=3)
    words = ["running", "apples", "flies", "harbours", "running"]

    assert [tokens.terms(word)[0] for word in words] == ["run", "appl", "fli", "harbour", "run"]
    assert len(tokens._stems) <= 3
    tokens.clear()
    assert not tokens._stems


# -- in step with the store ----------------------------------------------------------------------------------


def test_another_process_is_followed(tmp_path, make, put) -> None:
    """What another connection writes, changes and deletes is found, or found no more, by the next search."""
    ours, theirs = SqliteStore(tmp_path / "n.db"), SqliteStore(tmp_path / "n.db")
    index = TextIndex(ours)
    with ours.write() as tx:
        first = put(tx, make(1, content="pears", thread="t", position=0))
    assert rows(ask(index, ours, ["pears"])) == [first]
    with theirs.write() as tx:
        second = put(tx, make(2, content="plums", thread="t", position=1))
    assert rows(ask(index, ours, ["plums"])) == [second, first]
    with theirs.write() as tx:
        tx.text.put(second, 1, "figs", "")
    assert (rows(ask(index, ours, ["plums"])), rows(ask(index, ours, ["figs"]))) == ([], [second, first])
    with theirs.write() as tx:
        tx.notes.delete([second])
    assert (ask(index, ours, ["figs"]), rows(ask(index, ours, ["pears"]))) == ([], [first])
    ours.close()
    theirs.close()


@pytest.mark.parametrize("nested", [False, True])
def test_what_was_rolled_back_is_found_inside_and_gone_afterwards(store, index, make, put, nested) -> None:
    """A write sees its own words; when it fails, the index does as if it had never been, also if numbers are used again."""
    with store.write() as tx:
        kept = put(tx, make(1, content="pears", thread="t", position=0))
    assert rows(ask(index, store, ["pears"])) == [kept]

    def fail() -> None:
        with pytest.raises(Stop), store.write() as tx:
            lost = put(tx, make(2, content="plums pears", thread="t", position=1))
            tx.text.put(kept, 1, "figs", "")
            assert rows(index.search(tx, ["plums"], [1], 5)) == [lost, kept]
            assert rows(index.search(tx, ["figs"], [1], 5)) == [kept, lost]
            raise Stop

    if nested:
        with store.write():
            fail()
    else:
        fail()
    assert (ask(index, store, ["plums"]), ask(index, store, ["figs"])) == ([], [])
    assert rows(ask(index, store, ["pears"])) == [kept]
    with store.write() as tx:
        put(tx, make(3, content="melons", thread="t", position=1))
    assert len(ask(index, store, ["melons"])) == 2
    assert ask(index, store, ["plums"]) == []


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_following_equals_loading(make, data) -> None:
    """After any writes, deletions and changes an index that followed them answers as one that is loaded now: rows and scores, bit by bit."""
    store, number = SqliteStore(), 0
    followed = TextIndex(store)
    queries = [["apple"], ["the", "harbour", "Ana Delgado"], ["running", "is a", "x9"]]
    for _ in range(data.draw(st.integers(1, 6))):
        with store.write() as tx:
            present = tx.notes.select_all()
            for _ in range(data.draw(st.integers(1, 5))):
                content, context, thread, position = data.draw(NOTE)
                if present and data.draw(st.booleans()):
                    row = data.draw(st.sampled_from(present))
                    if data.draw(st.booleans()):
                        tx.notes.delete([row])
                        present.remove(row)
                    else:
                        tx.text.put(row, 1, content, context)
                    continue
                note = make(number, thread=thread, position=None if thread is None else position)
                number += 1
                row = tx.notes.insert(note, 1, b"")
                tx.text.put(row, 1, content, context)
                present.append(row)
        for words in queries:
            assert ask(followed, store, words, limit=50) == ask(TextIndex(store), store, words, limit=50)
    store.close()


def test_much_is_followed_as_it_is_loaded(store, make) -> None:
    """Also when the words are sorted anew on the way, and when most of what is held is gone."""
    followed = TextIndex(store)
    texts = [f"number {i} of {i % 7} and {i % 13} harbours " + "filler " * (i % 9) for i in range(1_500)]
    queries = [["number"], ["3", "harbour", "5"], ["filler filler"], ["1234"], ["7 harbours"]]

    def same() -> None:
        for words in queries:
            assert ask(followed, store, words, limit=2_000) == ask(TextIndex(store), store, words, limit=2_000)

    kept = []
    for start in range(0, len(texts), 500):
        with store.write() as tx:
            for i in range(start, start + 500):
                kept.append(tx.notes.insert(make(i, thread=f"t{i % 3}", position=i), 1, b""))
                tx.text.put(kept[-1], 1, texts[i], "")
        same()
    for start in range(0, 1_400, 200):
        with store.write() as tx:
            tx.notes.delete(kept[start : start + 200])
        same()


def test_words_that_are_written_late_are_found(store, index, make, put) -> None:
    """A note whose words were missing is held in its place as soon as they are written."""
    with store.write() as tx:
        late = tx.notes.insert(make(1, content="pears", thread="t", position=0), 1, b"")
        other = put(tx, make(2, content="plums", thread="t", position=1))
    assert ask(index, store, ["pears"]) == []
    with store.write() as tx:
        tx.text.put(late, 1, "pears", "")
    assert rows(ask(index, store, ["pears"])) == [late, other]


def test_damaged_words_are_an_error_with_a_cure(store, index, make, put) -> None:
    """Words of a length that none can have are refused with the call that writes them anew; others are named by a comparison."""
    with store.write() as tx:
        row, flipped = put(tx, make(1, content="pears")), put(tx, make(2, content="plums"))
        store._db.run("UPDATE words SET content = x'00' WHERE row = ?", (row,))
        store._db.run("UPDATE words SET content = zeroblob(8) WHERE row = ?", (flipped,))
        assert tx.text.differing([(row, 1, "pears", ""), (flipped, 1, "plums", "")]) == [row, flipped]
    with pytest.raises(StoreCorrupt) as raised:
        ask(index, store, ["pears"])
    assert "rebuild('text')" in raised.value.hint


def test_threads_search_at_once(store, index, make, put) -> None:
    """Several threads may search and write; none sees half of a change."""
    with store.write() as tx:
        put(tx, make(0, content="pears", thread="t", position=0))
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for i in range(20):
                if number == 0:
                    with store.write() as tx:
                        put(tx, make(1 + i, content="pears", thread="t", position=1 + i))
                else:
                    assert ask(index, store, ["pears"], limit=99)
        except BaseException as error:  # noqa: BLE001 - carried to the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert len(ask(index, store, ["pears"], limit=99)) == 21


def test_common_words_give_way_where_they_stand_everywhere(store, index, make, put, monkeypatch) -> None:
    """Where rare words remain, one that stands in nearly every note of a large scope is not scored; alone, or in a small one, it is."""
    monkeypatch.setattr("agentmem.stores.text.text._SCORED", 100)
    with store.write() as tx:
        found = [put(tx, make(i, content=f"common words number {i}")) for i in range(1_500)]
        put(tx, make(5000, content="common words of mine", scope=Scope(user="ana")))
        owner = tx.notes.owner(Scope(user="ana"))

    assert rows(ask(index, store, ["common", "123"])) == [found[123]]
    assert rows(ask(index, store, ["common", "unheard"])) == found[:10]
    assert rows(ask(index, store, ["common", "words"])) == found[:10]
    assert len(ask(index, store, ["common", "unheard"], [owner])) == 1


def test_a_search_too_large_for_one_table_finds_the_same(store, index, make, put, monkeypatch) -> None:
    """Phrases that are looked at a few at a time score what they score together: words, names, and what stands beside."""
    rng = random.Random(4)
    words = "pear plum fig date lime old new red".split()
    with store.write() as tx:
        for number in range(60):
            row = put(
                tx, make(number, content=" ".join(rng.choices(words, k=rng.randrange(1, 9))), thread=f"t{number % 7}")
            )
            tx.text.put(row, 1, f"{rng.choice(words)} {rng.choice(words)}", rng.choice(words))
    asked = [[*rng.sample(words, k=rng.randrange(1, 8)), "old pear", "unheard"] for _ in range(20)]
    whole = [ask(index, store, query, limit=99) for query in asked]

    assert any(whole)
    for cells in (1, 61, 150):
        monkeypatch.setattr("agentmem.stores.text.postings._CELLS", cells)
        assert [ask(index, store, query, limit=99) for query in asked] == whole
