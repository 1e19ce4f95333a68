"""Proposed links: which, how strong, why, and never too many."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem.errors import InvalidArgument
from agentmem.notes.note import Fact
from agentmem.projections.linking import (
    conflicting,
    link_contradicts,
    link_next,
    link_shares,
    link_similar,
    link_supersedes,
    link_terms,
)


def test_next_runs_from_the_tail_to_the_new_note():
    """A thread is a chain in the order of speaking, and no note follows itself."""
    (link,) = link_next(7, 8)

    assert (link.source, link.target, link.kind, link.weight) == (7, 8, "next", 1.0)
    assert "thread" in link.reason
    assert link_next(8, 8) == []


def test_similar_links_are_the_nearest_over_the_threshold():
    """The few nearest notes are linked with their cosine as weight, nearest first."""
    links = link_similar(1, [(2, 0.7), (3, 0.9), (4, 0.5), (5, 0.8), (1, 1.0)], threshold=0.6, limit=2)

    assert [(link.target, link.weight) for link in links] == [(3, 0.9), (5, 0.8)]
    assert all(link.source == 1 and link.kind == "similar" and "0." in link.reason for link in links)


def test_similar_links_survive_odd_cosines():
    """Rounding above 1, not-a-number, and a neighbour given twice do no harm."""
    links = link_similar(1, [(2, 1.0000002), (3, float("nan")), (2, 0.7)], threshold=0.6)

    assert [(link.target, link.weight) for link in links] == [(2, 1.0)]
    with pytest.raises(InvalidArgument):
        link_similar(1, [], threshold=0.0)


def test_shared_terms_weigh_by_rarity():
    """A term that one other note has weighs 1, one of ten notes a third, a common one nothing."""
    links = link_shares(99, {"ana": [1], "porto": list(range(1, 11)), "the": list(range(50))}, limit=20)

    weights = {link.target: link.weight for link in links}
    porto = 1 / (1 + math.log(10))
    assert weights[1] == pytest.approx(1.0)
    assert weights[2] == pytest.approx(porto)
    assert set(weights) == set(range(1, 11))


def test_shared_terms_are_named_rarest_first():
    """The reason names the terms, and says how many more there are."""
    links = link_shares(9, {"porto": [1, 2, 3], "rex": [1], "acme": [1, 2]})

    assert links[0].target == 1
    assert links[0].reason == "both mention “rex” and “acme” and 1 more"


def test_shared_links_are_capped_and_prefer_the_newer():
    """Of equally strong ones the newer notes are kept."""
    links = link_shares(9, {"porto": [1, 2, 3, 4, 5]}, limit=2)

    assert [link.target for link in links] == [5, 4]


def test_a_cut_list_counts_by_its_true_number():
    """When the list of mentions was cut short, the given count decides what is common."""
    assert link_shares(9, {"porto": [1, 2]}, counts={"porto": 500}) == []
    assert link_shares(9, {"porto": [9]}) == []


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.lists(st.integers(0, 30), max_size=25), max_size=8))
def test_shared_links_keep_their_bounds(mentions):
    """Whatever is shared: at most the cap, no note to itself, no pair twice, weights in (0, 1], the strongest first."""
    links = link_shares(5, mentions, limit=4)

    assert len(links) <= 4
    assert len({link.target for link in links}) == len(links)
    assert all(link.target != 5 and 0 < link.weight <= 1 for link in links)
    assert [link.weight for link in links] == sorted((link.weight for link in links), reverse=True)


def test_conflicts_need_the_same_subject_relation_and_another_value():
    """Only another value of the same functional relation is a conflict; case and full stops do not count."""
    fact = Fact("Ana", "lives in", "Porto")
    known = [
        (1, Fact("ana", "Lives In", "Lisbon")),
        (2, Fact("Ana", "lives in", "porto.")),
        (3, Fact("Tom", "lives in", "Rome")),
        (4, Fact("Ana", "works at", "Acme")),
    ]

    assert [row for row, _ in conflicting(fact, known)] == [1]
    assert conflicting(Fact("Ana", "likes", "tea", functional=False), [(1, Fact("Ana", "likes", "milk"))]) == []


def test_superseding_and_contradicting_name_both_values():
    """The reason shows the old and the new value, shortened when long."""
    fact = Fact("Ana", "lives in", "Porto")
    (newer,) = link_supersedes(2, fact, [(1, Fact("Ana", "lives in", "Lisbon"))])
    (against,) = link_contradicts(2, fact, [(1, Fact("Ana", "lives in", "x" * 200))])

    assert (newer.source, newer.target, newer.kind) == (2, 1, "supersedes")
    assert newer.reason == "Ana · lives in: “Lisbon” is now “Porto”"
    assert (against.kind, len(against.reason) < 100) == ("contradicts", True)


def test_braces_in_values_do_not_break_reasons():
    """A value that looks like a format field is shown as it is."""
    (link,) = link_supersedes(2, Fact("{old}", "r", "{x}"), [(1, Fact("{old}", "r", "{0}"))])

    assert "{x}" in link.reason


def test_terms_are_normalised_entities_before_keywords():
    """Terms come once each, without regard to case, at most as many as asked."""
    assert link_terms(["Ana Silva", "Porto"], ["porto", "dog", "x"]) == ["ana silva", "porto", "dog"]
    assert len(link_terms([], [f"word{i}" for i in range(50)])) == 12
