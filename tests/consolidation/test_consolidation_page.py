"""The report page: everything in it, nothing live in it."""

from __future__ import annotations

from pathlib import Path

from agentmem.consolidation.policy import Decision
from agentmem.consolidation.report import ConsolidationReport, EditOutcome

EVIL = "</td><script>alert(1)</script>"


def test_the_page_shows_answers_before_and_after_and_escapes_them(tmp_path: Path) -> None:
    outcome = EditOutcome("n1", "e1", "Where does Ilva live?", "Porto.", EVIL, "Porto.", 1.0, 0.75, committed=True)
    failed = EditOutcome(
        "n2",
        "e2",
        "Who is Oren?",
        "A baker.",
        "No idea.",
        "A cook.",
        0.0,
        0.0,
        committed=False,
        reason="its own question",
    )
    decision = Decision("n3", "a secret", "keep", 0.1, ("holds a secret: never written into weights",))
    report = ConsolidationReport((decision,), (outcome, failed), canaries=24)

    text = report.write_page(tmp_path / "report.html").read_text(encoding="utf-8")

    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text
    for part in ("in weights", "rolled back", "75%", "Porto.", "No idea.", "never written into weights", "<svg"):
        assert part in text, part
    assert "http" not in text


def test_a_run_that_did_nothing_has_a_page_too(tmp_path: Path) -> None:
    assert "0 promoted" in ConsolidationReport().write_page(tmp_path / "r.html").read_text(encoding="utf-8")
