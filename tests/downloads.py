"""Downloads with the code of `prepare`: the fetched files, or the resulting error."""

from __future__ import annotations

from pathlib import Path

import pytest

from triton_operator.prepare.errors import PrepareError
from triton_operator.prepare.fetch.run import fetch
from triton_operator.triton.prepare_contract.request import Download, FetchProxy


def fetched(download: Download, proxy: FetchProxy | None = None) -> dict[str, bytes]:
    """Fetch it and return {name: content}."""
    folder = fetch(download, lambda done, total: None, proxy)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(download: Download, proxy: FetchProxy | None = None) -> PrepareError:
    """Fetch it, expect an error, and check that no file looks complete."""
    with pytest.raises(PrepareError) as error:
        fetched(download, proxy)
    assert not (Path(download.target) / "repository").exists()
    return error.value
