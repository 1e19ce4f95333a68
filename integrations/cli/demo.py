"""The command ``demo``: a memory at work, from the first word to a fact forgotten without a trace."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentmem.integrations import values
from agentmem.integrations.cli import render
from agentmem.integrations.cli.place import Place, at_place

if TYPE_CHECKING:
    from agentmem.integrations.cli.demo_run import Demo, Findings
    from agentmem.integrations.cli.demo_show import Show

__all__ = ["add_to", "promises"]

FACTS = 50
PAGES = 10


def add_to(app: typer.Typer) -> None:
    """Register the demo."""
    app.command("demo", rich_help_panel="Begin here")(at_place(demo))


def demo(
    place: Place,
    out: Annotated[Path, typer.Option(help="Where the pictures go.")] = Path("demo-out"),
    keep: Annotated[bool, typer.Option(help="Keep the memory as well, in OUT/memory.")] = False,
) -> None:
    """See it all in a minute: conversations, recall, facts moved into a model's weights, and forgotten again.

    Works offline on what comes with agentmem; the clock is simulated, everything else is real. Exit code 1 when a
    promise was not kept.
    """
    from agentmem.integrations.cli.demo_run import Demo
    from agentmem.integrations.cli.demo_show import Show
    from agentmem.integrations.cli.demo_story import make_story

    started = time.perf_counter()
    show = Show(silent=place.json)
    with _directory(out, keep) as directory, show.console.status("loading the model …"):
        played = Demo(make_story(), directory / "memory", place.embedder)
        show.console.print("A memory on MiniLM and a model of 5 million parameters, both on this machine.", style="dim")
        try:
            _play(played, show, directory)
            draw(played.found, played, out)
        finally:
            played.close()
    found = played.found
    kept = promises(found)
    seconds = time.perf_counter() - started
    show.chapter(7, "Pictures and promises")
    show.pictures(found)
    show.promises(kept, seconds)
    if place.json:
        render.data(summary(found, kept, seconds))
    if not all(kept.values()):
        raise typer.Exit(1)


@contextmanager
def _directory(out: Path, keep: bool) -> Iterator[Path]:
    """Where the memory lies: beside the pictures, or in a place that is gone afterwards."""
    if not keep:
        with tempfile.TemporaryDirectory(prefix="agentmem-demo-") as made:
            yield Path(made)
        return
    from agentmem.errors import InvalidArgument

    if (out / "memory").exists():
        raise InvalidArgument(f"There is a memory in {out} already.", hint="name another directory: --out other-demo.")
    out.mkdir(parents=True, exist_ok=True)
    yield out


def _play(played: Demo, show: Show, directory: Path) -> None:
    """The chapters, each shown as soon as it has happened."""
    show.chapter(1, "Three conversations", "Mara talks with an agent over three weeks. Nothing is told twice.")
    show.told(played.talk(0))
    played.import_contacts()
    played.live()
    for number in (1, 2):
        show.told(played.talk(number))
    show.chapter(2, "An address book, and days in which it is needed")
    show.imported(played.found)
    show.chapter(3, "Recall, with reasons")
    show.hits(played.look("Where does my sister live?"))
    show.console.print(reading(played.found), style="dim")
    show.chapter(4, "Consolidation: what is stable, needed and unknown to the model moves into its weights")
    with _bars(show) as bar:
        played.consolidate(bar)
    show.decisions(played.found)
    show.chapter(5, "The same questions again, from the weights alone")
    played.ask_again()
    show.asked(played.found)
    show.economics(played.compare())
    show.chapter(6, "One fact learnt, and forgotten everywhere", f"“{played.story.late.statement}”")
    reference = directory / "never-learnt.safetensors"
    played.learn_late(reference)
    played.forget_late(reference)
    played.finish()
    show.late(played.found)


@contextmanager
def _bars(show: Show) -> Iterator[Any]:
    from agentmem.integrations.cli.weights import progress

    with progress(quiet=show.silent) as bar:
        yield bar


def reading(found: Findings) -> str:
    """How well the small model read the notes it was given: its own skill, not a promise of the memory."""
    asked = [each for each in found.told if each.turn.expect is not None]
    right = sum(each.right for each in asked)
    return f"The small model answered {right} of {len(asked)} questions of the conversations rightly from its notes."


def promises(found: Findings) -> dict[str, bool]:
    """What the demo claims, each checked on what happened."""
    report, forgotten = found.report, found.forgotten
    asked, same = found.asked, [before == after for _, before, after in found.unrelated]
    reasons = " ".join(reason for d in report.refused for reason in d.reasons) if report else ""
    hashes = found.hashes
    count = max(len(asked), 1)
    return {
        "a newer fact closed the older one": any("closes" in each.became for each in found.told),
        f"at least {FACTS} facts are in the weights": report is not None and len(report.promoted) >= FACTS,
        "the secret, the web page and what the model knew stayed notes": all(
            word in reasons for word in ("secret", "not trusted", "knows it already")
        ),
        "the model did not know these facts before": sum(each.knew for each in asked) <= count // 20,
        "it knows them now, with no retrieved text in the prompt": bool(asked) and all(each.right for each in asked),
        "8 of 10 wordings kept back from the writer are answered, and half of another author's": report is not None
        and (report.generality or 0.0) >= 0.8
        and sum(each.other_right for each in asked) / count >= 0.5,
        "unrelated answers are identical": bool(same) and all(same),
        "another user's questions do not see them": not any(found.stranger[1] == each.target for each in asked[:1]),
        "an answer from weights needs fewer prompt tokens than one from notes": bool(found.economics)
        and found.economics["weights"]["prompt_tokens"] < found.economics["notes"]["prompt_tokens"],
        "the late fact was learnt": bool(found.late and found.late.promoted),
        "forgetting left nothing anywhere": forgotten is not None and forgotten.gone and "weights" in forgotten.probes,
        "the side memory is what it was before the fact was learnt, by hash": bool(hashes)
        and hashes.get("forgotten") == hashes.get("never learnt") != hashes.get("learnt"),
        "logits are bit-identical to those of a model that never learnt it": len(found.same_logits) == 2
        and all(found.same_logits.values()),
    }


def draw(found: Findings, played: Demo, out: Path) -> None:
    """Three pictures: the notes of the conversations, one note's strength, and what the weights changed."""
    from agentmem.graph.pictures import draw_curve, draw_graph
    from agentmem.integrations.cli.demo_story import USER
    from agentmem.integrations.cli.pictures import for_drawing
    from agentmem.notes import curves as forgetting

    started = time.perf_counter()
    view = played.memory.graph(user=USER)
    drawn = for_drawing(view.subgraph(_stated(found, played)))
    found.pictures.append(
        draw_graph(drawn, out / "note-graph.png", title="What Mara's memory holds, and how it hangs together")
    )
    rule, now = forgetting.curve(played.memory.settings.forgetting.curve), played.clock.now()
    points: list[tuple[Any, float]] = []
    ends = [moment for moment, _ in found.states[1:]] + [now + timedelta(days=60)]
    for (start, state), end in zip(found.states, ends, strict=True):
        points += forgetting.sample(state, rule, start, end, 60)
    reviews = [moment for moment, _ in found.states]
    due = forgetting.due(found.states[-1][1], rule)
    title = f"“{played.story.contacts[0].statement}” remembered over time"
    found.pictures.append(draw_curve(points, reviews, out / "forgetting-curve.png", due=due, title=title))
    found.pictures.append(_draw_report(found, out))
    found.seconds["pictures"] = time.perf_counter() - started


def _stated(found: Findings, played: Demo) -> set[str]:
    """The notes that state something: what Mara said, the first pages of her address book, and what was put in beside it."""
    from agentmem.integrations.cli.demo_story import USER

    said = {n.id for n in played.memory.notes(user=USER) if n.thread is not None and n.fact is not None}
    first = {receipt.id for receipt in found.imported[:PAGES]} | {receipt.id for _, _, receipt in found.special}
    return said | {id for id in first if id is not None}


def _draw_report(found: Findings, out: Path) -> Path:
    from agentmem.graph.pictures import draw_edit_report

    report = found.report
    assert report is not None
    count = max(len(found.asked), 1)
    rows = [(each.question, each.before, each.after.text, each.right) for each in found.asked]
    scores = {
        "reliability": sum(each.right for each in found.asked) / count,
        "wordings kept back": report.generality or 0.0,
        "another author's": sum(each.other_right for each in found.asked) / count,
        "locality": sum(b == a for _, b, a in found.unrelated) / max(len(found.unrelated), 1),
    }
    return draw_edit_report(
        rows, scores, out / "edit-report.png", title=f"{len(report.promoted)} facts moved into the weights"
    )


def summary(found: Findings, kept: dict[str, bool], seconds: float) -> dict[str, Any]:
    """The numbers, for programs."""
    report = found.report
    return {
        "promises": kept,
        "ok": all(kept.values()),
        "seconds": round(seconds, 1),
        "stages": {name: round(value, 2) for name, value in found.seconds.items()},
        "promoted": len(report.promoted) if report else 0,
        "failed": len(report.failed) if report else 0,
        "refused": [{"label": d.label, "reasons": list(d.reasons)} for d in report.refused] if report else [],
        "reliability": sum(each.right for each in found.asked) / max(len(found.asked), 1),
        "generality": report.generality if report else 0.0,
        "other_author": sum(each.other_right for each in found.asked) / max(len(found.asked), 1),
        "unchanged": sum(b == a for _, b, a in found.unrelated) / max(len(found.unrelated), 1),
        "economics": found.economics,
        "hashes": found.hashes,
        "same_logits": found.same_logits,
        "forgotten": values.forgotten_dict(found.forgotten) if found.forgotten else None,
        "pictures": [str(path) for path in found.pictures],
        "stats": found.stats,
    }
