"""A device plugin with devices that do not exist: offer them to a kubelet, so that pods can request them.

    python -m hack.cluster.native.device_plugin FOLDER nvidia.com/gpu=2 amd.com/gpu=1

Input: the kubelet's folder of sockets, and the number of devices of each resource. Output: none; it runs until SIGTERM,
and then withdraws the devices. A container gets the names of its devices in an environment variable (`variable`), as
NVIDIA's plugin does it. `devices` starts it for the native node.
"""

from __future__ import annotations

import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc

from hack.cluster.native import device_api as api

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_CHECK_SECONDS = 0.2
_REGISTER_SECONDS = 5.0
_END_SECONDS = 2.0


class DevicePlugin:
    """The devices of one resource."""

    def __init__(self, folder: Path, resource: str, count: int) -> None:
        """Prepare to offer `count` devices in the kubelet's folder of sockets."""
        self.resource = resource
        self.devices = tuple(f"{resource.rpartition('/')[2]}-{number}" for number in range(count))
        self._socket = folder / f"{resource.replace('/', '_')}.sock"
        self._kubelet = folder / api.KUBELET_SOCKET
        self._server: grpc.Server | None = None
        self._withdrawn = threading.Event()

    def ensure_registered(self) -> None:
        """Serve and register, unless this has happened since the kubelet started: it then removes all other sockets.

        Raises grpc.RpcError if the kubelet does not accept the registration, for example because it is starting.
        """
        if self._server and self._socket.exists():
            return
        self.withdraw()
        self._serve()
        try:
            self._register()
        except grpc.RpcError:
            self.withdraw()
            raise

    def withdraw(self) -> None:
        """Report that there are no devices any more, and stop serving."""
        self._withdrawn.set()
        if self._server:
            self._server.stop(_END_SECONDS).wait()
            self._server = None

    def _serve(self) -> None:
        self._withdrawn = threading.Event()
        self._server = grpc.server(ThreadPoolExecutor(4))
        methods = {
            "GetDevicePluginOptions": lambda _request, _context: api.message("DevicePluginOptions"),
            "ListAndWatch": self._list_and_watch,
            "Allocate": self._allocate,
        }
        self._server.add_generic_rpc_handlers((api.service("DevicePlugin", methods),))
        self._server.add_insecure_port(f"unix:{self._socket}")
        self._server.start()

    def _register(self) -> None:
        request = api.message(
            "RegisterRequest", version=api.VERSION, endpoint=self._socket.name, resource_name=self.resource
        )
        with grpc.insecure_channel(f"unix:{self._kubelet}") as channel:
            api.call(channel, "Register", request, seconds=_REGISTER_SECONDS)

    def _list_and_watch(self, _: Any, __: grpc.ServicerContext) -> Iterator[Any]:
        withdrawn = self._withdrawn
        devices = [api.message("Device", ID=name, health=api.HEALTHY) for name in self.devices]
        yield api.message("ListAndWatchResponse", devices=devices)
        withdrawn.wait()
        yield api.message("ListAndWatchResponse")

    def _allocate(self, request: Any, context: grpc.ServicerContext) -> Any:
        responses = []
        for container in request.container_requests:
            names = list(container.devices_ids)
            if unknown := sorted(set(names) - set(self.devices)):
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"no device of {self.resource} is named {unknown[0]}")
            envs = {variable(self.resource): ",".join(sorted(names))}
            responses.append(api.message("ContainerAllocateResponse", envs=envs))
        return api.message("AllocateResponse", container_responses=responses)


def variable(resource: str) -> str:
    """The environment variable with the names of a container's devices, such as DEVICES_NVIDIA_COM_GPU."""
    return "DEVICES_" + "".join(letter if letter.isalnum() else "_" for letter in resource).upper()


def run(plugins: Sequence[DevicePlugin], ended: threading.Event) -> None:
    """Keep the plugins registered until `ended` is set; then withdraw their devices."""
    while not ended.wait(_CHECK_SECONDS):
        for plugin in plugins:
            try:
                plugin.ensure_registered()
            except grpc.RpcError as error:
                print(f"{plugin.resource}: the kubelet did not accept the registration: {error}", flush=True)
    for plugin in plugins:
        plugin.withdraw()


def main() -> None:
    """Offer the devices of the command line."""
    folder = Path(sys.argv[1])
    pairs = [word.split("=") for word in sys.argv[2:]]
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    run([DevicePlugin(folder, resource, int(count)) for resource, count in pairs], ended)


if __name__ == "__main__":
    main()
