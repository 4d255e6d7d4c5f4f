"""Which cluster is used, and the messages for unsupported machines."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hack import cache
from hack.cluster import kind
from hack.cluster.choice import ClusterChoice, choose
from hack.cluster.native import preflight
from hack.failures import MachineError

_GOOD = preflight.NodeMachine(
    user_id=0, capabilities=(1 << 12) | (1 << 21), free_disk=100, memory=16, cache=Path("/home/ada/cache"), built=False
)


def test_what_was_asked_for_wins_over_everything_else() -> None:
    chosen = choose("current", "docker", native_runs=True)

    assert chosen == ClusterChoice("current", "CLUSTER=current was given")


def test_a_running_native_node_is_used_rather_than_a_second_cluster_started() -> None:
    assert choose(None, "docker", native_runs=True).kind == "native"


def test_kind_is_used_when_a_container_engine_answers() -> None:
    assert choose(None, "podman", native_runs=False) == ClusterChoice("kind", "the container engine podman answers")


def test_the_native_node_is_used_when_no_engine_answers() -> None:
    assert choose("", None, native_runs=False) == ClusterChoice("native", "no container engine answers")


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"CLUSTER=minikube .* current, kind, native"):
        choose("minikube", None, native_runs=False)


def test_a_good_machine_has_no_findings() -> None:
    assert preflight.findings(_GOOD) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"user_id": 1000}, "root is required (user id is 1000): run it with `sudo -E`"),
        ({"capabilities": 1 << 12}, "root lacks the capability SYS_ADMIN"),
        ({"free_disk": 5.04}, "/home/ada/cache has 5.0 GiB free, but 12 GiB are required"),
        ({"free_disk": 3.0, "built": True}, "3.0 GiB free, but 4 GiB are required"),
        ({"memory": 2.0}, "2.0 GiB of memory, but 3 GiB are required"),
        ({"cache": Path("/var/lib/cache")}, "/var/lib/cache is below /var/lib"),
        ({"missing_programs": ("unshare",)}, "the program unshare is missing: install the package util-linux"),
        ({"missing_namespaces": ("net", "pid")}, "the kernel lacks namespaces (net, pid)"),
    ],
)
def test_each_lack_is_found_with_what_to_do(change: dict[str, object], sentence: str) -> None:
    machine = preflight.NodeMachine(**{**_GOOD.__dict__, **change})

    findings = preflight.findings(machine)

    assert len(findings) == 1
    assert sentence in findings[0]


def test_less_disk_is_needed_when_the_programs_are_built() -> None:
    machine = preflight.NodeMachine(**{**_GOOD.__dict__, "free_disk": 5.0, "built": True})

    assert preflight.findings(machine) == []


def test_all_findings_come_in_one_error() -> None:
    with pytest.raises(MachineError, match=r"native node:\n  - one\n  - two"):
        preflight.require(["one", "two"])


def test_a_failed_trial_is_explained_with_what_the_kernel_said() -> None:
    assert "virtual network links are missing" in preflight.finding_of_trial(14, "RTNETLINK answers: not supported\nx")
    assert "(RTNETLINK answers: not supported)" in preflight.finding_of_trial(14, "RTNETLINK answers: not supported\nx")
    assert preflight.finding_of_trial(0, "") == ""
    assert "namespaces cannot be made" in preflight.finding_of_trial(1, "unshare failed")


def test_the_cache_is_in_the_home_of_the_person_unless_told_otherwise() -> None:
    assert cache.locate({}, Path("/home/ada")) == Path("/home/ada/.cache/triton-operator")
    assert cache.locate({"TRITON_OPERATOR_CACHE": "/big/disk"}, Path("/home/ada")) == Path("/big/disk")


def test_a_relative_cache_folder_is_refused() -> None:
    with pytest.raises(NotADirectoryError, match="TRITON_OPERATOR_CACHE=here is a relative path"):
        cache.locate({"TRITON_OPERATOR_CACHE": "here"}, Path("/home/ada"))


def test_under_sudo_the_caller_owns_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise, `make check` without sudo could not write there; folders that containers see as root's stay so."""
    if os.geteuid() != 0:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
    owner = (os.getuid() or 1234, os.getgid() or 1234)
    monkeypatch.setenv("SUDO_UID", str(owner[0]))
    monkeypatch.setenv("SUDO_GID", str(owner[1]))
    monkeypatch.setenv("TRITON_OPERATOR_CACHE", str(tmp_path / "new" / "cache"))
    folder = cache.cache_dir()
    (folder / "python" / "dev").mkdir(parents=True)
    (folder / "python" / "dev" / "link").symlink_to("nowhere")
    (folder / "node").mkdir()
    stays = (folder / "node").stat().st_uid

    cache.give_back()

    folders = [folder.parent, folder, folder / "python", folder / "python" / "dev" / "link"]
    assert {(path.lstat().st_uid, path.lstat().st_gid) for path in folders} == {owner}
    assert (folder / "node").stat().st_uid == stays


def test_without_sudo_no_owner_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no output."""
    monkeypatch.delenv("SUDO_UID", raising=False)
    monkeypatch.setenv("TRITON_OPERATOR_CACHE", str(tmp_path))
    monkeypatch.setattr(subprocess, "run", None)
    cache.give_back()


def test_a_folder_is_filled_completely_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "programs"

    def fail_half_way() -> None:
        with cache.atomic_folder(folder) as draft:
            (draft / "half").touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert list(tmp_path.iterdir()) == []

    with cache.atomic_folder(folder) as draft:
        (draft / "whole").touch()
    assert [path.name for path in folder.iterdir()] == ["whole"]


def test_every_kind_node_shares_the_folder_and_keeps_its_own_mounts() -> None:
    worker = {"role": "worker", "extraMounts": [{"hostPath": "/a"}]}
    config: dict[str, Any] = {"name": "x", "nodes": [{"role": "control-plane"}, worker]}

    nodes = kind.with_share(config, Path("/cache/share"))["nodes"]

    ours = {"hostPath": "/cache/share", "containerPath": kind.NODE_PATH}
    assert [node["extraMounts"] for node in nodes] == [[ours], [{"hostPath": "/a"}, ours]]
    assert "extraMounts" not in config["nodes"][0]
