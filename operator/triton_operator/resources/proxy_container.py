"""The sidecar `proxy` of a serving pod: HAProxy, which terminates TLS in front of Triton, and the volumes it mounts.

Pure; `pod` adds the container and the volumes to pods in the TLS modes Managed, Secret and CertManager. It is a
native sidecar: the kubelet starts it before Triton and stops it after Triton.
"""

from __future__ import annotations

from triton_operator.api.names import (
    CONTAINER_PROXY,
    PORT_HEALTH,
    PORT_HTTPS,
    SERVING_SECRET,
    certificate_name,
    proxy_config_name,
    serving_certificate_key,
    serving_private_key_key,
)
from triton_operator.api.privacy import TLSMode
from triton_operator.api.spec import ModelDeployment, Spec
from triton_operator.resources.container_resources import proxy_resources
from triton_operator.resources.isolation import LOCKED_DOWN
from triton_operator.resources.metadata import Manifest
from triton_operator.resources.pod_settings import pull_policy
from triton_operator.resources.termination import Termination, termination
from triton_operator.resources.tls import tls_mode
from triton_operator.triton.proxy_contract.policy import (
    CERTIFICATE_FILE,
    POLICY_DIR,
    PRIVATE_KEY_FILE,
    TLS_DIR,
    WORK_DIR,
)
from triton_operator.triton.server.flags import EXIT_TIMEOUT_SECONDS

PROXY_UID = 65532
"""Not Triton's user: a model's process could not signal the proxy even if they shared a PID namespace."""

WORK_SIZE = "64Mi"
"""A few rendered configurations and the certificate; the space that is used counts towards the memory limit."""


def build_proxy_container(spec: Spec, operator_image: str) -> Manifest:
    """The container; its own probes detect a proxy that does not listen, so that Triton is not reported instead."""
    times = termination(spec)
    return {
        "name": CONTAINER_PROXY,
        "image": operator_image,
        **pull_policy(spec),
        "restartPolicy": "Always",
        "command": ["python3", "-m", "triton_operator.proxy", *_drain_arguments(times)],
        "ports": [
            {"name": "https", "containerPort": PORT_HTTPS, "protocol": "TCP"},
            {"name": "health", "containerPort": PORT_HEALTH, "protocol": "TCP"},
        ],
        "resources": proxy_resources(spec),
        "securityContext": {**LOCKED_DOWN, "runAsUser": PROXY_UID, "runAsGroup": PROXY_UID},
        # Only a proxy that listens is ready: it first waits for its files, and exits if they are not usable.
        "readinessProbe": {
            "tcpSocket": {"port": PORT_HEALTH},
            "periodSeconds": 2,
            "failureThreshold": 2,
            "timeoutSeconds": 2,
        },
        "livenessProbe": {
            "tcpSocket": {"port": PORT_HEALTH},
            # Longer than the proxy waits for its files, after which it exits with a message.
            "initialDelaySeconds": 30,
            "periodSeconds": 10,
            "failureThreshold": 3,
            "timeoutSeconds": 5,
            "terminationGracePeriodSeconds": 5,
        },
        "lifecycle": {"preStop": {"exec": {"command": _delayed_drain(times)}}},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "proxy-policy", "mountPath": POLICY_DIR, "readOnly": True},
            {"name": "serving-certificate", "mountPath": TLS_DIR, "readOnly": True},
            {"name": "proxy-work", "mountPath": WORK_DIR},
        ],
    }


def _drain_arguments(times: Termination) -> list[str]:
    """The proxy waits for requests as long as Triton does; EXIT_TIMEOUT_SECONDS is its default."""
    return [] if times.exit_timeout == EXIT_TIMEOUT_SECONDS else ["--drain", str(times.exit_timeout)]


def _delayed_drain(times: Termination) -> list[str]:
    """The kubelet sends SIGTERM to a sidecar only after Triton has ended, when it is too late to drain connections.

    In Python, because a minimal image has no `sleep`.
    """
    script = f"import os, signal, time; time.sleep({times.drain_delay}); os.kill(1, signal.SIGTERM)"
    return ["python3", "-c", script]


def proxy_volumes(deployment: ModelDeployment) -> list[Manifest]:
    """The policy, the serving certificate with its key, and a memory volume for rendered files."""
    return [
        {"name": "proxy-policy", "configMap": {"name": proxy_config_name(deployment.metadata.name)}},
        {"name": "serving-certificate", "secret": _certificate(deployment)},
        {"name": "proxy-work", "emptyDir": {"medium": "Memory", "sizeLimit": WORK_SIZE}},
    ]


def certificate_secret(deployment: ModelDeployment) -> str:
    """The name of the Secret with the serving certificate."""
    tls = deployment.spec.privacy.tls
    if tls.secret_ref:
        return tls.secret_ref.name
    if tls_mode(deployment.spec) is TLSMode.CERT_MANAGER:
        return certificate_name(deployment.metadata.name)
    return SERVING_SECRET


def _certificate(deployment: ModelDeployment) -> Manifest:
    """The Secret as a volume; in mode Managed, a pod sees only its own certificate of those in the namespace."""
    name = deployment.metadata.name
    secret = certificate_secret(deployment)
    if tls_mode(deployment.spec) is not TLSMode.MANAGED:
        # A missing Secret or key is reported by the proxy itself, which knows the problem exactly.
        return {"secretName": secret, "optional": True}
    items = [
        {"key": serving_certificate_key(name), "path": CERTIFICATE_FILE},
        {"key": serving_private_key_key(name), "path": PRIVATE_KEY_FILE},
    ]
    return {"secretName": secret, "items": items}
