"""Templates for `spec.podTemplate`, good and bad ones, and a judgement of pods by other code than the operator's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

Pod = dict[str, Any]

SIDECAR: Pod = {"name": "shipper", "image": "example.org/shipper:1"}

POD: Pod = {
    "volumes": [
        {"name": "words", "configMap": {"name": "words"}},
        {"name": "buffer", "emptyDir": {"sizeLimit": "1Gi"}},
    ],
    "initContainers": [
        {"name": "warm", "image": "example.org/warm:1", "command": ["warm"]},
        {**SIDECAR, "name": "logs", "restartPolicy": "Always", "volumeMounts": [{"name": "buffer", "mountPath": "/a"}]},
    ],
    "containers": [
        {
            "name": "exporter",
            "image": "example.org/exporter:1",
            "args": ["--port=9100"],
            "ports": [{"name": "stats", "containerPort": 9100}],
            "readinessProbe": {"httpGet": {"path": "/", "port": 9100}},
            "resources": {"requests": {"cpu": "10m"}, "limits": {"memory": "32Mi"}},
            "env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        },
        {"name": "triton", "volumeMounts": [{"name": "words", "mountPath": "/mnt/words", "readOnly": True}]},
    ],
}
"""A template with most of what users add."""

GOOD: dict[str, Pod] = {
    "containers and volumes": {**POD, "containers": POD["containers"][:1]},
    "a volume in Triton": {"volumes": POD["volumes"][:1], "containers": POD["containers"][1:]},
    "a writable root": {"containers": [{**SIDECAR, "securityContext": {"readOnlyRootFilesystem": False}}]},
    "another user": {"containers": [{**SIDECAR, "securityContext": {"runAsUser": 1234, "runAsGroup": 0}}]},
    "the same security context": {
        "containers": [
            {
                **SIDECAR,
                "securityContext": {
                    "privileged": False,
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "runAsNonRoot": True,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
            }
        ]
    },
    "what is false anyway": {
        "hostNetwork": False,
        "hostPID": False,
        "hostIPC": False,
        "shareProcessNamespace": False,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
    },
    "groups and safe sysctls": {
        "securityContext": {
            "fsGroup": 2000,
            "supplementalGroups": [3000],
            "sysctls": [{"name": "net.ipv4.tcp_keepalive_time", "value": "60"}],
        }
    },
    "user namespaces": {"hostUsers": False},
    "runtime and scheduling": {
        "runtimeClassName": "gvisor",
        "priorityClassName": "serving",
        "schedulerName": "volcano",
        "nodeSelector": {"disk": "ssd", "fieldRef": "a"},
        "tolerations": [{"key": "team", "operator": "Exists"}],
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
        "schedulingGates": [{"name": "example.com/quota"}],
    },
    "names": {"dnsPolicy": "Default", "hostname": "digits", "subdomain": "digits-headless"},
    "a variable of Triton": {"containers": [{"name": "triton", "env": [{"name": "TZ", "value": "Asia/Shanghai"}]}]},
    "gates": {"readinessGates": [{"conditionType": "target-health.elbv2.k8s.aws/digits"}]},
    "huge pages": {"containers": [{"name": "triton", "resources": {"limits": {"hugepages-2Mi": "64Mi"}}}]},
    "half a CPU": {"containers": [{**SIDECAR, "resources": {"requests": {"cpu": 0.5}, "limits": {"cpu": 1}}}]},
    "when images are pulled": {
        "initContainers": [{"name": "prepare", "imagePullPolicy": "Always"}],
        "containers": [{"name": "triton", "imagePullPolicy": "IfNotPresent"}],
    },
    "volumes that only read": {
        "volumes": [
            {"name": "claim", "persistentVolumeClaim": {"claimName": "data", "readOnly": True}},
            {"name": "secret", "secret": {"secretName": "mine"}},
            {"name": "image", "image": {"reference": "example.org/data:1"}},
            {"name": "pod", "downwardAPI": {"items": []}},
            {"name": "all", "projected": {"sources": [{"configMap": {"name": "a"}}, {"secret": {"name": "mine"}}]}},
        ]
    },
}


def _sidecar(**fields: Any) -> Pod:
    return {"containers": [{**SIDECAR, **fields}]}


def _security(**fields: Any) -> Pod:
    return _sidecar(securityContext=fields)


def _triton(**fields: Any) -> Pod:
    return {"containers": [{"name": "triton", **fields}]}


def _volume(**source: Any) -> Pod:
    return {"volumes": [{"name": "extra", **source}]}


def _mounted_in_triton(path: str, **fields: Any) -> Pod:
    mount = {"name": "extra", "mountPath": path, **fields}
    return {**_volume(emptyDir={"sizeLimit": "1Gi"}), **_triton(volumeMounts=[mount])}


_OF_SIDECAR, _OF_TRITON, _OF_VOLUME = "spec.containers[0]", "spec.containers[0]", "spec.volumes[0]"
_PROBE = {"httpGet": {"port": 80, "host": "169.254.169.254"}}

BAD: dict[str, tuple[str, Pod]] = {
    **{
        f"{name} is true": (f"spec.{name}", {name: True})
        for name in (
            "hostNetwork",
            "hostPID",
            "hostIPC",
            "shareProcessNamespace",
            "automountServiceAccountToken",
            "enableServiceLinks",
        )
    },
    "another account": ("spec.serviceAccountName", {"serviceAccountName": "admin"}),
    "the old field of accounts": ("spec.serviceAccount", {"serviceAccount": "admin"}),
    "name servers": ("spec.dnsConfig", {"dnsConfig": {"nameservers": ["8.8.8.8"]}}),
    "a node": ("spec.nodeName", {"nodeName": "node-1"}),
    "an ephemeral container": ("spec.ephemeralContainers", {"ephemeralContainers": [SIDECAR]}),
    "a shorter termination": ("spec.terminationGracePeriodSeconds", {"terminationGracePeriodSeconds": 1}),
    "a field of another release": ("spec.hostFutures", {"hostFutures": True}),
    "a text instead of a list": ("spec.containers", {"containers": "shipper"}),
    "a text instead of a container": ("spec.containers[0]", {"containers": ["shipper"]}),
    "a pod that runs as root": ("spec.securityContext.runAsUser", {"securityContext": {"runAsUser": 0}}),
    "a pod that may run as root": ("spec.securityContext.runAsNonRoot", {"securityContext": {"runAsNonRoot": False}}),
    "a pod without seccomp": (
        "spec.securityContext.seccompProfile.type",
        {"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
    ),
    "a sysctl of the node": (
        "spec.securityContext.sysctls[0].name",
        {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}},
    ),
    "a SELinux type": (
        "spec.securityContext.seLinuxOptions",
        {"securityContext": {"seLinuxOptions": {"type": "spc_t"}}},
    ),
    "Windows": ("spec.securityContext.windowsOptions", {"securityContext": {"windowsOptions": {"hostProcess": True}}}),
    "privileged": (f"{_OF_SIDECAR}.securityContext.privileged", _security(privileged=True)),
    "privilege escalation": (
        f"{_OF_SIDECAR}.securityContext.allowPrivilegeEscalation",
        _security(allowPrivilegeEscalation=True),
    ),
    "a capability": (f"{_OF_SIDECAR}.securityContext.capabilities.add", _security(capabilities={"add": ["NET_RAW"]})),
    "kept capabilities": (f"{_OF_SIDECAR}.securityContext.capabilities.drop", _security(capabilities={"drop": []})),
    "root": (f"{_OF_SIDECAR}.securityContext.runAsUser", _security(runAsUser=0)),
    "the proxy's user": (f"{_OF_SIDECAR}.securityContext.runAsUser", _security(runAsUser=65532)),
    "perhaps root": (f"{_OF_SIDECAR}.securityContext.runAsNonRoot", _security(runAsNonRoot=False)),
    "all of /proc": (f"{_OF_SIDECAR}.securityContext.procMount", _security(procMount="Unmasked")),
    "no AppArmor": (
        f"{_OF_SIDECAR}.securityContext.appArmorProfile.type",
        _security(appArmorProfile={"type": "Unconfined"}),
    ),
    "a container without an image": ("spec.containers[0].image", {"containers": [{"name": "shipper"}]}),
    "a port of the node": (f"{_OF_SIDECAR}.ports[0].hostPort", _sidecar(ports=[{"containerPort": 80, "hostPort": 80}])),
    "the port of the proxy": (f"{_OF_SIDECAR}.ports[0].containerPort", _sidecar(ports=[{"containerPort": 8443}])),
    "the name of the proxy's port": (
        f"{_OF_SIDECAR}.ports[0].name",
        _sidecar(ports=[{"containerPort": 9999, "name": "https"}]),
    ),
    "a probe of another host": (f"{_OF_SIDECAR}.livenessProbe.httpGet.host", _sidecar(livenessProbe=_PROBE)),
    "a hook to another host": (
        f"{_OF_SIDECAR}.lifecycle.preStop.tcpSocket.host",
        _sidecar(lifecycle={"preStop": {"tcpSocket": {"port": 80, "host": "10.0.0.1"}}}),
    ),
    "a raw device": (f"{_OF_SIDECAR}.volumeDevices", _sidecar(volumeDevices=[{"name": "a", "devicePath": "/dev/a"}])),
    "a terminal": (f"{_OF_SIDECAR}.tty", _sidecar(tty=True)),
    "a volume that does not exist": (
        f"{_OF_SIDECAR}.volumeMounts[0].name",
        _sidecar(volumeMounts=[{"name": "nothing", "mountPath": "/a"}]),
    ),
    "mounts of the node": (
        f"{_OF_SIDECAR}.volumeMounts[0].mountPropagation",
        {
            **_volume(emptyDir={"sizeLimit": "1Gi"}),
            **_sidecar(volumeMounts=[{"name": "extra", "mountPath": "/a", "mountPropagation": "Bidirectional"}]),
        },
    ),
    "a variable from a volume of the operator": (
        f"{_OF_SIDECAR}.env[0].valueFrom.fileKeyRef.volumeName",
        _sidecar(env=[{"name": "A", "valueFrom": {"fileKeyRef": {"volumeName": "tmp", "path": "a", "key": "A"}}}]),
    ),
    "a name that is used twice": ("spec.containers", {"containers": [SIDECAR, SIDECAR]}),
    "the name of an init container": ("spec.containers[0].name", {"containers": [{**SIDECAR, "name": "prepare"}]}),
    "the name of Triton": ("spec.initContainers[0].name", {"initContainers": [{**SIDECAR, "name": "triton"}]}),
    "a directive of patches": (f"{_OF_TRITON}.$patch", {"containers": [{"name": "triton", "$patch": "delete"}]}),
    "another image": (f"{_OF_TRITON}.image", _triton(image="example.org/evil:1")),
    "other arguments": (f"{_OF_TRITON}.args", _triton(args=["sh"])),
    "a library in Triton": (f"{_OF_TRITON}.env[0].name", _triton(env=[{"name": "LD_PRELOAD", "value": "/mnt/a.so"}])),
    "devices of others": (
        f"{_OF_TRITON}.env[0].name",
        _triton(env=[{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]),
    ),
    "all keys of a Secret": (f"{_OF_TRITON}.envFrom", _triton(envFrom=[{"secretRef": {"name": "a"}}])),
    "another command": (f"{_OF_TRITON}.command", _triton(command=["sh"])),
    "other ports": (f"{_OF_TRITON}.ports", _triton(ports=[{"containerPort": 9000}])),
    "another probe": (f"{_OF_TRITON}.readinessProbe", _triton(readinessProbe={"exec": {"command": ["true"]}})),
    "another lifecycle": (f"{_OF_TRITON}.lifecycle", _triton(lifecycle={})),
    "another security context": (f"{_OF_TRITON}.securityContext", _triton(securityContext={"runAsUser": 1})),
    "another memory limit": (f"{_OF_TRITON}.resources.limits.memory", _triton(resources={"limits": {"memory": "1Gi"}})),
    "a GPU": (f"{_OF_TRITON}.resources.limits.nvidia.com/gpu", _triton(resources={"limits": {"nvidia.com/gpu": 1}})),
    "a program of Triton": (
        f"{_OF_TRITON}.volumeMounts[0].mountPath",
        _mounted_in_triton("/opt/tritonserver/backends"),
    ),
    "a program by a detour": (f"{_OF_TRITON}.volumeMounts[0].mountPath", _mounted_in_triton("/mnt/../usr/lib")),
    "another image of prepare": (
        "spec.initContainers[0].image",
        {"initContainers": [{"name": "prepare", "image": "example.org/evil:1"}]},
    ),
    "variables of prepare": (
        "spec.initContainers[0].env",
        {"initContainers": [{"name": "prepare", "env": [{"name": "PYTHONPATH", "value": "/mnt"}]}]},
    ),
    "variables of the proxy": (
        "spec.initContainers[0].env",
        {"initContainers": [{"name": "proxy", "env": [{"name": "LD_PRELOAD", "value": "/mnt/a.so"}]}]},
    ),
    "a volume in the proxy": (
        "spec.initContainers[0].volumeMounts",
        {"initContainers": [{"name": "proxy", "volumeMounts": [{"name": "tmp", "mountPath": "/a"}]}]},
    ),
    "an init container that restarts": (
        "spec.initContainers[0].restartPolicy",
        {"initContainers": [{**SIDECAR, "restartPolicy": "Never"}]},
    ),
    "files of the node": (f"{_OF_VOLUME}.hostPath", _volume(hostPath={"path": "/"})),
    "a file server": (f"{_OF_VOLUME}.nfs", _volume(nfs={"server": "evil.example.com", "path": "/"})),
    "a type of another release": (f"{_OF_VOLUME}.futures", _volume(futures={})),
    "the serving certificates": (
        f"{_OF_VOLUME}.secret.secretName",
        _volume(secret={"secretName": "triton-operator-serving"}),
    ),
    "a token": (
        f"{_OF_VOLUME}.projected.sources[0].serviceAccountToken",
        _volume(projected={"sources": [{"serviceAccountToken": {"path": "token"}}]}),
    ),
    "a certificate of the pod": (
        f"{_OF_VOLUME}.projected.sources[0].podCertificate",
        _volume(projected={"sources": [{"podCertificate": {}}]}),
    ),
    "a function of bash": (f"{_OF_TRITON}.env[0].name", _triton(env=[{"name": "BASH_FUNC_exec%%", "value": "a"}])),
    "a network device": (f"{_OF_TRITON}.resources.limits.rdma/hca", _triton(resources={"limits": {"rdma/hca": 1}})),
    "a network device in a sidecar": (
        f"{_OF_SIDECAR}.resources.limits.rdma/hca",
        _sidecar(resources={"limits": {"rdma/hca": 1}}),
    ),
    "a claimed device": (
        "spec.resourceClaims",
        {"resourceClaims": [{"name": "nic", "resourceClaimTemplateName": "nic"}]},
    ),
    "a claimed device in a sidecar": (
        f"{_OF_SIDECAR}.resources.claims",
        _sidecar(resources={"claims": [{"name": "a"}]}),
    ),
    "devices of others in a sidecar": (
        f"{_OF_SIDECAR}.env[0].name",
        _sidecar(env=[{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]),
    ),
    "variables that nobody sees": (
        f"{_OF_SIDECAR}.envFrom[0].prefix",
        _sidecar(envFrom=[{"prefix": "NVIDIA_", "configMapRef": {"name": "a"}}]),
    ),
    "not a quantity": (f"{_OF_SIDECAR}.resources.limits.cpu", _sidecar(resources={"limits": {"cpu": "garbage"}})),
    "an Arabic number": (f"{_OF_SIDECAR}.resources.limits.cpu", _sidecar(resources={"limits": {"cpu": "\u0663"}})),
    "less than nothing": (f"{_OF_SIDECAR}.resources.limits.cpu", _sidecar(resources={"limits": {"cpu": -1}})),
    "a volume without a limit": (f"{_OF_VOLUME}.emptyDir.sizeLimit", _volume(emptyDir={"medium": "Memory"})),
    "a limit that is no quantity": (f"{_OF_VOLUME}.emptyDir.sizeLimit", _volume(emptyDir={"sizeLimit": "much"})),
    "a volume without a source": (_OF_VOLUME, _volume()),
    "a volume with two sources": (_OF_VOLUME, _volume(emptyDir={"sizeLimit": 1}, configMap={"name": "a"})),
    "a signal": (f"{_OF_SIDECAR}.lifecycle.stopSignal", _sidecar(lifecycle={"stopSignal": "SIGUSR1"})),
    "a port that is used twice": (
        f"{_OF_SIDECAR}.ports",
        _sidecar(ports=[{"containerPort": 9100, "name": "a"}, {"containerPort": 9100, "name": "b", "protocol": "TCP"}]),
    ),
    "privileged ports for everybody": (
        "spec.securityContext.sysctls[0].name",
        {"securityContext": {"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]}},
    ),
    "a claim without a name": ("spec.resourceClaims[0]", {"resourceClaims": [{}]}),
    "a gate without a name": ("spec.schedulingGates[0]", {"schedulingGates": [{}]}),
    "a readiness gate without a type": ("spec.readinessGates[0]", {"readinessGates": [{}]}),
    "an object as a type": (
        "spec.readinessGates[0].conditionType",
        {"readinessGates": [{"conditionType": {"a": 1}}]},
    ),
    "a list of containers in a command": (
        f"{_OF_SIDECAR}.startupProbe.exec.env",
        _sidecar(startupProbe={"exec": {"command": ["x"], "env": [1]}}),
    ),
    "volumes in a hook": (
        f"{_OF_SIDECAR}.lifecycle.preStop.exec.volumes",
        _sidecar(lifecycle={"preStop": {"exec": {"volumes": ["a"]}}}),
    ),
    "containers in a probe": (
        f"{_OF_SIDECAR}.startupProbe.grpc.containers",
        _sidecar(startupProbe={"grpc": {"port": 1, "containers": [{}]}}),
    ),
    "a volume of the operator": (
        "spec.volumes[0].name",
        {"volumes": [{"name": "models", "emptyDir": {"sizeLimit": "1Gi"}}]},
    ),
}
"""The path of the problem, and the template."""


def template(pod: Pod, metadata: Pod | None = None) -> Pod:
    """`spec.podTemplate` with these fields of the pod."""
    return {"metadata": metadata or {}, "spec": pod}


def combined(pods: Sequence[Pod]) -> Pod:
    """One template with the fields of all; of entries with the same name, the last counts."""
    result: Pod = {}
    for pod in pods:
        for field, value in pod.items():
            if field in {"containers", "initContainers", "volumes"}:
                entries = {entry["name"]: entry for entry in [*result.get(field, []), *value]}
                result[field] = list(entries.values())
            else:
                result[field] = value
    return result


def weaknesses(merged: Pod, rendered: Pod) -> list[str]:
    """How the merged pod is weaker than the rendered one, by the Pod Security level `restricted` and the design."""
    return [*_of_pod(merged, rendered), *_of_containers(merged["spec"], rendered["spec"])]


def _of_pod(merged: Pod, rendered: Pod) -> Iterator[str]:
    new, old = merged["spec"], rendered["spec"]
    for field in (
        "hostNetwork",
        "hostPID",
        "hostIPC",
        "shareProcessNamespace",
        "automountServiceAccountToken",
        "enableServiceLinks",
        "serviceAccountName",
        "terminationGracePeriodSeconds",
    ):
        if new[field] != old[field]:
            yield field
    if not (new["securityContext"]["runAsNonRoot"] and new["securityContext"]["runAsUser"]):
        yield "root"
    if new["securityContext"]["seccompProfile"] != {"type": "RuntimeDefault"}:
        yield "seccomp"
    if not rendered["metadata"]["labels"].items() <= merged["metadata"]["labels"].items():
        yield "labels"
    if new["volumes"][: len(old["volumes"])] != old["volumes"]:
        yield "volumes of the operator"
    for volume in new["volumes"]:
        if {"hostPath", "nfs", "csi", "ephemeral"} & volume.keys():
            yield f"volume {volume['name']}"


def _of_containers(new: Pod, old: Pod) -> Iterator[str]:
    own = {each["name"]: each for each in [*old["initContainers"], *old["containers"]]}
    volumes = {volume["name"] for volume in old["volumes"]}
    for container in [*new["initContainers"], *new["containers"]]:
        name, security = container["name"], container["securityContext"]
        if security["privileged"] or security["allowPrivilegeEscalation"]:
            yield f"{name}: privileges"
        if security["capabilities"].get("add") or security["capabilities"]["drop"] != ["ALL"]:
            yield f"{name}: capabilities"
        if security.get("runAsUser") == 0 or security.get("runAsNonRoot") is False:
            yield f"{name}: root"
        if any("hostPort" in port for port in container.get("ports", ())):
            yield f"{name}: a port of the node"
        if name in own:
            free = {"env", "imagePullPolicy", "volumeMounts", "resources"}
            if {key: container[key] for key in container.keys() - free} != {
                key: own[name][key] for key in own[name].keys() - free
            }:
                yield f"{name}: changed"
            if not {str(mount) for mount in own[name]["volumeMounts"]} <= {
                str(mount) for mount in container["volumeMounts"]
            }:
                yield f"{name}: mounts"
        elif any(mount["name"] in volumes for mount in container.get("volumeMounts", ())):
            yield f"{name}: a volume of the operator"
