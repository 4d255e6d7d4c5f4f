"""The federated model is served like any other."""

from __future__ import annotations

from collections.abc import Callable

from hack.cluster.handle import RunningCluster
from tests.kube import Kube, Object
from tests.served import serve
from training.verify import verify


def test_what_parties_agreed_on_answers_as_eager_pytorch(
    node: RunningCluster, kube: Kube, model_deployment: Callable[..., Object]
) -> None:
    """The whole test set is sent over HTTP and gRPC, and the accuracy is the one in the model card."""
    kube.apply(model_deployment("breast_cancer_federated"))
    kube.wait_ready("breast-cancer-federated")
    with serve(node, kube, "breast-cancer-federated") as served, served.http() as http, served.grpc() as grpc:
        report = verify("breast_cancer_federated", http, grpc)
    assert report.passed, report.lines()
    assert all(scores["accuracy"] >= 0.95 for scores in report.scores.values())
