"""The requirements of `tritonctl run`, and its messages for missing ones."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triton_operator.local import folders, machine, pythons
from triton_operator.local.errors import UnsupportedMachineError
from triton_operator.local.folders import atomic_folder, cache_folder, region_prefix, run_folder
from triton_operator.local.installer import Installer, install_command
from triton_operator.local.machine import REQUIRED_BYTES, Machine, check_disk_space, check_machine
from triton_operator.local.ports import ADDRESS, choose_ports, is_free
from triton_operator.local.pythons import ProbedPython, Python, find_python, probe, select_python

GOOD = Machine(system="Linux", processor="x86_64", glibc="glibc 2.36", has_bash=True, has_shared_memory=True)


def a_python(folder: Path, version: str, *, library: bool = True) -> ProbedPython:
    """Describe a Python with or without its shared library."""
    place = folder / version
    place.mkdir()
    if library:
        (place / f"libpython{version}.so.1.0").touch()
    return ProbedPython(version, place / "python", (folder, place))


def test_the_first_python_that_fits_is_taken(tmp_path: Path) -> None:
    """One is too new for the server's numpy, and one has no shared library."""
    pythons = [a_python(tmp_path, "3.13"), a_python(tmp_path, "3.11", library=False), a_python(tmp_path, "3.12")]
    library = tmp_path / "3.12" / "libpython3.12.so.1.0"
    assert select_python(pythons) == Python("3.12", tmp_path / "3.12" / "python", library)


def test_without_a_fitting_python_all_that_were_found_are_named(tmp_path: Path) -> None:
    """With the reason for each, and how to install a supported one."""
    pythons = [a_python(tmp_path, "3.13"), a_python(tmp_path, "3.11", library=False)]
    with pytest.raises(UnsupportedMachineError) as error:
        select_python(pythons)
    assert f"{tmp_path}/3.13/python (Python 3.13)" in str(error.value)
    assert f"{tmp_path}/3.11/python (Python 3.11 without libpython3.11.so.1.0)" in str(error.value)
    assert "uv python install 3.12" in str(error.value)


def test_a_machine_without_any_python_is_reported() -> None:
    """The message is still a complete sentence."""
    with pytest.raises(UnsupportedMachineError, match="found: none"):
        select_python([])


def test_a_python_is_described() -> None:
    """The running one, outside of its virtual environment."""
    result = probe(sys.executable)
    assert result
    assert result.version == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert result.program.is_file()


def test_other_programs_are_skipped(tmp_path: Path) -> None:
    """One with other output, one that fails like the shims of version managers, and a missing one."""
    for name, text in {"talks": "echo hello", "fails": "exit 127"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    assert [probe(str(tmp_path / name)) for name in ("talks", "fails", "absent")] == [None, None, None]


def test_a_python_on_path_is_found_where_the_running_one_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program is run to determine its version, because its name proves nothing."""
    fitting = a_python(tmp_path, "3.12")
    (tmp_path / "python3.12").write_text("#!/bin/sh\n")
    (tmp_path / "python3.12").chmod(0o755)
    answers = {str(tmp_path / "python3.12"): fitting}
    monkeypatch.setattr(pythons, "probe", answers.get)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_python().version == "3.12"


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (GOOD._replace(system="Darwin", processor="arm64"), "this is Darwin on arm64"),
        (GOOD._replace(processor="aarch64"), "this is Linux on aarch64"),
        (GOOD._replace(glibc="glibc 2.31"), "has glibc 2.31"),
        (GOOD._replace(glibc=""), "another C library"),
        (GOOD._replace(has_bash=False), "bash"),
        (GOOD._replace(has_shared_memory=False), "not writable"),
    ],
)
def test_an_unsupported_machine_is_reported_with_the_reason(machine: Machine, words: str) -> None:
    """One requirement at a time, the most basic first."""
    with pytest.raises(UnsupportedMachineError) as error:
        check_machine(machine)
    assert words in str(error.value)


@pytest.mark.parametrize("glibc", ["glibc 2.35", "glibc 2.100", "glibc 3.0"])
def test_newer_c_libraries_fit(glibc: str) -> None:
    """Versions are compared as numbers."""
    check_machine(GOOD._replace(glibc=glibc))


class _Usage(NamedTuple):
    free: int


def test_a_full_disk_is_noticed_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder need not exist yet."""
    folder = tmp_path / "not" / "yet"
    check_disk_space(folder)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: _Usage(REQUIRED_BYTES - 1))  # type: ignore[attr-defined]
    with pytest.raises(UnsupportedMachineError, match=f"{tmp_path} has 5.0 GiB free.*TRITON_OPERATOR_CACHE"):
        check_disk_space(folder)
    assert not folder.parent.exists()


def test_the_cache_folder_is_the_users_or_the_one_that_is_named() -> None:
    """As everywhere in this project."""
    assert cache_folder({}, Path("/home/ada")) == Path("/home/ada/.cache/triton-operator/local")
    assert cache_folder({"TRITON_OPERATOR_CACHE": "/data"}, Path("/home/ada")) == Path("/data/local")


@pytest.mark.parametrize("value", ["relative", "/a b", "/srv/$(reboot)", "/höhe"])
def test_a_cache_folder_with_shell_characters_is_rejected(value: str) -> None:
    """Triton passes the paths to a shell."""
    with pytest.raises(UnsupportedMachineError, match="TRITON_OPERATOR_CACHE"):
        cache_folder({"TRITON_OPERATOR_CACHE": value}, Path("/home/ada"))


def test_a_folder_is_complete_or_absent(tmp_path: Path) -> None:
    """Even if its creation is interrupted repeatedly."""
    target = tmp_path / "environment"
    with pytest.raises(FileNotFoundError), atomic_folder(target) as draft:
        shutil.copy("nothing", draft)
    assert list(tmp_path.iterdir()) == []
    with atomic_folder(target) as draft:
        (draft / "whole").touch()
    assert [path.name for path in target.iterdir()] == ["whole"]


def test_a_run_removes_its_folder_and_its_shared_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing of another run."""
    monkeypatch.setattr(folders, "SHARED_MEMORY", tmp_path / "shm")
    (tmp_path / "shm").mkdir()
    other = tmp_path / "shm" / "another"
    other.touch()
    with run_folder(tmp_path) as folder:
        (tmp_path / "shm" / f"{region_prefix(folder)}1234").touch()
        (folder / "models").mkdir()
    assert list((tmp_path / "shm").iterdir()) == [other]
    assert list((tmp_path / "runs").glob("run-*")) == []


def test_the_next_run_removes_the_remains_of_a_killed_one(tmp_path: Path) -> None:
    """But nothing of a live run, which holds the lock of its folder."""
    left = tmp_path / "runs" / "run-dead"
    left.mkdir(parents=True)
    with run_folder(tmp_path) as alive:
        assert not left.exists()
        with run_folder(tmp_path):
            assert alive.is_dir()


def test_a_requested_port_that_is_in_use_is_rejected() -> None:
    """The message names the option; without an option, another port is chosen."""
    with socket.create_server((ADDRESS, 0)) as server:
        taken = server.getsockname()[1]
        assert not is_free(taken)
        with pytest.raises(UnsupportedMachineError, match=f"--grpc-port={taken}: another program listens on this port"):
            choose_ports(grpc=taken)


def test_the_same_port_twice_is_refused() -> None:
    """Triton would fail later, with a longer message."""
    with pytest.raises(UnsupportedMachineError, match="--http-port and --grpc-port are both 9000"):
        choose_ports(9000, 9000)


def test_this_process_may_use_as_many_cpus_as_the_system_says() -> None:
    """At least one, and not those that are reserved for others."""
    assert 1 <= machine.usable_cpus() <= len(os.sched_getaffinity(0))


def test_each_port_can_be_requested() -> None:
    """And none of them twice."""
    ports = choose_ports()
    assert choose_ports(*ports) == ports
    assert choose_ports(metrics=ports.metrics).metrics == ports.metrics
    with pytest.raises(UnsupportedMachineError, match="--grpc-port and --metrics-port are both 9000"):
        choose_ports(grpc=9000, metrics=9000)
    with socket.socket() as listener:
        listener.bind((ADDRESS, 0))
        listener.listen()
        taken = listener.getsockname()[1]
        with pytest.raises(
            UnsupportedMachineError, match=f"--metrics-port={taken}: another program listens on this port"
        ):
            choose_ports(metrics=taken)


def test_chosen_ports_differ_and_are_free_also_where_the_usual_ones_are_taken() -> None:
    """Another program uses port 8000, and no port was requested."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with held:
        if is_free(8000):
            held.bind((ADDRESS, 8000))
            held.listen()
        ports = choose_ports()
        assert len(set(ports)) == 3
        assert 8000 not in ports
        assert all(is_free(port) for port in ports)


@given(version=st.sampled_from(pythons.VERSIONS), is_uv=st.booleans())
def test_packages_are_installed_for_the_servers_python_with_hashes_and_nothing_else(
    version: str, *, is_uv: bool
) -> None:
    """With each installer and any Python: nothing is built, and only locked packages are installed."""
    python = Python(version, Path("/usr/bin/python3"), Path("/usr/lib/libpython.so"))
    words = install_command(Installer(("installer",), is_uv), python, Path("/lock"), Path("/target"))
    assert words[words.index("--python-version") + 1] == version
    assert words[words.index("--target") + 1] == "/target"
    assert {"--require-hashes", "--no-deps", "--only-binary"} <= set(words)
    assert not any("://" in word or "index" in word for word in words)


def test_a_machine_without_uv_and_pip_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Before the download."""
    from triton_operator.local import installer

    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(installer.sysconfig, "get_path", lambda _: str(tmp_path))  # type: ignore[attr-defined]
    (tmp_path / "python").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(UnsupportedMachineError, match="neither uv nor pip"):
        installer.find_installer(Python("3.11", tmp_path / "python", tmp_path))
