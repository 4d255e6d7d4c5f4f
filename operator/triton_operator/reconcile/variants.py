"""Whether all replicas serve the same models, according to what `prepare` reported in each pod.

Pure. If a source changes between the starts of two pods (a file on a claim, a moved tag, a bucket, an edited
ConfigMap), results depend on the replica.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from triton_operator.api.names import CONTAINER_PREPARE
from triton_operator.api.spec import ModelDeployment
from triton_operator.cluster.observed import Pod
from triton_operator.triton.prepare_contract.outcome import Prepared, PreparedModel, read_prepare

_SHOWN_PODS, _SHOWN_VARIANTS = 3, 4


class Variant(NamedTuple):
    """One content of a model, and the names of the pods that have it."""

    content: str
    pods: tuple[str, ...]


def read_report(pod: Pod) -> Prepared | None:
    """What `prepare` reported in this pod; None if it has not succeeded."""
    for container in pod.containers:
        if container.name == CONTAINER_PREPARE and container.terminated and container.terminated.exit_code == 0:
            report = read_prepare(container.terminated.message)
            return report if isinstance(report, Prepared) else None
    return None


def find_variants(deployment: ModelDeployment, pods: Sequence[Pod]) -> dict[str, tuple[Variant, ...]]:
    """Models of which the pods have different content, with their variants in the order of the pods."""
    reports = [(pod.name, report) for pod in pods if (report := read_report(pod))]
    found = {}
    for model in deployment.spec.models:
        laid_out = [(pod, each) for pod, report in reports for each in report.models if each.name == model.name]
        variants = _group([(pod, content) for (pod, _), content in zip(laid_out, _contents(laid_out), strict=True)])
        if len(variants) > 1:
            found[model.name] = variants
    return found


def describe(variants: Sequence[Variant]) -> str:
    """Which content is in which pods."""
    shown = [f"{variant.content} in {_name(variant.pods)}" for variant in variants[:_SHOWN_VARIANTS]]
    left = len(variants) - len(shown)
    return "; ".join([*shown, *([f"{left} more"] if left else [])])


def _contents(laid_out: Sequence[tuple[str, PreparedModel]]) -> list[str]:
    """Comparable text per pod: long reports have no digests, and those of older releases have only digests."""
    models = [model for _, model in laid_out]
    digests = [model.digest for model in models]
    if all(digests) and len(set(digests)) > 1:
        return digests
    if all(model.content for model in models):
        return [f"content {model.content}" for model in models]
    if all(digests):
        return digests
    return [f"version {', '.join(model.versions)}" for model in models]


def _group(contents: Sequence[tuple[str, str]]) -> tuple[Variant, ...]:
    pods: dict[str, list[str]] = {}
    for pod, content in contents:
        pods.setdefault(content, []).append(pod)
    return tuple(Variant(content, tuple(names)) for content, names in pods.items())


def _name(pods: Sequence[str]) -> str:
    more = f" and {len(pods) - _SHOWN_PODS} more" if len(pods) > _SHOWN_PODS else ""
    return ", ".join(pods[:_SHOWN_PODS]) + more
