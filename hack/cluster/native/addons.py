"""The basic objects of a cluster that a new API server lacks, such as DNS and RBAC bindings; pure.

Input: the DNS image. Output: manifests, applied once after the API server is ready. CoreDNS resolves only names inside
the cluster, because the node has no route to the outside: other names fail immediately.
"""

from __future__ import annotations

from typing import Any

from hack.cluster.native.layout import DNS_CLUSTER_IP

KUBELET_CLIENT = "apiserver-kubelet-client"
POLICY_ENFORCER = "netpol"
DNS_PORT = 5353
_SYSTEM = "kube-system"
_DNS_LABELS = {"k8s-app": "kube-dns"}
_COREFILE = f"""\
.:{DNS_PORT} {{
    errors
    health :8080
    ready :8181
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        pods insecure
        ttl 5
    }}
    cache 5
}}
"""


def addons(dns_image: str) -> list[dict[str, Any]]:
    """Return all manifests; `dns_image` is the reference of the imported CoreDNS image."""
    return [
        # kubeadm creates this binding. Without it, the API server cannot fetch logs from the kubelet.
        _binding("kubelet-api-admin", "system:kubelet-api-admin", _user(KUBELET_CLIENT)),
        _binding("kube-proxy", "system:node-proxier", _user("system:kube-proxy")),
        *_policy_enforcer_rights(),
        *_dns_rights(),
        _dns_config(),
        _dns_deployment(dns_image),
        _dns_service(),
    ]


def _policy_enforcer_rights() -> list[dict[str, Any]]:
    rules = [
        {"apiGroups": [""], "resources": ["pods", "namespaces", "nodes"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["get", "list", "watch"]},
    ]
    return [_role("netpol", rules), _binding("netpol", "netpol", _user(POLICY_ENFORCER))]


def _dns_rights() -> list[dict[str, Any]]:
    rules = [
        {
            "apiGroups": [""],
            "resources": ["endpoints", "services", "pods", "namespaces"],
            "verbs": ["list", "watch"],
        },
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    account = {"kind": "ServiceAccount", "name": "coredns", "namespace": _SYSTEM}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _named("coredns")},
        _role("system:coredns", rules),
        _binding("system:coredns", "system:coredns", account),
    ]


def _dns_config() -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _named("coredns"), "data": {"Corefile": _COREFILE}}


def _dns_deployment(image: str) -> dict[str, Any]:
    container = {
        "name": "coredns",
        "image": image,
        "imagePullPolicy": "Never",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "ports": [
            {"name": "dns", "containerPort": DNS_PORT, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": DNS_PORT, "protocol": "TCP"},
        ],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "20m", "memory": "30Mi"}, "limits": {"memory": "170Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
    }
    pod = {
        "serviceAccountName": "coredns",
        "priorityClassName": "system-cluster-critical",
        "dnsPolicy": "Default",
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _named("coredns"),
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": _DNS_LABELS},
            "template": {"metadata": {"labels": _DNS_LABELS}, "spec": pod},
        },
    }


def _dns_service() -> dict[str, Any]:
    ports = [
        {"name": "dns", "port": 53, "targetPort": DNS_PORT, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "targetPort": DNS_PORT, "protocol": "TCP"},
    ]
    spec = {"clusterIP": DNS_CLUSTER_IP, "selector": _DNS_LABELS, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _named("kube-dns"), "spec": spec}


def _role(name: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    }


def _binding(name: str, role: str, subject: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"triton-operator-local:{name}"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [subject],
    }


def _user(name: str) -> dict[str, Any]:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}


def _named(name: str) -> dict[str, Any]:
    return {"name": name, "namespace": _SYSTEM, "labels": _DNS_LABELS}
