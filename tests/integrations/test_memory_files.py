"""Files of a model as records of a memory: safe paths, whole moves, and what a file says is recalled and forgotten with it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from agentmem import Memory
from agentmem.integrations.file_paths import RefusedCommand, listing, normal_path
from agentmem.integrations.memory_files import MAX_BYTES, MemoryFiles


@pytest.fixture
def files(memory: Memory) -> MemoryFiles:
    return MemoryFiles(memory, user="ana")


@pytest.mark.parametrize(
    ("path", "spelling"),
    [
        ("/memories", "/memories"),
        ("/memories/", "/memories"),
        ("/memories//a.md", "/memories/a.md"),
        ("/memories/./a/../b.md", "/memories/b.md"),
        ("/memories/cafe\u0301.md", "/memories/caf\u00e9.md"),  # one file, however it is typed
        ("/memories/100%.md", "/memories/100%.md"),
        ("/memories/👩\u200d💻.md", "/memories/👩\u200d💻.md"),
        ("/memories/...", "/memories/..."),
    ],
)
def test_a_file_has_one_spelling(path: str, spelling: str):
    assert normal_path(path) == spelling


@pytest.mark.parametrize(
    "path",
    [
        "", "memories/a", "/", "/memoriesx/a", "/Memories/a", "/MEMORIES", "/tmp/a", " /memories/a", None, 7,
        "/memories/..", "/memories/../etc/passwd", "/memories/a/../../b", "/memories/%2e%2e/b", "/memories/%2E%2e", "/memories/%252e%252e/b",
        "/memories/..%2fb", "/memories/a%2fb", "/memories/a%5cb", "/memories/..\\b", "/memories/\uff0e\uff0e/b", "/memories/\u2025/b",
        "/memories/a\uff0fb", "/memories/.%2e", "/memories/ %2e%2e ", "/memories/a\0b", "/memories/a\nb", "/memories/\u202egpj.exe",
        "/memories/" + "x" * 256, "/memories" + "/abcdefghij" * 90, "/memories/\ud800",
    ],
)  # fmt: skip
def test_no_path_leads_out(files: MemoryFiles, path):
    """Up, encoded, in other characters, in another case: refused by every command, and nothing is written."""
    files.create("/memories/kept.md", "kept")

    for command in (
        lambda: files.view(path),
        lambda: files.create(path, "x"),
        lambda: files.delete(path),
        lambda: files.rename("/memories/kept.md", path),
        lambda: files.rename(path, "/memories/b"),
        lambda: files.insert(path, 0, "x"),
        lambda: files.str_replace(path, "a", "b"),
    ):
        with pytest.raises(RefusedCommand):
            command()
    assert files.view("/memories").splitlines()[1:] == ["4B\t/memories", "4B\t/memories/kept.md"]


def test_names_differ_in_case(files: MemoryFiles):
    files.create("/memories/a.md", "small")
    files.create("/memories/A.md", "large")

    assert "small" in files.view("/memories/a.md")
    assert "large" in files.view("/memories/A.md")


def test_a_listing_shows_two_levels_sizes_and_nothing_hidden():
    files = [("/memories/b/c/d/e.md", 1024), ("/memories/b.md", 5), ("/memories/.secret", 9), ("/memories/b/.x/y", 1)]

    assert listing("/memories", files) == [
        "1.0K\t/memories",
        "1.0K\t/memories/b/",
        "1K\t/memories/b/c/",
        "5B\t/memories/b.md",
    ]


def test_what_a_file_says_is_recalled_and_gone_with_it(files: MemoryFiles, memory: Memory):
    files.create("/memories/prefs/tea.md", "Ana drinks oolong tea without sugar.")
    found = memory.recall("Which tea does Ana drink?", user="ana")[0].note

    assert (found.content, found.metadata["path"]) == (
        "Ana drinks oolong tea without sugar.",
        "/memories/prefs/tea.md",
    )
    assert not memory.recall("Which tea does Ana drink?", user="ben")
    files.delete("/memories/prefs")
    assert not memory.recall("Which tea does Ana drink?", user="ana")
    assert not memory.notes(user="ana")
    assert files.view("/memories").endswith("0B\t/memories")


def test_forgetting_the_note_takes_the_file(files: MemoryFiles, memory: Memory):
    files.create("/memories/tea.md", "Ana drinks oolong tea.")
    memory.forget([hit.note.id for hit in memory.recall("tea", user="ana")], user="ana")

    with pytest.raises(RefusedCommand, match="does not exist"):
        files.view("/memories/tea.md")
    files.create("/memories/tea.md", "Ana drinks oolong tea.")  # and may be written again
    assert memory.recall("tea", user="ana")


def test_a_folder_moves_as_a_whole_with_its_history(files: MemoryFiles, memory: Memory):
    files.create("/memories/old/a.md", "first words")
    files.create("/memories/old/deep/b.md", "second words")
    files.create("/memories/older.md", "other words")  # begins alike, and is no part of it
    files.str_replace("/memories/old/a.md", "first", "third")
    before = {note.content: note.id for note in memory.notes(user="ana")}

    files.rename("/memories/old", "/memories/new/place")

    after = {note.content: note.id for note in memory.notes(user="ana")}
    assert after == before
    assert memory.history(after["third words"], user="ana")[0].content == "first words"
    assert "third words" in files.view("/memories/new/place/a.md")
    assert "second words" in files.view("/memories/new/place/deep/b.md")
    assert "other words" in files.view("/memories/older.md")
    files.create("/memories/old/a.md", "a new one")  # the place is free again, and the moved file stays
    assert "third words" in files.view("/memories/new/place/a.md")
    files.rename("/memories/old/a.md", "/memories/a.md")
    files.create("/memories/old/a.md", "and another")
    assert len(memory.notes(user="ana")) == 5


def test_a_move_that_fails_moves_nothing(files: MemoryFiles):
    files.create("/memories/short/a.md", "one")
    files.create("/memories/short/" + "x" * 200, "two")

    with pytest.raises(RefusedCommand, match="longer than"):
        files.rename("/memories/short", "/memories" + f"/{'y' * 200}" * 4)
    assert "one" in files.view("/memories/short/a.md")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("/memories/dir", "/memories/dir/sub", "into itself"),
        ("/memories/a.md", "/memories/dir", "already exists"),
        ("/memories/dir", "/memories/a.md", "already exists"),
        ("/memories/dir/b.md", "/memories/a.md/b.md", "not a directory"),
        ("/memories/none", "/memories/b", "does not exist"),
        ("/memories", "/memories/b", "itself"),
        ("/memories/a.md", "/memories", "already exists"),
    ],
)
def test_moves_that_make_no_sense_are_refused(files: MemoryFiles, old: str, new: str, why: str):
    files.create("/memories/a.md", "one")
    files.create("/memories/dir/b.md", "two")

    with pytest.raises(RefusedCommand, match=why):
        files.rename(old, new)


def test_a_file_is_no_directory(files: MemoryFiles):
    files.create("/memories/a.md", "one")

    with pytest.raises(RefusedCommand, match="is not a directory"):
        files.create("/memories/a.md/b.md", "two")
    with pytest.raises(RefusedCommand, match="already exists"):
        files.create("/memories", "two")


def test_empty_files_and_odd_texts_come_back_as_they_went_in(files: MemoryFiles):
    files.create("/memories/empty", "")
    files.create("/memories/odd", "  a\r\n\n\tb\n\n")

    assert files.view("/memories/empty").endswith("     1\t")
    assert (
        files.view("/memories/odd").split("numbers:\n")[1] == "     1\t  a\r\n     2\t\n     3\t\tb\n     4\t\n     5\t"
    )
    files.insert("/memories/empty", 0, "now something")
    assert "now something" in files.view("/memories/empty")


@pytest.mark.parametrize(
    ("given", "first", "count"), [([2, 3], 2, 2), ([2, -1], 2, 3), ([-5, 1], 1, 1), ([9, 9], 0, 0)]
)
def test_ranges_of_lines(files: MemoryFiles, given: list[int], first: int, count: int):
    files.create("/memories/four", "1\n2\n3\n4")
    lines = files.view("/memories/four", given).splitlines()[1:]

    assert len(lines) == count
    assert not lines or lines[0] == f"     {first}\t{first}"


@pytest.mark.parametrize("given", [[1], [1, 2, 3], ["1", "2"], "12", 7, [True, 2]])
def test_what_is_no_range_is_refused(files: MemoryFiles, given):
    files.create("/memories/four", "1\n2\n3\n4")

    with pytest.raises(RefusedCommand, match="two line numbers"):
        files.view("/memories/four", given)


def test_too_much_is_refused_and_leaves_the_file_as_it_was(files: MemoryFiles):
    with pytest.raises(RefusedCommand, match="several files"):
        files.create("/memories/big", "x" * (MAX_BYTES + 1))
    files.create("/memories/a", "small")
    with pytest.raises(RefusedCommand, match="several files"):
        files.insert("/memories/a", 0, "x" * MAX_BYTES)

    assert files.view("/memories/a").endswith("small")


def test_each_scope_has_files_of_its_own(memory: Memory):
    ana, ben = MemoryFiles(memory, user="ana"), MemoryFiles(memory, user="ben")
    work = MemoryFiles(memory, user="ana", agent="work")
    ana.create("/memories/a", "hers")
    ben.create("/memories/a", "his")
    work.create("/memories/a", "of work")

    assert [each.view("/memories/a").split("\t")[1] for each in (ana, ben, work)] == ["hers", "his", "of work"]
    ben.clear()
    assert "hers" in ana.view("/memories/a")
    with pytest.raises(RefusedCommand):
        ben.view("/memories/a")


def test_files_are_there_after_a_restart(open_memory: Callable[..., Memory]):
    first = open_memory()
    MemoryFiles(first, user="ana").create("/memories/a", "hers")
    first.close()

    assert "hers" in MemoryFiles(open_memory(), user="ana").view("/memories/a")


def test_threads_lose_no_change(files: MemoryFiles):
    files.create("/memories/log", "")
    threads = [threading.Thread(target=files.insert, args=("/memories/log", 0, f"line {n}")) for n in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert sorted(line.split("\t")[1] for line in files.view("/memories/log").splitlines()[1:-1]) == [
        f"line {n}" for n in range(8)
    ]
