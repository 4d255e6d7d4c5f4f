"""Check an ensemble against the models that its steps call, which are in the same repository.

Input: the ensemble's folder. Output: Findings. Models that cannot be read are skipped; their own checks report them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from triton_operator.cli.lint.finding import Finding, error
from triton_operator.prepare.errors import PrepareError
from triton_operator.prepare.model import resolve_model
from triton_operator.prepare.repository import Repository
from triton_operator.triton.config.constants import CONFIG_NAME
from triton_operator.triton.config.ensemble_rules import CalledModel, check_steps, step_names
from triton_operator.triton.config.file import read_config_text
from triton_operator.triton.prepare_contract.request import PreparationModel
from triton_operator.triton.text.parser import Message, parse


def check_steps_of(folder: Path) -> Iterator[Finding]:
    """Yield the contradictions between an ensemble and its steps; nothing for other models."""
    config = _config(folder)
    if not config or not step_names(config):
        return
    models = _called(folder.resolve().parent, config)
    for problem in check_steps(folder.resolve().name, config, models):
        yield error(str(folder / CONFIG_NAME), problem.path, problem.message, problem.advice)


def _called(repository: Path, config: Message) -> dict[str, CalledModel | None]:
    """Every model that the ensemble calls, including the steps of its steps."""
    found: dict[str, CalledModel | None] = {}
    names = step_names(config)
    for name in names:  # The list grows while it is iterated.
        if name not in found and name and (repository / name).is_dir():
            found[name] = called = _read(repository, name)
            names += step_names(called.config) if called else []
    return found


def _read(repository: Path, name: str) -> CalledModel | None:
    """A model as `prepare` would prepare it; if `prepare` rejects it, only its steps, to detect cycles."""
    try:
        checked = resolve_model(Repository(repository, "/"), PreparationModel(name, name))
    except PrepareError:
        config = _config(repository / name)
        return CalledModel(config) if config and step_names(config) else None
    config = parse(checked.config) if checked.config else _config(repository / name)
    return CalledModel(config, tuple(map(int, checked.versions))) if config else None


def _config(folder: Path) -> Message | None:
    try:
        return parse(read_config_text(folder / CONFIG_NAME))
    except (OSError, ValueError):
        return None
