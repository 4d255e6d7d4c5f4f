"""Read the objects for a report.

Input: a client and the name of a deployment. Output: an `Observed`. Only objects that a reader of the namespace can
read are requested, and never a Secret. Evidence that cannot be read is missing in the report, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from triton_operator.api.names import CA_CONFIG_MAP, certificate_name, proxy_config_name
from triton_operator.api.privacy import TLSMode
from triton_operator.api.spec import Spec, parse
from triton_operator.api.url import shown_url
from triton_operator.cli.cluster.objects import labels_of
from triton_operator.cli.concurrency import call_all
from triton_operator.cli.privacy.observed import Observed
from triton_operator.cli.privacy.report import NotRead
from triton_operator.cli.terminal.spinner import spinner
from triton_operator.cluster.observed import Kind
from triton_operator.cluster.resource_paths import CHILDREN, MODEL_DEPLOYMENTS, PODS
from triton_operator.resources.tls import has_proxy, tls_mode
from triton_operator.sdk.cluster_objects import Object, Selection
from triton_operator.sdk.errors import DeploymentNotFoundError, SdkError
from triton_operator.sdk.kubernetes_client import KubernetesClient

_AT_A_TIME = 4


class _Query(NamedTuple):
    """A request: what it reads, in the words of the report, and how it is sent."""

    what: str
    send: Callable[[], Any]


def read_observed(client: KubernetesClient, name: str, namespace: str) -> Observed:
    """Read the deployment and what belongs to it; raises SdkError if the deployment itself cannot be read."""
    with spinner(f"reading {name} and its objects"):
        deployment = client.get(MODEL_DEPLOYMENTS, name, namespace)
        place = str(deployment["metadata"].get("namespace") or namespace)
        spec = parse(deployment).spec
        queries = {
            "version": _Query("the version of the cluster", lambda: client.get_path("/version")),
            "pods": _Query("the pods", partial(_list, client, Selection(PODS, place, labels=labels_of(name)))),
            "policies": _Query(
                "the NetworkPolicies", partial(_list, client, Selection(CHILDREN[Kind.NETWORK_POLICY], place))
            ),
            **{
                f"configmap/{each}": _Query(f"ConfigMap {each}", partial(_get, client, Kind.CONFIG_MAP, each, place))
                for each in sorted(set(_config_maps(spec, name)))
            },
        }
        if tls_mode(spec) is TLSMode.CERT_MANAGER:
            certificate = certificate_name(name)
            queries["certificate"] = _Query(
                f"Certificate {certificate}", partial(_get, client, Kind.CERTIFICATE, certificate, place)
            )
        found = call_all([partial(_attempt, query) for query in queries.values()], at_a_time=_AT_A_TIME)
    return _observed(deployment, client.server, dict(zip(queries, found, strict=True)))


def _config_maps(spec: Spec, name: str) -> Iterator[str]:
    """The names of the ConfigMaps with the proxy's policy, the authorities and the public keys."""
    mode = tls_mode(spec)
    if has_proxy(mode):
        yield proxy_config_name(name)
    if mode is TLSMode.MANAGED:
        yield CA_CONFIG_MAP
    if spec.privacy.client_cas:
        yield spec.privacy.client_cas.config_map_ref.name
    if spec.verification:
        yield from (key.config_map_ref.name for key in spec.verification.keys if key.config_map_ref)


def _list(client: KubernetesClient, selection: Selection) -> list[Object]:
    return client.list(selection).items


def _get(client: KubernetesClient, kind: Kind, name: str, namespace: str) -> Object:
    return client.get(CHILDREN[kind], name, namespace)


def _attempt(query: _Query) -> Any:
    try:
        return query.send()
    except DeploymentNotFoundError:
        return NotRead(query.what, "it does not exist")
    except SdkError as error:
        return NotRead(query.what, str(error))


def _observed(deployment: Object, server: str, found: dict[str, Any]) -> Observed:
    read = {key: value for key, value in found.items() if not isinstance(value, NotRead)}
    return Observed(
        deployment=deployment,
        server=shown_url(server),
        version=str(read.get("version", {}).get("gitVersion", "")),
        pods=read.get("pods", []),
        policies=read.get("policies", []),
        config_maps={
            key.removeprefix("configmap/"): value for key, value in read.items() if key.startswith("configmap/")
        },
        certificate=read.get("certificate"),
        not_read=tuple(value for value in found.values() if isinstance(value, NotRead)),
    )
