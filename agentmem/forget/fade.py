"""``fade``: what nobody needed for a long time steps back. Nothing is deleted; a use, ``unfade`` or ``faded=True`` brings it back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from agentmem.core import EVERYBODY, Core
from agentmem.errors import InvalidArgument, UnknownNote
from agentmem.notes.clock import micros
from agentmem.notes.note import Note, Scope
from agentmem.notes.rows import Facets, LinkRow, Selection
from agentmem.recall.search import state_of
from agentmem.records.transaction import Transaction

__all__ = ["FadeReport", "Fader"]

PROTECTING = ("user", "derived_from", "supports", "supersedes")
NAMED = 0.5  # weight from which a derived note rests on a source, rather than having been made in its sight


@dataclass(frozen=True, slots=True)
class FadeReport:
    """Which notes were archived (or, on a dry run, would be), with their retrievability; ``kept`` counts those left active.

    ``memory.unfade(report)`` takes it back.
    """

    faded: tuple[tuple[Note, float], ...]
    kept: int
    dry_run: bool = False

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(note.id for note, _ in self.faded)

    def __len__(self) -> int:
        return len(self.faded)


class Fader:
    """Archives by retrievability; importance, facts, deliberate links, edits and uses protect."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def fade(self, scope: Scope, *, dry_run: bool) -> FadeReport:
        """Archive what may go; each owner's notes are ranked, and counted against the capacity, by themselves."""
        now = micros(self._core.clock.now())
        open_ = self._core.reading if dry_run else self._core.writing
        with open_(EVERYBODY) as tx:  # what others link to or use of the shared notes holds these for them
            owners = tx.notes.visible_owners(scope) if scope else tx.notes.all_owners()
            chosen: dict[int, float] = {}
            active = 0
            for owner in owners:
                count = tx.notes.count(Selection((owner,)))
                chosen.update(self._going(tx, owner, scope, count))
                active += count
            tx.admit(owners)
            notes = tx.notes.load(list(chosen))
            if not dry_run:
                tx.notes.set_archived(list(chosen), now)
        ordered = sorted(((notes[r], strength) for r, strength in chosen.items()), key=lambda pair: pair[1])
        return FadeReport(tuple(ordered), active - len(ordered), dry_run)

    def unfade(self, what: FadeReport | str | Sequence[str], scope: Scope) -> tuple[str, ...]:
        """Bring archived notes back without counting that as a use; returns the ids of those that had been archived.

        Raises:
            UnknownNote: an id names no note of this scope; nothing was changed. Of a report, what was forgotten since is passed over.
        """
        ids = _ids(what)
        with self._core.writing(scope or EVERYBODY) as tx:
            rows = tx.notes.rows_of(ids)
            if isinstance(
                what, FadeReport
            ):  # what was forgotten since then is nobody's to bring back, and keeps nobody else away
                ids = [id for id in ids if id in rows]
            if scope:
                seen = {f.row for f in tx.notes.facets(list(rows.values()), self._core.selection(tx, scope))}
                rows = {id: row for id, row in rows.items() if row in seen}
            unknown = [id for id in ids if id not in rows]
            if unknown:
                raise UnknownNote(
                    f"No note {unknown[0]!r:.60} in this scope.", hint="ids are in fade's report, as report.ids."
                )
            archived = [row for row, note in tx.notes.load(list(rows.values())).items() if note.archived_at is not None]
            tx.notes.set_archived(archived, None)
        return tuple(id for id in dict.fromkeys(ids) if rows[id] in archived)

    def _going(self, tx: Transaction, owner: int, scope: Scope, active: int) -> dict[int, float]:
        """Rows of one owner that step back, with their retrievability: all that are faint, or the least over capacity."""
        settings = self._core.settings.forgetting
        candidates = self._unprotected(tx, owner, scope)
        now = self._core.clock.now()
        strengths = {f.row: self._core.curve.retrievability(state_of(f), now) for f in candidates}
        if settings.capacity is None:
            return {row: strength for row, strength in strengths.items() if strength < settings.fade_below}
        # Importance scales the strength: of two notes equally long unused, the one that matters more stays.
        ranked = sorted(candidates, key=lambda f: strengths[f.row] * (0.5 + f.importance))
        return {f.row: strengths[f.row] for f in ranked[: max(0, active - settings.capacity)]}

    def _unprotected(self, tx: Transaction, owner: int, scope: Scope) -> list[Facets]:
        settings = self._core.settings.forgetting
        oldest = micros(self._core.clock.now() - timedelta(days=settings.min_age_days))
        found = tx.notes.resting(owner, oldest, settings.keep_importance)
        rows = [f.row for f in found]
        if scope:
            admitted = {f.row for f in tx.notes.facets(rows, self._core.seen(tx, scope))}
            rows = [row for row in rows if row in admitted]
        held = {r for link in tx.links.touching(rows, PROTECTING) for r in _held(link)}
        held |= set(tx.uses.summary(rows, oldest))
        held |= set(tx.notes.rows_of([e.note_id for e in tx.ledger.edits(owners=[owner])]).values())
        free = set(rows) - held
        return [f for f in found if f.row in free]


def _ids(what: FadeReport | str | Sequence[str]) -> list[str]:
    if isinstance(what, str):
        return [what]
    ids = list(what.ids) if isinstance(what, FadeReport) else list(what) if isinstance(what, Iterable) else [what]
    if not all(isinstance(id, str) for id in ids):
        raise InvalidArgument(f"Cannot bring back {what!r:.80}.", hint="pass fade's report, an id, or a list of ids.")
    return ids


def _held(link: LinkRow) -> tuple[int, ...]:
    """Which ends of a link it keeps from fading.

    A thought holds what it rests on, not itself; a summary holds nothing, since it stands for what it sums up.
    """
    if link.kind != "derived_from":
        return link.source, link.target
    return (link.target,) if link.weight >= NAMED else ()
