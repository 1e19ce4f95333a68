"""How fast recall and remember are, by size of the store and of the scope; the time of the embedder is not counted.

python -m benchmarks.scale [--notes 5000] [--scopes 1] [--queries 60] [--bulk] [--out benchmarks/results/scale.json]

Everything goes through the public interface, with an embedder that looks its vectors up. Recall is timed in turn with a bare
Chroma query (10 nearest with their texts, same vectors, same process), so that both see the same load of the machine. `--bulk`
writes the notes table by table instead of through `remember_many`: the same rows and links, for sizes that take hours otherwise.
Results are appended to the file under "notes/scopes"; a run of the same size replaces the former one.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from agentmem import Memory, Scope
from agentmem.notes.note import MemoryState, Note
from agentmem.notes.rows import LinkRow
from agentmem.recall.exact_or_index import shortlist

__all__ = ["Corpus", "measure"]

START = datetime(2026, 1, 1, tzinfo=UTC)
DIMENSION = 384
WIDTH = 10
BATCH = 5_000
Vectors = npt.NDArray[np.float32]


class Corpus:
    """Texts and vectors by number, made on demand: words by Zipf's law, vectors of low effective rank around topics.

    It is the embedder too: it knows which vector belongs to which of its texts.
    """

    dimension = DIMENSION
    fingerprint = "benchmark"

    def __init__(self, seed: int = 0, words: int = 20_000) -> None:
        rng = np.random.default_rng(seed)
        letters = ("bcdfghklmnprstvw", "aeiou")
        sound = rng.integers(0, 80, (words, 4))
        self._words = [
            "".join(letters[0][s // 5] + letters[1][s % 5] for s in row[: 2 + i % 3]) for i, row in enumerate(sound)
        ]
        chance = 1.0 / (np.arange(words) + 20.0)
        self._chance = np.cumsum(chance / chance.sum())
        self._topics = rng.normal(size=(300, 64)).astype(np.float32)
        self._axes = (
            rng.normal(size=(64, DIMENSION)).astype(np.float32) * np.linspace(1.5, 0.3, 64, dtype=np.float32)[:, None]
        )
        self._known: dict[str, npt.NDArray[np.float32]] = {}

    def make(self, start: int, count: int) -> tuple[list[str], Vectors]:
        """Texts and unit vectors with the numbers from ``start`` on."""
        rng = np.random.default_rng((7, start))
        drawn = np.searchsorted(self._chance, rng.random((count, WIDTH)))
        texts = [f"{' '.join(self._words[w] for w in row)} {start + i}." for i, row in enumerate(drawn.tolist())]
        latent = 0.7 * self._topics[rng.integers(0, 300, count)] + rng.normal(size=(count, 64)).astype(np.float32)
        vectors = latent @ self._axes + 1.2 * rng.normal(size=(count, DIMENSION)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return texts, vectors

    def know(self, texts: Sequence[str], vectors: Vectors, *, only: bool = False) -> None:
        """Texts that will be embedded next."""
        if only:
            self._known.clear()
        self._known.update(zip(texts, vectors, strict=True))

    def embed(self, texts: Sequence[str]) -> Vectors:
        """The vectors of texts that were announced."""
        return np.stack([self._known[text] for text in texts])


def build(memory: Memory, corpus: Corpus, notes: int, scopes: int, bulk: bool) -> float:
    """Store the notes, scope by scope in turn; notes per second."""
    seconds = 0.0
    for start in range(0, notes, BATCH):
        count = min(BATCH, notes - start)
        texts, vectors = corpus.make(start, count)
        corpus.know(texts, vectors, only=True)
        begun = time.perf_counter()
        if bulk:
            _write_rows(memory, start, texts, vectors, notes, scopes)
        else:
            items = [
                {
                    "content": text,
                    "user": _user(start + i, notes, scopes),
                    "occurred_at": START + timedelta(minutes=start + i),
                }
                for i, text in enumerate(texts)
            ]
            memory.remember_many(items, progress=False)
        seconds += time.perf_counter() - begun
    return notes / seconds


def _user(number: int, notes: int, scopes: int) -> str:
    """The first scope holds 10,000 notes of a large store with two scopes, else all are of one size."""
    if scopes == 2 and notes > 20_000:
        return "u1" if number < 10_000 else "u0"
    return f"u{number * scopes // notes}"


def _write_rows(memory: Memory, start: int, texts: Sequence[str], vectors: Vectors, notes: int, scopes: int) -> None:
    core = memory._parts.core
    state = MemoryState(2.3, 5.0, START)
    with core.store.write() as tx:
        core.fix_embedder(tx)
        owners = [
            tx.notes.owner(Scope(user=_user(start + i, notes, scopes)), create=True) or 0 for i in range(len(texts))
        ]
        rows = []
        for i, text in enumerate(texts):
            at = START + timedelta(minutes=start + i)
            scope = Scope(user=_user(start + i, notes, scopes))
            note = Note(
                id=core.new_id(), content=text, scope=scope, occurred_at=at, created_at=at, valid_from=at, state=state
            )
            rows.append(tx.notes.insert(note, owners[i], (start + i).to_bytes(32, "big")))
        tx.text.put_many((row, owner, text, "") for row, owner, text in zip(rows, owners, texts, strict=True))
        for owner in dict.fromkeys(owners):
            mine = [i for i, other in enumerate(owners) if other == owner]
            tx.vectors.put([rows[i] for i in mine], owner, vectors[mine])
        steps = ((1, "next", 1.0), (7, "similar", 0.7), (31, "shares", 0.5), (101, "shares", 0.4), (307, "shares", 0.3))
        tx.links.put(
            [LinkRow(rows[i], rows[i - s], kind, w, "") for i in range(len(rows)) for s, kind, w in steps if i >= s]
        )


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds, and what was returned."""
    begun = time.perf_counter()
    found = call()
    return 1000 * (time.perf_counter() - begun), found


def queries(corpus: Corpus, notes: int, count: int) -> Iterator[tuple[str, Vectors]]:
    """Questions about notes: half the words of one, and a vector near its vector."""
    rng = np.random.default_rng(3)
    for number in rng.integers(0, notes, count).tolist():
        texts, vectors = corpus.make(number - number % BATCH, BATCH)
        words = texts[number % BATCH].split()[: WIDTH // 2]
        vector = vectors[number % BATCH] + rng.normal(size=DIMENSION).astype(np.float32) / 25
        yield f"What about {' '.join(words)}?", vector / np.linalg.norm(vector)


def bare_chroma(folder: Path, corpus: Corpus, notes: int) -> Any:
    """A Chroma collection with the same vectors and texts."""
    import chromadb

    shape = {"hnsw": {"space": "cosine"}}
    collection = chromadb.PersistentClient(str(folder)).create_collection(
        "bare", configuration=shape, embedding_function=None
    )
    for start in range(0, notes, BATCH):
        texts, vectors = corpus.make(start, min(BATCH, notes - start))
        names = [str(start + i) for i in range(len(texts))]
        collection.add(ids=names, embeddings=vectors, documents=texts, metadatas=[{"number": n} for n in names])
    return collection


def compare_ways(memory: Memory, user: str, asked: Sequence[tuple[str, Vectors]]) -> dict[str, float]:
    """Vector search alone, in turn: all vectors, and sign bits; and how many of the 200 nearest the bits found."""
    core = memory._parts.core
    full, short, shares = [], [], []
    with core.store.read() as tx:
        owner = (tx.notes.owner(Scope(user=user)),)
        compared = shortlist(tx.vectors.size_of(owner[0]), 200)
        for _, vector in asked:
            ms, (rows, _) = timed(lambda v=vector: core.exact.search(tx, owner, v, 200))
            full.append(ms)
            ms, (near, _) = timed(lambda v=vector: core.exact.search(tx, owner, v, 200, shortlist=compared))
            short.append(ms)
            shares.append(len(set(rows.tolist()) & set(near.tolist())) / max(len(rows), 1))
    return {
        "exact_ms": round(statistics.median(full), 3),
        "signs_ms": round(statistics.median(short), 3),
        "signs_recall_at_200": round(statistics.fmean(shares), 4),
    }


def measure(folder: Path, notes: int, scopes: int, count: int, *, bulk: bool, chroma: bool) -> dict[str, Any]:
    """Every figure for one size of store."""
    corpus = Corpus()
    with Memory(folder / "memory", embedder=corpus) as memory:
        figures: dict[str, Any] = {"notes": notes, "scopes": scopes, "written_in_bulk": bulk}
        figures["remember_many_per_s"] = round(build(memory, corpus, notes, scopes, bulk))
        if bulk:  # the vectors stay out of the index: the planner asks it from exact_limit on only
            with memory._parts.core.store.write() as tx:
                tx.outbox.clear()
    asked = list(queries(corpus, notes, count))
    users = ["u0", "u1"] if scopes == 2 else ["u0"] if scopes == 1 else [f"u{i % scopes}" for i in range(count)]
    collection = bare_chroma(folder / "chroma", corpus, notes) if chroma else None
    begun = time.perf_counter()
    with Memory(folder / "memory", embedder=corpus) as memory:
        figures["open_s"] = round(time.perf_counter() - begun, 3)
        for text, vector in asked:
            corpus.know([text], vector[None])
        for user in dict.fromkeys(users if scopes <= 2 else ["every scope in turn"]):
            figures[user] = _recalls(memory, asked, [user] * count if scopes <= 2 else users, collection)
            figures[user] |= compare_ways(memory, user if scopes <= 2 else users[0], asked[: min(count, 30)])
        figures["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        texts, vectors = corpus.make(notes + BATCH, 100)
        corpus.know(texts, vectors)
        ms = [timed(lambda t=text: memory.remember(t, user=users[-1]))[0] for text in texts]
        figures["remember_per_s"] = round(1000 / statistics.median(ms))
        figures["load_average"] = round(os.getloadavg()[0], 1)
    return figures


def _recalls(
    memory: Memory, asked: Sequence[tuple[str, Vectors]], users: Sequence[str], collection: Any
) -> dict[str, Any]:
    first, _ = timed(lambda: memory.recall(asked[0][0], user=users[0]))
    for user in dict.fromkeys(users):
        memory.recall(asked[0][0], user=user)
    ours, theirs, used, their_cpu = [], [], [], []
    for (text, vector), user in zip(asked, users, strict=True):
        begun = time.process_time()
        ms, found = timed(lambda t=text, u=user: memory.recall(t, user=u))
        used.append(1000 * (time.process_time() - begun))
        ours.append(ms)
        if collection is not None:
            begun = time.process_time()
            theirs.append(timed(lambda v=vector: collection.query(query_embeddings=v[None], n_results=10))[0])
            their_cpu.append(1000 * (time.process_time() - begun))
    figures: dict[str, Any] = {
        "first_recall_ms": round(first, 1),
        "recall_ms_p50": round(statistics.median(ours), 2),
        "recall_ms_p95": round(float(np.percentile(ours, 95)), 2),
        "recall_ms_min": round(min(ours), 2),
        "recall_cpu_ms_p50": round(statistics.median(used), 2),
        "plan": dict(found.plan),
    }
    if theirs:
        figures["chroma_ms_p50"] = round(statistics.median(theirs), 2)
        figures["chroma_ms_min"] = round(min(theirs), 2)
        figures["chroma_cpu_ms_p50"] = round(statistics.median(their_cpu), 2)
        figures["recall_over_chroma_cpu_p50"] = round(statistics.median(used) / statistics.median(their_cpu), 2)
        figures["recall_over_chroma_p50"] = round(statistics.median(ours) / statistics.median(theirs), 2)
    return figures


def main() -> None:
    """Parse the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--notes", type=int, default=5_000)
    parser.add_argument(
        "--scopes", type=int, default=1, help="2 with more than 20,000 notes: one of 10,000 and the rest"
    )
    parser.add_argument("--queries", type=int, default=60)
    parser.add_argument("--bulk", action="store_true")
    parser.add_argument(
        "--no-chroma", action="store_true", help="do not compare: Chroma takes a millisecond a vector to build"
    )
    parser.add_argument(
        "--folder", type=Path, default=None, help="where the store goes; removed at the end when not given"
    )
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        sizes = (options.notes, options.scopes, options.queries)
        figures = measure(folder, *sizes, bulk=options.bulk, chroma=not options.no_chroma)
    print(json.dumps(figures, indent=2))
    if options.out is not None:
        known = json.loads(options.out.read_text("utf-8")) if options.out.exists() else {}
        known[f"{options.notes}/{options.scopes}"] = figures
        options.out.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
