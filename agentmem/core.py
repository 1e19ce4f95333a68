"""What the verbs of a memory share: the store, the projections beside it, time, ids, and the embedder."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from agentmem.errors import EmbedderMismatch, ScopeRequired
from agentmem.extract import LANGUAGES, Extractor
from agentmem.notes.clock import micros
from agentmem.notes.ids import IdMaker
from agentmem.notes.note import Scope
from agentmem.notes.passages import passages
from agentmem.notes.protocols import Clock, Embedder, ForgettingCurve, Relations, SameAsked
from agentmem.notes.rows import Selection
from agentmem.records.transaction import NoteStore, Transaction
from agentmem.runtime.forks import at_fork
from agentmem.runtime.meant import is_shared_meant
from agentmem.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from agentmem.recall.weights import RankingWeights
    from agentmem.stores.chroma.indexer import Indexer
    from agentmem.stores.postgres.near import NearIndex
    from agentmem.stores.text.text import TextIndex
    from agentmem.stores.vectors.exact import ExactIndex

__all__ = ["EVERYBODY", "Core"]

EVERYBODY: Final = None
"""In place of a scope: a job that works on everybody's notes, each in its own owner's, and says so."""


T = TypeVar("T")


class Core:
    """The parts that every verb needs, wired once by :mod:`agentmem.wiring`.

    Args:
        make_embedder: called on first use, since loading an embedding model takes seconds.
        indexer: the vector index behind the outbox, or ``None`` when everything is scanned exactly.
        relations: reads what a new note replaces, or ``None`` when rules alone say so.
        same_question: tells whether two questions ask for the same, or ``None`` when keys alone decide which edit answers.
        extractor: reads what a text states and ends.
    """

    def __init__(
        self,
        *,
        store: NoteStore,
        exact: ExactIndex,
        text: TextIndex,
        indexer: Indexer | NearIndex | None,
        make_embedder: Callable[[], Embedder],
        clock: Clock,
        curve: ForgettingCurve,
        settings: Settings,
        ranking: RankingWeights,
        ids: IdMaker,
        relations: Relations | None = None,
        same_question: SameAsked | None = None,
        extractor: Extractor = LANGUAGES,
    ) -> None:
        self.store = store
        self.exact = exact
        self.text = text
        self.indexer = indexer
        self.clock = clock
        self.curve = curve
        self.settings = settings
        self.ranking = ranking
        self.new_id = ids
        self.relations = relations
        self.same_question = same_question
        self.extractor = extractor
        self._make_embedder = make_embedder
        self._embedder: Embedder | None = None
        self._begin_anew()
        at_fork(self._begin_anew)

    def _begin_anew(self) -> None:
        self._lock = threading.Lock()

    @property
    def embedder(self) -> Embedder:
        with self._lock:
            if self._embedder is None:
                self._embedder = self._make_embedder()
            return self._embedder

    def change_embedder(self, embedder: Embedder | None) -> Embedder | None:
        """Put another embedder in the place of the present one, which is returned (``None``: not loaded yet)."""
        with self._lock:
            former, self._embedder = self._embedder, embedder
            return former

    def with_embedder(self, work: Callable[[Embedder], T]) -> T:
        """Do ``work`` with the embedder, and once more if a re-embedding changed it meanwhile."""
        while True:
            embedder = self.embedder
            try:
                return work(embedder)
            except EmbedderMismatch:
                if embedder is self.embedder:
                    raise

    def check_embedder(self, tx: Transaction, used: Embedder | None = None) -> None:
        """Raise unless the stored vectors and the embedder (the one ``used`` already, if any) speak the same language."""
        stored, embedder = tx.vectors.fingerprint(), used or self.embedder
        if stored is None or stored[0] == embedder.fingerprint:
            return
        raise EmbedderMismatch(
            f"The notes were embedded by {stored[0]} ({stored[1]} dimensions), not by {embedder.fingerprint} "
            f"({embedder.dimension} dimensions).",
            hint='open the memory with its former embedder, or call memory.rebuild("vectors") to embed every note anew.',
        )

    def fix_embedder(self, tx: Transaction, used: Embedder | None = None) -> None:
        """Check the embedder against the store, and make it the store's own when it is the first."""
        embedder = used or self.embedder
        self.check_embedder(tx, embedder)
        if tx.vectors.fingerprint() is None:
            tx.vectors.set_fingerprint(embedder.fingerprint, embedder.dimension)

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """float32 unit vectors, shape ``(len(texts), dimension)``."""
        return self.embedder.embed(texts)

    def discard(self, texts: Sequence[str]) -> None:
        """Drop what the embedder may have cached of these texts, and of the passages of long ones."""
        cached = getattr(self._embedder, "discard", None)
        if cached is not None:
            cached([*texts, *(passage for text in texts for passage in passages(text))])

    def cached(self, texts: Sequence[str]) -> int:
        """How many of these texts, and of their passages, the embedder has in its cache."""
        held = getattr(self._embedder, "held", None)
        return 0 if held is None else int(held([*texts, *(passage for text in texts for passage in passages(text))]))

    def selection(self, tx: Transaction, scope: Scope, base: Selection | None = None) -> Selection:
        """:meth:`seen`, and the transaction is bound to it from here on: every request goes through here.

        Raises:
            ScopeRequired: see :meth:`seen`.
        """
        selection = self.seen(tx, scope, base)
        tx.admit(selection.owners)
        return selection

    def seen(self, tx: Transaction, scope: Scope, base: Selection | None = None) -> Selection:
        """What a request in ``scope`` may see, and of that what ``base`` asks for.

        Raises:
            ScopeRequired: the notes belong to somebody, and the request does not say whose it asks for.
        """
        if scope.user is None and scope.agent is None and not is_shared_meant() and tx.notes.has_owned():
            raise ScopeRequired(
                "These notes belong to users or agents, and the call does not say whose it asks for.",
                hint="pass user=… (or agent=…), or open the memory with scope=Scope(user=…).",
            )
        owners = tx.notes.visible_owners(scope)
        return replace(
            base or Selection(owners=(), archived=True),
            owners=owners,
            without=tx.keyed.hidden(owners, micros(self.clock.now())),
            agent=scope.agent if scope.user is not None else None,
            session=scope.session,
        )

    def admit(self, tx: Transaction, scope: Scope) -> tuple[int, ...]:
        """Bind a transaction to the owners that a request in ``scope`` may see; returns them."""
        owners = tx.notes.visible_owners(scope)
        tx.admit(owners)
        return owners

    # -- whose transaction it is -----------------------------------------------------------------------------

    @contextmanager
    def reading(self, scope: Scope | None) -> Iterator[Transaction]:
        """A read of a request in ``scope``, bound to what it may see; ``EVERYBODY``: of a job, which may see all.

        Raises:
            ScopeRequired: see :meth:`selection`.
        """
        with self.store.read() as tx:
            if scope is not None:
                self.selection(tx, scope)
            yield tx

    @contextmanager
    def writing(self, scope: Scope | None) -> Iterator[Transaction]:
        """The same for a write."""
        with self.store.write() as tx:
            if scope is not None:
                self.selection(tx, scope)
            yield tx

    @contextmanager
    def selecting(self, scope: Scope, base: Selection) -> Iterator[tuple[Transaction, Selection]]:
        """:meth:`reading`, with what of it ``base`` asks for."""
        with self.store.read() as tx:
            yield tx, self.selection(tx, scope, base)

    @contextmanager
    def reading_of(self, owners: Sequence[int]) -> Iterator[Transaction]:
        """A further read of a request whose owners are known."""
        with self.store.read() as tx:
            tx.admit(owners)
            yield tx

    @contextmanager
    def writing_within(self, owners: Sequence[int]) -> Iterator[Transaction]:
        """A write that is bound to some owners, of whoever has to act for them."""
        with self.store.write() as tx:
            tx.admit(owners)
            yield tx

    @contextmanager
    def writing_of(self, *scopes: Scope) -> Iterator[tuple[Transaction, dict[Scope, int]]]:
        """A write of notes with these scopes, bound to their owners alone; yields these, too, made where there are none yet."""
        with self.store.write() as tx:
            owners = {scope: owner for scope in scopes if (owner := tx.notes.owner(scope, create=True)) is not None}
            tx.admit(owners.values())
            yield tx, owners
