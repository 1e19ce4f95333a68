"""Random damage of packs and of the vector index: told by a typed error or by ``check()``, and nothing wrong is ever served."""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agentmem import Fact, Memory, Settings
from agentmem.editors import packs
from agentmem.embedding.embedders import HashEmbedder
from agentmem.errors import AgentMemError
from agentmem.llm.small_model import load_small_model
from agentmem.notes.clock import ManualClock
from agentmem.settings import IndexSettings, RememberSettings
from agentmem.stores.chroma import indexer as indexing
from agentmem.weights.registry import METHOD

ASKED = "Where does Oren Dorrell live?"
INDEXED = Settings(index=IndexSettings(exact_limit=2, batch=1))
LOOKING = Settings(index=IndexSettings(exact_limit=2, batch=1, flush_on_close=False))
EXACT = Settings(index=IndexSettings(exact_limit=10**9, flush_on_close=False))


# -- packs ---------------------------------------------------------------------------------------------------------


def header_of(data: bytes) -> tuple[dict[str, Any], bytes]:
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def with_header(header: Any, body: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def retyped(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[random.Random, bytes], bytes]:
    def damage(rng: random.Random, data: bytes) -> bytes:
        head, tensors = packs.decode(data)
        floats = [name for name, value in tensors.items() if value.dtype.kind == "f" and value.size]
        name = rng.choice(sorted(floats))
        return packs.encode(head, {**tensors, name: change(tensors[name])})

    return damage


def retold(change: Callable[[dict[str, Any]], object]) -> Callable[[random.Random, bytes], bytes]:
    """What it says of itself is changed, and its digest fits what it says then."""

    def damage(rng: random.Random, data: bytes) -> bytes:
        head, tensors = packs.decode(data)
        change(head)
        return packs.encode(head, tensors)

    return damage


def flipped(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def declared(rng: random.Random, data: bytes) -> bytes:
    header, body = header_of(data)
    name = rng.choice(sorted(set(header) - {"__metadata__"}))
    header[name]["shape"] = [2**40, 2**20]
    return with_header(header, body)


DAMAGE: dict[str, Callable[[random.Random, bytes], bytes]] = {
    "NaN": retyped(lambda a: np.full_like(a, np.nan)),
    "infinity": retyped(lambda a: np.full_like(a, np.inf)),
    "wrong shape": retyped(lambda a: a.reshape(-1)[: max(1, a.size // 2)].copy()),
    "no rows": retyped(lambda a: a[:0].copy()),
    "another type": retyped(lambda a: a.astype(np.float64)),
    "no edits": retold(lambda head: head.pop("edits")),
    "edits that are none": retold(lambda head: head.update(edits=[1, None, "x"])),
    "an edit without words": retold(lambda head: [edit.clear() for edit in head["edits"]]),
    "another layout": retold(lambda head: head.update(layout="unknown", method="unknown")),
    "a base that is none": retold(lambda head: [head.update({name: None}) for name in list(head) if name != "format"]),
    "huge header": lambda rng, data: struct.pack("<Q", 2**62) + data[8:],
    "wide header": lambda rng, data: with_header(b" " * (101 * 2**20), b""),
    "impossible shape": declared,
    "deep header": lambda rng, data: with_header(b"[" * 100_000, b""),
    "cut": lambda rng, data: data[: rng.randrange(len(data))],
    "empty": lambda rng, data: b"",
    "zeros": lambda rng, data: bytes(len(data)),
    "noise": lambda rng, data: rng.randbytes(len(data)),
    "bit": flipped,
}


@pytest.fixture(scope="module")
def model() -> tuple[Any, Any]:
    return load_small_model()


@pytest.fixture(scope="module")
def consolidated(tmp_path_factory: pytest.TempPathFactory, model: tuple[Any, Any]) -> tuple[Path, bytes]:
    """A memory with one edit in its weights, and the bytes of its pack."""
    place, clock = tmp_path_factory.mktemp("damage") / "memory", ManualClock(datetime(2026, 3, 2, tzinfo=UTC))
    with Memory(place, embedder="hash", clock=clock, model=model) as memory:
        note = memory.remember(
            "Oren Dorrell lives in Porto.", user="ana", fact=Fact("Oren Dorrell", "lives in", "Porto")
        )
        for _ in range(6):
            clock.advance(days=2)
            memory.reinforce(note.id, user="ana")
        assert memory.consolidate(user="ana").promoted
    (pack,) = place.glob("weights-*/*.safetensors")
    return place, pack.read_bytes()


def put(memory: Memory, data: bytes) -> None:
    """A pack whose name fits its bytes: what only a look at what it says can refuse."""
    with memory._parts.core.store.write() as tx:
        tx.ledger.set_active_pack(METHOD, memory._parts.weights._put(tx, data), 0)


QUICK = (
    "NaN",
    "wrong shape",
    "no rows",
    "edits that are none",
    "an edit without words",
    "huge header",
    "deep header",
    "bit",
)
CASES = [
    pytest.param(
        kind,
        named,
        marks=() if (kind in QUICK and named) or kind == "bit" else pytest.mark.slow,
        id=f"{kind}, {'renamed' if named else 'in place'}",
    )
    for kind in DAMAGE
    for named in (True, False)
]


@pytest.mark.parametrize(("kind", "named"), CASES)
def test_a_damaged_pack_is_not_served_and_can_be_rebuilt(
    consolidated: tuple[Path, bytes], model: tuple[Any, Any], tmp_path: Path, kind: str, named: bool
) -> None:
    """Whether its name still fits its bytes or not: a note answers in its place, ``check()`` names the cure, and the cure cures."""
    place = tmp_path / "memory"
    shutil.copytree(consolidated[0], place)
    data = DAMAGE[kind](random.Random(1), consolidated[1])
    if not named:
        (pack,) = place.glob("weights-*/*.safetensors")
        pack.write_bytes(data)
    with Memory(place, embedder="hash", clock=ManualClock(datetime(2026, 3, 20, tzinfo=UTC)), model=model) as memory:
        if named:
            put(memory, data)
        answer = memory.ask(ASKED, user="ana")
        assert (
            answer.source != "weights" or answer.text == "Porto."
        )  # a flipped bit may lie where nothing depends on it
        if answer.source != "weights":
            assert memory.status(user="ana").trouble
        memory.rebuild("weights")
        assert memory.ask(ASKED, user="ana", use="weights").text == "Porto."
        assert memory.check().ok


@pytest.mark.slow
def test_random_bits_of_a_pack_never_raise_anything_untyped(
    consolidated: tuple[Path, bytes], model: tuple[Any, Any], tmp_path: Path
) -> None:
    """A thousand flips under a fitting name: served as if nothing had happened, or refused by type."""
    place, rng, refused, typed = tmp_path / "memory", random.Random(7), 0, 0
    shutil.copytree(consolidated[0], place)
    with Memory(place, embedder="hash", model=model) as memory:
        for _ in range(1000):
            put(memory, flipped(rng, consolidated[1]))
            try:
                memory.ask(ASKED, user="ana", use="weights")
            except AgentMemError:
                typed += 1
            refused += memory._parts.weights.trouble is not None
    assert refused > 900
    assert typed <= refused


# -- the vector index ------------------------------------------------------------------------------------------------


def indexed(place: Path, notes: int, batch: int = 256) -> None:
    settings = Settings(
        index=IndexSettings(exact_limit=2, batch=1), remember=RememberSettings(neighbour_limit=0, batch=batch)
    )
    with Memory(place, embedder=HashEmbedder(32), settings=settings) as memory:
        memory.remember_many([f"Word{n} stands beside word{n + 1}." for n in range(notes)], progress=False)
        memory.flush()


def targets(place: Path) -> list[Path]:
    return sorted(path for path in place.glob("index-*/chroma-*/**/*") if path.is_file() and path.stat().st_size)


def flip(path: Path, rng: random.Random) -> None:
    """One bit, with size and times as they were."""
    status = path.stat()
    with path.open("r+b") as file:
        at = rng.randrange(status.st_size)
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1 << rng.randrange(8)]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    indexed(tmp_path / "memory", 40)
    return tmp_path / "memory"


def says(place: Path) -> list[str]:
    with Memory(place, embedder=HashEmbedder(32), settings=LOOKING) as memory:
        return [problem for problem in memory.check().problems if "index" in problem]


def test_a_flipped_bit_of_a_segment_is_found_though_its_file_is_as_old_as_it_was(small: Path) -> None:
    """In every file of a segment, at random places; found by ``check()``, built again by its cure, and never crashed over."""
    rng = random.Random(3)
    for name in ("data_level0.bin", "length.bin", "header.bin"):
        (path,) = [p for p in targets(small) if p.name == name]
        flip(path, rng)
        assert says(small), name
        with Memory(small, embedder=HashEmbedder(32), settings=INDEXED) as memory:
            assert memory.recall("word7")[0].note.content.startswith("Word")
            memory.rebuild("vectors")
            assert memory.check().ok


def test_an_index_whose_vectors_are_others_is_found(small: Path) -> None:
    """Digests say that files are as they were written; the vectors in them are compared with the store's all the same."""
    with Memory(small, embedder=HashEmbedder(32), settings=INDEXED) as memory:
        index = memory._parts.core.indexer
        assert index is not None
        opened = index._opened()
        with memory._parts.core.store.read() as tx:
            rows, vectors = tx.vectors.load_owner(1)
        opened.upsert(1, rows[:1].tolist(), -vectors[:1])
        index._save(
            index._state.__class__(
                **{
                    **_plain(index._state),
                    "manifest": indexing.snapshot(index.directory),
                    "digests": indexing.digests(index.directory),
                }
            )
        )
        assert any("not those of their notes" in problem for problem in memory.check(deep=True).problems)


def _plain(state: Any) -> dict[str, Any]:
    return {name: getattr(state, name) for name in state.__dataclass_fields__}


def test_without_digests_the_harness_finds_flips_that_nobody_notices(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "digests", lambda directory: {})
    monkeypatch.setattr(indexing, "compare", lambda store, index, deep: [])
    (path,) = [p for p in targets(small) if p.name == "data_level0.bin"]
    flip(path, random.Random(3))
    assert says(small) == []


def test_an_untouched_index_is_sound_however_often_it_is_opened(small: Path) -> None:
    """Chroma touches its files when it opens them; that is no damage."""
    for _ in range(3):
        with Memory(small, embedder=HashEmbedder(32), settings=INDEXED) as memory:
            memory.recall("word7")
            assert memory.check(deep=True).ok
            assert memory.check().index == "ok"


@pytest.mark.slow
def test_random_damage_of_an_index_of_fifty_thousand_vectors(tmp_path: Path) -> None:
    """Twenty bits, each anywhere in it: each found by ``check()``, and recall answers as it did before."""
    place, rng = tmp_path / "memory", random.Random(11)
    indexed(place, 50_000, batch=5000)
    with Memory(place, embedder=HashEmbedder(32), settings=INDEXED) as memory:
        assert memory.check(deep=True).ok
    with Memory(place, embedder=HashEmbedder(32), settings=EXACT) as memory:
        expected = [hit.note.id for hit in memory.recall("word777 word778")]
    missed = []
    for _ in range(20):
        damaged = tmp_path / "damaged"
        shutil.copytree(place, damaged)
        path = rng.choice(targets(damaged))
        flip(path, rng)
        # of the tables, the rows count: a bit of a page that nothing lies on says nothing
        if not says(damaged) and path.name != "chroma.sqlite3":
            missed.append(path.name)
        with Memory(damaged, embedder=HashEmbedder(32), settings=EXACT) as memory:
            assert [hit.note.id for hit in memory.recall("word777 word778")] == expected
        shutil.rmtree(damaged)
    assert missed == []
