"""A consolidation report as one self-contained HTML page: no script, nothing fetched, every text escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from agentmem.consolidation.figures import told

if TYPE_CHECKING:
    from agentmem.consolidation.report import ConsolidationReport

__all__ = ["page"]

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2330; --dim: #667085; --line: #d5dae3; --ground: #fbfbfd; --good: #1a7f4b; --bad: #b3372f; --fill: #3b6fd4 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9f0; --dim: #98a2b3; --line: #343b4a; --ground: #14181f; --good: #4cc38a; --bad: #f0766c; --fill: #7aa2f7 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground); max-width: 62rem; margin: 2.5rem auto; padding: 0 1.25rem }
h1 { font-size: 1.5rem; margin: 0 0 .25rem } h2 { font-size: 1.1rem; margin: 2.25rem 0 .5rem } p.sum { color: var(--dim); margin: 0 0 1.5rem }
table { border-collapse: collapse; width: 100% } th { text-align: left; font-weight: 600; color: var(--dim); font-size: .85rem }
th, td { padding: .4rem .75rem .4rem 0; border-bottom: 1px solid var(--line); vertical-align: top } .good { color: var(--good) } .bad { color: var(--bad) } .dim { color: var(--dim) }
.wide { overflow-x: auto } svg text { fill: var(--ink); font-size: 12px } svg .track { fill: var(--line) } svg .bar { fill: var(--fill) }
"""


def page(report: ConsolidationReport, title: str = "Consolidation report") -> str:
    """The whole page.

    Answers before and after stand beside each other; the bars are shares of 1, all by greedy free generation.
    """
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="sum">{escape(str(report))}</p>',
        _bars(report) if report.outcomes else "",
        _outcomes(report),
        _decisions(report),
    ]
    body = "\n".join(part for part in parts if part)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _bars(report: ConsolidationReport) -> str:
    """Four shares as bars: what an edit must reach, and what it must leave alone."""
    shares = (
        ("own question", report.reliability),
        ("other wordings", report.generality),
        (f"unrelated, unchanged ({report.canaries})", report.locality),
        (f"older edits, kept ({report.older_checked})", report.older_kept),
    )
    rows = []
    for number, (name, share) in enumerate(shares):
        y = 8 + 26 * number
        rows.append(
            f'<text x="0" y="{y + 13}">{escape(name)}</text><rect class="track" x="200" y="{y}" width="400" height="16" rx="3"/>'
            f'<rect class="bar" x="200" y="{y}" width="{400 * (share or 0.0):.1f}" height="16" rx="3"/>'
            f'<text x="610" y="{y + 13}">{told(share, ".0%")}</text>'
        )
    height = 16 + 26 * len(shares)
    return f'<svg viewBox="0 0 660 {height}" width="660" height="{height}" role="img" aria-label="shares">{"".join(rows)}</svg>'


def _outcomes(report: ConsolidationReport) -> str:
    rows = [
        (
            '<span class="good">in weights</span>' if o.committed else '<span class="bad">rolled back</span>',
            escape(o.question),
            f'<span class="dim">{escape(o.before)}</span>',
            escape(o.after),
            told(o.generality, ".0%"),
            escape(o.reason),
        )
        for o in sorted(report.outcomes, key=lambda o: (not o.committed, o.question))
    ]
    head = ("verdict", "question", "before", "after", "other wordings", "reason")
    return _table("Written in shadow and verified", head, rows)


def _decisions(report: ConsolidationReport) -> str:
    rows = [
        (escape(d.action), f"{d.score:.2f}", escape(d.label), escape("; ".join(d.reasons))) for d in report.decisions
    ]
    return _table("Decided by the policy", ("decision", "score", "fact", "because"), rows)


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already; nothing when there are no rows."""
    lines = ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows]
    if not lines:
        return ""
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    return (
        f'<h2>{escape(title)}</h2>\n<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>\n'
        + "\n".join(lines)
        + "\n</tbody></table></div>"
    )
