"""``fade``: what nobody needed for a long time steps back. Nothing is deleted; a use, or ``faded=True``, brings it back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from agentmem.clock import micros
from agentmem.core import Core
from agentmem.notes import Note, Scope
from agentmem.storage import LinkRow, Selection, Transaction

__all__ = ["FadeReport", "Fader"]

PROTECTING = ("user", "derived_from", "supports", "supersedes")
NAMED = 0.5  # weight from which a derived note rests on a source, rather than having been made in its sight


@dataclass(frozen=True, slots=True)
class FadeReport:
    """Which notes were archived (or, on a dry run, would be), with their retrievability; ``kept`` counts the rest."""

    faded: tuple[tuple[Note, float], ...]
    kept: int
    dry_run: bool = False

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(note.id for note, _ in self.faded)

    def __len__(self) -> int:
        return len(self.faded)


class Fader:
    """Archives by retrievability; importance, deliberate links, facts and uses protect."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def fade(self, scope: Scope, *, dry_run: bool) -> FadeReport:
        now = self._core.clock.now()
        with self._core.store.write() as tx:
            owners = tx.notes.visible_owners(scope) if scope else tx.notes.all_owners()
            rows = tx.notes.select(Selection(tuple(owners)))
            faint = self._faint(tx, rows)
            notes = tx.notes.load(list(faint))
            if not dry_run:
                tx.notes.set_archived(list(faint), micros(now))
        ordered = sorted(((notes[r], strength) for r, strength in faint.items()), key=lambda pair: pair[1])
        return FadeReport(tuple(ordered), len(rows) - len(ordered), dry_run)

    def _faint(self, tx: Transaction, rows: list[int]) -> dict[int, float]:
        settings, now = self._core.settings.forgetting, self._core.clock.now()
        oldest = now - timedelta(days=settings.min_age_days)
        notes = tx.notes.load(rows)
        faint: dict[int, float] = {}
        for row, note in notes.items():
            strength = self._core.curve.retrievability(note.state, now)
            young = note.state.last_review > oldest
            if strength < settings.fade_below and note.importance < settings.keep_importance and not young:
                faint[row] = strength
        used = tx.uses.summary(list(faint), micros(oldest))
        held = {r for link in tx.links.touching(list(faint), PROTECTING) for r in _held(link)}
        edited = {e.note_id for e in tx.ledger.edits()}
        return {r: s for r, s in faint.items() if r not in used and r not in held and notes[r].id not in edited}


def _held(link: LinkRow) -> tuple[int, ...]:
    """Which ends of a link it keeps from fading.

    A thought holds what it rests on, not itself; a summary holds nothing, since it stands for what it sums up.
    """
    if link.kind != "derived_from":
        return link.source, link.target
    return (link.target,) if link.weight >= NAMED else ()
