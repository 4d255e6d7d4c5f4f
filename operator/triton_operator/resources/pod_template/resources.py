"""Resources of containers in `spec.podTemplate`: quantities, and the devices that a container may get.

Pure. A NetworkPolicy does not apply to a network device of the node, such as an RDMA adapter, and the operator cannot
see what a device of an unknown kind is. Private profiles therefore allow no devices other than the GPUs of `spec.gpu`.
"""

from __future__ import annotations

from collections.abc import Iterator

from triton_operator.api.environment import EnvFromSource, EnvVar
from triton_operator.api.errors import Problem
from triton_operator.api.pod_parts import Quantity, ResourceRequirements
from triton_operator.api.quantity import parse_exact
from triton_operator.resources.pod_template.pod_facts import PodFacts
from triton_operator.resources.user_environment import DEVICES

_DEVICE = "can be a network device of the node, to which no network policy applies; only the profile Open allows {}"
_ASSIGNED = "gives the container devices that the scheduler did not assign to it; remove it"
_UNSEEN = (
    "could set variables such as {}, because the operator cannot see the names in the object; set a prefix with which "
    "none of them begins; only the profile Open allows this"
)


def check_quantity(value: Quantity, path: str) -> Iterator[Problem]:
    """An amount, which must not be negative."""
    if parse_exact(str(value)) is None:
        yield Problem(path, f"{value} is not a quantity such as 500m or 1Gi")


def check_resources(resources: ResourceRequirements, path: str, facts: PodFacts) -> Iterator[Problem]:
    """The resources of a container."""
    for kind, quantities in (("requests", resources.requests), ("limits", resources.limits)):
        for name, value in quantities.items():
            yield from _check_resource(name, value, f"{path}.{kind}.{name}", facts)
    if resources.claims:
        yield from check_claims(f"{path}.claims", facts)


def _check_resource(name: str, value: Quantity, path: str, facts: PodFacts) -> Iterator[Problem]:
    yield from check_quantity(value, path)
    # Names of resources that Kubernetes does not define contain a domain.
    if facts.profile.is_private and "/" in name and name != facts.gpu:
        yield Problem(path, _DEVICE.format("resources other than those of spec.gpu"))


def check_claims(path: str, facts: PodFacts) -> Iterator[Problem]:
    """Claims of devices (dynamic resource allocation)."""
    if facts.profile.is_private:
        yield Problem(path, _DEVICE.format("claims of devices"))


def check_device_variable(variable: EnvVar, path: str) -> Iterator[Problem]:
    """A variable with which container runtimes assign devices to an added container."""
    if variable.name in DEVICES:
        yield Problem(f"{path}.name", f"{variable.name} {_ASSIGNED}")


def check_unseen_variables(source: EnvFromSource, path: str, facts: PodFacts) -> Iterator[Problem]:
    """An object whose keys could be such variables."""
    possible = [name for name in DEVICES if name.startswith(source.prefix)]
    if facts.profile.is_private and possible:
        yield Problem(f"{path}.prefix", _UNSEEN.format(possible[-1]))
