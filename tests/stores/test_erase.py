"""What was deleted and erased is in no byte of the directory."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from agentmem.errors import StoreLocked
from agentmem.notes.note import Fact
from agentmem.notes.rows import LinkRow
from agentmem.stores.sqlite.beside import scrub_beside
from agentmem.stores.sqlite.store import SqliteStore


def found(folder: Path, needles: dict[str, bytes]) -> list[str]:
    data = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return [f"{what} in {name}" for what, needle in needles.items() for name, text in data.items() if needle in text]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("scrub", [scrub_beside, lambda path, patience: None], ids=["beside", "no process"])
def test_no_byte_remains(tmp_path, make, put, unit, seed, scrub) -> None:
    """Text, tokens, metadata, id and vector of a forgotten note are gone from every file, and the rest is whole; also where no process can be
    started to blank them.
    """
    rng = random.Random(seed)
    store = SqliteStore(tmp_path / "notes.db", scrub=scrub)
    size = rng.choice([3, 40, 400])
    vectors = unit(size + 1, 384, seed)
    secret = rng.randrange(size)
    rows = []
    for start in range(0, size, 50):
        with store.write() as tx:
            for number in range(start, min(size, start + 50)):
                words = " ".join(rng.choices(["pear", "plum", "fig", "date", "lime"], k=rng.randrange(3, 400)))
                rows.append(put(tx, make(number, content=words), vectors[number]))
    with store.write() as tx:
        note = make(
            size + 1,
            id="secret-id-zzqx",
            content="qwxzsecret lies in the vault " + "filler " * rng.randrange(0, 3000),
            metadata={"where": "metasecretqx"},
            tags=("tagsecretqx",),
            facts=(Fact("subjectsecretqx", "lies in", "objectsecretqx"),),
            actor="actorsecretqx",
        )
        row = put(tx, note, vectors[-1])
        tx.text.put(row, 1, note.content, "contextsecretqx")
        tx.terms.add([(1, row, ["termsecretqx"])])
        tx.links.put([LinkRow(row, rows[secret], "next", 1.0, "reasonsecretqx")])
        tx.keys.put(1, "keysecretqx", row, {"text": "receiptsecretqx"})
        if rng.random() < 0.5:
            tx.notes.replace(row, note, b"", "versionsecretqx")
            tx.text.put(row, 1, "second qwxzsecret", "")
    if rng.random() < 0.5:
        store.close()
        store = SqliteStore(tmp_path / "notes.db", scrub=scrub)
    needles = {
        "text": b"qwxzsecret",
        "token": b"wxzsecret",
        "secrets": b"secretqx",
        "id": b"secret-id-zzqx",
        "vector": vectors[-1].astype(np.float16).tobytes()[:64],
        "vector end": vectors[-1].astype(np.float16).tobytes()[-64:],
        "float32": vectors[-1].astype(np.float32).tobytes()[:64],
    }
    assert found(tmp_path, needles)

    with store.write() as tx:
        tx.links.delete_rows([row])
        tx.text.delete([row])
        tx.vectors.delete([row])
        tx.notes.delete([row])
        tx.erasing.add(("file",), 1)
    store.erase()

    assert found(tmp_path, needles) == []
    with store.read() as tx:
        assert tx.erasing.due() == {}
    assert store.check() == []
    with store.read() as tx:
        assert tx.notes.count() == tx.text.count() == size
    store.close()


@pytest.mark.parametrize("scrub", [scrub_beside, lambda path, patience: None], ids=["beside", "no process"])
def test_erase_says_when_somebody_reads(tmp_path, make, put, scrub) -> None:
    """While another process still reads the log, erase() does not claim to have truncated it."""
    store, reader = SqliteStore(tmp_path / "n.db", scrub=scrub), SqliteStore(tmp_path / "n.db")
    with store.write() as tx:
        row = put(tx, make(1, content="forgotten words"))
    store._db.outside("PRAGMA busy_timeout=50")
    with reader.read() as tx:
        assert tx.notes.count() == 1
        with store.write() as other:
            put(other, make(2))
        with pytest.raises(StoreLocked):
            store.erase()
        with store.write() as other:
            other.notes.delete([row])
    store.erase()
    assert found(tmp_path, {"text": b"forgotten words"}) == []
    assert (tmp_path / "n.db-wal").stat().st_size < 8192  # at most that it was done
    store.close()
    reader.close()
