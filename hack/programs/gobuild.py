"""Build the Go programs of the local cluster from their modules.

Input: a module of `hack/`. Output: a folder of binaries in the cache. Its name contains a hash of all inputs of the
build, so a module is built again exactly when it has changed. `programs` calls it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hack.cache import atomic_folder, cache_dir, cache_place, locked
from hack.failures import BuildError
from hack.programs.gotoolchain import go_program
from hack.progress import step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hack.progress import OngoingStep

_KEPT_SECONDS = 14 * 24 * 3600
HACK = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class GoModule:
    """A Go module of `hack/`, and its programs.

    `links` are additional names for the module's own binary, which behaves according to the name it is called by. If
    `tools` is true, the tools of the module's `tool` directives are built too. `versions` lists Go variables that are
    set to the required version of a module, and the format: "whole" (v1.36.3), "major" (1) or "minor" (36).
    """

    name: str
    folder: Path
    programs: tuple[str, ...]
    links: tuple[str, ...] = ()
    main: bool = True
    tools: bool = False
    tags: tuple[str, ...] = ()
    versions: tuple[tuple[str, str, str], ...] = ()


def built(module: GoModule) -> Path:
    """Return the folder of the module's programs; build them if they are missing.

    Raises BuildError with the last lines of the compiler's output.
    """
    folder = output_folder(module)
    if not folder.is_dir():
        with locked(f"go-{module.name}"):
            if not folder.is_dir():
                _build(module, folder)
                _forget_unused(module, folder)
    with contextlib.suppress(PermissionError):  # Built with sudo, used without it.
        os.utime(folder)
    return folder


def output_folder(module: GoModule) -> Path:
    """The folder of the module's programs, whether or not they are built."""
    return cache_place() / "tools" / f"{module.name}-{fingerprint(module)}"


def source_folder(module: GoModule, path: str) -> Path:
    """Return the folder with the source of a Go module that `module` requires; download it if it is missing.

    Raises BuildError.
    """
    command = [str(go_program(module.folder / "go.mod")), "mod", "download", "-json", path]
    done = subprocess.run(command, cwd=module.folder, env=go_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        msg = f"`go mod download {path}` in {module.folder} failed:\n{done.stdout}{done.stderr}"
        raise BuildError(msg)
    return Path(json.loads(done.stdout)["Dir"])


def fingerprint(module: GoModule) -> str:
    """Hash the module's sources and build settings to 12 hexadecimal digits."""
    digest = hashlib.sha256(repr((module.tags, module.versions, module.links, module.main, module.tools)).encode())
    for path in _sources(module.folder):
        digest.update(f"\n{path.relative_to(module.folder)}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def linker_flags(module: GoModule, go_mod: str) -> str:
    """Return `go build -ldflags`: no debugging tables, and the same version variables as in release builds.

    Without these variables, Kubernetes reports version v0.0.0-master and does not start.
    """
    required = dict(_required_versions(go_mod))
    settings = [f"-X {variable}={_part(required[path], part)}" for variable, path, part in module.versions]
    return " ".join(["-s", "-w", *settings])


def _part(version: str, part: str) -> str:
    major, minor, _ = version.removeprefix("v").split(".", 2)
    return {"whole": version, "major": major, "minor": minor}[part]


def _required_versions(go_mod: str) -> Iterable[tuple[str, str]]:
    for line in go_mod.splitlines():
        words = line.removeprefix("require ").split()
        if len(words) > 1 and words[1].startswith("v"):
            yield words[0], words[1]


def _sources(folder: Path) -> list[Path]:
    """List the files that the build reads, except nested Go modules, which have their own hash."""
    names = [path for path in folder.rglob("*") if _decides(path.name)]
    nested = {path.parent for path in names if path.name == "go.mod" and path.parent != folder}
    return sorted(path for path in names if not nested.intersection(path.parents))


def _decides(name: str) -> bool:
    return name in {"go.mod", "go.sum"} or (name.endswith(".go") and not name.endswith("_test.go"))


def _build(module: GoModule, folder: Path) -> None:
    go = go_program(module.folder / "go.mod")
    targets = (["."] if module.main else []) + (["tool"] if module.tools else [])
    with step(f"build {', '.join(module.programs)} from Go modules") as current, atomic_folder(folder) as draft:
        for target in targets:
            _run_go(go, module, _build_arguments(module, draft, target), current)
        for link in module.links:
            (draft / link).symlink_to(module.name)


def _forget_unused(module: GoModule, kept: Path) -> None:
    """Remove old builds of the module that were not used recently; each takes up to 140 MB."""
    for folder in kept.parent.glob(f"{module.name}-*"):
        is_build = len(folder.name) == len(kept.name)
        if is_build and folder != kept and time.time() - folder.stat().st_mtime > _KEPT_SECONDS:
            shutil.rmtree(folder)


def _build_arguments(module: GoModule, output: Path, target: str) -> list[str]:
    flags = linker_flags(module, (module.folder / "go.mod").read_text())
    place = str(output / module.name) if target == "." else f"{output}/"
    return ["build", "-v", "-ldflags", flags, "-tags", ",".join(module.tags), "-o", place, target]


def _run_go(go: Path, module: GoModule, arguments: list[str], current: OngoingStep) -> None:
    """Run the go command in the module with low priority, because it uses all cores for minutes."""
    command = ["nice", "-n", "5", str(go), *arguments]
    with subprocess.Popen(
        command, cwd=module.folder, env=go_environment(), stderr=subprocess.PIPE, text=True
    ) as process:
        end = _follow(process.stderr or (), current)
    if process.returncode != 0:
        output = "\n".join(end)
        msg = (
            f"{current.title}: `go {arguments[0]}` in {module.folder} failed with code {process.returncode}:\n{output}"
        )
        raise BuildError(msg)


def _follow(output: Iterable[str], current: OngoingStep) -> list[str]:
    """Display the go command's progress from its output; return the last lines."""
    end: deque[str] = deque(maxlen=20)
    compiled = 0
    for line in map(str.strip, output):
        end.append(line)
        if line.startswith("go: downloading "):
            current.note(line.removeprefix("go: "))
        else:
            compiled += 1
            current.note(f"{compiled} packages compiled, now {line}"[:100])
    return list(end)


def go_environment() -> dict[str, str]:
    """Environment variables that keep all files of Go in the cache, in folders that can be deleted."""
    go = cache_dir() / "go"
    own = {
        "GOPATH": str(go / "path"),
        "GOMODCACHE": str(go / "mod"),
        "GOCACHE": str(go / "build"),
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-trimpath -modcacherw -buildvcs=false",
        "GOTELEMETRY": "off",
        "CGO_ENABLED": "0",
    }
    return {**os.environ, **own}
