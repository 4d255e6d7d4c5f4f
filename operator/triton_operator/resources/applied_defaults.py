"""List the values of a deployment's pods that the user did not set, and the reason for each.

Pure. Input: a deployment and the settings of the installation. Output: Choices, those of the models first. Each one is
computed by the code that renders it, so the two cannot differ. `tritonctl render --show-defaults` prints them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from triton_operator.api.spec import ModelDeployment, Spec
from triton_operator.resources.container_resources import default_requests, describe, job_resources, prepare_resources
from triton_operator.resources.deployment import (
    BEFORE_STARTUP_SECONDS,
    progress_deadline_seconds,
    replaces_in_place,
)
from triton_operator.resources.model_configs import RenderedConfig, known_messages, render_configs
from triton_operator.resources.pod import GRACE_SECONDS, PRE_STOP_SECONDS, flags_of, open_endpoints
from triton_operator.resources.probes import startup_seconds
from triton_operator.resources.server_environment import server_environment
from triton_operator.resources.server_image import ServerImage, choose_server_image
from triton_operator.resources.settings import Settings
from triton_operator.resources.shared_memory import shared_memory_size
from triton_operator.triton.config.defaults import Choice
from triton_operator.triton.server.flags import EXIT_TIMEOUT_SECONDS

_REQUESTS = "Fits small models; an autoscaler on CPU needs a request to measure against."

_PREPARE = "As Triton's container, which runs after it, so the pod needs no more; what the spec names goes before that."
_JOB = "As Triton's container, at most 1 CPU and 1Gi of memory; what the spec names goes before that."


def applied_defaults(deployment: ModelDeployment, settings: Settings) -> list[Choice]:
    """The defaults of this deployment; raises InvalidSpecError, as rendering does."""
    spec = deployment.spec
    server = choose_server_image(spec, settings)
    configs = render_configs(spec, server)
    return [
        *_models(configs),
        *(
            Choice(f"spec.resources.requests.{name}", value, _REQUESTS)
            for name, value in default_requests(spec).items()
        ),
        *_other_containers(spec),
        *_server(spec, server),
        *_open_endpoints(spec),
        *_shared_memory(spec, configs),
        *_lifecycle(spec),
        *(Choice(f"environment {each.name}", each.value, each.reason) for each in server_environment(spec)),
        *(Choice(f"flag --{flag.name}", flag.value or "", flag.reason) for flag in flags_of(spec, server)),
    ]


def _other_containers(spec: Spec) -> Iterator[Choice]:
    yield Choice("spec.prepare.resources", describe(prepare_resources(spec)), _PREPARE)
    if spec.cache:
        yield Choice("spec.cache.resources", describe(job_resources(spec)), _JOB)


def _models(configs: Sequence[RenderedConfig]) -> Iterator[Choice]:
    for index, config in enumerate(configs):
        path = f"spec.models[{index}].config"
        if config.message is None:
            yield Choice(path, *_text_of_others(config))
        for choice in config.choices:
            yield Choice(f"{path}.{choice.field}", choice.value, choice.why)


def _text_of_others(config: RenderedConfig) -> tuple[str, str]:
    """A text that only the pod can read, and what becomes of it there."""
    reference = config.model.config_map_ref
    text = f"key {reference.key} of ConfigMap {reference.name}" if reference else "the repository's config.pbtxt"
    if config.tuning.may_complete(hand_written=True):
        return text, "What it leaves open is chosen in the pod, because the model has an objective."
    without = "" if reference else " Without the file, the signature in the model and the defaults make one in the pod."
    return text, f"Its author's word: nothing is added to it unless the model has an objective.{without}"


def _server(spec: Spec, server: ServerImage) -> Iterator[Choice]:
    if spec.triton.image is None:
        asked = "of that release" if spec.triton.version else "by default"
        device = "GPUs" if spec.gpu else "CPUs"
        why = f"What the installation's catalogue has {asked} for {device}."
        yield Choice("spec.triton.image", server.image, why)
    if spec.triton.version is None:
        why = (
            "Read from the image's tag or the catalogue; decides about flags."
            if server.version
            else ("The image does not say it, so only flags that every supported release has are given.")
        )
        yield Choice("spec.triton.version", server.version or "unknown", why)


def _open_endpoints(spec: Spec) -> Iterator[Choice]:
    if spec.triton.open_endpoints is None:
        value = ", ".join(open_endpoints(spec)) or "none"
        yield Choice(
            "spec.triton.openEndpoints", value, f"By the profile {spec.privacy.profile}; the guide says what is closed."
        )


def _shared_memory(spec: Spec, configs: Sequence[RenderedConfig]) -> Iterator[Choice]:
    if spec.triton.shared_memory_size is None:
        yield Choice("spec.triton.sharedMemorySize", *shared_memory_size(spec, known_messages(configs)))


def _lifecycle(spec: Spec) -> Iterator[Choice]:
    if spec.lifecycle.startup_timeout_seconds is None:
        seconds = str(startup_seconds(spec))
        yield Choice("spec.lifecycle.startupTimeoutSeconds", seconds, "Big models load for minutes.")
    if spec.lifecycle.progress_deadline_seconds is None:
        why = f"The start, and {BEFORE_STARTUP_SECONDS} s for pulling images and preparing models before it."
        yield Choice("spec.lifecycle.progressDeadlineSeconds", str(progress_deadline_seconds(spec)), why)
    yield _rollout(spec)
    yield Choice(
        "terminationGracePeriodSeconds",
        str(GRACE_SECONDS),
        f"{PRE_STOP_SECONDS} s until Services forget it, {EXIT_TIMEOUT_SECONDS} s for requests in flight, 5 s spare.",
    )


def _rollout(spec: Spec) -> Choice:
    if replaces_in_place(spec):
        return Choice("rollout", "the old pod goes first", "A new pod that waits for the last GPU would wait forever.")
    return Choice("rollout", "the new pod comes first", "It serves before the old one goes.")
