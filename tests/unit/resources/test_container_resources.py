"""Requests and limits of each container: the user's for Triton, and values derived from them for the others.

Rules of the namespace that the user's values follow are then followed by all containers.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import SETTINGS, a_deployment
from triton_operator.api.quantity import smaller
from triton_operator.resources.build import render
from triton_operator.resources.cache_content import claim_name, recipe
from triton_operator.resources.container_resources import (
    describe,
    job_resources,
    prepare_resources,
    proxy_resources,
    server_resources,
)
from triton_operator.resources.revision import inputs_hash

Object = dict[str, Any]

FETCHED: Object = {"modelRepository": {"s3": {"bucket": "models"}}, "cache": {"size": "1Gi"}}
LARGE: Object = {"requests": {"cpu": 4, "memory": "16Gi"}, "limits": {"cpu": "8", "memory": "32Gi"}}
LARGE_AS_TEXT: Object = {"requests": {"cpu": "4", "memory": "16Gi"}, "limits": {"cpu": "8", "memory": "32Gi"}}
SMALL: Object = {"requests": {"cpu": "100m", "memory": "200Mi"}, "limits": {"cpu": "200m", "memory": "256Mi"}}
SCRATCH: Object = {"limits": {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "2Gi"}}


@pytest.mark.parametrize("resources", [{}, LARGE, SMALL, SCRATCH, {"limits": {"memory": "1Gi"}}])
def test_prepare_gets_the_resources_of_triton(resources: Object) -> None:
    """Kubernetes counts the larger of the two, so the pod does not reserve more."""
    spec = a_deployment(resources=resources).spec
    assert prepare_resources(spec) == server_resources(spec)


def test_prepare_gets_no_gpu() -> None:
    spec = a_deployment(gpu={"count": 2}, resources=LARGE).spec
    assert server_resources(spec)["limits"] == {"cpu": "8", "memory": "32Gi", "nvidia.com/gpu": "2"}
    assert prepare_resources(spec)["limits"] == {"cpu": "8", "memory": "32Gi"}


def test_the_users_resources_of_prepare_replace_the_defaults() -> None:
    """A default request and the user's limit could contradict each other."""
    spec = a_deployment(resources=LARGE, prepare={"resources": {"limits": {"memory": "1Gi"}}}).spec
    assert prepare_resources(spec) == {"requests": {"cpu": "4"}, "limits": {"cpu": "8", "memory": "1Gi"}}


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, {"requests": {"cpu": "250m", "memory": "512Mi"}}),
        (LARGE, {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}),
        (SMALL, SMALL),
        (SCRATCH, SCRATCH),
    ],
)
def test_a_job_gets_at_most_what_it_can_use(resources: Object, expected: Object) -> None:
    assert job_resources(a_deployment(**FETCHED, resources=resources).spec) == expected


def test_resources_of_the_cache_override_those_of_prepare() -> None:
    spec = a_deployment(
        modelRepository=FETCHED["modelRepository"],
        cache={"size": "1Gi", "resources": {"requests": {"memory": "3Gi"}}},
        prepare={"resources": {"limits": {"cpu": "2", "memory": "2Gi"}}},
        resources=LARGE,
    ).spec
    assert job_resources(spec) == {"requests": {"memory": "3Gi"}, "limits": {"cpu": "2"}}


@pytest.mark.parametrize(
    ("resources", "requests", "limits"),
    [
        ({}, {}, {}),
        ({"requests": {"cpu": "4", "memory": "8Gi"}}, {}, {}),
        ({"limits": {"memory": "4Gi"}}, {"memory": "256Mi"}, {"memory": "256Mi"}),
        ({"requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi"}}, {"memory": "128Mi"}, {"memory": "256Mi"}),
        ({"requests": {"memory": "1Gi"}, "limits": {"memory": "64Gi"}}, {"memory": "64Mi"}, {"memory": "256Mi"}),
        ({"limits": {"memory": "100Mi"}}, {"memory": "100Mi"}, {"memory": "100Mi"}),
        ({"limits": {"cpu": "4"}}, {"cpu": "1"}, {"cpu": "1"}),
        ({"limits": {"cpu": 64}}, {"cpu": "2"}, {"cpu": "2"}),
        ({"requests": {"cpu": "500m"}, "limits": {"cpu": "1"}}, {"cpu": "125m"}, {"cpu": "250m"}),
        ({"requests": {"cpu": "100m"}, "limits": {"cpu": "8"}}, {"cpu": "50m"}, {"cpu": "2"}),
        ({"limits": {"cpu": "100m"}}, {"cpu": "50m"}, {"cpu": "50m"}),
        ({"limits": {"cpu": "20m"}}, {"cpu": "20m"}, {"cpu": "20m"}),
        ({"limits": {"ephemeral-storage": "1Gi"}}, {}, {"ephemeral-storage": "64Mi"}),
        ({"limits": {"ephemeral-storage": "8Mi"}}, {}, {"ephemeral-storage": "8Mi"}),
    ],
)
def test_the_proxy_gets_a_part_of_the_limits_of_triton_in_the_same_ratio(
    resources: Object, requests: Object, limits: Object
) -> None:
    """It runs at the same time; and a quota that requires limits applies to every container."""
    assert proxy_resources(a_deployment(resources=resources).spec) == {
        "requests": {"cpu": "50m", "memory": "64Mi"} | requests,
        "limits": {"memory": "256Mi"} | limits,
    }


def test_the_users_resources_of_the_proxy_replace_the_defaults() -> None:
    spec = a_deployment(resources=LARGE, privacy={"proxy": {"resources": {"requests": {"memory": "1Gi"}}}}).spec
    assert proxy_resources(spec) == {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2"}}


def test_each_container_is_rendered_with_its_resources() -> None:
    fields: Object = {
        "prepare": {"resources": SMALL},
        "cache": {"size": "1Gi", "resources": SCRATCH},
        "privacy": {"proxy": {"resources": LARGE_AS_TEXT}},
    }
    by_kind = {body["kind"]: body for body in render(a_deployment(**(FETCHED | fields)), SETTINGS)}
    prepare, proxy = by_kind["Deployment"]["spec"]["template"]["spec"]["initContainers"]
    assert (prepare["resources"], proxy["resources"]) == (SMALL, LARGE_AS_TEXT)
    assert by_kind["Job"]["spec"]["template"]["spec"]["containers"][0]["resources"] == SCRATCH


def test_resources_of_prepare_and_the_proxy_affect_pods_and_those_of_the_job_do_not() -> None:
    old = a_deployment(**FETCHED).spec
    prepare = a_deployment(**FETCHED, prepare={"resources": SMALL}).spec
    proxy = a_deployment(**FETCHED, privacy={"proxy": {"resources": SMALL}}).spec
    job = a_deployment(**(FETCHED | {"cache": {"size": "1Gi", "resources": SMALL}})).spec
    assert len({inputs_hash(spec) for spec in (old, prepare, proxy)}) == 3
    assert inputs_hash(job) == inputs_hash(old)


def test_an_empty_field_is_equal_to_an_unset_field() -> None:
    """A field that a newer operator adds must not roll the pods of an older one."""
    fields: Object = {
        "prepare": {"resources": {}},
        "cache": {"size": "1Gi", "resources": {}},
        "privacy": {"proxy": {"resources": {}}},
    }
    old, new = a_deployment(**FETCHED).spec, a_deployment(**(FETCHED | fields)).spec
    assert (inputs_hash(new), recipe(new)) == (inputs_hash(old), recipe(old))


@pytest.mark.parametrize(
    "resources",
    [{"resources": SMALL}, {"prepare": {"resources": SMALL}}, {"cache": {"size": "1Gi", "resources": SMALL}}],
    ids=["resources", "prepare", "cache"],
)
def test_a_job_that_a_quota_rejects_is_created_again_with_other_resources(resources: Object) -> None:
    """It fills the same claim, because the inputs of the content are the same."""
    old, new = a_deployment(**FETCHED), a_deployment(**(FETCHED | resources))
    assert recipe(new.spec) != recipe(old.spec)
    assert claim_name(new) == claim_name(old)


@pytest.mark.parametrize(
    ("resources", "size"),
    [
        ({}, "100Gi"),
        ({"resources": {"requests": {"ephemeral-storage": "5Gi"}}}, "100Gi"),
        ({"resources": {"limits": {"ephemeral-storage": "20Gi"}}}, "20Gi"),
        (
            {
                "resources": {"limits": {"ephemeral-storage": "1Gi"}},
                "prepare": {"resources": {"limits": {"ephemeral-storage": "300Gi"}}},
            },
            "300Gi",
        ),
    ],
)
@pytest.mark.parametrize(
    "source",
    [
        {"modelRepository": {"s3": {"bucket": "models"}}, "privacy": {"profile": "Open"}},
        {
            "modelRepository": {"pvc": {"claimName": "models"}},
            "models": [{"name": "digits", "digest": f"sha256:{'0' * 64}"}],
        },
    ],
    ids=["fetched", "copied"],
)
def test_no_volume_of_a_pod_can_fill_the_disk_of_its_node(source: Object, resources: Object, size: str) -> None:
    """The limit for models is the user's or larger than most models; all other volumes are small."""
    children = render(a_deployment(**source, **resources), SETTINGS)
    (template,) = (body["spec"]["template"] for body in children if body["kind"] == "Deployment")
    sizes = {volume["name"]: volume["emptyDir"].get("sizeLimit") for volume in template["spec"]["volumes"]
             if "emptyDir" in volume}  # fmt: skip
    assert None not in sizes.values()
    assert sizes["source" if "source" in sizes else "models"] == size
    for container in [*template["spec"]["initContainers"], *template["spec"]["containers"]]:
        assert container["securityContext"]["readOnlyRootFilesystem"]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [("500m", "1", "500m"), ("2", "1", "1"), ("1Gi", "1024Mi", "1Gi"), ("what", "1", "what"), ("1", "what", "1")],
)
def test_quantities_are_compared_by_value(first: str, second: str, expected: str) -> None:
    assert smaller(first, second) == expected


def test_resources_are_described_in_one_line() -> None:
    both = {
        "requests": {"memory": "1Gi", "cpu": "1"},
        "limits": {"memory": "2Gi", "cpu": "1", "ephemeral-storage": "1Gi"},
    }
    assert describe(both) == "cpu 1, ephemeral-storage 1Gi, memory 1Gi to 2Gi"
