"""What is said of a server of this machine that ended before it served."""

from __future__ import annotations

import os

import pytest

from triton_operator.local.errors import LocalError
from triton_operator.local.server import started

NOT_VALID = (
    'E1129 16:51:56.443 7 model_repository_manager.cc:703] "Invalid argument: in ensemble tagger, input C in model s '
    'is not mapped to any ensemble tensors"'
)
ALL_FAILED = "error: creating server: Internal - failed to load all models"


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ([NOT_VALID, ALL_FAILED], 'model "tagger": in ensemble tagger, input C in model s is not mapped'),
        (["something unknown about it", ALL_FAILED], "something unknown about it"),
    ],
)
def test_a_failed_start_has_its_reason_and_no_pod(log: list[str], words: str) -> None:
    """The log is not shown otherwise, so what is not recognised is quoted."""
    command = ["/bin/sh", "-c", "".join(f"echo '{line}'\n" for line in log) + "exit 1"]
    with started(command, os.environ, 1, print) as server, pytest.raises(LocalError) as failed:
        server.wait_ready(60)
    assert words in str(failed.value)
    assert "pod" not in str(failed.value)
