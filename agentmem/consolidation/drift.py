"""The drift meter: how far notes, registry, pack and model are apart, and whether the edits still answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from random import Random
from typing import Final

from agentmem.consolidation.beside import BesideEdit
from agentmem.consolidation.candidates import Candidate, boundary, gather
from agentmem.consolidation.figures import counted, share, told
from agentmem.consolidation.phraser import Phraser
from agentmem.consolidation.policy import Policy
from agentmem.consolidation.proposal import barred
from agentmem.consolidation.report import PastRun
from agentmem.consolidation.rewriting import request_in_registry
from agentmem.consolidation.verify import Canary, Prober, same_answer
from agentmem.consolidation.wordings import independent
from agentmem.core import EVERYBODY, Core
from agentmem.errors import PackMismatch, PackUnreachable
from agentmem.notes.clock import from_micros, micros
from agentmem.notes.edit import EditRequest
from agentmem.notes.note import Note, Scope
from agentmem.notes.rows import EditRow, LedgerEntry
from agentmem.projections.linking import conflicting
from agentmem.records.transaction import Transaction
from agentmem.weights import adapters
from agentmem.weights.registry import METHOD, PackContents, WeightRegistry

__all__ = ["DriftMeter", "VerifyReport", "WeightStatus"]

_ANOTHER: Final = "; they were written on another base model, and notes answer: rebuild('weights') writes them anew"
_UNLOADED: Final = "; the model is not loaded yet: whether they are of it shows with the first answer"
_COUNTED: Final = ("promoted", "failed", "demoted")


@dataclass(frozen=True, slots=True)
class WeightStatus:
    """How far the weights have drifted from the notes. Ids are those of notes.

    Attributes:
        edits: how many edits the registry holds for the scope.
        waiting: facts that the policy would promote now, by the signals of the store alone.
        stale: edits whose note says something else now, has ended, or is gone.
        contradicted: edits that a newer note of the same fact speaks against.
        outdated: folders of exported adapters that hold an edit which is no longer in the registry: what it says was superseded, or taken out.
            Named to an unbound memory alone.
        unserved, stray: edits in the registry that the pack lacks, and edits in the pack that the registry does not know.
        pack: sha256 of the active pack; ``trouble`` why it cannot be served, with its cure, or empty.
        base: fingerprint of the model that the pack was written on; ``attached`` of the memory's model now.
        unloaded: the memory's model was given by name and is not loaded yet, so that nobody knows whether it is the pack's own: the first
            answer loads it.
    """

    edits: int
    waiting: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    contradicted: tuple[str, ...] = ()
    unserved: tuple[str, ...] = ()
    stray: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()
    pack: str | None = None
    trouble: str = ""
    base: str | None = None
    attached: str | None = None
    unloaded: bool = False

    @property
    def base_changed(self) -> bool:
        """Whether the attached model is another than the one the edits were written on."""
        return self.base is not None and self.attached is not None and self.base != self.attached

    @property
    def ok(self) -> bool:
        """Whether every edit says what the notes say and can be served, as far as is known; facts may still be waiting."""
        adrift = self.stale or self.contradicted or self.unserved or self.stray or self.outdated
        return not (adrift or self.trouble or self.base_changed)

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return asdict(self) | {"base_changed": self.base_changed, "ok": self.ok}

    def __str__(self) -> str:
        drift = {
            "waiting": len(self.waiting),
            "stale": len(self.stale),
            "contradicted": len(self.contradicted),
            "unserved": len(self.unserved),
            "stray": len(self.stray),
            "adapters outdated": len(self.outdated),
        }
        said = ", ".join(f"{count} {name}" for name, count in drift.items() if count)
        return (
            counted(self.edits, "edit")
            + (f": {said}" if said else ", none adrift")
            + (f"; {self.trouble}" if self.trouble else _ANOTHER if self.base_changed else "")
            + (_UNLOADED if self.unloaded and self.edits else "")
        )


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """A sample of the edits, asked again. ``failed`` maps a note's id to what was said instead.

    ``reliability`` and ``generality`` are shares of own questions and of held-out wordings that are answered with the
    target by greedy free generation; ``None`` where none was asked.
    """

    asked: int
    reliability: float | None
    generality: float | None
    failed: Mapping[str, str]

    @property
    def ok(self) -> bool:
        return not self.failed

    def __str__(self) -> str:
        return (
            f"{counted(self.asked, 'edit')} asked again: reliability {told(self.reliability)}, "
            f"generality {told(self.generality)}, {len(self.failed)} failed"
        )


class DriftMeter:
    """Compares what should hold with what does; reads only.

    Args:
        unloaded: whether a model waits to be loaded; base: the fingerprint of one that is here and waits to be attached.
    """

    def __init__(
        self,
        core: Core,
        weights: WeightRegistry,
        policy: Policy,
        phraser: Phraser,
        *,
        unloaded: bool = False,
        base: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._unloaded, self._base = unloaded, base
        self._core = core
        self._weights = weights
        self._policy = policy
        self._phraser = phraser

    def status(self, scope: Scope) -> WeightStatus:
        """The drift of one scope (unbound: of all). Needs no model."""
        with self._core.reading(EVERYBODY) as tx:
            listed = {e.id for e in tx.ledger.edits()}
            outdated = () if scope else tuple(adapters.behind(tx, listed))
        with self._core.reading(scope or EVERYBODY) as tx:
            owners = tx.notes.visible_owners(scope) if scope else tx.notes.all_owners()
            edits = tx.ledger.edits(owners=owners)
            rows = tx.notes.rows_of([e.note_id for e in edits])
            notes = {note.id: note for note in tx.notes.load(list(rows.values())).values()}
            stale = [e.note_id for e in edits if self._is_stale(e, notes.get(e.note_id))]
            contradicted = [
                e.note_id for e in edits if e.note_id in notes and self._is_contradicted(tx, e, notes[e.note_id])
            ]
            active = tx.ledger.active_pack(METHOD)
            candidates = list(gather(tx, self._core, owners, self._phraser, edited=False))
            bars = barred(tx, candidates, self._weights.editor)
        hopeful = [c for c in candidates if c.note.id not in bars]
        waiting = [c.note.id for c in hopeful if self._policy.decide(c.signals).action == "promote"]
        trouble, held = "", PackContents()
        try:
            held = self._weights.contents()
        except (PackMismatch, PackUnreachable) as error:
            trouble = str(error)
        written = held.edits - held.waiting
        editor = self._weights.editor
        # The side memory is one for all: whether others have edits in it is not told to who has none.
        concerned = not scope or bool(edits)
        unserved = self._weights.trouble or self._weights.behind
        trouble = trouble or (str(unserved) if unserved else "")
        attached = editor.status().base_fingerprint if editor is not None else self._base() if held.base else None
        return WeightStatus(
            edits=len(edits),
            waiting=tuple(waiting),
            stale=tuple(stale),
            contradicted=tuple(contradicted),
            unserved=tuple(e.note_id for e in edits if e.id not in written) if not trouble else (),
            stray=() if scope else tuple(sorted(written - listed)),  # nobody's, and so nobody's in particular
            outdated=outdated,
            pack=active[0] if active and concerned else None,
            trouble=trouble if concerned else "",
            base=held.base if concerned else None,
            attached=attached,
            unloaded=concerned and editor is None and self._unloaded,
        )

    def _is_stale(self, edit: EditRow, note: Note | None) -> bool:
        return note is None or note.version != edit.note_version or not note.fact_valid_at(self._core.clock.now())

    def _is_contradicted(self, tx: Transaction, edit: EditRow, note: Note) -> bool:
        """Whether a note that is newer and still holds gives the same fact another object."""
        if note.fact is None:
            return False
        said = tx.notes.facts(edit.owner, note.fact.subject, note.fact.relation)
        for row, fact in conflicting(note.fact, said):
            if fact.functional:
                other = tx.notes.load([row])[row]
                if micros(other.occurred_at) > micros(note.occurred_at) and other.valid_at(self._core.clock.now()):
                    return True
        return False

    def runs(self, scope: Scope | None = None) -> list[PastRun]:
        """Every consolidation that changed something, oldest first; with a scope, what of them concerns the notes that it may see."""
        with self._core.reading(EVERYBODY) as tx:
            entries = tx.ledger.entries(event="consolidated", limit=None)
            told = [tx.ledger.entries(event=event, limit=None) for event in _COUNTED] if scope else []
        if scope:
            return self._runs_of(scope, entries, told)
        return [
            PastRun(
                at=from_micros(entry.at),
                promoted=_number(entry.details.get("promoted")),
                failed=_number(entry.details.get("failed")),
                demoted=_number(entry.details.get("demoted")),
                pack=str(entry.details["pack"]) if entry.details.get("pack") else None,
            )
            for entry in entries
        ]

    def _runs_of(
        self, scope: Scope, runs: Sequence[LedgerEntry], told: Sequence[Sequence[LedgerEntry]]
    ) -> list[PastRun]:
        """The runs in whose lines notes stand that a scope may see, with those alone counted."""
        with self._core.reading(scope) as tx:
            own = tx.notes.rows_of(
                [entry.note_id for entries in told for entry in entries if entry.note_id is not None]
            )
        found, start = [], 0
        for run in runs:
            counts = [
                sum(start < entry.seq < run.seq and entry.note_id in own for entry in entries) for entries in told
            ]
            if any(counts):
                promoted, failed, demoted = counts
                pack = str(run.details["pack"]) if run.details.get("pack") else None
                found.append(PastRun(from_micros(run.at), promoted, failed, demoted, pack))
            start = run.seq
        return found

    def verify(self, prober: Prober, scope: Scope, sample: int, rng: Random) -> VerifyReport:
        """Ask a random sample of the edits again, each in its own scope."""
        with self._core.reading(scope or EVERYBODY) as tx:
            owners = tx.notes.visible_owners(scope) if scope else tx.notes.all_owners()
            edits = tx.ledger.edits(owners=owners)
            chosen = sorted(rng.sample(edits, min(sample, len(edits))), key=lambda e: e.id)
            drawn = gather(tx, self._core, owners, self._phraser, only=[e.note_id for e in chosen], edited=True)
            found = {c.edit.id: c for c in drawn if c.edit is not None}
        requests = [replace(request_in_registry(e), scope=_scope_of(found.get(e.id))) for e in chosen]
        said = prober.ask([Canary(r.prompt, r.scope) for r in requests])
        hits = [same_answer(text, r.target) for r, text in zip(requests, said, strict=True)]
        right = {r.id for r, hit in zip(requests, hits, strict=True) if hit}
        asked = [(r, text) for r in requests for text in _probes(r, found.get(str(r.id)))]
        known = {id: BesideEdit.of(c.note, c.phrased) for id, c in found.items()}
        other = prober.reached(asked, right, known)
        failed = {e.note_id: text for e, text, hit in zip(chosen, said, hits, strict=True) if not hit}
        return VerifyReport(len(chosen), share(hits), share(other), failed)


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _scope_of(candidate: Candidate | None) -> Scope | None:
    return boundary(candidate.note.scope) if candidate is not None else None


def _probes(request: EditRequest, candidate: Candidate | None) -> Sequence[str]:
    """Wordings for what it says that the edit was not written with, nor with their like."""
    phrased = candidate.phrased if candidate is not None else None
    if phrased is None:
        return ()
    return independent(phrased.probes, (request.prompt, *request.paraphrases), request.subject)
