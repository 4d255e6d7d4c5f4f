"""Build the object to PUT: the operator's content, with other managers' labels and values that the server assigned.

Server-side apply does not change fields that it does not set, so an added container or `externalIPs` survive it; only
an update removes them. But fields that an update changes belong to the operator's `Update` entry in managedFields, and
a later apply that omits such a field would not remove it. So an update here also rewrites managedFields: other managers
lose the content (not their labels), and `without_update_entries` removes that entry once an apply owns everything. Pure
functions over JSON objects; `HttpCluster.replace` uses them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from triton_operator.api.names import MANAGER, SCALE_MANAGER

Object = dict[str, Any]

_CONTENT = ("f:spec", "f:data", "f:binaryData")
_SERVICE_ASSIGNED = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")
_LOAD_BALANCER_ASSIGNED = ("healthCheckNodePort", "loadBalancerClass")


def replacement(live: Object, manifest: Object) -> Object:
    """The object to PUT over `live`: the manifest's content, with assigned fields and others' metadata of `live`."""
    owned = _owned_fields(live)
    body = {**manifest, "metadata": _metadata(live["metadata"], manifest["metadata"], owned)}
    if manifest["kind"] == "Service":
        body["spec"] = _service_spec(live["spec"], manifest["spec"])
    if manifest["kind"] == "Deployment":
        body["spec"] = _deployment_spec(live["spec"], manifest["spec"], owned.get("f:spec", {}))
    return body


def has_update_entries(stored: Object) -> bool:
    """Whether an update of the operator owns any field, which later applies could not remove."""
    return any(map(_is_our_update, stored["metadata"].get("managedFields", ())))


def without_update_entries(stored: Object) -> Object:
    """The same object without the operator's update entry in managedFields."""
    kept = [entry for entry in stored["metadata"].get("managedFields", ()) if not _is_our_update(entry)]
    return {**stored, "metadata": {**stored["metadata"], "managedFields": kept}}


def _is_our_update(entry: Object) -> bool:
    return entry.get("manager") == MANAGER and entry.get("operation") == "Update" and not entry.get("subresource")


def _owned_fields(live: Object) -> Object:
    """The `fieldsV1` of the operator's applies."""
    for entry in live["metadata"].get("managedFields", ()):
        if entry.get("manager") == MANAGER and entry.get("operation") == "Apply" and not entry.get("subresource"):
            return dict(entry.get("fieldsV1", {}))
    return {}


def _metadata(live: Object, desired: Object, owned: Object) -> Object:
    owners = desired.get("ownerReferences", [])
    uids = {owner["uid"] for owner in owners}
    return {
        **_labelled(live, desired, owned.get("f:metadata", {})),
        "ownerReferences": [*owners, *(owner for owner in live.get("ownerReferences", ()) if owner["uid"] not in uids)],
        "managedFields": _disowned(live.get("managedFields", ())),
    }


def _labelled(live: Object, desired: Object, owned: Object) -> Object:
    """`live` metadata with the desired labels and annotations, and those that we never applied."""
    merged = dict(live)
    for field in ("labels", "annotations"):
        own = owned.get(f"f:{field}", {})
        others = {key: value for key, value in live.get(field, {}).items() if f"f:{key}" not in own}
        merged[field] = {**others, **desired.get(field, {})}
    return merged


def _disowned(entries: Iterable[Object]) -> list[Object]:
    """The entries of managedFields; those of other managers no longer own content, except through a subresource."""
    kept = []
    for entry in entries:
        if entry.get("manager") in {MANAGER, SCALE_MANAGER} or entry.get("subresource"):
            kept.append(entry)
        elif fields := _without_content(entry.get("fieldsV1", {})):
            kept.append({**entry, "fieldsV1": fields})
    return kept


def _without_content(fields: Object) -> Object:
    """A `fieldsV1` without content; others keep the pod template's metadata and a Deployment's replicas."""
    kept = {key: value for key, value in fields.items() if key not in _CONTENT}
    spec = fields.get("f:spec", {})
    shared = {"f:replicas": spec["f:replicas"]} if "f:replicas" in spec else {}
    if metadata := spec.get("f:template", {}).get("f:metadata"):
        shared["f:template"] = {"f:metadata": metadata}
    return {**kept, "f:spec": shared} if shared else kept


def _deployment_spec(live: Object, desired: Object, owned: Object) -> Object:
    template = desired["template"]
    metadata = _labelled(
        live["template"].get("metadata", {}),
        template.get("metadata", {}),
        owned.get("f:template", {}).get("f:metadata", {}),
    )
    return {"replicas": live.get("replicas", 1), **desired, "template": {**template, "metadata": metadata}}


def _service_spec(live: Object, desired: Object) -> Object:
    spec = {field: live[field] for field in _SERVICE_ASSIGNED if field in live} | desired
    if desired.get("type") in {"NodePort", "LoadBalancer"}:
        assigned = {port["port"]: port["nodePort"] for port in live.get("ports", ()) if "nodePort" in port}
        spec["ports"] = [
            {"nodePort": assigned[port["port"]], **port} if port["port"] in assigned else port
            for port in desired.get("ports", ())
        ]
    if desired.get("type") == "LoadBalancer":
        spec = {field: live[field] for field in _LOAD_BALANCER_ASSIGNED if field in live} | spec
    return spec
