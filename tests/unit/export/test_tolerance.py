"""Tolerances for sums in another order."""

from __future__ import annotations

import pytest
from torch import nn

from triton_operator.export.precision import quantize
from triton_operator.export.tolerance import NEXT_BYTE, TOLERANCE, for_another_order


def test_a_byte_may_become_the_next_one_where_rows_have_a_scale_of_their_own() -> None:
    assert for_another_order(quantize(nn.Sequential(nn.Linear(64, 64))), TOLERANCE) == NEXT_BYTE
    assert for_another_order(quantize(nn.Sequential(nn.Linear(64, 64))), 0.5) == 0.5


@pytest.mark.parametrize("module", [quantize(nn.Sequential(nn.LSTM(4, 4))), nn.Linear(4, 4), len])
def test_nothing_else_is_allowed_more(module: object) -> None:
    assert for_another_order(module, TOLERANCE) == TOLERANCE
