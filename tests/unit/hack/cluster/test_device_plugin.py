"""The device plugin of the native node, with a kubelet that speaks the same protocol in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

import grpc
import pytest

from hack.cluster.native import device_api as api
from hack.cluster.native.device_plugin import DevicePlugin, run, variable

GPU = "nvidia.com/gpu"
SECONDS = 60.0


class Kubelet:
    """The kubelet's side: its socket, and calls to the plugin that has registered."""

    def __init__(self, folder: Path) -> None:
        """Remove all sockets, as a kubelet does when it starts, and serve."""
        for path in folder.iterdir():
            path.unlink()
        self.registered: Queue[Any] = Queue()
        self._folder = folder
        self._server = grpc.server(ThreadPoolExecutor(1))
        self._server.add_generic_rpc_handlers((api.service("Registration", {"Register": self._register}),))
        self._server.add_insecure_port(f"unix:{folder / api.KUBELET_SOCKET}")
        self._server.start()

    def stop(self) -> None:
        self._server.stop(None).wait()

    @contextmanager
    def plugin(self) -> Iterator[grpc.Channel]:
        """Wait for a registration, and connect to the plugin."""
        request = self.registered.get(timeout=SECONDS)
        assert (request.version, request.resource_name) == ("v1beta1", GPU)
        with grpc.insecure_channel(f"unix:{self._folder / request.endpoint}") as channel:
            yield channel

    def _register(self, request: Any, _: grpc.ServicerContext) -> Any:
        self.registered.put(request)
        return api.message("Empty")


@pytest.fixture
def kubelet(tmp_path: Path) -> Iterator[Callable[[], Kubelet]]:
    """Return a function that starts a kubelet in `tmp_path`."""
    started: list[Kubelet] = []

    def start() -> Kubelet:
        started.append(Kubelet(tmp_path))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def end(tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Run a plugin with two GPUs in `tmp_path`, and return a function that ends it."""
    ended = threading.Event()
    thread = threading.Thread(target=run, args=([DevicePlugin(tmp_path, GPU, 2)], ended))
    thread.start()
    yield ended.set
    ended.set()
    thread.join(SECONDS)
    assert not thread.is_alive()


def listed(response: Any) -> list[tuple[str, str]]:
    return [(device.ID, device.health) for device in response.devices]


BOTH = [("gpu-0", "Healthy"), ("gpu-1", "Healthy")]


def allocate(channel: grpc.Channel, *containers: list[str]) -> Any:
    requests = [api.message("ContainerAllocateRequest", devices_ids=names) for names in containers]
    return api.call(channel, "Allocate", api.message("AllocateRequest", container_requests=requests), seconds=SECONDS)


def test_the_devices_are_offered_until_the_plugin_ends(kubelet: Callable[[], Kubelet], end: Callable[[], None]) -> None:
    with kubelet().plugin() as channel:
        api.call(channel, "GetDevicePluginOptions", api.message("Empty"), seconds=SECONDS)
        responses = api.stream(channel, "ListAndWatch", api.message("Empty"))

        assert listed(next(responses)) == BOTH
        end()
        assert listed(next(responses)) == []


@pytest.mark.usefixtures("end")
def test_each_container_gets_the_names_of_its_devices(kubelet: Callable[[], Kubelet]) -> None:
    with kubelet().plugin() as channel:
        allocated = allocate(channel, ["gpu-1"], ["gpu-1", "gpu-0"])

    assert [dict(each.envs) for each in allocated.container_responses] == [
        {"DEVICES_NVIDIA_COM_GPU": "gpu-1"},
        {"DEVICES_NVIDIA_COM_GPU": "gpu-0,gpu-1"},
    ]


@pytest.mark.usefixtures("end")
def test_an_unknown_device_is_not_allocated(kubelet: Callable[[], Kubelet]) -> None:
    with (
        kubelet().plugin() as channel,
        pytest.raises(grpc.RpcError, match=r"no device of nvidia.com/gpu is named gpu-2"),
    ):
        allocate(channel, ["gpu-0", "gpu-2"])


@pytest.mark.usefixtures("end")
def test_the_devices_are_offered_again_after_the_kubelet_has_restarted(kubelet: Callable[[], Kubelet]) -> None:
    first = kubelet()
    with first.plugin() as channel:
        assert listed(next(api.stream(channel, "ListAndWatch", api.message("Empty")))) == BOTH
    first.stop()

    with kubelet().plugin() as channel:
        assert listed(next(api.stream(channel, "ListAndWatch", api.message("Empty")))) == BOTH


def test_the_variable_is_valid_for_every_resource() -> None:
    assert variable("nvidia.com/mig-1g.10gb") == "DEVICES_NVIDIA_COM_MIG_1G_10GB"
