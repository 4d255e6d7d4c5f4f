"""The permissions that the commands need."""

from __future__ import annotations

from typing import Any, NamedTuple

from triton_operator.api.names import GROUP, PLURAL


class Permission(NamedTuple):
    """A verb on a resource, and the commands that use it; `required` if tritonctl cannot work without it."""

    verb: str
    group: str
    resource: str
    use: str
    required: bool = False

    def shown(self) -> str:
        """Return the permission in the notation of `kubectl auth can-i`."""
        return f"{self.verb} {self.resource}{f'.{self.group}' if self.group else ''}"

    def attributes(self, namespace: str) -> dict[str, str]:
        """Return the resource attributes of a SelfSubjectAccessReview."""
        resource, _, subresource = self.resource.partition("/")
        return {
            "namespace": namespace,
            "verb": self.verb,
            "group": self.group,
            "resource": resource,
            "subresource": subresource,
        }


PERMISSIONS = (
    Permission("get", GROUP, PLURAL, "status", required=True),
    Permission("list", GROUP, PLURAL, "status without a name, shell completion"),
    Permission("watch", GROUP, PLURAL, "status --watch"),
    Permission("create", GROUP, PLURAL, "deploy"),
    Permission("patch", GROUP, PLURAL, "deploy to an existing ModelDeployment"),
    Permission("delete", GROUP, PLURAL, "kubectl delete"),
    Permission("list", "", "pods", "status, logs, top"),
    Permission("get", "", "pods/log", "logs"),
    Permission("create", "", "pods/portforward", "infer, top and bench from outside the cluster"),
    Permission("get", "", "services", "infer and bench from outside the cluster"),
)


def is_allowed(permission: Permission, reviews: list[dict[str, Any]]) -> bool:
    """Whether one of the reviews is about this permission and allows it."""
    return any(
        permission.attributes(attributes.get("namespace", "")) == attributes
        and review.get("status", {}).get("allowed") is True
        for review in reviews
        for attributes in [review.get("spec", {}).get("resourceAttributes", {})]
    )
