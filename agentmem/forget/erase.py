"""``forget``: a note leaves every place that knows of it, the weights included, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from agentmem.core import EVERYBODY, Core
from agentmem.errors import AgentMemError, UnknownNote
from agentmem.files.reserve import Reserve
from agentmem.forget.finish import Scrubber
from agentmem.forget.places import DUE, Doomed, Removal, Traces
from agentmem.notes.filters import And, Compare
from agentmem.notes.note import ForgetReceipt, Note, Scope
from agentmem.notes.rows import Selection
from agentmem.records.transaction import Transaction
from agentmem.weights import adapters
from agentmem.weights.registry import WeightRegistry

__all__ = ["Eraser"]

Choose = Callable[[Transaction], Sequence[int]]
_GOES_ON: Final = "the next forget() or flush() goes on, and so does whoever opens this memory next"


_SPARED: Final = (
    "notes that fit the filter and stay, since others see them as well: {}; shared=True (--shared) takes them, too"
)
_ONLY_LOOKED: Final = "this memory is read-only: other places that a forgetting would touch were not counted"


class _TakenBack(Exception):
    """Ends a write of which only the outcome is wanted."""


class Eraser:
    """Removes notes, whatever was derived from them, and their weight edits; then looks whether they are gone.

    Args:
        scrubber: finishes after the commit what no transaction reaches.
        reserve: room on the disk for the case that there is none.
        fail: called with the name of each durable step; tests stop the process there.
        traces: every place that knows of a note.
    """

    def __init__(
        self,
        core: Core,
        weights: WeightRegistry,
        scrubber: Scrubber,
        reserve: Reserve,
        fail: Callable[[str], None] = lambda step: None,
        traces: Traces | None = None,
    ) -> None:
        self._core = core
        self._weights = weights
        self._scrubber = scrubber
        self._reserve = reserve
        self._fail = fail
        self._traces = traces or Traces()

    def forget(
        self, selection: Selection, ids: Sequence[str] | None, scope: Scope, *, dry_run: bool, shared: bool = True
    ) -> ForgetReceipt:
        """Forget the notes with these ids, or all that the selection admits.

        Args:
            shared: whether a selection also takes what the scope merely sees, and does not own; an id always means its note.

        Raises:
            UnknownNote: an id is of no note that the selection admits; nothing was removed.
        """
        spared = 0

        def choose(tx: Transaction) -> Sequence[int]:
            nonlocal spared
            seen = replace(self._core.selection(tx, scope, selection), without=())
            if ids is not None:
                return self._named(tx, seen, ids)
            found = tx.notes.select(seen)
            own = found if shared else tx.notes.select(_own(tx, seen, scope))
            spared = len(found) - len(own)
            return own

        receipt = self._rehearsed(choose, scope) if dry_run else self.forget_chosen(choose, scope)
        return replace(receipt, warnings=(*receipt.warnings, _SPARED.format(spared))) if spared else receipt

    def forget_of(self, whose: Scope, ids: Sequence[str], *, dry_run: bool) -> ForgetReceipt:
        """Forget notes of one owner, shared ones included: a job's, which knows whose they are."""
        with self._core.reading(EVERYBODY) as tx:
            owner = tx.notes.owner(whose)
        owners = () if owner is None else (owner,)

        def choose(tx: Transaction) -> Sequence[int]:
            return list(tx.notes.rows_of(ids).values())

        act = self._rehearsed if dry_run else self.forget_chosen
        return act(choose, whose, owners)

    def _rehearsed(self, choose: Choose, scope: Scope, owners: Sequence[int] | None = None) -> ForgetReceipt:
        """What would be removed from where: it is done, and taken back, so that it is what would be done."""
        if self._core.store.read_only:
            with self._core.reading(scope) if owners is None else self._core.reading_of(owners) as tx:
                doomed = self._doomed(tx, choose(tx))
                receipt = self._receipt(doomed, self._counts(tx, doomed), dry_run=True)
            return replace(receipt, warnings=(_ONLY_LOOKED,))
        writing = self._core.writing(scope) if owners is None else self._core.writing_within(owners)
        with suppress(_TakenBack), writing as tx:
            doomed = self._doomed(tx, choose(tx))
            places = self._traces.remove(Removal(self._core, self._weights.rehearsing(), tx, doomed))
            raise _TakenBack
        return self._receipt(doomed, places, dry_run=True)

    def forget_chosen(self, choose: Choose, scope: Scope, owners: Sequence[int] | None = None) -> ForgetReceipt:
        """Forget the notes in the rows that ``choose`` returns, inside the very transaction that removes them.

        Args:
            owners: to whom the transaction is bound, if not to whose notes a request in ``scope`` may see.
        """
        with self._weights.lock:
            doomed, places = self._reserve.used(lambda: self._removed(choose, scope, owners))
        self._fail("forget:after-commit")
        if not doomed.notes:
            return replace(
                self._receipt(doomed, places, dry_run=False), warnings=("nothing matched: nothing was removed",)
            )
        self._core.discard(doomed.texts)
        left = self._scrubber.finish()
        receipt = self._receipt(doomed, places, dry_run=False)
        warnings = tuple(
            f"the notes are gone, but not yet {DUE[place]}: {why.rstrip('.')}; {_GOES_ON}"
            for place, why in left.items()
        )
        if doomed.exports:
            where = ", ".join(doomed.exports)
            warnings += (f"adapters with it were exported to {where}: who copied or loaded one still has it",)
        if doomed.edits:
            warnings += self._said_of_weights(scope)
        return replace(receipt, probes=self._probe(doomed, left), warnings=warnings)

    def _removed(self, choose: Choose, scope: Scope, owners: Sequence[int] | None) -> tuple[Doomed, dict[str, int]]:
        with self._core.writing(scope) if owners is None else self._core.writing_within(owners) as tx:
            doomed = self._doomed(tx, choose(tx))
            places = self._traces.remove(Removal(self._core, self._weights, tx, doomed))
            self._fail("forget:before-commit")
        return doomed, places

    def _said_of_weights(self, scope: Scope) -> tuple[str, ...]:
        """What became of the edits that the scope may see, of those that shared a shard, or a damaged pack, with a forgotten one."""
        try:
            pack = self._weights.contents()
            with self._core.reading(scope or EVERYBODY) as tx:
                edits = {edit.id for edit in tx.ledger.edits()}
            lost, waiting = len(edits - pack.edits), len(edits & pack.waiting)
        except (AgentMemError, OSError) as error:
            return (f"what became of other edits could not be asked: {error}",)
        said: list[str] = []
        if waiting:
            said.append(f"{waiting} facts shared a shard with it: notes answer for them until the next consolidation")
        if lost:
            said.append(
                f"the damaged pack went as a whole, and {lost} other edits with it: rebuild('weights') writes them anew"
            )
        return tuple(said)

    def _doomed(self, tx: Transaction, rows: Sequence[int]) -> Doomed:
        asked = tx.notes.load(rows)
        derived = self._derived(tx, rows)
        ids = [n.id for n in (*asked.values(), *derived.values())]
        edits = tx.ledger.edits(state=None, note_ids=ids)
        exported = adapters.holding(tx, [edit.id for edit in edits], ids)
        return Doomed(
            asked | derived,
            tuple(n.id for n in asked.values()),
            tuple(n.id for n in derived.values()),
            edits,
            tx.spaces([*asked, *derived]),
            tuple(row.folder for row in exported),
        )

    @staticmethod
    def _named(tx: Transaction, selection: Selection, ids: Sequence[str]) -> list[int]:
        known = tx.notes.rows_of(ids)
        rows = [facet.row for facet in tx.notes.facets(list(known.values()), selection)]
        seen = set(rows)
        unknown = next((id for id in ids if known.get(id) not in seen), None)
        if unknown is not None:
            raise UnknownNote(f"No note {unknown!r:.60} in this scope.", hint="memory.notes() lists what there is.")
        return rows

    @staticmethod
    def _derived(tx: Transaction, rows: Sequence[int]) -> dict[int, Note]:
        """Summaries and the like, however far down: they can be made again from what remains."""
        known, frontier = set(rows), list(rows)
        while frontier:
            frontier = [row for row in tx.links.derived_from(frontier) if row not in known]
            known.update(frontier)
        return tx.notes.load(sorted(known - set(rows)))

    def _counts(self, tx: Transaction, doomed: Doomed) -> dict[str, int]:
        """What a read can tell, under the names of :data:`~agentmem.forget.places.TRACES`."""
        rows = sorted(doomed.notes)
        return {
            "notes": len(rows),
            "links": len(tx.links.touching(rows)),
            "vectors": len(tx.vectors.load(rows)[0]),
            "evidence": tx.evidence.among(rows),
            "edits": sum(e.state == "active" for e in doomed.edits),
        }

    def _receipt(self, doomed: Doomed, places: Mapping[str, int], *, dry_run: bool) -> ForgetReceipt:
        edits = tuple(e.id for e in doomed.edits if e.state == "active")
        return ForgetReceipt(doomed.asked, dict(places), doomed.derived, edits, dry_run=dry_run, exports=doomed.exports)

    def _probe(self, doomed: Doomed, left: Mapping[str, str]) -> dict[str, bool]:
        """Ask every place for what should be gone; of files, what their scrubbing found."""
        try:
            with self._weights.lock, self._core.store.read() as tx:
                probes = self._traces.look(Removal(self._core, self._weights, tx, doomed))
        except (AgentMemError, OSError):  # the notes are gone, but nobody could look: that is no proof
            probes = {"could be asked": False}
        return probes | {place: place not in left for place in DUE}


def _own(tx: Transaction, seen: Selection, scope: Scope) -> Selection:
    """Of what a scope sees, what is its own: not what is shared with everybody, nor, in a session, what was said outside of it."""
    owner = tx.notes.owner(scope)
    own = replace(seen, owners=() if owner is None else (owner,))
    if scope.session is None:
        return own
    within = Compare("session", "$eq", scope.session)
    return replace(own, where=within if seen.where is None else And((seen.where, within)))
