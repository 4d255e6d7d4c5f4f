"""The digest of the owned fields of a child equals that of its manifest exactly if an apply would change nothing.

Random edits by several managers change the children of a ModelDeployment on a real API server; a dry run of the apply
shows whether it would change something.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

from tests.apiserver.api_client import Api, RequestRefusedError
from tests.builders import SETTINGS, a_body
from tests.unit.resources.test_autoscaler import PASSED_THROUGH
from triton_operator.api.names import MANAGER
from triton_operator.api.spec import parse
from triton_operator.cluster.field_ownership import manifest_digest
from triton_operator.cluster.observed import KINDS, Kind
from triton_operator.cluster.projection import project_child
from triton_operator.cluster.resource_paths import CHILDREN
from triton_operator.resources.build import build_children, render_new_revision
from triton_operator.resources.deployment import build_deployment

Object = dict[str, Any]
Path = tuple[Any, ...]

EDITS = 30
"""For each child."""
VALUES: list[Any] = ["x", "", 0, 7, True, False, {}, [], "1000m", "1", "1Gi", "1024Mi", "Always"]
SPEC: Object = {
    "replicas": 2,
    "resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": {"memory": "2Gi"}},
    "service": {"annotations": {"a": "b", "empty": ""}},
    "scheduling": {"tolerations": [{"key": "gpu", "operator": "Exists"}]},
    "autoscaling": {
        "minReplicas": 2,
        "maxReplicas": 8,
        "metrics": [{"type": "CPUUtilization"}, *PASSED_THROUGH],
        "behavior": {
            "scaleUp": {"stabilizationWindowSeconds": 0, "tolerance": "0.050"},
            "scaleDown": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}], "selectPolicy": "Min"},
        },
    },
    "env": [
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "requests.cpu"}}},
        {"name": "EMPTY"},
    ],
    "imagePullPolicy": "Always",
    "serviceAccount": {"annotations": {"a": "b"}},
    "dnsConfig": {"searches": ["example.com"], "options": [{"name": "edns0"}, {"name": "ndots", "value": "2"}]},
    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a", "b"]}, {"ip": "10.0.0.2", "hostnames": ["c"]}],
    "podTemplate": {
        "metadata": {"labels": {"owner": "a"}},
        "spec": {
            "securityContext": {"fsGroup": 2000, "supplementalGroups": [1, 2]},
            "tolerations": [{"key": "gpu", "operator": "Exists"}, {"key": "team", "operator": "Exists"}],
            "readinessGates": [{"conditionType": "example.com/gate"}],
            "schedulingGates": [],
            "resourceClaims": [],
            "dnsPolicy": "",
            "volumes": [
                {"name": "words", "configMap": {"name": "words"}},
                {"name": "pod", "downwardAPI": {"items": [{"path": "a", "fieldRef": {"fieldPath": "metadata.name"}}]}},
            ],
            "initContainers": [{"name": "logs", "image": "example.org/logs:1", "restartPolicy": "Always"}],
            "containers": [
                {"name": "triton", "volumeMounts": [{"name": "words", "mountPath": "/mnt/words", "readOnly": True}]},
                {
                    "name": "exporter",
                    "image": "example.org/exporter:1",
                    "args": ["--port=9100"],
                    "imagePullPolicy": "",
                    "terminationMessagePath": "",
                    "ports": [{"containerPort": 9100, "protocol": ""}],
                    "env": [
                        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name", "apiVersion": ""}}},
                        {"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": 1}}},
                        {
                            "name": "B",
                            "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1000m"}},
                        },
                    ],
                    "resources": {"limits": {"memory": "1024Mi", "cpu": 0.5}, "claims": []},
                    "readinessProbe": {"httpGet": {"port": 9100, "scheme": "", "path": ""}, "periodSeconds": 0},
                    "volumeMounts": [{"name": "words", "mountPath": "/words"}],
                },
            ],
        },
    },
    "podLabels": {"team": "vision", "empty": ""},
    "podAnnotations": {"team": "vision", "empty": ""},
    "envFrom": [{"prefix": "A_", "secretRef": {"name": "a", "optional": False}}],
}


def test_the_digests_are_equal_exactly_if_an_apply_changes_nothing(api: Api, namespace: str) -> None:
    chance = random.Random(0)
    wrong: list[str] = []
    outcomes: set[bool] = set()
    for manifest in _manifests(namespace):
        path = CHILDREN[KINDS[manifest["kind"]]].path(namespace, manifest["metadata"]["name"])
        api.apply(path, manifest, MANAGER)
        for _ in range(EDITS):
            edit = _edit(api, path, manifest, chance)
            live = api.get(path)
            kind = KINDS[manifest["kind"]]
            owned = project_child(kind, json.dumps(live).encode(), with_owned=True).owned
            is_recognized = owned == manifest_digest(manifest)
            would_change = _would_change(api, path, manifest, live)
            outcomes.add(would_change)
            if is_recognized == would_change:
                wrong.append(f"{manifest['kind']} after {edit}: recognized {is_recognized}, changes {would_change}")
            if chance.random() < 1 / 2:
                api.delete(path)
                api.apply(path, manifest, MANAGER)
    assert wrong == []
    assert outcomes == {True, False}


def test_every_strategy_of_a_rollout_can_follow_every_other_one(api: Api, namespace: str) -> None:
    """Kubernetes rejects maxSurge next to Recreate, so an apply must remove it."""
    path = CHILDREN[Kind.DEPLOYMENT].path(namespace, "digits")
    rolling = {"strategy": "RollingUpdate", "maxSurge": "25%", "maxUnavailable": "50%"}
    for rollout in ({}, {"strategy": "Recreate"}, rolling, {"strategy": "Recreate"}, {"paused": True}):
        deployment = parse(a_body(namespace=namespace, rollout=rollout))
        manifest = build_deployment(deployment, render_new_revision(deployment, SETTINGS), 1)
        live = api.apply(path, manifest, MANAGER)
        child = project_child(Kind.DEPLOYMENT, json.dumps(live).encode(), with_owned=True)
        assert child.owned == manifest_digest(manifest)
        assert {name: value for name, value in live["spec"]["strategy"].items() if value} == manifest["spec"][
            "strategy"
        ]


def _manifests(namespace: str) -> list[Object]:
    """Every child of a deployment that sets many fields."""
    deployment = parse(a_body(namespace=namespace, **SPEC))
    return build_children(deployment, render_new_revision(deployment, SETTINGS), number=1, replicas=2)


def _edit(api: Api, path: str, manifest: Object, chance: random.Random) -> str:
    """Change the object by an update, or by an apply of the changed manifest; returns a description."""
    manager = chance.choice(["", "", "other", MANAGER])
    body = copy.deepcopy(manifest) if manager else api.get(path)
    if manager == "other":
        del body["metadata"]["ownerReferences"]
    what = f"{manager or 'update'}: {_change_somewhere(body, chance)}"
    try:
        if manager:
            api.apply(path, body, manager)
        else:
            api.put(path, body, fieldManager="kubectl-edit")
    except RequestRefusedError:
        return f"rejected {what}"
    return what


def _change_somewhere(body: Object, chance: random.Random) -> str:
    """Set, remove, extend or reverse a random part of an object."""
    *parents, last = chance.choice([place for place in _places(body) if _is_editable(place)])
    parent: Any = body
    for key in parents:
        parent = parent[key]
    old = parent[last]
    how = chance.choice(["set", "set", "remove", "extend"])
    if how == "remove":
        del parent[last]
    elif how == "extend" and isinstance(old, list):
        parent[last] = [*old[::-1], chance.choice([*VALUES, *old])][: chance.choice([len(old), len(old) + 1])]
    elif how == "extend" and isinstance(old, dict):
        parent[last] = {**old, "added": chance.choice(VALUES)}
    else:
        parent[last] = chance.choice(VALUES)
    return f"{how} {'.'.join(map(str, (*parents, last)))}"


def _places(value: Any, at: Path = ()) -> Iterator[Path]:
    if at:
        yield at
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in below:
        yield from _places(member, (*at, key))


def _is_editable(place: Path) -> bool:
    if place[0] == "metadata":
        return place[1:2] in {("labels",), ("annotations",), ("ownerReferences",)}
    return place[0] not in {"apiVersion", "kind", "status"}


def _would_change(api: Api, path: str, manifest: Object, live: Object) -> bool:
    try:
        return _comparable(api.apply(path, manifest, MANAGER, dryRun="All")) != _comparable(live)
    except RequestRefusedError:  # for example with a second controller among the owners
        return True


def _comparable(body: Object) -> Object:
    """Without fields that a dry run need not report."""
    metadata = {key: value for key, value in body["metadata"].items() if key not in {"resourceVersion", "generation"}}
    entries = [{key: value for key, value in entry.items() if key != "time"} for entry in metadata["managedFields"]]
    return {**body, "metadata": {**metadata, "managedFields": sorted(entries, key=json.dumps)}}
