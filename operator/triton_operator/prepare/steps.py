"""The steps of `prepare`, in order: fetch the repositories, resolve the models, lay them out for Triton.

Input: the Preparation in the pod's ConfigMap, the mounted repository and the folder for the models. Output: a Prepared,
or PrepareError. The command line and `tritonctl run` call it.
"""

from __future__ import annotations

from pathlib import Path

from triton_operator.api.conditions import Reason
from triton_operator.prepare.digest import content_mark
from triton_operator.prepare.errors import PrepareError
from triton_operator.prepare.layout import lay_out
from triton_operator.prepare.model import resolve_model
from triton_operator.prepare.sources import Repositories, fetch_all
from triton_operator.triton.prepare_contract.outcome import Prepared, PreparedModel
from triton_operator.triton.prepare_contract.request import Preparation, decode


def prepare(config: Path, source: Path, models: Path) -> Prepared:
    """Run all steps; raises PrepareError, or OSError if a file cannot be read or written."""
    preparation = _read_preparation(config)
    repositories = Repositories(source, preparation, fetch_all(preparation.downloads))
    resolved = [resolve_model(repositories.of(model), model, config.parent) for model in preparation.models]
    digests = lay_out(resolved, models)
    return Prepared(
        tuple(
            PreparedModel(model.name, model.versions, digest, content_mark(model, digest))
            for model, digest in zip(resolved, digests, strict=True)
        )
    )


def fetch_only(config: Path) -> Prepared:
    """Only fetch, onto a volume that outlives this pod; raises the same errors as `prepare`."""
    downloads = _read_preparation(config).downloads
    for download in downloads:
        Path(download.target).mkdir(exist_ok=True)
    fetch_all(downloads, durable=True)
    return Prepared(())


def _read_preparation(config: Path) -> Preparation:
    try:
        preparation = decode(config.read_bytes())
    except ValueError as error:
        raise PrepareError(Reason.PREPARE_FAILED, "", f"{config}: {error}") from error
    for model in preparation.models:
        if model.name in {"", ".", ".."} or "/" in model.name or "\0" in model.name:
            raise PrepareError(Reason.PREPARE_FAILED, model.name, f'"{model.name}" is not a valid model name')
    return preparation
