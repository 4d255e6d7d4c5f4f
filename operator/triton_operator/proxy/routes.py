"""The allow-list: rules that refuse every request that is not inference, health or metadata.

Input: the opened groups of APIs. Output: lines of a `frontend`. Requests are compared as they arrive: a path with an
encoded character, a double slash or another spelling is not on the list, so Triton and the proxy cannot read a path
differently. What remains is passed on without its query and without headers that Triton does not need.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from triton_operator.api.spec import Endpoint
from triton_operator.proxy.refusals import (
    LENGTH_REQUIRED,
    MALFORMED,
    NOT_OFFERED,
    UNSUPPORTED_ENCODING,
    refuse,
    refuse_at_once,
)
from triton_operator.triton.client_apis import GRPC_SERVICE, STREAM, grpc_methods

MODEL = r"[A-Za-z0-9](?:[.]?[A-Za-z0-9_-])*"
"""A model name, as `names.MODEL_NAME_PATTERN`."""
_VERSION = r"(?:/versions/[0-9]{1,19})?"
_OF_A_MODEL = f"^/v2/models/{MODEL}{_VERSION}"
_ALL_STATISTICS = "/v2/models/stats"
"""The statistics of all models; the path has the form of the metadata of a model called `stats`."""

_OPENED_PATHS = {Endpoint.MODEL_CONFIG: "config", Endpoint.STATISTICS: "stats"}

_PASSED_HEADERS = (
    "host",
    "accept",
    "accept-encoding",
    "content-length",
    "content-type",
    "expect",
    "grpc-accept-encoding",
    "grpc-timeout",
    "inference-header-content-length",
    "te",
    "transfer-encoding",
)


def acls() -> list[str]:
    """Names of conditions that other rules use."""
    return [
        "acl h1 req.ver 1.0 1.1",
        "acl h2 req.ver 2.0",
        "acl grpc req.hdr(content-type) -m reg ^application/grpc($|[+;])",
        f"acl grpc_stream path -m str {STREAM}",
        "acl origin_form url_beg /",
        "acl absolute_path path_beg /",
    ]


def protocol() -> list[str]:
    """The variable `txn.protocol`, on which the form of a refusal depends."""
    return ["http-request set-var(txn.protocol) str(http)", "http-request set-var(txn.protocol) str(grpc) if grpc"]


def classify(folder: str) -> list[str]:
    """Rules that refuse requests that are ambiguous."""
    return [
        *refuse_at_once(MALFORMED, "unless h2 or h1 origin_form", folder),
        *refuse_at_once(MALFORMED, "unless absolute_path", folder),
        *refuse_at_once(MALFORMED, "if { req.hdr(upgrade) -m found } or { req.hdr(http2-settings) -m found }", folder),
        *refuse_at_once(LENGTH_REQUIRED, "if { req.hdr(transfer-encoding) -m found }", folder),
        # Triton has no limit for what it decompresses: 600 KB can become 1.2 GB of its memory.
        *refuse(
            UNSUPPORTED_ENCODING,
            "if { req.hdr(content-encoding) -m reg -i ^(?!identity$) } "
            "or { req.hdr(grpc-encoding) -m reg -i ^(?!identity$) }",
            folder,
        ),
    ]


def allow_list(opened: Collection[Endpoint], folder: str) -> list[str]:
    """Rules that refuse what is not on the list; the rules after them see listed requests only."""
    methods = grpc_methods(opened)
    pages = "|".join(["ready", *(name for group, name in _OPENED_PATHS.items() if group in opened)])
    all_statistics = [f"acl listed_get path -m str {_ALL_STATISTICS}"] if Endpoint.STATISTICS in opened else []
    return [
        f"acl all_statistics path -m str {_ALL_STATISTICS}",
        "acl listed_get path -m str /v2 /v2/health/live /v2/health/ready",
        f"acl model_get path -m reg {_OF_A_MODEL}(?:/(?:{pages}))?$",
        f"acl listed_post path -m reg {_OF_A_MODEL}/(?:infer|generate|generate_stream)$",
        f"acl listed_method path -m str {' '.join(methods)}",
        f"acl grpc_of_a_model path -m str {' '.join(_of_a_model(methods))}",
        *all_statistics,
        *refuse(NOT_OFFERED, "if grpc !METH_POST or grpc !h2 or grpc !listed_method", folder),
        "acl get method GET",
        "acl post method POST",
        *refuse(
            NOT_OFFERED,
            "unless grpc or get listed_get or get model_get !all_statistics or post listed_post",
            folder,
        ),
    ]


def lengths(folder: str) -> list[str]:
    """Rules that refuse bodies of unknown length; gRPC announces the length of each message."""
    return [
        *refuse(LENGTH_REQUIRED, "if post !grpc !{ req.hdr(content-length) -m found }", folder),
        # Triton gets a small body in one piece, so a client that sends it slowly does not occupy Triton.
        "http-request wait-for-body time 10s if post !grpc",
        "http-request wait-for-body time 5s at-least 1 if get !grpc",
        *refuse_at_once(MALFORMED, "if get !grpc { req.body_len gt 0 }", folder),
    ]


def _of_a_model(methods: Iterable[str]) -> list[str]:
    return [method for method in methods if method.startswith(f"/{GRPC_SERVICE}/Model")]


def health_only(folder: str) -> list[str]:
    """Rules for the plain listener: health checks, of the kubelet for example."""
    return [
        "acl grpc_stream always_false",
        "http-request set-var(txn.protocol) str(http)",
        "acl health path -m str /v2/health/live /v2/health/ready",
        f"acl health path -m reg {_OF_A_MODEL}/ready$",
        "acl read method GET HEAD",
        "acl origin_form url_beg /",
        *refuse(NOT_OFFERED, "unless read health origin_form", folder),
    ]


def clean(*further: str) -> list[str]:
    """Rules that remove the query and every header that Triton does not need, such as tokens and `X-Forwarded-For`.

    `further` are headers that are kept, too.
    """
    kept = "|".join((*_PASSED_HEADERS, *further))
    return [
        "http-request set-uri %[path]",
        f"http-request del-header ^(?!(?:{kept})$) -m reg",
    ]
