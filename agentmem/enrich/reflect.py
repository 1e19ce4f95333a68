"""``reflect``: day summaries and a portrait (MemoryBank), thoughts that are inserted, merged and forgotten (Think-in-Memory).

What reflection makes are notes like others, of a kind of their own, linked as derived to everything that the model was shown:
forgetting any of it forgets them, too. They carry the least trust among their sources, and no facts. What is replaced,
merged or outlived is closed and archived with the reason in its history, never deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date

from agentmem.core import Core
from agentmem.enrich.describe import checked_limit, lease, same_boundary
from agentmem.enrich.model.answers import DayThoughts, Merging, Portrait
from agentmem.enrich.model.days import DayPart, parts_of, print_of, readable
from agentmem.enrich.model.dialogue import OUTAGE, Dialogue
from agentmem.enrich.model.prompts import about_day, about_portrait, about_thoughts
from agentmem.enrich.model.report import Failure, ReflectReport
from agentmem.errors import InvalidAnswer, InvalidArgument, ModelError
from agentmem.notes.clock import micros
from agentmem.notes.filters import parse
from agentmem.notes.note import Kind, Note, Receipt, Scope
from agentmem.notes.protocols import LanguageModel
from agentmem.notes.rows import LinkRow, Selection
from agentmem.records.transaction import Transaction
from agentmem.remember.draft import Draft

__all__ = ["Reflector"]

SOURCE = "reflection"
SHOWN = 0.1  # weight of a link to what was summed up, or shown but not named: enough for forgetting, little for recall
GROUP = 6
ALIKE = 0.6
"""Cosine from which two thoughts are looked at together."""
DAY_NOTES = 40
"""Notes of a summary; a longer day gets several."""
PORTRAIT_DAYS = 30
"""Summaries that a portrait is made of, the newest."""
SAID: tuple[Kind, ...] = ("episodic", "semantic", "experience")


@dataclass(slots=True)
class _Run:
    """What one run has done so far."""

    scope: Scope
    dialogue: Dialogue
    summaries: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    portrait: str | None = None
    retired: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    in_a_row: int = 0
    stopped: str = ""


class Reflector:
    """Makes notes of notes.

    Args:
        llm: the chat model.
        remember: stores drafts, in the transaction that runs.
    """

    def __init__(self, core: Core, llm: LanguageModel, remember: Callable[[Sequence[Draft]], list[Receipt]]) -> None:
        self._core = core
        self._llm = llm
        self._remember = remember
        self._settings = core.settings.enrichment

    def run(self, scope: Scope, day: date | str | None, limit: int | None) -> ReflectReport:
        """Sum up what is due, oldest day first; then merge thoughts that are alike, and paint the portrait anew."""
        asked = _day(day)
        checked_limit(limit)
        _ = self._core.embedder  # loaded before anything is locked: it takes seconds
        with self._core.reading(scope) as tx:
            due, left_out = self._due(tx, scope, asked)
        with lease(self._core):
            run = _Run(scope, Dialogue(self._llm, max_tokens=self._settings.max_tokens))
            self._outlived(scope, run)
            for part in due[:limit]:
                self._try(f"day {part.name}", run, lambda part=part: self._sum_up(part, run))  # type: ignore[misc]
            for id in list(run.thoughts):
                self._try(f"thought {id}", run, lambda id=id: self._merge(id, run))  # type: ignore[misc]
            self._try("portrait", run, lambda: self._paint(run))
        with self._core.reading(scope) as tx:
            left = len(self._due(tx, scope, asked)[0])
        return ReflectReport(
            tuple(run.summaries), tuple(run.thoughts), run.portrait, tuple(run.retired), tuple(run.failures),
            run.dialogue.calls, run.dialogue.retried, left_out, left, run.stopped,
        )  # fmt: skip

    def _try(self, what: str, run: _Run, step: Callable[[], None]) -> None:
        """One step; its failure is told and leaves the others alone, unless the model itself is gone."""
        if run.stopped:
            return
        try:
            step()
        except InvalidAnswer as error:
            run.in_a_row = 0
            run.failures.append(Failure(what, error.message))
            kind = "invalid answer"
        except ModelError as error:
            run.in_a_row += 1
            run.failures.append(Failure(what, error.message))
            kind = "the model failed"
        else:
            run.in_a_row = 0
            return
        with self._core.writing(run.scope) as tx:
            now = micros(self._core.clock.now())
            tx.ledger.append(now, "reflect_failed", details={"step": what.split(maxsplit=1)[0], "reason": kind})
        if run.in_a_row >= OUTAGE:
            run.stopped = f"the language model failed {run.in_a_row} times in a row; the rest waits"

    # -- days ------------------------------------------------------------------------------------------------

    def _due(self, tx: Transaction, scope: Scope, asked: date | None) -> tuple[list[DayPart], int]:
        """The parts of days that have no summary of what they say now; and how many notes may not be shown."""
        parts, left_out = self._parts(tx, scope)
        known = {n.metadata.get("sources") for n in self._notes(tx, scope, ("summary",))}
        today = self._core.clock.now().date()
        due = [p for p in parts if p.print not in known and (p.day < today if asked is None else p.day == asked)]
        return due, left_out

    def _parts(self, tx: Transaction, scope: Scope) -> tuple[list[DayPart], int]:
        said = self._notes(tx, scope, SAID)
        fit = [n for n in said if readable(n, secrets_too=self._settings.secrets)]
        return parts_of(fit, DAY_NOTES), len(said) - len(fit)

    def _outlived(self, scope: Scope, run: _Run) -> None:
        """A day that lost notes has fewer parts: what the last ones said is said by those before them now."""
        with self._core.writing(scope) as tx:
            last: dict[str, int] = {}
            for part in self._parts(tx, scope)[0]:
                last[part.day.isoformat()] = part.number
            made = self._notes(tx, scope, ("summary", "thought"))
            gone = [n for n in made if n.metadata.get("day") in last and _number(n) > last[str(n.metadata["day"])]]
            if gone:
                self._retire(tx, gone, "its day has fewer parts now", run)

    def _notes(self, tx: Transaction, scope: Scope, kinds: Sequence[Kind]) -> list[Note]:
        base = Selection((), where=parse({"kind": {"$in": list(kinds)}}))
        rows = tx.notes.select(self._core.selection(tx, scope, base), order="occurred")
        return [n for n in tx.notes.load(rows).values() if same_boundary(n.scope, scope)]

    def _sum_up(self, part: DayPart, run: _Run) -> None:
        notes = list(part.notes)
        ids = [n.id for n in notes]
        said = run.dialogue.ask(about_day(notes), DayThoughts, ids)
        about = {"day": part.day.isoformat(), "part": part.number}
        drafts = [self._draft("summary", said.summary, notes, [], run, about | {"sources": part.print})]
        drafts += [
            self._draft("thought", t.text, notes, list(dict.fromkeys(t.sources)), run, about) for t in said.thoughts
        ]
        with self._core.writing(run.scope) as tx:
            if not _unchanged(tx, notes):
                run.failures.append(Failure(f"day {part.name}", "its notes changed while the model was asked"))
                return
            former = [
                n for n in self._notes(tx, run.scope, ("summary", "thought")) if about.items() <= n.metadata.items()
            ]
            self._retire(tx, former, "made anew, because the notes of its day changed", run)
            made = self._store(tx, drafts, notes, run)
        run.summaries += [id for id, draft in made if draft.kind == "summary"]
        run.thoughts += [id for id, draft in made if draft.kind == "thought"]

    # -- thoughts --------------------------------------------------------------------------------------------

    def _merge(self, id: str, run: _Run) -> None:
        """Think-in-Memory's merge and forget within the group of thoughts that are like this one."""
        with self._core.reading(run.scope) as tx:
            group = self._alike(tx, id, run.scope)
        if len(group) < 2:
            return
        ids = [n.id for n in group]
        said = run.dialogue.ask(about_thoughts(group), Merging, ids)
        with self._core.writing(run.scope) as tx:
            if not _unchanged(tx, group):
                return
            spent: set[str] = set()
            for merge in said.merge:
                members = [n for n in group if n.id in merge.ids and n.id not in spent]
                if len(members) < 2:
                    continue
                draft = self._draft("thought", merge.text, group, [n.id for n in members], run, {})
                made = self._store(tx, [draft], group, run)
                run.thoughts += [m for m, _ in made]
                for into, _ in made:
                    self._retire(tx, members, f"merged into {into}", run)
                    spent |= {n.id for n in members}
            for gone in said.forget:
                left = [n for n in group if n.id == gone.id and n.id not in spent]
                self._retire(tx, left, f"forgotten in reflection: {gone.reason}", run)
                spent.add(gone.id)

    def _alike(self, tx: Transaction, id: str, scope: Scope) -> list[Note]:
        row = tx.notes.rows_of([id]).get(id)
        thoughts = {n.id: n for n in self._notes(tx, scope, ("thought",))}
        rows = tx.notes.rows_of(list(thoughts))
        found, vectors = tx.vectors.load([row] if row is not None else [])
        if id not in thoughts or not len(found):
            return []
        owner = tx.notes.owner(thoughts[id].scope)
        assert owner is not None
        near, cosines = self._core.exact.search(tx, (owner,), vectors[0], GROUP, rows=list(rows.values()))
        alike = {r for r, cosine in zip(near.tolist(), cosines.tolist(), strict=True) if cosine >= ALIKE}
        return [note for name, note in thoughts.items() if rows[name] in alike or name == id]

    # -- the portrait ----------------------------------------------------------------------------------------

    def _paint(self, run: _Run) -> None:
        with self._core.reading(run.scope) as tx:
            summaries = self._notes(tx, run.scope, ("summary",))[-PORTRAIT_DAYS:]
            former = self._notes(tx, run.scope, ("portrait",))
        mark = print_of(summaries)
        if not summaries or any(n.metadata.get("sources") == mark for n in former):
            return
        said = run.dialogue.ask(about_portrait(summaries), Portrait)
        draft = self._draft("portrait", said.portrait, summaries, [], run, {"sources": mark})
        with self._core.writing(run.scope) as tx:
            if not _unchanged(tx, summaries):
                run.failures.append(Failure("portrait", "its summaries changed while the model was asked"))
                return
            self._retire(tx, former, "painted anew", run)
            made = self._store(tx, [draft], summaries, run)
        run.portrait = made[0][0] if made else None

    # -- writing ---------------------------------------------------------------------------------------------

    @staticmethod
    def _draft(
        kind: Kind, text: str, shown: Sequence[Note], named: Sequence[str], run: _Run, about: dict[str, object]
    ) -> Draft:
        """A derived note: the time of its newest source, the least trust of all; as a tool's words it makes no fact."""
        return Draft(
            content=text, scope=run.scope, kind=kind, role="tool", source=SOURCE, metadata=about, derived_from=tuple(named),
            occurred_at=max(n.occurred_at for n in shown), trust=min(n.trust for n in shown),
        )  # fmt: skip

    def _store(
        self, tx: Transaction, drafts: Sequence[Draft], shown: Sequence[Note], run: _Run
    ) -> list[tuple[str, Draft]]:
        """Store drafts; each is linked also to what was shown and not named, so that it is forgotten with it."""
        sources = tx.notes.rows_of([n.id for n in shown])
        made: list[tuple[str, Draft]] = []
        for draft, receipt in zip(drafts, self._remember(drafts), strict=True):
            if receipt.id is None:
                run.failures.append(Failure(draft.kind, f"not stored: {receipt.reason}"))
                continue
            row = tx.notes.rows_of([receipt.id])[receipt.id]
            tx.links.put(
                [LinkRow(row, s, "derived_from", SHOWN, "shown when it was made") for s in sources.values() if s != row]
            )
            made.append((receipt.id, draft))
        return made

    def _retire(self, tx: Transaction, notes: Sequence[Note], reason: str, run: _Run) -> None:
        now = micros(self._core.clock.now())
        rows = tx.notes.rows_of([n.id for n in notes])
        for row in rows.values():
            tx.notes.close_validity(row, now, reason)
        tx.notes.set_archived(list(rows.values()), now)
        run.retired += list(rows)


def _number(note: Note) -> int:
    part = note.metadata.get("part")
    return part if isinstance(part, int) else 0


def _unchanged(tx: Transaction, notes: Sequence[Note]) -> bool:
    rows = tx.notes.rows_of([n.id for n in notes])
    present = {n.id: n.content for n in tx.notes.load(list(rows.values())).values()}
    return all(present.get(n.id) == n.content for n in notes)


def _day(day: date | str | None) -> date | None:
    """``day`` as a date in UTC."""
    if day is None or (isinstance(day, date) and not hasattr(day, "hour")):
        return day
    try:
        return date.fromisoformat(day)  # type: ignore[arg-type]  # a datetime raises like any other wrong value
    except (TypeError, ValueError) as error:
        raise InvalidArgument(
            f"day={day!r} is not a day.", hint="e.g. day='2026-03-01', or a datetime.date."
        ) from error
