"""The plain ways to search texts that recall is measured beside: by cosine, as a vector store does, and by words."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Sequence

import numpy as np

from agentmem.notes.protocols import Embedder

__all__ = ["Search", "by_cosine", "by_words"]

Search = Callable[[str], list[int]]
"""From a question to the places of texts, best first."""


def by_cosine(texts: Sequence[str], embedder: Embedder, depth: int) -> Search:
    """The nearest by the vector of the whole text, at most ``depth``."""
    vectors = embedder.embed(texts)
    return lambda question: np.argsort(-(vectors @ embedder.embed([question])[0]))[:depth].tolist()


def by_words(texts: Sequence[str], depth: int) -> Search:
    """SQLite FTS5 with stemming, any word of the question, ranked by BM25; at most ``depth``."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE item USING fts5(text, tokenize='porter unicode61')")
    database.executemany("INSERT INTO item (text) VALUES (?)", [(text,) for text in texts])

    def search(question: str) -> list[int]:
        words = " OR ".join(f'"{word}"' for word in re.findall(r"\w+", question))
        query = "SELECT rowid FROM item WHERE item MATCH ? ORDER BY rank LIMIT ?"
        return [row - 1 for (row,) in database.execute(query, (words, depth))]

    return search
