"""The geometry of the codebook: radii never overlap, and depend on the set alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem.editors.compact import Compact
from agentmem.editors.core.scopes import covisible
from agentmem.editors.gate.codebook import Codebook
from agentmem.editors.gate.geometry import Rivals, radii
from agentmem.editors.gate.naming import AskedText
from agentmem.editors.gate.nearest import KeySearch
from agentmem.editors.packs import Calibration, PackedEdit
from agentmem.notes.edit import EditRequest
from agentmem.notes.note import Scope

SCOPES = st.sampled_from(
    [None, Scope(), Scope(user="u"), Scope(user="v"), Scope(agent="a"), Scope(agent="b"), Scope(user="u", agent="a"),
     Scope(user="u", session="s"), Scope(user="u", session="t"), Scope(user="v", agent="b")]
)  # fmt: skip


@st.composite
def edits(draw, size=6):
    """Edits with clustered keys, few targets and all kinds of scopes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(1, size))
    made = []
    for i in range(count):
        keys = rng.normal(size=(draw(st.integers(1, 3)), 4)) * draw(st.sampled_from([0.0, 0.1, 1.0]))
        made.append(
            PackedEdit(
                EditRequest("p", "t", id=f"e{i}", scope=draw(SCOPES)), (draw(st.integers(0, 2)),), keys.astype(np.float32),
                rng.normal(size=3).astype(np.float32), np.abs(rng.normal(size=2)).astype(np.float32),
                np.abs(rng.normal(size=len(keys))).astype(np.float32) * 9,
                Compact(rng.normal(size=(draw(st.integers(0, 3)), 4)).astype(np.float32)),
            )
        )  # fmt: skip
    background = rng.normal(size=(8, 4)).astype(np.float32)
    space = Calibration(np.zeros(4, np.float32), np.eye(4, dtype=np.float32), False, background, 0.0)
    return space, made


def book(space, made):
    return Codebook("grace", "f", (), 0.0, 0.0).with_edits(made, (), space)


@given(edits())
@settings(max_examples=150, deadline=None)
def test_balls_of_different_targets_never_overlap(sample):
    """r_i + r_j <= d(K_i, K_j) for keys of different targets that one request may both see."""
    held = book(*sample)
    seen = covisible([edit.request.scope for edit in held.edits])
    for i, j in combinations(range(len(held.keys)), 2):
        a, b = held.owners[i], held.owners[j]
        if held.label_codes[a] != held.label_codes[b] and seen[a, b]:
            gap = np.linalg.norm(held.keys[i].astype(float) - held.keys[j].astype(float))
            assert held.radii[i] + held.radii[j] <= gap


@given(edits(), st.randoms())
@settings(max_examples=60, deadline=None)
def test_state_depends_on_the_set_alone(sample, random):
    """Any order of adding, with detours, gives the same hash and the same radii."""
    space, made = sample
    held = book(space, made)
    shuffled = random.sample(made, len(made))
    grown = Codebook("grace", "f", (), 0.0, 0.0)
    for edit in shuffled:
        grown = grown.with_edits([edit], (), space)
    extra = PackedEdit(
        EditRequest("q", "t", id="zz"),
        (9,),
        made[0].keys,
        made[0].value,
        made[0].negatives,
        made[0].limits,
        made[0].others,
    )
    detour = grown.with_edits([extra]).with_edits((), ["zz"])

    assert held.hash == grown.hash == detour.hash
    assert (held.radii == detour.radii).all()


@given(edits(), st.randoms())
@settings(max_examples=60, deadline=None)
def test_a_radius_does_not_depend_on_which_others_are_asked_for(sample, random):
    """One by one, some in any order, or all at once."""
    held = book(*sample)
    some = np.array(random.sample(range(len(held.keys)), random.randint(0, len(held.keys))), dtype=np.int64)

    assert np.allclose(held.radius_of(some), held.radii[some], rtol=1e-12, atol=0)
    assert np.allclose(
        [held.radius_of(np.array([i]))[0] for i in range(len(held.keys))], held.radii, rtol=1e-12, atol=0
    )


@given(st.lists(SCOPES, min_size=2, max_size=2), SCOPES)
def test_scopes_that_one_request_admits_are_covisible(pair, request):
    """Whatever some request may see together is treated as able to conflict."""
    asked = request or Scope()
    if all(not scope or asked.admits(scope) for scope in pair):
        assert covisible(pair)[0, 1]


def test_two_users_never_conflict():
    """Edits of different users may share a key with different targets."""
    assert not covisible([Scope(user="u"), Scope(user="v")])[0, 1]
    keys = np.zeros((2, 4), np.float32)
    assert (radii(KeySearch(keys), np.zeros((2, 2), bool), 0.5, np.ones(2, np.float32)) == 0.5).all()


@given(edits(), st.integers(0, 5), st.integers(1, 6))
def test_conflicts_by_blocks_are_the_whole_matrix(sample, start, size):
    """Rows that are worked out when they are wanted say what the full table of pairs would."""
    held = book(*sample)
    scopes = [edit.request.scope for edit in held.edits]
    whole = (held.label_codes[:, None] != held.label_codes[None, :]) & covisible(scopes)
    block = slice(start, start + size)

    assert (Rivals.of(held.key_codes, scopes, held.owners)[block] == whole[held.owners][:, held.owners][block]).all()


def test_reach_shrinks_as_keys_accumulate():
    """More keys, more chances for a false alarm: the radius that background allows never grows."""
    rng = np.random.default_rng(0)
    space = Calibration(
        np.zeros(4, np.float32),
        np.eye(4, dtype=np.float32),
        False,
        rng.normal(size=(200, 4)).astype(np.float32),
        0.0,
    )
    reach = []
    held = Codebook("grace", "f", (), 0.01, 0.03)
    for i in range(12):
        key = rng.normal(size=(1, 4)).astype(np.float32)
        held = held.with_edits(
            [
                PackedEdit(
                    EditRequest("p", "t", id=f"e{i:02}"),
                    (0,),
                    key,
                    key[0, :3],
                    np.zeros(0, np.float32),
                    np.full(1, 9, np.float32),
                    Compact(np.zeros((0, 4), np.float32)),
                )
            ],
            (),
            space,
        )
        reach.append(held.reach)

    assert reach == sorted(reach, reverse=True)
    assert reach[-1] < reach[0]


@given(edits())
@settings(max_examples=60, deadline=None)
def test_no_key_reaches_its_own_look_alikes(sample):
    """A question that only looks like an edit's stays outside the radius of every key of that edit."""
    held = book(*sample)
    limits = np.concatenate([edit.limits for edit in held.edits])

    assert (held.radii <= limits).all()
    assert (held.radii[limits > 0] < limits[limits > 0]).all()


def named(subject, id, key, target=0, apart=1.2):
    """An edit with one key, a small ball around it, and one other question about its subject, ``apart`` to the right."""
    limit, none = np.full(1, 0.2, np.float32), np.zeros(0, np.float32)
    request = EditRequest(f"Where does {subject} live?", "t", subject=subject, id=id)
    others = Compact(np.array([[apart, 0.0]], np.float32))
    return PackedEdit(request, (target,), np.array([key], np.float32), np.zeros(3, np.float32), none, limit, others)


def small_book(*made):
    background = np.full((4, 2), 5, np.float32) + np.arange(8, dtype=np.float32).reshape(4, 2)
    return book(Calibration(np.zeros(2, np.float32), np.eye(2, dtype=np.float32), False, background, 0.0), list(made))


def test_a_named_subject_widens_the_reach_of_its_own_edits_alone():
    """Farther than look-alikes allow, but only for requests that name the subject, and up to rivals about the same one."""
    held = small_book(named("Ana Lima", "a", [0, 0]), named("Ben Roth", "b", [1, 0], target=1))
    query = np.array([[0.45, 0]], np.float32)

    def answer(text):
        (match,) = held.match(query, [None], [AskedText(text, True)])
        return match.edit.id if match.edit is not None else None

    assert answer("") is None
    assert answer("In which town is ANA LIMA's home?") == "a"
    assert answer("And Ben Roth?") == "b"
    assert answer("Where does Anabel Limasol live?") is None
    rival = held.with_edits([named("Ana Lima", "c", [0.6, 0], target=2)])
    assert rival.match(query, [None], [AskedText("Ana Lima?", True)])[0].edit.id == "c"
    between = np.array([[0.3, 0]], np.float32)
    assert rival.match(between, [None], [AskedText("Ana Lima?", True)])[0].edit is None, (
        "as near to one fact of hers as to the other"
    )


def test_a_request_that_lies_nearer_to_another_question_is_left_alone():
    """However far a named subject lets an edit reach, what is known to ask something else is nearer to itself."""
    held = small_book(named("Ana Lima", "a", [0, 0], apart=0.8))
    query = np.array([[0.45, 0], [0.35, 0], [0.8, 0]], np.float32)
    matches = held.match(query, [None] * 3, [AskedText("Ana Lima?", True)] * 3)
    assert [m.edit is not None for m in matches] == [False, True, False]
    assert all(m.distance <= m.radius for m in matches if m.edit is not None)


@given(edits())
@settings(max_examples=60, deadline=None)
def test_edits_without_a_subject_keep_their_plain_reach(sample):
    """Nothing can name them."""
    held = book(*sample)
    for query in held.keys + np.float32(0.1):
        plain, said = held.match(np.stack([query, query]), [None, None], [AskedText(), AskedText("Who is p?", True)])
        assert (plain.edit, plain.radius) == (said.edit, said.radius)


def test_a_request_about_somebody_else_is_not_answered_however_near_its_key() -> None:
    key = np.array([[1, 0, 0, 0]], np.float32)
    far = np.full((1, 4), -9, np.float32)
    lives = EditRequest("Where does Ana live?", "Porto.", subject="Ana", id="e")
    nobody = EditRequest("Where does Ana live?", "Porto.", id="e")
    rest = (
        np.zeros(3, np.float32),
        np.zeros(0, np.float32),
        np.full(1, 9, np.float32),
        Compact(np.zeros((0, 4), np.float32)),
    )
    space = Calibration(np.zeros(4, np.float32), np.eye(4, dtype=np.float32), False, far, 0.0)

    def fired(request: EditRequest, text: str | None, whole: bool = True) -> bool:
        held = book(space, [PackedEdit(request, (1,), key, *rest)])
        (match,) = held.match(key, [None], None if text is None else [AskedText(text, whole)])
        assert match.nearest is not None  # what was nearest is told in any case
        return match.edit is not None

    assert fired(lives, "Where does Ana live?")
    assert not fired(lives, "Where does Anabel live?")
    assert not fired(lives, "Where does Ana Silva live?")
    assert not fired(lives, "Where does she live?")
    assert fired(lives, "and where does she live?", whole=False)  # the name may stand in what was not seen
    assert fired(lives, None)  # without words the key alone decides
    assert fired(nobody, "Where does Anabel live?")  # and for an edit that is about nobody


NAMES = ("Ana Lima", "Leo Braun", "Ada", None)
ASKED = st.builds(
    AskedText,
    st.sampled_from(["Where does Ana Lima live?", "And Leo Braun?", "What is new?", "Ada or Leo Braun?", ""]),
    st.booleans(),
)


@given(
    edits(),
    st.lists(st.tuples(SCOPES, ASKED), min_size=1, max_size=5),
    st.lists(st.sampled_from(NAMES), min_size=6, max_size=6),
)
@settings(max_examples=150, deadline=None)
def test_what_is_not_looked_at_is_decided_as_by_a_look(sample, requests, names):
    """Requests that name nobody are let pass without a search; who answers, and what a look tells, is as with one."""
    space, made = sample
    named = [
        replace(edit, request=replace(edit.request, prompt=f"{name or 'p'}?", subject=name))
        for edit, name in zip(made, names, strict=False)
    ]
    held, rng = book(space, named), np.random.default_rng(len(requests))
    raw = rng.normal(size=(len(requests), 4)).astype(np.float32) * 0.3
    scopes, asked = [scope for scope, _ in requests], [each for _, each in requests]
    expected = held.match(space.keys(raw), scopes, asked)
    found = held.answer(raw, scopes, asked)
    assert [match.edit for match in found] == [match.edit for match in expected]
    assert [match.looked() for match in found] == expected


def test_a_request_that_names_nobody_costs_no_search():
    """Where every edit needs its name said; as soon as one does not, each request is looked at."""
    space = Calibration(np.zeros(4, np.float32), np.eye(4, dtype=np.float32), False, np.zeros((0, 4), np.float32), 0.0)
    edit = PackedEdit(
        EditRequest("Where does Ana Lima live?", "Porto", id="e", subject="Ana Lima"), (1,), np.ones((1, 4), np.float32),
        np.zeros(3, np.float32), np.zeros(0, np.float16), np.full(1, 9, np.float32), Compact(np.zeros((0, 4), np.float32)),
    )  # fmt: skip
    held, raw = book(space, [edit]), np.ones((1, 4), np.float32)
    assert held.answer(raw, [None], [AskedText("What is new?", True)])[0].look is not None
    assert held.answer(raw, [None], [AskedText("is new?", False)])[0].look is None, "the name may have been said before"
    assert held.answer(raw, [None], [AskedText("What of Ana Lima?", True)])[0].edit is edit
    assert held.answer(-9 * raw, [None], [AskedText("What of Ana Lima?", True)])[0].look is not None, (
        "she is named, but far from it"
    )
    plain = replace(edit, request=replace(edit.request, id="f", prompt="Where does she live?"))
    assert book(space, [edit, plain]).answer(raw, [None], [AskedText("What is new?", True)])[0].look is None
