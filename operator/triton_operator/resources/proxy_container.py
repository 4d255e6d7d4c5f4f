"""The sidecar `proxy` of a serving pod: HAProxy, which terminates TLS in front of Triton, and the volumes it mounts.

Pure; `pod` adds both to pods of the TLS modes Managed, Secret and CertManager. It is a native sidecar: the kubelet
starts it before Triton and ends it afterwards.
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
from triton_operator.resources.tls import tls_mode
from triton_operator.triton.proxy_contract.policy import (
    CERTIFICATE_FILE,
    POLICY_DIR,
    PRIVATE_KEY_FILE,
    TLS_DIR,
    WORK_DIR,
)

PROXY_UID = 65532
"""Another user than Triton's: a process of a model cannot signal the proxy, even if namespaces were shared."""

LEAVE_SECONDS = 10
"""Time between the start of the pod's termination and the proxy's drain, in which the Services remove the pod.

The kubelet sends SIGTERM to a sidecar only after Triton has ended, when connections could no longer be drained.
"""

_LEAVE = f"import os, signal, time; time.sleep({LEAVE_SECONDS}); os.kill(1, signal.SIGTERM)"
"""In Python, because a minimal image has no `sleep`."""

WORK_SIZE = "64Mi"
"""A few rendered configurations and the certificate; the size counts towards the memory limit if it is used."""


def build_proxy_container(spec: Spec, operator_image: str) -> Manifest:
    """The container; its probes detect a proxy that does not listen, for which Triton's probes would blame Triton."""
    return {
        "name": CONTAINER_PROXY,
        "image": operator_image,
        "restartPolicy": "Always",
        "command": ["python3", "-m", "triton_operator.proxy"],
        "ports": [
            {"name": "https", "containerPort": PORT_HTTPS, "protocol": "TCP"},
            {"name": "health", "containerPort": PORT_HEALTH, "protocol": "TCP"},
        ],
        "resources": proxy_resources(spec),
        "securityContext": {**LOCKED_DOWN, "runAsUser": PROXY_UID, "runAsGroup": PROXY_UID},
        # Only a proxy that listens is ready: it first waits for its files, and ends if they are not usable.
        "readinessProbe": {
            "tcpSocket": {"port": PORT_HEALTH},
            "periodSeconds": 2,
            "failureThreshold": 2,
            "timeoutSeconds": 2,
        },
        "livenessProbe": {
            "tcpSocket": {"port": PORT_HEALTH},
            # More than the time that the proxy waits for its files, after which it ends with a message.
            "initialDelaySeconds": 30,
            "periodSeconds": 10,
            "failureThreshold": 3,
            "timeoutSeconds": 5,
            "terminationGracePeriodSeconds": 5,
        },
        "lifecycle": {"preStop": {"exec": {"command": ["python3", "-c", _LEAVE]}}},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "proxy-policy", "mountPath": POLICY_DIR, "readOnly": True},
            {"name": "serving-certificate", "mountPath": TLS_DIR, "readOnly": True},
            {"name": "proxy-work", "mountPath": WORK_DIR},
        ],
    }


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
    """The Secret as a volume: of the namespace's Managed certificates, a pod sees only its own."""
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
