"""Errors of failed downloads, from the code of `prepare` against a web server in the process.

The address of the server, which differs in each run, is replaced with that of an example.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from tests.web_server import Answer, Web, web_server
from triton_operator.api.repository import HttpSource
from triton_operator.prepare.errors import PrepareError
from triton_operator.prepare.fetch.origin import TransientError
from triton_operator.prepare.fetch.retry_budget import RetryBudget
from triton_operator.prepare.fetch.run import fetch
from triton_operator.prepare.fetch.space import out_of_space
from triton_operator.prepare.fetch.tls import untrusted
from triton_operator.triton.prepare_contract.request import Download

_SERVER = "https://models.example.com"
URL = f"{_SERVER}/v7.tar.gz"


def of_a_file_that_is_not_there(folder: Path) -> PrepareError:
    with web_server() as web:
        return _fail(web, folder)


def of_a_file_that_needs_credentials(folder: Path) -> PrepareError:
    with web_server() as web:
        web.answer = lambda _: Answer(401)
        return _fail(web, folder)


def of_an_archive_that_leads_out(folder: Path) -> PrepareError:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("../digits/1/model.pt"))
    with web_server({"/v7.tar.gz": buffer.getvalue()}) as web:
        return _fail(web, folder)


def from_a_server_that_nobody_vouches_for() -> PrepareError:
    """OpenSSL's words."""
    return untrusted(URL, "self-signed certificate in certificate chain")


def from_a_server_that_breaks_off() -> PrepareError:
    with pytest.raises(PrepareError) as raised:
        RetryBudget(URL).give_up(TransientError("the connection was closed unexpectedly"))
    return raised.value


def of_more_than_fits() -> PrepareError:
    return out_of_space(URL, needed=21 << 30, free=9 << 30)


def _fail(web: Web, folder: Path) -> PrepareError:
    address = f"http://127.0.0.1:{web.port}"
    download = Download(target=str(folder), http=HttpSource(f"{address}/v7.tar.gz", None))
    with pytest.raises(PrepareError) as raised:
        fetch(download, lambda done, total: None)
    error = raised.value
    return PrepareError(error.reason, error.model, str(error).replace(address, _SERVER))
