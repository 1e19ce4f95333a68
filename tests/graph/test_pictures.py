"""Pictures: written for any graph, curve or report; legible; and a clear error where they cannot be drawn."""

from __future__ import annotations

import itertools
import sys
import warnings
from datetime import UTC, datetime, timedelta

import pytest

nx = pytest.importorskip("networkx")
pytest.importorskip("matplotlib")

from agentmem.errors import InvalidArgument, MissingExtra  # noqa: E402
from agentmem.graph import picture as graph_picture  # noqa: E402
from agentmem.graph.picture import _boxes, _layout  # noqa: E402
from agentmem.graph.pictures import draw_curve, draw_edit_report, draw_graph, draw_learning  # noqa: E402
from agentmem.notes.curves import FSRS6, due, sample  # noqa: E402

NOW = datetime(2026, 1, 1, 9, tzinfo=UTC)
PNG = b"\x89PNG\r\n\x1a\n"


def note_graph(n: int) -> nx.DiGraph:
    graph = nx.DiGraph()
    for i in range(n):
        graph.add_node(i, content=f"Note {i}: Ana walks her dog Rex by the river every morning", strength=i / n)
    kinds = itertools.cycle(["next", "similar", "shares", "supersedes", "contradicts", "my own kind"])
    for i in range(1, n):
        graph.add_edge(i, (i * 7) % i, kind=next(kinds), weight=0.3 + 0.7 * i / n)
    return graph


@pytest.mark.parametrize("n", [1, 3, 60])
def test_graphs_of_any_size_are_drawn(tmp_path, n):
    """One note or sixty: a picture is written, without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = draw_graph(note_graph(n), tmp_path / "new" / "graph.png", title="Notes")

    assert path.read_bytes().startswith(PNG)
    assert path.stat().st_size > 5_000


@pytest.mark.parametrize(
    "graph", [note_graph(60), nx.star_graph(40, create_using=nx.DiGraph), nx.empty_graph(25, nx.DiGraph)]
)
def test_no_label_lies_over_another(graph):
    """After layout the boxes of nodes and labels do not overlap, in chains, stars and heaps without links."""
    nodes = list(graph)
    labels, radii = ["a label of words\nand a second line"] * len(nodes), [0.25] * len(nodes)
    places, boxes = _layout(graph, nodes, labels, radii), _boxes(labels, radii)

    for i, j in itertools.combinations(range(len(nodes)), 2):
        (xi, yi), (xj, yj) = places[i], places[j]
        apart_x = abs(xi - xj) >= boxes[i, 0] + boxes[j, 0]
        apart_y = yi + boxes[i, 1] <= yj - boxes[j, 2] or yj + boxes[j, 1] <= yi - boxes[i, 2]
        assert apart_x or apart_y


def test_the_same_graph_gives_the_same_picture(tmp_path):
    """A picture depends on nothing but the graph."""
    first = draw_graph(note_graph(5), tmp_path / "a.png")
    second = draw_graph(note_graph(5), tmp_path / "b.png")

    assert first.read_bytes() == second.read_bytes()


def test_odd_nodes_are_drawn(tmp_path):
    """Formulas, other scripts, missing values, loops, faded and ended notes, not-a-number: all drawn, without warnings."""
    graph = nx.DiGraph()
    graph.add_node("a", content="It costs $5 and $6_x^2")
    graph.add_node("b", label="猫が好き 👩‍👩‍👧 \n\t", strength=float("nan"))
    graph.add_node("c", content="", archived=True)
    graph.add_node("d", content="w" * 5_000, ended=True, strength=7)
    graph.add_edge("a", "a", kind="similar")
    graph.add_edge("a", "b", kind="next", weight=-3)
    graph.add_edge("b", "a")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = draw_graph(nx.freeze(graph), tmp_path / "odd.svg")

    assert b"<svg" in path.read_bytes()


def test_an_empty_graph_is_refused(tmp_path):
    """Nothing to draw is said, not drawn."""
    with pytest.raises(InvalidArgument, match="no nodes"):
        draw_graph(nx.DiGraph(), tmp_path / "x.png")


def test_an_unknown_format_is_refused(tmp_path):
    """The hint names the formats."""
    with pytest.raises(InvalidArgument, match="png"):
        draw_graph(note_graph(2), tmp_path / "graph.docx")


def test_a_curve_with_recalls_is_drawn(tmp_path):
    """A curve of several strokes, its recalls and its due date."""
    model = FSRS6()
    state, start, points, reviews = model.initial(NOW), NOW, [], []
    for day in (2, 9, 40):
        moment = NOW + timedelta(days=day)
        points += sample(state, model, start, moment, 40)
        state, start = model.review(state, moment), moment
        reviews.append(moment)
    points += sample(state, model, start, NOW + timedelta(days=200), 60)
    path = draw_curve(points, reviews, tmp_path / "curve.png", due=due(state, model), title="Ana · lives in · Porto")

    assert path.read_bytes().startswith(PNG)


@pytest.mark.parametrize("days", [0.1, 4, 4000])
def test_curves_of_any_length_are_drawn(tmp_path, days):
    """Hours or years, with the due date inside, outside or unknown."""
    model = FSRS6()
    state = model.initial(NOW)
    points = sample(state, model, NOW, NOW + timedelta(days=days))

    assert draw_curve(points, [], tmp_path / "a.png", due=due(state, model)).exists()
    assert draw_curve(points, [], tmp_path / "b.pdf").exists()
    with pytest.raises(InvalidArgument):
        draw_curve(points[:1], [], tmp_path / "c.png")


def test_a_report_is_drawn(tmp_path):
    """Questions before and after, and bars; also when there are none, very many, or long ones."""
    row = ("Where does Ana live these days? " * 6, "Lisbon. " * 20, "Porto.", True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        full = draw_edit_report(
            [row] * 40,
            {"reliability": 1.0, "generality": 0.86, "locality": float("nan")},
            tmp_path / "a.png",
            title="$1",
        )
        empty = draw_edit_report([], {}, tmp_path / "b.png")

    assert full.read_bytes().startswith(PNG)
    assert empty.read_bytes().startswith(PNG)


def test_without_matplotlib_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    """A missing extra is a typed error with the command that installs it."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    with pytest.raises(MissingExtra) as caught:
        draw_edit_report([], {}, tmp_path / "x.png")

    assert "viz" in caught.value.hint


def test_importing_pictures_imports_no_matplotlib():
    """The price of drawing is paid when something is drawn."""
    import subprocess

    code = "import sys, agentmem.graph.pictures; sys.exit('matplotlib' in sys.modules or 'numpy' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_learning_is_drawn_and_nothing_to_draw_is_said(tmp_path):
    """Curves of different lengths are drawn, without a warning; none, or one without a point, has a cure."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = draw_learning({"with $memory_": [0, 1, 1, 1], "none": [0.0]}, tmp_path / "learning.png", title="Cup")

    assert path.read_bytes().startswith(PNG)
    assert path.stat().st_size > 5_000
    for wrong in ({}, {"a": []}, {str(i): [1.0] for i in range(11)}):
        with pytest.raises(InvalidArgument) as caught:
            draw_learning(wrong, tmp_path / "x.png")
        assert caught.value.hint
    assert not (tmp_path / "x.png").exists()


def test_a_picture_of_many_notes_shows_the_newest_and_says_so(tmp_path, monkeypatch):
    graph = nx.DiGraph()
    for number in range(9):
        graph.add_node(f"n{number}", content=f"Note {number}.", created_at=f"2026-03-0{number + 1}T00:00:00+00:00")
    graph.add_edge("n0", "n8", kind="similar", weight=0.5)
    words: list[str] = []
    drawn = graph_picture.text
    monkeypatch.setattr(
        graph_picture,
        "text",
        lambda axes, x, y, said, **style: (words.append(said), drawn(axes, x, y, said, **style))[1],
    )

    draw_graph(graph, tmp_path / "graph.png", title="Notes", limit=3)

    assert sorted(words) == ["Note 6.", "Note 7.", "Note 8.", "Notes: the newest 3 of 9 notes"]
    with pytest.raises(InvalidArgument, match="limit"):
        draw_graph(graph, tmp_path / "graph.png", limit=0)
