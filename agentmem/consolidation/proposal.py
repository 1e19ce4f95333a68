"""What a run would do, before anything is written: candidates, decisions, and what only the model can tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from agentmem.consolidation.candidates import Candidate, boundary, gather
from agentmem.consolidation.open_book import settled, with_note
from agentmem.consolidation.phraser import Phraser
from agentmem.consolidation.policy import Decision, Policy
from agentmem.consolidation.verify import Prober, same_answer
from agentmem.core import EVERYBODY, Core
from agentmem.notes.edit import Route
from agentmem.notes.note import Scope
from agentmem.notes.protocols import Editor
from agentmem.notes.rows import EditRow
from agentmem.records.transaction import Transaction

__all__ = ["UNDONE", "Owners", "Plan", "Progress", "Proposer", "barred", "kept"]

Progress = Callable[[str, int, int], None]
Owners = Sequence[int] | None
"""Whose notes are looked at, out of what a scope may see; ``None``: of all whom it may see."""
_ASKING = "asking the model what it knows"

DISPLACE = 0.25
"""By how much a fact must be worth more to take the place of an edit when the side memory is full."""
UNDONE = "undone"
"""Why the ledger says that an edit was retired when its consolidation was undone."""


@dataclass(slots=True)
class Plan:
    """What the policy wants, before the side memory is touched.

    Attributes:
        demoted: edits that go, whatever becomes of the rest.
        displaced: by the id of the note that takes its place, an edit that goes once the newcomer has proved itself.
        scope: whose run it is; unbound: everybody's.
    """

    decisions: list[Decision]
    chosen: list[Candidate]
    demoted: list[EditRow]
    displaced: dict[str, EditRow]
    scope: Scope = field(default_factory=Scope)

    @property
    def leaving(self) -> list[EditRow]:
        """All edits that go when everything succeeds."""
        return [*self.demoted, *self.displaced.values()]


class Proposer:
    """Gathers candidates and lets the policy decide on them.

    Args:
        phraser: finds how a note is asked for.
        prober, editor: the attached model and its side memory, or ``None``: then nothing that only the model knows is
            measured, and a dry run decides from the store alone.
    """

    def __init__(
        self,
        core: Core,
        policy: Policy,
        phraser: Phraser,
        prober: Prober | None,
        editor: Editor | None,
        progress: Progress,
    ) -> None:
        self._core = core
        self._policy = policy
        self._phraser = phraser
        self._prober = prober
        self._editor = editor
        self._progress = progress

    def plan(self, scope: Scope, budget: int | None, owners: Owners = None, promised: int = 0) -> Plan:
        """Decide on every candidate of ``scope`` (unbound: of everybody) within ``budget`` new edits.

        Args:
            owners: of the candidates; promised: places in the side memory that are spoken for, beyond those of the registry.
        """
        with self._core.reading(scope or EVERYBODY) as tx:
            if owners is None:
                owners = tx.notes.visible_owners(scope) if scope else tx.notes.all_owners()
            candidates = [c.without_places(promised) for c in gather(tx, self._core, owners, self._phraser)]
            bars = barred(tx, candidates, self._editor)
        decisions = {c.note.id: self._policy.decide(c.signals) for c in candidates}
        hopeful = []
        for candidate in candidates:
            if decisions[candidate.note.id].action != "promote":
                continue
            if candidate.note.id in bars:
                decisions[candidate.note.id] = kept(decisions[candidate.note.id], bars[candidate.note.id])
            else:
                hopeful.append(candidate)
        rivals = self._rivals([c for c in candidates if c.note.id not in bars or c.edit is not None], decisions)
        for new, _ in rivals:
            decisions[new.note.id] = self._policy.decide(new.signals)
            hopeful.append(new)
        hopeful.sort(key=lambda c: (-decisions[c.note.id].score, c.note.id))
        chosen, rest = self._within(hopeful, _limit(candidates, budget, len(rivals)), decisions)
        for candidate in rest:
            decisions[candidate.note.id] = kept(decisions[candidate.note.id], "over the budget of this run")
        demoted = [c.edit for c in candidates if c.edit is not None and decisions[c.note.id].action == "demote"]
        taken, displaced = {c.note.id for c in chosen}, {}
        for new, old in rivals:
            if new.note.id in taken and old.edit is not None:
                why = f"the side memory is full and {new.signals.label} is worth more"
                decisions[old.note.id] = replace(decisions[old.note.id], action="demote", reasons=(why,))
                displaced[new.note.id] = old.edit
        order = {"promote": 0, "demote": 1, "keep": 2}
        ordered = sorted(decisions.values(), key=lambda d: (order[d.action], -d.score, d.note_id))
        return Plan(ordered, chosen, demoted, displaced, scope)

    def _rivals(
        self, candidates: Sequence[Candidate], decisions: Mapping[str, Decision]
    ) -> list[tuple[Candidate, Candidate]]:
        """When the side memory is full: facts that are worth clearly more, each with the edit whose place it may take.

        The distance asked for keeps two facts of about the same worth from taking turns.
        """
        full = [c.with_room() for c in candidates if c.edit is None and c.signals.capacity_left <= 0]
        worth = {c.note.id: self._policy.decide(c.signals) for c in full}
        ahead = [c for c in full if worth[c.note.id].action == "promote"]
        ahead.sort(key=lambda c: (-worth[c.note.id].score, c.note.id))
        held = [c for c in candidates if c.edit is not None and decisions[c.note.id].action == "keep"]
        held.sort(key=lambda c: (decisions[c.note.id].score, c.note.id))
        return [
            (new, old)
            for new, old in zip(ahead, held, strict=False)
            if worth[new.note.id].score >= decisions[old.note.id].score + DISPLACE
        ]

    def candidate(self, note_id: str, scope: Scope) -> Candidate | None:
        """One candidate with all its signals, those that only the model can tell included; ``None``: it states no fact."""
        with self._core.reading(scope or EVERYBODY) as tx:
            owners = tx.notes.visible_owners(scope) if scope else tx.notes.all_owners()
            found = list(gather(tx, self._core, owners, self._phraser, only=[note_id]))
        if self._prober is not None:
            found = self._measured(found, self._prober)
        return found[0] if found else None

    def _within(
        self, hopeful: list[Candidate], limit: int, decisions: dict[str, Decision]
    ) -> tuple[list[Candidate], list[Candidate]]:
        """The first ``limit`` candidates that still pass once the model was asked, and those nobody needs to ask about.

        The best by the store's own signals are asked first, and only as many as the budget needs.
        """
        if self._prober is None:
            return hopeful[:limit], hopeful[limit:]
        chosen: list[Candidate] = []
        rest = list(hopeful)
        while rest and len(chosen) < limit:
            wanted = limit - len(chosen)
            asked, rest = rest[:wanted], rest[wanted:]
            for candidate in self._measured(asked, self._prober):
                decisions[candidate.note.id] = self._policy.decide(candidate.signals)
                if decisions[candidate.note.id].action == "promote":
                    chosen.append(candidate)
        return chosen, rest

    def _measured(self, candidates: Sequence[Candidate], prober: Prober) -> list[Candidate]:
        """What the bare model knows, whether it reads the note when it has it, and whose keys lie near."""
        candidates = settled(candidates, prober)
        phrased = [c for c in candidates if c.phrased is not None]
        closed = [(c, text) for c in phrased if c.phrased for text in (c.phrased.question, *c.phrased.probes)]
        opened = [(c, with_note(c.note, c.phrased.question)) for c in phrased if c.phrased]
        total = len(closed) + len(opened)
        self._progress(_ASKING, 0, total)
        said = prober.bare([text for _, text in closed])
        self._progress(_ASKING, len(closed), total)
        read = prober.bare([text for _, text in opened])
        self._progress(_ASKING, total, total)
        known: dict[str, list[bool]] = {}
        for (candidate, _), text in zip(closed, said, strict=True):
            known.setdefault(candidate.note.id, []).append(_right(candidate, text))
        resists = {c.note.id: float(not _right(c, text)) for (c, _), text in zip(opened, read, strict=True)}
        near = {c.note.id: self._interference(c) for c in phrased}
        return [
            candidate.measured(
                known=_share(known[candidate.note.id]),
                resists=resists[candidate.note.id],
                interference=near[candidate.note.id],
            )
            if candidate.note.id in known
            else candidate
            for candidate in candidates
        ]

    def _interference(self, candidate: Candidate) -> float | None:
        """How far the question reaches into the radius of another fact's edit: 0 outside, 1 at its key."""
        if self._editor is None or candidate.phrased is None:
            return None
        routes = self._editor.probe([candidate.phrased.question], boundary(candidate.note.scope))
        return _overlap(routes[0], candidate.note.id)


def _overlap(route: Route, note_id: str) -> float:
    if route.edit_id is None or route.note_id == note_id or route.radius <= 0:
        return 0.0
    return min(1.0, max(0.0, 1.0 - route.distance / route.radius))


def _limit(candidates: Sequence[Candidate], budget: int | None, rivals: int) -> int:
    capacity = max(0, min((c.signals.capacity_left for c in candidates), default=0)) + rivals
    return capacity if budget is None else min(budget, capacity)


def barred(tx: Transaction, candidates: Sequence[Candidate], editor: Editor | None) -> dict[str, str]:
    """By note id, why a fact stays a note for now although the policy would promote it.

    Args:
        editor: of the attached model; what failed on another one may do on this.
    """
    base = editor.status().base_fingerprint if editor is not None else None
    failed, undone = _failed_before(tx, candidates, base), _undone_before(tx, [c.note.id for c in candidates])
    found = {}
    for candidate in candidates:
        if undone.get(candidate.note.id) == candidate.note.version:
            found[candidate.note.id] = "its edit was undone: it stays a note until it changes"
        if candidate.note.id in failed:
            found[candidate.note.id] = "an earlier edit of it failed verification"
    return found


def kept(decision: Decision, reason: str) -> Decision:
    """The decision to leave things as they are, for another reason."""
    return replace(decision, action="keep", reasons=(reason,))


def _failed_before(tx: Transaction, candidates: Sequence[Candidate], base: str | None) -> set[str]:
    """The notes whose edits failed on a model, or on any when none is given, in these very words: the same would fail again."""
    wanted = {(c.note.id, c.note.version, c.heard) for c in candidates}
    entries = tx.ledger.entries(event="failed", note_ids=[c.note.id for c in candidates], limit=None)
    known = [e for e in entries if base is None or e.details.get("base", base) == base]
    return {
        e.note_id
        for e in known
        if e.note_id and (e.note_id, e.details.get("version"), e.details.get("heard", "")) in wanted
    }


def _undone_before(tx: Transaction, note_ids: Sequence[str]) -> dict[str, int]:
    """The note versions whose edits somebody took back: the next run must not bring them again."""
    entries = tx.ledger.entries(event="retired", note_ids=note_ids, limit=None)
    taken = ((e.note_id, e.details.get("version")) for e in entries if e.details.get("reason") == UNDONE)
    return {note_id: version for note_id, version in taken if note_id and isinstance(version, int)}


def _right(candidate: Candidate, text: str) -> bool:
    return candidate.phrased is not None and same_answer(text, candidate.phrased.target)


def _share(hits: Sequence[bool]) -> float:
    return sum(hits) / len(hits)
