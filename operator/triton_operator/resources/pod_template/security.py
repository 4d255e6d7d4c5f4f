"""Security contexts in `spec.podTemplate`: at most the rights of the Pod Security level `restricted`.

Pure. Input: a security context. Output: a Problem for each member that would weaken the pod.
"""

from __future__ import annotations

from collections.abc import Iterator

from triton_operator.api.errors import Problem
from triton_operator.api.pod_parts import ContainerSecurityContext, PodSecurityContext, SecurityProfile
from triton_operator.resources.proxy_container import PROXY_UID

_SAFE_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)
"""The sysctls that the Pod Security levels allow; they affect the pod only.

Without `net.ipv4.ip_unprivileged_port_start`, which contradicts the dropped capabilities."""

_ROOT = "must not be 0, because no container runs as root"
_OF_PROXY = f"must not be {PROXY_UID}, which is the user of the sidecar proxy"


def check_pod_security(context: PodSecurityContext, path: str) -> Iterator[Problem]:
    """The security context of the pod."""
    yield from _check_common(context, path)
    for index, sysctl in enumerate(context.sysctls):
        if sysctl.name not in _SAFE_SYSCTLS:
            message = f"{sysctl.name} is not one of the sysctls that affect the pod only"
            yield Problem(f"{path}.sysctls[{index}].name", message)


def check_container_security(context: ContainerSecurityContext, path: str) -> Iterator[Problem]:
    """The security context of a container that the template adds."""
    if context.privileged:
        yield Problem(f"{path}.privileged", "must not be true, because it gives the container the rights of the node")
    if context.allow_privilege_escalation:
        yield Problem(f"{path}.allowPrivilegeEscalation", "must not be true")
    if context.capabilities.add:
        message = (
            f"must be empty, because containers have no capabilities; remove {', '.join(context.capabilities.add)}"
        )
        yield Problem(f"{path}.capabilities.add", message)
    if "ALL" not in context.capabilities.drop:
        yield Problem(f"{path}.capabilities.drop", "must contain ALL, or be omitted")
    if context.proc_mount != "Default":
        yield Problem(f"{path}.procMount", "must be Default, which hides parts of /proc")
    yield from _check_common(context, path)


def _check_common(context: PodSecurityContext | ContainerSecurityContext, path: str) -> Iterator[Problem]:
    if not context.run_as_non_root:
        yield Problem(f"{path}.runAsNonRoot", "must not be false")
    if context.run_as_user in {0, PROXY_UID}:
        yield Problem(f"{path}.runAsUser", _ROOT if context.run_as_user == 0 else _OF_PROXY)
    for name, profile in (("seccompProfile", context.seccomp_profile), ("appArmorProfile", context.app_armor_profile)):
        yield from _check_profile(profile, f"{path}.{name}")
    if (labels := context.se_linux_options) and (labels.type or labels.role or labels.user):
        yield Problem(f"{path}.seLinuxOptions", "must contain only level")


def _check_profile(profile: SecurityProfile | None, path: str) -> Iterator[Problem]:
    if profile and profile.type != "RuntimeDefault":
        yield Problem(f"{path}.type", f"must be RuntimeDefault, not {profile.type}")
