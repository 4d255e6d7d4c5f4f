"""The DNS names in the certificate of a deployment."""

from __future__ import annotations

from triton_operator.api.names import headless_service_name

CLUSTER_DOMAIN = "cluster.local"
"""The usual domain of a cluster. In one with another domain, clients use the names without it."""


def serving_names(namespace: str, name: str, hostnames: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Every name that a client may use: of the Service, of the headless Service and its pods, and `hostnames`."""
    headless = headless_service_name(name)
    pods = f"*.{headless}.{namespace}.svc"
    return (*_service(namespace, name), *_service(namespace, headless), pods, f"{pods}.{CLUSTER_DOMAIN}", *hostnames)


def _service(namespace: str, name: str) -> tuple[str, ...]:
    qualified = f"{name}.{namespace}.svc"
    return name, f"{name}.{namespace}", qualified, f"{qualified}.{CLUSTER_DOMAIN}"
