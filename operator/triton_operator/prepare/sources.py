"""The repositories of a pod's models: fetched if they are not mounted, and opened on demand.

`steps` calls it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from triton_operator.prepare.repository import Repository
from triton_operator.triton.prepare_contract.request import Download, FetchProxy, Preparation, PreparationModel

_REPORT_SECONDS = 10


def fetch_all(
    downloads: Iterable[Download], proxy: FetchProxy | None = None, *, durable: bool = False
) -> dict[str, Path]:
    """Fetch one after the other and report progress on stderr; returns {target: folder with the repository}.

    Raises PrepareError. `fetch` describes `durable`.
    """
    return {download.target: _fetch(download, proxy, durable=durable) for download in downloads}


class Repositories:
    """The repository of each model, opened once."""

    def __init__(self, source: Path, request: Preparation, fetched: dict[str, Path]) -> None:
        """`source` is the mount point of the common repository, `fetched` the result of `fetch_all`."""
        self._source = source
        self._wanted = request
        self._fetched = fetched
        self._open: dict[tuple[Path, str], Repository] = {}

    def of(self, model: PreparationModel) -> Repository:
        """The repository of this model; raises PrepareError if its path is not a folder."""
        mount = Path(model.source) if model.source else self._source
        path = model.source_path if model.source else self._wanted.source_path
        place = (self._fetched.get(str(mount), mount), path)
        if place not in self._open:
            self._open[place] = Repository(*place)
        return self._open[place]


def _fetch(download: Download, proxy: FetchProxy | None, *, durable: bool) -> Path:
    from triton_operator.prepare.fetch.run import fetch  # Slow import, needed for downloads only.

    return fetch(download, _ProgressReporter(), proxy, durable=durable)


class VerifiedModel(NamedTuple):
    """A model whose signature was verified, if the object requires one; `signed_by` is "" for an unsigned one.

    `released_as` is the name of its folder in the source, if it was copied from there.
    """

    repository: Repository
    request: PreparationModel
    signed_by: str = ""
    released_as: str = ""

    @property
    def signed_name(self) -> str:
        """The name under which the model was signed or encrypted: that of its folder."""
        return self.released_as or PurePosixPath(self.request.path).name or self.request.name


class _ProgressReporter:
    """Reports progress at intervals."""

    def __init__(self) -> None:
        self._next = time.monotonic() + _REPORT_SECONDS

    def __call__(self, done: int, total: int | None) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _REPORT_SECONDS
        of_all = "" if total is None else f" of {total >> 20}"
        sys.stderr.write(f"fetched {done >> 20}{of_all} MiB\n")
