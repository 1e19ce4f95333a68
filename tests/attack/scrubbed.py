"""Random programs on a database, then deletions, then a scrubbing beside somebody who reads and writes; says what the bytes hold afterwards.

Run as ``python scrubbed.py DIRECTORY FIRST COUNT [WITHOUT]``; one JSON line per program. ``WITHOUT`` leaves a guard out: ``blanking`` or ``commit``.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from byte_search import canary, traces

from agentmem.stores.sqlite import scrub

TABLES = """
    CREATE TABLE scrubbed (id INTEGER PRIMARY KEY, times INTEGER NOT NULL); INSERT INTO scrubbed VALUES (1, 0);
    CREATE TABLE erasing (seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, place TEXT NOT NULL);
    CREATE TABLE note (id INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT, hash BLOB, content TEXT, counter INTEGER NOT NULL DEFAULT 0);
    CREATE UNIQUE INDEX note_uid ON note (uid); CREATE INDEX note_hash ON note (hash);
    CREATE TABLE term (owner INTEGER, term TEXT, row INTEGER, PRIMARY KEY (owner, term, row)) WITHOUT ROWID;
    CREATE INDEX term_row ON term (row);
    CREATE TABLE mark (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
"""


def connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=20)
    for pragma in ("journal_mode=WAL", "secure_delete=ON", "synchronous=OFF", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def delete(c: sqlite3.Connection, row: int) -> None:
    c.execute("BEGIN IMMEDIATE")
    c.execute("DELETE FROM term WHERE row = ?", (row,))
    c.execute("DELETE FROM note WHERE id = ?", (row,))
    c.execute("COMMIT")


def program(rng: random.Random, path: Path) -> tuple[sqlite3.Connection, dict[int, str]]:
    """Notes of all lengths come, change and go; returns those that are there, by row."""
    c, live = connect(path), dict[int, str]()
    c.executescript(TABLES)
    for _ in range(rng.randrange(10, 120)):
        c.execute("BEGIN IMMEDIATE")
        for _ in range(rng.randrange(1, 6)):
            chance = rng.random()
            if chance < 0.6 or not live:
                word = canary(rng)
                text = " ".join([word] * rng.randrange(1, 4)) + " x" * rng.choice([0, 3, 50, 400, 4000]) + word
                row = c.execute(
                    "INSERT INTO note (uid, hash, content) VALUES (?, ?, ?)", (word + "u", word[::-1].encode(), text)
                ).lastrowid
                c.executemany(
                    "INSERT INTO term VALUES (1, ?, ?)",
                    [(f"{rng.randrange(9)}{word}{i}", row) for i in range(rng.randrange(12))],
                )
                assert row is not None
                live[row] = word
            elif chance < 0.8:
                row = rng.choice(list(live))
                c.execute(
                    "UPDATE note SET content = ? WHERE id = ?", (live[row] + " y" * rng.choice([0, 10, 900, 3000]), row)
                )
            else:
                row = rng.choice(list(live))
                del live[row]
                c.execute("DELETE FROM term WHERE row = ?", (row,))
                c.execute("DELETE FROM note WHERE id = ?", (row,))
        c.execute("COMMIT")
    return c, live


def fork(work: Callable[[], None]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except BaseException:  # noqa: BLE001 - told by the status
        traceback.print_exc()
    os._exit(1)


def neighbour(path: Path, rows: list[int], ready: int, go: int, late: bool) -> None:
    """Keeps every page in its cache, and changes them: all the time, or only after the scrubbing, during which it reads."""
    c = connect(path)
    c.execute("PRAGMA wal_autocheckpoint=50")
    os.set_blocking(go, False)
    read(c)
    os.write(ready, b"r")
    while late and not told(go):
        read(c)
    number = 0
    while True:
        c.execute("BEGIN IMMEDIATE")
        (held,) = c.execute("SELECT coalesce(max(id), 0) FROM mark").fetchone()
        assert held == number, "a commit was lost"
        number += 1
        c.execute("INSERT INTO mark VALUES (?, ?)", (number, "m" * (number % 900)))
        for row in rows[number % 7 :: 7] if not late else rows:
            assert c.execute("UPDATE note SET counter = counter + 1 WHERE id = ?", (row,)).rowcount == 1
            c.execute("UPDATE OR IGNORE term SET owner = owner + 1 WHERE row = ?", (row,))
        c.execute("COMMIT")
        assert c.execute("SELECT count(*), max(id) FROM mark").fetchone() == (number, number)
        if late:
            break
        if told(go):
            break
    c.close()


def read(c: sqlite3.Connection) -> None:
    for sql in (
        "SELECT * FROM note",
        "SELECT * FROM term",
        "SELECT uid FROM note ORDER BY uid",
        "SELECT hash FROM note ORDER BY hash",
    ):
        c.execute(sql).fetchall()


def told(go: int) -> bool:
    try:
        return os.read(go, 1) == b"g"
    except BlockingIOError:
        return False


def scrubbing(path: Path, without: str) -> None:
    """In a process of its own, so that the guards that are left out are missing there alone."""
    if without == "blanking":
        scrub.remnants = lambda *_: {}  # type: ignore[assignment]
    if without == "commit":  # neither behind the blanking nor at the end: nobody learns that his pages are out of date
        scrub._commit = lambda connection: connection.execute("ROLLBACK")  # type: ignore[assignment]
        scrub._Scrubber._noted = lambda self, due: None  # type: ignore[method-assign]
        look = scrub.remnants
        scrub.remnants = lambda *where: (time.sleep(0.03), look(*where))[1]  # type: ignore[assignment]  # so that the neighbour reads meanwhile
    scrub.main([str(path), "10"])


def one(seed: int, root: Path, without: str) -> dict[str, object]:
    rng, path = random.Random(seed), root / str(seed) / "notes.db"
    path.parent.mkdir()
    c, live = program(rng, path)
    while not live:  # everything was deleted again
        c.close()
        path.unlink()
        c, live = program(rng, path)
    gone = rng.sample(sorted(live), max(1, len(live) // 2))
    kept = sorted(set(live) - set(gone))
    late = rng.random() < 0.6
    ready, go = os.pipe(), os.pipe()
    for row in gone:
        delete(c, row)
    c.execute("INSERT INTO erasing (at, place) VALUES (0, 'file')")
    before = bool(traces(path.parent, [live[row] for row in gone], root / f"{seed}.copy", 8))
    beside = fork(lambda: neighbour(path, kept, ready[1], go[0], late))
    assert os.read(ready[0], 1) == b"r"
    scrubber = fork(lambda: scrubbing(path, without))
    clean = os.waitpid(scrubber, 0)[1] == 0
    os.write(go[1], b"g")
    sound = os.waitpid(beside, 0)[1] == 0
    c.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    left = traces(path.parent, [live[row] for row in gone], root / f"{seed}.copy", 8)
    sound = sound and c.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    sound = sound and c.execute("SELECT count(*) FROM note").fetchone()[0] == len(kept)
    sound = sound and all(live[row] in text for row, text in c.execute("SELECT id, content FROM note"))
    c.close()
    for end in (*ready, *go):
        os.close(end)
    path.unlink()
    return {"seed": seed, "before": before, "clean": clean, "sound": sound, "left": left[:3], "late": late}


def main() -> None:
    root, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    out = os.dup(1)
    os.dup2(2, 1)  # what the scrubber says
    for seed in range(first, first + count):
        os.write(out, (json.dumps(one(seed, root, sys.argv[4] if len(sys.argv) > 4 else "")) + "\n").encode())


if __name__ == "__main__":
    main()
