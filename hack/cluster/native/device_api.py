"""The kubelet's API for device plugins, v1beta1: its messages and methods.

Input: none. Output: message classes, and functions that build gRPC servers and calls. `device_plugin` serves
DevicePlugin and calls Registration; tests do the opposite. The messages are built from tables, because a module that
protoc generates depends on the version of protobuf. The tables have only the fields that a plugin without special
options needs: protobuf ignores the others.

https://github.com/kubernetes/kubelet/blob/v0.36.3/pkg/apis/deviceplugin/v1beta1/api.proto
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

VERSION = "v1beta1"
HEALTHY = "Healthy"
KUBELET_SOCKET = "kubelet.sock"
"""The kubelet's socket, next to those of the plugins."""

_FILE = "hack/deviceplugin.proto"
# Message -> its fields: name, number and type. A type in brackets is repeated. {} is a map of strings.
_MESSAGES: dict[str, tuple[tuple[str, int, str], ...]] = {
    "Empty": (),
    "DevicePluginOptions": (),
    "RegisterRequest": (("version", 1, "string"), ("endpoint", 2, "string"), ("resource_name", 3, "string")),
    "Device": (("ID", 1, "string"), ("health", 2, "string")),
    "ListAndWatchResponse": (("devices", 1, "[Device]"),),
    "ContainerAllocateRequest": (("devices_ids", 1, "[string]"),),
    "AllocateRequest": (("container_requests", 1, "[ContainerAllocateRequest]"),),
    "ContainerAllocateResponse": (("envs", 1, "{}"),),
    "AllocateResponse": (("container_responses", 1, "[ContainerAllocateResponse]"),),
}
# Method -> its service, request and response.
_METHODS = {
    "Register": ("Registration", "RegisterRequest", "Empty"),
    "GetDevicePluginOptions": ("DevicePlugin", "Empty", "DevicePluginOptions"),
    "ListAndWatch": ("DevicePlugin", "Empty", "ListAndWatchResponse"),
    "Allocate": ("DevicePlugin", "AllocateRequest", "AllocateResponse"),
}
_STREAMS = frozenset({"ListAndWatch"})
"""Methods with several responses."""


def message(name: str, /, **fields: Any) -> Any:
    """Create a message of the API with these fields."""
    return _CLASSES[name](**fields)


def service(
    name: str, methods: Mapping[str, Callable[[Any, grpc.ServicerContext], Any]]
) -> grpc.GenericRpcHandler[Any, Any]:
    """Return a handler that serves the methods of a service with these functions."""
    return grpc.method_handlers_generic_handler(
        f"{VERSION}.{name}", {method: _handler(method, function) for method, function in methods.items()}
    )


def call(channel: grpc.Channel, method: str, request: Any, *, seconds: float) -> Any:
    """Send a request, and return the response; raises grpc.RpcError if there is none after `seconds`."""
    service_name, _, response = _METHODS[method]
    rpc = channel.unary_unary(
        f"/{VERSION}.{service_name}/{method}", type(request).SerializeToString, _CLASSES[response].FromString
    )
    return rpc(request, timeout=seconds, wait_for_ready=True)


def stream(channel: grpc.Channel, method: str, request: Any) -> Iterator[Any]:
    """Send a request when the first response is read, and yield the responses as they arrive."""
    service_name, _, response = _METHODS[method]
    rpc = channel.unary_stream(
        f"/{VERSION}.{service_name}/{method}", type(request).SerializeToString, _CLASSES[response].FromString
    )
    yield from rpc(request, wait_for_ready=True)


def _handler(method: str, function: Callable[[Any, grpc.ServicerContext], Any]) -> grpc.RpcMethodHandler[Any, Any]:
    _, request, response = _METHODS[method]
    build = grpc.unary_stream_rpc_method_handler if method in _STREAMS else grpc.unary_unary_rpc_method_handler
    return build(function, _CLASSES[request].FromString, _CLASSES[response].SerializeToString)


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name=_FILE, package=VERSION, syntax="proto3")
    for name, fields in _MESSAGES.items():
        described = file.message_type.add(name=name)
        for field, number, kind in fields:
            _describe(described, field, number, kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{VERSION}.{name}")) for name in _MESSAGES
    }


def _describe(described: Any, name: str, number: int, kind: str) -> None:
    """Add a field to the description of a message."""
    of = descriptor_pb2.FieldDescriptorProto
    field = described.field.add(name=name, number=number, label=of.LABEL_OPTIONAL)
    if kind == "{}":
        kind = f"[{described.name}.{_map_entry(described, name)}]"
    if kind.startswith("["):
        field.label, kind = of.LABEL_REPEATED, kind[1:-1]
    if kind == "string":
        field.type = of.TYPE_STRING
    else:
        field.type, field.type_name = of.TYPE_MESSAGE, f".{VERSION}.{kind}"


def _map_entry(described: Any, name: str) -> str:
    """Describe the message of one entry of a map, and return its name."""
    entry = described.nested_type.add(name=f"{name.capitalize()}Entry")
    entry.options.map_entry = True
    _describe(entry, "key", 1, "string")
    _describe(entry, "value", 2, "string")
    return str(entry.name)


_CLASSES = _classes()
