"""Private files, which are created whole or not at all, and files of limited size."""

from __future__ import annotations

import io
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from triton_operator.files import FileTooLargeError, create_file, open_new, read_file, read_regular, read_stream


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that does not exist yet."""
    return tmp_path / "release.key"


@contextmanager
def small_files() -> Iterator[None]:
    """Let this process write no file of more than 100 bytes; the output of the tests may be a file, too."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_created_file_can_be_read_by_its_owner_only(file: Path) -> None:
    """Whatever the umask allows."""
    umask = os.umask(0)
    try:
        create_file(file, b"key")
    finally:
        os.umask(umask)
    assert file.read_bytes() == b"key"
    assert file.stat().st_mode & 0o777 == 0o600


def test_an_existing_file_is_not_changed(file: Path) -> None:
    create_file(file, b"key")
    for create in (lambda: create_file(file, b"other"), lambda: open_new(file)):
        with pytest.raises(FileExistsError):
            create()
    assert file.read_bytes() == b"key"


def test_a_link_is_not_followed(file: Path) -> None:
    """Another user could have put it there."""
    file.symlink_to(file.with_name("target"))
    with pytest.raises(FileExistsError):
        create_file(file, b"key")
    assert file.is_symlink()
    assert not file.exists()


def test_a_file_that_cannot_be_written_whole_is_removed(file: Path) -> None:
    """Otherwise, the next attempt would find a file that exists."""
    with small_files(), pytest.raises(OSError, match="too large"):
        create_file(file, bytes(101))
    assert not file.exists()
    create_file(file, bytes(100))


def test_a_file_is_read_up_to_its_limit(file: Path) -> None:
    file.write_bytes(b"four")
    assert read_file(file, 4) == b"four"
    with pytest.raises(FileTooLargeError, match="has more than 3 bytes"):
        read_file(file, 3)


def test_the_rest_of_a_large_stream_is_not_read() -> None:
    stream = io.BytesIO(bytes(1000))
    with pytest.raises(FileTooLargeError):
        read_stream(stream, 10)
    assert stream.tell() == 11


def test_a_pipe_or_a_device_is_not_read_as_a_file(tmp_path: Path) -> None:
    """A reader of a pipe would wait indefinitely; a link to a file is read."""
    pipe, link, file = tmp_path / "pipe", tmp_path / "link", tmp_path / "file"
    os.mkfifo(pipe)
    for target in (pipe, Path("/dev/zero")):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        for path in (target, link):
            with pytest.raises(OSError, match="it is not a file"):
                read_regular(path, 10)
    file.write_bytes(b"content")
    link.unlink()
    link.symlink_to(file)
    assert read_regular(link, 10) == b"content"
    with pytest.raises(FileTooLargeError):
        read_regular(link, 3)
