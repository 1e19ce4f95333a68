"""The note graph as a networkx view, and what one asks of it: groups, importance around a note, why two notes are connected."""

from __future__ import annotations

import heapq
import itertools
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentmem.errors import InvalidArgument, UnknownNote
from agentmem.files.writing import writing
from agentmem.notes.note import Hit, Link, Note

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["Connection", "build_view", "communities", "connect", "newest", "pagerank", "write_graphml"]

_NO_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HOP: Final = 0.5  # what a step costs beside its weight: a direct link explains more than a chain of stronger ones


@dataclass(frozen=True, slots=True)
class Connection:
    """Why two notes are connected: the notes along the strongest way, and for each step all links between its two ends.

    ``strength`` is the product of the best weights along the way, in (0, 1]; a connection that does not exist is false,
    has no steps and a strength of 0.
    """

    notes: tuple[Note, ...]
    steps: tuple[tuple[Link, ...], ...]
    strength: float

    def __bool__(self) -> bool:
        return bool(self.steps)

    def __str__(self) -> str:
        if not self.steps:
            return "no connection was found"
        lines = [f"“{self.notes[0].content}”"]
        for note, links in zip(self.notes[1:], self.steps, strict=True):
            lines += [f"  {link.kind} ({link.weight:.2f}): {link.reason or 'no reason given'}" for link in links]
            lines.append(f"“{note.content}”")
        return "\n".join(lines)


def build_view(
    notes: Iterable[Note], links: Iterable[Link], retrievability: Mapping[str, float], left_out: int = 0
) -> nx.DiGraph[str]:
    """A frozen directed graph; two notes with several kinds of link keep the strongest as the edge.

    All kinds are in the edge's ``kinds``, each with its reason in ``reasons``. Every attribute is a plain scalar.
    """
    import networkx as nx

    graph = nx.DiGraph(left_out=left_out)
    for note in notes:
        graph.add_node(note.id, **_node(note, retrievability.get(note.id, 1.0)))
    for link in links:
        if link.source not in graph or link.target not in graph:
            continue
        held = graph.get_edge_data(link.source, link.target)
        reasons = f"{link.kind}: {link.reason}" if link.reason else link.kind
        together: dict[str, object] = {
            "kinds": f"{held['kinds']}, {link.kind}" if held else link.kind,
            "reasons": f"{held['reasons']}; {reasons}" if held else reasons,
        }
        if held is None or link.weight > held["weight"]:
            together |= {"kind": link.kind, "weight": link.weight, "reason": link.reason}
        graph.add_edge(link.source, link.target, **together)
    return nx.freeze(graph)


def _node(note: Note, strength: float) -> dict[str, object]:
    return {
        "content": note.content,
        "kind": note.kind,
        "actor": note.actor or "",
        "session": note.scope.session or "",
        "occurred_at": note.occurred_at.isoformat(),
        "created_at": note.created_at.isoformat(),
        "valid_to": "" if note.valid_to is None else note.valid_to.isoformat(),
        "fact": "; ".join(str(fact) for fact in note.facts if fact.valid_to is None) or str(note.fact or ""),
        "tags": ", ".join(note.tags),
        "importance": note.importance,
        "retrievability": round(strength, 6),
        "recalls": note.state.recalls,
        "archived": note.archived_at is not None,
        "ended": note.valid_to is not None,
    }


def communities(view: nx.DiGraph[str], *, resolution: float = 1.0) -> list[set[str]]:
    """Groups of notes that are linked more with each other than with the rest, the largest first; every note is in one.

    Louvain (Blondel et al. 2008, https://doi.org/10.1088/1742-5468/2008/10/P10008) on the weights; the same graph gives
    the same groups.

    Args:
        view: what ``memory.graph()`` gives; resolution: over 1 for smaller groups, under 1 for larger ones.
    """
    import networkx as nx

    if not resolution > 0:
        raise InvalidArgument(f"resolution must be over 0, not {resolution!r}.", hint="1.0 is the usual one.")
    found = nx.community.louvain_communities(_undirected(view), weight="weight", resolution=resolution, seed=7)
    order = {node: place for place, node in enumerate(view)}
    return sorted((set(group) for group in found), key=lambda group: (-len(group), min(order[node] for node in group)))


def pagerank(
    view: nx.DiGraph[str],
    seeds: str | Note | Hit | Iterable[str | Note | Hit] | Mapping[str, float],
    *,
    damping: float = 0.85,
) -> dict[str, float]:
    """How much each note has to do with the seeds: personalised PageRank over the links, both ways; sums to 1, best first.

    A walker follows links by their weight and returns to the seeds with probability ``1 - damping``
    (Haveliwala 2002, https://doi.org/10.1145/511446.511513).

    Args:
        view: what ``memory.graph()`` gives.
        seeds: a note, its id, the hits of a query (each counts by its score), or ids with weights.
        damping: in (0, 1).

    Raises:
        UnknownNote: a seed is not in the view; InvalidArgument: no seed has a positive weight.
    """
    import networkx as nx

    if not 0 < damping < 1:
        raise InvalidArgument(f"damping must lie between 0 and 1, not {damping!r}.", hint="0.85 is the usual one.")
    weights = _seeds(seeds)
    for id in weights:
        if id not in view:
            raise UnknownNote(
                f"The note {id!r:.60} is not in this graph.",
                hint="take the graph of the same user, or around this note.",
            )
    ranks = nx.pagerank(_undirected(view), alpha=damping, personalization=weights, weight="weight")
    return dict(sorted(ranks.items(), key=lambda item: -item[1]))


def _seeds(seeds: str | Note | Hit | Iterable[str | Note | Hit] | Mapping[str, float]) -> dict[str, float]:
    if isinstance(seeds, Mapping):
        weights = {str(id): float(weight) for id, weight in seeds.items()}
    else:
        many = [seeds] if isinstance(seeds, (str, Note, Hit)) else list(seeds)
        weights = {}
        for seed in many:
            id = seed.note.id if isinstance(seed, Hit) else seed.id if isinstance(seed, Note) else seed
            weight = max(seed.score, 0.0) if isinstance(seed, Hit) else 1.0
            weights[id] = weights.get(id, 0.0) + weight
    if not all(math.isfinite(w) and w >= 0 for w in weights.values()) or not any(weights.values()):
        raise InvalidArgument(
            "There is no seed with a positive weight.", hint="pass a note's id, or the hits of recall()."
        )
    return weights


def _undirected(view: nx.DiGraph[str]) -> nx.Graph[str]:
    """The links without direction; of two that run both ways, the stronger."""
    import networkx as nx

    plain = nx.Graph()
    plain.add_nodes_from(view)
    for a, b, weight in view.edges(data="weight", default=1.0):
        if a != b and weight > plain.get_edge_data(a, b, {"weight": 0.0})["weight"]:
            plain.add_edge(a, b, weight=weight)
    return plain


def connect(links: Iterable[Link], start: str, end: str) -> tuple[list[str], list[tuple[Link, ...]]]:
    """The strongest way between two notes: ids along it, and the links of each step, the best first; empty when there is none.

    Dijkstra over ``-ln(weight)`` plus 0.5 per step: few and strong links, followed in either direction.
    """
    between: dict[str, dict[str, list[Link]]] = {}
    for link in links:
        if link.weight > 0:
            for a, b in ((link.source, link.target), (link.target, link.source)):
                between.setdefault(a, {}).setdefault(b, []).append(link)
    best, came, queue = {start: 0.0}, dict[str, str](), [(0.0, start)]
    while queue:
        cost, here = heapq.heappop(queue)
        if here == end:
            break
        if cost > best[here]:
            continue
        for there, ways in between.get(here, {}).items():
            total = cost + _HOP - math.log(min(1.0, max(link.weight for link in ways)))
            if total < best.get(there, math.inf):
                best[there], came[there] = total, here
                heapq.heappush(queue, (total, there))
    if end not in came:
        return [], []
    way = [end]
    while way[-1] != start:
        way.append(came[way[-1]])
    way.reverse()
    steps = [tuple(sorted(between[a][b], key=lambda link: -link.weight)) for a, b in itertools.pairwise(way)]
    return way, steps


def newest(view: nx.DiGraph[str], limit: int) -> nx.DiGraph[str]:
    """The newest notes with the links among them, newest first: ``view.subgraph`` would order them by the hashes of their ids."""
    import networkx as nx

    shown = nx.DiGraph()
    order = sorted(
        view.nodes(data=True), key=lambda node: (str(node[1].get("created_at", "")), str(node[0])), reverse=True
    )
    shown.add_nodes_from(order[:limit])
    shown.add_edges_from(edge for edge in view.edges(data=True) if edge[0] in shown and edge[1] in shown)
    return shown


def write_graphml(view: nx.DiGraph[str], path: Path | str) -> Path:
    """Write the view as GraphML (UTF-8), for Gephi, yEd, Cytoscape and others; characters that XML forbids become U+FFFD."""
    import networkx as nx

    clean = nx.DiGraph()
    clean.add_nodes_from((node, _clean(values)) for node, values in view.nodes(data=True))
    clean.add_edges_from((a, b, _clean(values)) for a, b, values in view.edges(data=True))
    with writing(path) as draft:
        nx.write_graphml_xml(clean, draft, encoding="utf-8")
    return Path(path)


def _clean(values: Mapping[str, object]) -> dict[str, object]:
    return {name: _NO_XML.sub("\ufffd", value) if isinstance(value, str) else value for name, value in values.items()}
