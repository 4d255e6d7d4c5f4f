"""The permissions that the commands need."""

from __future__ import annotations

from typing import Any, NamedTuple

from triton_operator.api.names import GROUP, PLURAL


class Right(NamedTuple):
    """A verb on a resource, and the commands that need it."""

    verb: str
    group: str
    resource: str
    use: str
    needed: bool = False

    def named(self) -> str:
        """In the notation of `kubectl auth can-i`."""
        return f"{self.verb} {self.resource}{f'.{self.group}' if self.group else ''}"

    def attributes(self, namespace: str) -> dict[str, str]:
        """In the form of a SelfSubjectAccessReview."""
        resource, _, subresource = self.resource.partition("/")
        return {
            "namespace": namespace,
            "verb": self.verb,
            "group": self.group,
            "resource": resource,
            "subresource": subresource,
        }


RIGHTS = (
    Right("get", GROUP, PLURAL, "status", needed=True),
    Right("list", GROUP, PLURAL, "status without a name, shell completion"),
    Right("watch", GROUP, PLURAL, "status --watch"),
    Right("create", GROUP, PLURAL, "deploy"),
    Right("patch", GROUP, PLURAL, "deploy to an existing ModelDeployment"),
    Right("delete", GROUP, PLURAL, "kubectl delete"),
    Right("list", "", "pods", "status, logs, top"),
    Right("get", "", "pods/log", "logs"),
    Right("create", "", "pods/portforward", "infer, top and bench from outside the cluster"),
    Right("get", "", "services", "infer and bench from outside the cluster"),
)


def is_allowed(right: Right, reviews: list[dict[str, Any]]) -> bool:
    """Whether one of the reviews is about this permission and allows it."""
    return any(
        right.attributes(attributes.get("namespace", "")) == attributes
        and review.get("status", {}).get("allowed") is True
        for review in reviews
        for attributes in [review.get("spec", {}).get("resourceAttributes", {})]
    )
