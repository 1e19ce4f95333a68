"""The note graph as a networkx view: for pictures, paths, communities and whatever else networkx can do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from agentmem.notes import Link, Note

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["build_view"]


def build_view(notes: Iterable[Note], links: Iterable[Link], retrievability: Mapping[str, float]) -> nx.DiGraph:
    """A frozen directed graph; two notes with several kinds of link keep the strongest as the edge, all in ``kinds``."""
    import networkx as nx

    graph = nx.DiGraph()
    for note in notes:
        graph.add_node(
            note.id,
            content=note.content,
            kind=note.kind,
            actor=note.actor or "",
            occurred_at=note.occurred_at.isoformat(),
            importance=note.importance,
            retrievability=round(retrievability.get(note.id, 1.0), 6),
            archived=note.archived_at is not None,
            ended=note.valid_to is not None,
        )
    for link in links:
        if link.source not in graph or link.target not in graph:
            continue
        held = graph.get_edge_data(link.source, link.target)
        kinds = f"{held['kinds']}, {link.kind}" if held else link.kind
        if held is None or link.weight > held["weight"]:
            graph.add_edge(link.source, link.target, kind=link.kind, weight=link.weight, reason=link.reason, kinds=kinds)
        else:
            held["kinds"] = kinds
    return nx.freeze(graph)
