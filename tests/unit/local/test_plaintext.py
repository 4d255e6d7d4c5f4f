"""The folder in memory for decrypted models of `tritonctl run`: where it is, who reads it, and when it is removed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.core_dumps import core_dumps_allowed
from triton_operator.local import folders
from triton_operator.local.errors import UnsupportedMachineError
from triton_operator.local.folders import SHARED_MEMORY, region_prefix, run_folder
from triton_operator.local.plaintext import filesystem_of, plaintext_folder, require_memory, swaps

MOUNTS = """\
/dev/vda / ext4 rw,relatime 0 0
tmpfs /dev tmpfs rw 0 0
tmpfs /dev/shm tmpfs rw,nosuid,nodev 0 0
/dev/vdb /mnt/my\\040disk xfs rw 0 0
"""
HOLDER = """
import resource, sys
from pathlib import Path
from triton_operator.local.plaintext import plaintext_folder
with plaintext_folder(Path(sys.argv[1])) as folder:
    (folder / "model.pt").write_text("plaintext")
    print(folder, resource.getrlimit(resource.RLIMIT_CORE)[0], flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run, whose name no other test uses."""
    return tmp_path / f"run-{uuid.uuid4().hex}"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/dev/shm", "tmpfs"),  # noqa: S108
        ("/home/ada", "ext4"),
        ("/mnt/my disk/file", "xfs"),
        ("/mnt/my", "ext4"),
    ],
)
def test_the_file_system_of_a_path_is_that_of_the_nearest_mount(path: str, kind: str) -> None:
    assert filesystem_of(Path(path), MOUNTS) == kind


def test_a_later_mount_hides_an_earlier_one() -> None:
    require_memory(MOUNTS)
    with pytest.raises(UnsupportedMachineError, match="on the file system ext4; only a tmpfs is in memory"):
        require_memory(MOUNTS + "/dev/vdc /dev/shm ext4 rw 0 0\n")


def test_swap_is_listed_by_its_devices_and_files() -> None:
    heads = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
    assert swaps(heads) == []
    assert swaps(f"{heads}/dev/vda2 partition 1 0 -2\n/swapfile file 1 0 -3\n") == ["/dev/vda2", "/swapfile"]


@contextmanager
def held(run: Path) -> Iterator[tuple[subprocess.Popen[str], Path, int]]:
    """Hold the folder of a run in another process; yields the process, the folder and its limit of core dumps."""
    command = [sys.executable, "-c", HOLDER, str(run)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        folder, limit = process.stdout.readline().split()
        yield process, Path(folder), int(limit)


def test_only_its_user_can_read_it_until_the_end_of_the_block(run: Path) -> None:
    with core_dumps_allowed() as forbidden, held(run) as (process, folder, limit):
        assert folder.parent == SHARED_MEMORY
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "model.pt").read_text() == "plaintext"
        assert limit == forbidden
        process.communicate()
    assert process.returncode == 0
    assert not folder.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_it_is_removed_when_its_process_is_killed(run: Path, number: signal.Signals) -> None:
    """The process has no handlers, so none of its own code runs after the signal."""
    with held(run) as (process, folder, _):
        assert (folder / "model.pt").exists()
        process.send_signal(number)
        assert process.wait(60) == -number
    end = time.monotonic() + 60
    while folder.exists():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_place_that_exists_is_not_used(run: Path) -> None:
    """Another user could have created it."""
    existing = SHARED_MEMORY / f"{region_prefix(run)}plaintext"
    existing.mkdir()
    try:
        with pytest.raises(FileExistsError), plaintext_folder(run):
            pass
    finally:
        existing.rmdir()


def test_the_next_run_removes_what_a_dead_run_left(tmp_path: Path, run: Path) -> None:
    """Also the program that removes the folder may have been killed. A run that lives keeps its files."""
    cache = tmp_path / "cache"
    dead = cache / "runs" / run.name
    dead.mkdir(parents=True)
    left = SHARED_MEMORY / f"{region_prefix(dead)}plaintext"
    left.mkdir()
    (left / "model.pt").touch()
    region = SHARED_MEMORY / f"{region_prefix(dead)}region"
    region.touch()
    with run_folder(cache) as living:
        assert not any(path.exists() for path in (dead, left, region))
        kept = SHARED_MEMORY / f"{region_prefix(living)}plaintext"
        kept.mkdir()
        with run_folder(cache):
            assert kept.exists()
    assert not kept.exists()


def test_what_others_have_planted_does_not_keep_the_plaintext(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names in shared memory are visible, and its sticky bit keeps the files of each user."""
    dead = tmp_path / "cache" / "runs" / run.name
    dead.mkdir(parents=True)
    memory = tmp_path / "memory"
    kept = tmp_path / "kept"
    (memory / f"{region_prefix(dead)}plaintext").mkdir(parents=True)
    kept.mkdir()
    (memory / f"{region_prefix(dead)}0").symlink_to(kept)
    foreign = memory / f"{region_prefix(dead)}1"
    foreign.touch()
    monkeypatch.setattr(folders, "SHARED_MEMORY", memory)
    monkeypatch.setattr(folders, "_is_own", lambda path: path != foreign)
    with run_folder(tmp_path / "cache"):
        assert list(memory.iterdir()) == [foreign]
        assert kept.exists()
        assert not dead.exists()
