"""The files beside a model that its configuration names: data of warm-ups and of the first state of a sequence.

Input: a folder and its configuration. Output: Findings; no file is opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from triton_operator.cli.lint.finding import Finding, error
from triton_operator.triton.text.parser import Message
from triton_operator.triton.text.values import entries_in, message_in, messages_in, text_in


def check_data_files(folder: Path, config: Message, shown: str) -> Iterator[Finding]:
    """Every file that Triton would look for, and not find."""
    for place, name in _named(config):
        if not (folder / name).is_file():
            yield error(shown, place, f"there is no {name} in the model's folder")


def _named(config: Message) -> Iterator[tuple[str, str]]:
    """(field, path below the folder) of each."""
    for index, sample in enumerate(messages_in(config, "model_warmup")):
        for place, entry in enumerate(entries_in(sample, "inputs").values()):
            if name := text_in(message_in(entry, "value"), "input_data_file"):
                yield f"model_warmup[{index}].inputs[{place}].input_data_file", f"warmup/{name}"
    for index, state in enumerate(messages_in(message_in(config, "sequence_batching"), "state")):
        if name := text_in(message_in(state, "initial_state"), "data_file"):
            yield f"sequence_batching.state[{index}].initial_state.data_file", f"initial_state/{name}"
