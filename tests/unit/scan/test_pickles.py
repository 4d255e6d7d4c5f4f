"""Unexpected types are found in pickles, which are never loaded."""

from __future__ import annotations

import collections
import io
import os
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch._weights_only_unpickler import _get_allowed_globals

from triton_operator.scan import pickles
from triton_operator.scan.pickles import check_pickle, is_expected
from triton_operator.triton.model_file.archive import Archive


class Command:
    """Runs a program when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.system, ("exit 77",))


def messages(data: bytes) -> list[str]:
    return list(check_pickle(data))


@pytest.mark.parametrize("protocol", range(6))
def test_a_command_is_found_in_every_protocol(protocol: int) -> None:
    assert messages(pickle.dumps(Command(), protocol)) == [
        "names posix system, which is called when the pickle is loaded"
    ]


@pytest.mark.parametrize("protocol", range(2, 6))
def test_plain_values_and_ordered_dicts_are_expected(protocol: int) -> None:
    assert messages(pickle.dumps([1, "a", {"b": (None, 1.5)}, collections.OrderedDict(a=1)], protocol)) == []


def test_a_type_in_reused_texts_is_found_and_reported_once() -> None:
    data = pickle.dumps([Command(), Command(), collections.OrderedDict(), collections.OrderedDict()], 4)
    assert messages(data) == ["names posix system, which is called when the pickle is loaded"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x80\x04\x8c\x02os2\x8c\x06system\x930.", "hides which type it names"),
        (b"\x80\x02\x82\x01.", "hides which type it names"),
        (b"(S'exit 77'\nios\nsystem\n.", "names os system"),
        (b"\x80\x02c__torch__.torch.classes.dist_rpc\nRRef\n.", "names __torch__.torch.classes.dist_rpc RRef"),
        (b"\x80\x02ctorch.distributed.rpc\nrref\n.", "names torch.distributed.rpc rref"),
        (b"\x80\x02ctorch\nload\n.", "names torch load"),
        (b"\x80\x02N", "cannot be read"),
        (b"", "cannot be read"),
        (b"\x80\x02N.cos\nsystem\n.", "bytes after the end"),
    ],
)
def test_what_hides_or_cannot_be_read(data: bytes, words: str) -> None:
    assert any(words in found for found in messages(data))


def test_a_checkpoint_of_torch_is_expected() -> None:
    """It has tensors of many kinds."""
    buffer = io.BytesIO()
    values = [torch.ones(2, dtype=each) for each in (torch.float32, torch.int64, torch.bool, torch.bfloat16)]
    sparse = torch.eye(2).to_sparse()
    torch.save({"v": values, "s": sparse, "p": torch.nn.Parameter(torch.ones(1)), "d": torch.float16}, buffer)
    data = Archive(buffer).read("data.pkl", 1 << 20)
    assert data is not None
    assert messages(data) == []


def test_only_names_that_torch_calls_safe_are_expected() -> None:
    """The names of `torch.load(weights_only=True)`, and the functions of TorchScript."""
    safe = {" ".join(name.rsplit(".", 1)) for name in _get_allowed_globals()}
    assert "collections OrderedDict" in safe
    ours = {f"{module} {name}" for module, allowed in pickles._ALLOWED.items() for name in allowed}
    assert {name for name in ours - safe if not name.startswith("torch.jit._pickle ")} == set()
    assert not any(is_expected(f"torch {name}") for name in ("load", "save", "hub", "ops", "classes", "jit"))


def test_a_pickle_of_numpy_is_reported() -> None:
    assert any("numpy" in found for found in messages(pickle.dumps(np.ones(1))))


@pytest.mark.timeout(300)
def test_texts_beyond_the_remembered_ones_are_unknown() -> None:
    data = b"\x80\x04" + b"\x8c\x02os\x94" * 100_000 + b"\x8c\x06system\x94h\x00h\x01\x93."
    assert messages(data) == ["hides which type it names"]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_reported(data: bytes) -> None:
    assert isinstance(messages(b"\x80\x02" + data), list)
