"""Division of rows into pieces, and attributions in the shape of the row."""

from __future__ import annotations

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from triton_operator.explain.errors import ExplanationError
from triton_operator.explain.masking import Columns, Masking, Patches, Pieces, split_text
from triton_operator.explain.types import Floats


@settings(deadline=None)
@given(st.text(max_size=60))
def test_pieces_joined_are_the_text(text: str) -> None:
    assert "".join(split_text(text)) == text
    assert all(split_text(text))


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("我爱你", ("我", "爱", "你")),
        ("I don't love it.", ("I ", "don't ", "love ", "it", ".")),
        ("我爱 Python3!", ("我", "爱 ", "Python3", "!")),
        ("  a", ("  ", "a")),
        ("𠮷野家", ("𠮷", "野", "家")),
        ("", ()),
    ],
)
def test_a_chinese_character_is_a_piece_as_a_word_is_elsewhere(text: str, pieces: tuple[str, ...]) -> None:
    assert split_text(text) == pieces


@st.composite
def pictures(draw: st.DrawFn) -> Patches:
    shape = (*draw(st.sampled_from([(), (1,), (3,)])), draw(st.integers(4, 9)), draw(st.integers(4, 9)))
    row = draw(hnp.arrays(np.float32, shape, elements=st.sampled_from([0.0, 0.5, 1.0])))
    return Patches(row, np.zeros_like(row), draw(st.integers(1, 4)))


@settings(deadline=None)
@given(pictures(), st.data())
def test_a_patch_is_there_or_the_baseline_is(masking: Patches, data: st.DataObject) -> None:
    """Every pixel belongs to exactly one patch."""
    keep = np.array([data.draw(st.lists(st.booleans(), min_size=masking.count, max_size=masking.count))])
    with_these, without = masking.rows(keep)[0], masking.rows(~keep)[0]
    assert np.array_equal(with_these + without, masking.row)
    assert with_these.dtype == masking.row.dtype
    assert np.array_equal(masking.rows(np.ones_like(keep))[0], masking.row)


@settings(deadline=None)
@given(pictures(), st.data())
def test_attributions_have_the_rows_shape_and_the_values_sum(masking: Patches, data: st.DataObject) -> None:
    values: Floats = data.draw(hnp.arrays(np.float64, masking.count, elements=st.floats(-5, 5)))
    spread = masking.spread(values)
    assert spread.shape == masking.row.shape
    assert spread.sum() == pytest.approx(values.sum(), abs=1e-9)


@settings(deadline=None)
@given(pictures())
def test_only_pieces_that_differ_from_the_baseline_count(masking: Patches) -> None:
    """So an empty background costs no evaluations."""
    without_one = ~np.eye(masking.count, dtype=np.bool_)
    changed = [not np.array_equal(row, masking.row) for row in masking.rows(without_one)]
    assert masking.differs().tolist() == changed


@pytest.mark.parametrize(
    ("masking", "rows"),
    [
        (Columns(np.array([1, 2]), np.array([0, 9])), [[1, 9], [0, 2]]),
        (Pieces(("我", "爱"), ""), ["我", "爱"]),
        (Pieces(("我", "爱"), "□"), ["我□", "□爱"]),
    ],
)
def test_columns_and_texts_are_taken_apart_alike(masking: Masking, rows: list[object]) -> None:
    assert masking.rows(np.eye(2, dtype=np.bool_)).tolist() == rows
    assert masking.spread(np.array([3.0, 4.0])).tolist() == [3, 4]
    assert masking.differs().all()


def test_a_patch_larger_than_the_picture_is_refused() -> None:
    picture = np.ones((1, 8, 8))
    with pytest.raises(ExplanationError, match="patch: 9 pixels do not divide an image of 8x8"):
        Patches(picture, picture, 9).rows(np.ones((1, 1), dtype=np.bool_))
