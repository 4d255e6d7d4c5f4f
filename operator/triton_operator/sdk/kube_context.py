"""The kubeconfig and context that a client uses, and the kubectl command line for them.

Input: a kubeconfig and a context. Output: a command. kubectl is used only to forward ports; `kubernetes_client`
reads and writes objects.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from triton_operator.sdk.errors import UnreachableError


@dataclass(frozen=True)
class KubeContext:
    """A cluster. The default kubeconfig is the one that kubectl uses, and the default context is its current one."""

    kubeconfig: str = ""
    context: str = ""

    def kubectl(self, *arguments: str) -> list[str]:
        """Return the whole command line; raises UnreachableError if kubectl is not installed."""
        program = shutil.which("kubectl")
        if program is None:
            raise UnreachableError(
                "kubectl is not on PATH; it is required to forward a port to a server in the cluster. Install it "
                "(https://kubernetes.io/docs/tasks/tools), or pass the server's address with --url."
            )
        options = [*(["--kubeconfig", self.kubeconfig] if self.kubeconfig else [])]
        options += ["--context", self.context] if self.context else []
        return [program, *options, *arguments]


def is_inside(environ: Mapping[str, str], cluster: KubeContext) -> bool:
    """Whether this program runs in a pod and no other cluster is selected."""
    other = cluster.kubeconfig or cluster.context or environ.get("KUBECONFIG")
    return "KUBERNETES_SERVICE_HOST" in environ and not other
