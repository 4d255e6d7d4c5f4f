"""Downloads by `prepare`'s own code: what came, or the error that it ends with."""

from __future__ import annotations

from pathlib import Path

import pytest

from triton_operator.prepare.errors import PrepareError
from triton_operator.prepare.fetch.run import fetch
from triton_operator.triton.prepare_contract.request import Download


def fetched(download: Download) -> dict[str, bytes]:
    """Fetch it; {name: content} of what came."""
    folder = fetch(download, lambda done, total: None)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(download: Download) -> PrepareError:
    """Fetch it and expect to fail; nothing may look complete then."""
    with pytest.raises(PrepareError) as error:
        fetched(download)
    assert not (Path(download.target) / "repository").exists()
    return error.value
