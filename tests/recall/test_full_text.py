"""Full text as a projection: what it finds follows the notes, whoever changed them, and stores from before get it when they are opened."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from agentmem import Memory, Scope
from agentmem.embedding.embedders import HashEmbedder
from agentmem.errors import StoreCorrupt
from agentmem.integrations import ChatAgent
from agentmem.projections.links import GRAPH_DUE
from agentmem.projections.text import FullText
from agentmem.recall.query import query_terms
from agentmem.stores.sqlite.schema import MIGRATIONS
from tests.former import LEDGER, undo

WORD = "zanzibar"


def found(memory: Memory, word: str = WORD) -> list[str]:
    """What full text finds by a word, for everybody at once."""
    core = memory._parts.core
    with core.store.read() as tx:
        hits = core.text.search(tx, [word], tx.notes.all_owners(), 50)
        return [note.content for note in tx.notes.load([row for row, _ in hits]).values()]


def digests(memory: Memory, word: str = WORD) -> set[bytes]:
    """The bytes that stand for a word in the store, for every owner."""
    with memory._parts.core.store.read() as tx:
        return {tx.text.digests(owner, [word])[0].tobytes() for owner in tx.notes.all_owners()}


def left(folder: Path, needles: Iterable[bytes]) -> list[str]:
    """Where any of these bytes stand; in a copy, since closing the files of an open store would drop its locks."""
    with TemporaryDirectory() as copy:
        subprocess.run(["cp", "-a", str(folder), copy], check=True)
        data = {path.name: path.read_bytes().lower() for path in Path(copy).rglob("*") if path.is_file()}
    return [f"{needle!r} in {name}" for needle in needles for name, text in data.items() if needle.lower() in text]


def in_a_list(memory: Memory) -> str:
    receipts = memory.remember_many(
        ["We row on Sundays.", f"The code word is {WORD}.", "It may rain later."], user="ana", session="s"
    )
    return str(receipts[1].id)


def one_by_one(memory: Memory) -> str:
    return [str(memory.remember(t, user="ana", session="s").id) for t in ("We row.", f"The word is {WORD}.", "Rain.")][
        1
    ]


def in_a_chat(memory: Memory) -> str:
    agent = ChatAgent(lambda messages: "I see.", memory, user="ana")
    agent.chat("We row on Sundays.")
    agent.chat(f"The code word is {WORD}.")
    agent.chat("It may rain later.")
    return next(note.id for note in memory.notes(user="ana") if WORD in note.content)


@pytest.mark.parametrize("write", [in_a_list, one_by_one, in_a_chat])
def test_forgotten_words_find_no_neighbour(open_memory, tmp_path, write) -> None:
    """Neither by the word, nor by its bytes in any file: plain or as they are stored."""
    memory = open_memory()
    id = write(memory)
    assert len(found(memory)) > 1
    assert left(tmp_path, digests(memory))

    receipt = memory.forget(id, user="ana")

    assert receipt.gone
    assert found(memory) == []
    assert left(tmp_path, [WORD.encode(), *digests(memory)]) == []
    assert memory.check().ok


def test_reworded_notes_find_no_neighbour_by_their_former_words(memory: Memory) -> None:
    """The neighbours are found by the new words instead."""
    id = in_a_list(memory)
    memory.update(id, "The code word is mombasa.", user="ana")

    assert found(memory) == []
    assert len(found(memory, "mombasa")) == 3


def test_superseded_notes_stand_beside_others_until_they_are_forgotten(memory: Memory, clock) -> None:
    """One that no longer holds is still there for questions about the past, and so is its place in the thread."""
    first = memory.remember("Ana lives in Zanzibar.", user="ana", session="s").id
    memory.remember("The rain is warm.", user="ana", session="s")
    clock.advance(days=1)
    newer = memory.remember("Ana lives in Porto.", user="ana", session="t")
    assert newer.superseded == (first,)
    assert len(found(memory)) == 2

    memory.forget(str(first), user="ana")

    assert found(memory) == []


def test_check_names_what_differs_and_rebuild_equals_what_writing_made(memory: Memory) -> None:
    """Words are compared by content: lost ones, changed ones and those of another note."""
    in_a_list(memory)
    memory.remember("Alone.", user="ben")
    core, ids = memory._parts.core, [note.id for note in memory.notes(user="ana")]

    def stored() -> list[tuple[object, ...]]:
        with core.store.read():
            return core.store._db.rows("SELECT row, owner, content, context FROM words ORDER BY row")

    written = stored()
    assert memory.check().ok
    with core.store.write() as tx:
        rows = tx.notes.rows_of(ids)
        tx.text.delete([rows[ids[0]]])
        tx.text.put(rows[ids[1]], 2, "other words", "")
        core.store._db.run("UPDATE words SET content = zeroblob(length(content)) WHERE row = ?", (rows[ids[2]],))

    problem = next(p for p in memory.check().problems if "full text" in p)
    assert all(id in problem for id in ids)
    assert "rebuild('text')" in problem
    assert memory.rebuild("text") == 4
    assert memory.check().ok
    assert stored() == written


def test_damaged_words_are_an_error_with_a_cure(memory: Memory) -> None:
    """Recall does not answer from half of the words: it says what is damaged, and the named call heals it."""
    in_a_list(memory)
    with memory._parts.core.store.write():
        memory._parts.core.store._db.run("UPDATE words SET content = x'0102'")
    with pytest.raises(StoreCorrupt) as raised:
        memory.recall(WORD, user="ana")
    assert "rebuild('text')" in raised.value.hint
    memory.rebuild("text")
    assert memory.recall(WORD, user="ana")[0].note.content == f"The code word is {WORD}."


def test_two_memories_on_one_directory_follow_each_other(open_memory) -> None:
    """Words that one writes, changes or forgets are found, or found no more, by the other's next question."""
    ours, theirs = open_memory(), open_memory()
    id = in_a_list(ours)
    assert len(found(theirs)) == 3
    theirs.update(id, "The code word is mombasa.", user="ana")
    assert (len(found(ours)), len(found(ours, "mombasa"))) == (0, 3)
    ours.forget(id, user="ana")
    assert (len(found(ours, "mombasa")), len(found(theirs, "mombasa"))) == (0, 0)


# -- stores from before ---------------------------------------------------------------------------------------


def as_it_was(memory: Memory) -> None:
    """Give the store the full text that its former version had: plain words, those of the neighbours in a second column."""
    store = memory._parts.core.store
    with store.write() as tx:
        fts = next(sql for sql in MIGRATIONS[0][1] if "VIRTUAL TABLE fts" in sql)
        store._db.run(fts)
        for row, note in tx.notes.load(tx.notes.select_all()).items():
            beside = " ".join(n.content for n in tx.notes.load(tx.threads.neighbours(row)).values())
            store._db.run(
                "INSERT INTO fts (rowid, content, context, scope) VALUES (?, ?, ?, 'o1')",
                (row, note.content, f"{beside} {WORD}"),
            )
        undo(store._db.run, LEDGER)
        for table in ("words", "words_change"):
            store._db.run(f"DROP TABLE {table}")
        store._db.run("DELETE FROM meta WHERE key = 'words'")
        store._db.run("DELETE FROM migration WHERE number >= ?", (BEFORE + 1,))
        store._db.run(f"PRAGMA user_version={BEFORE}")


BEFORE = next(number for number, (_, statements) in enumerate(MIGRATIONS) if "DROP TABLE fts" in statements)


def test_a_store_from_before_gets_its_words_when_it_is_opened(open_memory, tmp_path) -> None:
    """All notes are found as if they had been written now; what the former full text kept of forgotten notes is in no file."""
    memory = open_memory()
    memory.remember_many(
        ["We row on Sundays.", "The code word is mombasa.", "It may rain later."], user="ana", session="s"
    )
    memory.remember("The office opens at nine.")
    before = [(hit.note.id, hit.score, hit.reasons) for hit in memory.recall("Which code word on Sundays?", user="ana")]
    as_it_was(memory)
    memory.close()
    assert left(tmp_path, [WORD.encode()])

    memory = open_memory()

    assert [
        (hit.note.id, hit.score, hit.reasons) for hit in memory.recall("Which code word on Sundays?", user="ana")
    ] == before
    assert memory.check().ok
    assert found(memory) == []
    assert left(tmp_path, [WORD.encode()]) == []
    assert len(found(memory, "mombasa")) == 3


def test_a_process_that_is_killed_while_it_writes_words_goes_on_at_the_next_open(open_memory, monkeypatch) -> None:
    """Batch by batch, and without beginning again."""
    monkeypatch.setattr("agentmem.projections.text.CHUNK", 2)
    memory = open_memory()
    memory.remember_many([f"note {i} of the harbour" for i in range(9)], user="ana")
    core = memory._parts.core
    with core.store.write() as tx:
        tx.text.clear()
        tx.meta_set("words", None)
    steps: list[str] = []

    def fail(step: str) -> None:
        steps.append(step)
        if len(steps) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        FullText(core, fail).complete()
    with core.store.read() as tx:
        assert tx.text.count() == 6
        written = tx.text.counter()
    memory.close()

    memory = open_memory()

    assert memory.check().ok
    with memory._parts.core.store.read() as tx:
        assert tx.text.counter() == written + 3
        assert tx.meta_get("words") == tx.text.version


def test_words_of_another_version_are_written_anew(open_memory) -> None:
    """Terms of two versions cannot be compared: all of them are replaced when the store is opened."""
    memory = open_memory()
    in_a_list(memory)
    core = memory._parts.core
    with core.store.write() as tx:
        for row in tx.notes.select_all():
            tx.text.put(row, tx.notes.owner(Scope(user="ana")), "terms as they once were", "")
        tx.meta_set("words", "porter 0")
    memory.close()

    memory = open_memory()

    assert memory.check().ok
    assert len(found(memory)) == 3


def test_a_new_store_has_nothing_to_write(tmp_path) -> None:
    """Opening for the first time writes no words, and says that there are none to be written."""
    with Memory(tmp_path / "m", embedder="hash") as memory, memory._parts.core.store.read() as tx:
        assert tx.meta_get("words") == tx.text.version
        assert tx.text.counter() == 0


@pytest.mark.parametrize("lacking", ["all of it", "some words"])
def test_what_is_only_read_has_full_text_too(tmp_path, clock, lacking) -> None:
    """Also of a store from before, or one whose words a killed process left unfinished: in a copy, with nothing written to the original."""
    folder = tmp_path / "memory"
    with Memory(folder, embedder="hash", clock=clock) as memory:
        in_a_list(memory)
        if lacking == "all of it":
            as_it_was(memory)
        else:
            core = memory._parts.core
            with core.store.write() as tx:
                tx.text.delete(tx.notes.select_all()[:2])
                tx.meta_set("words", f"{tx.text.version} begun")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    with Memory(folder, embedder="hash", clock=clock, read_only=True) as memory:
        assert len(found(memory)) == 3
        assert memory.recall(WORD, user="ana")[0].reasons["text"] > 0

    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


# -- scripts without blanks -----------------------------------------------------------------------------------

TOLD = ["我昨天在东京买了一台相机。", "妹妹养了一只猫。", "我们星期天去划船。"]
"""A camera bought in Tokyo, a cat, rowing on Sundays."""


@pytest.mark.parametrize(
    ("told", "others", "query"),
    [
        (TOLD[0], TOLD[1:], "谁买了相机？"),
        (TOLD[1], [TOLD[0], TOLD[2]], "猫"),
        ("私は昨日東京でカメラを買いました。", ["妹は猫を飼っています。"], "カメラはどこで買いましたか？"),
        ("ฉันซื้อกล้องถ่ายรูปที่โตเกียว", ["น้องสาวเลี้ยงแมว"], "กล้องถ่ายรูปซื้อที่ไหน"),
        ("ຂ້ອຍຊື້ກ້ອງຖ່າຍຮູບ", ["ນ້ອງສາວລ້ຽງແມວ"], "ກ້ອງຖ່າຍຮູບ"),
        ("ខ្ញុំបានទិញកាមេរ៉ា", ["ប្អូនស្រីចិញ្ចឹមឆ្មា"], "កាមេរ៉ា"),
        ("ကျွန်တော်ကင်မရာဝယ်ခဲ့တယ်", ["ညီမကကြောင်မွေးတယ်"], "ကင်မရာ"),
        ("어제 도쿄에서 카메라를 샀습니다.", ["동생은 고양이를 키웁니다."], "카메라는 어디서 샀나요?"),
        ("मैंने कल दिल्ली में कैमरा खरीदा।", ["बहन बिल्ली पालती है।"], "कैमरा किसने लिया?"),
        ("我的iPhone手机坏了。", ["我的iPad还好。"], "iphone手机"),
    ],
)
def test_a_note_without_blanks_is_found_by_a_part_of_it(
    memory: Memory, told: str, others: list[str], query: str
) -> None:
    """In another form or beside other words than in the note; and first, by full text."""
    memory.remember_many([*others, told], user="ana")
    core = memory._parts.core
    with core.store.read() as tx:
        hits = core.text.search(tx, query_terms(query), tx.notes.all_owners(), 10)
        assert tx.notes.load([hits[0][0]])[hits[0][0]].content == told


def test_a_phrase_without_blanks_is_found_where_it_stands(memory: Memory) -> None:
    """Not where its letters stand apart."""
    memory.remember_many(["东京大学很大。", "大学在东京。"], user="ana")
    assert found(memory, "东京大学") == ["东京大学很大。"]


def test_forgotten_words_without_blanks_are_nowhere(open_memory, tmp_path) -> None:
    """Neither by a letter or a pair of letters nor by their bytes in any file; the other notes are found as before."""
    memory = open_memory()
    ids = [receipt.id for receipt in memory.remember_many(TOLD, user="ana", session="s")]
    gone = digests(memory, "相") | digests(memory, "相机") | digests(memory, "买了")
    assert len(left(tmp_path, gone)) == 3

    receipt = memory.forget(ids[0], user="ana")

    assert receipt.gone
    assert (found(memory, "相机"), found(memory, "相")) == ([], [])
    assert left(tmp_path, gone) == []
    assert left(tmp_path, ["相机".encode()]) == []
    assert found(memory, "猫") == TOLD[1:]  # the two stand beside each other now
    assert memory.check().ok


def test_a_store_from_before_knows_every_script_when_it_is_opened(open_memory) -> None:
    """Where a sentence was one word, and one term of links: its words are there at once, its terms and links with the next flush."""
    memory = open_memory()
    memory.remember_many([*TOLD, "The office opens at nine."], user="ana", session="s")
    core = memory._parts.core
    with core.store.write() as tx:
        owner = tx.notes.owner(Scope(user="ana"))
        for row, note in tx.notes.load(tx.notes.select_all()).items():
            tx.text.put(row, owner, "one long word", "")
            tx.terms.replace(owner, row, [note.content.rstrip("。").casefold()])
        tx.meta_set("words", "porter 1")
    memory.close()

    memory = open_memory()
    assert found(memory, "相机") == TOLD[:2]  # and what stands beside it
    memory.flush()
    assert memory.check().ok


def test_opening_a_store_from_before_in_english_leaves_its_links(open_memory) -> None:
    """Its words are the same, and nothing but their version is new."""
    memory = open_memory()
    in_a_list(memory)
    with memory._parts.core.store.write() as tx:
        tx.meta_set("words", "porter 1")
    memory.close()

    with open_memory()._parts.core.store.read() as tx:
        assert tx.meta_get(GRAPH_DUE) is None


def test_a_query_in_a_script_that_the_embedder_is_not_for_is_asked_of_its_words(tmp_path) -> None:
    """Full text counts for more by the share of letters outside; not with an embedder for all scripts, nor for what it is for."""
    embedder = HashEmbedder()
    with Memory(tmp_path, embedder=embedder) as memory:
        memory.remember_many([*TOLD, "Ana has a camera, a 相机."], user="ana")

        def parts(query: str) -> dict[str, float]:
            hits = memory.recall(query, user="ana", k=4)
            return dict(next(hit.reasons for hit in hits if "camera" in hit.note.content))

        queries = ("相机？", "Who has a camera?", "camera相机")
        before = [parts(query) for query in queries]
        embedder.scripts = ("Latin",)
        after = [parts(query) for query in queries]
    assert after[0]["text"] == pytest.approx(2 * before[0]["text"], rel=1e-4)
    assert after[2]["semantic"] == before[2]["semantic"]
    assert after[1] == before[1]
    assert after[2]["text"] == pytest.approx(1.25 * before[2]["text"], rel=1e-4)
