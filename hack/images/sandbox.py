"""Run a program inside an image during its build.

Input: a RUN step, the folders of the layers below, and an empty folder. Output: the files that the program writes, in
the empty folder. `layers` calls it. The layers are the program's root file system (overlayfs), and it runs in separate
mount, process and network namespaces: it has no network, and its mounts disappear when it exits.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from hack.images.containerfile import Run
from hack.images.failures import ImageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hack.images.containerfile import LayerStep

DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PROGRAMS = ("unshare", "mount", "sh", "mkdir", "touch")

# $1 overlay options, $2 root, $3 the folder to start in, $4 number of binds; then pairs of source and target, then the
# command. Mounts vanish with the namespace.
_SCRIPT = """
set -eu
options=$1 root=$2 workdir=$3 binds=$4; shift 4
mount -t overlay overlay -o "$options" "$root"
mkdir -p "$root/proc" "$root/dev" "$root/tmp" "$root$workdir"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
for device in null zero full random urandom; do
    touch "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"
done
while [ "$binds" -gt 0 ]; do
    if [ -d "$1" ]; then mkdir -p "$root$2"; else mkdir -p "$root${2%/*}"; touch "$root$2"; fi
    mount --bind -o ro "$1" "$root$2"
    shift 2; binds=$((binds - 1))
done
exec unshare --root "$root" --wd "$workdir" "$@"
"""


def run_in_image(
    step: LayerStep, below: Sequence[Path], files: Path, work: Path, binds: Sequence[tuple[Path, str]]
) -> None:
    """Run the step; `files` receives the files it writes. Raises `ImageError` with the end of the program's output."""
    require_sandbox()
    if not isinstance(step.action, Run):
        raise TypeError(step.action)
    root, scratch = work / "root", work / "scratch"
    root.mkdir(parents=True)
    scratch.mkdir()
    options = f"lowerdir={':'.join(str(path) for path in reversed(below))},upperdir={files},workdir={scratch}"
    pairs = [word for source, target in binds for word in (str(source), target)]
    script = ["sh", "-c", _SCRIPT, "sh", options, str(root), step.settings.workdir, str(len(binds)), *pairs]
    namespaces = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--net", "--"]
    environment = dict(item.split("=", 1) for item in (DEFAULT_PATH, *step.settings.env))
    done = subprocess.run(
        [*namespaces, *script, *step.action.command], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ImageError(
            f"RUN {' '.join(step.action.command)} failed with exit code {done.returncode}:\n"
            f"{(done.stdout + done.stderr)[-3000:]}"
        )
    shutil.rmtree(work)
    _remove_mount_points(files, [target for _, target in binds])


def require_sandbox() -> None:
    """Raise `ImageError` if this user or machine cannot run a program inside an image."""
    missing = [program for program in _PROGRAMS if not shutil.which(program)]
    if missing:
        raise ImageError(f"{', '.join(missing)} not found: install util-linux and coreutils to build images")
    if os.geteuid() != 0:
        raise ImageError("building this image requires root (mounts and chroot); use sudo or docker")


def _remove_mount_points(files: Path, targets: Sequence[str]) -> None:
    """Remove files and empty folders that were created only as mount points."""
    for target in targets:
        path = files / target.lstrip("/")
        if path.is_file() and path.stat().st_size == 0:
            path.unlink()
        while path != files and not path.is_file():
            if path.is_dir():
                if any(path.iterdir()):
                    break
                path.rmdir()
            path = path.parent
