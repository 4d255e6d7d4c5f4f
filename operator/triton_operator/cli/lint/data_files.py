"""Check that the files named in a configuration exist: labels, warm-up data, initial states, a Python environment.

Input: a model's folder and its configuration. Output: Findings. The files are not opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from triton_operator.cli.lint.finding import Finding, error
from triton_operator.triton.config.fatal_rules import label_files
from triton_operator.triton.text.parser import Message
from triton_operator.triton.text.values import entries_in, message_in, messages_in, text_in

_ENVIRONMENT = "EXECUTION_ENV_PATH"
_MODEL_DIRECTORY = "$$TRITON_MODEL_DIRECTORY/"
"""Prefix of a path in the model's folder; an absolute path is in the image, so it cannot be checked here."""


def check_data_files(folder: Path, config: Message, shown: str) -> Iterator[Finding]:
    """Yield a finding for every missing file."""
    for place, name in _named(config):
        if not (folder / name.lstrip("/")).is_file():
            yield error(shown, place, f"the model's folder has no file {name}")


def _named(config: Message) -> Iterator[tuple[str, str]]:
    """The field and the path, relative to the folder, of each file."""
    yield from label_files(config)
    if environment := entries_in(config, "parameters").get(_ENVIRONMENT):
        path = text_in(message_in(environment, "value"), "string_value")
        if path.startswith(_MODEL_DIRECTORY):
            yield f"parameters[{_ENVIRONMENT}]", path.removeprefix(_MODEL_DIRECTORY)
    for index, sample in enumerate(messages_in(config, "model_warmup")):
        for place, entry in enumerate(entries_in(sample, "inputs").values()):
            if name := text_in(message_in(entry, "value"), "input_data_file"):
                yield f"model_warmup[{index}].inputs[{place}].input_data_file", f"warmup/{name}"
    for index, state in enumerate(messages_in(message_in(config, "sequence_batching"), "state")):
        if name := text_in(message_in(state, "initial_state"), "data_file"):
            yield f"sequence_batching.state[{index}].initial_state.data_file", f"initial_state/{name}"
