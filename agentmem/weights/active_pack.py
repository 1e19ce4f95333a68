"""The active pack and its registry, which must agree: everything that needs no model."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple, Self

from agentmem.core import EVERYBODY, Core
from agentmem.errors import JobLocked, PackMismatch, PackUnreachable
from agentmem.notes.clock import micros
from agentmem.notes.rows import EditRow
from agentmem.records.pack_place import place_of
from agentmem.records.transaction import Transaction
from agentmem.weights import books
from agentmem.weights.pack_store import SUFFIX, Packs, UnwrittenPacks

__all__ = ["METHOD", "ActivePack", "PackContents", "PackFiles"]

METHOD: Final = "grace"
"""The name under which the active pack is kept, whatever tiers it has."""


class PackContents(NamedTuple):
    """What a pack says of itself.

    Attributes:
        edits: ids of the edits that it answers for.
        waiting: those among them that no weights hold until the next consolidation writes them anew.
        base: fingerprint of the model that it was written on; ``None`` without a pack.
    """

    edits: frozenset[str] = frozenset()
    waiting: frozenset[str] = frozenset()
    base: str | None = None


class PackFiles(NamedTuple):
    """What can be done with the bytes of a pack without a model: take edits out, and read what it says of itself."""

    drop: Callable[[bytes, Sequence[str]], bytes]
    read: Callable[[bytes], PackContents]


class ActivePack:
    """Which pack is served, and what becomes of those that were.

    Every change is: write a new pack, then flip one row in the same transaction that changes the registry.

    Attributes:
        owing: whether something of packs is left to do that was out of reach, as far as this process knows.

    Args:
        fail: called with the name of each durable step; tests stop the process there.
    """

    def __init__(
        self, core: Core, pack_store: Packs, files: PackFiles, fail: Callable[[str], None] = lambda step: None
    ) -> None:
        self._core = core
        self._files = files
        self._fail = fail
        self.pack_store = pack_store
        self.owing = False

    def _active(self) -> str | None:
        return self._wanted()[0]

    def _wanted(self) -> tuple[str | None, bool]:
        """The active pack, and whether something is still in it that no longer is in the registry."""
        with self._core.reading(EVERYBODY) as tx:
            active = tx.ledger.active_pack(METHOD)
            return (active[0], bool(books.owed(tx))) if active else (None, False)

    def _bytes(self, sha: str) -> bytes:
        """A pack, or whether it is missing, or elsewhere than this process looks."""
        try:
            return self.pack_store.get(sha)
        except PackMismatch as error:
            if (elsewhere := self._elsewhere()) is not None:
                raise elsewhere from error
            raise

    def _elsewhere(self) -> PackUnreachable | None:
        """What is to be said when packs are not with the notes, and nobody told this process so."""
        if self.pack_store.place is not None:
            return None
        with self._core.reading(EVERYBODY) as tx:
            place = place_of(tx)
        if place is None or place.at is None:
            return None
        return PackUnreachable(
            f"The packs of this memory are in {place.at}.", hint=f"open it with packs={place.at!r} (--packs)."
        )

    def need_place(self, *, anew: bool = False) -> None:
        """Raise where a pack could not be put: before the work on it is done.

        Args:
            anew: all will be written anew, in whatever place was named.
        """
        if (elsewhere := self._elsewhere()) is not None:
            raise elsewhere
        if not anew:
            self.pack_store.ready()

    def drop(self, tx: Transaction, edit_ids: Sequence[str]) -> int:
        """Inside a write transaction: make a pack without these edits the active one. Needs no model.

        A pack that cannot be read cannot lose single edits, so it goes as a whole: nobody is served from it anyway, and what
        else it held stands in the registry, to be written anew. One that is out of reach stays, and is noted down as owing them:
        nobody is served from it what the registry does not list, and :meth:`settle` takes them out.
        """
        unwanted = set(edit_ids)
        if not unwanted or tx.ledger.active_pack(METHOD) is None:
            return 0
        try:
            return self._take_from_pack(tx, unwanted)
        except PackUnreachable:
            books.owe(tx, unwanted)
            self._remind(tx)
            return len(unwanted)

    def settle(self) -> None:
        """Take out of the active pack what could not be taken out when it was to be.

        Raises:
            PackUnreachable: it still cannot.
        """
        with self._core.reading(EVERYBODY) as tx:
            due = bool(books.owed(tx))
        if due and not self._core.store.read_only:
            with self._core.writing(EVERYBODY) as tx:
                self._take_from_pack(tx, books.owed(tx))

    def _take_from_pack(self, tx: Transaction, unwanted: set[str]) -> int:
        """Inside a write transaction: these edits, and what was owed before, leave the active pack; how many of these it had."""
        active = tx.ledger.active_pack(METHOD)
        if active is None:
            books.paid(tx)
            return 0
        try:
            data = self._bytes(active[0])
            held = self._files.read(data).edits
        except PackMismatch:
            self._activate(tx, None)
            return len(unwanted)
        doomed = sorted(held & (unwanted | books.owed(tx)))
        if doomed:
            sha = self._put(tx, self._files.drop(data, doomed)) if held - set(doomed) else None
            self._fail("pack:written")
            self._activate(tx, sha)
        books.paid(tx)
        return len(held & unwanted)

    def _activate(self, tx: Transaction, sha: str | None) -> None:
        """Name the active pack, which has nothing in it that it should not have."""
        tx.ledger.set_active_pack(METHOD, sha, micros(self._core.clock.now()))
        books.paid(tx)

    def _remind(self, tx: Transaction) -> None:
        """From the commit on, something is left to do, whoever does it."""
        self.owing = True
        if books.ERASING not in tx.erasing.due():
            tx.erasing.add((books.ERASING,), micros(self._core.clock.now()))

    def rehearsing(self) -> Self:
        """The same registry for a transaction that will be taken back: no pack that it makes becomes a file."""
        other = copy.copy(self)
        other.pack_store = UnwrittenPacks(self.pack_store)
        other._fail = lambda step: None
        return other

    def retire(self, tx: Transaction, note_ids: Sequence[str], reason: str) -> int:
        """Inside a write transaction: take the edits of notes out that no longer say what the weights say."""
        return self.take_out(tx, tx.ledger.edits(note_ids=note_ids) if note_ids else [], reason)

    def take_out(self, tx: Transaction, edits: Sequence[EditRow], reason: str) -> int:
        """Inside a write transaction: take these edits out of pack and registry, with a line in the ledger for each."""
        if edits:
            self.drop(tx, [edit.id for edit in edits])
            tx.ledger.delete_edits([edit.id for edit in edits])
        now = micros(self._core.clock.now())
        for edit in edits:
            details = {"reason": reason, "version": edit.note_version}
            tx.ledger.append(now, "retired", note_id=edit.note_id, edit_id=edit.id, details=details)
        return len(edits)

    def unlearn(self, tx: Transaction, owners: Sequence[int]) -> int:
        """Inside a write transaction: take the edits out that were taught by questions of these owners which have been erased."""
        gone: list[EditRow] = []
        for owner in owners:
            taught = [edit for edit in tx.ledger.edits(state=None, owners=[owner]) if edit.taught]
            marks = {mark for edit in taught for mark in edit.taught}
            standing = tx.evidence.standing(owner, marks) if marks else set()
            gone += [edit for edit in taught if edit.taught - standing]
        return self.take_out(tx, gone, "a question that it was learnt from was forgotten")

    def publish(
        self, tx: Transaction, data: bytes, keep: set[str], known: set[str], *, anew: bool = False
    ) -> str | None:
        """Inside a write transaction: make ``data``, less what is no longer in ``keep``, the active pack.

        Args:
            keep, known: ids of the edits in the registry, now and when the work on ``data`` began.
            anew: all was written anew, and may begin in a place that has no pack of this memory.

        Raises:
            JobLocked: an edit came into the registry meanwhile, which this pack would lose.
            PackUnreachable: it cannot be put where packs are kept.
        """
        held = self._files.read(data).edits
        if keep - held - known:
            raise JobLocked(
                "Somebody else wrote edits into the weights meanwhile.", hint="run it again; nothing was changed."
            )
        gone = sorted(held - keep)
        rest = self._files.drop(data, gone) if gone else data
        self._fail("pack:ready")
        sha = self._put(tx, rest, anew=anew) if held & keep else None
        self._fail("pack:written")
        self._activate(tx, sha)
        return sha

    def contents(self, *, fresh: bool = False) -> PackContents:
        """What the active pack says of itself; checked, and read once.

        Args:
            fresh: as it is where it is kept, not as this process may remember it.

        Raises:
            PackMismatch: it is missing or damaged. PackUnreachable: nobody can tell.
        """
        if fresh:
            self.pack_store.look_again()
        sha = self._active()
        while sha is not None:
            try:
                return self._files.read(self._bytes(sha))
            except PackMismatch:
                if (newer := self._active()) == sha:
                    raise
                sha = newer
        return PackContents()

    def begin(self, *, serving: bool) -> None:
        """At the opening: what a killed process left goes. Where packs are far away they are looked through only with a reason.

        Args:
            serving: whether a model will be answered from them.
        """
        with self._core.reading(EVERYBODY) as tx:
            active, known = tx.ledger.active_pack(METHOD), books.listed(tx)
        if self.pack_store.place is None or serving or known != ([active[0]] if active else []):
            with suppress(PackUnreachable):  # written down as left to do; nothing else of an opening depends on it
                self.collect()

    def collect(self) -> int:
        """Remove packs that are not active; a crash, or a forgotten edit, leaves such files.

        Raises:
            PackUnreachable: where they are kept cannot be reached; it is noted down.
        """
        if self._core.store.read_only:
            return 0
        # Inside a write transaction, so that no pack is removed between its file and its row.
        with self._core.writing(EVERYBODY) as tx:
            active, known = tx.ledger.active_pack(METHOD), books.listed(tx)
            kept = [active[0]] if active else []
            try:
                if (elsewhere := self._elsewhere()) is not None:
                    raise elsewhere
                removed = self.pack_store.collect(kept, known)
            except PackUnreachable as error:
                self._remind(tx)
                trouble = error
            else:
                left = [*kept, *self.pack_store.left([sha for sha in known if sha not in kept])]
                if sorted(left) != sorted(known):
                    books.list_packs(tx, left)
                self.owing = bool(books.owed(tx))
                return removed
        raise trouble

    def left(self) -> list[str]:
        """Packs that were made here, that nobody serves, and that are still there: they could not be removed."""
        with self._core.reading(EVERYBODY) as tx:
            active, known = tx.ledger.active_pack(METHOD), books.listed(tx)
        left = self.pack_store.left([sha for sha in known if active is None or sha != active[0]])
        return [f"{sha}{SUFFIX}" for sha in left]

    def unclear(self) -> list[str]:
        """Names of files among the packs that are damaged packs of nobody, or not packs."""
        active = self._active()
        return self.pack_store.unclear([active] if active else [])

    def _put(self, tx: Transaction, data: bytes, *, anew: bool = False) -> str:
        """Inside a write transaction: a pack in the pack store, and in the list of those that are removed one day."""
        sha = self.pack_store.put(data, anew=anew)
        if sha not in (known := books.listed(tx)):
            books.list_packs(tx, [*known, sha])
        return sha
