"""The steps of an ensemble, which have to be served with it.

Input: a model's folder in a repository. Output: that folder and those of its steps, which are next to it under their
names. A configuration that cannot be read, and a step that is not there, are left for `prepare` and Triton to judge.
"""

from __future__ import annotations

from pathlib import Path

from triton_operator.triton.config.constants import CONFIG_NAME
from triton_operator.triton.text.parser import Message, parse
from triton_operator.triton.text.values import messages_in, text_in


def with_steps(model: Path) -> list[Path]:
    """The model, then all that it is made of, each once; a step may be an ensemble itself."""
    found = [model]
    for each in found:  # It grows meanwhile.
        found += [step for step in steps_of(each) if step not in found]
    return found


def steps_of(model: Path) -> list[Path]:
    """The folders of an ensemble's own steps that are there, each once; none for another model."""
    steps = (model.parent / name for name in step_names(_config(model)))
    return [step for step in dict.fromkeys(steps) if step.is_dir()]


def step_names(config: Message) -> list[str]:
    """The models that an ensemble's steps call; none for another model."""
    schedulings = messages_in(config, "ensemble_scheduling")
    return [text_in(step, "model_name") for each in schedulings for step in messages_in(each, "step")]


def _config(model: Path) -> Message:
    try:
        return parse((model / CONFIG_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
