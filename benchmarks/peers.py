"""Adding and searching, in turn with three other memories: the same texts and the same vectors, the embedder not counted.

PYTHONPATH=. <python of the peers> -m benchmarks.peers --ours <python of this project> [--notes 5000] [--queries 60]
    [--out benchmarks/results/peers.json]

The peers need an environment of their own (`pip install mem0ai langgraph chromadb numpy`), because their requirements are not
ours. This script runs there; agentmem runs in a process of its own python, which answers one request per line and waits in
between. In every round each memory gets the same query once, one after the other, so that all see the same load of the machine.
Each process times itself, by the wall and by the processor's clock. Nobody embeds: a table gives each text its vector.

What is stored: one user's notes. Notes are put in one by one where `add_per_s` says how fast, and the rest in the fastest way a
memory has: `remember_many`, `collection.add`; for mem0, whose `add` takes tens of milliseconds a note, its own vector store is
filled with the payload that `add` writes. mem0 runs with `infer=False` and its local Qdrant, LangGraph's store is in memory and
keeps nothing on disk, Chroma is persistent.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

WIDTH = 10
USER = "u0"
SINGLES = 60


class Vectors:
    """The texts and queries of the run, and which vector belongs to which."""

    def __init__(self, path: Path) -> None:
        held = np.load(path)
        self.texts, self.queries, self.more = (held[name].tolist() for name in ("texts", "queries", "more"))
        self.vectors, self.asked = held["vectors"], held["asked"]
        every = [*self.texts, *self.queries, *self.more]
        self._of = dict(zip(every, np.concatenate([self.vectors, self.asked, held["added"]]), strict=True))

    def embed(self, texts: Sequence[str]) -> Any:
        return np.stack([self._of[text] for text in texts])

    def lists(self, texts: Sequence[str]) -> list[list[float]]:
        return [self._of[text].tolist() for text in texts]


class Timed:
    """One memory: milliseconds of the wall and of the processor for each thing it was asked to do."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.wall: dict[str, list[float]] = {"add": [], "search": []}
        self.cpu: dict[str, list[float]] = {"add": [], "search": []}
        self.found: list[list[str]] = []
        self.version = importlib.metadata.version(name) if name != "agentmem" else ""

    def add(self, text: str) -> None:
        raise NotImplementedError

    def search(self, query: str) -> list[str]:
        raise NotImplementedError

    def run(self, what: str, text: str) -> None:
        wall, cpu, found = self.measure(what, text)
        self.wall[what].append(wall)
        self.cpu[what].append(cpu)
        if what == "search":
            self.found.append(found)

    def measure(self, what: str, text: str) -> tuple[float, float, list[str]]:
        begun, used = time.perf_counter(), time.process_time()
        found = self.search(text) if what == "search" else self.add(text) or []
        return 1000 * (time.perf_counter() - begun), 1000 * (time.process_time() - used), found


class Ours(Timed):
    """agentmem in a process of its own."""

    def __init__(self, python: str, folder: Path, notes: int, queries: int) -> None:
        super().__init__("agentmem")
        command = [
            python,
            "-m",
            "benchmarks.peers",
            "--serve",
            str(folder),
            "--notes",
            str(notes),
            "--queries",
            str(queries),
        ]
        here = str(Path(__file__).parent.parent)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": here},
            cwd=here,
        )
        self.bulk_per_s, self.version = self._answer()

    def measure(self, what: str, text: str) -> tuple[float, float, list[str]]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([what, text]) + "\n")
        self._process.stdin.flush()
        wall, cpu, found = self._answer()
        return wall, cpu, found

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate("")


def serve(folder: Path, notes: int, queries: int) -> None:
    """agentmem's side: write the corpus down, store it, and answer."""
    import agentmem
    from agentmem import Memory
    from benchmarks import scale

    corpus = scale.Corpus()
    made = [corpus.make(start, min(scale.BATCH, notes - start)) for start in range(0, notes, scale.BATCH)]
    texts, vectors = [text for part, _ in made for text in part], np.concatenate([part for _, part in made])
    asked = list(scale.queries(corpus, notes, queries))
    more, added = corpus.make(notes + 10 * scale.BATCH, SINGLES)
    np.savez(
        folder / "corpus.npz", texts=texts, vectors=vectors, queries=[text for text, _ in asked],
        asked=np.stack([vector for _, vector in asked]), more=more, added=added,
    )  # fmt: skip
    for names, values in ((texts, vectors), (more, added)):
        corpus.know(names, values)
    for text, vector in asked:
        corpus.know([text], vector[None])

    class Server(Timed):
        def add(self, text: str) -> None:
            memory.remember(text, user=USER)

        def search(self, query: str) -> list[str]:
            return [hit.note.content for hit in memory.recall(query, user=USER, k=WIDTH)]

    with Memory(folder / "agentmem", embedder=corpus) as memory:
        begun = time.perf_counter()
        memory.remember_many([{"content": text, "user": USER} for text in texts], progress=False)
        print(json.dumps([round(notes / (time.perf_counter() - begun)), agentmem.__version__]), flush=True)
        server = Server("agentmem")
        for line in sys.stdin:
            print(json.dumps(server.measure(*json.loads(line))), flush=True)


class Mem0(Timed):
    """mem0 with ``infer=False``; no language model is called, and its embedder is the table."""

    def __init__(self, folder: Path, table: Vectors) -> None:
        super().__init__("mem0ai")
        os.environ |= {"MEM0_TELEMETRY": "False", "MEM0_DIR": str(folder / "mem0-home"), "OPENAI_API_KEY": "none"}
        from mem0 import Memory

        place = {
            "path": str(folder / "mem0"),
            "on_disk": True,
            "embedding_model_dims": table.vectors.shape[1],
            "collection_name": "notes",
        }
        self._memory = Memory.from_config(
            {
                "vector_store": {"provider": "qdrant", "config": place},
                "embedder": {
                    "provider": "openai",
                    "config": {"api_key": "none", "embedding_dims": table.vectors.shape[1]},
                },
                "llm": {"provider": "openai", "config": {"api_key": "none"}},
                "history_db_path": str(folder / "mem0-history.db"),
            }
        )
        self._memory.embedding_model = _Table(table)
        begun, step = time.perf_counter(), 500
        for start in range(0, len(table.texts), step):
            texts, now = table.texts[start : start + step], datetime.now(UTC).isoformat()
            self._memory.vector_store.insert(
                vectors=table.vectors[start : start + step].tolist(),
                payloads=[
                    {
                        "data": text,
                        "text_lemmatized": text,
                        "hash": hashlib.md5(text.encode()).hexdigest(),
                        "created_at": now,
                        "updated_at": now,
                        "role": "user",
                        "user_id": USER,
                    }
                    for text in texts
                ],
                ids=[f"00000000-0000-0000-0000-{start + i:012d}" for i in range(len(texts))],
            )
        self.bulk_per_s = round(len(table.texts) / (time.perf_counter() - begun))

    def add(self, text: str) -> None:
        self._memory.add(text, user_id=USER, infer=False)

    def search(self, query: str) -> list[str]:
        found = self._memory.search(query, filters={"user_id": USER}, top_k=WIDTH)
        return [hit["memory"] for hit in found["results"]]


class _Table:
    """What mem0 calls for a vector."""

    def __init__(self, table: Vectors) -> None:
        self._table = table
        self.config = argparse.Namespace(embedding_dims=table.vectors.shape[1])

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:  # noqa: ARG002 - mem0's signature
        return self._table.lists([text])[0]

    def embed_batch(self, texts: Sequence[str], memory_action: str | None = None) -> list[list[float]]:  # noqa: ARG002 - see above
        return self._table.lists(texts)


class LangGraph(Timed):
    """LangGraph's store in memory: nothing is durable."""

    def __init__(self, table: Vectors) -> None:
        super().__init__("langgraph")
        from langgraph.store.memory import InMemoryStore

        self._store = InMemoryStore(index={"dims": table.vectors.shape[1], "embed": table.lists, "fields": ["text"]})
        begun = time.perf_counter()
        for text in table.texts:
            self.add(text)
        self.bulk_per_s = round(len(table.texts) / (time.perf_counter() - begun))

    def add(self, text: str) -> None:
        self._store.put((USER,), hashlib.md5(text.encode()).hexdigest(), {"text": text})

    def search(self, query: str) -> list[str]:
        return [item.value["text"] for item in self._store.search((USER,), query=query, limit=WIDTH)]


class Chroma(Timed):
    """A bare Chroma collection; ``where``: with the user as a condition, as a memory of many users must ask."""

    def __init__(self, folder: Path, table: Vectors, *, where: bool = False) -> None:
        super().__init__("chromadb")
        import chromadb
        from chromadb.config import Settings

        client = chromadb.PersistentClient(
            str(folder / f"chroma{where}"), settings=Settings(anonymized_telemetry=False)
        )
        shape: Any = {"hnsw": {"space": "cosine"}}
        self._notes = client.create_collection("notes", configuration=shape, embedding_function=None)
        self._table, self._where = table, {"user": USER} if where else None
        self.name = "chromadb, where user" if where else "chromadb"
        begun = time.perf_counter()
        for start in range(0, len(table.texts), 5000):
            part = slice(start, start + 5000)
            texts = table.texts[part]
            self._notes.add(
                ids=[str(start + i) for i in range(len(texts))], documents=texts, embeddings=table.vectors[part],
                metadatas=[{"user": USER} for _ in texts],
            )  # fmt: skip
        self.bulk_per_s = round(len(table.texts) / (time.perf_counter() - begun))

    def add(self, text: str) -> None:
        self._notes.add(ids=[text], documents=[text], embeddings=self._table.embed([text]), metadatas=[{"user": USER}])

    def search(self, query: str) -> list[str]:
        found = self._notes.query(query_embeddings=self._table.embed([query]), n_results=WIDTH, where=self._where)
        return list((found["documents"] or [[]])[0])


def measure(folder: Path, python: str, notes: int, queries: int) -> dict[str, Any]:
    """Every memory in turn, query by query, then note by note."""
    ours = Ours(python, folder, notes, queries)
    table = Vectors(folder / "corpus.npz")
    memories: list[Any] = [ours]
    makers: tuple[Callable[[], Timed], ...] = (
        lambda: Mem0(folder, table), lambda: LangGraph(table), lambda: Chroma(folder, table),
        lambda: Chroma(folder, table, where=True),
    )  # fmt: skip
    failed: dict[str, str] = {}
    for name, make in zip(("mem0ai", "langgraph", "chromadb", "chromadb, where user"), makers, strict=True):
        try:
            memories.append(make())
        except Exception as error:  # noqa: BLE001 - a peer that does not run here is part of the result
            failed[name] = f"{type(error).__name__}: {error}"
    for query in table.queries[:3]:  # first uses load what is loaded once
        for memory in memories:
            memory.measure("search", query)
    for what, texts in (("search", table.queries), ("add", table.more)):
        for text in texts:
            for memory in memories:
                memory.run(what, text)
    ours.close()
    figures = {memory.name: _figures(memory, ours, table) for memory in memories}
    return {
        "notes": notes,
        "queries": queries,
        "load_average": round(os.getloadavg()[0], 1),
        "memories": figures,
        "failed": failed,
    }


def _figures(memory: Any, ours: Timed, table: Vectors) -> dict[str, Any]:
    wanted = [
        {table.texts[i] for i in np.argsort(-(table.vectors @ vector))[:WIDTH].tolist()} for vector in table.asked
    ]
    nearest = [len(set(found) & near) / WIDTH for found, near in zip(memory.found, wanted, strict=True)]
    figures: dict[str, Any] = {"version": memory.version, "bulk_add_per_s": memory.bulk_per_s}
    for what in ("search", "add"):
        wall, cpu = memory.wall[what], memory.cpu[what]
        figures |= {
            f"{what}_ms_p50": round(statistics.median(wall), 3),
            f"{what}_ms_min": round(min(wall), 3),
            f"{what}_cpu_ms_p50": round(statistics.median(cpu), 3),
            f"{what}_cpu_ms_min": round(min(cpu), 3),
        }
        if memory is not ours:
            figures[f"{what}_times_ours_p50"] = round(statistics.median(wall) / statistics.median(ours.wall[what]), 1)
            figures[f"{what}_cpu_times_ours_p50"] = round(statistics.median(cpu) / statistics.median(ours.cpu[what]), 1)
    figures["share_of_the_10_nearest_vectors"] = round(statistics.fmean(nearest), 3)
    return figures


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is removed at the end, also when a peer still holds a file in it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        yield Path(name)


def main() -> None:
    """Parse the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", default="python", help="a python that has agentmem's requirements")
    parser.add_argument("--notes", type=int, default=5_000)
    parser.add_argument("--queries", type=int, default=60)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--serve", type=Path, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.serve, options.notes, options.queries)
        return
    with scratch() as folder:
        figures = measure(folder, options.ours, options.notes, options.queries)
    print(json.dumps(figures, indent=2))
    if options.out is not None:
        options.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
