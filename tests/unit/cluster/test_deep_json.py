"""Content that is too deep for decoders affects its own object only."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triton_operator.cluster.deep_json import cut, decode_any_depth, is_cut, is_deeper

VALUES = st.recursive(
    st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


def deep(levels: int, opening: str = '{"a":[', closing: str = "]}") -> bytes:
    """Each level is an object and an array."""
    return (opening * (levels // 2) + '"}]\\""' + closing * (levels // 2)).encode()


@pytest.mark.parametrize("levels", [500, 2_000, 10_000])
def test_what_no_decoder_reads_is_read_without_its_depths(levels: int) -> None:
    decoded = decode_any_depth(msgspec.json.decode, b'{"near":1,"far":' + deep(levels) + b',"behind":[2]}')
    assert (decoded["near"], decoded["behind"]) == (1, [2])


@given(VALUES, st.integers(1, 6))
def test_a_cut_limits_the_depth_of_json(value: object, levels: int) -> None:
    """Shallower JSON is not changed."""
    data = json.dumps(value).encode()
    short = cut(data, levels)
    json.loads(short)
    assert not is_deeper(short, levels)
    assert (short == data) is not is_deeper(data, levels)
    assert is_cut(short) is is_deeper(data, levels)
