"""Files and folders as notes: how texts are cut, what is read, and what a second import does."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentmem import Memory
from agentmem.errors import InvalidImport, ScopeError
from agentmem.integrations.documents import DocumentsReport, import_documents
from agentmem.integrations.documents.chunking import LARGEST, chunks
from agentmem.integrations.documents.decoding import decoded
from agentmem.integrations.documents.ignoring import ignored, patterns

PLAN = """\
---
title: The garden
tags: [plants, "year plan"]
date: 2024-05-01
---
Some words of mine.

## Beds

The north bed has beans:

- climbing ones
- low ones

  which need no pole

```sh
# no heading
water --north
```

Shed
----

<!-- not for others
# Secret
-->
The key hangs behind the door.
"""


def _texts(text: str, *, markdown: bool = True) -> list[str]:
    return [chunk.text for chunk in chunks(text, name="garden", markdown=markdown)]


# -- chunks --------------------------------------------------------------------------------------------------


def test_a_text_is_cut_where_it_is_divided_and_each_chunk_says_what_it_is_about():
    first, beds, shed = chunks(PLAN, name="garden", markdown=True)

    assert first.text == "The garden:\nSome words of mine."
    assert beds.text.startswith("The garden › Beds:\nThe north bed has beans:\n\n- climbing ones\n")
    assert "# no heading\nwater --north\n```" in beds.text
    assert shed.text == "The garden › Shed:\nThe key hangs behind the door."
    assert shed.tags == ("plants", "year plan")
    assert shed.date is not None
    assert f"{shed.date:%Y-%m-%d}" == "2024-05-01"


def test_lines_are_those_of_the_file():
    lines = PLAN.split("\n")
    for chunk in chunks(PLAN, name="garden", markdown=True):
        assert lines[chunk.first - 1] == chunk.text.split("\n")[1]
        assert lines[chunk.last - 1] == chunk.text.split("\n")[-1]


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends_of_other_systems_change_nothing(end: str):
    assert _texts(PLAN.replace("\n", end)) == _texts(PLAN)


def test_plain_text_has_paragraphs_and_no_headings():
    assert _texts("# A list\n\nof things\n", markdown=False) == ["garden:\n# A list\n\nof things"]


def test_a_rule_above_a_text_is_no_front_matter():
    assert _texts("---\n\nHello there.\n\n---\n") == ["garden:\nHello there."]


@pytest.mark.parametrize("text", ["", "\n\n", "# Title\n\n## Below\n", "---\n***\n", "<!-- nothing -->"])
def test_a_text_without_words_has_no_chunks(text: str):
    assert _texts(text) == []


def test_code_stays_whole_and_nothing_is_without_bound():
    code = "```\n" + "\n".join(f"line {n} = {n}" for n in range(250)) + "\n```"
    assert len(code) < LARGEST
    (whole,) = _texts(code)

    assert whole.endswith(code)
    for text in ("x" * 50_000, "One sentence. " * 5_000, "- an item\n" * 5_000, f"```\n{'y' * 50_000}\n```"):
        assert all(len(found) <= LARGEST + 400 for found in _texts(text))


@pytest.mark.parametrize("seed", range(30))
def test_no_word_is_lost_or_told_twice(seed: int):
    """Whatever the structure: the words of all chunks, without their titles, are those of the text."""
    rng = random.Random(seed)
    words = (f"w{n}" for n in range(10**6))
    text = ""
    for _ in range(rng.randint(1, 30)):
        some = " ".join(next(words) for _ in range(rng.randint(1, 120)))
        text += rng.choice(
            [
                f"{some}.\n\n",
                f"- {some}\n",
                f"- {some}\n\n  {next(words)}\n\n",
                f"```\n{some}\n```\n",
                f"> {some}\n",
                f"{some}\n",
            ]
        )
    told = " ".join(found.split(":\n", 1)[1] for found in _texts(text)).replace(".", " ").split()

    assert [word for word in told if word.startswith("w")] == [
        w for w in text.replace(".", " ").split() if w.startswith("w")
    ]


# -- which files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "path", "out"),
    [
        (["*.log"], "deep/down/x.log", True),
        (["/x.md"], "x.md", True),
        (["/x.md"], "deep/x.md", False),
        (["drafts/"], "a/drafts", True),
        (["a/**/z.md"], "a/b/c/z.md", True),
        (["a/*.md"], "a/b/c.md", False),
        (["*.md", "!keep.md"], "keep.md", False),
        (["*.md", "!keep.md"], "other.md", True),
        (["x[0-9].md"], "x7.md", True),
        (["# no pattern", "", "y?.md"], "yo.md", True),
    ],
)
def test_patterns_mean_what_they_mean_in_a_gitignore(lines: list[str], path: str, out: bool):
    assert ignored(path, folder=lines == ["drafts/"], among=patterns(lines)) is out


def test_encodings_are_told_by_their_marks_and_guesses_are_said():
    assert decoded("é".encode()).text == "é"
    assert decoded(b"\xef\xbb\xbf" + "é".encode()).text == "é"
    assert decoded("é".encode("utf-16")).text == "é"
    assert decoded("é".encode("utf-32")).text == "é"
    assert (decoded(b"caf\xe9").text, decoded(b"caf\xe9").guessed) == ("café", "Windows-1252")
    assert decoded(b"\x89PNG\0\1").trouble == "it is binary"
    assert decoded(b"\x81\x8d").trouble


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "notes"
    (root / "deep").mkdir(parents=True)
    (root / "garden.md").write_text(PLAN, encoding="utf-8")
    (root / "deep" / "boat.txt").write_text(
        "The boat lies in the north harbour.\n\nIts sail is red.\n", encoding="utf-8"
    )
    return root


def _said(memory: Memory, **whose: Any) -> dict[str, list[str]]:
    """Of each file the words of its notes, in the order of their lines."""
    found: dict[str, list[Any]] = {}
    for note in memory.notes(where={"source": "import:file"}, **whose):
        found.setdefault(str(note.metadata["path"]), []).append((note.metadata["lines"], note.content))
    return {path: [text for _, text in sorted(notes)] for path, notes in sorted(found.items())}


def _of_folder(root: Path) -> dict[str, list[str]]:
    found = {}
    for path in sorted(root.rglob("*")):
        if path.suffix in (".md", ".txt"):
            markdown = path.suffix == ".md"
            texts = chunks(path.read_text(encoding="utf-8"), name=path.stem, markdown=markdown)
            found[path.relative_to(root).as_posix()] = [chunk.text for chunk in texts]
    return {path: texts for path, texts in found.items() if texts}


def test_what_is_no_text_of_a_persons_is_left_out_and_said(memory: Memory, folder: Path):
    (folder / ".hidden.md").write_text("Hidden.")
    (folder / ".git").mkdir()
    (folder / ".git" / "note.md").write_text("Of git.")
    (folder / "node_modules").mkdir()
    (folder / "node_modules" / "README.md").write_text("Fetched.")
    (folder / ".gitignore").write_text("secret/\n")
    (folder / "secret").mkdir()
    (folder / "secret" / "x.md").write_text("Secret.")
    (folder / "raw.txt").write_bytes(b"\0\1\2")
    (folder / "huge.txt").write_text("x " * 5_000)
    (folder / "code.py").write_text("print()")
    (folder / "link.md").symlink_to(folder / "garden.md")
    (folder / "round").symlink_to(folder)
    os.mkfifo(folder / "pipe.txt")
    Memory(folder / "agent", embedder="hash").close()

    report = import_documents(memory, folder, max_bytes=5_000)

    assert sorted(_said(memory)) == ["deep/boat.txt", "garden.md"]
    why = {each.path: each.why for each in report.left_out}
    assert why["raw.txt"] == "it is binary"
    assert "10,000 bytes" in why["huge.txt"]
    assert why["link.md"].startswith("it is a link")
    assert why["round"].startswith("it is a link")
    assert why["pipe.txt"] == "it is no file"
    assert why["agent"] == "it is a memory"
    assert why["secret"] == "it is excluded"
    assert {each.path for each in report.left_out if each.quiet} == {".hidden.md", ".git", ".gitignore", "node_modules", "secret", "code.py"}  # fmt: skip


def test_a_file_named_itself_is_read_whatever_it_is_called(memory: Memory, tmp_path: Path):
    (tmp_path / "shopping.list").write_text("Milk and flour.")

    assert import_documents(memory, tmp_path / "shopping.list").stored == 1
    assert memory.recall("flour")[0].note.content == "shopping:\nMilk and flour."


# -- notes ---------------------------------------------------------------------------------------------------


def test_a_note_says_where_it_stands(memory: Memory, folder: Path):
    import_documents(memory, folder, user="ana")

    note = memory.recall("Where is the key?", user="ana", k=1)[0].note
    assert note.content == "The garden › Shed:\nThe key hangs behind the door."
    assert note.metadata["path"] == "garden.md"
    assert note.metadata["headings"] == ["The garden", "Shed"]
    assert note.metadata["lines"] == [28, 28]
    assert "plants" in note.tags
    assert note.source == "import:file"
    assert note.trust == 0.6  # as any import
    assert memory.recall("Where is the key?", user="ben").hits == ()


def test_a_second_import_leaves_alone_what_has_not_changed(memory: Memory, folder: Path):
    import_documents(memory, folder)
    before = {note.id: note for note in memory.notes()}
    report = import_documents(memory, folder)

    assert (report.unchanged, report.stored, report.changed, report.forgotten) == (len(before), 0, 0, 0)
    assert {note.id: note for note in memory.notes()} == before


def test_what_changed_is_updated_with_its_history_and_what_vanished_is_forgotten(memory: Memory, folder: Path):
    import_documents(memory, folder)
    key = memory.recall("Where is the key?", k=1)[0].note.id
    words = PLAN.replace("behind the door", "under the third stone").replace("Some words of mine.", "")
    (folder / "garden.md").write_text(words, encoding="utf-8")
    report = import_documents(memory, folder)

    assert (report.changed, report.forgotten, report.stored) == (1, 1, 0)
    assert [version.content.split(" behind ")[-1] for version in memory.history(key)][0] == "the door."
    assert "third stone" in memory.get(key).content
    assert _said(memory) == _of_folder(folder)


def test_a_file_that_was_moved_keeps_its_notes(memory: Memory, folder: Path):
    import_documents(memory, folder)
    before = {note.content: note.id for note in memory.notes()}
    (folder / "new").mkdir()
    (folder / "garden.md").rename(folder / "new" / "plot.md")
    report = import_documents(memory, folder)

    assert report.moved == {"garden.md": "new/plot.md"}
    assert (report.stored, report.forgotten) == (0, 0)
    assert {note.content: note.id for note in memory.notes()} == before
    assert _said(memory) == _of_folder(folder)


def test_a_folder_that_was_moved_keeps_its_notes(memory: Memory, folder: Path):
    import_documents(memory, folder)
    before = {note.content: note.id for note in memory.notes()}
    report = import_documents(memory, folder.rename(folder.parent / "elsewhere"))

    assert (report.stored, report.forgotten) == (0, 0)
    assert {note.content: note.id for note in memory.notes()} == before


def test_a_folder_within_one_that_was_imported_is_the_same_files(memory: Memory, folder: Path):
    import_documents(memory, folder)
    report = import_documents(memory, folder / "deep")

    assert (report.unchanged, report.stored, report.forgotten) == (1, 0, 0)
    assert import_documents(memory, folder / "garden.md").unchanged == 3


def test_keep_leaves_what_vanished(memory: Memory, folder: Path):
    import_documents(memory, folder)
    (folder / "garden.md").unlink()
    report = import_documents(memory, folder, keep=True)

    assert (report.kept, report.forgotten) == (3, 0)
    assert "garden.md" in _said(memory)
    assert import_documents(memory, folder).forgotten == 3


def test_a_dry_run_says_it_all_and_writes_nothing(memory: Memory, folder: Path):
    planned = import_documents(memory, folder, dry_run=True)

    assert memory.notes() == []
    assert planned.stored == import_documents(memory, folder).stored == 4
    (folder / "garden.md").unlink()
    assert import_documents(memory, folder, dry_run=True).forgotten == 3
    assert len(memory.notes()) == 4


def test_a_file_that_cannot_be_read_this_time_loses_no_note(memory: Memory, folder: Path):
    import_documents(memory, folder)
    (folder / "garden.md").write_bytes(b"\0\1\2")
    shutil.move(folder / "deep", folder / "away")
    (folder / "deep").symlink_to(folder / "nowhere")
    report = import_documents(memory, folder)

    assert (report.kept, report.forgotten) == (4, 0)
    assert len(_said(memory)["garden.md"]) == 3


def test_an_empty_folder_is_not_taken_for_one_whose_files_were_all_deleted(memory: Memory, folder: Path):
    import_documents(memory, folder)
    shutil.rmtree(folder)
    with pytest.raises(InvalidImport, match="cannot be read"):
        import_documents(memory, folder)
    folder.mkdir()

    with pytest.raises(InvalidImport, match="4 notes were made of it before"):
        import_documents(memory, folder)
    assert len(memory.notes()) == 4


def test_what_the_user_forgot_stays_forgotten_until_its_file_is_changed(memory: Memory, folder: Path):
    os.utime(folder / "garden.md", (1_700_000_000, 1_700_000_000))
    import_documents(memory, folder)
    memory.forget([note.id for note in memory.notes() if "key" in note.content])
    report = import_documents(memory, folder)

    assert report.stored == 0
    assert [path for path, _, _ in report.refused] == ["garden.md"]
    assert import_documents(memory, folder, forgotten=True).stored == 1


def test_notes_of_others_are_neither_seen_nor_touched(memory: Memory, folder: Path):
    import_documents(memory, folder, user="ana")
    (folder / "garden.md").unlink()
    import_documents(memory, folder, user="ben")

    assert len(memory.notes(user="ana")) == 4
    assert len(memory.notes(user="ben")) == 1
    with pytest.raises(ScopeError):
        import_documents(memory, folder)  # whose notes they are has to be said, once notes are somebody's


def test_the_same_words_in_two_files_are_two_notes(memory: Memory, folder: Path):
    """Else the one file would take the other's note with it."""
    (folder / "deep" / "again.txt").write_text("boat:\nIts sail is red.")
    (folder / "again.txt").write_text("boat:\nIts sail is red.")
    import_documents(memory, folder)
    (folder / "again.txt").unlink()
    import_documents(memory, folder)

    assert _said(memory) == _of_folder(folder)


def test_metadata_that_passes_for_an_imports_is_passed_over(memory: Memory, folder: Path):
    memory.remember("Mine.", source="import:file", metadata={"root": str(folder), "path": "x.md"})
    memory.remember("Mine too.", source="import:file", metadata={"root": 1, "path": [], "lines": "x", "digest": None})

    assert import_documents(memory, folder).forgotten == 0


def test_a_chat_in_the_folder_is_told_to_whose_import_it_is(memory: Memory, folder: Path):
    """Whoever the file says that it belongs to."""
    chat = {"user_id": "ben", "messages": [{"role": "user", "content": "I moved to Graz."}]}
    (folder / "chat.json").write_text(json.dumps(chat))
    (folder / "other.json").write_text("{}")
    first, second = import_documents(memory, folder, user="ana"), import_documents(memory, folder, user="ana")

    assert (first.messages, second.messages) == (1, 0)
    assert memory.recall("Graz", user="ben").hits == ()
    assert memory.recall("Graz", user="ana")[0].note.content == "I moved to Graz."
    assert "other.json" in {each.path for each in first.left_out}


def test_a_memory_that_is_bound_imports_for_nobody_else(folder: Path):
    from agentmem import Scope

    with Memory(None, embedder="hash", scope=Scope(user="ana")) as memory, pytest.raises(ScopeError):
        import_documents(memory, folder, user="ben")


WORDS = "boat beans harbour stone water sail door key north south red garden shed winter summer rope".split()


def _shuffled(rng: random.Random, root: Path) -> None:
    """Some edit of a folder: a file is written, changed, moved or removed."""
    files = sorted(root.rglob("*.md"))
    what = rng.choice(["write", "change", "change", "move", "remove"])
    if what == "write" or len(files) < 2:
        path = root / rng.choice(["", "a", "b"]) / f"{rng.randint(0, 99)}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n\n".join(f"## {rng.choice(WORDS)}\n\n{' '.join(rng.choices(WORDS, k=30))}." for _ in range(rng.randint(1, 6))))  # fmt: skip
        return
    path = rng.choice(files)
    if what == "remove":
        path.unlink()
    elif what == "move":
        path.rename(root / f"{rng.randint(100, 999)}.md")
    else:
        parts = path.read_text().split("\n\n")
        at = rng.randrange(len(parts))
        parts[at : at + 1] = rng.choice(
            [[], [parts[at], " ".join(rng.choices(WORDS, k=20))], [parts[at] + " And more."]]
        )
        path.write_text("\n\n".join(parts) or "Nothing.")


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("seed", range(12))
def test_killed_anywhere_and_run_again_it_ends_the_same(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch):
    """After every run that is not killed, the notes are the folder's chunks."""
    rng, root = random.Random(seed), tmp_path / "notes"
    root.mkdir()
    with Memory(None, embedder="hash") as memory:
        for _ in range(6):
            for _ in range(rng.randint(1, 5)):
                _shuffled(rng, root)
            left = rng.randint(0, 3)

            def dying(method: Callable[..., Any]) -> Callable[..., Any]:
                def call(*words: Any, **options: Any) -> Any:
                    nonlocal left
                    left -= 1
                    if left < 0:
                        raise _Killed
                    return method(*words, **options)

                return call

            with monkeypatch.context() as patch:
                for name in ("update", "remember_many", "forget"):
                    patch.setattr(memory, name, dying(getattr(memory, name)))
                try:
                    import_documents(memory, root)
                except _Killed:
                    pass
                except InvalidImport:
                    continue
            import_documents(memory, root)

            assert _said(memory) == _of_folder(root)
            assert import_documents(memory, root).unchanged == len(memory.notes())


# -- on the command line -------------------------------------------------------------------------------------


def test_import_on_the_command_line(run: Callable[..., Any], folder: Path):
    planned = run("import", folder, "-u", "ana", "--dry-run", "--json")
    told = run("import", folder, "-u", "ana")
    again = run("import", folder, "-u", "ana", "--json")

    assert json.loads(planned.stdout)["stored"] == 4
    assert "4 stored" in told.stdout
    assert "deep/boat.txt" in told.stdout
    assert json.loads(again.stdout)["unchanged"] == 4
    (folder / "raw.txt").write_bytes(b"\0")
    (folder / "garden.md").rename(folder / "plot.md")
    moved = run("import", folder, "-u", "ana")
    assert "plot.md (was garden.md)" in moved.stdout
    assert "left out raw.txt: it is binary" in moved.stderr


def test_exclude_keep_and_refusals_on_the_command_line(run: Callable[..., Any], folder: Path):
    assert json.loads(run("import", folder, "--exclude", "deep", "--json").stdout)["stored"] == 3
    (folder / "garden.md").unlink()
    (folder / "rest.md").write_text("Nothing much.")
    assert json.loads(run("import", folder, "--keep", "--json").stdout)["kept"] == 3
    assert run("import", folder / "none").exit_code == 3
    (folder / "dump.json").write_text('[{"role": "user", "content": "Hello."}]')
    assert run("import", folder / "dump.json", "--keep").exit_code == 2
    assert run("import", folder, "--trust", "high").exit_code == 2
    assert json.loads(run("import", folder / "dump.json", "--json").stdout)["format"] == "chat"


def test_the_report_is_plain_json(memory: Memory, folder: Path):
    report = import_documents(memory, folder)

    assert isinstance(report, DocumentsReport)
    assert json.loads(json.dumps(report.to_dict()))["by_file"]["garden.md"] == {"new": 3}
