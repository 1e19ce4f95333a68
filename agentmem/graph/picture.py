"""The note graph as a picture: forces for the layout, then no label over another."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from agentmem.errors import InvalidArgument
from agentmem.graph.drawing import INK, PALETTE, PAPER, SOFT, canvas, save, text, wrap
from agentmem.graph.view import newest

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence
    from pathlib import Path

    import networkx as nx
    import numpy as np
    import numpy.typing as npt
    from matplotlib.axes import Axes

    Points = npt.NDArray[np.float64]
    _Shape = tuple[Points, float, Points]

__all__ = ["draw_graph"]

_EDGES: Final[dict[str, tuple[str, Any]]] = {
    "next": ("#9aa5b1", "-"),
    "similar": ("#4e88c7", "-"),
    "shares": ("#e59545", (0, (5, 2))),
    "derived_from": ("#8d79bd", (0, (6, 2, 1, 2))),
    "supports": ("#2a9d6f", "-"),
    "supersedes": ("#d1495b", "-"),
    "updates": ("#d1495b", (0, (6, 2))),
    "used_together": ("#1f7a54", (0, (3, 1, 1, 1))),
    "contradicts": ("#d1495b", (0, (1, 1.6))),
}
_OTHER: Final = ("#66727f", (0, (3, 1.5)))

_LINE = 0.155  # inches per line of a label
_CHAR = 0.073  # inches per character, at the label's size
_LINES, _WIDTH = 3, 22


MAX_NOTES: Final = 300
"""More than this nobody reads in a picture, and placing labels takes time with the square of their number."""


def draw_graph(graph: nx.DiGraph[Any], path: Path | str, *, title: str = "", limit: int = MAX_NOTES) -> Path:
    """Draw a note graph: colour is the community, size the strength, line style the kind of link.

    Args:
        graph: nodes may carry ``label`` or ``content``, ``strength`` or ``retrievability`` (0 to 1), ``community``, and
            ``ended`` or ``archived`` (drawn hollow); edges ``kind`` and ``weight``. Communities that are not given are
            found from the links.
        path: where to write; the suffix chooses the format.
        title: shown above the picture.
        limit: of more notes than this the newest (by ``created_at``) are drawn, and the title says so.

    Returns:
        The path written.

    Raises:
        InvalidArgument: when the graph has no node, or ``limit`` is not 1 or more.
        MissingExtra: when matplotlib is not installed.
    """
    if not len(graph):
        raise InvalidArgument("The graph has no nodes to draw.", hint="remember something first.")
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise InvalidArgument(f"limit must be a whole number of 1 or more, not {limit!r}.", hint=f"limit={MAX_NOTES}.")
    if len(graph) > limit:
        some = f"the newest {limit:,} of {len(graph):,} notes"
        title, graph = f"{title}: {some}" if title else some, newest(graph, limit)
    nodes = list(graph)
    labels = [wrap(_label(graph, node), _WIDTH, _LINES) for node in nodes]
    radii = [0.13 + 0.17 * _strength(graph, node) for node in nodes]
    colours = _communities(graph, nodes)
    places = _layout(graph, nodes, labels, radii)
    boxes = _boxes(labels, radii)
    low, high = (places - boxes[:, [0, 2]]).min(axis=0), (places + boxes[:, [0, 1]]).max(axis=0)
    width, height = max(5.0, high[0] - low[0] + 0.5), max(2.6, high[1] - low[1] + 0.95 + 0.4 * bool(title))
    figure, axes = canvas(width, height)
    axes.set_position((0, 0, 1, 1))
    middle = (low[0] + high[0]) / 2
    top = high[1] + (height - (high[1] - low[1]) - 0.45 + 0.35 * bool(title)) / 2
    axes.set_xlim(middle - width / 2, middle + width / 2)
    axes.set_ylim(top - height, top)
    axes.axis("off")
    shape = {node: (place, radius, box) for node, place, radius, box in zip(nodes, places, radii, boxes, strict=True)}
    kinds = _draw_edges(axes, graph, shape)
    for node, place, radius, colour, label in zip(nodes, places, radii, colours, labels, strict=True):
        _draw_node(axes, place, radius, colour, label, _gone(graph, node))
    _edge_legend(axes, kinds)
    if title:
        text(axes, 0.5, 0.985, title, transform=axes.transAxes, size=13, weight="bold", ha="center", va="top")
    return save(figure, path)


def _label(graph: nx.DiGraph[Any], node: Hashable) -> str:
    data = graph.nodes[node]
    return str(data.get("label") or data.get("content") or node)


def _strength(graph: nx.DiGraph[Any], node: Hashable) -> float:
    data = graph.nodes[node]
    value = float(data.get("strength", data.get("retrievability", 0.5)))
    return 0.5 if math.isnan(value) else min(max(value, 0.0), 1.0)


def _communities(graph: nx.DiGraph[Any], nodes: Sequence[Hashable]) -> list[str]:
    """One colour per community, the largest first; given communities win over computed ones."""
    import networkx as nx

    groups: dict[Hashable, Hashable] = {}
    if any(graph.nodes[node].get("community") is None for node in nodes):
        plain = nx.Graph()
        plain.add_nodes_from(nodes)
        for a, b, data in graph.edges(data=True):
            plain.add_edge(a, b, weight=max(float(data.get("weight", 1.0)), 0.01))
        for number, members in enumerate(nx.community.louvain_communities(plain, seed=7)):
            groups.update(dict.fromkeys(members, ("made", number)))
    groups.update({n: c for n in nodes if (c := graph.nodes[n].get("community")) is not None})
    sizes: dict[Hashable, int] = {}
    for node in nodes:
        sizes[groups[node]] = sizes.get(groups[node], 0) + 1
    order = sorted(sizes, key=lambda group: (-sizes[group], nodes.index(next(n for n in nodes if groups[n] == group))))
    colour = {group: PALETTE[i % len(PALETTE)] for i, group in enumerate(order)}
    return [colour[groups[node]] for node in nodes]


def _gone(graph: nx.DiGraph[Any], node: Hashable) -> bool:
    """True for what no longer holds or has faded: drawn hollow."""
    return bool(graph.nodes[node].get("ended") or graph.nodes[node].get("archived"))


def _boxes(labels: Sequence[str], radii: Sequence[float]) -> Points:
    """Half the width of node and label, and how far they reach above and below the node's middle, in inches."""
    import numpy as np

    wide = [max(max(map(len, label.split("\n"))) * _CHAR / 2, r) for label, r in zip(labels, radii, strict=True)]
    deep = [r + 0.1 + _LINE * (label.count("\n") + 1) for label, r in zip(labels, radii, strict=True)]
    return np.stack([np.array(wide), np.array(radii), np.array(deep)], axis=1)


def _layout(graph: nx.DiGraph[Any], nodes: Sequence[Hashable], labels: Sequence[str], radii: Sequence[float]) -> Points:
    """Places in inches: forces decide who is near whom, then boxes of node and label are pushed apart."""
    import networkx as nx
    import numpy as np

    plain = nx.Graph()
    plain.add_nodes_from(nodes)
    plain.add_edges_from((a, b) for a, b in graph.edges if a != b)
    start = nx.circular_layout(plain)
    found = nx.spring_layout(plain, pos=start, k=1.9 / len(nodes) ** 0.5, iterations=300, seed=7)
    places = np.array([found[node] for node in nodes], dtype=np.float64)
    # The forces leave dense middles and long thin clouds; a page is 3 by 2 and should be used evenly, so places are
    # drawn half way to their ranks.
    ranks = places.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    even = ((ranks + 0.5) / len(nodes) * 2 - 1) * 3**0.5
    spread = np.maximum(places.std(axis=0), 1e-6)
    blend = 0.5 * (places - places.mean(axis=0)) / spread + 0.5 * even
    places = blend * np.array([0.98, 0.66]) * max(len(nodes), 2) ** 0.5 * (0.52 + 0.6 / len(nodes) ** 0.5)
    if len(nodes) < 3:
        places[:, 1] = 0.0
    return _separate(places, _boxes(labels, radii) + np.array([0.1, 0.1, 0.08]))


def _separate(places: Points, boxes: Points) -> Points:
    """Push overlapping boxes apart along the axis of least overlap until none overlap (or 600 rounds have passed)."""
    import numpy as np

    half, above, below = boxes.T
    middle = (above - below) / 2
    tall = (above + below) / 2
    places = places + np.arange(len(places))[:, None] * 1e-6  # nodes on the very same spot part in a fixed direction
    for _ in range(600):
        x, y = places[:, 0], places[:, 1] + middle
        dx, dy = x[:, None] - x[None, :], y[:, None] - y[None, :]
        over_x = half[:, None] + half[None, :] - np.abs(dx)
        over_y = tall[:, None] + tall[None, :] - np.abs(dy)
        both = (over_x > 0) & (over_y > 0)
        np.fill_diagonal(both, False)
        if not both.any():
            break
        sideways = over_x < over_y
        places[:, 0] += np.where(both & sideways, np.where(dx >= 0, 1, -1) * over_x, 0).sum(axis=1) * 0.3
        places[:, 1] += np.where(both & ~sideways, np.where(dy >= 0, 1, -1) * over_y, 0).sum(axis=1) * 0.3
    return places


def _draw_edges(axes: Axes, graph: nx.DiGraph[Any], shape: Mapping[Hashable, _Shape]) -> list[str]:
    """Draw the links as gentle arcs from rim to rim; returns the kinds drawn."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Line

    kinds: dict[str, None] = {}
    for a, b, data in graph.edges(data=True):
        points = _arc(shape[a], shape[b]) if a != b else []
        kind = str(data.get("kind", "link"))
        if len(points) < 3:
            continue
        kinds.setdefault(kind, None)
        colour, style = _EDGES.get(kind, _OTHER)
        weight = min(max(float(data.get("weight", 1.0)), 0.0), 1.0)
        axes.add_patch(
            FancyArrowPatch(
                path=Line(points),
                arrowstyle="-|>,head_length=5,head_width=2.4",
                mutation_scale=1.0,
                linewidth=0.9 + 1.3 * weight,
                linestyle=style,
                color=colour,
                alpha=0.5 + 0.4 * weight,
                zorder=1,
            )
        )
    return [*(k for k in _EDGES if k in kinds), *(k for k in kinds if k not in _EDGES)]


def _arc(start: _Shape, end: _Shape) -> list[tuple[float, float]]:
    """The visible part of a quadratic curve between two nodes: what lies in neither node nor its label."""
    import numpy as np

    a, b = start[0], end[0]
    across = np.array([b[1] - a[1], a[0] - b[0]])
    bend = (a + b) / 2 + 0.1 * across
    t = np.linspace(0, 1, 160)[:, None]
    curve = (1 - t) ** 2 * a + 2 * t * (1 - t) * bend + t**2 * b
    hidden = np.flatnonzero(_inside(curve, start) | _inside(curve, end))
    # Of what is left between hidden stretches, the longest is the arc; others lie between a node and its own label.
    edges = np.concatenate([[-1], hidden, [len(curve)]])
    longest = int(np.diff(edges).argmax())
    visible = curve[edges[longest] + 1 : edges[longest + 1]]
    return [(float(x), float(y)) for x, y in visible]


def _inside(points: Points, shape: _Shape) -> npt.NDArray[np.bool_]:
    """Which points lie within a node or its label, with a little air around."""
    import numpy as np

    place, radius, (half, _, below) = shape
    apart = points - place
    circle = np.hypot(apart[:, 0], apart[:, 1]) < radius + 0.04
    label = (np.abs(apart[:, 0]) < half + 0.03) & (apart[:, 1] < -radius) & (apart[:, 1] > -below - 0.04)
    return np.asarray(circle | label, dtype=np.bool_)


def _draw_node(axes: Axes, place: Points, radius: float, colour: str, label: str, gone: bool) -> None:
    from matplotlib.patches import Circle

    face, rim = (PAPER, colour) if gone else (colour, PAPER)
    axes.add_patch(Circle((place[0], place[1]), radius, facecolor=face, edgecolor=rim, linewidth=1.6, zorder=3))
    text(
        axes,
        place[0],
        place[1] - radius - 0.06,
        label,
        size=8,
        ha="center",
        va="top",
        linespacing=1.15,
        zorder=4,
        color=SOFT if gone else INK,
        bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.85, "pad": 0.8},
    )


def _edge_legend(axes: Axes, kinds: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    if not kinds:
        return
    handles = [
        Line2D(
            [],
            [],
            color=_EDGES.get(k, _OTHER)[0],
            linestyle=_EDGES.get(k, _OTHER)[1],
            linewidth=2,
            label=k.replace("_", " "),
        )
        for k in kinds
    ]
    axes.legend(
        handles=handles,
        loc="lower center",
        ncols=min(len(handles), 7),
        frameon=False,
        fontsize=9,
        labelcolor=SOFT,
        handlelength=2.4,
        columnspacing=1.6,
        borderaxespad=0.2,
    )
