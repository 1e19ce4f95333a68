"""The note graph as one self-contained HTML page: no server, nothing loaded from anywhere, readable on any machine with a browser.

Drawn by Cytoscape.js (Franz et al. 2016, https://doi.org/10.1093/bioinformatics/btv557), which is in the page. What notes say is in it
as JSON whose ``<``, ``>`` and ``&`` are escapes, and enters the page as text; a content security policy admits our two scripts, by hash.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentmem.errors import InvalidArgument
from agentmem.files.writing import writing
from agentmem.graph.view import communities, newest

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["MAX_NOTES", "page", "write_page"]

MAX_NOTES: Final = 1500
"""More than this a browser draws, but nobody reads."""
_WIDE, _TALL = 190.0, 110.0  # pixels of room for a note and its label
_ESCAPES: Final = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def write_page(
    view: nx.DiGraph[str], path: Path | str, *, title: str = "Notes and their links", limit: int = MAX_NOTES
) -> Path:
    """Write :func:`page` into a file (UTF-8) that only its owner may read: it holds the notes; returns its path."""
    text = page(view, title=title, limit=limit)
    with writing(path) as draft:
        draft.write_text(text, encoding="utf-8")
    return Path(path)


def page(view: nx.DiGraph[str], *, title: str = "Notes and their links", limit: int = MAX_NOTES) -> str:
    """The page: search, a click shows a note with its fact, dates and links with their reasons.

    Args:
        view: what ``memory.graph()`` gives.
        limit: of more notes than this the newest are shown, and the page says so.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise InvalidArgument(f"limit must be a whole number of 1 or more, not {limit!r}.", hint=f"limit={MAX_NOTES}.")
    shown = newest(view, limit)
    library, script = _asset("cytoscape.min.js"), _asset("page.js")
    parts = {
        "title": html.escape(title),
        "hashes": f"{_hash(library)} {_hash(script)}",
        "style": _asset("page.css"),
        "data": _json(_data(shown, len(view) + view.graph.get("left_out", 0))),
        "library": library,
        "script": script,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _asset("page.html"))


def _asset(name: str) -> str:
    return (
        resources.files("agentmem")
        .joinpath("data", "graph_page", name)
        .read_text(encoding="utf-8")
        .replace("\r\n", "\n")
    )


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _json(value: object) -> str:
    """JSON that no HTML parser and no script can read as anything else; half a character pair is replaced."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "replace").decode().translate(_ESCAPES)


def _data(view: nx.DiGraph[str], total: int) -> dict[str, Any]:
    groups = {node: number for number, members in enumerate(communities(view)) for node in members} if len(view) else {}
    places = _places(view)
    nodes = [
        {
            "id": node,
            **{name: values[name] for name in _SHOWN},
            "strength": values["retrievability"],
            "group": groups[node],
            "x": round(places[node][0], 1),
            "y": round(places[node][1], 1),
        }
        for node, values in view.nodes(data=True)
    ]
    links = [
        {
            "source": a,
            "target": b,
            "kind": values["kind"],
            "weight": round(values["weight"], 4),
            "reasons": values["reasons"],
        }
        for a, b, values in view.edges(data=True)
    ]
    counts = f"{len(nodes)} notes, {len(links)} links"
    return {
        "counts": counts if total == len(nodes) else f"the newest {counts}; {total} notes in all",
        "nodes": nodes,
        "links": links,
    }


_SHOWN: Final = (
    "content kind actor session occurred_at created_at valid_to fact tags importance recalls archived ended".split()
)


def _places(view: nx.DiGraph[str]) -> dict[str, tuple[float, float]]:
    """Pixels: forces decide who is near whom, ranks use the page evenly; the same graph is always laid out the same."""
    import networkx as nx

    if not len(view):
        return {}
    plain = nx.Graph()
    plain.add_nodes_from(view)
    plain.add_edges_from((a, b) for a, b in view.edges if a != b)
    nodes = list(plain)
    found = nx.spring_layout(plain, pos=nx.circular_layout(plain), k=2.0 / len(nodes) ** 0.5, iterations=120, seed=7)
    axes = []
    for axis, room in enumerate((_WIDE, _TALL)):
        values = [float(found[node][axis]) for node in nodes]
        middle = sum(values) / len(values)
        deviation = (sum((v - middle) ** 2 for v in values) / len(values)) ** 0.5 or 1.0
        order = sorted(range(len(nodes)), key=values.__getitem__)
        rank = {index: place for place, index in enumerate(order)}
        # Unlinked notes fly far from the rest and a dense middle stays dense: so most of each place is its rank.
        even = [(rank[i] + 0.5) / len(nodes) * 2 - 1 for i in range(len(nodes))]
        axes.append(
            [
                room * len(nodes) ** 0.5 * (0.35 * max(-1.7, min(1.7, (v - middle) / deviation)) + 0.65 * e) / 2
                for v, e in zip(values, even, strict=True)
            ]
        )
    return {node: (axes[0][i], axes[1][i]) for i, node in enumerate(nodes)}
