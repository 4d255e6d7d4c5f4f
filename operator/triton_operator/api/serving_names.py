"""The DNS names under which clients reach a deployment, for which its certificate is valid."""

from __future__ import annotations

from triton_operator.api.names import headless_service_name

CLUSTER_DOMAIN = "cluster.local"
"""The usual domain of a cluster. In one with another domain, clients use the names without it."""

_SHORT_NAME = 2
"""Labels of the longest name of a Service without `svc`."""


def serving_names(namespace: str, name: str, hostnames: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Every name that a client may use: of the Service, of the headless Service and its pods, and `hostnames`.

    Reserved host names are omitted, regardless of who accepted them.
    """
    headless = headless_service_name(name)
    pods = f"*.{headless}.{namespace}.svc"
    services = (*_service(namespace, name), *_service(namespace, headless), pods, f"{pods}.{CLUSTER_DOMAIN}")
    return tuple(dict.fromkeys((*services, *(each for each in hostnames if not is_reserved(each)))))


def is_reserved(hostname: str) -> bool:
    """Whether a Service of any deployment may have this name, so that it must not be in another one's certificate.

    `payments.shop` is a short name of the Service `payments` in the namespace `shop`.
    """
    labels = hostname.split(".")
    return len(labels) <= _SHORT_NAME or "svc" in labels[_SHORT_NAME:]


def _service(namespace: str, name: str) -> tuple[str, ...]:
    qualified = f"{name}.{namespace}.svc"
    return name, f"{name}.{namespace}", qualified, f"{qualified}.{CLUSTER_DOMAIN}"
