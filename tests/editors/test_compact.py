"""Rows in few bytes: what was rounded once is kept to the last bit."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from agentmem.editors.compact import FINE, Compact, coarse, expand, shrink
from agentmem.editors.gate.codebook import Codebook
from agentmem.editors.packed import Calibration, PackedEdit
from agentmem.editors.packs import dump, parse
from agentmem.notes.edit import EditRequest

Rows = npt.NDArray[np.float32]

ROWS = arrays(
    np.float32,
    st.tuples(st.integers(0, 5), st.integers(0, 9)),
    elements=st.floats(-(2.0**100), 2.0**100, width=32),
)


@given(ROWS, st.sampled_from([0.5, 0.05, FINE, 0.0]))
@settings(max_examples=300)
def test_what_was_rounded_is_stored_without_loss(rows: Rows, tolerance: float) -> None:
    kept = coarse(rows, tolerance)

    assert np.array_equal(expand(shrink("x", kept), "x"), kept)


@given(ROWS, st.sampled_from([0.5, 0.05, FINE]))
@settings(max_examples=300)
def test_no_row_moves_by_more_than_its_share(rows: Rows, tolerance: float) -> None:
    moved = np.linalg.norm(coarse(rows, tolerance).astype(np.float64) - rows, axis=-1)

    assert (moved <= tolerance * np.linalg.norm(rows.astype(np.float64), axis=-1)).all()


@given(ROWS)
def test_what_cannot_be_rounded_is_stored_as_it_is(rows: Rows) -> None:
    assert np.array_equal(expand(shrink("x", rows), "x"), rows)


@pytest.mark.parametrize(("tolerance", "bits"), [(0.5, 4), (0.05, 8), (FINE, 12), (1e-4, 16), (1e-6, 32)])
def test_the_bytes_follow_the_precision(tolerance: float, bits: int) -> None:
    rows = np.random.default_rng(0).normal(size=(3, 256)).astype(np.float32)

    stored = shrink("x", coarse(rows, tolerance))

    assert stored["x"].nbytes == rows.size * bits // 8
    assert sum(array.nbytes for name, array in stored.items() if name != "x") == (3 if bits < 32 else 0)


def test_scales_that_do_not_fit_are_an_error() -> None:
    stored = shrink("x", coarse(np.ones((3, 4), np.float32), FINE))
    with pytest.raises(ValueError, match="scales of 'x'"):
        expand(stored | {"x.scale": stored["x.scale"][:2]}, "x")
    with pytest.raises(ValueError, match="scales of 'x'"):
        expand(stored | {"x": np.full((3, 4), 32767, np.int16), "x.scale": np.full(3, 127, np.int8)}, "x")


def _texts(edit: PackedEdit) -> int:
    """What its words and its id take, which a published codebook does not keep."""
    request = edit.request
    return len(f"{request.prompt}{request.target}{request.subject}{request.id}")


def test_an_edit_takes_half_the_bytes_of_a_published_one() -> None:
    """Of a small model: a published edit is a key of 512 and a value of 256 single floats."""
    rng = np.random.default_rng(0)

    def rows(n: int) -> Rows:
        return rng.normal(size=(n, 256)).astype(np.float32)

    def edit(i: int) -> PackedEdit:
        request = EditRequest(f"Where does Ana Brook {i} live?", "Porto.", f"Ana Brook {i}", id=f"e-{i:016x}")
        gaps = rng.uniform(10, 30, 19)
        return PackedEdit(
            request, (17, 4), coarse(rows(1), FINE), coarse(rows(1), FINE)[0], gaps.astype(np.float16),
            gaps[:1].astype(np.float32), Compact(coarse(rows(5), 0.5)),
        )  # fmt: skip

    nothing = Calibration(np.zeros(512, np.float32), np.zeros((512, 256), np.float32), False, rows(0), 0.0)
    books = [
        Codebook("grace", "base", (), 0.01, 0.01, nothing, edits=tuple(edit(i) for i in range(n))) for n in (100, 200)
    ]

    assert (len(books[1].bytes) - len(books[0].bytes)) / 100 - _texts(books[1].edits[-1]) <= (512 + 256) * 4 / 2
    again = parse(books[0].bytes)
    assert dump(again) == books[0].bytes
    for before, after in zip(books[0].edits, again.edits, strict=True):
        assert np.array_equal(before.others.rows, after.others.rows)
        for name in ("keys", "value", "negatives", "limits"):
            assert np.array_equal(getattr(before, name), getattr(after, name)), name
