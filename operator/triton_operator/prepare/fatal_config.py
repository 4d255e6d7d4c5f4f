"""Reject the configurations that would end the server, and with it the other models of the object.

Input: a chosen configuration and the model's folder. Output: a PrepareError with the reason ConfigInvalid, or nothing.
`model` calls it. Triton itself reports all other mistakes, for the model that has them.
"""

from __future__ import annotations

from pathlib import Path

from triton_operator.prepare.config import ChosenConfig
from triton_operator.prepare.errors import config_invalid
from triton_operator.triton.config.fatal_rules import check_metric_tags, label_files


def require_not_fatal(name: str, chosen: ChosenConfig, folder: Path) -> None:
    """Require a configuration that does not end the server; raises PrepareError with all its mistakes."""
    mistakes = [f"{problem.path}: {problem.message}" for problem in check_metric_tags(chosen.message)]
    for path, file in label_files(chosen.message):
        if (folder / file.lstrip("/")).is_dir():
            mistakes.append(f"{path}: {file} is a folder, which ends the server; name a file with a label in each line")
    if mistakes:
        raise config_invalid(name, f"{chosen.origin}: {'; '.join(mistakes)}")
