"""Recall in several languages and scripts, on XQuAD: agentmem, plain cosine, and SQLite's full text over words and over pairs of characters.

python -m benchmarks.scripts --data <folder of xquad.*.json> [--before <results of another version>] [--out benchmarks/results/scripts.json]

Each sentence of a paragraph is a note (cut behind `.!?`, Chinese behind `。！？`), all notes of a language are one user's, and what a question
should find is the sentence in which its first answer begins. The questions are asked in the language of the notes. The embedder is the
packaged MiniLM, which was trained on English. `vectors alone` is agentmem without full text.

Nothing of `benchmarks` is used: run as a file with another version's folder as PYTHONPATH, it measures that one.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from agentmem import Memory
from agentmem.embedding.embedders import CachedEmbedder, make_embedder
from agentmem.recall.weights import RankingWeights
from benchmarks.plain import by_words

DEPTH = 10
_END = re.compile(r"(?<=[.!?])\s+")
_END_ZH = re.compile(r"(?<=[。！？])")
_WORD = re.compile(r"\w+")
_SINGLE = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
Search = Callable[[str], Sequence[int]]
"""From a question to the numbers of at most DEPTH sentences, best first."""


@dataclass(frozen=True)
class Corpus:
    """The sentences of a language, and of each question the number of the sentence that answers it."""

    language: str
    sentences: list[str]
    questions: list[tuple[str, int]]


def load(file: Path) -> Corpus:
    """One file of XQuAD; `xquad.zh.first24.json` is of the language `zh`."""
    language = file.name.split(".")[1]
    sentences: list[str] = []
    questions = []
    for article in json.loads(file.read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            begins = [start for start, _ in _cut(paragraph["context"], language)]
            first = len(sentences)
            sentences += [text for _, text in _cut(paragraph["context"], language)]
            for asked in paragraph["qas"]:
                at = asked["answers"][0]["answer_start"]
                questions.append((asked["question"], first + sum(begin <= at for begin in begins) - 1))
    return Corpus(language, sentences, questions)


def _cut(text: str, language: str) -> list[tuple[int, str]]:
    """(where it begins, the sentence) for each sentence of a paragraph."""
    ends = [0, *(m.end() for m in (_END_ZH if language == "zh" else _END).finditer(text)), len(text)]
    return [(start, text[start:end].strip()) for start, end in pairwise(ends) if text[start:end].strip()]


def ours(
    corpus: Corpus, embedder: CachedEmbedder, score: str = "hybrid", ranking: RankingWeights | None = None
) -> Search:
    """agentmem with a note per sentence, all of one user."""
    memory = Memory(None, embedder=embedder, ranking=ranking)
    receipts = memory.remember_many([{"content": text} for text in corpus.sentences], user="ana", progress=False)
    numbers = defaultdict(list)
    for number, receipt in enumerate(receipts):
        numbers[receipt.id].append(number)

    def search(question: str) -> list[int]:
        hits = memory.recall(question, k=DEPTH, user="ana", score=score)
        return [number for hit in hits for number in numbers[hit.note.id]][:DEPTH]

    return search


def cosine(corpus: Corpus, embedder: CachedEmbedder) -> Search:
    """What a vector store does."""
    vectors = embedder.embed(corpus.sentences)
    return lambda question: np.argsort(-(vectors @ embedder.embed([question])[0]), kind="stable")[:DEPTH].tolist()


def fts5(corpus: Corpus, cut: Callable[[str], list[str]]) -> Search:
    """SQLite FTS5, any of what a question is cut into, ranked by BM25."""
    search = by_words([" ".join(cut(text)) for text in corpus.sentences], DEPTH)
    return lambda question: search(" ".join(cut(question)))


def pairs(text: str) -> list[str]:
    """Words, and of Chinese and Japanese each two neighbouring characters."""
    cut = []
    for word in _WORD.findall(text):
        cut += ["".join(two) for two in pairwise(word)] if _SINGLE.search(word) and len(word) > 1 else [word]
    return cut


def measure(corpus: Corpus, search: Search) -> dict[str, float]:
    """Recall at 1, 5 and 10, and the mean reciprocal rank among ten."""
    found = [search(question) for question, _ in corpus.questions]
    ranks = [
        list(here).index(wanted) + 1 if wanted in here else None
        for here, (_, wanted) in zip(found, corpus.questions, strict=True)
    ]
    shares = {f"r{k}": sum(rank is not None and rank <= k for rank in ranks) / len(ranks) for k in (1, 5, 10)}
    mrr = sum(1 / rank for rank in ranks if rank is not None) / len(ranks)
    return {name: round(value, 4) for name, value in (shares | {"mrr": mrr}).items()}


def run(corpus: Corpus, embedder: CachedEmbedder) -> dict[str, dict[str, float]]:
    """Every system on one language."""
    without = RankingWeights(text=0.0)
    return {
        "agentmem": measure(corpus, ours(corpus, embedder)),
        "vectors alone": measure(corpus, ours(corpus, embedder, ranking=without)),
        "plain cosine": measure(corpus, cosine(corpus, embedder)),
        "FTS5 over words": measure(corpus, fts5(corpus, _WORD.findall)),
        "FTS5 over pairs": measure(corpus, fts5(corpus, pairs)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    embedder, begun = make_embedder(), time.process_time()
    embedder.cache_size = 1 << 20
    before = json.loads(arguments.before.read_text(encoding="utf-8"))["figures"] if arguments.before else {}
    figures, sizes = {}, {}
    for file in sorted(arguments.data.glob("xquad.*.json")):
        corpus = load(file)
        sizes[corpus.language] = {"sentences": len(corpus.sentences), "questions": len(corpus.questions)}
        figures[corpus.language] = run(corpus, embedder)
        if corpus.language in before:
            figures[corpus.language]["agentmem before"] = before[corpus.language]["agentmem"]
        _show(corpus.language, figures[corpus.language])
    if arguments.out:
        report = {"sizes": sizes, "cpu_seconds": round(time.process_time() - begun), "figures": figures}
        arguments.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _show(language: str, figures: dict[str, dict[str, float]]) -> None:
    table = Table("system", "R@1", "R@5", "R@10", "MRR", title=language)
    for name, found in figures.items():
        table.add_row(name, *(f"{value:.3f}" for value in found.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
