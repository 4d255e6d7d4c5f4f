"""Find the steps of an ensemble, which must be served together with it.

Input: a model's folder in a repository. Output: this folder and the folders of its steps, which are in the same
repository. Unreadable configurations and missing steps are skipped; `prepare` and Triton report them.
"""

from __future__ import annotations

from pathlib import Path

from triton_operator.triton.config.constants import CONFIG_NAME
from triton_operator.triton.config.file import read_config_text
from triton_operator.triton.text.parser import Message, parse
from triton_operator.triton.text.values import messages_in, text_in


def with_steps(model: Path) -> list[Path]:
    """The model, followed by its direct and indirect steps without duplicates; a step may itself be an ensemble."""
    found = [model]
    for each in found:  # The loop extends the list.
        found += [step for step in steps_of(each) if step not in found]
    return found


def steps_of(model: Path) -> list[Path]:
    """The existing folders of an ensemble's direct steps, without duplicates; empty for other models."""
    steps = (model.parent / name for name in step_names(_config(model)))
    return [step for step in dict.fromkeys(steps) if step.is_dir()]


def step_names(config: Message) -> list[str]:
    """The models that an ensemble's steps call; empty for other models."""
    schedulings = messages_in(config, "ensemble_scheduling")
    return [text_in(step, "model_name") for each in schedulings for step in messages_in(each, "step")]


def _config(model: Path) -> Message:
    try:
        return parse(read_config_text(model / CONFIG_NAME))
    except (OSError, ValueError):
        return {}
