"""A rendered pod template with its model configs, stored in a ControllerRevision, so that upgrades do not roll pods.

A deployment is rendered again only if a field that affects pods changes (`inputs_hash`). A newer operator, which might
render differently, continues to apply the template in the revision. `build` creates the revisions, and `reconcile`
reads them from the cluster and decides which one is current.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Any

import msgspec

from triton_operator.api.cache import Egress
from triton_operator.api.decryption import Decryption, VaultEgress
from triton_operator.api.model import Model
from triton_operator.api.names import LABEL_REVISION, config_map_name, content_hash, revision_name
from triton_operator.api.pod_template import PodTemplate
from triton_operator.api.privacy import Profile, Proxy, TLSMode
from triton_operator.api.resources import Resources
from triton_operator.api.spec import ModelDeployment, Prepare, Spec
from triton_operator.api.struct import Struct
from triton_operator.resources.accelerators import check_device, with_catalogue_defaults
from triton_operator.resources.cache_content import claim_name
from triton_operator.resources.fetch_defaults import with_fetch_defaults
from triton_operator.resources.fetch_proxy import fetch_proxy
from triton_operator.resources.metadata import Manifest, child_metadata
from triton_operator.resources.model_configs import add_configs, config_files, render_configs
from triton_operator.resources.model_formats import aotinductor_backend, check_formats
from triton_operator.resources.model_tree import is_copied
from triton_operator.resources.pod import Parts, build_pod_template
from triton_operator.resources.pod_summary import ContainerSummary, TemplateSummary
from triton_operator.resources.revision_spec import stored_spec
from triton_operator.resources.scan_mode import scan_mode
from triton_operator.resources.server_image import ServerImage, choose_server_image
from triton_operator.resources.settings import Settings
from triton_operator.resources.signing_keys import checks_signatures, is_writable, signature_check
from triton_operator.resources.sources import build_downloads, location_of, sources_of
from triton_operator.resources.tls import has_proxy, needs_proxy, tls_mode
from triton_operator.resources.vault import vault_login
from triton_operator.triton.prepare_contract import request as preparation
from triton_operator.triton.server.extra_args import check_extra_args


class RevisionSummary(Struct, frozen=True):
    """The fields that status and pruning need; decoding skips most of the template, which is most of the content."""

    template_hash: str
    server_image: str
    server_version: str
    config_name: str
    claim_name: str = ""
    tls_mode: TLSMode = TLSMode.DISABLED
    air_gapped: bool = False
    template: TemplateSummary = TemplateSummary()

    @property
    def containers(self) -> tuple[ContainerSummary, ...]:
        """All containers, in the order of their start."""
        return (*self.template.spec.init_containers, *self.template.spec.containers)

    @property
    def terminates_tls(self) -> bool:
        """Whether the pods of the revision have the sidecar `proxy`, so that Triton listens on loopback only."""
        return has_proxy(self.tls_mode)


class Revision(Struct, frozen=True, omit_defaults=False, dict=True):
    """The rendered output that a newer operator must not change.

    `config` is the ConfigMap's data, `service_ports` are the containers' ports for clients, `template` is a
    PodTemplateSpec with `template_hash` as its revision label, and `claim_name` is the cache that it mounts. `tls_mode`
    is unset for Disabled, `air_gapped` unless the profile is AirGapped. `spec` is the part of the spec from which the
    pods were rendered, for `tritonctl rollout undo`. A field that was added later is not encoded if
    it is unset, because the object's name is a hash of the encoded form.
    """

    inputs_hash: str
    template_hash: str
    server_image: str
    server_version: str
    config_name: str
    config: dict[str, str]
    service_ports: tuple[dict[str, Any], ...]
    template: dict[str, Any]
    claim_name: str | msgspec.UnsetType = msgspec.UNSET
    tls_mode: TLSMode | msgspec.UnsetType = msgspec.UNSET
    air_gapped: bool | msgspec.UnsetType = msgspec.UNSET
    spec: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET

    @property
    def terminates_tls(self) -> bool:
        """Whether its pods have the sidecar `proxy`."""
        return has_proxy(self.tls_mode or TLSMode.DISABLED)

    def is_rendered_from(self, spec: Spec) -> bool:
        """Whether the pods are those of this spec, so that the revision remains current.

        A revision without the proxy, from before the profile had one, cannot enforce callers that are set later.
        """
        return self.inputs_hash == inputs_hash(spec) and (self.terminates_tls or not needs_proxy(spec))

    @cached_property
    def encoded(self) -> bytes:
        """The content of the ControllerRevision as canonical JSON."""
        return msgspec.json.encode(self, order="sorted")

    @cached_property
    def summary(self) -> RevisionSummary:
        """The fields that the operator keeps between passes."""
        return RevisionSummary(
            template_hash=self.template_hash,
            server_image=self.server_image,
            server_version=self.server_version,
            config_name=self.config_name,
            claim_name=self.claim_name or "",
            tls_mode=self.tls_mode or TLSMode.DISABLED,
            air_gapped=self.air_gapped is True,
            template=msgspec.convert(self.template, TemplateSummary),
        )

    def object_name(self, deployment_name: str) -> str:
        """Name of the ControllerRevision that stores this revision."""
        return revision_name(deployment_name, self.encoded)


class _PodInputs(Struct, frozen=True):
    """The fields of a spec that affect pods. Members may be added; never remove one or change its default."""

    model_repository: Any
    models: Any
    gpu: Any
    resources: Any
    image_pull_secrets: Any
    triton: Any
    scheduling: Any
    profile: Any
    tls: Any
    startup_timeout: Any = None
    cache: Any = None
    prepare: Any = None
    verification: Any = None
    proxy: Any = None
    decryption: Any = None
    env: Any = None
    env_from: Any = None
    pod_labels: Any = None
    pod_annotations: Any = None
    account: Any = None
    image_pull_policy: Any = None
    dns_config: Any = None
    host_aliases: Any = None
    termination_grace_period: Any = None
    pre_stop: Any = None
    pod_template: Any = None
    restarted_at: Any = None


def inputs_hash(spec: Spec) -> str:
    """Hash of the fields that affect pods; replicas, autoscaling, suspend, service and network peers do not."""
    inputs = _PodInputs(
        model_repository=spec.model_repository,
        models=spec.models,
        gpu=spec.gpu,
        resources=spec.resources,
        image_pull_secrets=spec.image_pull_secrets,
        triton=spec.triton,
        scheduling=spec.scheduling,
        profile=spec.privacy.profile,
        # The issuer affects the content of the Secret, which changes in place.
        tls=msgspec.structs.replace(spec.privacy.tls, cert_manager=None),
        startup_timeout=spec.lifecycle.startup_timeout_seconds,
        # The egress and the resources of the cache Job do not affect serving pods.
        cache=msgspec.structs.replace(spec.cache, egress=Egress(), resources=Resources()) if spec.cache else None,
        prepare=_prepare_of_pods(spec),
        verification=spec.verification,
        proxy=spec.privacy.proxy if spec.privacy.proxy != Proxy() else None,
        decryption=_without_egress(spec.decryption),
        env=spec.env or None,
        env_from=spec.env_from or None,
        pod_labels=spec.pod_labels or None,
        pod_annotations=spec.pod_annotations or None,
        account=spec.service_account.name,
        image_pull_policy=spec.image_pull_policy,
        dns_config=spec.dns_config,
        host_aliases=spec.host_aliases or None,
        termination_grace_period=spec.lifecycle.termination_grace_period_seconds,
        pre_stop=spec.lifecycle.pre_stop_seconds,
        pod_template=spec.pod_template if spec.pod_template != PodTemplate() else None,
        restarted_at=spec.rollout.restarted_at,
    )
    return content_hash(msgspec.json.encode(inputs, order="sorted"), 10)


def _prepare_of_pods(spec: Spec) -> Prepare | None:
    """The settings that affect pods: not the proxy if only the Job of the cache fetches something."""
    fetches = any(source.fetched_by_pods for source in sources_of(spec))
    prepare = spec.prepare if fetches else msgspec.structs.replace(spec.prepare, http_proxy=None)
    return prepare if prepare != Prepare() else None


def _without_egress(decryption: Decryption | None) -> Decryption | None:
    """The fields that affect pods; the NetworkPolicy changes without them."""
    if decryption is None or decryption.vault is None:
        return decryption
    return msgspec.structs.replace(decryption, vault=msgspec.structs.replace(decryption.vault, egress=VaultEgress()))


def render_revision(deployment: ModelDeployment, service_ports: list[dict[str, Any]], settings: Settings) -> Revision:
    """Render the pods of this spec; raises InvalidSpecError, for example if no server image supports it."""
    spec = deployment.spec
    check_device(spec, settings)
    server = choose_server_image(spec, settings)
    check_extra_args(spec.triton.extra_args, server.release)
    check_formats(spec, server)
    configs = render_configs(spec, server)
    # Neither a default of the installation nor the proxy of a Job affects the hash of the inputs.
    fetching = with_fetch_defaults(deployment, settings.fetching)
    request = add_configs(_preparation(fetching.spec, server), configs)
    config = {preparation.CONFIG_FILE: preparation.encode(request).decode(), **config_files(configs)}
    config_name = config_map_name(deployment.metadata.name, msgspec.json.encode(config, order="sorted"))
    parts = Parts(
        server,
        settings.operator_image,
        config_name,
        configs,
        ipv6=settings.ipv6,
        user_ids=settings.pod_user_ids,
    )
    template = build_pod_template(with_catalogue_defaults(fetching, server, settings), parts)
    template_hash = content_hash(msgspec.json.encode(template, order="sorted"), 10)
    template["metadata"]["labels"][LABEL_REVISION] = template_hash
    return Revision(
        inputs_hash=inputs_hash(spec),
        template_hash=template_hash,
        server_image=server.image,
        server_version=server.version,
        config_name=config_name,
        config=config,
        service_ports=tuple(service_ports),
        template=template,
        claim_name=claim_name(deployment) or msgspec.UNSET,
        tls_mode=msgspec.UNSET if tls_mode(spec) is TLSMode.DISABLED else tls_mode(spec),
        air_gapped=True if spec.privacy.profile is Profile.AIR_GAPPED else msgspec.UNSET,
        spec=stored_spec(spec),
    )


@lru_cache(maxsize=16)
def decode_revision(data: bytes) -> Revision:
    """Decode a ControllerRevision's data; raises msgspec.DecodeError for foreign content. Cached as the summaries."""
    return msgspec.json.decode(data, type=Revision)


@lru_cache(maxsize=64)
def summarize_revision(data: bytes) -> RevisionSummary:
    """Decode only the summary; raises msgspec.DecodeError for foreign content. Cached: a pass needs it repeatedly."""
    return msgspec.json.decode(data, type=RevisionSummary)


def build_controller_revision(deployment: ModelDeployment, revision: Revision, number: int) -> Manifest:
    """The ControllerRevision. Its data is immutable; `number` increases if old content becomes current again."""
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": child_metadata(deployment, revision.object_name(deployment.metadata.name)),
        "revision": number,
        "data": msgspec.to_builtins(revision),
    }


def _preparation(spec: Spec, server: ServerImage) -> preparation.Preparation:
    common, downloads = spec.model_repository, build_downloads(spec)
    return preparation.Preparation(
        models=tuple(_preparation_model(spec, model, server) for model in spec.models),
        source_path=common.path if common else "/",
        downloads=downloads,
        verification=signature_check(spec),
        decrypts=spec.decryption is not None,
        scan=scan_mode(spec),
        vault=vault_login(spec),
        proxy=fetch_proxy(spec) if downloads else None,
    )


def _preparation_model(spec: Spec, model: Model, server: ServerImage) -> preparation.PreparationModel:
    location = location_of(spec, model)
    return preparation.PreparationModel(
        name=model.name,
        path=model.folder,
        source=location.source,
        source_path=location.source_path,
        copy=is_copied(spec, model),
        aotinductor_backend=aotinductor_backend(model, server),
        writable=checks_signatures(spec) and is_writable(spec, model),
    )
