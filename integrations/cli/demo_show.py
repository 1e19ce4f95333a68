"""How the demo looks: chapters with tables, in 80 to 100 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agentmem.consolidation.figures import told
from agentmem.integrations.cli import render
from agentmem.integrations.cli.forgetting import forgotten
from agentmem.integrations.cli.notes import reasons
from agentmem.integrations.cli.weights import refusals

if TYPE_CHECKING:
    from rich.console import Console

    from agentmem.integrations.cli.demo_run import DemoQuestion, Findings, Told
    from agentmem.recall.result import Recollection

__all__ = ["Show"]

WIDTH = 100
ROWS = 10


class Show:
    """Prints what the demo finds, as it finds it; silent under ``--json``."""

    def __init__(self, *, silent: bool) -> None:
        from rich.console import Console

        self.silent = silent
        probe = render.console()
        self.console: Console = Console(highlight=False, emoji=False, quiet=silent, width=min(probe.width, WIDTH))

    def chapter(self, number: int, title: str, text: str = "") -> None:
        from rich.text import Text

        self.console.print()
        self.console.rule(Text(f" {number}  {title} ", style="bold"), style="cyan", align="left")
        if text:
            self.console.print(Text(text, style="dim"))

    def told(self, told: Sequence[Told]) -> None:
        """One conversation, turn by turn, with what became of it."""
        rows = [(each.turn.text, _reply(each), each.became) for each in told]
        first = told[0]
        title = f"{first.session}, {first.when:%d %B %Y}"
        made = render.table(
            ("mara says", "the agent answers", "what memory did"), rows, title=title, styles={"what memory did": "dim"}
        )
        _widths(made, (30, 26, None))
        self.console.print(made)

    def imported(self, found: Findings) -> None:
        stored = sum(r.status == "stored" for r in found.imported)
        links = sum(len(r.links) for r in found.imported)
        rows: list[Sequence[object]] = [
            ("address book", f"{len(found.imported)} statements", f"{stored} stored, {links} links made")
        ]
        rows += [(what, words, _special(receipt)) for what, words, receipt in found.special]
        self.console.print(render.table(("what", "words", "what memory did"), rows))
        self.console.print(
            f"Days pass: {found.uses} recalls that were used, so the policy knows what is needed.", style="dim"
        )

    def hits(self, found: Recollection) -> None:
        rows = [(f"{h.score:.2f}", reasons(h.reasons), h.note.content) for h in found]
        title = f"recall: “{found.query}”"
        made = render.table(("score", "because of", "note"), rows, title=title, styles={"because of": "dim"})
        _widths(made, (None, 38, None))
        self.console.print(made)

    def decisions(self, found: Findings) -> None:
        """What the policy admitted and refused; the refusals grouped by their reasons."""
        report = found.report
        assert report is not None
        rows = [(o.question, o.before, o.after, told(o.generality, ".0%")) for o in report.promoted[:ROWS]]
        title = f"{len(report.promoted)} facts admitted, written in shadow, verified (the first {len(rows)})"
        styles = {"before": "dim", "after": "green"}
        self.console.print(
            render.table(
                ("question", "before", "after", "other wordings"),
                rows,
                title=title,
                right=("other wordings",),
                styles=styles,
            )
        )
        if report.refused:
            self.console.print(refusals(report, 14))
        failed = [(o.question, o.after, o.reason) for o in report.failed[:5]]
        if failed:
            self.console.print(
                render.table(
                    ("rolled back", "answered", "because"), failed, title=f"{len(report.failed)} failed verification"
                )
            )
        self.console.print(str(report), style="bold", markup=False)

    def asked(self, found: Findings) -> None:
        rows = [
            (a.other_wording, a.other_answer.text, _mark(a.other_right), str(a.after.prompt_tokens), a.after.source)
            for a in _spread(found.asked, 8)
        ]
        columns = ("in another author's words", "answer", "", "prompt tokens", "source")
        self.console.print(
            render.table(columns, rows, title="No retrieved text in the prompt", right=("prompt tokens",))
        )
        count = len(found.asked)
        right, other = sum(a.right for a in found.asked), sum(a.other_right for a in found.asked)
        same = sum(before == after for _, before, after in found.unrelated)
        generality = told(found.report.generality if found.report else None, ".0%")
        self.console.print(
            f"as written: {right}/{count} · kept back from the writer: {generality} · another author's wordings: {other}/{count}"
        )
        self.console.print(f"unrelated answers unchanged, to the letter: {same}/{len(found.unrelated)}")
        question, answer = found.stranger
        self.console.print(
            f"another user asks “{question}” → “{answer}”: edits answer their owner alone.", style="dim", markup=False
        )

    def economics(self, values: Mapping[str, Mapping[str, float]]) -> None:
        rows = [
            (f"from {use}", f"{v['right']:.0%}", f"{v['prompt_tokens']:.0f}", f"{v['ms']:.0f}")
            for use, v in values.items()
        ]
        questions = int(next(iter(values.values()))["questions"]) if values else 0
        columns = ("answer", "right", "prompt tokens", "ms per answer")
        title = f"What an answer costs (the same {questions} questions)"
        self.console.print(render.table(columns, rows, title=title, right=columns[1:]))

    def late(self, found: Findings) -> None:
        rows = [
            ("before", found.late_answers.get("before", ""), found.hashes.get("never learnt", "")[:16]),
            ("learnt", found.late_answers.get("learnt", ""), found.hashes.get("learnt", "")[:16]),
            ("forgotten", found.late_answers.get("forgotten", ""), found.hashes.get("forgotten", "")[:16]),
        ]
        self.console.print(render.table(("", "answer", "hash of the side memory"), rows))
        if found.forgotten is not None:
            self.console.print(forgotten(found.forgotten))
        for other, same in found.same_logits.items():
            self.console.print(
                _mark(same),
                f"logits bit-identical to the {other if 'model' in other else 'model that ' + other + ' it'}",
            )

    def pictures(self, found: Findings) -> None:
        for path in found.pictures:
            self.console.print(f"  {path}", markup=False, style="cyan")

    def promises(self, kept: Mapping[str, bool], seconds: float) -> None:
        for promise, ok in kept.items():
            self.console.print(_mark(ok), promise)
        verdict = "every promise kept" if all(kept.values()) else "NOT every promise kept"
        self.console.print(f"{verdict}, in {seconds:.0f} s", style="bold green" if all(kept.values()) else "bold red")


def _reply(told: Told) -> Any:
    from rich.text import Text

    style = "" if told.turn.expect is None else "green" if told.right else "red"
    return Text(told.reply.text, style=style)


def _special(receipt: Any) -> str:
    parts = [receipt.status, receipt.reason]
    parts += [f"{link.kind}: {link.reason}" for link in receipt.links if link.kind in ("contradicts", "supersedes")]
    return "; ".join(p for p in parts if p)


def _mark(ok: bool) -> Any:
    from rich.text import Text

    return Text("✓", style="green") if ok else Text("✗", style="bold red")


def _spread(asked: Sequence[DemoQuestion], count: int) -> list[DemoQuestion]:
    """A few from the whole list, not the first ones alone."""
    step = max(1, len(asked) // count)
    return list(asked[::step][:count])


def _widths(table: Any, widths: Sequence[int | None]) -> None:
    if not hasattr(table, "columns"):
        return  # it has no rows
    for column, width in zip(table.columns, widths, strict=True):
        column.width, column.ratio = width, None
        if width is None:
            column.ratio = 1 if column is table.columns[-1] else None
