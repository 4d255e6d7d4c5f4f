"""Privacy controls of the network: the deployment's policies, other policies, and whether the cluster enforces them.

Pure. Policies are additive: a connection is allowed if any policy that selects the pod allows it.
"""

from __future__ import annotations

from collections.abc import Iterator

from triton_operator.api.conditions import Reason
from triton_operator.api.decryption import Vault
from triton_operator.api.network_probe import VALID_FOR, NetworkProbe
from triton_operator.api.status import ControlName
from triton_operator.cluster.observed import Kind
from triton_operator.cluster.policy_projection import ObservedPolicy
from triton_operator.reconcile.assessment import Assessment
from triton_operator.reconcile.child_controls import judge_child
from triton_operator.reconcile.judged_control import JudgedControl, enforced, not_enforced, unknown
from triton_operator.resources.cache_policy import egress_ports
from triton_operator.resources.fetch_proxy import used_proxy
from triton_operator.resources.vault import has_ip_address, host_of, vault_of, vault_ports

PROBE = "run: tritonctl doctor --probe"


def judge_network(assessment: Assessment) -> Iterator[JudgedControl]:
    """The controls of the network; CacheEgress only if the deployment has a cache, VaultEgress only with a vault."""
    yield _network_policy(assessment)
    yield _other_policies(assessment)
    yield _network_enforcement(assessment)
    if cache_egress := _cache_egress(assessment):
        yield cache_egress
    if vault := vault_of(assessment.observed.deployment.spec):
        yield _vault_egress(assessment, vault)


def _network_policy(assessment: Assessment) -> JudgedControl:
    deployment = assessment.observed.deployment
    name = deployment.metadata.name
    if wrong := judge_child(ControlName.NETWORK_POLICY, Kind.NETWORK_POLICY, name, assessment):
        return wrong
    peers = "the same namespace and spec.privacy.network.allowFrom"
    if not deployment.spec.privacy.network.allow_from:
        peers = "the same namespace"
    egress = "egress only to the vault of spec.decryption" if vault_of(deployment.spec) else "no egress"
    return enforced(
        ControlName.NETWORK_POLICY, f"NetworkPolicy {name} admits only callers from {peers}, and allows {egress}"
    )


def _other_policies(assessment: Assessment) -> JudgedControl:
    opening = assessment.observed.opening_policies
    if not opening:
        return enforced(
            ControlName.OTHER_POLICIES, "no other NetworkPolicy that selects the pods allows traffic to or from them"
        )
    listed = ", ".join(f"{policy.name} ({_directions(policy)})" for policy in opening)
    policies = f"NetworkPolicy {listed} also selects" if len(opening) == 1 else f"NetworkPolicies {listed} also select"
    return not_enforced(
        ControlName.OTHER_POLICIES,
        Reason.OTHER_POLICY_OPENS_POD,
        f"{policies} the pods and allow{'s' if len(opening) == 1 else ''} additional traffic, because policies are "
        f"additive; to exclude the pods, change {'its' if len(opening) == 1 else 'their'} spec.podSelector",
    )


def _directions(policy: ObservedPolicy) -> str:
    return " and ".join(["ingress"] * policy.allows_ingress + ["egress"] * policy.allows_egress)


def _network_enforcement(assessment: Assessment) -> JudgedControl:
    name, probe = ControlName.NETWORK_ENFORCEMENT, assessment.observed.network_probe
    if probe is None:
        return unknown(
            name,
            Reason.NETWORK_NOT_PROVEN,
            f"no test has shown that the network of this cluster enforces NetworkPolicies; {PROBE}",
        )
    if not probe.is_valid(assessment.observed.now):
        return unknown(
            name,
            Reason.NETWORK_NOT_PROVEN,
            f"the last test of NetworkPolicies in this cluster, on {probe.time[:10]}, is older than "
            f"{VALID_FOR.days} days; {PROBE}",
        )
    where = f"on {probe.time[:10]} with Kubernetes {probe.kubernetes_version} on {_nodes(probe)}"
    ignored = ["ingress"] * (not probe.ingress) + ["egress"] * (not probe.egress)
    if ignored:
        return not_enforced(
            name,
            Reason.NETWORK_NOT_ENFORCED,
            f"the network did not enforce a NetworkPolicy for {' and '.join(ignored)} {where}; install a network "
            f"plugin that enforces NetworkPolicies, then {PROBE}",
        )
    return enforced(name, f"the network enforced NetworkPolicies {where}")


def _nodes(probe: NetworkProbe) -> str:
    return f"node{'s' if len(probe.nodes) > 1 else ''} {', '.join(probe.nodes)}"


def _cache_egress(assessment: Assessment) -> JudgedControl | None:
    caching = assessment.observed.caching
    if caching and caching.generation.job:
        name = caching.generation.name
        if wrong := judge_child(ControlName.CACHE_EGRESS, Kind.NETWORK_POLICY, name, assessment):
            return wrong
    spec = (caching or assessment.observed).deployment.spec
    if spec.cache is None:
        return None
    if not spec.cache.egress.cidrs:
        numbers = egress_ports(spec, spec.cache)
        ports = f"port{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
        return not_enforced(
            ControlName.CACHE_EGRESS,
            Reason.CACHE_EGRESS_OPEN,
            f"the Job that fills the cache can connect to any address on {ports}; set spec.cache.egress.cidrs",
        )
    allowed = "spec.cache.egress.cidrs"
    if set(spec.cache.egress.cidrs) != set(_cidrs_of_user(assessment)):
        allowed = f"{', '.join(spec.cache.egress.cidrs)}, where the proxy of the installation is"
    proxy = used_proxy(spec)
    further = f"; the proxy {proxy.url} connects it to the servers that the proxy allows" if proxy else ""
    message = f"the Job that fills the cache can connect only to DNS and {allowed}{further}"
    return enforced(ControlName.CACHE_EGRESS, message)


def _cidrs_of_user(assessment: Assessment) -> tuple[str, ...]:
    cache = assessment.observed.deployment.spec.cache
    return cache.egress.cidrs if cache else ()


def _vault_egress(assessment: Assessment, vault: Vault) -> JudgedControl:
    name = assessment.observed.deployment.metadata.name
    if wrong := judge_child(ControlName.VAULT_EGRESS, Kind.NETWORK_POLICY, name, assessment):
        return wrong
    numbers = vault_ports(vault)
    ports = f"port{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
    dns = "" if has_ip_address(vault) else f", and to the cluster's DNS, which resolves {host_of(vault)}"
    message = (
        f"all containers of the pods, not only prepare, can connect to the vault {vault.address} at "
        f"{_described(vault)} on {ports}{dns}; only prepare has a token for the vault"
    )
    return enforced(ControlName.VAULT_EGRESS, message)


def _described(vault: Vault) -> str:
    """The peers of the vault: their addresses, and the number of those with selectors."""
    blocks = [str(block.get("cidr")) for peer in vault.egress.to if (block := peer.get("ipBlock"))]
    selected = len(vault.egress.to) - len(blocks)
    pods = f"the pods that {selected} selector{'s' if selected > 1 else ''} of spec.decryption.vault.egress.to match"
    return ", ".join([*blocks, *([pods] if selected else [])])
