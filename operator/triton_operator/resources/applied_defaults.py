"""List the values of a deployment's pods that the user did not set, and the reason for each.

Pure. Input: a deployment and the settings of the installation. Output: Choices, those of the models first. Each one is
computed by the code that renders it, so the two cannot differ. `tritonctl render --show-defaults` prints them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from triton_operator.api.autoscaling import Keda
from triton_operator.api.privacy import Audit
from triton_operator.api.quantity import format_bytes
from triton_operator.api.rollout import Strategy
from triton_operator.api.spec import ModelDeployment, Spec
from triton_operator.resources.accelerators import scheduling_defaults
from triton_operator.resources.body_limit import max_body_bytes
from triton_operator.resources.container_resources import (
    default_requests,
    describe,
    job_resources,
    prepare_resources,
    proxy_resources,
)
from triton_operator.resources.fetch_defaults import default_authorities, default_proxy
from triton_operator.resources.model_configs import RenderedConfig, known_messages, render_configs
from triton_operator.resources.pod import flags_of, open_endpoints
from triton_operator.resources.pod_settings import account_name
from triton_operator.resources.probes import startup_seconds
from triton_operator.resources.rollout import (
    BEFORE_STARTUP_SECONDS,
    OLD_REVISIONS,
    progress_deadline_seconds,
)
from triton_operator.resources.scaled_object import COOLDOWN_SECONDS, POLLING_SECONDS
from triton_operator.resources.scaling_presets import DEFAULT_METRICS, default_target
from triton_operator.resources.server_environment import server_environment
from triton_operator.resources.server_image import ServerImage, choose_server_image
from triton_operator.resources.settings import FetchDefaults, Settings
from triton_operator.resources.shared_memory import shared_memory_size
from triton_operator.resources.sources import sources_of
from triton_operator.resources.spread import SPREAD_OVER, spreads_replicas
from triton_operator.resources.termination import MARGIN_SECONDS, termination
from triton_operator.resources.tls import terminates_tls, tls_mode
from triton_operator.triton.config.defaults import Choice

_CPU = "The CPU usage of the container triton, because most models are limited by it; 20% are a reserve."
_RESERVE = "Leaves a reserve while new replicas start."
_REQUESTS = "Sufficient for small models; an autoscaler on CPU needs a request as its reference."

_PREPARE = "The values of Triton's container, which runs after it; values in the spec override them."
_PROXY = "A part of the limits of Triton's container, with the same ratio of request and limit; the spec overrides it."
_JOB = "The values of Triton's container, at most 1 CPU and 1Gi of memory; values in the spec override them."


def applied_defaults(deployment: ModelDeployment, settings: Settings) -> list[Choice]:
    """The defaults of this deployment; raises InvalidSpecError in the same cases as rendering."""
    spec = deployment.spec
    server = choose_server_image(spec, settings)
    configs = render_configs(spec, server)
    return [
        *_models(configs),
        *(
            Choice(f"spec.resources.requests.{name}", value, _REQUESTS)
            for name, value in default_requests(spec).items()
        ),
        *_account(deployment),
        *_other_containers(spec),
        *_fetching(spec, settings.fetching),
        *_autoscaling(spec),
        *_server(spec, server),
        *_open_endpoints(spec),
        *_privacy(spec, configs),
        *_shared_memory(spec, configs),
        *_catalogue(spec, server, settings),
        *_spread(spec),
        *_lifecycle(spec),
        *_rollout(spec),
        *(Choice(f"environment {each.name}", each.value, each.reason) for each in server_environment(spec)),
        *(
            Choice(f"flag --{flag.name}", flag.value or "", flag.reason)
            for flag in flags_of(spec, server, ipv6=settings.ipv6)
        ),
    ]


def _account(deployment: ModelDeployment) -> Iterator[Choice]:
    if deployment.spec.service_account.name is None:
        why = "The operator creates this account for the pods; no container gets a token for the API server."
        yield Choice("spec.serviceAccount.name", account_name(deployment), why)


def _other_containers(spec: Spec) -> Iterator[Choice]:
    yield Choice("spec.prepare.resources", describe(prepare_resources(spec)), _PREPARE)
    if spec.cache:
        yield Choice("spec.cache.resources", describe(job_resources(spec)), _JOB)


def _fetching(spec: Spec, fetching: FetchDefaults) -> Iterator[Choice]:
    fetched = [source.repository for source in sources_of(spec) if source.repository.fetched]
    if fetched and (proxy := default_proxy(spec, fetching)):
        yield Choice("spec.prepare.httpProxy.url", proxy.url, "The proxy of the installation, in the chart's values.")
    if bundle := next(filter(None, (default_authorities(repository, fetching) for repository in fetched)), None):
        why = "The authorities of the installation, in the chart's values."
        yield Choice("caBundleConfigMapRef", f"key {bundle.key} of ConfigMap {bundle.name}", why)


def _autoscaling(spec: Spec) -> Iterator[Choice]:
    if spec.autoscaling is None:
        return
    if not spec.autoscaling.metrics:
        value = ", ".join(f"{metric.type} at {default_target(metric.type)}%" for metric in DEFAULT_METRICS)
        yield Choice("spec.autoscaling.metrics", value, _CPU)
    for index, metric in enumerate(spec.autoscaling.metrics):
        chosen = default_target(metric.type) if metric.type.is_preset else None
        if chosen is not None and metric.average_utilization is None and metric.average_value is None:
            name = "averageUtilization" if metric.type.is_percentage else "averageValue"
            yield Choice(f"spec.autoscaling.metrics[{index}].{name}", str(chosen), _RESERVE)
    if spec.autoscaling.uses_keda:
        yield from _keda(spec.autoscaling.keda or Keda())


def _keda(keda: Keda) -> Iterator[Choice]:
    if keda.polling_interval_seconds is None:
        field = "spec.autoscaling.keda.pollingIntervalSeconds"
        yield Choice(field, str(POLLING_SECONDS), "The first replica starts soon after a trigger becomes active.")
    if keda.cooldown_seconds is None:
        field = "spec.autoscaling.keda.cooldownSeconds"
        yield Choice(field, str(COOLDOWN_SECONDS), "Loading models again takes longer than a short pause.")


def _models(configs: Sequence[RenderedConfig]) -> Iterator[Choice]:
    for index, config in enumerate(configs):
        path = f"spec.models[{index}].config"
        if config.message is None:
            yield Choice(path, *_text_of_others(config))
        for choice in config.choices:
            yield Choice(f"{path}.{choice.field}", choice.value, choice.why)


def _text_of_others(config: RenderedConfig) -> tuple[str, str]:
    """The source of a configuration that only the pod can read, and how the pod completes it."""
    reference = config.model.config_map_ref
    text = f"key {reference.key} of ConfigMap {reference.name}" if reference else "the repository's config.pbtxt"
    if config.tuning.may_complete(hand_written=True):
        return text, "Missing fields get defaults in the pod, because the model has an objective."
    without = (
        ""
        if reference
        else " Without the file, the pod creates one from the signature in the model's file and the defaults."
    )
    return text, f"Used unchanged, unless the model has an objective.{without}"


def _server(spec: Spec, server: ServerImage) -> Iterator[Choice]:
    if spec.triton.image is None:
        entry = "entry for that release" if spec.triton.version else "default entry"
        device = "GPUs" if spec.gpu else "CPUs"
        if spec.gpu and spec.gpu.resource_claims:
            device = "NVIDIA's GPUs, because claims do not say whose GPUs they are of"
        why = f"The catalogue's {entry} for {device}."
        yield Choice("spec.triton.image", server.image, why)
    if spec.triton.version is None:
        why = (
            "From the image's tag or the catalogue; it determines the flags."
            if server.version
            else ("The image's release is not known, so only flags of all supported releases are set.")
        )
        yield Choice("spec.triton.version", server.version or "unknown", why)


def _open_endpoints(spec: Spec) -> Iterator[Choice]:
    if spec.triton.open_endpoints is None:
        value = ", ".join(open_endpoints(spec)) or "none"
        yield Choice(
            "spec.triton.openEndpoints",
            value,
            f"Default of the profile {spec.privacy.profile}; see the guide for the closed APIs.",
        )


def _privacy(spec: Spec, configs: Sequence[RenderedConfig]) -> Iterator[Choice]:
    if spec.privacy.tls.mode is None:
        yield Choice("spec.privacy.tls.mode", tls_mode(spec), f"Default of the profile {spec.privacy.profile}.")
    if not terminates_tls(spec):
        return
    if spec.privacy.audit is None:
        yield Choice("spec.privacy.audit", Audit.ALL, "Records who calls what; it never contains tensors or tokens.")
    limit = format_bytes(max_body_bytes(spec, known_messages(configs)))
    yield Choice("largest request", limit, "A full batch of the largest known model as JSON, at least Triton's limit.")
    yield Choice("spec.privacy.proxy.resources", describe(proxy_resources(spec)), _PROXY)


def _shared_memory(spec: Spec, configs: Sequence[RenderedConfig]) -> Iterator[Choice]:
    if spec.triton.shared_memory_size is None:
        yield Choice("spec.triton.sharedMemorySize", *shared_memory_size(spec, known_messages(configs)))


def _catalogue(spec: Spec, server: ServerImage, settings: Settings) -> Iterator[Choice]:
    added = scheduling_defaults(spec, server, settings)
    of_gpus = f"The catalogue's default for {spec.gpu.extended_resource}." if spec.gpu else ""
    if added.tolerations:
        keys = ", ".join(str(each.get("key", "all taints")) for each in added.tolerations)
        yield Choice("spec.scheduling.tolerations", keys, of_gpus)
    if added.runtime_class_name:
        yield Choice("spec.scheduling.runtimeClassName", added.runtime_class_name, of_gpus)
    for label, value in (added.node_selector or {}).items():
        why = "The image of the catalogue is for this architecture only."
        yield Choice(f"spec.scheduling.nodeSelector.{label}", value, why)


def _spread(spec: Spec) -> Iterator[Choice]:
    if spreads_replicas(spec):
        why = (
            "Replicas preferably run apart; spec.scheduling.topologySpreadConstraints and podAntiAffinity override it."
        )
        yield Choice("spec.scheduling.affinity.podAntiAffinity", f"preferred: {', '.join(SPREAD_OVER)}", why)


def _lifecycle(spec: Spec) -> Iterator[Choice]:
    if spec.lifecycle.startup_timeout_seconds is None:
        seconds = str(startup_seconds(spec))
        yield Choice("spec.lifecycle.startupTimeoutSeconds", seconds, "Large models take minutes to load.")
    yield from _termination(spec)


def _termination(spec: Spec) -> Iterator[Choice]:
    times = termination(spec)
    if spec.lifecycle.pre_stop_seconds is None:
        yield Choice("spec.lifecycle.preStopSeconds", str(times.pre_stop), "Time to leave the Services.")
    if spec.lifecycle.termination_grace_period_seconds is None:
        why = (
            f"{times.pre_stop} s to leave the Services, {times.exit_timeout} s for requests in flight, "
            f"{MARGIN_SECONDS} s of margin."
        )
        yield Choice("spec.lifecycle.terminationGracePeriodSeconds", str(times.grace), why)


def _rollout(spec: Spec) -> Iterator[Choice]:
    rollout = spec.rollout
    if rollout.strategy is Strategy.AUTO:
        why = "It serves before the old one stops. If there is no room for it, an old pod stops first."
        yield Choice("spec.rollout.strategy", "the new pod starts first", why)
    if rollout.progress_deadline_seconds is None:
        why = f"The startup timeout plus {BEFORE_STARTUP_SECONDS} s for image pulls and the preparation of models."
        yield Choice("spec.rollout.progressDeadlineSeconds", str(progress_deadline_seconds(spec)), why)
    if rollout.revision_history_limit is None:
        yield Choice("spec.rollout.revisionHistoryLimit", str(OLD_REVISIONS), "Old revisions that are kept.")
