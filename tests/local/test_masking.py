"""The masking model in a real Triton: the models behind it see masked texts only."""

from __future__ import annotations

import re
import shutil
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.local.session import Serving, User
from tests.paths import ROOT
from training import REPOSITORY
from triton_operator.cli.mask_model.command import mask_model
from triton_operator.sdk import Client, InferenceError

TEXT = "我是林晓东 tel 13912345678 card 4111 1111 1111 1111 <PHONE_1>"
SEEN = "我是<NAME> tel <PHONE> card <BANK_CARD> <PHONE_1>"

pytestmark = pytest.mark.timeout(900)  # The first test may download the server.


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models of the example, and an echo behind a mask of its own."""
    folder = tmp_path_factory.mktemp("models")
    for name in ("chinese_texts", "character_tokenizer", "chinese_texts_model", "feeling_labels"):
        shutil.copytree(REPOSITORY / name, folder / name)
    shutil.copytree(ROOT / "tests" / "models" / "echo", folder / "echo")
    mask_model(folder, before="chinese_texts")
    mask_model(folder, before="echo", name="echo_mask", actions=["EMAIL=hash"], key_file="hash.key")
    (folder / "echo_mask" / "1" / "hash.key").write_bytes(b"0123456789abcdef\n")
    return folder


@pytest.fixture(scope="module")
def echo(user: User, repository: Path) -> Iterator[Serving]:
    with user.serving(repository) as serving:
        yield serving


def texts(client: Client, model: str, *values: str) -> list[str]:
    """What a model returned for these texts."""
    inputs = {"INPUT__0": list(values), "INPUT__1": [True]}
    return [each.decode() for each in client.infer(model, inputs).outputs["OUTPUT__0"]]


def test_an_echo_behind_the_mask_returns_masked_texts_only(echo: Serving) -> None:
    """The echo alone is the control; the server counts what it masked."""
    with Client("echo", url=echo.http) as client:
        assert texts(client, "masked_echo", TEXT, "nothing") == [SEEN, "nothing"]
        assert texts(client, "echo", TEXT) == [TEXT]
        (hashed,) = texts(client, "masked_echo", "a@example.com")
        assert re.fullmatch(r"<EMAIL:[0-9a-f]{16}>", hashed)
    metrics = urllib.request.urlopen(f"http://{echo.metrics}/metrics", timeout=30).read().decode()
    counts = {line for line in metrics.splitlines() if line.startswith("masked_total{") and "echo_mask" in line}
    assert 'masked_total{model="echo_mask",type="PHONE"} 1' in counts
    assert 'masked_total{model="echo_mask",type="EMAIL"} 1' in counts
    assert "13912345678" not in metrics


def test_tokens_of_a_client_come_back_from_a_real_server(echo: Serving) -> None:
    with Client("echo", url=echo.http) as client, client.masked() as masked:
        answer = masked.infer("echo", {"INPUT__0": [TEXT], "INPUT__1": [True]})
        assert answer.outputs["OUTPUT__0"][0].decode() == TEXT
        assert masked.counts == {"NAME": 1, "PHONE": 1, "BANK_CARD": 1}


def test_a_text_that_is_not_utf_8_is_refused(echo: Serving) -> None:
    with Client("texts", url=echo.http) as client, pytest.raises(InferenceError, match="text is not UTF-8"):
        client.infer("masked_chinese_texts", np.array([[b"\xff"]], dtype=np.object_))


def test_a_server_that_masks_writes_no_text_to_its_output(echo: Serving) -> None:
    """The other tests have sent them; the last one of the echo, because it ends the server."""
    with Client("echo", url=echo.http) as client:
        assert texts(client, "masked_echo", TEXT) == [SEEN]
    log = echo.output + echo.end(signal.SIGINT)[1]
    assert "masked_echo" in log
    assert [word for word in ("13912345678", "林晓东", "4111") if word in log] == []


def test_the_example_classifies_masked_texts(user: User, repository: Path) -> None:
    """With the answer of the model for the masked text, and `chinese_texts` itself is not served."""
    with (
        user.serving("examples/masked-texts.yaml", "--repository", repository) as serving,
        Client("masked-texts", url=serving.http) as client,
    ):
        (label,) = client.infer("masked_chinese_texts", "我爱你").outputs["LABEL"][0]
        assert label == b"friendly"
        assert client.is_ready("mask")
        assert not client.is_ready("chinese_texts")
        log = serving.end(signal.SIGINT)[1]
    assert "我爱你" not in log
