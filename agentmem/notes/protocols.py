"""The few shapes that the parts of agentmem know each other by.

Nothing here imports a database or a model; whoever implements a protocol does. A composition root
(:mod:`agentmem.wiring`) names the concrete classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from agentmem.notes.edit import EditorStatus, EditReceipt, EditRequest, Route
from agentmem.notes.note import MemoryState, Scope

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]

__all__ = [
    "Clock",
    "Editor",
    "Embedder",
    "ForgettingCurve",
    "LanguageModel",
    "Message",
    "Relations",
    "Reranker",
    "SameAsked",
    "VectorIndex",
]

Message = Mapping[str, str]
"""``{"role": "system" | "user" | "assistant", "content": text}``."""


@runtime_checkable
class Clock(Protocol):
    """Tells the time, in UTC."""

    def now(self) -> datetime: ...


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into unit vectors.

    ``fingerprint`` names the model and its exact weights: vectors of two fingerprints are never compared.

    One that is not for every language may have an attribute ``scripts``: the names that Unicode gives to the scripts it was trained
    for, such as ``("Latin", "Cyrillic")``, or ``("Han", "Hiragana", "Katakana")``. A query in others is left to full text for the most
    part, and ``agentmem doctor`` says how many notes are in others. Without it, or with ``None``, it is for all.
    """

    @property
    def dimension(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...
    def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 array of shape ``(len(texts), dimension)``; every row has Euclidean norm 1."""
        ...


@runtime_checkable
class Reranker(Protocol):
    """Reads a query and a text together, and says how well the one answers the other."""

    def scores(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """One number from 0 to 1 per text."""
        ...


@runtime_checkable
class SameAsked(Protocol):
    """Tells whether two questions ask for the same."""

    @property
    def least(self) -> float:
        """The probability from which they do."""
        ...

    def alike(self, pairs: Sequence[tuple[str, str]], notes: Sequence[str] = ()) -> list[float]:
        """Of each pair of questions the probability that what answers the one answers the other.

        Args:
            notes: what was told that answers the first of each pair, where it is known.
        """
        ...


@runtime_checkable
class Relations(Protocol):
    """Reads what was said before and what was said later together, and says whether the former still holds."""

    @property
    def closes(self) -> float | None:
        """From this probability on it may be acted upon; ``None``: never."""
        ...

    @property
    def marks(self) -> float:
        """From this one on the later statement should stand first."""
        ...

    def replaced(self, pairs: Sequence[tuple[str, str]]) -> Sequence[float]:
        """Of each (before, later) the probability that the former holds no longer."""
        ...


@runtime_checkable
class LanguageModel(Protocol):
    """A chat model: local, behind an OpenAI-compatible server, or any callable wrapped by :mod:`agentmem.llm.clients`."""

    def complete(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
    ) -> str:
        """The assistant's answer to ``messages``."""
        ...

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
    ) -> Iterator[str]:
        """The same answer, piece by piece."""
        ...


@runtime_checkable
class ForgettingCurve(Protocol):
    """How strongly a note is remembered: pure functions of time (days), without a clock of their own."""

    name: str

    def initial(self, now: datetime, *, importance: float = 0.5) -> MemoryState: ...
    def retrievability(self, state: MemoryState, now: datetime) -> float:
        """Probability of recall in [0, 1]; 1 at the moment of the last review."""
        ...

    def review(self, state: MemoryState, now: datetime, grade: str = "good") -> MemoryState:
        """The state after a use graded ``again``, ``hard``, ``good`` or ``easy``."""
        ...


@runtime_checkable
class VectorIndex(Protocol):
    """An approximate nearest-neighbour index: a projection of the stored vectors, rebuilt at will."""

    def upsert(self, owner: int, rows: Sequence[int], vectors: Vectors) -> None: ...
    def remove(self, owner: int, rows: Sequence[int]) -> None: ...
    def search(self, owner: int, vector: Vectors, k: int) -> list[tuple[int, float]]:
        """Up to ``k`` pairs (row, cosine), best first."""
        ...

    def count(self, owner: int) -> int: ...
    def close(self) -> None: ...


@runtime_checkable
class Editor(Protocol):
    """Side memory on a causal language model, through hooks: base weights are never touched.

    Whatever the method, these hold: without edits the model is bit-identical to its base; writing is all or
    nothing; ``delete(write(S, x)) == S`` by ``state_hash``; reading never writes.
    """

    method: str

    def write(self, requests: Sequence[EditRequest]) -> list[EditReceipt]: ...
    def delete(self, ids: Sequence[str]) -> list[str]:
        """Remove edits exactly; returns the ids removed, raises :class:`~agentmem.errors.UnknownEdit`."""
        ...

    def edits(self) -> tuple[EditRequest, ...]:
        """What the side memory holds now, in canonical order, with ids."""
        ...

    def status(self) -> EditorStatus: ...
    def state_hash(self) -> str: ...
    def save(self, path: Path | str) -> str:
        """Write the whole state as one pack, atomically; returns the sha256 of its bytes."""
        ...

    def load(self, path: Path | str | bytes) -> None:
        """Replace the state by a saved pack, or by the bytes of one; :class:`~agentmem.errors.PackMismatch` leaves it as it was."""
        ...

    def request(
        self, scope: Scope | None = None, scopes: Sequence[Scope] | None = None
    ) -> AbstractContextManager[None]:
        """Requests inside this context see the edits that ``scope`` admits (``scopes``: one per batch row)."""
        ...

    def probe(self, prompts: Sequence[str], scope: Scope | None = None) -> list[Route]:
        """Which edit would answer each prompt, without generating."""
        ...

    def explain(self) -> list[Route]:
        """The routes of the last request, one per row."""
        ...

    def dump(self) -> bytes:
        """The whole state as the bytes of a pack (what ``save`` would write); deterministic."""
        ...

    def shadow(self) -> AbstractContextManager[object]:
        """Inside this context, writes, deletes and requests act on a private copy that is dropped at the end."""
        ...

    def silence(self) -> AbstractContextManager[None]:
        """Requests inside this context see the bare base model."""
        ...

    def attach(self) -> None: ...
    def detach(self) -> None: ...
