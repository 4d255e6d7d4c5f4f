"""Facts about pods, NetworkPolicies and ConfigMaps, as evidence. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from triton_operator.api.names import child_labels, selector_labels
from triton_operator.cli.cluster.objects import is_owned
from triton_operator.cli.privacy.report import EvidenceItem
from triton_operator.cli.status.pods import container_statuses
from triton_operator.cluster.label_selector import matches
from triton_operator.cluster.policy_projection import project_policy
from triton_operator.sdk.cluster_objects import Object


def describe_images(pods: Sequence[Object]) -> Iterator[EvidenceItem]:
    """The image of each container, and the digests that run, over all pods."""
    running: dict[tuple[str, str], set[str]] = {}
    for pod in pods:
        digests = {str(each.get("name")): str(each.get("imageID") or "") for each in container_statuses(pod)}
        spec = pod.get("spec", {})
        for container in (*spec.get("initContainers", []), *spec.get("containers", [])):
            name, image = str(container.get("name", "")), str(container.get("image", ""))
            running.setdefault((name, image), set()).add(digests.get(name, ""))
    for (name, image), found in running.items():
        yield EvidenceItem(
            f"container {name}", {"image": image, "running": ", ".join(sorted(found - {""})) or "not running"}
        )


def describe_policy(policy: Object) -> EvidenceItem:
    """A NetworkPolicy with its rules, and with its owner, which shows whether it is somebody else's."""
    spec = policy.get("spec", {})
    owners = [f"{each.get('kind')} {each.get('name')}" for each in policy["metadata"].get("ownerReferences") or []]
    return EvidenceItem(
        f"NetworkPolicy {policy['metadata']['name']}",
        {
            **identity(policy),
            "owner": ", ".join(owners) or "none",
            "policyTypes": ", ".join(spec.get("policyTypes", [])),
            "ingress": compact(spec.get("ingress", [])),
            "egress": compact(spec.get("egress", [])),
        },
    )


def describe_config_map(config_map: Object, key: str, facts: Mapping[str, str]) -> EvidenceItem:
    """A ConfigMap with the digest of one of its values, and facts about that value."""
    content = str((config_map.get("data") or {}).get(key, ""))
    digest = hashlib.sha256(content.encode(errors="surrogatepass")).hexdigest()
    return EvidenceItem(
        f"ConfigMap {config_map['metadata']['name']}", {**identity(config_map), f"sha256 of {key}": digest, **facts}
    )


def policies_of_others(policies: Sequence[Object], name: str, uid: str, pods: Sequence[Object]) -> Iterator[Object]:
    """NetworkPolicies that the deployment does not own, select its pods, and allow traffic."""
    labels = [child_labels(name) | selector_labels(name), *(pod["metadata"].get("labels") or {} for pod in pods)]
    for policy in policies:
        found = project_policy(msgspec.json.encode(policy))
        opens = found.allows_ingress or found.allows_egress
        if opens and not is_owned(policy, uid) and any(matches(found.selector, each) for each in labels):
            yield policy


def identity(item: Object) -> dict[str, str]:
    """What identifies one state of an object: uid, resource version, time of creation."""
    metadata = item["metadata"]
    return {
        "uid": str(metadata.get("uid", "")),
        "resourceVersion": str(metadata.get("resourceVersion", "")),
        "created": str(metadata.get("creationTimestamp", "")),
    }


def compact(value: Any) -> str:
    """JSON on one line."""
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
