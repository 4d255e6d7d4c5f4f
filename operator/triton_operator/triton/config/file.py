"""Read a config.pbtxt from disk, with a size limit, because the file is untrusted.

Input: a path. Output: the text, or ConfigError. `prepare` and `lint` use it.
"""

from __future__ import annotations

from pathlib import Path

from triton_operator.files import FileTooLargeError, read_regular
from triton_operator.triton.text.errors import ConfigError

CONFIG_LIMIT = 1 << 20
"""Maximum size of a config.pbtxt in bytes; typical files have a few thousand."""


def read_config_text(path: Path) -> str:
    """The text; raises ConfigError for a file that is too large or not UTF-8, OSError for one that cannot be read."""
    try:
        return read_regular(path, CONFIG_LIMIT).decode()
    except FileTooLargeError:
        raise ConfigError(f"is larger than {CONFIG_LIMIT} bytes") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"is not UTF-8 text (byte {error.start})") from error
