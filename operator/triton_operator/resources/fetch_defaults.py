"""Add the defaults of the installation for the download of models to a spec: the HTTP proxy, and CA certificates.

Pure. Input: a deployment and the chart's settings. Output: a deployment with the fields that the user could have set,
from which pods and Jobs are built. What the user has set is not changed.
"""

from __future__ import annotations

import msgspec

from triton_operator.api.cache import Cache, Egress
from triton_operator.api.http_proxy import HttpProxy
from triton_operator.api.privacy import Profile
from triton_operator.api.repository import CABundle, ModelRepository
from triton_operator.api.spec import ModelDeployment, Spec
from triton_operator.resources.egress import port_of
from triton_operator.resources.fetch_proxy import is_proxied, url_of
from triton_operator.resources.settings import FetchDefaults
from triton_operator.resources.sources import cached_sources, sources_of


def with_fetch_defaults(deployment: ModelDeployment, fetching: FetchDefaults) -> ModelDeployment:
    """The deployment with these defaults; the same object if there are none."""
    if fetching == FetchDefaults() or not any(source.repository.fetched for source in sources_of(deployment.spec)):
        return deployment
    spec = _with_authorities(deployment.spec, fetching.ca_bundle_config_map_ref)
    if proxy := default_proxy(spec, fetching):
        spec = _with_proxy(spec, proxy, fetching.proxy_cidrs)
    return msgspec.structs.replace(deployment, spec=spec)


def default_proxy(spec: Spec, fetching: FetchDefaults) -> HttpProxy | None:
    """The proxy of the installation, unless the user decides; never under AirGapped, because it connects outside."""
    if spec.prepare.http_proxy or spec.privacy.profile is Profile.AIR_GAPPED:
        return None
    return fetching.http_proxy


def default_authorities(repository: ModelRepository, fetching: FetchDefaults) -> CABundle | None:
    """The ConfigMap of the installation, unless the user names one; http:// does not use certificates."""
    if not repository.fetched or repository.ca_bundle_config_map_ref or url_of(repository).startswith("http://"):
        return None
    return fetching.ca_bundle_config_map_ref


def _with_authorities(spec: Spec, bundle: CABundle | None) -> Spec:
    fetching = FetchDefaults(ca_bundle_config_map_ref=bundle)

    def complete(repository: ModelRepository | None) -> ModelRepository | None:
        default = default_authorities(repository, fetching) if repository else None
        if repository is None or default is None:
            return repository
        return msgspec.structs.replace(repository, ca_bundle_config_map_ref=default)

    models = (
        msgspec.structs.replace(model, model_repository=complete(model.model_repository)) for model in spec.models
    )
    return msgspec.structs.replace(spec, model_repository=complete(spec.model_repository), models=tuple(models))


def _with_proxy(spec: Spec, proxy: HttpProxy, cidrs: tuple[str, ...]) -> Spec:
    proxied = msgspec.structs.replace(spec, prepare=msgspec.structs.replace(spec.prepare, http_proxy=proxy))
    if spec.cache is None:
        return proxied
    return msgspec.structs.replace(proxied, cache=_reaching(proxied, spec.cache, port_of(proxy.url), cidrs))


def _reaching(spec: Spec, cache: Cache, port: int, cidrs: tuple[str, ...]) -> Cache:
    """The cache with an egress that contains the proxy.

    An egress to any address stays as it is, unless the Job connects to nothing but the proxy.
    """
    through = [is_proxied(spec, source.repository) for source in cached_sources(spec)]
    if not any(through):
        return cache
    egress = cache.egress
    is_closed = bool(egress.cidrs) or all(through)
    return msgspec.structs.replace(
        cache,
        egress=Egress(
            cidrs=tuple(dict.fromkeys((*egress.cidrs, *cidrs))) if is_closed else (),
            ports=tuple(dict.fromkeys((*egress.ports, port))) if egress.ports else (),
        ),
    )
