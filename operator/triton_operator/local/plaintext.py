"""A folder in memory for decrypted models, which is removed however the command ends.

Input: the folder of a run. Output: a folder on a tmpfs that only this user can read. At a normal end and after a
signal, this process removes it. After SIGKILL, the program `removal` removes it; if that was killed as well, the next
run does (see `folders`).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from triton_operator.cpu_server.entrypoint import forbid_core_dumps
from triton_operator.local.errors import UnsupportedMachineError
from triton_operator.local.folders import SHARED_MEMORY, region_prefix

if TYPE_CHECKING:
    from triton_operator.encryption.keyset import KeysetOf

_REMOVAL = Path(__file__).with_name("removal.py")
_MOUNTS = Path("/proc/self/mounts")
_SWAPS = Path("/proc/swaps")
_OCTAL = re.compile(r"\\([0-7]{3})")


class Plaintext(NamedTuple):
    """The folder in memory for the decrypted models of a run, and the function that finds the keys to decrypt them."""

    folder: Path
    keyset_of: KeysetOf


@contextmanager
def plaintext_folder(run: Path) -> Iterator[Path]:
    """Create a folder in memory; raises UnsupportedMachineError if SHARED_MEMORY is on a disk.

    This process and the server, its child, write no core dumps from now on.
    """
    require_memory(_MOUNTS.read_text(encoding="utf-8"))
    forbid_core_dumps()
    folder = SHARED_MEMORY / f"{region_prefix(run)}plaintext"
    folder.mkdir(mode=0o700)
    with _removed_with_this_process(folder):
        yield folder


def require_memory(mounts: str) -> None:
    """Raise UnsupportedMachineError unless SHARED_MEMORY is on a tmpfs, according to the text of /proc/mounts."""
    kind = filesystem_of(SHARED_MEMORY.resolve(), mounts)
    if kind != "tmpfs":
        raise UnsupportedMachineError(
            f"encrypted models are decrypted into {SHARED_MEMORY}, which is on the file system {kind}; only a tmpfs is "
            f"in memory: mount -t tmpfs tmpfs {SHARED_MEMORY}"
        )


def filesystem_of(path: Path, mounts: str) -> str:
    """The type of the file system that contains a path, according to the text of /proc/mounts."""
    found, kind = Path("/"), "unknown"
    for line in mounts.splitlines():
        _, point, each, *_ = line.split(" ")
        mounted = Path(_OCTAL.sub(lambda match: chr(int(match[1], 8)), point))
        # A later mount at the same place hides an earlier one.
        if path.is_relative_to(mounted) and mounted.is_relative_to(found):
            found, kind = mounted, each
    return kind


def swap_warning() -> str:
    """A warning if this machine has swap, to which the kernel may write memory; "" if it has none."""
    places = swaps(_SWAPS.read_text(encoding="utf-8")) if _SWAPS.exists() else []
    if not places:
        return ""
    return f"the kernel may write decrypted models to swap ({', '.join(places)}); switch it off with swapoff -a"


def swaps(listing: str) -> list[str]:
    """The devices and files with swap, according to the text of /proc/swaps."""
    return [line.split()[0] for line in listing.splitlines()[1:] if line.strip()]


@contextmanager
def _removed_with_this_process(folder: Path) -> Iterator[None]:
    """Remove a folder at the end of the block; if this process ends before, the program `removal` does it."""
    with subprocess.Popen(
        [sys.executable, "-I", "-S", str(_REMOVAL), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,  # Signals of the terminal do not reach it.
    ):
        try:
            yield
        finally:
            shutil.rmtree(folder, ignore_errors=True)
