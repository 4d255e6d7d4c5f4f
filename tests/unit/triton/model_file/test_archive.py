"""Read model files as archives: their type, their signature, and malicious files."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.archives import EXTRA, SIGNATURE, a_model_file, an_archive, write
from tests.paths import ROOT
from triton_operator.triton.model_file.archive import (
    CONTENTS_LIMIT,
    SIGNATURE_LIMIT,
    Archive,
    ArchiveError,
    FileType,
    read_file_type,
    read_signature,
)
from triton_operator.triton.model_file.signature import Signature, TensorSpec, encode


def test_the_signature_of_an_archive(tmp_path: Path) -> None:
    assert read_signature(write(tmp_path / "model.pt", a_model_file())) == SIGNATURE


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (a_model_file(None), FileType.TORCHSCRIPT),
        (an_archive(("data.pkl", b""), ("data/0", b"")), FileType.CHECKPOINT),
        (an_archive(("archive_format", b"pt2")), FileType.EXPORTED_PROGRAM),
        (an_archive(("readme", b"")), FileType.OTHER_ARCHIVE),
        (a_model_file()[:400], FileType.CUT_ARCHIVE),
        (b"\x80\x04}.", FileType.PICKLE),
        (b"", FileType.EMPTY),
        (b"not a model\n", FileType.TEXT),
        (b"\x00\x01", FileType.UNKNOWN),
    ],
)
def test_what_a_file_is(tmp_path: Path, content: bytes, kind: FileType) -> None:
    """The type is determined without unpickling; none of these files has a signature."""
    assert read_file_type(io.BytesIO(content)) is kind
    assert read_signature(write(tmp_path / "model.pt", content)) is None


def test_the_committed_models_are_torchscript() -> None:
    for path in (*ROOT.glob("model_repository/*/1/model.pt"), ROOT / "tests/models/echo/1/model.pt"):
        with path.open("rb") as file:
            assert read_file_type(file) is FileType.TORCHSCRIPT


@pytest.mark.parametrize(
    ("archive", "words"),
    [
        (a_model_file(SIGNATURE, (EXTRA, b"{}")), f"{EXTRA} occurs in the archive 2 times"),
        (a_model_file(None, (EXTRA, b"x" * (SIGNATURE_LIMIT + 1))), f"has more than {SIGNATURE_LIMIT} bytes"),
        (a_model_file(None, (EXTRA, b"{")), "cannot be read"),
        (a_model_file(None, (EXTRA, b'{"inputs": [], "outputs": [], "version": 1}')), "$.inputs"),
        (a_model_file(None, (EXTRA, encode(SIGNATURE).replace(b'"version":1', b'"version":2'))), "$.version"),
        (a_model_file(None, (EXTRA, encode(SIGNATURE).replace(b"FP32", b"BF16"))), "'BF16'"),
    ],
    ids=["twice", "large", "no JSON", "empty", "of the future", "type"],
)
def test_a_signature_that_cannot_be_trusted(archive: bytes, words: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        Archive(io.BytesIO(archive)).signature()
    assert words in str(caught.value)


def test_a_bomb_is_not_blown_up() -> None:
    """A small archive can expand to gigabytes, so no more than the limit is decompressed."""
    bomb = an_archive(
        ("code/__torch__.py", b""), ("constants.pkl", b""), (EXTRA, bytes(64 << 20)), compression=zipfile.ZIP_DEFLATED
    )
    assert len(bomb) < 1 << 20
    with pytest.raises(ArchiveError, match="has more than"):
        Archive(io.BytesIO(bomb)).signature()


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_that_python_cannot_bound_is_refused(compression: int) -> None:
    archive = an_archive((EXTRA, encode(SIGNATURE)), compression=compression)
    with pytest.raises(ArchiveError, match="has a compression method that torch does not use"):
        Archive(io.BytesIO(archive)).signature()


def test_a_table_of_contents_that_would_fill_the_memory_is_not_read() -> None:
    """The end of the archive can declare any size for the table of contents."""
    archive = bytearray(a_model_file() + bytes(CONTENTS_LIMIT))
    end = archive.rindex(b"PK\x05\x06")
    tail = bytes(archive[end : end + 22])
    lie = tail[:12] + struct.pack("<L", CONTENTS_LIMIT + 1) + tail[16:]
    with pytest.raises(ArchiveError, match="table of contents"):
        Archive(io.BytesIO(bytes(archive) + lie))


def test_another_folder_in_the_archive_is_none_of_the_model() -> None:
    """Torch uses the folder of the first member; members next to it or above it do not belong to the model."""
    buffer = io.BytesIO(a_model_file(None))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(f"other/{EXTRA}", encode(SIGNATURE))
        archive.writestr(f"../{EXTRA}", encode(SIGNATURE))
        archive.writestr(f"/{EXTRA}", encode(SIGNATURE))
        archive.writestr(EXTRA, encode(SIGNATURE))
    assert Archive(buffer).signature() is None


@given(st.data())
def test_a_damaged_archive_is_read_or_refused(data: st.DataObject) -> None:
    """Any bytes may be changed and the end may be missing; the only possible exception is ArchiveError."""
    content = bytearray(a_model_file())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    damaged = io.BytesIO(bytes(content[: data.draw(st.integers(0, len(content)))]))
    try:
        if read_file_type(damaged) is FileType.TORCHSCRIPT:
            Archive(damaged).signature()
    except ArchiveError as error:
        assert "\n" not in str(error)  # noqa: PT017 -- both outcomes are valid


names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
tensors = st.lists(
    st.builds(
        TensorSpec,
        names,
        st.sampled_from(["FP32", "INT64", "STRING", "BOOL"]),
        st.lists(st.integers(-1, 2**40), max_size=5).map(tuple),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda tensor: tensor.name,
).map(tuple)
signatures = st.builds(Signature, tensors, tensors, st.integers(0, 2**31 - 1))


@given(signatures)
def test_any_signature_comes_back(signature: Signature) -> None:
    assert Archive(io.BytesIO(a_model_file(signature))).signature() == signature
