"""Random damage of the database and of its log: an answer is right, an error is typed, or check() says what is wrong.

Each damage is done to a copy of a store that was closed, or whose process was killed with a log that is not in the file yet. A process of
its own then opens the copy, reads everything, asks, checks and rebuilds, so that a crash of the interpreter or a hang is seen as one.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

VICTIM = Path(__file__).with_name("victim.py")
ROOT = Path(__file__).parents[2]
KINDS = ("bits", "bytes", "zero page", "truncate", "swap pages", "garbage page", "a letter", "a letter")


def made(directory: Path, *, killed: bool) -> Path:
    """A store with its truth beside it; ``killed``: with most of it in the write-ahead log."""
    subprocess.run(
        [sys.executable, str(VICTIM), "make", str(directory), "killed" if killed else "closed"],
        env=environment(),
        check=False,
        timeout=120,
    )
    assert (directory / "truth.json").is_file()
    assert (directory / "m" / "notes.db-wal").is_file() is killed
    return directory


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)} | more


def hurt(file: Path, rng: random.Random, truth: list[str], kinds: Sequence[str]) -> str:
    """Damage a file somewhere; what was done, in words."""
    data, page, kind = bytearray(file.read_bytes()), 4096, rng.choice(kinds)
    pages = max(1, len(data) // page)
    at, other = page * rng.randrange(pages), page * rng.randrange(pages)
    if kind == "bits":
        for _ in range(rng.choice((1, 1, 8))):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == "a letter":  # what SQLite cannot see: in one of the places where a note's words lie
        text = rng.choice(truth).encode()
        places = [found.start() for found in re.finditer(re.escape(text), bytes(data))]
        if places:
            data[rng.choice(places) + rng.randrange(len(text))] ^= 0x20
    elif kind == "bytes":
        start = rng.randrange(len(data))
        part = rng.randbytes(min(rng.choice((1, 16, 200)), len(data) - start))
        data[start : start + len(part)] = part
    elif kind == "zero page":
        data[at : at + page] = bytes(len(data[at : at + page]))
    elif kind == "truncate":
        del data[rng.randrange(len(data)) :]
    elif kind == "swap pages":
        one, two = bytes(data[at : at + page]), bytes(data[other : other + page])
        if len(one) == len(two):
            data[at : at + page], data[other : other + page] = two, one
    else:
        data[at : at + page] = rng.randbytes(len(data[at : at + page]))
    file.write_bytes(data)
    return kind


def outcomes(tmp_path: Path, seeds: range, kinds: Sequence[str] = KINDS, *, without: str = "") -> list[dict[str, Any]]:
    """What became of each damage of a file or a log; ``without``: which guard is switched off."""
    sources = [made(tmp_path / "closed", killed=False), made(tmp_path / "killed", killed=True)]
    jobs = tmp_path / "jobs"
    for seed in seeds:
        rng = random.Random(seed)
        source = sources[seed % 2]
        target = jobs / str(seed)
        shutil.copytree(source, target)
        files = [path for path in (target / "m").iterdir() if path.name in ("notes.db", "notes.db-wal")]
        file = rng.choice(sorted(files))
        truth = [words for said in json.loads((source / "truth.json").read_text()).values() for words in said]
        (target / "done").write_text(f"{source.name}: {hurt(file, rng, truth, kinds)} in {file.name}")
    return looked_at(jobs, seeds, without)


def of_the_log(tmp_path: Path, seeds: range, *, without: str = "") -> list[dict[str, Any]]:
    """What became of a bit that flipped somewhere in a log; every other one has no index any more."""
    source, jobs = made(tmp_path / "killed", killed=True), tmp_path / "jobs"
    for seed in seeds:
        rng, target = random.Random(seed), jobs / str(seed)
        shutil.copytree(source, target)
        data = bytearray((target / "m" / "notes.db-wal").read_bytes())
        at = rng.randrange(len(data))
        data[at] ^= 1 << rng.randrange(8)
        (target / "m" / "notes.db-wal").write_bytes(data)
        if seed % 2:
            (target / "m" / "notes.db-shm").unlink()
        (target / "done").write_text(f"bit {at} of {len(data)}, {'without' if seed % 2 else 'with'} the index")
    return looked_at(jobs, seeds, without)


def looked_at(jobs: Path, seeds: range, without: str) -> list[dict[str, Any]]:
    """What was found in damaged copies; one process looks at many, and another goes on behind one that it did not survive."""
    told: list[dict[str, Any]] = []
    while len(told) < len(seeds):
        left = [str(seed) for seed in seeds[len(told) :]]
        try:
            run = subprocess.run(
                [sys.executable, "-X", "faulthandler", str(VICTIM), "look", str(jobs), *left],
                env=environment(**({without: "1"} if without else {})), capture_output=True, text=True, timeout=60 + len(left),
            )  # fmt: skip
            lines, how, why = run.stdout.splitlines(), f"died with {run.returncode}", run.stderr
        except subprocess.TimeoutExpired as error:
            lines, how, why = (error.stdout or b"").decode().splitlines(), "hung", ""
        found = [json.loads(line) for line in lines if line.endswith("}")]
        told += found
        if len(found) < len(left):
            told.append({"seed": left[len(found)], "breaches": [f"the process {how}: {why[-2000:]}"]})
    for each in told:
        each["damage"] = (jobs / str(each["seed"]) / "done").read_text()
    return told


def check(found: list[dict[str, Any]]) -> None:
    breaches = [(each["seed"], each["damage"], breach) for each in found for breach in each["breaches"]]
    assert breaches == []
    # Damage is met at all: much of it stops the store or is reported, and much leaves everything as it was.
    assert sum(bool(each.get("error") or each.get("problems")) for each in found) > len(found) / 4


def test_damage_is_told(tmp_path: Path) -> None:
    """Twenty-four damages: no crash, no hang, no raw exception, and no text that is not what was written without check() saying so."""
    check(outcomes(tmp_path, range(24)))


@pytest.mark.slow
def test_much_damage_is_told(tmp_path: Path) -> None:
    """The same for three thousand."""
    check(outcomes(tmp_path, range(1000, 4000)))


def test_a_bit_of_the_log_takes_no_note_away_in_silence(tmp_path: Path) -> None:
    """Of forty logs with one bit flipped all are told, but for those whose last commit alone was hit, which held no note."""
    found = of_the_log(tmp_path, range(40))

    check(found)
    assert sum(each["error"] == "open: StoreCorrupt" for each in found) > 30


@pytest.mark.slow
def test_many_bits_of_the_log_take_no_note_away_in_silence(tmp_path: Path) -> None:
    """The same for a thousand."""
    check(of_the_log(tmp_path, range(1000)))


@pytest.mark.slow
def test_without_a_look_at_the_log_notes_are_gone_in_silence(tmp_path: Path) -> None:
    """The null control: SQLite leaves out what lies behind the bit, and what is left agrees with itself."""
    found = of_the_log(tmp_path, range(6), without="WITHOUT_LOG")

    assert any("silently" in breach for each in found for breach in each["breaches"])


@pytest.mark.slow
def test_without_seals_damage_passes_for_truth(tmp_path: Path) -> None:
    """The null control: with the comparison of seals switched off, a changed text goes unnoticed."""
    found = outcomes(tmp_path, range(16), ("a letter",), without="WITHOUT_SEALS")

    assert any("silently" in breach for each in found for breach in each["breaches"])
