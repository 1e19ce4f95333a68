"""What the pictures share: colours, a canvas without ``pyplot``, and text that any font can show."""

from __future__ import annotations

import textwrap
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentmem.errors import InvalidArgument, MissingExtra
from agentmem.files.writing import writing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "BAD",
    "FAINT",
    "GOOD",
    "INK",
    "MAIN",
    "PALETTE",
    "PAPER",
    "SOFT",
    "canvas",
    "cut",
    "save",
    "text",
    "wrap",
]

INK, SOFT, FAINT, PAPER = "#1f2933", "#66727f", "#e4e8ec", "#ffffff"
GOOD, BAD, MAIN = "#2a9d6f", "#d1495b", "#2f6fb0"
PALETTE: Final = (
    *(
        "#4e88c7",
        "#e59545",
        "#58a979",
        "#c96378",
        "#8d79bd",
        "#b08b5b",
        "#5fb3b8",
        "#d58fb4",
        "#93a84a",
        "#7d8a97",
    ),
)
_DPI = 160


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """A white figure of this size in inches with one pair of axes.

    Raises:
        MissingExtra: when matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise MissingExtra(
            "Pictures need matplotlib, which is not installed.", hint="pip install 'agentmem-toolkit[viz]'"
        )
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor=PAPER)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_facecolor(PAPER)
    return figure, axes


def save(figure: Figure, path: Path | str) -> Path:
    """Write the figure in the format that the suffix names; missing folders are made."""
    target = Path(path)
    if target.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise InvalidArgument(f"Cannot draw into {target.name!r}.", hint="end the name in .png, .svg or .pdf.")
    with writing(target) as draft:
        figure.savefig(draft, facecolor=PAPER)
    return target


@cache
def _glyphs() -> frozenset[int]:
    """The characters that the default font can draw."""
    from matplotlib.font_manager import findfont, get_font

    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())


def _drawable(text: str) -> str:
    """The text in one line, characters that the font lacks replaced: an empty box with a warning helps nobody."""
    glyphs = _glyphs()
    return "".join(c if ord(c) in glyphs else "·" for c in " ".join(text.split()))


def cut(text: str, length: int) -> str:
    """The text in one line of at most ``length`` characters."""
    text = _drawable(text)
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def wrap(text: str, width: int, lines: int) -> str:
    """The text in at most ``lines`` lines of ``width`` characters, shortened by an ellipsis."""
    made = textwrap.wrap(_drawable(text), width, max_lines=lines, placeholder="…", break_on_hyphens=False)
    return "\n".join(made)


def text(axes: Axes, x: Any, y: float, words: str, **style: Any) -> None:
    """Put words somewhere, as they are."""
    # parse_math off: a note about "$5 and $6" is no formula.
    axes.text(x, y, words, **{"color": INK, "parse_math": False, **style})
