"""Pictures of the memory: its graph, a forgetting curve, what an edit changed. Written as PNG, SVG or PDF.

matplotlib is imported when a picture is drawn, without ``pyplot``: no window, no display, no state between calls.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from agentmem.errors import InvalidArgument
from agentmem.graph.drawing import BAD, FAINT, GOOD, MAIN, PALETTE, PAPER, SOFT, canvas, cut, save, text, wrap
from agentmem.graph.picture import draw_graph

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from matplotlib.axes import Axes

__all__ = ["draw_curve", "draw_edit_report", "draw_graph", "draw_learning"]


def draw_curve(
    points: Sequence[tuple[datetime, float]],
    reviews: Sequence[datetime],
    path: Path | str,
    *,
    due: datetime | None = None,
    level: float = 0.9,
    title: str = "",
) -> Path:
    """Draw how the strength of a note falls with time and rises with each recall.

    Args:
        points: (moment, retrievability) by time; what :func:`agentmem.notes.curves.sample` gives.
        reviews: the moments of its recalls; the curve is drawn as a new stroke after each.
        path: where to write; the suffix chooses the format.
        due: when the strength will have fallen to ``level``.
        level: the strength at which a review is due.
        title: shown above the picture.
    """
    if len(points) < 2:
        raise InvalidArgument("A curve needs at least two points.", hint="forgetting.sample(...) makes them.")
    figure, axes = canvas(8.4, 3.9)
    figure.subplots_adjust(left=0.075, right=0.97, top=0.86 if title else 0.93, bottom=0.13)
    ordered = sorted(points)
    stroke: list[tuple[datetime, float]] = []
    pending = sorted(reviews)
    for moment, strength in ordered:
        while pending and pending[0] <= moment:
            if stroke and pending[0] > stroke[-1][0]:
                stroke.append((pending[0], stroke[-1][1]))
            _stroke(axes, stroke)
            stroke = [(pending.pop(0), 1.0)]
        stroke.append((moment, strength))
    _stroke(axes, stroke)
    seen = [moment for moment in reviews if ordered[0][0] <= moment <= ordered[-1][0]]
    axes.plot(
        [_number(moment) for moment in seen],
        [1.0] * len(seen),
        "o",
        color=GOOD,
        markersize=7,
        markeredgecolor=PAPER,
        clip_on=False,
        zorder=5,
    )
    low = min(strength for _, strength in ordered)
    _curve_frame(axes, ordered, max(0.0, min(low - 0.06, level - 0.1)), level)
    _curve_marks(axes, ordered, due, level, bool(seen))
    if title:
        text(axes, 0, 1.07, cut(title, 90), transform=axes.transAxes, size=12, weight="bold", va="bottom")
    return save(figure, path)


def draw_edit_report(
    rows: Sequence[tuple[str, str, str, bool]],
    scores: Mapping[str, float],
    path: Path | str,
    *,
    title: str = "",
) -> Path:
    """Draw what an edit changed: questions with the answers before and after, and the measured shares as bars.

    Args:
        rows: (question, answer before, answer after, whether the answer after is right) each; the first 14 are shown.
        scores: name to a share in [0, 1], such as reliability, generality and locality.
        path: where to write; the suffix chooses the format.
        title: shown above the picture.
    """
    shown = [(wrap(q, 40, 2), wrap(b, 24, 2), wrap(a, 24, 2), ok) for q, b, a, ok in rows[:14]]
    heights = [0.2 + 0.17 * max(cell.count("\n") + 1 for cell in row[:3]) for row in shown]
    top = 0.5 if title else 0.12
    bars = 0.62 * len(scores)
    height = top + max(0.55 + sum(heights) + (0.3 if len(rows) > len(shown) else 0), 0.4 + bars) + 0.25
    width = 11.0
    figure, axes = canvas(width, height)
    axes.set_position((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)  # inches from the top, so that rows are laid out as they are read
    axes.axis("off")
    if title:
        text(axes, 0.3, 0.3, cut(title, 100), size=13, weight="bold", va="center")
    _answers(axes, shown, heights, top, len(rows) - len(shown))
    _bars(axes, scores, top)
    return save(figure, path)


def draw_learning(curves: Mapping[str, Sequence[float]], path: Path | str, *, window: int = 5, title: str = "") -> Path:
    """Draw how often episodes succeed, as running means over the last ``window`` episodes.

    Args:
        curves: name to the success of each episode, a share in [0, 1]; at most ten curves.
        path: where to write; the suffix chooses the format.
        window: how many episodes a point is the mean of.
        title: shown above the picture.
    """
    if not curves or len(curves) > len(PALETTE) or not all(curves.values()) or window < 1:
        raise InvalidArgument(
            f"Learning is drawn as 1 to {len(PALETTE)} curves with a point each.",
            hint="draw_learning({'with memory': [0.0, 1.0]}, 'learning.png').",
        )
    figure, axes = canvas(8.4, 3.9)
    figure.subplots_adjust(left=0.09, right=0.8, top=0.86 if title else 0.93, bottom=0.15)
    for (name, curve), colour in zip(curves.items(), PALETTE, strict=False):
        means = [_mean(curve[max(0, end - window) : end]) for end in range(1, len(curve) + 1)]
        axes.plot(range(1, len(means) + 1), means, color=colour, linewidth=2)
        label = {"color": colour, "va": "center", "size": 9}
        text(axes, 1.015, means[-1], cut(name, 24), transform=axes.get_yaxis_transform(), **label)
    axes.set_ylim(-0.03, 1.03)
    axes.grid(axis="y", color=FAINT)
    axes.set_xlabel("episode", color=SOFT)
    axes.set_ylabel(f"success (mean of {window})", color=SOFT)
    axes.tick_params(colors=SOFT, length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    if title:
        text(axes, 0, 1.07, cut(title, 90), transform=axes.transAxes, size=12, weight="bold", va="bottom")
    return save(figure, path)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _number(moment: datetime) -> float:
    """The moment as matplotlib counts: days since 1970."""
    from matplotlib.dates import date2num

    return float(date2num(moment))


def _stroke(axes: Axes, stroke: Sequence[tuple[datetime, float]]) -> None:
    if len(stroke) < 2:
        return
    days = [_number(moment) for moment, _ in stroke]
    strengths = [strength for _, strength in stroke]
    axes.plot(days, strengths, color=MAIN, linewidth=2.2, solid_capstyle="round", zorder=3)
    axes.fill_between(days, strengths, 0, color=MAIN, alpha=0.09, linewidth=0, zorder=1)


def _curve_frame(axes: Axes, points: Sequence[tuple[datetime, float]], bottom: float, level: float) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import MultipleLocator, PercentFormatter

    axes.set_xlim(_number(points[0][0]), _number(points[-1][0]))
    axes.set_ylim(bottom, 1.02)
    axes.axhline(level, color=SOFT, linewidth=1, linestyle=(0, (4, 3)), zorder=2)
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    locator = AutoDateLocator(maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    step = next(step for step in (0.02, 0.05, 0.1, 0.2) if step >= 0.2 or (1.02 - bottom) / step <= 7)
    axes.yaxis.set_major_locator(MultipleLocator(step))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.tick_params(colors=SOFT, labelsize=9, length=0, pad=6)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(SOFT)


def _curve_marks(
    axes: Axes, points: Sequence[tuple[datetime, float]], due: datetime | None, level: float, recalled: bool
) -> None:
    (start, _), (end, last) = points[0], points[-1]
    # On the right, on the side of the line where the curve is not.
    side = {"ha": "right", "va": "bottom" if last < level else "top", "size": 8.5, "color": SOFT}
    words = f"review at R = {level:g}"
    if due is not None and due > end:
        words = f"due {due:%d %b %Y}, at R = {level:g} →"
    y = level + (0.006 if last < level else -0.012) * (axes.get_ylim()[1] - axes.get_ylim()[0]) * 2
    text(axes, 0.995, y, words, transform=axes.get_yaxis_transform(), **side)
    if recalled:
        axes.plot([], [], "o", color=GOOD, markersize=7, label="recalled")
        axes.legend(loc="lower right", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=9, labelcolor=SOFT)
    if due is not None and start <= due <= end:
        axes.plot([_number(due)], [level], "D", color=BAD, markersize=7, markeredgecolor=PAPER, zorder=5)
        late = due > start + (end - start) * 0.6
        axes.annotate(
            f"due {due:%d %b %Y}",
            (_number(due), level),
            xytext=(-9 if late else 9, -9 if late else 9),
            textcoords="offset points",
            ha="right" if late else "left",
            va="top" if late else "bottom",
            fontsize=9,
            color=BAD,
            weight="bold",
        )


def _answers(
    axes: Axes, rows: Sequence[tuple[str, str, str, bool]], heights: Sequence[float], top: float, more: int
) -> None:
    from matplotlib.patches import Rectangle

    columns = (0.3, 3.75, 5.75)
    for x, head in zip(columns, ("question", "before", "after"), strict=True):
        text(axes, x, top + 0.28, head, size=9, color=SOFT, va="center")
    y = top + 0.46
    for number, ((asked, before, after, right), height) in enumerate(zip(rows, heights, strict=True)):
        if number % 2 == 0:
            axes.add_patch(Rectangle((0.2, y), 7.75, height, facecolor="#f5f7f9", edgecolor="none", zorder=0))
        middle = {"va": "center", "size": 9, "linespacing": 1.2}
        text(axes, columns[0], y + height / 2, asked, **middle)
        text(axes, columns[1], y + height / 2, before, **middle, color=SOFT)
        text(
            axes,
            columns[2],
            y + height / 2,
            after,
            **middle,
            weight="bold",
            **{} if right else {"style": "italic"},
        )
        mark, colour = ("✓", GOOD) if right else ("✗", BAD)
        text(axes, 7.72, y + height / 2, mark, size=11, color=colour, va="center", ha="center", weight="bold")
        y += height
    if more > 0:
        text(axes, columns[0], y + 0.2, f"and {more} more", size=9, color=SOFT, va="center")


def _bars(axes: Axes, scores: Mapping[str, float], top: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    left, length = 8.4, 2.25
    for number, (name, value) in enumerate(scores.items()):
        share = min(max(float(value), 0.0), 1.0) if not math.isnan(value) else 0.0
        y = top + 0.3 + 0.62 * number
        colour = GOOD if share >= 0.9 else PALETTE[1] if share >= 0.6 else BAD
        text(axes, left, y, cut(name, 24), size=9.5, va="center")
        text(axes, left + length, y, f"{share:.0%}", size=9.5, va="center", ha="right", weight="bold")
        for part, shade in ((1.0, FAINT), (share, colour)):
            if part > 0.02:
                axes.add_patch(
                    FancyBboxPatch(
                        (left + 0.05, y + 0.16),
                        max(length * part - 0.1, 0.01),
                        0.07,
                        boxstyle="round,pad=0.05",
                        facecolor=shade,
                        edgecolor="none",
                    )
                )
