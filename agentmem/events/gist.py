"""What may be told of the result of each verb: pure functions, which look at numbers, kinds and ids, and at no text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from agentmem.events.notices import named

if TYPE_CHECKING:
    from agentmem.ask.answer import Answer
    from agentmem.consolidation.drift import VerifyReport, WeightStatus
    from agentmem.consolidation.report import ConsolidationReport, UndoReport
    from agentmem.enrich.model.report import EnrichReport, ReflectReport
    from agentmem.experience.values import Advice
    from agentmem.forget.byte_report import RemnantReport
    from agentmem.forget.fade import FadeReport
    from agentmem.keyed.record import Record
    from agentmem.notes.note import ForgetReceipt, Note, Receipt
    from agentmem.recall.result import Recollection
    from agentmem.transfer.export import ExportReport
    from agentmem.transfer.import_report import ImportReport
    from agentmem.upkeep.rebuild import CheckReport

__all__ = [
    "Gist", "advice", "answer", "check", "consolidation", "enrichment", "export", "faded", "forgotten", "imported", "items", "note_ids", "nothing",
    "number", "one", "receipts", "recollection", "records", "reflection", "remnants", "undone", "verified", "weights",
]  # fmt: skip

MOST_IDS: Final = 100
PLANS: Final = frozenset(("none", "exact", "signs", "chroma", "hnsw"))


@dataclass(frozen=True, slots=True)
class Gist:
    """What may be told of a result; see :class:`~agentmem.events.event.VerbEvent`."""

    counts: dict[str, int] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    ids: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


def nothing(_: object) -> Gist:
    """Of what has nothing to count."""
    return Gist()


def number(name: str) -> Any:
    """Of a result that is a number of something."""

    def read(result: int) -> Gist:
        return Gist({name: int(result)})

    return read


def items(name: str) -> Any:
    """Of a result that is a list of something."""

    def read(result: Sized) -> Gist:
        return Gist({name: len(result)})

    return read


def note_ids(result: Sequence[str]) -> Gist:
    """Of ids of notes."""
    return Gist({"notes": len(result)}, ids=_first(result))


def one(result: Note | Record | None) -> Gist:
    """Of a note or a record, which may not be there."""
    return Gist({"found": 0}) if result is None else Gist({"found": 1}, ids=(result.id,))


def receipts(result: Receipt | Sequence[Receipt]) -> Gist:
    """Of what was remembered."""
    each = list(result) if isinstance(result, Sequence) else list(result.items or (result,))
    became: dict[str, int] = dict.fromkeys(("stored", "merged", "superseded", "rejected"), 0)
    became |= Counter(str(receipt.status) for receipt in each)
    counts = {"items": len(each), **became, "closed": sum(len(receipt.superseded) for receipt in each)}
    warnings = [warning for receipt in each for warning in receipt.warnings]
    return Gist(counts, ids=_first(receipt.id for receipt in each if receipt.id), notices=named(warnings))


def recollection(found: Recollection) -> Gist:
    """Of what was recalled."""
    counts = {"hits": len(found.hits), "degraded": int(found.degraded)}
    candidates = found.plan.get("candidates")
    if isinstance(candidates, int):
        counts["candidates"] = candidates
    plan = str(found.plan.get("vectors"))
    labels = {"plan": plan if plan in PLANS else "other"}
    return Gist(counts, labels, _first(hit.note.id for hit in found.hits), named(found.warnings))


def answer(said: Answer) -> Gist:
    """Of an answer."""
    counts = {
        "notes": len(said.notes), "used": len(said.used), "edits": len(said.edits), "parts": len(said.parts),
        "prompt_tokens": said.prompt_tokens, "degraded": int(said.degraded),
    }  # fmt: skip
    return Gist(counts, {"source": said.source}, _first(note.id for note in said.used), named(said.warnings))


def records(found: Record | Sequence[Record]) -> Gist:
    """Of records that were put or found."""
    each = list(found) if isinstance(found, Sequence) else [found]
    return Gist({"records": len(each)}, ids=_first(record.id for record in each))


def forgotten(receipt: ForgetReceipt) -> Gist:
    """Of what was forgotten. ``probes`` were asked afterwards, and ``probes_gone`` of them found nothing."""
    counts = {
        "notes": len(receipt.ids), "derived": len(receipt.derived), "edits": len(receipt.edits),
        "probes": len(receipt.probes), "probes_gone": sum(receipt.probes.values()),
    }  # fmt: skip
    return Gist(counts, _dry(receipt), _first(receipt.ids), named(receipt.warnings))


def faded(report: FadeReport) -> Gist:
    """Of what was archived."""
    return Gist(
        {"faded": len(report.faded), "kept": report.kept}, _dry(report), _first(note.id for note, _ in report.faded)
    )


def consolidation(report: ConsolidationReport) -> Gist:
    """Of a consolidation: facts that were admitted to the weights, refused by the policy, or failed verification."""
    counts = {
        "candidates": len(report.decisions), "admitted": len(report.promoted), "refused": len(report.refused),
        "failed": len(report.failed), "demoted": len(report.demoted), "settled": len(report.settled), "canaries": report.canaries,
    }  # fmt: skip
    return Gist(counts, _dry(report), _first(edit.note_id for edit in report.promoted), named(report.warnings))


def undone(report: UndoReport) -> Gist:
    """Of a consolidation that was taken back."""
    return Gist({"edits": len(report.edits)}, _dry(report), _first(report.notes), named(report.warnings))


def verified(report: VerifyReport) -> Gist:
    """Of edits that were asked again."""
    return Gist({"asked": report.asked, "failed": len(report.failed)}, ids=_first(report.failed))


def weights(status: WeightStatus) -> Gist:
    """Of the drift between notes and weights."""
    counts = {"edits": status.edits}
    counts |= {
        name: len(getattr(status, name))
        for name in ("waiting", "stale", "contradicted", "unserved", "stray", "outdated")
    }
    return Gist(counts, notices=("weights unserved",) if status.trouble else ())


def enrichment(report: EnrichReport) -> Gist:
    """Of notes that a language model described."""
    counts = {
        "enriched": len(report.enriched), "evolved": len(report.evolved), "kept": len(report.kept), "links": report.links,
        "failed": len(report.failures), "calls": report.calls, "retried": report.retried, "outstanding": report.outstanding,
    }  # fmt: skip
    return Gist(counts, ids=_first(report.enriched), notices=named(report.warnings))


def reflection(report: ReflectReport) -> Gist:
    """Of days that a language model summed up."""
    counts = {
        "summaries": len(report.summaries), "thoughts": len(report.thoughts), "retired": len(report.retired),
        "failed": len(report.failures), "calls": report.calls, "retried": report.retried, "outstanding": report.outstanding,
    }  # fmt: skip
    return Gist(counts, ids=_first((*report.summaries, *report.thoughts)))


def check(report: CheckReport) -> Gist:
    """Of a comparison of everything with the notes."""
    return Gist({"problems": len(report.problems)})


def remnants(report: RemnantReport) -> Gist:
    """Of what lies in the files and should not."""
    return Gist({"remnants": len(report.found), "due": len(report.due)})


def export(report: ExportReport) -> Gist:
    """Of a file that was written."""
    return Gist({"notes": report.notes, "links": report.links, "bytes": report.size})


def imported(report: ImportReport) -> Gist:
    """Of a file that was read."""
    counts = {
        "notes": report.notes, "skipped": report.skipped, "conflicts": len(report.conflicts), "forgotten": len(report.forgotten),
        "links": report.links, "edits": report.edits,
    }  # fmt: skip
    return Gist(counts, _dry(report), notices=named(report.warnings))


def advice(given: Advice) -> Gist:
    """Of what experience advises."""
    counts = {
        "precedents": len(given.precedents), "encouraged": len(given.encouraged), "discouraged": len(given.discouraged),
    }  # fmt: skip
    return Gist(counts)


def _dry(report: ForgetReceipt | FadeReport | ConsolidationReport | UndoReport | ImportReport) -> dict[str, str]:
    return {"dry_run": "true"} if report.dry_run else {}


def _first(ids: Iterable[str] | Mapping[str, object]) -> tuple[str, ...]:
    """The first ids, each once."""
    return tuple(dict.fromkeys(ids))[:MOST_IDS]
