"""What a user needs to be allowed for each command."""

from __future__ import annotations

from typing import Any, NamedTuple

from triton_operator.api.names import GROUP, PLURAL


class Right(NamedTuple):
    """A verb on a resource, and what it is for."""

    verb: str
    group: str
    resource: str
    use: str
    needed: bool = False

    def named(self) -> str:
        """As `kubectl auth can-i` has it."""
        return f"{self.verb} {self.resource}{f'.{self.group}' if self.group else ''}"

    def attributes(self, namespace: str) -> dict[str, str]:
        """As a SelfSubjectAccessReview has it."""
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
    Right("list", GROUP, PLURAL, "status without a name, completion"),
    Right("watch", GROUP, PLURAL, "status --watch"),
    Right("create", GROUP, PLURAL, "deploy"),
    Right("patch", GROUP, PLURAL, "deploy over what is there"),
    Right("delete", GROUP, PLURAL, "removing it again"),
    Right("list", "", "pods", "status, logs, top"),
    Right("get", "", "pods/log", "logs"),
    Right("create", "", "pods/portforward", "infer, top and bench from outside the cluster"),
    Right("get", "", "services", "infer and bench from outside the cluster"),
)


def is_allowed(right: Right, reviews: list[dict[str, Any]]) -> bool:
    """Whether one of the answered reviews is of this right and allows it."""
    return any(
        right.attributes(asked.get("namespace", "")) == asked and review.get("status", {}).get("allowed") is True
        for review in reviews
        for asked in [review.get("spec", {}).get("resourceAttributes", {})]
    )
