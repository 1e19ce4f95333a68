"""Opening, transactions, migrations, and the errors a store answers with."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from agentmem.errors import (
    InvalidArgument,
    InvalidNote,
    StoreCorrupt,
    StoreError,
    StoreFull,
)
from agentmem.notes.note import Scope
from agentmem.notes.rows import LinkRow
from agentmem.stores.sqlite import migrations, tables
from agentmem.stores.sqlite.connection import APPLICATION_ID
from agentmem.stores.sqlite.store import SqliteStore


class Stop(Exception):
    pass


def test_import_is_light() -> None:
    """Importing the package of stores imports no Chroma, and a bare import of the folder says what to do."""
    root = Path(__file__).parents[2]
    code = "import sys, agentmem.stores, agentmem.stores.chroma.indexer; assert 'chromadb' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)

    bare = subprocess.run(
        [sys.executable, "-c", "import stores"], cwd=root, capture_output=True, text=True, check=False
    )
    assert "import agentmem.stores" in bare.stderr


def test_a_read_keeps_its_view(tmp_path, make, put) -> None:
    """What another connection commits meanwhile is not seen before the next read; data_version tells."""
    one, two = SqliteStore(tmp_path / "n.db"), SqliteStore(tmp_path / "n.db")
    version = one.data_version()
    with one.read() as tx:
        assert tx.notes.count() == 0
        with two.write() as other:
            put(other, make(1))
        assert tx.notes.count() == 0
    assert one.data_version() != version
    with one.read() as tx:
        assert tx.notes.count() == 1
    one.close()
    two.close()


def test_files_are_private(tmp_path, make, put) -> None:
    """The database and its companions can be read by their owner alone."""
    store = SqliteStore(tmp_path / "n.db")
    with store.write() as tx:
        put(tx, make(1))
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {0o600}
    store.close()


def test_pragmas(store) -> None:
    """The connection is as durable and as suspicious as promised."""
    expected = {
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
        "trusted_schema": 0,
        "cell_size_check": 1,
        "busy_timeout": 30000,
        "query_only": 0,
    }
    assert {name: store._db.outside(f"PRAGMA {name}")[0] for name in expected} == expected
    assert store._db.outside("PRAGMA journal_mode")[0] == ("memory" if store.path is None else "wal")


def test_durability_normal(tmp_path) -> None:
    store = SqliteStore(tmp_path / "n.db", durability="normal")
    assert store._db.outside("PRAGMA synchronous")[0] == 1
    store.close()
    with pytest.raises(InvalidArgument):
        SqliteStore(None, durability="fast")  # type: ignore[arg-type]


def test_wrong_places_get_typed_errors_and_no_files(tmp_path) -> None:
    """A missing directory, a file as directory, a directory as file: refused, and nothing is created."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "no" / "n.db", tmp_path / "file" / "n.db", tmp_path / "folder"):
        with pytest.raises(StoreError):
            SqliteStore(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.skipif(not hasattr(os, "setresuid") or os.getuid() != 0, reason="needs root to become somebody else")
def test_a_directory_without_rights(tmp_path) -> None:
    """A directory that cannot be written is refused with a typed error; nothing is written."""
    code = (
        "import os, sys, pathlib; from agentmem.errors import StoreReadOnly; "
        "from agentmem.stores.sqlite.store import SqliteStore\n"
        "os.setresuid(65534, 65534, 65534)\n"
        "try: SqliteStore(pathlib.Path(sys.argv[1]))\n"
        "except StoreReadOnly: sys.exit(7)\n"
    )
    for folder, mode in ((tmp_path, 0o755), (Path("/proc/1/fd"), None)):
        if mode is not None:
            folder.chmod(mode)
        command = [sys.executable, "-c", code, str(folder / "n.db")]
        assert subprocess.run(command, cwd=Path(__file__).parents[2], timeout=60, check=False).returncode == 7
    assert list(tmp_path.iterdir()) == []


def test_damaged_and_foreign_files(tmp_path) -> None:
    """A file that is not a database, another program's database and a damaged header are refused unchanged."""
    noise, foreign = tmp_path / "noise.db", tmp_path / "foreign.db"
    noise.write_bytes(b"this is not a database" * 1000)
    connection = sqlite3.connect(foreign)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    for path in (noise, foreign):
        before = path.read_bytes()
        with pytest.raises(StoreCorrupt):
            SqliteStore(path)
        assert path.read_bytes() == before


def test_damaged_pages_are_found(tmp_path, make, put) -> None:
    """check() names damage inside the file, or opening does."""
    path = tmp_path / "n.db"
    store = SqliteStore(path)
    with store.write() as tx:
        for number in range(300):
            put(tx, make(number))
    store.close()
    data = bytearray(path.read_bytes())
    for place in range(8 * 4096, len(data), 4096):
        data[place : place + 64] = os.urandom(64)
    path.write_bytes(data)

    with pytest.raises(StoreCorrupt):
        damaged = SqliteStore(path)
        problems = damaged.check()
        damaged.close()
        assert problems
        raise StoreCorrupt("found by check")


def test_a_newer_schema_is_refused_unchanged(tmp_path) -> None:
    """A store of a newer version is not touched, and the error names both versions."""
    path = tmp_path / "n.db"
    SqliteStore(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version={migrations.SCHEMA_VERSION + 1}")
    connection.close()
    before = path.read_bytes()

    with pytest.raises(StoreCorrupt, match=f"version {migrations.SCHEMA_VERSION + 1}"):
        SqliteStore(path)
    assert path.read_bytes() == before


def test_migrations_are_recorded_once_each(tmp_path, monkeypatch, make, put) -> None:
    """A later version adds its step to an existing store; a step that fails leaves the store as it was."""
    path = tmp_path / "n.db"
    store = SqliteStore(path)
    with store.write() as tx:
        put(tx, make(1))
    store.close()

    steps = migrations.MIGRATIONS
    monkeypatch.setattr(migrations, "MIGRATIONS", (*steps, ("broken", ("CREATE TABLE new (x)", "CREATE NONSENSE"))))
    monkeypatch.setattr(migrations, "SCHEMA_VERSION", len(steps) + 1)
    with pytest.raises(StoreError):
        SqliteStore(path)
    monkeypatch.setattr(migrations, "MIGRATIONS", (*steps, ("whole", ("CREATE TABLE new (x)",))))
    for _ in range(2):
        SqliteStore(path).close()

    connection = sqlite3.connect(path)
    assert connection.execute("SELECT number, name FROM migration ORDER BY number").fetchall() == list(
        enumerate([*(name for name, _ in steps), "whole"], 1)
    )
    assert connection.execute("SELECT count(*) FROM note").fetchone() == (1,)
    assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    connection.close()


def test_a_store_of_the_first_schema_is_brought_up_to_date(tmp_path, monkeypatch, make) -> None:
    """Notes and links of an older store are there after the upgrade, and fade and age like any others; their words are still to be written."""
    path = tmp_path / "n.db"
    with monkeypatch.context() as older:
        older.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:1])
        older.setattr(migrations, "SCHEMA_VERSION", 1)
        older.setattr(tables, "seal", lambda database, row: None)  # there were none
        store = SqliteStore(path)
        with store.write() as tx:
            for number in (1, 2):
                tx.notes.insert(make(number), 1, b"")
        store.close()
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO link VALUES (1, 2, 'next', 0.5, 'said next')")
    connection.commit()
    connection.close()

    store = SqliteStore(path)
    with store.read() as tx:
        assert tx.links.touching([1]) == [LinkRow(1, 2, "next", 0.5, "said next")]
        assert [f.row for f in tx.notes.resting(1, 2**60, 0.9)] == [1, 2]
        assert tx.text.missing(0, 9) == [1, 2]
        assert tx.meta_get("words") is None
    assert not [problem for problem in store.check() if "written" in problem]
    store.close()


def test_an_older_ledger_learns_whose_notes_its_lines_are_about(tmp_path, monkeypatch, make, put) -> None:
    """Of notes that are there; of one that had gone before, nobody knows any more."""
    path, step = (
        tmp_path / "n.db",
        [name for name, _ in migrations.MIGRATIONS].index("whose the lines of the ledger are"),
    )
    store = SqliteStore(path)
    with store.write() as tx:
        put(tx, make(1, id="hers", scope=Scope(user="ana")))
        for note_id, event in (("hers", "promoted"), ("gone", "forgotten"), (None, "consolidated")):
            tx.ledger.append(1, event, note_id=note_id)
    store.close()
    connection = sqlite3.connect(path)
    connection.executescript(
        f"DROP INDEX ledger_edit; ALTER TABLE ledger DROP COLUMN owner; DELETE FROM migration WHERE number > {step}; PRAGMA user_version={step}"
    )
    connection.close()

    with monkeypatch.context() as until:
        until.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[: step + 1])
        until.setattr(migrations, "SCHEMA_VERSION", step + 1)
        store = SqliteStore(path)
        with store.read() as tx:
            ana = tx.notes.owner(Scope(user="ana"))
            assert [(entry.note_id, entry.owner) for entry in tx.ledger.entries()] == [
                ("hers", ana),
                ("gone", None),
                (None, None),
            ]
            assert tx.ledger.forgotten(["hers", "gone", "none"]) == {"gone": {None}}
        store.close()


def test_a_full_disk(tmp_path, make, put, counts) -> None:
    """A full disk is StoreFull, the call writes nothing, what was acknowledged stays readable, and it heals."""
    store = SqliteStore(tmp_path / "n.db")
    with store.write() as tx:
        put(tx, make(1))
    pages = store._db.outside("PRAGMA page_count")[0]
    store._db.outside(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StoreFull), store.write() as tx:
        for number in range(2, 200):
            put(tx, make(number, content="word " * 500))
    with store.read() as tx:
        assert tx.notes.count() == 1
    assert store.check() == []
    store._db.outside("PRAGMA max_page_count=1000000")
    with store.write() as tx:
        put(tx, make(2))
    assert counts(store)["notes"] == 2
    store.close()


def test_values_sqlite_cannot_hold(store, make, put, counts) -> None:
    """Lone surrogates, metadata that is not JSON and numbers beyond 64 bits are refused, and nothing is written."""
    with pytest.raises(InvalidArgument), store.write() as tx:
        put(tx, make(1, content="a\ud800"))
    for metadata in ({"x": object()}, {"x": float("nan")}, {3: 4}):
        with pytest.raises(InvalidNote), store.write() as tx:
            put(tx, make(1, metadata=metadata))
    with pytest.raises(InvalidArgument), store.write() as tx:
        tx.notes.set_archived([1], 2**70)
    assert counts(store)["notes"] == 0


def test_the_tracer_sees_every_statement(tmp_path) -> None:
    """Also the switch between reading and writing, which is told to SQLite only when it changes."""
    seen: list[str] = []
    store = SqliteStore(tmp_path / "n.db", tracer=lambda sql, parameters: seen.append(sql))
    with store.write() as tx:
        tx.meta_set("k", "u")
    seen.clear()
    with store.read() as tx:
        tx.meta_get("k")
    assert [sql.split()[0] for sql in seen] == ["PRAGMA", "BEGIN", "SELECT", "COMMIT"]
    with store.read() as tx:
        tx.meta_get("k")
    assert [sql.split()[0] for sql in seen[4:]] == ["BEGIN", "SELECT", "COMMIT"]
    with store.write() as tx:
        tx.meta_set("k", "v")
    assert [sql.split()[0] for sql in seen[7:]] == ["PRAGMA", "BEGIN", "INSERT", "COMMIT"]
    store.close()


def test_fork(tmp_path, make, put) -> None:
    """A child opens its own connection; the parent's goes on; an in-memory store says that it cannot."""
    store, memory = SqliteStore(tmp_path / "n.db"), SqliteStore()
    with store.write() as tx:
        put(tx, make(1))

    def child(queue: multiprocessing.Queue) -> None:
        with store.write() as tx:
            put(tx, make(2))
        try:
            with memory.read():
                queue.put("read")
        except StoreError as error:
            queue.put(error.hint)

    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    answer = queue.get(timeout=20)
    process.join(20)

    assert process.exitcode == 0
    assert "path" in answer
    with store.write() as tx:
        put(tx, make(3))
        assert tx.notes.count() == 3
    assert store.check() == []
    store.close()
