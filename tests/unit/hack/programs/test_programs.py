"""The programs that are built for the local cluster, and when they are built again."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from hack.programs import catalogue, debian, gobuild, gotoolchain
from hack.programs.catalogue import CONTAINERD, KSTATUS, NETPOL, NODE
from hack.programs.gobuild import GoModule
from hack.progress import OngoingStep

if TYPE_CHECKING:
    from pathlib import Path

_GO_MOD = """module example.com/m

go 1.26.6

require (
	example.com/a v1.2.3
	example.com/b v0.4.0 // indirect
)
"""


@pytest.fixture
def module(tmp_path: Path) -> GoModule:
    folder = tmp_path / "module"
    folder.mkdir()
    (folder / "go.mod").write_text(_GO_MOD)
    (folder / "main.go").write_text("package main\n")
    return GoModule(
        "m", folder, ("m",), versions=(("v.major", "example.com/a", "major"), ("v.all", "example.com/b", "whole"))
    )


@pytest.mark.parametrize("name", ["go.mod", "go.sum", "main.go", "deeper/other.go"])
def test_a_change_of_a_source_gives_another_fingerprint(module: GoModule, name: str) -> None:
    before = gobuild.fingerprint(module)
    path = module.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("package changed\n")

    assert gobuild.fingerprint(module) != before


@pytest.mark.parametrize("name", ["main_test.go", "README.md", "inner/main.go"])
def test_what_the_build_does_not_read_leaves_the_fingerprint(module: GoModule, name: str) -> None:
    (module.folder / "inner").mkdir()
    (module.folder / "inner" / "go.mod").write_text("module inner\n")
    before = gobuild.fingerprint(module)
    (module.folder / name).write_text("package other\n")

    assert gobuild.fingerprint(module) == before


def test_other_build_settings_give_another_fingerprint(module: GoModule) -> None:
    tagged = GoModule(**{**module.__dict__, "tags": ("no_zfs",)})

    assert gobuild.fingerprint(tagged) != gobuild.fingerprint(module)


def test_versions_are_written_in_as_the_module_requires_them(module: GoModule) -> None:
    assert gobuild.linker_flags(module, _GO_MOD) == "-s -w -X v.major=1 -X v.all=v0.4.0"


def test_the_oldest_usable_go_is_read_from_the_module() -> None:
    assert gotoolchain.required_version(_GO_MOD) == (1, 26, 6)


def test_the_packaged_go_may_build_every_module() -> None:
    packaged = tuple(int(number) for number in gotoolchain.PACKAGED_VERSION.split("."))

    versions = [gotoolchain.required_version((each.folder / "go.mod").read_text()) for each in catalogue.MODULES]

    assert all(packaged >= each for each in versions)


def test_kubectl_has_the_version_of_the_api_server() -> None:
    go_mod = (catalogue.NODE.folder / "go.mod").read_text()

    assert f"k8s.io/kubernetes v{catalogue.KUBECTL_PACKAGE_VERSION}" in go_mod


def test_every_library_of_kubernetes_is_pinned_to_its_release() -> None:
    go_mod = (catalogue.NODE.folder / "go.mod").read_text()
    pinned = [line for line in go_mod.splitlines() if "=>" in line]

    release = catalogue.KUBECTL_PACKAGE_VERSION.removeprefix("1.")

    assert len(pinned) > 25
    assert all(line.endswith(f" v0.{release}") for line in pinned)


def test_a_name_that_nothing_provides_is_refused() -> None:
    with pytest.raises(ValueError, match="no program is called 'dockerd'"):
        catalogue.tools("dockerd")


def test_a_launcher_starts_its_program_with_the_libraries_beside_it(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "usr" / "lib" / "x86_64-linux-gnu").mkdir(parents=True)
    program = root / "show"
    program.write_text('#!/bin/sh\necho "$LD_LIBRARY_PATH $1"\n')
    program.chmod(0o755)

    debian.write_launcher(tmp_path / "launcher", root, "show")
    printed = subprocess.run([tmp_path / "launcher", "word"], capture_output=True, text=True, check=True).stdout

    assert printed == f"{root}/usr/lib/x86_64-linux-gnu word\n"
    assert os.access(tmp_path / "launcher", os.X_OK)


def test_the_compiler_s_progress_is_followed_and_its_last_words_kept() -> None:
    current = OngoingStep("build")

    end = gobuild._follow(["go: downloading x v1\n", "a/b\n", "a/c\n"], current)

    assert current.detail == "2 packages compiled, now a/c"
    assert end == ["go: downloading x v1", "a/b", "a/c"]


def test_only_builds_that_nothing_asked_for_in_weeks_are_removed(module: GoModule, tmp_path: Path) -> None:
    kept, old, recent, other = (
        tmp_path / name for name in ("m-aaaaaaaaaaaa", "m-bbbbbbbbbbbb", "m-cccccccccccc", "m-tools-dddddddddddd")
    )
    for folder in (kept, old, recent, other):
        folder.mkdir()
    os.utime(old, (0, 0))
    os.utime(other, (0, 0))

    gobuild._forget_unused(module, kept)

    assert {path.name for path in tmp_path.glob("m-*")} == {kept.name, recent.name, other.name}


@pytest.mark.parametrize("of_ours", [NETPOL, CONTAINERD, KSTATUS], ids=lambda module: module.name)
def test_modules_require_what_the_node_requires(of_ours: GoModule) -> None:
    """Go caches a compiled package by module and version: with other versions, hundreds of packages are compiled twice.

    containerd does not compile with the Kubernetes libraries of the node, so it has its own versions.
    """
    theirs, ours = requirements(NODE), requirements(of_ours)
    shared = {
        path for path in theirs.keys() & ours.keys() if not (of_ours is CONTAINERD and path.startswith("k8s.io/"))
    }
    assert {path: ours[path] for path in shared} == {path: theirs[path] for path in shared}


def requirements(module: GoModule) -> dict[str, str]:
    """Versions by module path, without replacements."""
    text = (module.folder / "go.mod").read_text().partition("\nreplace")[0]
    return dict(re.findall(r"^\s*(?:require )?([\w.-]+\.[\w.-]+/\S+) (v\S+)", text, re.MULTILINE))
