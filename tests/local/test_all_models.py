"""Every model of the repository in one real Triton: each returns PyTorch's results, alone and under concurrent load."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.local.callers import CALLERS, ROUNDS, answers, caller_requests
from tests.local.callers import MODELS as ALL
from tests.local.session import Serving, User
from training import MODELS, REPOSITORY
from training.verify import Report, verify_addresses

pytestmark = pytest.mark.timeout(900)  # The first test may download the server.


@pytest.fixture(scope="module")
def everything(user: User) -> Iterator[Serving]:
    """Serve the whole folder, including variants; a pod is limited to the 16 models of all-models.yaml."""
    with user.serving(REPOSITORY) as serving:
        yield serving


@pytest.mark.parametrize("name", MODELS)
def test_a_served_model_answers_its_test_part_as_pytorch(everything: Serving, name: str) -> None:
    """Results over HTTP and gRPC are within the recipe's tolerance, and the scores are those of the model card."""
    report = verify_addresses(name, everything.http, everything.grpc)
    assert set(report.differences) == {"HTTP", "gRPC"}
    assert report.passed, report.lines()


def test_all_models_answer_at_the_same_time(everything: Serving) -> None:
    """No caller gets the response of another model, or an error."""

    def ask(name: str) -> Report:
        return verify_addresses(name, everything.http, everything.grpc)

    with ThreadPoolExecutor(len(MODELS)) as pool:
        reports = list(pool.map(ask, MODELS))
    assert [report.model for report in reports] == list(MODELS)
    assert [line for report in reports if not report.passed for line in report.lines()] == []


def test_a_hundred_callers_get_what_each_gets_alone(everything: Serving) -> None:
    """All models of examples/all-models.yaml are called over both protocols; only the order of sums may differ."""
    requests = caller_requests()
    alone, together = answers(everything, requests)
    assert {request.model for request in requests} == set(ALL)
    assert len(together) == CALLERS
    wrong = [
        f"{request.model}, {output}: {values.tolist()} alone, {tensors[output].tolist()} among others"
        for request, own, each in zip(requests, alone, together, strict=True)
        for tensors in each
        for output, values in own.items()
        if not _same(values, tensors[output])
    ]
    assert wrong == []
    assert [len(each) for each in together] == [ROUNDS] * CALLERS
    print(f"{CALLERS} callers of {len(ALL)} models: {CALLERS * ROUNDS} answers as alone")


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    if one.dtype.kind != "f":
        return bool(np.array_equal(one, other))
    return one.shape == other.shape and bool(np.allclose(one, other, rtol=1e-4, atol=1e-4))
