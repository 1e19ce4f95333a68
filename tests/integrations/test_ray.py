"""Embedding in the actors of a real Ray cluster on this machine: the same vectors, also when a worker is killed."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from agentmem import Memory
from agentmem.embedding.embedders import HashEmbedder
from agentmem.errors import EmbedderError, MissingExtra
from agentmem.integrations.ray import RayEmbedder
from agentmem.notes.clock import ManualClock

pytestmark = pytest.mark.integrations
TEXTS = [f"Person {n} lives in town {n * 7 % 31}." for n in range(200)]


@pytest.fixture(scope="module")
def spread() -> Iterator[RayEmbedder]:
    pytest.importorskip("ray")
    with RayEmbedder("hash", workers=2, piece=16) as made:
        yield made


def test_what_workers_embed_is_the_same_to_the_bit(spread: RayEmbedder) -> None:
    assert len(set(spread.processes()) - {os.getpid()}) == 2

    assert np.array_equal(spread.embed(TEXTS), HashEmbedder().embed(TEXTS))


def test_a_killed_workers_piece_is_given_to_another(spread: RayEmbedder) -> None:
    killed = spread.processes()[0]
    os.kill(killed, signal.SIGKILL)

    assert np.array_equal(spread.embed(TEXTS), HashEmbedder().embed(TEXTS))
    assert killed not in spread.processes()
    assert len(spread.processes()) == 2


def test_workers_that_are_killed_over_their_pieces_lose_none(spread: RayEmbedder) -> None:
    """Both at once, in the middle of a long list."""
    many = [f"{text} {n}" for n in range(300) for text in TEXTS]
    workers, found = spread.processes(), list[np.ndarray]()
    embedding = threading.Thread(target=lambda: found.append(spread.embed(many)))
    embedding.start()
    time.sleep(0.3)
    assert embedding.is_alive(), "nothing was left to be killed over"
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    embedding.join(timeout=120)

    assert np.array_equal(found[0], HashEmbedder().embed(many))
    assert not set(workers) & set(spread.processes())


def test_a_worker_with_other_weights_is_told(spread: RayEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one would have that took the place of another on a machine where a different embedder is installed."""
    monkeypatch.setattr(HashEmbedder, "fingerprint", "another")

    with pytest.raises(EmbedderError, match="another") as caught:
        spread.embed(TEXTS)

    assert "same embedder" in caught.value.hint


def test_notes_imported_through_workers_have_the_vectors_of_one_machine(spread: RayEmbedder, tmp_path: Path) -> None:
    with Memory(tmp_path / "from", embedder="hash") as origin:
        origin.remember_many(TEXTS, merge=False, progress=False)
        origin.export(tmp_path / "all.jsonl", everything=True)
    stored = []
    for name, embedder in (("plain", "hash"), ("spread", spread)):
        with Memory(tmp_path / name, embedder=embedder, clock=ManualClock()) as memory:  # type: ignore[arg-type]
            assert memory.load_export(tmp_path / "all.jsonl").embedded == len(TEXTS)
            stored.append([(hit.note.content, hit.score) for hit in memory.recall("Who lives in town 7?", k=50)])
            assert memory.check(deep=True).ok

    assert stored[0] == stored[1]


def test_notes_are_embedded_anew_through_workers(spread: RayEmbedder, tmp_path: Path) -> None:
    with Memory(tmp_path / "notes", embedder=HashEmbedder(64)) as memory:
        memory.remember_many(TEXTS, merge=False, progress=False)
        assert memory.reembed(spread) == len(TEXTS)

        assert memory.check(deep=True).ok
    with Memory(tmp_path / "notes", embedder="hash") as memory:
        assert memory.recall("Who lives in town 7?")


def test_without_ray_the_cure_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)

    with pytest.raises(MissingExtra) as caught:
        RayEmbedder("hash")
    assert "[ray]" in caught.value.hint
