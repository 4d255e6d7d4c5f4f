"""Helm rejects unknown and invalid values, and every value is documented."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.chart.conftest import CHART

IMAGE = {"image": "triton:1", "version": "26.11", "accelerator": "CPU", "default": True}

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "misspelt value": ({"replicaCount": 2}, "replicaCount"),
    "misspelt value below": ({"image": {"repository": "x", "tags": "1"}}, "tags"),
    "scope in lower case": ({"scope": "cluster"}, "scope"),
    "tag as a number": ({"image": {"repository": "x", "tag": 1.5}}, "tag"),
    "tag inside the repository": ({"image": {"repository": "x@sha256:0"}}, "repository"),
    "short digest": ({"image": {"repository": "x", "digest": "sha256:abc"}}, "digest"),
    "replicas in words": ({"replicas": "two"}, "replicas"),
    "empty catalogue": ({"images": []}, "images"),
    "catalogue without a default": ({"images": [{**IMAGE, "default": False}]}, "images"),
    "version as a number": ({"images": [{**IMAGE, "version": 26.1}]}, "version"),
    "unknown accelerator": ({"images": [{**IMAGE, "accelerator": "TPU"}]}, "accelerator"),
    "image without a version": ({"images": [{"image": "triton:1", "accelerator": "CPU", "default": True}]}, "version"),
    "GPU without a domain": ({"images": [{**IMAGE, "resourceNames": ["gpu"]}]}, "resourceNames"),
    "unknown architecture": ({"images": [{**IMAGE, "architecture": "x86_64"}]}, "architecture"),
    "defaults for any resource": ({"accelerators": [{"resourceName": "*"}]}, "accelerators"),
    "proxy with a password": ({"fetching": {"httpProxy": {"url": "http://me:secret@proxy:3128"}}}, "httpProxy"),
    "proxy of another scheme": ({"fetching": {"httpProxy": {"url": "https://proxy:3128"}}}, "httpProxy"),
    "proxy without a range": ({"fetching": {"proxyCidrs": ["10.0.0.5"]}}, "proxyCidrs"),
    "authorities without a name": ({"fetching": {"caBundleConfigMapRef": {"key": "ca.crt"}}}, "caBundleConfigMapRef"),
    "pull secret as a bare name": ({"imagePullSecrets": ["registry"]}, "imagePullSecrets"),
    "empty peer": ({"networkPolicy": {"metricsFrom": [{}]}}, "metricsFrom"),
    "port out of range": ({"networkPolicy": {"apiServerPorts": [70000]}}, "apiServerPorts"),
    "label that is no text": ({"podLabels": {"a": 1}}, "podLabels"),
    "limit that is no list": ({"policies": {"deployments": {"sources": "Image"}}}, "sources"),
    "unknown source": ({"policies": {"deployments": {"sources": ["Git"]}}}, "sources"),
    "registry without a host": ({"policies": {"deployments": {"images": ["team/models"]}}}, "images"),
    "registry with a scheme": ({"policies": {"deployments": {"images": ["https://registry.example.com"]}}}, "images"),
    "registry with a slash at its end": (
        {"policies": {"deployments": {"images": ["registry.example.com/"]}}},
        "images",
    ),
    "address without a scheme": ({"policies": {"deployments": {"addresses": ["s3.example.com"]}}}, "addresses"),
    "address with a path": ({"policies": {"deployments": {"addresses": ["https://s3.example.com/a"]}}}, "addresses"),
    "star within a name": ({"policies": {"deployments": {"secrets": ["a*b"]}}}, "secrets"),
    "label with a value": ({"policies": {"deployments": {"secretLabel": "a=b"}}}, "secretLabel"),
    "class that is no name": ({"policies": {"deployments": {"priorityClasses": ["High"]}}}, "priorityClasses"),
    "unknown type of Service": ({"policies": {"deployments": {"serviceTypes": ["ExternalName"]}}}, "serviceTypes"),
    "deny and warn": ({"policies": {"validationActions": ["Deny", "Warn"]}}, "validationActions"),
    "account that is no name": ({"policies": {"deployments": {"serviceAccounts": ["Team A"]}}}, "serviceAccounts"),
    "variable of the chart": ({"extraEnv": [{"name": "LOG_LEVEL", "value": "DEBUG"}]}, "extraEnv"),
    "variable as a number": ({"extraEnv": [{"name": "A", "value": 1}]}, "extraEnv"),
    "root": ({"securityContext": {"runAsUser": 0}}, "runAsUser"),
    "root after all": ({"securityContext": {"runAsNonRoot": False}}, "runAsNonRoot"),
    "constraint without a key": ({"topologySpreadConstraints": [{"maxSkew": 1}]}, "topologySpreadConstraints"),
    "misspelt quantity": ({"resources": {"limits": {"memory": "256 MB"}}}, "memory"),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_invalid_value_is_rejected_by_name(refuse: Callable[..., str], case: str) -> None:
    """Otherwise, a misspelt value would be ignored silently."""
    values, place = WRONG[case]
    assert place in refuse(**values)


def test_schema_and_values_have_the_same_keys() -> None:
    """Each value has a type, and each type a value that shows it."""

    def compare(values: dict[str, Any], schema: dict[str, Any], path: str) -> None:
        assert set(values) == set(schema["properties"]) - {"global"}, path
        assert schema["additionalProperties"] is False, path
        for key, value in values.items():
            below = schema["properties"][key]
            if isinstance(value, dict) and "properties" in below and value:
                compare(value, below, f"{path}.{key}")

    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    compare(values, schema, "values")


def test_every_value_is_documented() -> None:
    """A comment that begins with `# --` stands above each value, or above the group that it belongs to."""
    text = (CHART / "values.yaml").read_text()
    described = set(re.findall(r"# -- .*\n(?: *# .*\n)* *(\w+):", text))

    def undescribed(values: dict[str, Any]) -> list[str]:
        keys = []
        for key, value in values.items():
            if key not in described:
                keys += undescribed(value) if isinstance(value, dict) and value else [key]
        return keys

    assert undescribed(yaml.safe_load(text)) == []
