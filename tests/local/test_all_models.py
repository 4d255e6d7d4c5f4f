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
from training.verify import Report, verify

pytestmark = pytest.mark.timeout(900)  # The first of them may have to fetch the server.


@pytest.fixture(scope="module")
def everything(user: User) -> Iterator[Serving]:
    """The server of the whole folder, variants included; in a pod the example all-models.yaml has 16, the most."""
    with user.serving(REPOSITORY) as serving:
        yield serving


@pytest.mark.parametrize("name", MODELS)
def test_a_served_model_answers_its_test_part_as_pytorch(everything: Serving, name: str) -> None:
    """Over HTTP and gRPC, within what its recipe allows, and as well as its card says."""
    report = verify(name, http_url=everything.http, grpc_url=everything.grpc)
    assert set(report.differences) == {"HTTP", "gRPC"}
    assert report.passed, report.lines()


def test_all_models_answer_at_the_same_time(everything: Serving) -> None:
    """No caller gets the response of another model, or an error."""

    def ask(name: str) -> Report:
        return verify(name, http_url=everything.http, grpc_url=everything.grpc)

    with ThreadPoolExecutor(len(MODELS)) as pool:
        reports = list(pool.map(ask, MODELS))
    assert [report.model for report in reports] == list(MODELS)
    assert [line for report in reports if not report.passed for line in report.lines()] == []


def test_a_hundred_callers_get_what_each_gets_alone(everything: Serving) -> None:
    """On every model of examples/all-models.yaml, over both protocols; numbers may differ in the order of sums only."""
    requests = caller_requests()
    alone, found = answers(everything, requests)
    assert {request.model for request in requests} == set(ALL)
    assert len(found) == CALLERS
    wrong = [
        f"{request.model}, {output}: {values.tolist()} alone, {given[output].tolist()} among others"
        for request, own, each in zip(requests, alone, found, strict=True)
        for given in each
        for output, values in own.items()
        if not _same(values, given[output])
    ]
    assert wrong == []
    assert [len(each) for each in found] == [ROUNDS] * CALLERS
    print(f"{CALLERS} callers of {len(ALL)} models: {CALLERS * ROUNDS} answers as alone")


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    if one.dtype.kind != "f":
        return bool(np.array_equal(one, other))
    return one.shape == other.shape and bool(np.allclose(one, other, rtol=1e-4, atol=1e-4))
