"""What the note graph tells: groups, what belongs to a question, and why two notes are connected."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from itertools import pairwise
from math import log, prod
from pathlib import Path

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem import Link, Memory, Scope
from agentmem.errors import InvalidArgument, UnknownNote
from agentmem.graph.view import communities, connect, pagerank, write_graphml
from agentmem.remember import update as keeping

TOLD = (
    "Lena lives in Porto.",
    "Porto has six bridges.",
    "Bridges rust without paint.",
    "The harp needs new strings.",
    "Strings of the harp are gut.",
)


@pytest.fixture
def told(memory: Memory) -> list[str]:
    return [str(memory.remember(text).id) for text in TOLD]


def test_communities_are_a_partition(memory: Memory, told: list[str]) -> None:
    """Every note is in exactly one group; what is linked lies together, what is not lies apart; always the same."""
    groups = communities(memory.graph())

    assert sorted(id for group in groups for id in group) == sorted(told)
    assert {told[0], told[1]} <= groups[0]
    assert {told[3], told[4]} in groups
    assert groups == communities(memory.graph())
    with pytest.raises(InvalidArgument):
        communities(memory.graph(), resolution=0)


def test_an_empty_graph_has_no_groups(memory: Memory) -> None:
    assert communities(memory.graph()) == []


def test_pagerank_stays_near_its_seeds(memory: Memory, told: list[str]) -> None:
    """What a seed is linked with outranks what it is not; it sums to 1; hits, ids and weights are seeds alike."""
    view = memory.graph()
    ranks = pagerank(view, told[0])
    hits = memory.recall("harp strings", k=2)

    assert sum(ranks.values()) == pytest.approx(1)
    assert list(ranks)[0] in told[:2]
    assert ranks[told[1]] > ranks[told[2]] > ranks[told[3]]
    assert set(list(pagerank(view, hits))[:2]) == {told[3], told[4]}
    assert pagerank(view, memory.get(told[0])) == ranks == pagerank(view, {told[0]: 3.0})


@pytest.mark.parametrize("seeds", [[], {}, {"x": 0.0}, {"x": float("nan")}])
def test_pagerank_needs_a_seed(memory: Memory, told: list[str], seeds: object) -> None:
    """Nothing, or nothing with a weight, is an error that says what to pass."""
    with pytest.raises(InvalidArgument) as caught:
        pagerank(memory.graph(), seeds)  # type: ignore[arg-type]

    assert caught.value.hint


def test_pagerank_of_a_note_elsewhere_is_an_error(memory: Memory, told: list[str]) -> None:
    with pytest.raises(UnknownNote):
        pagerank(memory.graph(), "no such note")
    with pytest.raises(InvalidArgument):
        pagerank(memory.graph(), told[0], damping=1.0)


def test_a_connection_tells_its_steps(memory: Memory, told: list[str]) -> None:
    """Two notes without a common word are connected through a third: each step with kinds, weights and reasons."""
    found = memory.why_linked(told[0], told[2])

    assert found
    assert [note.id for note in found.notes] == told[:3]
    assert [links[0].kind for links in found.steps] == ["shares", "shares"]
    assert [links[0].reason for links in found.steps] == ["both mention “porto”", "both mention “bridges”"]
    assert found.strength == pytest.approx(prod(links[0].weight for links in found.steps))
    assert str(found).splitlines()[0] == "“Lena lives in Porto.”"
    assert "both mention “bridges”" in str(found)
    assert [n.id for n in memory.why_linked(told[2], told[0]).notes] == told[2::-1]


def test_no_connection_is_false(memory: Memory, told: list[str]) -> None:
    """Nothing is made up; a step that the user makes connects them, with the user's reason, beside all others."""
    apart = memory.why_linked(told[0], told[3])
    assert not apart
    assert apart.strength == 0
    assert "no connection" in str(apart)

    memory.link(told[3], told[0], reason="she plays it at home")
    memory.link(told[0], told[3], "supports", weight=0.5)
    direct = memory.why_linked(told[0], told[3])
    assert [(link.kind, link.reason) for link in direct.steps[0]] == [
        ("user", "she plays it at home"),
        ("supports", ""),
    ]


def test_a_connection_goes_through_nobody_elses_notes(open_memory: Callable[..., Memory]) -> None:
    """Another user's note is neither an end of a connection nor a step of one."""
    ana, ben = open_memory(scope=Scope(user="ana")), open_memory(scope=Scope(user="ben"))
    ids = [str(ana.remember(text).id) for text in (TOLD[0], TOLD[2])]
    theirs = str(ben.remember(TOLD[1]).id)

    assert not ana.why_linked(*ids)
    with pytest.raises(UnknownNote):
        ana.why_linked(ids[0], theirs)
    with pytest.raises(InvalidArgument):
        ana.why_linked(ids[0], ids[0])


PAIRS = st.tuples(st.integers(0, 7), st.integers(0, 7), st.floats(0.01, 1.0)).filter(lambda t: t[0] != t[1])


@given(edges=st.lists(PAIRS, max_size=25))
@settings(max_examples=150, deadline=None)
def test_the_way_is_a_way_and_none_is_missed(edges: list[tuple[int, int, float]]) -> None:
    """Steps join, repeat no note, and exist exactly when the two ends are in one component; networkx finds no cheaper one."""
    links = [Link(str(a), str(b), "user", w) for a, b, w in edges]
    way, steps = connect(links, "0", "7")
    plain = nx.Graph()
    plain.add_nodes_from(["0", "7"])
    for link in links:
        cost = 0.5 - log(link.weight)
        if cost < plain.get_edge_data(link.source, link.target, {"cost": 1e9})["cost"]:
            plain.add_edge(link.source, link.target, cost=cost)

    assert bool(way) == nx.has_path(plain, "0", "7")
    if way:
        assert (way[0], way[-1], len(set(way))) == ("0", "7", len(way))
        assert all(
            {link.source, link.target} == {a, b}
            for (a, b), step in zip(pairwise(way), steps, strict=True)
            for link in step
        )
        cost = sum(plain[a][b]["cost"] for a, b in pairwise(way))
        assert cost == pytest.approx(nx.dijkstra_path_length(plain, "0", "7", weight="cost"))


def test_graphml_is_read_by_others(memory: Memory, told: list[str], tmp_path: Path) -> None:
    """What was written is read back by networkx: the same notes, links and attributes, forbidden characters replaced."""
    odd = str(memory.remember("A bell \x07, a tag <b>, an & and 猫 for Porto.").id)
    path = write_graphml(memory.graph(), tmp_path / "new" / "graph.graphml")
    back = nx.read_graphml(path)

    assert ET.parse(path).getroot().tag.endswith("graphml")
    assert set(back) == {*told, odd}
    assert back.number_of_edges() == memory.graph().number_of_edges()
    assert back.nodes[odd]["content"] == "A bell \ufffd, a tag <b>, an & and 猫 for Porto."
    assert back.nodes[told[0]]["archived"] is False
    assert any("both mention" in reason for _, _, reason in back.edges(data="reasons"))


def test_an_edge_keeps_every_kind_and_reason(memory: Memory, told: list[str]) -> None:
    """Several links between two notes: the strongest is the edge, all are named."""
    source, target, data = next(iter(memory.graph().edges(data=True)))
    memory.link(source, target, reason="I say so", weight=1.0)
    memory.link(source, target, "supports", weight=0.01)
    edge = memory.graph().edges[source, target]

    assert set(edge["kinds"].split(", ")) == {data["kind"], "user", "supports"}
    assert "user: I say so" in edge["reasons"]
    assert edge["weight"] == 1.0


def _kinds(memory: Memory, a: str, b: str) -> set[str]:
    return {
        kind
        for x, y in ((a, b), (b, a))
        for kind in memory.graph().get_edge_data(x, y, {"kinds": ""})["kinds"].split(", ")
        if kind
    }


def test_new_words_are_linked_anew(memory: Memory, told: list[str]) -> None:
    """What a note no longer mentions connects it no longer; what people linked stays, and so does it at a rebuild."""
    lena, bridges, _, harp, strings = told
    memory.link(lena, bridges, reason="the two go together")
    assert "shares" in _kinds(memory, lena, bridges)

    memory.update(lena, "Lena plays the harp.")

    assert _kinds(memory, lena, bridges) == {"user"}
    assert "shares" in _kinds(memory, lena, harp)
    links = {(x, y, kinds) for x, y, kinds in memory.graph().edges(data="kinds")}
    memory.rebuild("graph")
    assert {(x, y, kinds) for x, y, kinds in memory.graph().edges(data="kinds")} == links
    later = memory.remember("Porto lies on the Douro.")
    assert lena not in {link.target for link in later.links if link.kind == "shares"}
    assert strings in memory.graph()


def test_a_graph_says_what_it_leaves_out(
    memory: Memory, told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large scope is shown by its newest notes, and nobody takes them for all."""
    assert memory.graph().graph["left_out"] == 0
    monkeypatch.setattr(keeping, "MAX_GRAPH", 3)

    view = memory.graph()

    assert (set(view), view.graph["left_out"]) == (set(told[2:]), 2)
    assert "the newest 3 notes, " in (page := memory.graph_page(tmp_path / "graph.html").read_text())
    assert "5 notes in all" in page


def test_a_graph_is_no_larger_than_asked_for(memory: Memory, told: list[str]) -> None:
    """The newest notes of a scope; around a note, itself and the nearest, whatever was said since."""
    newest = memory.graph(limit=2)
    for one, other in pairwise(told):
        memory.link(one, other)
    near = memory.graph(around=told[0], hops=1, limit=2)
    far = memory.graph(around=told[0], hops=6)

    assert (set(newest), newest.graph["left_out"]) == (set(told[-2:]), len(told) - 2)
    assert (told[0] in near, len(near)) == (True, 2)
    assert near.graph["left_out"] + len(near) == len(memory.graph(around=told[0], hops=1))
    assert far.graph["left_out"] == 0
    for wrong in (0, -1, "3", True, 1.5):
        with pytest.raises(InvalidArgument):
            memory.graph(limit=wrong)  # type: ignore[arg-type]
