"""TLS becomes the default: pods of an earlier release keep serving as they did, and a rollout to TLS has no outage."""

from __future__ import annotations

import copy
import json
from typing import Any

import msgspec
import pytest

from tests.builders import a_pod
from tests.fakes import World
from tests.paths import ROOT
from triton_operator.api.conditions import PRIVACY_ENFORCED
from triton_operator.api.status import ControlState, Endpoints, Truth
from triton_operator.cluster.observed import Kind, Pod

Manifest = dict[str, Any]

RELEASES = sorted((ROOT / "tests" / "apiserver" / "releases").glob("*.json"))
LEFT_BEHIND = {f"{file.stem} {name}": left for file in RELEASES for name, left in json.loads(file.read_text()).items()}
PRIVATE = {name: left for name, left in LEFT_BEHIND.items() if "privacy" not in left["spec"]}

PLAIN = Endpoints(
    http="http://digits.shop.svc:8000",
    grpc="digits.shop.svc:8001",
    metrics="http://digits-headless.shop.svc:8002/metrics",
)
BEFORE, BOTH, AFTER = [8000, 8001], [8443, 8000, 8001], [8443]


async def left_behind(left: Manifest) -> World:
    """The object and its children as an earlier release left them, with one ready pod, and this operator."""
    world = World(**left["spec"])
    if "replicas" not in left["spec"]:
        del world.body["spec"]["replicas"]
        world.cache.deployments.put(world.body)
    for child in copy.deepcopy(left["children"]):
        child["metadata"]["namespace"] = world.key[0]
        child["metadata"]["ownerReferences"][0]["uid"] = world.body["metadata"]["uid"]
        world.cache.children.put(await world.cluster.create(child))
    world.forget_writes()
    await roll_out(world, ready(world, "old"))
    return world


async def roll_out(world: World, *pods: Pod) -> None:
    """These pods exist, and the operator has processed that."""
    world.roll_out(*pods)
    await world.reconcile()


def ready(world: World, name: str, **fields: Any) -> Pod:
    """A ready pod of the Deployment's template."""
    return a_pod(name, revision=world.template_hash, ready=True, **fields)


def ports(world: World) -> list[int]:
    """The ports for clients, on which both Services and the policy agree."""
    found: list[int] = [port["port"] for port in world.manifest(Kind.SERVICE)["spec"]["ports"]]
    headless = world.manifest(Kind.SERVICE, "digits-headless")["spec"]["ports"]
    assert [port["port"] for port in headless] == [*found, 8002]
    rule = world.manifest(Kind.NETWORK_POLICY)["spec"]["ingress"][0]
    assert [port["port"] for port in rule["ports"]] == found
    return found


def without_strategy(manifest: Manifest) -> Manifest:
    """Its spec; a change of the strategy restarts no pod."""
    return {field: value for field, value in manifest["spec"].items() if field != "strategy"}


def containers(world: World) -> list[str]:
    pod = world.manifest(Kind.DEPLOYMENT)["spec"]["template"]["spec"]
    return [container["name"] for container in (*pod["initContainers"], *pod["containers"])]


def specs(world: World) -> dict[str, Manifest]:
    """What decides about pods and traffic."""
    kinds = (Kind.DEPLOYMENT, Kind.NETWORK_POLICY, Kind.SERVICE)
    return {
        f"{kind}/{name}": without_strategy(manifest)
        for (kind, _, name), manifest in world.cluster.manifests.items()
        if kind in kinds
    }


@pytest.mark.parametrize("left", PRIVATE.values(), ids=PRIVATE)
async def test_an_operator_upgrade_changes_neither_pods_nor_ports_and_reports_that_tls_is_missing(
    left: Manifest,
) -> None:
    world = await left_behind(left)
    deployed = {f"{child['kind']}/{child['metadata']['name']}": child for child in left["children"]}
    assert {name: without_strategy(deployed[name]) for name in specs(world)} == specs(world)
    assert "digits-proxy" not in world.names(Kind.CONFIG_MAP)
    assert world.cluster.shared.bodies == {}
    assert world.status.endpoints == PLAIN
    assert world.condition("Accepted").status is Truth.TRUE
    condition = world.condition(PRIVACY_ENFORCED)
    assert (condition.status, condition.reason) == (Truth.FALSE, "TLSNotConfigured")
    assert condition.message == (
        "the pods are of an older revision, without TLS, because Disabled was the default when they were created; set "
        "spec.privacy.tls.mode to Managed to replace them with pods that accept only TLS"
    )


@pytest.mark.parametrize(
    "edit",
    [{"privacy": {"tls": {"mode": "Managed"}}}, {"triton": {"logLevel": "Info"}}],
    ids=["the mode", "any other field of pods"],
)
async def test_a_rollout_to_tls_keeps_the_plain_ports_until_the_last_plain_pod_has_ended(edit: Manifest) -> None:
    """Ports have names of container ports, so each port leads only to pods that listen on it."""
    world = await left_behind(PRIVATE["0.1.0 image"])
    old = ready(world, "old")
    world.edit(**edit)
    await world.reconcile()
    assert containers(world) == ["prepare", "proxy", "triton"]
    assert (ports(world), world.status.endpoints) == (BOTH, PLAIN)
    await roll_out(world, old, a_pod("new", revision=world.template_hash))
    assert (ports(world), world.status.endpoints) == (BOTH, PLAIN)
    assert world.control("TLS").message == "pods of an older revision, without TLS, still exist"
    await roll_out(world, old, ready(world, "new"))
    assert (ports(world), world.status.endpoints.https) == (BOTH, "https://digits.shop.svc:8443")
    assert (world.status.endpoints.http, world.control("TLS").state) == ("", ControlState.NOT_ENFORCED)
    ending = msgspec.structs.replace(old, deleting=True)
    await roll_out(world, ending, ready(world, "new"))
    assert (ports(world), world.control("TLS").state) == (BOTH, ControlState.ENFORCED)
    world.forget_writes()
    await roll_out(world, ready(world, "new"))
    assert ports(world) == AFTER
    writes = [write for write in world.cluster.writes if not write.startswith("status")]
    assert writes == ["apply NetworkPolicy/digits", "apply Service/digits", "apply Service/digits-headless"]


async def test_a_rollout_that_never_completes_keeps_the_plain_ports() -> None:
    """Also if the spec changes more often than revisions are kept, and after a restart of the operator."""
    world = await left_behind(PRIVATE["0.1.0 image"])
    old = ready(world, "old")
    for number in range(5):
        world.edit(models=[{"name": f"model-{number}"}])
        await world.reconcile()
        await roll_out(world, old, a_pod("new", revision=world.template_hash))
    assert (ports(world), world.status.endpoints) == (BOTH, PLAIN)
    assert len(world.names(Kind.REVISION)) == 4
    world.new_operator()
    await world.reconcile()
    assert ports(world) == BOTH
    await roll_out(world, ready(world, "new"))
    assert ports(world) == AFTER
    assert len(world.names(Kind.REVISION)) == 3


async def test_without_pods_the_ports_change_at_once() -> None:
    world = await left_behind(PRIVATE["0.1.0 image"])
    await roll_out(world)
    assert ports(world) == BEFORE
    world.edit(privacy={"tls": {"mode": "Managed"}})
    await world.reconcile()
    assert ports(world) == AFTER


async def test_tls_can_be_disabled_without_an_outage() -> None:
    """The proxies of the old pods also keep their policy."""
    world = World()
    await world.reconcile()
    old = ready(world, "old")
    await roll_out(world, old)
    assert (ports(world), world.status.endpoints.http) == (AFTER, "")
    world.edit(privacy={"tls": {"mode": "Disabled"}})
    await world.reconcile()
    await roll_out(world, old, a_pod("new", revision=world.template_hash))
    assert ports(world) == [8000, 8001, 8443]
    assert world.status.endpoints.https == "https://digits.shop.svc:8443"
    assert "digits-proxy" in world.names(Kind.CONFIG_MAP)
    await roll_out(world, ready(world, "new"))
    assert (ports(world), world.status.endpoints) == (BEFORE, PLAIN)
    assert "digits-proxy" not in world.names(Kind.CONFIG_MAP)
