"""The parts of a rendered pod template that status and rollouts need, and whether a pod can take the place of another.

Pure. `revision` decodes summaries from ControllerRevisions.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Literal, TypeAlias

from triton_operator.api.quantity import parse_exact
from triton_operator.api.resources import Resources
from triton_operator.api.struct import Struct

QuantityKind: TypeAlias = Literal["requests", "limits"]

_ZERO = Fraction(0)
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_REQUIRED_SPREAD = "DoNotSchedule"


class ContainerSummary(Struct, frozen=True):
    """A container of a pod template; an init container with the restart policy Always runs alongside the others."""

    name: str
    image: str = ""
    resources: Resources = Resources()
    restart_policy: str = ""

    def quantity(self, resource: str, kind: QuantityKind) -> Fraction | None:
        """What the container requests (or is limited to); None if the template does not say."""
        requests, limits = self.resources.requests, self.resources.limits
        # Kubernetes uses a limit without a request as the request.
        value = limits.get(resource) if kind == "limits" else requests.get(resource, limits.get(resource))
        return None if value is None else parse_exact(str(value))


class ClaimReference(Struct, frozen=True):
    """The claim of a volume."""

    claim_name: str = ""


class VolumeSummary(Struct, frozen=True):
    """A volume of a pod template, as far as it restricts the nodes."""

    persistent_volume_claim: ClaimReference | None = None


class PodSummary(Struct, frozen=True):
    """The containers of a pod template, and the fields that restrict its nodes."""

    containers: tuple[ContainerSummary, ...] = ()
    init_containers: tuple[ContainerSummary, ...] = ()
    node_selector: Any = None
    tolerations: Any = None
    affinity: dict[str, dict[str, Any]] | None = None
    topology_spread_constraints: tuple[dict[str, Any], ...] | None = None
    runtime_class_name: Any = None
    volumes: tuple[VolumeSummary, ...] = ()
    resource_claims: Any = None

    @property
    def claims(self) -> frozenset[str]:
        """The volume claims that it mounts."""
        claims = (volume.persistent_volume_claim for volume in self.volumes)
        return frozenset(claim.claim_name for claim in claims if claim)

    def can_run_where(self, other: PodSummary) -> bool:
        """Whether the rules about nodes are those of the other pod, or tolerate more."""
        tolerated = self.tolerations or []
        return self._rules == other._rules and all(each in tolerated for each in other.tolerations or [])

    def needs_no_more_than(self, other: PodSummary, resource: str, kind: QuantityKind = "requests") -> bool:
        """Whether the room that the other pod releases is sufficient.

        A LimitRange may set values that the template leaves open. It sets the same ones for the same containers.
        """
        is_known = self._open(resource, kind) <= other._open(resource, kind)
        return is_known and self._total(resource, kind) <= other._total(resource, kind)

    def needs_more_of(self, other: PodSummary) -> tuple[str, ...]:
        """The resources of which the other pod releases less than this one needs."""
        kinds: tuple[QuantityKind, ...] = ("requests", "limits")
        more = (name for name in self._resources for kind in kinds if not self.needs_no_more_than(other, name, kind))
        return tuple(dict.fromkeys(more))

    def requests_exactly(self, resource: str, kind: QuantityKind, amount: str) -> bool:
        """Whether the amount is that of this pod; True if either is not known."""
        if not amount or self._open(resource, kind):
            return True
        return self._total(resource, kind) == parse_exact(amount)

    @property
    def _resources(self) -> tuple[str, ...]:
        found: set[str] = set()
        for container in (*self.init_containers, *self.containers):
            found |= container.resources.requests.keys() | container.resources.limits.keys()
        return tuple(sorted(found))

    @property
    def _rules(self) -> tuple[Any, ...]:
        """Without preferences, of which a newer operator may render others."""
        affinity = {kind: below[_REQUIRED] for kind, below in (self.affinity or {}).items() if below.get(_REQUIRED)}
        constraints = self.topology_spread_constraints or ()
        spread = [each for each in constraints if each.get("whenUnsatisfiable") == _REQUIRED_SPREAD]
        return self.node_selector or {}, affinity, spread, self.runtime_class_name

    def _open(self, resource: str, kind: QuantityKind) -> frozenset[str]:
        """The containers for which the template does not say it."""
        containers = (*self.init_containers, *self.containers)
        return frozenset(each.name for each in containers if each.quantity(resource, kind) is None)

    def _total(self, resource: str, kind: QuantityKind) -> Fraction:
        """As the scheduler counts: init containers run one after the other, before the others."""
        alongside, most = _ZERO, _ZERO
        for container in self.init_containers:
            own = container.quantity(resource, kind) or _ZERO
            if container.restart_policy == "Always":
                alongside += own
                most = max(most, alongside)
            else:
                most = max(most, alongside + own)
        serving = sum((each.quantity(resource, kind) or _ZERO for each in self.containers), _ZERO)
        return max(most, alongside + serving)


class TemplateSummary(Struct, frozen=True):
    """The part of a PodTemplateSpec that status and rollouts need."""

    spec: PodSummary = PodSummary()
