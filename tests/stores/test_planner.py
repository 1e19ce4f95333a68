"""The planner takes the cheapest way that is exact enough, says why, and forgets what the notes forget."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem import Memory, Settings
from agentmem.errors import EmbedderMismatch
from agentmem.recall.exact_or_index import AMONG, FEWEST, SHORTLIST, choose, shortlist
from agentmem.settings import IndexSettings, RecallSettings
from agentmem.stores.sqlite.store import SqliteStore
from agentmem.stores.vectors import signs
from agentmem.stores.vectors.exact import ExactIndex

INDEX = IndexSettings()


@pytest.fixture(scope="module")
def sentences():
    """Vectors like those of sentences: topics, a few strong directions, and noise."""

    def make(count: int, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(1)
        topics, axes = rng.normal(size=(60, 48)), rng.normal(size=(48, 384)) * np.linspace(1.5, 0.3, 48)[:, None]
        rng = np.random.default_rng(seed)
        latent = 0.7 * topics[rng.integers(0, 60, count)] + rng.normal(size=(count, 48))
        vectors = (latent @ axes + 1.2 * rng.normal(size=(count, 384))).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    return make


def test_small_scopes_are_scanned_and_large_ones_by_their_signs() -> None:
    assert choose(100, 200, INDEX, index="ok").way == "exact"
    large = choose(AMONG, 200, INDEX, index="ok")
    assert (large.way, large.shortlist) == ("signs", SHORTLIST * 200)
    assert choose(4 * AMONG, 200, INDEX).shortlist == 2 * large.shortlist
    assert choose(AMONG, 8, INDEX).shortlist == FEWEST
    assert choose(INDEX.exact_limit + 1, 200, INDEX, index="ok").way == "chroma"
    assert choose(INDEX.exact_limit + 1, 200, INDEX, index="damaged").way == "signs"
    assert choose(10**9, 200, INDEX, only=40).way == "exact"


@given(st.integers(0, 10**7), st.integers(1, 1000), st.sampled_from(["ok", "missing", "not kept"]))
def test_every_plan_can_be_carried_out_and_says_why(size, wanted, health) -> None:
    """No plan asks an index that is not sound, or a shortlist shorter than the result."""
    plan = choose(size, wanted, INDEX, index=health)

    assert plan.why
    assert plan.way != "chroma" or health == "ok"
    assert (plan.shortlist >= wanted) == (plan.way == "signs")
    assert plan.describe()["vectors"] == plan.way


@given(st.integers(1, 3000), st.integers(1, 3500), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_the_shortlist_is_what_sorting_would_give(size, count, seed) -> None:
    """At least as many as asked for, and nobody outside differs less than somebody inside."""
    differences = np.random.default_rng(seed).integers(0, 1 + seed % 390, size).astype(np.uint16)
    places = signs.nearest(differences, count)
    outside = np.setdiff1d(np.arange(size), places)

    assert len(places) >= min(count, size)
    assert len(outside) == 0 or differences[outside].min() > differences[places].max()


@pytest.mark.parametrize("dimension", [1, 8, 63, 64, 65, 384])
def test_differing_bits_are_counted(dimension) -> None:
    """As many as there are numbers of opposite sign."""
    vectors = np.random.default_rng(dimension).normal(size=(70, dimension)).astype(np.float32)

    found = signs.differing(signs.pack(vectors), signs.pack(vectors[:1]))

    assert found.tolist() == [int(((v > 0) != (vectors[0] > 0)).sum()) for v in vectors]


def test_signs_find_what_a_scan_finds(fill, sentences) -> None:
    """Of the 200 nearest 0.99, of the ten nearest all but a thousandth, and with the same cosines."""
    store = SqliteStore()
    fill(store, sentences(20_000))
    index, shares, tops = ExactIndex(store), [], []
    with store.read() as tx:
        for query in sentences(20, seed=5):
            rows, cosines = index.search(tx, (1,), query, 200)
            near, scores = index.search(tx, (1,), query, 200, shortlist=shortlist(20_000, 200))
            same = dict(zip(rows.tolist(), cosines.tolist(), strict=True))
            shares.append(len(same.keys() & set(near.tolist())) / 200)
            tops.append(len(set(rows[:10].tolist()) & set(near[:10].tolist())) / 10)
            known = [
                (same[row], score) for row, score in zip(near.tolist(), scores.tolist(), strict=True) if row in same
            ]
            assert np.allclose(*zip(*known, strict=True), atol=1e-5)
    assert np.mean(shares) >= 0.99
    assert np.mean(tops) >= 0.999
    store.close()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["add", "replace", "remove"]), st.integers(0, 40)), max_size=30))
def test_signs_forget_what_the_notes_forget(make, put, unit, steps) -> None:
    """After any history the bits of a row are those of its vector, and of removed rows nothing is left."""
    store, vectors = SqliteStore(), unit(64, 70)
    index, held = ExactIndex(store), {}
    with store.write() as tx:
        held[put(tx, make(999), vectors[0])] = 0
        index.search(tx, (1,), vectors[0], 1, shortlist=1)
        index._blocks[1].shortlist(vectors[0], 1)  # from here on the bits are kept
    for number, (step, pick) in enumerate(steps):
        with store.write() as tx:
            if step == "add":
                held[put(tx, make(number), vectors[pick])] = pick
            elif held:
                row = sorted(held)[pick % len(held)]
                if step == "replace":
                    tx.vectors.put([row], 1, vectors[pick : pick + 1])
                    held[row] = pick
                else:
                    tx.vectors.delete([row])
                    del held[row]
        if number % 3 == 0:
            with store.read() as tx:
                index.refresh(tx)
    with store.read() as tx:
        index.refresh(tx)
    block = index._blocks[1]
    halves = vectors.astype(np.float16).astype(np.float32)
    for row, pick in held.items():
        slot = int(block.slots([row])[0])
        assert (block._signs[:, slot] == signs.pack(halves[pick : pick + 1])[:, 0]).all()
    assert len(block) == len(held)
    assert not block._signs[:, len(held) :].any()
    assert not block._vectors[len(held) :].any()
    store.close()


def test_many_at_once_are_what_each_alone_finds(fill, unit) -> None:
    """One matrix product for a batch gives every item the neighbours that its own search gives it."""
    store, vectors = SqliteStore(), unit(300)
    fill(store, vectors)
    index = ExactIndex(store)
    with store.read() as tx:
        together = index.nearest(tx, 1, vectors[:40], 5, 0.2)
        for vector, near in zip(vectors[:40], together, strict=True):
            rows, cosines = index.search(tx, (1,), vector, 5)
            alone = [row for row, cosine in zip(rows.tolist(), cosines.tolist(), strict=True) if cosine >= 0.2]
            assert [row for row, _ in near] == alone
        with pytest.raises(EmbedderMismatch):
            index.nearest(tx, 1, np.ones((2, 8), np.float32), 5, 0.2)
        assert index.count(tx, (1, 7), 1000) == 300
        assert index.count(tx, (1,), 10) == 11
    store.close()


def test_recall_says_which_way_it_took(tmp_path) -> None:
    """A large scope goes by sign bits, a narrow filter does not; both find the note."""

    class Double:
        dimension, fingerprint = 64, "double"

        def embed(self, texts):
            seeds = [int.from_bytes(text.encode()[:6], "big") for text in texts]
            vectors = np.stack([np.random.default_rng(seed).normal(size=64) for seed in seeds]).astype(np.float32)
            return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    items = [{"content": f"{i:06d} apples", "user": "ana", "tags": ["old"] if i < 20 else []} for i in range(4000)]
    few = Settings(recall=RecallSettings(candidates=20))
    with Memory(None, embedder=Double(), settings=few) as memory:
        memory.remember_many(items, progress=False)
        wide = memory.recall("001321 apples", user="ana")
        narrow = memory.recall("000007 apples", user="ana", where={"tags": {"$contains": "old"}})

    assert wide.plan["vectors"] == "signs"
    assert wide.plan["why"]
    assert wide[0].note.content == "001321 apples"
    assert narrow.plan["vectors"] == "exact"
    assert narrow[0].note.content == "000007 apples"


WRITER = """
import sys
from agentmem import Memory
memory = Memory(sys.argv[1], embedder="hash")
for line in sys.stdin:
    verb, _, text = line.strip().partition(" ")
    if verb == "remember":
        print(memory.remember(text, user="ana").id, flush=True)
    else:
        probes = memory.forget(text, user="ana").probes
        print(all(gone for place, gone in probes.items() if place != "index"), flush=True)  # whose files the other process rewrites
memory.close()
"""


@pytest.mark.parametrize("limit", [2_000_000, 0], ids=["in memory", "by the index"])
def test_what_one_process_remembers_the_other_recalls_at_its_next_call(tmp_path, limit) -> None:
    """Both ways, without reopening; and what one forgets, the other no longer finds."""
    chosen = Settings(index=IndexSettings(exact_limit=limit))
    with Memory(tmp_path, embedder="hash", settings=chosen) as memory:
        memory.remember("The cello stands in the hall.", user="ana")
        memory.recall("cello", user="ana")
        other = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

        def tell(line: str) -> str:
            other.stdin.write(line + "\n")
            other.stdin.flush()
            return other.stdout.readline().strip()

        for number in range(5):
            id = tell(f"remember Parcel number {number} waits at counter {number}.")
            found = memory.recall(f"Where does parcel number {number} wait?", user="ana")
            assert id in [hit.note.id for hit in found[:2]]
        assert tell(f"forget {id}") == "True"
        assert id not in [hit.note.id for hit in memory.recall("Where does parcel number 4 wait?", user="ana")]
        other.stdin.close()
        assert other.wait(60) == 0
