"""The model folders that a command's arguments name: model folders, or repositories that contain some.

`sign` and `verify` share it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from triton_operator.cli.failures import UsageError
from triton_operator.cli.lint.folder import models_in


def model_folders(paths: Iterable[Path]) -> list[Path]:
    """Return the folders of all models; raises UsageError for a path without any."""
    return [model for path in paths for model in _models(path)]


def _models(path: Path) -> list[Path]:
    try:
        models = models_in(path)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    if not models:
        raise UsageError(f"{path}: contains no model: no config.pbtxt or numbered version in it or its subfolders")
    return models
