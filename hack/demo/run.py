"""`make demo`: cluster, images, operator, model, predictions, privacy.

Input: the machine, and $CLUSTER. Output: a running deployment `digits`, its predictions and its privacy controls on
standard output, and commands to try next. Completed steps are skipped.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from hack import cluster as clusters
from hack.cache import cache_dir
from hack.cluster import RunningCluster
from hack.demo.failures import DemoError
from hack.demo.next_steps import next_steps
from hack.demo.predictions import show_predictions, write_request
from hack.demo.privacy import check_network, show_privacy
from hack.demo.prober import Prober
from hack.images import build
from hack.images.builder import BuiltImage
from hack.install import client_of, install_operator, make_namespace
from hack.preflight import require_machine
from hack.programs.catalogue import are_built
from hack.progress import bold, say, step
from training.digits_data import unseen_digits
from triton_operator.sdk import DeploymentStatus, KubeContext, NotReadyError
from triton_operator.sdk.deployments import Deployments
from triton_operator.sdk.status import read_status
from triton_operator.sdk.waiting import wait_until_ready

NAMESPACE = "triton-demo"
NAME = "digits"
EXAMPLE = Path(__file__).parents[2] / "examples" / "digits.yaml"
_READY_SECONDS = 300
_DIGITS = 5


def up() -> None:
    """Start what is missing, and show predictions over HTTP and gRPC, and the privacy controls."""
    started = time.monotonic()
    require_machine()
    announce_builds()
    cluster, images = bring_up()
    cluster.load_images(images.values())
    with step("install the operator with Helm"):
        install_operator(cluster, images)
    deploy(cluster, images["models"])
    await_ready(cluster)
    check_network(client_of(cluster), NAMESPACE, NAME)
    predict(cluster)
    print(f"\n{show_privacy(read_status(deployments(cluster).read(NAME, NAMESPACE)))}")
    say(next_steps(cluster, NAMESPACE, NAME, write_request(cache_dir() / "demo", unseen_digits(1).inputs)))
    say(f"\n✓ {bold('the demo took')} {time.monotonic() - started:.0f} s")


def announce_builds() -> None:
    """Announce the duration and the folder of the first build."""
    if clusters.which().kind == "native" and not are_built():
        say(f"The first run downloads and builds into {cache_dir()}, about 15 minutes; later runs take one or two.")


def bring_up() -> tuple[RunningCluster, dict[str, BuiltImage]]:
    """Start the cluster and build the images concurrently: one mostly computes, the other mostly downloads."""
    with ThreadPoolExecutor(2) as pool:
        building = pool.submit(build, "operator", "triton-cpu", "models")
        starting = pool.submit(clusters.ensure)
        return starting.result(), {image.name: image for image in building.result()}


def deploy(cluster: RunningCluster, models: BuiltImage) -> None:
    """Apply the example with the reference of the local model image."""
    with step(f"apply {EXAMPLE.parent.name}/{EXAMPLE.name}"):
        make_namespace(cluster, NAMESPACE)
        manifest = with_reference(yaml.safe_load(EXAMPLE.read_text()), models.reference)
        deployments(cluster).apply(manifest, NAMESPACE, force=True)  # An earlier run may have used kubectl.


def with_reference(manifest: dict[str, Any], reference: str) -> dict[str, Any]:
    """The ModelDeployment with another model image."""
    image = {**manifest["spec"]["modelRepository"]["image"], "reference": reference}
    return {**manifest, "spec": {**manifest["spec"], "modelRepository": {"image": image}}}


def await_ready(cluster: RunningCluster) -> None:
    """Follow the object until it is Ready; print each reason with its time."""
    started = time.monotonic()
    say(f"… {NAME} becomes Ready")

    def print_reason(status: DeploymentStatus) -> None:
        say(f"  {time.monotonic() - started:5.1f} s  {status.reason}: {status.message}")

    changes = deployments(cluster).follow(NAME, NAMESPACE, seconds=_READY_SECONDS)
    try:
        wait_until_ready(changes, _READY_SECONDS, print_reason)
    except NotReadyError as error:
        raise DemoError(
            f"{error}. `kubectl --kubeconfig {cluster.kubeconfig} -n {NAMESPACE} describe md {NAME}` prints the details"
        ) from error
    say(f"✓ {NAME} is Ready {time.monotonic() - started:.1f} s")


def deployments(cluster: RunningCluster) -> Deployments:
    """The ModelDeployments of the demo's cluster."""
    return Deployments(KubeContext(str(cluster.kubeconfig)), manager="triton-operator-demo")


def predict(cluster: RunningCluster) -> None:
    """Predict digits of the test set over both protocols; raises DemoError if the results differ."""
    digits = unseen_digits(_DIGITS)
    with Prober(cluster, NAMESPACE, NAME) as prober:
        predictions = [prober.predict(image) for image in digits.inputs]
    print(show_predictions(digits, predictions, colour=os.isatty(1) and "NO_COLOR" not in os.environ))
    if any(each.http.digit != each.grpc.digit for each in predictions):
        raise DemoError("HTTP and gRPC returned different digits")
