"""Check that the data files named in a configuration exist: for warm-up requests and initial states of sequences.

Input: a model's folder and its configuration. Output: Findings. The files are not opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from triton_operator.cli.lint.finding import Finding, error
from triton_operator.triton.text.parser import Message
from triton_operator.triton.text.values import entries_in, message_in, messages_in, text_in


def check_data_files(folder: Path, config: Message, shown: str) -> Iterator[Finding]:
    """Yield a finding for every missing file."""
    for place, name in _named(config):
        if not (folder / name).is_file():
            yield error(shown, place, f"the model's folder has no file {name}")


def _named(config: Message) -> Iterator[tuple[str, str]]:
    """The field and the path, relative to the folder, of each file."""
    for index, sample in enumerate(messages_in(config, "model_warmup")):
        for place, entry in enumerate(entries_in(sample, "inputs").values()):
            if name := text_in(message_in(entry, "value"), "input_data_file"):
                yield f"model_warmup[{index}].inputs[{place}].input_data_file", f"warmup/{name}"
    for index, state in enumerate(messages_in(message_in(config, "sequence_batching"), "state")):
        if name := text_in(message_in(state, "initial_state"), "data_file"):
            yield f"sequence_batching.state[{index}].initial_state.data_file", f"initial_state/{name}"
