"""What many edits do to a model, drawn: reliability and locality over the number of edits, method by method.

python -m benchmarks.editing.picture --rows benchmarks/results/editing.json --out benchmarks/results/editing_forgetting.png
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentmem.graph.drawing import FAINT, INK, PALETTE, SOFT, canvas, save, text
from benchmarks.editing.results import read_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Style:
    """How one method is drawn; side memories in full, what changes the weights of the model dashed."""

    label: str
    colour: str
    marker: str
    side: bool


_STYLES = {
    "grace": Style("GRACE", PALETTE[0], "o", side=True),
    "wise": Style("WISE", PALETTE[2], "s", side=True),
    "rome": Style("ROME", PALETTE[3], "v", side=False),
    "emmet": Style("EMMET", PALETTE[1], "^", side=False),
    "memit": Style("MEMIT", PALETTE[5], "D", side=False),
    "lora": Style("LoRA", PALETTE[4], "P", side=False),
    "ft": Style("fine-tuning", PALETTE[9], "X", side=False),
}
_PANELS = (
    ("reliability", "Edits still said after the last edit"),
    ("locality", "Other questions still answered as before"),
)


def draw(rows: list[dict[str, Any]], path: Path) -> Path:
    """Two panels over the number of edits; rows of known subjects without paraphrases."""
    figure, axes = canvas(10.2, 4.6)
    axes.remove()
    panels = figure.subplots(1, 2, sharey=True)
    figure.subplots_adjust(left=0.065, right=0.985, top=0.84, bottom=0.21, wspace=0.07)
    chosen = [r for r in rows if r["subjects"] == "known" and not r["paraphrases"]]
    counts = sorted({int(row["edits"]) for row in chosen})
    for panel, (figures, title) in zip(panels, _PANELS, strict=True):
        _frame(panel, counts, title)
        lines = {}
        for name, style in reversed(_STYLES.items()):
            line = sorted((int(r["edits"]), float(r[figures])) for r in chosen if r["method"] == name)
            lines[style.label] = [value for _, value in line]
            panel.plot(
                [edits for edits, _ in line],
                [value for _, value in line],
                linestyle="-" if style.side else (0, (4, 2)),
                color=style.colour,
                marker=style.marker,
                markersize=6.5,
                linewidth=2.4 if style.side else 1.6,
                label=style.label,
                clip_on=False,
                zorder=4 if style.side else 3,
            )
        # Lines on top of each other look like one.
        whole = [style.label for style in _STYLES.values() if min(lines[style.label], default=0.0) > 0.985]
        if len(whole) > 1:
            text(
                panel,
                0,
                1.03,
                "at the top: " + ", ".join(whole),
                transform=panel.transAxes,
                size=8.5,
                color=SOFT,
            )
    panels[0].set_ylabel("share", color=SOFT)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles[::-1],
        labels[::-1],
        loc="lower center",
        ncols=len(labels),
        frameon=False,
        labelcolor=INK,
        fontsize=9.5,
    )
    return save(figure, path)


def _frame(panel: Axes, counts: list[int], title: str) -> None:
    panel.set_xscale("log")
    panel.set_xticks(counts, [f"{count:,}" for count in counts])
    panel.minorticks_off()
    panel.set_xlim(counts[0] * 0.85, counts[-1] * 1.18)
    panel.set_ylim(0, 1.02)
    panel.set_yticks([0, 0.25, 0.5, 0.75, 1])
    panel.grid(axis="y", color=FAINT, linewidth=1)
    panel.set_axisbelow(True)
    panel.tick_params(colors=SOFT, length=0)
    for side in ("top", "right", "left"):
        panel.spines[side].set_visible(False)
    panel.spines["bottom"].set_color(FAINT)
    panel.set_xlabel("counterfactual facts edited", color=SOFT)
    text(panel, 0, 1.085, title, transform=panel.transAxes, size=11.5, weight="bold", va="bottom")


def main() -> None:
    """Parse the command line and draw."""
    results = Path(__file__).parent.parent / "results"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, default=results / "editing.json")
    parser.add_argument("--out", type=Path, default=results / "editing_forgetting.png")
    options = parser.parse_args()
    print(draw(read_rows(options.rows), options.out))


if __name__ == "__main__":
    main()
