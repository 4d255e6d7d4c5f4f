"""Find the models for `tritonctl run`: in a folder, in one file, or in a ModelDeployment's YAML.

Input: a path and options. Output: a deployment, and the local folder to use as its model repository. Models in a folder
that cannot be served are reported before the start, with the findings of `lint`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import typer

from triton_operator.cli.failures import CommandFailedError, UsageError

if TYPE_CHECKING:
    from triton_operator.api.spec import ModelDeployment

REPOSITORY = "model_repository"
_MODEL_FILES = frozenset({".pt", ".pt2"})
"""Extensions of model files that need no configuration, because they contain a signature."""


_DECRYPTION = {"secretRef": {"name": "local"}, "memory": "1Gi"}
"""Models of a folder have no Secret and no volume: the keys are those of the user, and the memory is this machine's."""


class LocalModels(NamedTuple):
    """The deployment to serve; `folder` is its model repository, or None if the models are fetched."""

    deployment: ModelDeployment
    folder: Path | None


@contextmanager
def local_models(path: Path, repository: Path | None, name: str, *, skip_broken: bool) -> Iterator[LocalModels]:
    """Yield the models to serve; raises UsageError for an invalid option or file, CommandFailedError for a model."""
    if not path.exists():
        raise UsageError(f"{path}: No such file or directory")
    is_model_file = path.is_file() and path.suffix in _MODEL_FILES
    if path.is_dir() or is_model_file:
        if repository or name:
            raise UsageError(
                f"{'--repository' if repository else '--name'} can only be used with a YAML file, and {path} is not one"
            )
        with TemporaryDirectory(prefix="tritonctl-") as folder:
            yield _folder(_repository_of(path, Path(folder)) if is_model_file else path, skip_broken=skip_broken)
    elif skip_broken:
        raise UsageError(f"--skip-broken can only be used with a folder of models, and {path} is a file")
    else:
        yield _file(path, repository, name)


def _repository_of(file: Path, folder: Path) -> Path:
    """Create a model folder with this file, named after the file or after its parent folder."""
    place = file.resolve(strict=True)
    parts = [part for part in (place.stem, *(parent.name for parent in place.parents)) if not part.isdecimal()]
    name = next((part for part in parts if part and part != "model"), "model")
    version = folder / name / "1"
    version.mkdir(parents=True)
    # Not a link: `prepare` rejects links that lead out of the repository.
    shutil.copyfile(place, version / f"model{place.suffix}")
    return folder / name


def _folder(path: Path, *, skip_broken: bool) -> LocalModels:
    """All models of a repository, or one model with the steps of its ensemble, with their own configurations."""
    from triton_operator.api.names import API_VERSION, KIND
    from triton_operator.api.spec import parse
    from triton_operator.cli.lint.folder import is_model, models_in
    from triton_operator.encryption.header import is_encrypted
    from triton_operator.local.ensembles import with_steps

    models = with_steps(path.resolve()) if is_model(path) else [model.resolve() for model in models_in(path)]
    if not models:
        raise UsageError(f"{path}: contains no model: no config.pbtxt or numbered version in it or its subfolders")
    served = _whole(models, path, skip_broken=skip_broken)
    encrypted = any(is_encrypted(model) for model in served)
    body = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": "local", "namespace": "local"},
        "spec": {
            "modelRepository": {"image": {"reference": str(path)}},
            "models": [{"name": model.name} for model in served],
            "decryption": _DECRYPTION if encrypted else None,
        },
    }
    return LocalModels(parse(body), served[0].parent)


def _whole(models: Sequence[Path], path: Path, *, skip_broken: bool) -> list[Path]:
    """The models that can be served; raises UsageError, or CommandFailedError unless invalid models may be skipped."""
    from triton_operator.api.names import wrong_model_name

    wrong = {model.name: problem for model in models if (problem := wrong_model_name(model.name))}
    if wrong and not skip_broken:
        reasons = "; ".join(f"{name!r}: {problem}" for name, problem in wrong.items())
        raise UsageError(f"{path}: {reasons}; rename the folder: its name is the model's name")
    broken = _problems(models)
    whole = [model for model, problem in broken.items() if not problem]
    lines = [f"  {model.name!r}: {problem}" for model, problem in broken.items() if problem]
    if lines and not (skip_broken and whole):
        hint = ["use --skip-broken to serve the others"] if whole else []
        raise CommandFailedError("\n".join([f"{path}: {_counted(len(lines))} cannot be served:", *lines, *hint]))
    if lines:
        typer.echo("\n".join([f"{path}: {_counted(len(lines))} skipped:", *lines]), err=True)
    return whole


def _problems(models: Sequence[Path]) -> dict[Path, str]:
    """Why each model cannot be served, including the steps of ensembles; "" if it can."""
    from triton_operator.local.ensembles import steps_of

    found = {model: _problem(model) for model in models}
    for _ in models:  # An ensemble may be a step itself.
        for model in models:
            broken = [step.name for step in steps_of(model) if found.get(step)]
            if broken and not found[model]:
                found[model] = f"its step {', '.join(broken)} cannot be served"
    return found


def _problem(model: Path) -> str:
    """Why a model cannot be served, by the errors of `lint`; "" if it can. Encrypted models are checked later."""
    from triton_operator.cli.lint.finding import Severity
    from triton_operator.cli.lint.folder import check_folder
    from triton_operator.encryption.header import is_encrypted

    if is_encrypted(model):
        return ""
    errors = [finding for finding in check_folder(model) if finding.severity is Severity.ERROR]
    return "; ".join(f"{finding.place}: {finding.message}" if finding.place else finding.message for finding in errors)


def _counted(number: int) -> str:
    return "1 model" if number == 1 else f"{number} models"


def _file(path: Path, repository: Path | None, name: str) -> LocalModels:
    from triton_operator.cli.documents import read_deployments
    from triton_operator.local.models import find_repository, needs_folder

    found = [each for each in read_deployments(path, "local") if name in {"", each.metadata.name}]
    if len(found) != 1:
        names = ", ".join([each.metadata.name for each in read_deployments(path, "local")])
        problem = f"has no ModelDeployment {name}" if name else "has several ModelDeployments"
        raise UsageError(f"{path}: {problem}; select one with --name: {names}")
    (deployment,) = found
    if repository and not repository.is_dir():
        raise UsageError(f"--repository: {repository} is not a folder")
    if repository or not needs_folder(deployment.spec):
        return LocalModels(deployment, repository and repository.resolve())
    places = [path.parent / REPOSITORY, Path(REPOSITORY)]
    folder = find_repository(deployment.spec, places)
    if folder is None:
        models = ", ".join([model.name for model in deployment.spec.models])
        raise UsageError(
            f"{path}: the models are in an image or a volume, which only a cluster can mount, and neither "
            f"{places[0]} nor {places[1].resolve()} has a folder for each of {models}; use --repository DIR"
        )
    typer.echo(f"using the models in {folder} instead of spec.modelRepository", err=True)
    return LocalModels(deployment, folder.resolve())
