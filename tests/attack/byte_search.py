"""Looks for words in the bytes of every file of a directory; knows nothing of what the files are."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterable
from pathlib import Path

import numpy as np

WINDOW = 6
"""Letters by which a word is known; with hundreds of words in megabytes of letters, eight: else chance finds some."""
LETTERS = "bcdfghjklmnpqrstvwxz"


def canary(rng: random.Random) -> str:
    """A word of which no six letters stand anywhere else."""
    return "".join(rng.choices(LETTERS, k=14))


def windows(words: Iterable[str], length: int = WINDOW) -> set[bytes]:
    """Every part that is long enough to know a word by: an index may keep the end of one without its beginning."""
    return {word.lower()[i : i + length].encode() for word in words for i in range(len(word) - length + 1)}


def halves(vector: np.ndarray) -> set[bytes]:
    """The numbers of a vector from its first to its eighth that is not zero, as any store here writes them."""
    told = np.flatnonzero(vector)[:8]
    return {vector.astype(kind)[told[0] : told[-1] + 1].tobytes() for kind in (np.float16, np.float32)}


def files(folder: Path, copy: Path) -> dict[str, bytes]:
    """The bytes of every file; of a copy, since opening the files of a store takes its locks from this process."""
    subprocess.run(["cp", "-a", str(folder), str(copy)], check=True)
    held = {str(path.relative_to(copy)): path.read_bytes() for path in sorted(copy.rglob("*")) if path.is_file()}
    subprocess.run(["rm", "-rf", str(copy)], check=True)
    return held


def found(folder: Path, needles: Iterable[bytes], copy: Path) -> list[str]:
    """Where any of these bytes stand."""
    held = files(folder, copy)
    return [f"{name}: {needle!r}" for needle in needles for name, data in held.items() if needle in data]


def traces(folder: Path, words: Iterable[str], copy: Path, length: int = WINDOW) -> list[str]:
    """Where any part of any of these words stands, in UTF-8 or UTF-16."""
    wanted = windows(words, length)
    begins = np.zeros(2**16, bool)
    begins[[int.from_bytes(part[:2], "little") for part in wanted]] = True
    hits = []
    for name, data in files(folder, copy).items():
        low = data.lower()
        for letters in (low, low[::2], low[1::2]):  # every second byte of UTF-16 is the letter
            one = np.frombuffer(letters, np.uint8).astype(np.uint16)
            for at in np.flatnonzero(begins[one[:-1] | one[1:] << 8]).tolist():
                if letters[at : at + length] in wanted:
                    hits.append(f"{name}: {letters[max(0, at - 12) : at + 24]!r}")
                    break
    return hits
