"""The mistakes in a configuration that end the server with all its models, not only the model that has them.

Input: a configuration, hand-written or rendered. Output: ConfigProblems, and the files to check. `lint` and `prepare`
use it: Triton reports all other mistakes for the model that has them, and loads the others. Observed with Triton 24.10.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from triton_operator.triton.config.problem import ConfigProblem
from triton_operator.triton.text.parser import Message
from triton_operator.triton.text.values import entries_in, messages_in, text_in

_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
"""Names that the metrics library of Triton 24.10, prometheus-cpp, accepts."""


def check_metric_tags(message: Message) -> Iterator[ConfigProblem]:
    """Check the names of labels: the metrics library throws an exception for an invalid one, which nothing catches."""
    for name in entries_in(message, "metric_tags"):
        if not _LABEL.fullmatch(name):
            rule = "must be a letter, followed by letters, digits and _, because another name ends the server"
            yield ConfigProblem("metric_tags", f'"{name}" {rule}')


def label_files(message: Message) -> Iterator[tuple[str, str]]:
    """The field and the file name, relative to the model's folder, of each label file; a folder ends the server."""
    for index, output in enumerate(messages_in(message, "output")):
        if name := text_in(output, "label_filename"):
            yield f"output[{index}].label_filename", name
