"""What recall finds in imported documents, by how their chunks are made: which size, and which titles stand above them.

python -m benchmarks.documents [--out benchmarks/results/documents.json]

The documents are this repository's own guides; the questions were written by somebody who had read them, in other words than theirs
where there are any, each with a phrase that stands in one place. Recall@k: of so many questions the first k hits hold the phrase. With
`--embedder hash` it shows nothing but full text.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

from agentmem import Memory
from agentmem.integrations.documents import chunking

__all__ = ["measure"]

ROOT = Path(__file__).parents[1]
QUESTIONS = (
    ("How many candidates come from each kind of search?", "give up to 200 notes each"),
    ("At what length is a note split for embedding?", "480 characters has a vector for each of its passages"),
    ("Which multilingual model can I use instead of MiniLM?", "paraphrase-multilingual-MiniLM-L12-v2"),
    ("How is Thai tokenised without spaces?", "Khmer and Burmese put no blanks"),
    ("Can I ask for every matching note instead of ten?", 'k="all"'),
    ("How do I get an answer as of a date in the past?", 'as_of="2025-03-01"'),
    ("What happens when two notes contradict each other?", "linked by `contradicts`"),
    ("Which forgetting curve is used?", "FSRS-6 in continuous time"),
    ("How do I undo what a model judged to be replaced?", "undo_updates(new)"),
    ("What does the assistant say when it does not know an answer?", "I do not know: what is her hobby?"),
    ("Is a note by an assistant ranked lower?", "a malus: an assistant said it"),
    ("How much disk is reserved so that deletion works when the disk is full?", "keeps 2 MiB of real blocks"),
    ("Why do deleted rows leave bytes in SQLite pages?", "balancing a b-tree moves cells"),
    ("How can I check that no bytes of a word remain?", 'verify_bytes(["a word"'),
    ("Does erasing reach backups and swap?", "backups, snapshots, exports"),
    ("What becomes of the name of a user without notes?", "its name goes from that row"),
    ("How many wordings of questions are kept for a note?", "32 latest wordings under each note"),
    ("When does a fact leave the weights again?", "A fact leaves the weights when its note"),
    ("How do I run consolidation every hour?", "consolidate --watch 60"),
    ("What are shards for, and when do edits move there?", "bulk_after=200"),
    ("Which editing methods are there, and can edits be removed?", "a masked copy of one projection"),
    ("On which architectures does GRACE work?", "recurrent_gemma"),
    ("How large is an edit on disk?", "takes 1.6 kB"),
    ("What if an answer is too long for one vector?", "every token of the answer brings a vector"),
    ("How long does a record with a lifetime live?", "From the very moment that `expires_at` names"),
    ("May a namespace label contain a dot?", "labels without dots, at most 32"),
    ("How do I filter records by a nested field?", "a dot leads into a mapping"),
    ("Are two users able to see the same key?", "has namespaces and keys of its own"),
)  # fmt: skip
PREFIXES = ("none", "titles", "file and titles")
SIZES = (400, 700, 1_000)
KS = (1, 3, 5)


def _prefixed(chunk: chunking.TextChunk, prefix: str, name: str) -> str:
    above, _, words = chunk.text.partition(":\n")
    return {"none": words, "titles": chunk.text, "file and titles": f"{name} › {above}:\n{words}"}[prefix]


def _items(prefix: str, size: int, *, threads: bool) -> list[dict[str, Any]]:
    items = []
    with patch.object(chunking, "SIZE", size), patch.object(chunking, "MOST", 2 * size):
        for path in sorted((ROOT / "docs").glob("*.md")):
            for chunk in chunking.chunks(path.read_text(encoding="utf-8"), name=path.stem, markdown=True):
                item = {"content": _prefixed(chunk, prefix, f"docs/{path.name}"), "merge": False, "facts": False}
                items.append(item | {"kind": "semantic"} | ({"session": path.name} if threads else {}))
    return items


def measure(items: list[dict[str, Any]], embedder: str | None) -> dict[str, float]:
    """Recall at each k, the mean reciprocal rank among ten, and the number and length of the chunks."""
    with Memory(None, embedder=embedder) as memory:
        memory.remember_many(items, progress=False)
        ranks = []
        for question, phrase in QUESTIONS:
            hits = [" ".join(hit.note.content.split()) for hit in memory.recall(question, k=10)]
            ranks.append(next((n for n, text in enumerate(hits, 1) if phrase in text), 0))
    return {
        **{f"recall@{k}": round(sum(0 < rank <= k for rank in ranks) / len(ranks), 3) for k in KS},
        "mrr@10": round(sum(1 / rank for rank in ranks if rank) / len(ranks), 3),
        "chunks": len(items),
        "characters": round(sum(len(item["content"]) for item in items) / len(items)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--embedder")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    rows = []
    for size in SIZES:
        for prefix in PREFIXES:
            for threads in (False, True):
                found = measure(_items(prefix, size, threads=threads), given.embedder)
                rows.append({"size": size, "prefix": prefix, "one thread per file": threads, **found})
                print(json.dumps(rows[-1]))
    result = {"questions": len(QUESTIONS), "embedder": given.embedder or "packaged", "rows": rows}
    if given.out is not None:
        given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
