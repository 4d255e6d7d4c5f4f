"""Check a YAML file with ModelDeployments, and the configurations of their models.

Input: a path. Output: Findings. To check against the API server's schema, use kubectl apply --dry-run=server.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from triton_operator.api.errors import InvalidSpecError
from triton_operator.api.spec import ModelDeployment
from triton_operator.cli.documents import read_deployments
from triton_operator.cli.failures import UsageError
from triton_operator.cli.lint.config import check_config
from triton_operator.cli.lint.finding import Finding, error
from triton_operator.resources.model_configs import render_configs
from triton_operator.triton.config.ensemble_rules import CalledModel, check_steps, step_names
from triton_operator.triton.text.parser import Message
from triton_operator.triton.text.writer import write


def check_deployments(path: Path) -> Iterator[Finding]:
    """Check every ModelDeployment of a file."""
    try:
        deployments = read_deployments(path, "default")
    except UsageError as problem:
        yield error(str(path), "", str(problem).removeprefix(f"{path}: "))
        return
    for deployment in deployments:
        yield from _check_models(deployment, str(path))


def _check_models(deployment: ModelDeployment, file: str) -> Iterator[Finding]:
    try:
        configs = render_configs(deployment.spec)
    except InvalidSpecError as problem:
        message = str(problem).removeprefix(f"{problem.path}: ")
        yield error(file, f"{deployment.metadata.name}: {problem.path}", message)
        return
    models = {config.model.name: _called(config.message) for config in configs}
    for config in configs:
        if config.message is None:
            continue
        field = f"{deployment.metadata.name}: spec.models[{config.model.name}].config"
        for finding in check_config(write(config.message), file):
            # Omit line numbers: they refer to the rendered text, which users do not see.
            place = "" if finding.place.startswith("line ") else f".{finding.place}"
            yield msgspec.structs.replace(finding, place=field + place)
        if step_names(config.message):
            for misfit in check_steps(config.model.name, config.message, models):
                yield error(file, f"{field}.{misfit.path}", misfit.message, misfit.advice)


def _called(message: Message | None) -> CalledModel | None:
    """The configuration if it is complete; None if a signature, which is not known here, has to complete it."""
    return CalledModel(message) if message and {"input", "output", "max_batch_size"} <= message.keys() else None
