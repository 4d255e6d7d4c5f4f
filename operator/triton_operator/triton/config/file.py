"""A config.pbtxt on disk as text: bounded, because the file may be anybody's, and a sparse one has any size.

A path goes in, text leaves, or ConfigError; `prepare` and the checks of the command line read by it.
"""

from __future__ import annotations

from pathlib import Path

from triton_operator.triton.text.errors import ConfigError

CONFIG_LIMIT = 1 << 20
"""Bytes of a config.pbtxt; real ones have a few thousand."""


def read_config_text(path: Path) -> str:
    """The text; raises ConfigError for what is no text or too large, OSError for what cannot be read."""
    with path.open("rb") as file:
        data = file.read(CONFIG_LIMIT + 1)
    if len(data) > CONFIG_LIMIT:
        raise ConfigError(f"is larger than {CONFIG_LIMIT} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"is not UTF-8 text (byte {error.start})") from error
