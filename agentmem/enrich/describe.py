"""``enrich``: a language model describes notes that are stored already, links them, and lets their neighbours evolve.

What is outstanding is derived from the store, so a crash or an outage loses nothing: a note stays as the rules left it until
one transaction puts the model's words beside it. The model is called outside of transactions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from agentmem.core import EVERYBODY, Core
from agentmem.enrich.model.answers import Construction, Evolution, NeighbourAnswers
from agentmem.enrich.model.dialogue import OUTAGE, Dialogue
from agentmem.enrich.model.grounding import constructed, evolved
from agentmem.enrich.model.prompts import about_neighbours, about_note
from agentmem.enrich.model.report import EnrichReport, Failure
from agentmem.enrich.updates import TOGETHER, Judged, Updater
from agentmem.errors import AgentMemError, InvalidAnswer, InvalidArgument, ModelError
from agentmem.extract import secrets
from agentmem.jobs.lease import Lease
from agentmem.notes.clock import micros
from agentmem.notes.note import Note, Receipt, Scope
from agentmem.notes.protocols import LanguageModel
from agentmem.notes.quoting import UNTRUSTED_BELOW
from agentmem.notes.rows import EnrichmentRow, LinkRow, Selection
from agentmem.notes.spaces import is_lived
from agentmem.projections.linking import RELATED
from agentmem.records.enrichment import ATTEMPTS
from agentmem.records.transaction import Transaction
from agentmem.remember.judged import Consequences, told_of
from agentmem.remember.next_version import rewrite
from agentmem.remember.supersede import Superseder

__all__ = ["Enricher", "checked_limit", "lease", "same_boundary"]

LEASE = "enrichment"
LEASE_MINUTES = 10
RELATED_WEIGHT = 0.6
OVERSAMPLE = 4


def lease(core: Core) -> Lease:
    """What asks a language model about notes holds it: two would pay for the same ones twice."""
    return Lease(core, LEASE, "Another run is asking a model about these notes.", LEASE_MINUTES)


@dataclass(slots=True)
class _Task:
    """One note as the model gets to see it, and the neighbours that may be shown with it."""

    row: int
    owner: int
    note: Note
    others: dict[int, Note]


@dataclass(slots=True)
class _Run:
    """What one run has done so far."""

    dialogue: Dialogue
    scope: Scope
    enriched: list[str] = field(default_factory=list)
    evolved: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    links: int = 0
    stopped: str = ""
    judged: Judged = field(default_factory=Judged)

    def report(self, outstanding: int) -> EnrichReport:
        return EnrichReport(
            tuple(self.enriched), tuple(dict.fromkeys(self.evolved)), self.links, tuple(self.kept), tuple(self.failures),
            tuple(self.warnings), self.dialogue.calls, self.dialogue.retried, outstanding, self.stopped, self.judged.replaced,
        )  # fmt: skip


class Enricher:
    """A-MEM (Xu et al. 2025, section 3): note construction, link generation, memory evolution.

    Args:
        llm: the chat model.
        retire: takes the edits of notes out of the weights, inside a transaction: a fact that the model read may close older ones.
        fail: called with the name of each durable step; tests stop the process there.
    """

    def __init__(
        self,
        core: Core,
        llm: LanguageModel,
        retire: Callable[[Transaction, Sequence[str], str], int],
        fail: Callable[[str], None] = lambda step: None,
    ) -> None:
        self._core = core
        self._llm = llm
        self._retire = retire
        self._fail = fail
        self._settings = core.settings.enrichment
        self._updater = Updater(core, retire, fail)

    # -- runs ------------------------------------------------------------------------------------------------

    def run(
        self,
        scope: Scope,
        limit: int | None,
        *,
        again: bool = False,
        progress: Callable[[int, int], None] = lambda d, t: None,
    ) -> EnrichReport:
        """Work off what is outstanding in ``scope`` (everybody's, each in their own, without one), oldest first."""
        checked_limit(limit)
        rows = self._outstanding(scope, again=again)
        run = self._begun(scope)
        self._work(rows[:limit], run, progress)
        return run.report(len(self._outstanding(scope, again=again)))

    def _begun(self, scope: Scope) -> _Run:
        return _Run(Dialogue(self._llm, max_tokens=self._settings.max_tokens), scope)

    def after(self, receipts: Sequence[Receipt]) -> list[Receipt]:
        """Enrich what was just stored; the receipts say what did not work. Never raises: the notes are stored."""
        ids = [r.id for r in receipts if r.id is not None and r.status in ("stored", "superseded")]
        with self._core.reading(EVERYBODY) as tx:
            rows = sorted(tx.notes.rows_of(ids).values())
        run = self._begun(Scope())
        try:
            self._work(rows, run)
        except AgentMemError as error:
            return [replace(r, warnings=(*r.warnings, f"not enriched yet: {error.message}")) for r in receipts]
        report = run.report(0)
        receipts = [told_of(r, run.judged.related.get(r.id or "", Consequences()), run.judged.ids) for r in receipts]
        done = {*report.enriched, *report.kept}
        why = {f.what: f.reason for f in report.failures}
        return [
            r if r.id not in ids or r.id in done
            else replace(r, warnings=(*r.warnings, f"not enriched yet: {why.get(str(r.id)) or report.stopped or 'it changed meanwhile'}"))
            for r in receipts
        ]  # fmt: skip

    def _outstanding(self, scope: Scope, *, again: bool = False) -> list[int]:
        with self._core.reading(scope or EVERYBODY) as tx:
            owners = tx.notes.visible_owners(scope) if scope else tx.notes.all_owners()
            rows = tx.enrichment.outstanding(owners, None if again else ATTEMPTS)
            if not scope:
                return rows
            selection = self._core.selection(tx, scope)
            return [f.row for f in tx.notes.facets(rows, selection)]

    def _work(self, rows: Sequence[int], run: _Run, progress: Callable[[int, int], None] = lambda d, t: None) -> None:
        """What each note does to earlier ones is asked for several at once, then each is described."""
        in_a_row = done = 0
        with lease(self._core):
            for start in range(0, len(rows), TOGETHER):
                group = rows[start : start + TOGETHER]
                waiting = self._updates(group, run)
                for row in group:
                    in_a_row = in_a_row + 1 if self._outage(row, run, waiting.get(row)) else 0
                    progress(done := done + 1, len(rows))
                    if in_a_row >= OUTAGE:
                        run.stopped = f"the language model failed {in_a_row} times in a row; the rest waits"
                        return

    def _updates(self, rows: Sequence[int], run: _Run) -> Mapping[int, ModelError]:
        """What these notes do to earlier ones, where they were told; returns those that the model gave no answer for, and why."""
        if self._settings.updates == "no":
            return {}
        with self._core.reading(run.scope or EVERYBODY) as tx:
            owners = {space: told for space, told in tx.by_space(rows).items() if not is_lived(space)}
        return self._updater.ask(owners, run.dialogue, run.judged)

    def _outage(self, row: int, run: _Run, met: ModelError | None = None) -> bool:
        """Enrich one note, unless it has met an error already; true when the model itself failed, which does not count against the note."""
        try:
            if met is not None:
                raise met
            self._one(row, run)
        except InvalidAnswer as error:
            self._failed(row, error, run)
        except ModelError as error:
            self._failed(row, error, run, outage=True)
            return True
        return False

    def _failed(self, row: int, error: ModelError, run: _Run, *, outage: bool = False) -> None:
        now = micros(self._core.clock.now())
        with self._core.writing(run.scope or EVERYBODY) as tx:
            note = tx.notes.load([row]).get(row)
            if note is None:
                return
            times = 0 if outage else tx.enrichment.failed(row, now)
            # An outage's message comes from a server or a library and may quote the request: the ledger gets its kind only.
            kind = "the model failed" if outage else "invalid answer"
            tx.ledger.append(now, "enrich_failed", note_id=note.id, details={"reason": kind, "attempts": times})
        run.failures.append(Failure(note.id, error.message, given_up=times >= ATTEMPTS))

    # -- one note --------------------------------------------------------------------------------------------

    def _one(self, row: int, run: _Run) -> None:
        with self._core.reading(run.scope or EVERYBODY) as tx:
            task = self._task(tx, row)
        if task is None:
            return
        if not self._settings.secrets and secrets(task.note.content):
            with self._core.writing(run.scope or EVERYBODY) as tx:
                tx.enrichment.put(row, EnrichmentRow(state="kept"), micros(self._core.clock.now()))
            run.kept.append(task.note.id)
            return
        about = run.dialogue.ask(about_note(task.note), Construction)
        around = NeighbourAnswers()
        if task.others:
            others = list(task.others.values())
            around = run.dialogue.ask(about_neighbours(task.note, others), NeighbourAnswers, [n.id for n in others])
        self._fail("enrich:before-begin")
        with self._core.writing(run.scope or EVERYBODY) as tx:
            done = self._apply(tx, task, about, around, run)
            self._fail("enrich:before-commit")
        if done:
            run.enriched.append(task.note.id)
        else:
            run.warnings.append(
                f"note {task.note.id} changed while the model was asked about it: it waits for the next run"
            )

    def _task(self, tx: Transaction, row: int) -> _Task | None:
        note = tx.notes.load([row]).get(row)
        if note is None:
            return None
        owner = tx.notes.owner(note.scope)
        assert owner is not None
        tx.admit((owner,))  # also of everybody's notes each is described from its own owner's
        return _Task(row, owner, note, self._others(tx, row, owner, note))

    def _others(self, tx: Transaction, row: int, owner: int, note: Note) -> dict[int, Note]:
        """The nearest notes that are described already: of the same owner and agent, and of the same class of trust.

        A prompt never mixes what is trusted with what is not, so that a planted text can speak for its own kind only.
        """
        wanted = self._settings.neighbours
        found, vectors = tx.vectors.load([row])
        if not wanted or not len(found):
            return {}
        near, _ = self._core.exact.search(tx, (owner,), vectors[0], wanted * OVERSAMPLE)
        rows = [f.row for f in tx.notes.facets(near.tolist(), Selection((owner,))) if f.row != row]
        records = tx.enrichment.load(rows)
        described = [r for r in rows if r in records and records[r].state == "done" and records[r].current]
        fit = {r: other for r, other in tx.notes.load(described).items() if _may_stand_beside(note, other)}
        return dict(list(fit.items())[:wanted])

    def _apply(self, tx: Transaction, task: _Task, about: Construction, around: NeighbourAnswers, run: _Run) -> bool:
        """Everything that the model said of one note, or nothing when the note is not what it saw."""
        tx.admit((task.owner,))
        now = micros(self._core.clock.now())
        rows = [task.row, *task.others]
        present, records = tx.notes.load(rows), tx.enrichment.load(rows)
        if task.row not in present or present[task.row].content != task.note.content:
            return False
        before = present[task.row]
        note, record = constructed(before, records.get(task.row), about, facts=self._settings.facts)
        changed = rewrite(tx, task.row, before, note, "described by the language model")
        tx.enrichment.put(task.row, record, now)
        tx.ledger.append(now, "enriched", note_id=changed.id)
        if changed.facts != before.facts:
            done = Superseder(tx, self._core.extractor).apply(changed, task.row, task.owner)
            tx.links.put(done.links)
            self._retire(tx, done.outdated, "superseded")
        self._link(tx, task, around, present, run)
        if self._settings.evolve and around.evolve:
            self._evolve_all(tx, task, around.evolve, present, run)
        return True

    @staticmethod
    def _link(tx: Transaction, task: _Task, around: NeighbourAnswers, present: dict[int, Note], run: _Run) -> None:
        by_id = {note.id: row for row, note in present.items()}
        links = [
            LinkRow(task.row, by_id[said.id], RELATED, RELATED_WEIGHT, f"the model: {said.relation}")
            for said in around.links
            if said.id in by_id
        ]
        tx.links.put(links)
        run.links += len(links)

    def _evolve_all(
        self, tx: Transaction, task: _Task, around: Sequence[Evolution], present: dict[int, Note], run: _Run
    ) -> None:
        # Whatever the model says of one neighbour may be made of the words of another that it was shown.
        if any(row not in present or present[row].id != other.id for row, other in task.others.items()):
            run.warnings.append(
                f"a neighbour of note {task.note.id} was forgotten while the model was asked: none of them evolved"
            )
            return
        now = micros(self._core.clock.now())
        for said in around:
            self._evolve(tx, task, said, run, now)

    def _evolve(self, tx: Transaction, task: _Task, said: Evolution, run: _Run, now: int) -> None:
        row = next(r for r, n in task.others.items() if n.id == said.id)
        before, record = tx.notes.load([row]).get(row), tx.enrichment.load([row]).get(row)
        if before is None or record is None or before.content != task.others[row].content:
            run.warnings.append(f"note {said.id} changed while the model was asked: it did not evolve")
            return
        note, record = evolved(before, record, said)
        if note == before:
            return
        rewrite(tx, row, before, note, f"evolved by note {task.note.id}: {said.reason}")
        tx.enrichment.put(row, record, now)
        tx.enrichment.add_sources(row, [task.row, *task.others])
        tx.ledger.append(now, "evolved", note_id=note.id, details={"by": task.note.id})
        run.evolved.append(note.id)


def checked_limit(limit: object) -> None:
    """Raise unless ``limit`` is ``None`` or a count."""
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
        raise InvalidArgument(
            f"limit must be a whole number of 0 or more, not {limit!r:.80}.", hint="limit=100, or None for all."
        )


def _may_stand_beside(note: Note, other: Note) -> bool:
    trusted = (note.trust >= UNTRUSTED_BELOW) == (other.trust >= UNTRUSTED_BELOW)
    return trusted and same_boundary(note.scope, other.scope)


def same_boundary(one: Scope, other: Scope) -> bool:
    """Whether what is said of one may be said to everybody who may see the other: same user, same agent."""
    return (one.user, one.agent) == (other.user, other.agent)
