"""Which specs a real API server accepts and rejects, and which field the error names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.apiserver.api_client import Api, RequestRefusedError
from tests.apiserver.specs import MINIMAL, NOTHING, changed, create, deployment
from tests.builders import SETTINGS, a_deployment
from tests.unit.resources.test_autoscaler import PASSED_THROUGH
from tests.unit.resources.test_scaled_object import CRON
from triton_operator.resources.build import render

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
HPA_METRICS = [{"type": "CPUUtilization", "averageUtilization": 70}, {"type": "MemoryUtilization"}, *PASSED_THROUGH]
DIGEST = "sha256:" + "0" * 64

ROLLING = {"strategy": "RollingUpdate"}


def a_canary(*weights: int) -> dict[str, Any]:
    """`rollout` with a canary that has these weights."""
    return {"strategy": "Canary", "canary": {"steps": [{"weight": weight} for weight in weights]}}


CANARY: dict[str, Any] = {
    "strategy": "Canary",
    "canary": {
        "steps": [{"weight": 10, "pause": {"seconds": 600}}, {"weight": 50, "pause": {}}, {"weight": 100}],
        "resumed": "digits-0123456789/2",
    },
}

BEHAVIOR = {"scaleUp": {"policies": [{"type": "Percent", "value": 50, "periodSeconds": 60}], "tolerance": "0.05"}}


def scaled_by(kind: str, **members: Any) -> dict[str, Any]:
    """`autoscaling` with one metric; a member that is None is absent."""
    pods = {"metric": {"name": "pending"}, "target": {"type": "AverageValue", "averageValue": 3}}
    metric = {"type": kind, **({"pods": pods} if kind == "Pods" else {}), **members}
    return {"maxReplicas": 2, "metrics": [{name: value for name, value in metric.items() if value is not None}]}


CLAIMS = [
    {"name": "gpus", "resourceClaimTemplateName": "two-gpus", "request": "gpu"},
    {"name": "shared", "resourceClaimName": "one-gpu"},
]


def keda(**autoscaling: Any) -> dict[str, Any]:
    """`autoscaling` with the provider KEDA."""
    return {"maxReplicas": 2, "provider": "KEDA", **autoscaling}


def with_reference(kind: str) -> dict[str, Any]:
    """A trigger with credentials of this kind."""
    return {"type": "Trigger", "trigger": {**CRON["trigger"], "authenticationRef": {"name": "queue", "kind": kind}}}


FULL: dict[str, Any] = {
    "modelRepository": {
        "image": {"reference": "registry.example.com:5000/team/models:v7", "path": "/model_repository"}
    },
    "models": [{"name": "digits"}, {"name": "tagger.v2", "path": "文字/tagger"}],
    "replicas": 2,
    "autoscaling": {"minReplicas": 1, "maxReplicas": 5, "metrics": HPA_METRICS, "behavior": BEHAVIOR},
    "gpu": {"count": 1, "resourceName": "nvidia.com/mig-1g.10gb"},
    "resources": {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"cpu": "1.5", "memory": "2Gi"}},
    "prepare": {"resources": {"requests": {"cpu": 1}, "limits": {"memory": "2Gi", "ephemeral-storage": "1Gi"}}},
    "imagePullSecrets": [{"name": "registry"}],
    "env": [
        {"name": "TZ", "value": "Asia/Shanghai"},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "features", "key": "token", "optional": True}}},
        {"name": "ZONE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['topology.kubernetes.io/zone']"}}},
        {"name": "MIB", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
    ],
    "envFrom": [{"prefix": "SHOP_", "configMapRef": {"name": "shop", "optional": True}}],
    "imagePullPolicy": "IfNotPresent",
    "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/models"}},
    "dnsConfig": {"nameservers": ["fd00::53"], "searches": ["example.com."], "options": [{"name": "edns0"}]},
    "hostAliases": [{"ip": "10.20.0.5", "hostnames": ["models.example.com"]}],
    "podLabels": {"cost-center": "vision", "app.kubernetes.io/part-of": "shop"},
    "podAnnotations": {"linkerd.io/inject": "enabled", "cluster-autoscaler.kubernetes.io/safe-to-evict": "true"},
    "triton": {
        "image": f"nvcr.io/nvidia/tritonserver@{DIGEST}",
        "version": "26.11",
        "logLevel": "Info",
        "sharedMemorySize": "1Gi",
    },
    "service": {
        "type": "LoadBalancer",
        "annotations": {"example.com/scheme": "internal"},
        "labels": {"example.com/team": "vision"},
        "loadBalancerClass": "example.com/internal",
        "loadBalancerSourceRanges": ["203.0.113.0/24", "2001:db8::/32"],
        "externalTrafficPolicy": "Local",
        "trafficDistribution": "PreferSameZone",
        "ipFamilyPolicy": "PreferDualStack",
        "ports": {
            "http": {"name": "web", "port": 80},
            "grpc": {"port": 9000},
            "https": {"port": 443, "nodePort": 30443},
        },
    },
    "lifecycle": {
        "startupTimeoutSeconds": 1200,
        "terminationGracePeriodSeconds": 365,
        "preStopSeconds": 60,
    },
    "podTemplate": {
        "metadata": {"labels": {"team": "vision"}, "annotations": {"example.com/owner": "vision"}},
        "spec": {
            "runtimeClassName": "gvisor",
            "volumes": [{"name": "words", "configMap": {"name": "words"}}],
            "initContainers": [{"name": "logs", "image": "example.org/logs:1", "restartPolicy": "Always"}],
            "containers": [{"name": "triton", "volumeMounts": [{"name": "words", "mountPath": "/mnt/words"}]}],
        },
    },
    "rollout": {
        "strategy": "RollingUpdate",
        "maxSurge": "25%",
        "maxUnavailable": 0,
        "paused": False,
        "progressDeadlineSeconds": 3600,
        "revisionHistoryLimit": 5,
        "restartedAt": "2026-11-30T21:00:00Z",
    },
    "scheduling": {
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "minDomains": 2}
        ],
        "priorityClassName": "high",
        "runtimeClassName": "nvidia",
    },
    "privacy": {
        "profile": "Private",
        "network": {
            "allowFrom": [
                {"podSelector": {}},
                {"ipBlock": {"cidr": "10.20.0.0/16", "except": ["10.20.30.0/24"]}},
                {"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "In", "values": ["shop"]}]}},
            ],
            "metricsFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        },
        "tls": {"mode": "Disabled"},
    },
    "suspend": False,
}

# What somebody wrote, where, the field that the server names, and words of the reason.
BAD: dict[str, tuple[str, Any, str, str]] = {
    "no repository": ("modelRepository", {}, "modelRepository", "exactly one of image, pvc, s3 and http"),
    "two repositories": ("modelRepository.pvc", {"claimName": "models"}, "modelRepository", "exactly one of image"),
    "repository forgotten": ("modelRepository", NOTHING, "modelRepository", "Required value"),
    "image with a scheme": ("modelRepository.image.reference", "oci://models:v1", "", "without a scheme"),
    "image in capitals": ("modelRepository.image.reference", "example.com/Team/Models", "", "lower case"),
    "image with a space": ("modelRepository.image.reference", "models: v1", "", "image reference"),
    "short digest": ("modelRepository.image.reference", "models@sha256:abc", "", "image reference"),
    "unknown pull policy": ("modelRepository.image.pullPolicy", "always", "", "Unsupported value"),
    "repository path leaves the repository": ("modelRepository.image.path", "/models/../../etc", "", "no '..'"),
    "repository path is relative": ("modelRepository.image.path", "models", "", "start with a slash"),
    "claim's name in capitals": (
        "modelRepository",
        {"pvc": {"claimName": "Models"}},
        "modelRepository.pvc.claimName",
        "match",
    ),
    "claim's path leaves the repository": (
        "modelRepository",
        {"pvc": {"claimName": "models", "path": "/.."}},
        "modelRepository.pvc.path",
        "no '..'",
    ),
    "no model": ("models", [], "", "at least 1 items"),
    "models forgotten": ("models", NOTHING, "", "Required value"),
    "17 models": ("models", [{"name": f"m{number}"} for number in range(17)], "", "at most 16 items"),
    "the same model twice": ("models", [{"name": "digits"}, {"name": "digits"}], "models[1]", "Duplicate value"),
    "model without a name": ("models", [{"path": "digits"}], "models[0].name", "Required value"),
    "model name is a path": ("models.0.name", "../digits", "models[0].name", "match"),
    "model name with two dots": ("models.0.name", "a..b", "models[0].name", "match"),
    "model name with a space": ("models.0.name", "my model", "models[0].name", "match"),
    "model name of 64 characters": ("models.0.name", "m" * 64, "models[0].name", "Too long"),
    "model path leaves the repository": ("models.0.path", "vision/../../secret", "models[0].path", "no '..'"),
    "model path is absolute": ("models.0.path", "/etc/passwd", "models[0].path", "no slash at either end"),
    "model path with a backslash": ("models.0.path", "vision\\digits", "models[0].path", "no backslash"),
    "model path with a line break": ("models.0.path", "vision\ndigits", "models[0].path", "must be relative"),
    "negative replicas": ("replicas", -1, "", "greater than or equal to 0"),
    "replicas in quotes": ("replicas", "3", "", "must be of type integer"),
    "a million replicas": ("replicas", 1_000_000, "", "less than or equal to 1000"),
    "autoscaling without a maximum": ("autoscaling", {"minReplicas": 1}, "autoscaling.maxReplicas", "Required value"),
    "autoscaling upside down": (
        "autoscaling",
        {"minReplicas": 5, "maxReplicas": 2},
        "autoscaling.maxReplicas",
        "less than",
    ),
    "autoscaling from zero": (
        "autoscaling",
        {"minReplicas": 0, "maxReplicas": 2},
        "autoscaling.minReplicas",
        "0 requires the provider KEDA",
    ),
    "KEDA from zero on the CPU": (
        "autoscaling",
        keda(metrics=[{"type": "Trigger", "trigger": {"type": "cpu", "metadata": {}}}], minReplicas=0),
        "autoscaling.minReplicas",
        "can be active without a replica",
    ),
    "a trigger without KEDA": (
        "autoscaling",
        {"maxReplicas": 2, "metrics": [CRON]},
        "autoscaling.metrics",
        "must not contain the type Trigger without",
    ),
    "a metric of pods for KEDA": ("autoscaling", keda(**scaled_by("Pods")), "autoscaling.metrics", "neither Resource"),
    "settings of KEDA without KEDA": (
        "autoscaling",
        {"maxReplicas": 2, "keda": {"cooldownSeconds": 5}},
        "autoscaling.keda",
        "requires the provider KEDA",
    ),
    "a server with a password": (
        "autoscaling",
        keda(keda={"prometheusServer": "http://me:secret@prometheus"}),
        "autoscaling.keda.prometheusServer",
        "should match",
    ),
    "credentials of the cluster": (
        "autoscaling",
        keda(metrics=[with_reference("ClusterTriggerAuthentication")]),
        "autoscaling.metrics[0].trigger.authenticationRef.kind",
        "Unsupported value",
    ),
    "a rate without a target": (
        "autoscaling",
        {"maxReplicas": 2, "metrics": [{"type": "RequestsPerSecond"}]},
        "autoscaling.metrics[0].averageValue",
        "is required with RequestsPerSecond",
    ),
    "a ratio as a number": (
        "autoscaling",
        {"maxReplicas": 2, "metrics": [{"type": "QueueTimeRatio", "averageValue": 1}]},
        "autoscaling.metrics[0].averageValue",
        "is for PendingRequests and RequestsPerSecond",
    ),
    "unknown metric": (
        "autoscaling",
        {"maxReplicas": 2, "metrics": [{"type": "Memory"}]},
        "autoscaling.metrics[0].type",
        "Unsupported value",
    ),
    "the CPU metric twice": (
        "autoscaling",
        {"maxReplicas": 2, "metrics": [{"type": "CPUUtilization"}, {"type": "CPUUtilization"}]},
        "autoscaling.metrics",
        "more than once",
    ),
    "a metric without its member": ("autoscaling", scaled_by("Pods", pods=None), "autoscaling.metrics[0]", "exactly"),
    "a metric with a second member": (
        "autoscaling",
        scaled_by("Pods", external={"metric": {"name": "a"}, "target": {"type": "Value", "value": 1}}),
        "autoscaling.metrics[0]",
        "exactly the member",
    ),
    "utilization of pods": (
        "autoscaling",
        scaled_by("Pods", averageUtilization=70),
        "autoscaling.metrics[0].averageUtilization",
        "in their target",
    ),
    "a value for pods": (
        "autoscaling",
        scaled_by("Pods", pods={"metric": {"name": "a"}, "target": {"type": "Value", "value": 1}}),
        "autoscaling.metrics[0]",
        "AverageValue for Pods",
    ),
    "a target with another value": (
        "autoscaling",
        scaled_by("Pods", pods={"metric": {"name": "a"}, "target": {"type": "AverageValue", "value": 1}}),
        "autoscaling.metrics[0].pods.target",
        "exactly the member",
    ),
    "a target of zero": (
        "autoscaling",
        scaled_by("Pods", pods={"metric": {"name": "a"}, "target": {"type": "AverageValue", "averageValue": "0"}}),
        "autoscaling.metrics[0].pods.target.averageValue",
        "positive quantity",
    ),
    "a metric that is a path": (
        "autoscaling",
        scaled_by("Pods", pods={"metric": {"name": "a/b"}, "target": {"type": "AverageValue", "averageValue": 1}}),
        "autoscaling.metrics[0].pods.metric.name",
        "must not contain /",
    ),
    "a metric of a GPU": (
        "autoscaling",
        scaled_by("Resource", resource={"name": "gpu", "target": {"type": "AverageValue", "averageValue": 1}}),
        "autoscaling.metrics[0].resource.name",
        "Unsupported value",
    ),
    "behavior without a period": (
        "autoscaling",
        {"maxReplicas": 2, "behavior": {"scaleUp": {"policies": [{"type": "Pods", "value": 1}]}}},
        "autoscaling.behavior.scaleUp.policies[0].periodSeconds",
        "Required value",
    ),
    "a window of two hours": (
        "autoscaling",
        {"maxReplicas": 2, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 7200}}},
        "autoscaling.behavior.scaleDown.stabilizationWindowSeconds",
        "3600",
    ),
    "half a GPU": ("gpu.count", 0.5, "", "must be of type int32"),
    "no GPU": ("gpu.count", 0, "", "greater than or equal to 1"),
    "GPU without a vendor": ("gpu.resourceName", "gpu", "", "match"),
    "GPU of Kubernetes": ("gpu.resourceName", "kubernetes.io/gpu", "", "extended resource"),
    "a slice and another resource": (
        "gpu",
        {"mig": {"profile": "1g.10gb"}, "resourceName": "amd.com/gpu"},
        "gpu.resourceName",
        "with mig",
    ),
    "a slice without a profile": ("gpu", {"mig": {}}, "gpu.mig.profile", "Required value"),
    "a profile with an injected name": ("gpu", {"mig": {"profile": "1g.10gb/x"}}, "gpu.mig.profile", "match"),
    "two slices": ("gpu", {"count": 2, "mig": {"profile": "1g.10gb"}}, "gpu.count", "only one slice"),
    "shared GPUs under the profile Private": ("gpu", {"sharing": "TimeSlicing"}, "gpu", "without isolation"),
    "shared GPUs by their name": ("gpu", {"resourceName": "nvidia.com/gpu.shared"}, "gpu", "without isolation"),
    "memory of GPUs for nothing": ("gpu.memory", "16Gi", "gpu.memory", "only then"),
    "memory of models without GPUs": ("models", [{"name": "digits", "gpuMemory": "1Gi"}], "", "spec.gpu is not set"),
    "a misspelt memory of a GPU": ("gpu.memory", "16 GB", "gpu.memory", "must be a quantity"),
    "claims under the profile Private": ("gpu", {"resourceClaims": CLAIMS}, "gpu.resourceClaims", "network device"),
    "claims and a slice": (
        "gpu",
        {"resourceClaims": CLAIMS, "mig": {"profile": "1g.10gb"}},
        "gpu.resourceClaims",
        "must not be set with",
    ),
    "no claims": ("gpu", {"resourceClaims": []}, "gpu.resourceClaims", "at least 1"),
    "unknown sharing": ("gpu", {"sharing": "MPS"}, "gpu.sharing", "Unsupported value"),
    "GPU under limits": ("resources.limits", {"nvidia.com/gpu": 1}, "", "spec.gpu"),
    "GPU under requests": ("resources.requests", {"nvidia.com/gpu": 1}, "", "spec.gpu"),
    "GPU for prepare": ("prepare.resources.limits", {"nvidia.com/gpu": 1}, "", "spec.gpu"),
    "GPU for the proxy": ("privacy.proxy.resources.limits", {"nvidia.com/gpu": 1}, "", "spec.gpu"),
    "misspelt quantity for prepare": (
        "prepare.resources.limits",
        {"memory": "1 GB"},
        "prepare.resources.limits[memory]",
        "must be a quantity",
    ),
    "misspelt resource": ("resources.limits", {"memmory": "1Gi"}, "", "only cpu, memory"),
    "misspelt quantity": ("resources.limits", {"memory": "1 GB"}, "resources.limits[memory]", "must be a quantity"),
    "negative quantity": ("resources.requests", {"cpu": "-1"}, "resources.requests[cpu]", "not negative"),
    "memory without a unit": ("resources.limits", {"memory": 4}, "resources.limits", "unit such as Mi"),
    "thousandths of a byte": ("resources.requests", {"memory": "400m"}, "resources.requests", "unit such as Mi"),
    "request above the limit": (
        "resources",
        {"requests": {"memory": "2Gi"}, "limits": {"memory": "1024Mi"}},
        "resources.requests",
        "greater than the limit",
    ),
    "pull secret twice": ("imagePullSecrets", [{"name": "a"}, {"name": "a"}], "imagePullSecrets[1]", "Duplicate value"),
    "variable twice": ("env", [{"name": "A"}, {"name": "A"}], "env[1]", "Duplicate value"),
    "variable with a space": ("env", [{"name": "A B"}], "env[0].name", "match"),
    "variable with a number": ("env", [{"name": "A", "value": 1}], "env[0].value", "must be of type string"),
    "variable with two values": (
        "env",
        [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "env[0]",
        "both value and valueFrom",
    ),
    "variable from nowhere": ("env", [{"name": "A", "valueFrom": {}}], "env[0].valueFrom", "exactly one of configMap"),
    "variable from an unknown field": (
        "env",
        [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.phase"}}}],
        "env[0].valueFrom.fieldRef.fieldPath",
        "must be metadata.name",
    ),
    "variable of the operator": ("env", [{"name": "MALLOC_TOP_PAD_"}], "env", "which the operator sets"),
    "variables that preload code": (
        "env",
        [{"name": "TZ"}, {"name": "LD_PRELOAD"}, {"name": "PYTHONPATH"}, {"name": "PYTHONUTF8"}, {"name": "BASH_ENV"}],
        "env",
        "must not contain variables that can run code from elsewhere",
    ),
    "variable with devices": ("env", [{"name": "NVIDIA_VISIBLE_DEVICES"}], "env[0].name", "use spec.gpu"),
    "variable with network devices": ("env", [{"name": "NVIDIA_MOFED"}], "env[0].name", "use spec.gpu"),
    "variable of the entrypoint": ("env", [{"name": "PARENT_PIPE_DESCRIPTOR"}], "env[0].name", "parent process"),
    "variable from the keys of all deployments": (
        "env",
        [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "triton-operator-serving", "key": "a.key"}}}],
        "env[0].valueFrom.secretKeyRef.name",
        "name another Secret",
    ),
    "variables from the keys of all deployments": (
        "envFrom",
        [{"prefix": "A_", "secretRef": {"name": "triton-operator-serving"}}],
        "envFrom[0].secretRef.name",
        "name another Secret",
    ),
    "variables without a prefix": ("envFrom", [{"secretRef": {"name": "a"}}], "envFrom", "must have prefixes"),
    "prefix of variables that preload": (
        "envFrom",
        [{"prefix": "LD_", "secretRef": {"name": "a"}}],
        "envFrom",
        "must have prefixes",
    ),
    "variables from two objects": (
        "envFrom",
        [{"prefix": "A_", "secretRef": {"name": "a"}, "configMapRef": {"name": "a"}}],
        "envFrom[0]",
        "exactly one of configMapRef",
    ),
    "labels of the operator and of Kubernetes": (
        "podLabels",
        {"triton-operator.io/track": "stable", "team": "a", "job-name": "a", "app.kubernetes.io/name": "a"},
        "podLabels",
        "must not contain labels of Kubernetes and of the operator",
    ),
    "label with a space": ("podLabels", {"my team": "a"}, "podLabels", "label keys"),
    "annotations of the operator and of Kubernetes": (
        "podAnnotations",
        {"kubectl.kubernetes.io/restartedAt": "now", "triton-operator.io/proxy-policy": "a", "note": "a"},
        "podAnnotations",
        "must not contain annotations of Kubernetes and of the operator",
    ),
    "annotations of container runtimes": (
        "podAnnotations",
        {"dev.gvisor.spec.mount.a.share": "pod", "note": "a", "devices.nri.containerd.io/container.triton": "a"},
        "podAnnotations",
        "must not contain annotations of container runtimes",
    ),
    "annotations with another network and another image": (
        "podAnnotations",
        {"k8s.v1.cni.cncf.io/networks": "a", "note": "a", "sidecar.istio.io/proxyImage": "a"},
        "podAnnotations",
        "another network (such as k8s.v1.cni.cncf.io/networks)",
    ),
    "unknown pull policy of containers": ("imagePullPolicy", "always", "", "Unsupported value"),
    "annotations of a named account": (
        "serviceAccount",
        {"name": "models", "annotations": {"a": "b"}},
        "serviceAccount.annotations",
        "belong to the account that the operator creates",
    ),
    "annotations of Kubernetes for an account": (
        "serviceAccount.annotations",
        {"kubernetes.io/enforce-mountable-secrets": "true"},
        "",
        "must not contain annotations of Kubernetes",
    ),
    "account of the operator": ("serviceAccount.name", "digits", "", "deletes with the object"),
    "account in capitals": ("serviceAccount.name", "Models", "", "match"),
    "name of a nameserver": ("dnsConfig.nameservers", ["dns.example.com"], "dnsConfig.nameservers[0]", "IP address"),
    "four nameservers": ("dnsConfig.nameservers", [f"10.0.0.{n}" for n in range(4)], "", "at most 3 items"),
    "option of the resolver twice": (
        "dnsConfig.options",
        [{"name": "ndots", "value": "2"}, {"name": "ndots", "value": "3"}],
        "dnsConfig.options[1]",
        "Duplicate value",
    ),
    "alias of a name": ("hostAliases", [{"ip": "a", "hostnames": ["b"]}], "hostAliases[0].ip", "IP address"),
    "alias without names": (
        "hostAliases",
        [{"ip": "10.0.0.1", "hostnames": []}],
        "hostAliases[0].hostnames",
        "at least 1",
    ),
    "two aliases of an address": (
        "hostAliases",
        [{"ip": "10.0.0.1", "hostnames": ["a"]}, {"ip": "10.0.0.1", "hostnames": ["b"]}],
        "hostAliases[1]",
        "Duplicate value",
    ),
    "two added containers with one name": (
        "podTemplate.spec.containers",
        [{"name": "a", "image": "b"}, {"name": "a", "image": "c"}],
        "podTemplate.spec.containers[1]",
        "Duplicate value",
    ),
    "an added volume without a name": (
        "podTemplate.spec.volumes",
        [{"emptyDir": {}}],
        "podTemplate.spec.volumes[0].name",
        "Required value",
    ),
    "too many added containers": (
        "podTemplate.spec.initContainers",
        [{"name": f"a-{number}", "image": "b"} for number in range(9)],
        "podTemplate.spec.initContainers",
        "at most 8 items",
    ),
    "version as a number": ("triton.version", 26.1, "", "must be of type string"),
    "version with a v": ("triton.version", "v2.51", "", "match"),
    "unknown log level": ("triton.logLevel", "Debug", "", "Unsupported value"),
    "server image with a scheme": ("triton.image", "https://nvcr.io/nvidia/tritonserver", "", "without a scheme"),
    "an endpoint that is never open": (
        "triton.openEndpoints",
        ["Statistics", "ModelRepository"],
        "triton.openEndpoints[1]",
        "Unsupported value",
    ),
    "an endpoint twice": (
        "triton.openEndpoints",
        ["Statistics", "Statistics"],
        "triton.openEndpoints[1]",
        "Duplicate value",
    ),
    "argument without dashes": ("triton.extraArgs", ["http-thread-count=4"], "triton.extraArgs[0]", "one flag with"),
    "argument without a value": ("triton.extraArgs", ["--http-thread-count"], "triton.extraArgs[0]", "one flag with"),
    "value in an argument of its own": (
        "triton.extraArgs",
        ["--id=a", "4"],
        "triton.extraArgs[1]",
        "one flag with",
    ),
    "argument with a line break": ("triton.extraArgs", ["--id=a\nb"], "triton.extraArgs[0]", "one flag with"),
    "argument that reads the key": (
        "triton.extraArgs",
        ["--id=$(HOME)"],
        "triton.extraArgs[0]",
        "must not contain $(",
    ),
    "argument that opens the tracer": (
        "triton.extraArgs",
        ["--trace-config=level=TENSORS"],
        "triton.extraArgs[0]",
        "opens",
    ),
    "argument that moves a port": ("triton.extraArgs", ["--http-port=80"], "triton.extraArgs[0]", "operator sets"),
    "argument that loads code": ("triton.extraArgs", ["--backend-directory=/source"], "triton.extraArgs[0]", "opens"),
    "argument that is a number": ("triton.extraArgs", [4], "triton.extraArgs[0]", "must be of type string"),
    "33 arguments": ("triton.extraArgs", ["--id=a"] * 33, "", "at most 32 items"),
    "shared memory without a unit": ("triton.sharedMemorySize", "512", "", "at least 1Mi"),
    "shared memory in words": ("triton.sharedMemorySize", "large", "", "at least 1Mi"),
    "shared memory as a number": ("triton.sharedMemorySize", 1073741824, "", "must be of type string"),
    "startup in minutes": ("lifecycle.startupTimeoutSeconds", "20m", "", "must be of type integer"),
    "startup of a second": ("lifecycle.startupTimeoutSeconds", 1, "", "greater than or equal to 10"),
    "startup of two days": ("lifecycle.startupTimeoutSeconds", 172_800, "", "less than or equal to 86400"),
    "rollout of a second": ("rollout.progressDeadlineSeconds", 1, "", "greater than or equal to 60"),
    "rollout shorter than the default start": (
        "rollout.progressDeadlineSeconds",
        600,
        "",
        "greater than lifecycle.startupTimeoutSeconds",
    ),
    "unknown strategy": ("rollout.strategy", "BlueGreen", "", "Unsupported value"),
    "canary without steps": ("rollout", {"strategy": "Canary"}, "rollout.canary", "is required with the strategy"),
    "canary with another strategy": ("rollout", {"canary": CANARY["canary"]}, "rollout.canary", "must not be set"),
    "canary of the majority": ("rollout", a_canary(60), "rollout.canary.steps[0].weight", "from 1 to 50"),
    "canary that shrinks": ("rollout", a_canary(50, 10), "rollout.canary.steps", "increasing weights"),
    "canary that stays": ("rollout", a_canary(10, 10), "rollout.canary.steps", "increasing weights"),
    "canary of all pods at once": ("rollout", a_canary(100), "rollout.canary.steps", "below 100"),
    "canary that ends with a pause": (
        "rollout",
        {"strategy": "Canary", "canary": {"steps": [{"weight": 5}, {"weight": 100, "pause": {}}]}},
        "rollout.canary.steps[1].pause",
        "promotes the canary",
    ),
    "surge without its strategy": ("rollout", {"maxSurge": 1}, "rollout.maxSurge", "unless strategy is RollingUpdate"),
    "unavailability with another strategy": (
        "rollout",
        {"strategy": "Auto", "maxUnavailable": 1},
        "rollout.maxUnavailable",
        "unless strategy is RollingUpdate",
    ),
    "grace period shorter than the default preStop": (
        "lifecycle",
        {"terminationGracePeriodSeconds": 20},
        "lifecycle.terminationGracePeriodSeconds",
        "20 is too short: preStopSeconds 15 + at least 1 for requests in flight + 5 of margin = 21",
    ),
    "grace period shorter than preStop": (
        "lifecycle",
        {"preStopSeconds": 60, "terminationGracePeriodSeconds": 65},
        "lifecycle.terminationGracePeriodSeconds",
        "65 is too short: preStopSeconds 60 + at least 1 for requests in flight + 5 of margin = 66",
    ),
    "negative preStop": ("lifecycle.preStopSeconds", -1, "", "greater than or equal to 0"),
    "class of another type": (
        "service",
        {"loadBalancerClass": "internal"},
        "service.loadBalancerClass",
        "unless type is LoadBalancer",
    ),
    "source ranges of another type": (
        "service",
        {"type": "NodePort", "loadBalancerSourceRanges": ["10.0.0.0/8"]},
        "service.loadBalancerSourceRanges",
        "unless type is LoadBalancer",
    ),
    "source range with a host": (
        "service",
        {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.1.2.3/8"]},
        "service.loadBalancerSourceRanges[0]",
        "must be a CIDR",
    ),
    "no source range": ("service.loadBalancerSourceRanges", [], "", "at least 1 items"),
    "traffic policy of a ClusterIP": (
        "service",
        {"externalTrafficPolicy": "Local"},
        "service.externalTrafficPolicy",
        "unless type is NodePort or LoadBalancer",
    ),
    "node port of a ClusterIP": (
        "service",
        {"ports": {"grpc": {"nodePort": 30000}}},
        "service.ports",
        "unless type is NodePort or LoadBalancer",
    ),
    "port of another protocol": (
        "service.ports",
        {"http": {"port": 80}, "grpc": {"port": 80}},
        "",
        "must have different numbers",
    ),
    "default port of another protocol": ("service.ports", {"grpc": {"port": 8000}}, "", "must have different numbers"),
    "name of another port": ("service.ports.grpc.name", "https", "service.ports", "must have different names"),
    "node port twice": (
        "service",
        {"type": "NodePort", "ports": {"http": {"nodePort": 30443}, "grpc": {"nodePort": 30443}}},
        "service.ports",
        "must have different node ports",
    ),
    "port name in capitals": ("service.ports.grpc.name", "GRPC", "", "match"),
    "label of the operator": ("service.labels", {"app.kubernetes.io/name": "x"}, "", "of the operator"),
    "label that switches kube-proxy off": (
        "service.labels",
        {"service.kubernetes.io/service-proxy-name": "x"},
        "",
        "labels of Kubernetes",
    ),
    "label key with a space": ("service.labels", {"my key": "x"}, "", "label keys"),
    "label value with a space": ("service.labels", {"team": "a b"}, "service.labels.team", "match"),
    "unknown traffic distribution": ("service.trafficDistribution", "PreferFar", "", "Unsupported value"),
    "rollout that cannot replace a pod": (
        "rollout",
        {"strategy": "RollingUpdate", "maxSurge": "0%", "maxUnavailable": 0},
        "rollout.maxUnavailable",
        "no pod could be replaced",
    ),
    "surge that is a word": ("rollout", {**ROLLING, "maxSurge": "all"}, "rollout.maxSurge", "a percentage"),
    "surge that is a quoted number": ("rollout", {**ROLLING, "maxSurge": "1"}, "rollout.maxSurge", "a percentage"),
    "surge below zero": ("rollout", {**ROLLING, "maxSurge": -1}, "rollout.maxSurge", "from 0 to 1000"),
    "surge of more than everything": (
        "rollout",
        {**ROLLING, "maxSurge": "101%"},
        "rollout.maxSurge",
        "at most 100%",
    ),
    "history without end": ("rollout.revisionHistoryLimit", 11, "", "less than or equal to 10"),
    "restart at no time": ("rollout.restartedAt", "now", "", "date-time"),
    "unknown kind of Service": ("service.type", "ExternalName", "", "Unsupported value"),
    "annotation key with a space": ("service.annotations", {"my key": "x"}, "", "annotation keys"),
    "toleration without a key": ("scheduling.tolerations", [{"value": "x"}], "scheduling.tolerations[0]", "Exists"),
    "node label's value with a space": (
        "scheduling.nodeSelector",
        {"zone": "a b"},
        "scheduling.nodeSelector.zone",
        "match",
    ),
    "unknown profile": ("privacy.profile", "private", "", "Unsupported value"),
    "audit Off without quotes": ("privacy.audit", False, "", "must be of type string"),
    "empty peer": ("privacy.network.allowFrom", [{}], "privacy.network.allowFrom[0]", "must contain podSelector"),
    "address beside a selector": (
        "privacy.network.allowFrom",
        [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}],
        "privacy.network.allowFrom[0]",
        "must not be combined",
    ),
    "address range with a host": (
        "privacy.network.metricsFrom",
        [{"ipBlock": {"cidr": "10.1.2.3/8"}}],
        "privacy.network.metricsFrom[0].ipBlock.cidr",
        "must be a CIDR",
    ),
    "suspend in words": ("suspend", "yes", "", "must be of type boolean"),
    "a host name twice": ("service.hostnames", ["a.example.com", "a.example.com"], "service.hostnames[1]", "Duplicate"),
    "host name with a port": ("service.hostnames", ["a.example.com:443"], "service.hostnames[0]", "match"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_spec_is_refused_at_its_field(api: Api, namespace: str, case: str) -> None:
    """The error names the invalid field, and not one of its parents."""
    place, value, field, words = BAD[case]
    with pytest.raises(RequestRefusedError) as refused:
        create(api, namespace, deployment(changed(MINIMAL, place, value)))
    expected = f"spec.{field or place}"
    assert refused.value.code == 422, refused.value
    assert words in refused.value.fields.get(expected, ""), refused.value.fields
    assert len(refused.value.fields) == 1, refused.value.fields


def test_a_rollout_must_take_longer_than_its_start(api: Api, namespace: str) -> None:
    """The rule compares fields of two objects."""
    with pytest.raises(RequestRefusedError) as refused:
        create(api, namespace, deployment(changed(FULL, "lifecycle.startupTimeoutSeconds", 3600)))
    (message,) = refused.value.fields.values()
    assert list(refused.value.fields) == ["spec.rollout.progressDeadlineSeconds"]
    assert "greater than lifecycle.startupTimeoutSeconds" in message


def test_a_canary_needs_replicas_that_only_the_user_changes_and_no_cache(api: Api, namespace: str) -> None:
    """The rules compare fields of several objects."""
    source = {"s3": {"bucket": "models", "endpoint": "https://s3.example.org"}}
    cache = {"size": "1Gi", "egress": {"cidrs": ["10.0.0.0/8"]}}
    spec = {**MINIMAL, "modelRepository": source, "cache": cache, "autoscaling": {"maxReplicas": 2}, "rollout": CANARY}
    with pytest.raises(RequestRefusedError) as refused:
        create(api, namespace, deployment(spec))
    assert list(refused.value.fields) == ["spec.autoscaling", "spec.cache"]


@pytest.mark.parametrize(
    "place", ["replica", "models.0.fromat", "resources.limit", "privacy.network.allowform", "rollout.canary.traffic"]
)
def test_misspelt_field_is_refused(api: Api, namespace: str, place: str) -> None:
    """An unknown field is not silently ignored."""
    with pytest.raises(RequestRefusedError) as refused:
        create(api, namespace, deployment(changed(MINIMAL, place, {})))
    shown = place.replace(".0", "[0]")
    assert f'unknown field "spec.{shown}"' in refused.value.message


@pytest.mark.parametrize(
    "name",
    ["Digits", "1-digits", "digits-", "my.digits", "a" * 41]
    + [f"a-{suffix}" for suffix in ("headless", "canary", "proxy", "config-0123abcd", "cache-0123abcd", "0123456789")],
)
def test_name_that_does_not_fit_children_is_refused(api: Api, namespace: str, name: str) -> None:
    """Names of children are derived from it, so it has a maximum length and must not look like one of them."""
    with pytest.raises(RequestRefusedError) as refused:
        create(api, namespace, deployment(MINIMAL, name))
    assert refused.value.code == 422
    assert set(refused.value.fields) == {"metadata.name"}


@pytest.mark.parametrize(
    "name", ["d", "a" * 40, "headless", "a-config", "a-cache-0123abc", "a-0123456789a", "a-canary-b"]
)
def test_name_that_is_merely_similar_is_accepted(api: Api, namespace: str, name: str) -> None:
    """The rule about names rejects no more than necessary."""
    create(api, namespace, deployment(MINIMAL, name))


def test_everything_at_once_is_accepted_and_kept(api: Api, namespace: str) -> None:
    """Every field of the API is stored unchanged."""
    assert create(api, namespace, deployment(FULL))["spec"] == FULL


@pytest.mark.parametrize(
    "spec",
    [
        {"rollout": CANARY},
        {"rollout": a_canary(*range(1, 11))},
        {"env": [{"name": f"{'A' * 120}{number}", "value": "1"} for number in range(64)]},
        {"env": [{"name": "LD_PRELOAD", "value": "libjemalloc.so.2"}], "privacy": {"profile": "Open"}},
        {"env": [{"name": "OMP_NUM_THREADS", "value": "4"}, {"name": "MALLOC_TOP_PAD_", "value": "0"}], "gpu": {}},
        {"envFrom": [{"secretRef": {"name": "a"}}], "privacy": {"profile": "Open"}},
        {"podLabels": {f"{'a.' * 100}io/{'a' * 60}{number}": "1" for number in range(32)}},
        {"podAnnotations": {f"{'a.' * 100}io/{'a' * 60}{number}": "1" for number in range(32)}},
        {"podAnnotations": {"k8s.v1.cni.cncf.io/networks": "storage"}, "privacy": {"profile": "Open"}},
        {"gpu": {"mig": {"profile": "1g.10gb+me"}, "resourceName": "nvidia.com/gpu"}},
        {"gpu": {"count": 3, "resourceClaims": CLAIMS}, "privacy": {"profile": "Open"}},
        {"gpu": {"count": 2, "memory": "16Gi"}, "models": [{"name": "digits", "gpuMemory": "6Gi"}]},
        {"gpu": {"mig": {"profile": "3g.40gb"}, "sharing": "TimeSlicing"}, "privacy": {"profile": "Open"}},
    ],
    ids=[
        "a canary",
        "as many steps of a canary as possible",
        "as many variables as possible",
        "code under the profile Open",
        "variables that the operator does not set with a GPU and without a CPU limit",
        "any names under the profile Open",
        "as many labels as possible",
        "as many annotations as possible",
        "another network under the profile Open",
        "a slice of a GPU",
        "claims of devices under the profile Open",
        "memory of models and GPUs",
        "a shared slice under the profile Open",
    ],
)
def test_fields_of_pods_are_accepted(api: Api, namespace: str, spec: dict[str, Any]) -> None:
    """The rules reject no more than necessary, and the longest list does not cost too much."""
    create(api, namespace, deployment({**MINIMAL, **spec}))


@pytest.mark.parametrize(
    ("claims", "field", "words"),
    [
        ([{"name": "gpu"}], "spec.gpu.resourceClaims[0]", "exactly one of resourceClaimName"),
        ([{"name": "gpu", "resourceClaimName": "../x"}], "spec.gpu.resourceClaims[0].resourceClaimName", "match"),
        ([CLAIMS[0], CLAIMS[0]], "spec.gpu.resourceClaims[1]", "Duplicate value"),
    ],
    ids=["of nothing", "of a path", "twice"],
)
def test_a_wrong_claim_is_refused_at_its_field(
    api: Api, namespace: str, claims: list[dict[str, Any]], field: str, words: str
) -> None:
    """Under the profile that allows claims."""
    spec = {**MINIMAL, "gpu": {"resourceClaims": claims}, "privacy": {"profile": "Open"}}
    with pytest.raises(RequestRefusedError) as refused:
        create(api, namespace, deployment(spec))
    assert list(refused.value.fields) == [field]
    assert words in refused.value.fields[field]


def test_a_deployment_with_claims_of_devices_is_stored_as_it_is_rendered(api: Api, namespace: str) -> None:
    """The operator compares what it has applied with what is stored."""
    gpu = {"count": 3, "resourceClaims": CLAIMS}
    children = render(a_deployment("digits", namespace, gpu=gpu, privacy={"profile": "Open"}), SETTINGS)
    (body,) = (each for each in children if each["kind"] == "Deployment")
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/digits"
    stored = api.apply(path, body, manager="triton-operator", dryRun="All")
    applied, pod = body["spec"]["template"]["spec"], stored["spec"]["template"]["spec"]
    assert pod["resourceClaims"] == applied["resourceClaims"]
    assert pod["containers"][0]["resources"] == applied["containers"][0]["resources"]
    assert pod["containers"][0]["resources"]["claims"] == [{"name": "gpus", "request": "gpu"}, {"name": "shared"}]


def test_with_a_cpu_limit_the_number_of_threads_is_that_of_the_operator(api: Api, namespace: str) -> None:
    """Without one, it is the user's."""
    spec = {**MINIMAL, "env": [{"name": "OMP_NUM_THREADS", "value": "4"}], "resources": {"limits": {"cpu": 2}}}
    with pytest.raises(RequestRefusedError) as refused:
        create(api, namespace, deployment(spec))
    assert "which the operator sets to the CPU limit" in refused.value.fields["spec.env"]


def test_nothing_but_replicas_is_added(api: Api, namespace: str) -> None:
    """Any other default in the schema would change running pods."""
    assert create(api, namespace, deployment(MINIMAL))["spec"] == {**MINIMAL, "replicas": 1}


@pytest.mark.parametrize(
    "place", ["replicas", "gpu", "autoscaling.metrics", "resources", "privacy", "scheduling", "lifecycle", "rollout"]
)
def test_optional_field_may_be_absent(api: Api, namespace: str, place: str) -> None:
    """Optional fields may be omitted."""
    create(api, namespace, deployment(changed(FULL, place, NOTHING)))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_is_accepted(api: Api, namespace: str, example: Path) -> None:
    """Every published example is valid."""
    create(api, namespace, yaml.safe_load(example.read_text()))


def test_replicas_beside_autoscaling_is_accepted(api: Api, namespace: str) -> None:
    """`kubectl scale` writes replicas, and no apply could remove it again: rejecting both would block updates."""
    create(api, namespace, deployment({**MINIMAL, "replicas": 3, "autoscaling": {"maxReplicas": 2}}))
