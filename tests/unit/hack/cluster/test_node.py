"""The pure parts of the native node: configuration, start order, and addresses."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from cryptography import x509

from hack.cluster import credentials, pki
from hack.cluster.native import components, config, images, isolation, record, stop
from hack.cluster.native.addons import addons
from hack.cluster.native.layout import Layout
from hack.cluster.native.node import service_address
from hack.cluster.native.supervisor import pause_before_restart
from hack.failures import LocalClusterError
from hack.images.builder import BuiltImage

_LAYOUT = Layout(Path("/cache/node"))
_PROGRAMS = Path("/cache/bin")
_VERSION_1 = """\
12:pids:/a
4:memory:/a
3:cpu,cpuacct:/a
1:name=systemd:/a
0::/a
"""


def test_the_runtime_uses_our_pause_image_and_unpacked_programs() -> None:
    settings = tomllib.loads(config.config_files(_LAYOUT, _PROGRAMS, "x/pause:1")["containerd.toml"])

    plugins = settings["plugins"]
    runtime = plugins["io.containerd.cri.v1.runtime"]
    assert plugins["io.containerd.cri.v1.images"]["pinned_images"]["sandbox"] == "x/pause:1"
    assert runtime["containerd"]["runtimes"]["runc"]["options"]["BinaryName"] == "/cache/bin/runc"
    assert runtime["restrict_oom_score_adj"] is True


def test_the_kubelet_keeps_to_its_own_control_group_and_collects_no_image() -> None:
    settings = json.loads(config.config_files(_LAYOUT, _PROGRAMS, "p")["kubelet.json"])

    assert settings["cgroupRoot"] == _LAYOUT.cgroup
    assert settings["imageGCHighThresholdPercent"] == 100
    assert settings["authentication"]["anonymous"]["enabled"] is False


def test_two_cache_folders_have_control_groups_of_their_own() -> None:
    assert Layout(Path("/a/node")).cgroup != Layout(Path("/b/node")).cgroup


def test_every_component_waits_only_for_ones_that_open_a_gate() -> None:
    by_name = {each.name: each for each in components.node_components(_LAYOUT, _PROGRAMS, 3)}

    awaited = {name for each in by_name.values() for name in each.after}

    assert awaited == {"etcd", "containerd", "kube-apiserver"}
    assert all(by_name[name].gate for name in awaited)


def test_the_policy_enforcer_runs_when_it_is_built(tmp_path: Path) -> None:
    assert "netpol" not in [each.name for each in components.node_components(_LAYOUT, tmp_path, 3)]

    (tmp_path / "netpol").touch()
    by_name = {each.name: each for each in components.node_components(_LAYOUT, tmp_path, 3)}

    assert by_name["netpol"].command[-2:] == ("--nft", str(tmp_path / "nft"))


def test_the_hierarchies_of_version_1_are_mounted_with_their_controllers() -> None:
    hierarchies = isolation.hierarchies(_VERSION_1)

    assert [str(each.mount_point) for each in hierarchies] == [
        "/sys/fs/cgroup/pids",
        "/sys/fs/cgroup/memory",
        "/sys/fs/cgroup/cpu,cpuacct",
        "/sys/fs/cgroup/systemd",
    ]
    assert hierarchies[3].mount_words[:4] == ["-t", "cgroup", "-o", "none,name=systemd"]


def test_version_2_alone_is_one_hierarchy() -> None:
    hierarchies = isolation.hierarchies("0::/user.slice\n")

    assert [each.mount_words for each in hierarchies] == [["-t", "cgroup2", "cgroup2", "/sys/fs/cgroup"]]


def test_a_component_that_keeps_failing_is_started_ever_more_slowly() -> None:
    pauses = [pause_before_restart(failures) for failures in range(1, 8)]

    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (0.5, 15.0)


def test_a_service_is_reached_by_port_number_or_name() -> None:
    text = "10.96.3.4 http=8000 grpc=8001"

    assert service_address(text, "ns/digits", "grpc") == "10.96.3.4:8001"
    assert service_address(text, "ns/digits", 8000) == "10.96.3.4:8000"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("None http=8000", "it is headless"), ("10.96.3.4 http=8000", "has no port metrics; it has http=8000")],
)
def test_a_port_that_cannot_be_reached_is_refused_by_name(text: str, sentence: str) -> None:
    with pytest.raises(LocalClusterError, match=f"Service ns/digits .*{sentence}"):
        service_address(text, "ns/digits", "metrics")


def test_an_image_is_there_only_under_both_of_its_names() -> None:
    table = "REF TYPE DIGEST SIZE\nlocal/a:1 manifest sha256:aa 1 MiB\nlocal/a@sha256:aa manifest sha256:aa 1 MiB\n"
    present = images.parse_list(table + "host:5000/b:1 manifest sha256:bb 1 MiB\n")

    assert images.is_complete("local/a:1", present)
    assert not images.is_complete("local/a:2", present)
    assert not images.is_complete("host:5000/b:1", present)
    assert images.by_digest("host:5000/b:1", "sha256:bb") == "host:5000/b@sha256:bb"
    assert images.latest("host:5000/b:1") == "host:5000/b:latest"


class SomeContainerd:
    """A fake of containerd with names and their digests, sufficient for imports."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.changes = 0

    def run(self, command: list[str]) -> str:
        """Run the command after `images`."""
        verb, *arguments = command[command.index("images") + 1 :]
        if verb == "list":
            return "REF TYPE DIGEST\n" + "".join(f"{name} manifest {digest}\n" for name, digest in self.names.items())
        self.changes += 1
        if verb == "import":
            tag = Path(arguments[0]).stem
            self.names[f"local/models:{tag}"] = f"sha256:{tag}"
        else:
            _, old, new = arguments
            self.names[new] = self.names[old]
        return ""


def test_an_image_is_named_latest_when_it_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Examples use this name for the image that was loaded last; nothing is done twice."""
    node = SomeContainerd()
    monkeypatch.setattr(images, "_run", node.run)
    for tag in ("aa", "bb"):
        (tmp_path / f"{tag}.tar").touch()
    older, newer = (BuiltImage("models", f"local/models:{tag}", tmp_path / f"{tag}.tar") for tag in ("aa", "bb"))
    for image, digest in ((older, "sha256:aa"), (newer, "sha256:bb"), (older, "sha256:aa")):
        images.import_images(1, tmp_path, [image])
        assert node.names["local/models:latest"] == digest
        assert images.is_complete(image.reference, node.names)
    changes = node.changes
    images.import_images(1, tmp_path, [older])
    assert node.changes == changes


def test_a_process_is_known_by_its_start_time() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert record.start_time(process.pid) is not None
        assert record.child_of(os.getpid()) is not None
    finally:
        process.communicate(b"\n")
    assert record.start_time(process.pid) is None


def test_a_record_of_a_process_that_ended_is_no_running_node(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.live.mkdir()
    mine = record.start_time(os.getpid())
    assert mine is not None
    record.write(layout, record.RunRecord(os.getpid(), mine, 16443, "/bin"))
    assert record.running(layout) is not None

    record.write(layout, record.RunRecord(os.getpid(), mine - 1, 16443, "/bin"))
    assert record.running(layout) is None


def test_a_record_cut_short_is_no_running_node(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.live.mkdir()
    layout.run_record.write_text('{"supervisor": 1, "sta')

    assert record.running(layout) is None


def test_a_node_whose_record_is_lost_is_found_by_its_command_line(tmp_path: Path) -> None:
    name = "hack.cluster.native.supervisor"
    (tmp_path / name).write_text("read line\n")
    command = ["sh", "-m", name, str(tmp_path), "programs", "3"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=tmp_path) as process:
        deadline = time.monotonic() + 60
        # The kernel lets the parent continue a moment before the child's command line can be read.
        while not (processes := stop.node_processes(Layout(tmp_path))) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert processes == [process.pid]
        assert stop.node_processes(Layout(tmp_path / "other")) == []
        process.communicate(b"\n")


def test_certificates_name_users_as_kubernetes_reads_them(tmp_path: Path) -> None:
    at = Layout(tmp_path).endpoints
    authority = credentials.write_control_plane_files(at, "https://10.99.0.1:6443")
    authority.issue("kubelet", pki.CertificateSubject("system:node:node", groups=("system:nodes",)))

    certificate = x509.load_pem_x509_certificate((at.pki / "kubelet.crt").read_bytes())

    assert certificate.subject.rfc4514_string() == "CN=system:node:node,O=system:nodes"
    assert (at.pki / "kubelet.key").stat().st_mode & 0o777 == 0o600
    kubeconfig = json.loads((at.pki / "admin.kubeconfig").read_text())
    assert kubeconfig["clusters"][0]["cluster"]["server"] == "https://10.99.0.1:6443"


def test_the_dns_answers_on_the_address_that_pods_are_told() -> None:
    kubelet = json.loads(config.config_files(_LAYOUT, _PROGRAMS, "p")["kubelet.json"])
    service = next(each for each in addons("dns:1") if each["kind"] == "Service")

    assert [service["spec"]["clusterIP"]] == kubelet["clusterDNS"]


def test_a_control_group_that_is_still_busy_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = tmp_path / "group"
    group.mkdir()
    real, refusals = Path.rmdir, [OSError(errno.EBUSY, "busy"), OSError(errno.EBUSY, "busy")]

    def rmdir(folder: Path) -> None:
        if refusals:
            raise refusals.pop()
        real(folder)

    monkeypatch.setattr(Path, "rmdir", rmdir)
    monkeypatch.setattr(isolation, "_mounted_hierarchies", lambda _: [tmp_path])
    isolation.remove_control_groups("/group")
    assert not group.exists()
