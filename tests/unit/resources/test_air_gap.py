"""The profile AirGapped: what it requires in addition to Private, and that everything missing is listed at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import AIR_GAPPED, AIR_GAPPED_SETTINGS, BY_DIGEST, SETTINGS, a_deployment
from triton_operator.api.errors import InvalidSpecError
from triton_operator.api.spec import Spec
from triton_operator.resources.air_gap import OPERATOR_IMAGE, check_air_gap, find_missing
from triton_operator.resources.build import render
from triton_operator.resources.settings import Settings

Change: TypeAlias = Callable[[dict[str, Any], Settings], Settings | None]

PATH = "spec.modelRepository.image.reference"
OWN = f"example.org/mine{BY_DIGEST}"
"""A server image that the catalogue does not list, so that its release is not known."""
TAGGED = {"image": {"reference": "example.org/models:7"}}
PUBLIC = {"size": "1Gi", "egress": {"cidrs": ["10.1.0.0/16", "203.0.113.0/24"]}}


def fetched(cache: dict[str, Any]) -> dict[str, Any]:
    """A repository that a cache Job downloads."""
    return {"modelRepository": {"http": {"url": "https://models.example.org/m.zip"}}, "cache": cache}


def a_spec(**changes: Any) -> Spec:
    return a_deployment(**(AIR_GAPPED | changes)).spec


def test_a_spec_that_has_everything_is_rendered_like_a_private_one() -> None:
    spec = AIR_GAPPED | {"privacy": {}, "verification": {**AIR_GAPPED["verification"], "scan": "Refuse"}}
    children = [render(a_deployment(**each), AIR_GAPPED_SETTINGS) for each in (AIR_GAPPED, spec)]
    air_gapped, private = ([each for each in kind if each["kind"] != "ControllerRevision"] for kind in children)
    assert air_gapped == private
    assert {"NetworkPolicy", "ConfigMap"} <= {each["kind"] for each in air_gapped}


def test_signatures_need_a_key() -> None:
    found = find_missing(a_spec(verification={"scan": "Warn", "require": False}))
    assert [each.path for each in found] == ["spec.verification.keys", "spec.verification.require"]


@pytest.mark.parametrize("profile", ["Open", "Private"])
def test_other_profiles_require_none_of_it(profile: str) -> None:
    check_air_gap(a_deployment(privacy={"profile": profile}).spec, SETTINGS)
    with pytest.raises(InvalidSpecError):
        check_air_gap(a_deployment(privacy={"profile": "AirGapped"}).spec, SETTINGS)


def scaled_by(kind: str, **metadata: str) -> Spec:
    """A deployment that KEDA scales by one trigger."""
    metric = {"type": "Trigger", "trigger": {"type": kind, "metadata": metadata}}
    return a_spec(autoscaling={"maxReplicas": 2, "provider": "KEDA", "metrics": [metric]})


@pytest.mark.parametrize(
    ("kind", "metadata", "path"),
    [
        ("kafka", {"bootstrapServers": "queue.shop.svc:9092"}, "type"),
        ("metrics-api", {"url": "https://attacker.example.com/n"}, "metadata.url"),
        ("metrics-api", {"url": "http://[not an address"}, "metadata.url"),
        ("prometheus", {"serverAddress": "http://203.0.113.4:9090"}, "metadata.serverAddress"),
        ("prometheus", {}, "metadata.serverAddress"),
    ],
)
def test_keda_connects_to_nothing_outside(kind: str, metadata: dict[str, str], path: str) -> None:
    found = find_missing(scaled_by(kind, **metadata))
    assert [each.path for each in found] == [f"spec.autoscaling.metrics[0].trigger.{path}"]


@pytest.mark.parametrize(
    ("kind", "metadata"),
    [
        ("cron", {"timezone": "UTC"}),
        ("metrics-api", {"url": "http://queue.shop.svc/length"}),
        ("prometheus", {"serverAddress": "http://10.1.2.3:9090"}),
        ("prometheus", {"serverAddress": "http://prometheus.monitoring.svc.cluster.local:9090"}),
    ],
)
def test_keda_may_connect_to_what_is_inside(kind: str, metadata: dict[str, str]) -> None:
    assert find_missing(scaled_by(kind, **metadata)) == []


def test_keda_queries_a_prometheus_inside() -> None:
    keda = {"prometheusServer": "https://prometheus.example.com"}
    metrics = [{"type": "QueueTimeRatio"}]
    spec = a_spec(autoscaling={"maxReplicas": 2, "provider": "KEDA", "keda": keda, "metrics": metrics})
    assert [each.path for each in find_missing(spec)] == ["spec.autoscaling.keda.prometheusServer"]


def tag_repository(spec: dict[str, Any], _: Settings) -> None:
    spec["modelRepository"] = TAGGED


def fetch_from_anywhere(spec: dict[str, Any], _: Settings) -> None:
    spec |= fetched({"size": "1Gi"})


def fetch_from_outside(spec: dict[str, Any], _: Settings) -> None:
    spec |= fetched(PUBLIC)


def leave_out_signatures(spec: dict[str, Any], _: Settings) -> None:
    del spec["verification"]


def make_signatures_optional(spec: dict[str, Any], _: Settings) -> None:
    spec["verification"] = {**spec["verification"], "require": False}


def vault_at(address: str, *cidrs: str) -> dict[str, Any]:
    """A key in a vault."""
    peers = [{"ipBlock": {"cidr": cidr}} for cidr in cidrs]
    vault = {"address": address, "role": "r", "key": "k", "egress": {"to": [{"podSelector": {}}, *peers]}}
    return {"vault": vault, "memory": "1Gi"}


def use_named_vault(spec: dict[str, Any], _: Settings) -> None:
    spec["decryption"] = vault_at("https://vault.example.com")


def use_public_vault(spec: dict[str, Any], _: Settings) -> None:
    spec["decryption"] = vault_at("https://203.0.113.5:8200")


def open_way_to_vault(spec: dict[str, Any], _: Settings) -> None:
    spec["decryption"] = vault_at("https://10.0.0.5:8200", "10.0.0.5/32", "203.0.113.0/24")


def use_public_nameserver(spec: dict[str, Any], _: Settings) -> None:
    spec["dnsConfig"] = {"nameservers": ["10.0.0.53", "203.0.113.53"]}


def tag_server(spec: dict[str, Any], _: Settings) -> None:
    version = {} if spec.get("triton") == {"image": OWN} else {"version": "26.11"}
    spec["triton"] = version | spec.get("triton", {}) | {"image": "example.org/mine:latest"}


def tag_catalogue(_: dict[str, Any], settings: Settings) -> Settings:
    (image,) = settings.images
    tagged = msgspec.structs.replace(image, image="example.org/tritonserver:26.11-py3")
    return msgspec.structs.replace(settings, images=(tagged,))


def use_vulnerable_release(spec: dict[str, Any], _: Settings) -> None:
    spec["triton"] = {"image": OWN} | spec.get("triton", {}) | {"version": "26.06"}


def use_unknown_release(spec: dict[str, Any], _: Settings) -> None:
    spec["triton"] = {"image": OWN}


def tag_operator(_: dict[str, Any], settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, operator_image="example.org/triton-operator:1")


VIOLATIONS: list[dict[Change, str]] = [
    {
        tag_repository: PATH,
        fetch_from_anywhere: "spec.cache.egress.cidrs",
        fetch_from_outside: "spec.cache.egress.cidrs",
    },
    {leave_out_signatures: "spec.verification.keys", make_signatures_optional: "spec.verification.require"},
    {use_vulnerable_release: "spec.triton.version", use_unknown_release: "spec.triton.version"},
    {
        use_named_vault: "spec.decryption.vault.address",
        use_public_vault: "spec.decryption.vault.address",
        open_way_to_vault: "spec.decryption.vault.egress.to",
    },
    {use_public_nameserver: "spec.dnsConfig.nameservers"},
    {tag_server: "spec.triton.image"},
    {tag_operator: OPERATOR_IMAGE},
]
"""Violations that exclude each other are in one group; each has the path that it is reported at."""


@given(
    chosen=st.tuples(*(st.sampled_from([None, *group]) for group in VIOLATIONS)),
    tagged=st.lists(st.booleans(), max_size=16),
)
def test_a_spec_with_k_violations_reports_k_paths(chosen: tuple[Change | None, ...], tagged: list[bool]) -> None:
    """Also if models have repositories of their own."""
    spec, settings = dict(AIR_GAPPED), AIR_GAPPED_SETTINGS
    expected = {f"spec.models[{index}].modelRepository.image.reference" for index, each in enumerate(tagged) if each}
    if tagged:
        references = ["example.org/m:1" if each else f"example.org/m{BY_DIGEST}" for each in tagged]
        spec["models"] = [
            {"name": f"m{index}", "modelRepository": {"image": {"reference": reference}}}
            for index, reference in enumerate(references)
        ]
    for change, group in zip(chosen, VIOLATIONS, strict=True):
        if change:
            settings = change(spec, settings) or settings
            expected.add(group[change])
    deployment = a_deployment(**spec)
    found = [each.path for each in find_missing(deployment.spec, settings)]
    assert sorted(found) == sorted(expected)
    if expected:
        with pytest.raises(InvalidSpecError) as refused:
            render(deployment, settings)
        assert refused.value.path == "spec.privacy.profile"
        assert all(path in str(refused.value) for path in expected)
    else:
        render(deployment, settings)


@pytest.mark.parametrize("address", ["https://10.0.0.5:8200", "https://[fd00::5]", "https://100.64.0.1"])
def test_a_vault_at_a_private_address_is_accepted(address: str) -> None:
    assert find_missing(a_spec(decryption=vault_at(address, "10.0.0.5/32"))) == []


def test_private_nameservers_are_accepted_and_public_ones_named() -> None:
    assert find_missing(a_spec(dnsConfig={"nameservers": ["10.0.0.53", "fd00::53"], "searches": ["example.com"]})) == []
    (missing,) = find_missing(a_spec(dnsConfig={"nameservers": ["10.0.0.53", "203.0.113.53"]}))
    assert missing.message.endswith(", not 203.0.113.53")


def test_an_image_of_the_catalogue_without_a_digest_is_named() -> None:
    settings = tag_catalogue({}, AIR_GAPPED_SETTINGS)
    (missing,) = find_missing(a_spec(), settings)
    assert missing.path == "spec.triton.image"
    assert "because the catalogue of the Helm chart has example.org/tritonserver:26.11-py3" in missing.message


def test_an_unknown_version_keeps_its_reason_unless_more_is_missing() -> None:
    unknown = {"triton": {"version": "25.09"}}
    for changes, reason in ((unknown, "UnknownVersion"), (unknown | {"verification": None}, "InvalidSpec")):
        with pytest.raises(InvalidSpecError) as refused:
            check_air_gap(a_spec(**changes), AIR_GAPPED_SETTINGS)
        assert refused.value.reason == reason
        assert "spec.triton.version: the image catalogue has no entry" in str(refused.value)


def test_images_of_the_installation_do_not_matter_to_what_runs_already() -> None:
    check_air_gap(a_spec())
    assert {each.path for each in find_missing(a_spec(), SETTINGS)} == {
        "spec.triton.image",
        "spec.triton.version",
        OPERATOR_IMAGE,
    }


def test_fields_with_the_same_problem_share_its_message() -> None:
    models = [{"name": name, "modelRepository": TAGGED} for name in ("a", "b")]
    with pytest.raises(InvalidSpecError) as refused:
        check_air_gap(a_spec(models=models))
    assert str(refused.value) == (
        "spec.privacy.profile: AirGapped requires: spec.models[0].modelRepository.image.reference, "
        "spec.models[1].modelRepository.image.reference: must be referenced by digest (@sha256:…)"
    )


@pytest.mark.parametrize(
    ("cidrs", "outside"),
    [
        (["10.0.0.0/8", "172.31.255.0/24", "192.168.0.1/32", "100.127.0.0/16", "fd00:1::/48"], []),
        (["10.0.0.0/7"], ["10.0.0.0/7"]),
        (["172.32.0.0/16", "10.0.0.0/8"], ["172.32.0.0/16"]),
        (["0.0.0.0/0", "::/0"], ["0.0.0.0/0", "::/0"]),
        (["169.254.169.254/32"], ["169.254.169.254/32"]),
        (["2001:db8::/32"], ["2001:db8::/32"]),
        (["ten"], ["ten"]),
    ],
)
def test_a_cache_is_filled_from_private_addresses_only(cidrs: list[str], outside: list[str]) -> None:
    found = find_missing(a_spec(**fetched({"size": "1Gi", "egress": {"cidrs": cidrs}})))
    assert [each.path for each in found] == (["spec.cache.egress.cidrs"] if outside else [])
    assert not outside or found[0].message.endswith(f", not {', '.join(outside)}")
