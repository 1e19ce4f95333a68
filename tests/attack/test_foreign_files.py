"""Whatever lies in a directory before a memory lives there is afterwards as it was: bytes, rights, times, and where links lead."""

from __future__ import annotations

import hashlib
import json
import os
import random
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agentmem import Memory, Settings
from agentmem.errors import AgentMemError, InvalidArgument, StoreForeign
from agentmem.files import owned_files
from agentmem.notes.clock import ManualClock
from agentmem.settings import IndexSettings
from agentmem.stores.chroma import generations
from agentmem.weights.pack_store import PackStore
from agentmem.weights.registry import METHOD

INDEXED = Settings(index=IndexSettings(exact_limit=2, batch=1))
ID = "0123456789abcdef" * 2
UUID = "01234567-89ab-cdef-0123-456789abcdef"
SHA = hashlib.sha256(
    b"what no file here says"
).hexdigest()  # in our folder, a file that bears the hash of its own bytes is a pack
BESIDE = (
    "llama.safetensors", "notes.txt", "index.lock", "chroma.sqlite3", "weights/llama.safetensors", f"weights/{SHA}.safetensors",
    "weights/a.tmp123", "chroma-1/chroma.sqlite3", f"chroma-1/{UUID}/header.bin", "chroma-2024/photo.jpg", "chroma-0/x", ".hidden",
    f"weights-{ID}/{SHA}.safetensors", f"index-{ID}/chroma-1/chroma.sqlite3", f"index-{ID}/index.lock", "weights-/a", "index-/b",
    f"agentmem.json.{ID[:16]}.tmp", ".agentmem.json", "agentmem.json~", "notes.db.bak", "notes.db~", "my notes.db", "notes.db-wal2", "ü\n.md",
)  # fmt: skip
"""Names that ours could be taken for, and that older versions gave; none of them is ours."""
TAKEN = ("agentmem.json", "notes.db", "notes.db-wal", "notes.db-shm", "notes.db-journal", "notes.reserve")
"""Names that are ours: whoever has them already is told so."""
INSIDE = (
    "{weights}/llama.safetensors", "{weights}/" + SHA + ".safetensors", "{weights}/.DS_Store", "{weights}/deep/er", "{index}/notes.txt",
    "{index}/chroma-7/mine.txt", "{index}/chroma-7/" + UUID + "/mine.bin", "{index}/chroma-x/y", "{index}/chroma-3/chroma.sqlite3.bak",
)  # fmt: skip


@dataclass
class Foreign:
    """What somebody put there, and how it was."""

    paths: list[Path] = field(default_factory=list)
    before: dict[str, Any] = field(default_factory=dict)

    def note(self) -> None:
        self.before = {str(path): self.state(path) for path in self.paths}

    def breaches(self) -> list[str]:
        return [path for path, was in self.before.items() if self.state(Path(path)) != was]

    @staticmethod
    def state(path: Path) -> Any:
        try:
            status = path.lstat()
        except FileNotFoundError:
            return "gone"
        about = (status.st_ino, status.st_mode, status.st_mtime_ns, status.st_nlink)
        if stat.S_ISLNK(status.st_mode):
            return (*about, str(path.readlink()))
        return (*about, hashlib.sha256(path.read_bytes()).hexdigest()) if stat.S_ISREG(status.st_mode) else about[:2]


def plant(rng: random.Random, path: Path, outside: Path, kinds: str) -> list[Path]:
    """A file, a link to a file or a folder outside, a second name of a file outside, a pipe, or an unwritable file."""
    if os.path.lexists(path):
        return [path]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError:
        return []  # a link to a file stands there already
    kind = rng.choice(kinds.split())
    if kind == "link":
        path.symlink_to(outside / rng.choice(("file", "folder", "nothing")))
    elif kind == "hard":
        with suppress(FileExistsError):
            os.link(outside / "file", path)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "marker":
        path.write_text(
            json.dumps(
                {"format": "agentmem-directory", "version": 1, "id": ID, "created_at": "2026-01-01T00:00:00+00:00"}
            )
        )
    else:
        path.write_bytes(rng.choice((b"", b"somebody's", rng.randbytes(300))))
        path.chmod(0o400 if kind == "closed" else 0o644)
    os.utime(path, ns=(10**18, 10**18 + rng.randrange(10**9)), follow_symlinks=False) if kind != "link" else None
    return [path]


def beyond(root: Path) -> tuple[Path, list[Path]]:
    outside = root / "outside"
    (outside / "folder").mkdir(parents=True)
    files = [outside / "file", outside / "folder" / "inner.safetensors", outside / "folder" / "chroma.sqlite3"]
    for path in files:
        path.write_bytes(b"far away")
    return outside, files


def live(rng: random.Random, directory: Path, clock: ManualClock, steps: int) -> None:
    """A life of a memory: verbs in any order, and now and then it is dropped as a killed process drops it."""
    memory: Memory | None = None
    for number in range(steps):
        try:
            if memory is None:
                memory = Memory(directory, embedder="hash", clock=clock, settings=INDEXED)
            work(rng, memory, number)
        except AgentMemError:
            pass
        if memory is not None and rng.random() < 0.25:
            with suppress(AgentMemError):
                memory.close() if rng.random() < 0.7 else crash(memory)
            memory = None
    if memory is not None:
        with suppress(AgentMemError):
            memory.close()


def crash(memory: Memory) -> None:
    """Locks and connections end, and nothing is tidied up."""
    memory._parts.indexing.wait()
    indexer = memory._parts.core.indexer
    if indexer is not None and indexer._lock_file is not None:
        indexer._replace_index(None)
        os.close(indexer._lock_file)
        indexer._lock_file = None
    memory._parts.core.store.close()
    memory._parts.closed = True


def work(rng: random.Random, memory: Memory, number: int) -> None:
    verb = rng.choice("remember remember pack unpack forget rebuild flush export recall check page".split())
    weights = memory._parts.weights
    if verb == "remember":
        memory.remember_many([f"Word{number} {rng.random()} of {i}." for i in range(3)], progress=False)
    elif verb == "pack":
        with memory._parts.core.store.write() as tx:
            tx.ledger.set_active_pack(METHOD, weights._put(tx, rng.randbytes(64)), 0)
        weights.collect()
    elif verb == "unpack":
        with memory._parts.core.store.write() as tx:
            tx.ledger.set_active_pack(METHOD, None, 0)
        weights.collect()
    elif verb == "forget":
        memory.forget([note.id for note in memory.notes(limit=2)])
    elif verb == "rebuild":
        memory.rebuild("vectors")
    elif verb == "flush":
        memory.flush()
    elif verb == "export":
        memory.export(memory.path / "export.jsonl")
    elif verb == "page":
        memory.graph_page(memory.path / "page.html")
    elif verb == "recall":
        memory.recall("word")
    else:
        memory.check(deep=True)


def beside(seed: int, root: Path, steps: int = 10) -> list[str]:
    """A memory in a folder full of others' files; which of them it changed."""
    rng, foreign = random.Random(seed), Foreign()
    outside, foreign.paths = beyond(root)
    home = root / "home"
    home.mkdir()
    for name in rng.sample(BESIDE, rng.randint(4, len(BESIDE))):
        kinds = "file closed link hard pipe marker" if "/" not in name else "file closed link hard"
        foreign.paths += plant(rng, home / name, outside, kinds)
    if rng.random() < 0.3:
        foreign.paths += plant(rng, home / rng.choice(TAKEN), outside, "file closed link hard pipe")
    foreign.note()
    live(rng, home, ManualClock(), steps)
    return foreign.breaches()


def inside(seed: int, root: Path, steps: int = 8) -> list[str]:
    """Others' files in our own folders, put there while nobody looked; which of them were changed."""
    rng, foreign, clock = random.Random(seed), Foreign(), ManualClock()
    outside, foreign.paths = beyond(root)
    home = root / "home"
    live(rng, home, clock, steps)
    with Memory(home, embedder="hash", clock=clock, settings=INDEXED) as memory:
        named = {"weights": memory._parts.weights.pack_store.folder.name, "index": memory._parts.core.indexer.root.name}
    for name in rng.sample(INSIDE, rng.randint(1, 3)):
        foreign.paths += plant(rng, home / name.format(**named), outside, "file closed link hard")
    foreign.note()
    live(rng, home, clock, steps)
    return foreign.breaches()


@pytest.mark.parametrize("seed", range(12))
def test_files_beside_a_memory_are_never_touched(tmp_path: Path, seed: int) -> None:
    assert beside(seed, tmp_path) == []


@pytest.mark.parametrize("seed", range(6))
def test_files_inside_its_folders_are_never_touched(tmp_path: Path, seed: int) -> None:
    assert inside(seed, tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 300))
def test_files_are_never_touched_at_length(tmp_path: Path, seed: int) -> None:
    assert beside(seed, tmp_path / "beside", 25) == []
    assert inside(seed, tmp_path / "inside", 20) == []


def sloppy_collect(self: PackStore, keep: Any, former: Any = ()) -> int:
    """The guard taken away: what is not kept is removed, whoever's it is."""
    gone = [p for p in self.folder.iterdir() if p.is_file() and p.stem not in set(keep)] if self.folder.is_dir() else []
    for path in gone:
        path.write_bytes(bytes(path.stat().st_size))
        path.unlink()
    return len(gone)


def sloppy_remove(directory: Path) -> bool:
    import shutil

    shutil.rmtree(directory, ignore_errors=True)
    return True


@pytest.mark.parametrize("guard", ["packs", "generations", "links"])
def test_without_its_guard_the_harness_finds_breaches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guard: str
) -> None:
    """A harness that cannot find anything proves nothing."""
    monkeypatch.setattr("agentmem.files.data_directory.DataDirectory.strangers", lambda self: [])
    if guard == "packs":
        monkeypatch.setattr(PackStore, "collect", sloppy_collect)
    elif guard == "generations":
        monkeypatch.setattr(generations, "remove", sloppy_remove)
    else:
        monkeypatch.setattr(PackStore, "collect", sloppy_collect)
        monkeypatch.setattr(owned_files, "is_ours", lambda path: True)

    found: list[str] = []
    for seed in range(30):
        found += inside(seed, tmp_path / str(seed))
        if found:
            break

    assert found


def test_a_model_of_the_user_survives_a_memory_in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``Memory(".")`` in a folder with a checkpoint: opened, used, closed, and the checkpoint is what it was."""
    foreign = Foreign(
        [
            tmp_path / name
            for name in (
                "weights/llama.safetensors",
                "chroma-1/photo.jpg",
                "chroma-2024/photo.jpg",
                "index.lock",
                "notes.txt",
            )
        ]
    )
    for path in foreign.paths:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(path.name.encode() * 100)
    foreign.note()
    monkeypatch.chdir(tmp_path)

    with Memory(".", embedder="hash", settings=INDEXED) as memory:
        memory.remember_many([f"Ana has {n} boats." for n in range(5)], progress=False)
        memory.flush()
        memory.rebuild("vectors")
        assert memory.check().ok
    with Memory(".", embedder="hash", settings=INDEXED) as memory:
        assert len(memory.notes()) == 5

    assert foreign.breaches() == []


def _link(home: Path, name: str) -> Path:
    (home.parent / "elsewhere").write_bytes(b"theirs")
    (home / name).symlink_to(home.parent / "elsewhere")
    return home / name


def _second_name(home: Path, name: str) -> Path:
    (home.parent / "elsewhere").write_bytes(b"theirs")
    os.link(home.parent / "elsewhere", home / name)
    return home / name


def _file(home: Path, name: str) -> Path:
    (home / name).write_bytes(b"theirs")
    return home / name


@pytest.mark.parametrize("name", TAKEN)
@pytest.mark.parametrize("make", [_link, _second_name, _file])
def test_a_name_of_ours_that_somebody_has_is_named_and_left_alone(
    tmp_path: Path, name: str, make: Callable[[Path, str], Path]
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    foreign = Foreign([make(home, name)])
    foreign.note()

    with pytest.raises(StoreForeign) as caught:
        Memory(home, embedder="hash")

    assert name in caught.value.message
    assert "elsewhere" in caught.value.hint
    assert foreign.breaches() == []
    assert [path.name for path in home.iterdir()] == [name], "nothing was made beside it either"


@pytest.mark.parametrize("name", ["{weights}/llama.safetensors", "{index}/notes.txt"])
def test_others_files_in_our_folders_are_named_when_it_is_opened(tmp_path: Path, name: str) -> None:
    with Memory(tmp_path, embedder="hash") as memory:
        named = {"weights": memory._parts.weights.pack_store.folder.name, "index": memory._parts.core.indexer.root.name}
    path = tmp_path / name.format(**named)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"theirs")

    with pytest.raises(StoreForeign, match=path.name):
        Memory(tmp_path, embedder="hash")

    assert path.read_bytes() == b"theirs"
    path.unlink()
    Memory(tmp_path, embedder="hash").close()


def test_what_a_user_put_into_a_generation_outlives_it(tmp_path: Path) -> None:
    """A generation that is replaced leaves what Chroma did not write, and check() says so."""
    with Memory(tmp_path, embedder="hash", settings=INDEXED) as memory:
        memory.remember_many([f"Ana has {n} boats." for n in range(5)], progress=False)
        memory.flush()
        mine = memory._parts.core.indexer.directory / "mine.txt"
        mine.write_text("keep me")
        memory.rebuild("vectors")
        kept = mine.parent
        assert [path.name for path in kept.iterdir()] == ["mine.txt"]
        assert memory.check().ok
        assert any(kept.name in notice for notice in memory.check().notices)


@pytest.mark.parametrize("name", ["notes.db-wal", "notes.db-shm", "notes.db-journal", "notes.reserve"])
@pytest.mark.parametrize("make", [_second_name, _file])
def test_a_file_that_came_where_ours_is_not_always_there_is_named_and_left_alone(
    tmp_path: Path, name: str, make: Callable[[Path, str], Path]
) -> None:
    """SQLite removes or writes over what it takes for its own log; nothing but the name says that it is."""
    home = tmp_path / "home"
    with Memory(home, embedder="hash") as memory:
        memory.remember("Ana lives in Porto.")
    (home / name).unlink(missing_ok=True)
    foreign = Foreign([make(home, name)])
    foreign.note()

    with pytest.raises(StoreForeign, match=name):
        Memory(home, embedder="hash")

    assert foreign.breaches() == []
    foreign.paths[0].unlink()
    with Memory(home, embedder="hash") as memory:
        assert [note.content for note in memory.notes()] == ["Ana lives in Porto."]


def test_a_file_that_takes_the_place_of_the_reserve_of_an_open_memory_stays(tmp_path: Path) -> None:
    with Memory(tmp_path, embedder="hash") as memory:
        (tmp_path / "notes.reserve").unlink()
        (tmp_path / "notes.reserve").write_bytes(b"theirs")
        memory.forget(memory.remember("Ana lives in Porto.").id)
        assert any("reserve" in notice for notice in memory.check().notices)
    assert (tmp_path / "notes.reserve").read_bytes() == b"theirs"


@pytest.mark.parametrize(
    "name", ["notes.db", "notes.db-wal", "agentmem.json", "notes.reserve", "{weights}/mine.jsonl", "{index}/mine.jsonl"]
)
@pytest.mark.parametrize("verb", ["export", "graph_page"])
def test_nothing_that_a_user_asks_for_is_written_over_the_memory_itself(tmp_path: Path, name: str, verb: str) -> None:
    with Memory(tmp_path, embedder="hash") as memory:
        memory.remember("Ana lives in Porto.")
        named = {"weights": memory._parts.weights.pack_store.folder.name, "index": memory._parts.core.indexer.root.name}
        with pytest.raises(InvalidArgument, match="memory's own"):
            getattr(memory, verb)(tmp_path / "." / name.format(**named))
        assert memory.check().ok
    with Memory(tmp_path, embedder="hash") as memory:
        assert len(memory.notes()) == 1
