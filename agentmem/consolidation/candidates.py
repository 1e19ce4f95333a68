"""From notes to candidates: what the store knows about a fact, as the policy's signals."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from agentmem.consolidation.phraser import Phraser
from agentmem.consolidation.phrasing import Heard, NotPhrased, Phrased
from agentmem.consolidation.policy import Signals
from agentmem.consolidation.wordings import independent
from agentmem.core import Core
from agentmem.extract import is_volatile, secrets
from agentmem.notes.clock import from_micros, micros
from agentmem.notes.edit import EditRequest
from agentmem.notes.note import Note, Scope
from agentmem.notes.rows import EditRow, Selection, UseSummary
from agentmem.records.transaction import Transaction
from agentmem.remember.evidence import statements

__all__ = ["Candidate", "gather", "request_of"]

KEY_PHRASINGS = 6
USE_WINDOW = timedelta(days=90)
"""Uses are counted this far back."""
_AT_ONCE = 500
"""So many notes are read at once."""
_UNUSED = UseSummary(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A note that makes a statement, its signals, and how it could be asked; ``heard`` is a digest of the questions that teach it, if any do."""

    row: int
    note: Note
    signals: Signals
    phrased: Phrased | None
    edit: EditRow | None = None
    heard: str = ""

    def measured(self, *, known: float, resists: float, interference: float | None) -> Candidate:
        """The candidate with what only the model can tell."""
        signals = replace(self.signals, known=known, resists=resists, interference=interference)
        return replace(self, signals=signals)

    def phrased_as(self, made: Phrased | NotPhrased) -> Candidate:
        """The candidate asked for in these words, or in none."""
        if isinstance(made, NotPhrased):
            return replace(
                self, phrased=None, signals=replace(self.signals, phrased=False, why_not_phrased=made.reason)
            )
        keys = (made.question, *made.paraphrases[:KEY_PHRASINGS])
        wordings = len(independent(made.probes, keys, made.subject))
        return replace(self, phrased=made, signals=replace(self.signals, probes=len(made.probes), wordings=wordings))

    def with_room(self) -> Candidate:
        """The candidate as it would be if the side memory had a place left."""
        return replace(self, signals=replace(self.signals, capacity_left=1))

    def without_places(self, taken: int) -> Candidate:
        """The candidate as it would be if so many places more were taken in the side memory."""
        left = self.signals.capacity_left - taken
        return replace(self, signals=replace(self.signals, capacity_left=left)) if taken else self


def gather(
    tx: Transaction,
    core: Core,
    owners: Sequence[int],
    phraser: Phraser,
    *,
    only: Collection[str] | None = None,
    edited: bool | None = None,
) -> Iterator[Candidate]:
    """Every note that the owners hold with a fact, or of which something was asked, and every note that an active edit came from.

    They are made as they are taken, some at a time: who needs few of many pays for few.

    Args:
        only: ids of notes: of these alone.
        edited: those that an active edit came from, or the others alone.
    """
    active = {edit.note_id: edit for edit in tx.ledger.edits(owners=owners)}
    in_weights = set(tx.notes.rows_of(list(active)).values())
    stated = set(_fact_rows(tx, owners)) | in_weights
    wanted = stated | set(tx.evidence.alone(owners))
    if edited is not None:
        wanted = wanted & in_weights if edited else wanted - in_weights
    if only is not None:
        wanted &= set(tx.notes.rows_of(list(only)).values())
    # The side memory is one for all, whoever a run is for.
    left = core.settings.consolidation.max_edits - tx.ledger.held()
    rows = sorted(wanted)
    for start in range(0, len(rows), _AT_ONCE):
        yield from _made(tx, core, rows[start : start + _AT_ONCE], stated, active, left, phraser)


def _made(
    tx: Transaction,
    core: Core,
    rows: Sequence[int],
    stated: Collection[int],
    active: Mapping[str, EditRow],
    left: int,
    phraser: Phraser,
) -> Iterator[Candidate]:
    now = core.clock.now()
    notes = tx.notes.load(rows)
    uses = tx.uses.summary(list(notes), micros(now - USE_WINDOW))
    heard = _heard(tx, notes)
    contradicted = _contradicted(tx, notes, core.settings.consolidation.min_trust)
    for row, note in notes.items():
        if row not in stated and row not in heard:
            continue
        edit = active.get(note.id)
        base = Signals(note_id=note.id, label=str(note.fact or note.content[:60]), capacity_left=left)
        signals = _about_note(base, note, core, now)
        signals = _about_use(signals, uses.get(row, _UNUSED), row in contradicted, edit, note)
        phrased = phraser.phrase(note, heard.get(row, ()))
        taught = isinstance(phrased, Phrased) and phrased.heard
        digest = _digest(heard[row]) if taught else ""
        yield Candidate(row, note, signals, None, edit, digest).phrased_as(phrased)


def _digest(heard: Sequence[Heard]) -> str:
    marks = sorted(each.mark for each in heard)
    return hashlib.blake2b("".join(marks).encode(), digest_size=8).hexdigest()


def _heard(tx: Transaction, notes: Mapping[int, Note]) -> dict[int, list[Heard]]:
    """In which words whose notes these are asked, and what they were answered from one of them alone; the latest first."""
    found, mine = dict[int, list[Heard]](), dict[int, list[int]]()
    for row, owner in tx.notes.owners_of(list(notes)).items():
        mine.setdefault(owner, []).append(row)
    for owner, rows in mine.items():
        for asked in tx.evidence.of(owner, rows):
            note = notes.get(asked.rows[0])
            if note is None or len(asked.rows) > 1 or not asked.whole:
                continue
            within = asked.agent in (None, note.scope.agent) and asked.session in (None, note.scope.session)
            if within:
                heard = Heard(asked.question, asked.answer, asked.times, asked.mark.hex())
                found.setdefault(asked.rows[0], []).append(heard)
    return found


def _contradicted(tx: Transaction, notes: Mapping[int, Note], min_trust: float) -> set[int]:
    """Notes that another one contradicts whose source is trusted enough: anybody's word must not unseat a fact."""
    links = tx.links.touching(list(notes), ["contradicts"])
    others = {row for link in links for row in (link.source, link.target)} - set(notes)
    trust = {row: note.trust for row, note in (*notes.items(), *tx.notes.load(sorted(others)).items())}
    pairs = [pair for link in links for pair in ((link.source, link.target), (link.target, link.source))]
    return {row for row, rival in pairs if trust.get(rival, 0.0) >= min_trust}


def _fact_rows(tx: Transaction, owners: Sequence[int]) -> Iterable[int]:
    from agentmem.notes.filters import parse

    return tx.notes.select(Selection(tuple(owners), where=parse({"subject": {"$exists": True}}), archived=True))


def _about_note(signals: Signals, note: Note, core: Core, now: datetime) -> Signals:
    changed = _last_change(note)
    starts, ends = note.fact_span
    return replace(
        signals,
        trust=note.trust,
        secret=any(secrets(text) for text in statements(note)),
        volatile=is_volatile(note.fact.relation if note.fact else note.content) or is_volatile(note.content),
        expiring=ends is not None and ends > now,
        ended=ends is not None and ends <= now,
        upcoming=starts is not None and starts > now,
        age_hours=max(0.0, (now - note.created_at).total_seconds() / 3600),
        unchanged_hours=max(0.0, (now - changed).total_seconds() / 3600),
        retrievability=core.curve.retrievability(note.state, now),
        functional=note.fact.functional if note.fact else False,
        importance=note.importance,
    )


def _last_change(note: Note) -> datetime:
    raw = note.metadata.get("agentmem_changed_at")
    return from_micros(raw) if isinstance(raw, int) else note.created_at


def _about_use(signals: Signals, use: UseSummary, contradicted: bool, edit: EditRow | None, note: Note) -> Signals:
    return replace(
        signals,
        uses=use.events,
        use_days=use.days,
        tokens=use.tokens,
        contradicted=contradicted,
        promoted=edit is not None,
        stale_edit=edit is not None and edit.note_version != note.version,
    )


def request_of(candidate: Candidate, edit_id: str) -> EditRequest:
    """The edit request of a candidate: a user's fact answers in that user's requests only."""
    assert candidate.phrased is not None
    fact = candidate.note.fact
    return EditRequest(
        prompt=candidate.phrased.question,
        target=candidate.phrased.target,
        subject=fact.subject if fact and not candidate.phrased.heard else None,
        paraphrases=tuple(candidate.phrased.paraphrases[:KEY_PHRASINGS]),
        scope=boundary(candidate.note.scope),
        id=edit_id,
        note_id=candidate.note.id,
    )


def boundary(scope: Scope) -> Scope | None:
    """Whose requests may see an edit of a note in ``scope``: its user's, with its agent when it has one, or everybody's."""
    return Scope(user=scope.user, agent=scope.agent) or None


def as_json(request: EditRequest, marks: Sequence[str] = ()) -> Mapping[str, object]:
    """What the registry keeps of a request, so that the weights can be rebuilt from notes and registry alone.

    Args:
        marks: of the wordings in it that somebody used: when one of these is erased, the edit goes.
    """
    taught = ({"taught": list(marks)} if marks else {}) | ({"unlike": list(request.unlike)} if request.unlike else {})
    return taught | {
        "prompt": request.prompt,
        "target": request.target,
        "subject": request.subject,
        "paraphrases": list(request.paraphrases),
        "user": request.scope.user if request.scope else None,
        "agent": request.scope.agent if request.scope else None,
    }
