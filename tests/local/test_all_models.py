"""Every model of the repository in one real Triton: each answers as PyTorch does, alone and beside all others."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

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
    """Nobody gets another model's answer, and nobody an error."""

    def ask(name: str) -> Report:
        return verify(name, http_url=everything.http, grpc_url=everything.grpc)

    with ThreadPoolExecutor(len(MODELS)) as pool:
        reports = list(pool.map(ask, MODELS))
    assert [report.model for report in reports] == list(MODELS)
    assert [line for report in reports if not report.passed for line in report.lines()] == []
