"""Keys of the user's Secret, as files that the kubelet mounts; values never appear in messages."""

from __future__ import annotations

from pathlib import Path

from triton_operator.api.conditions import Reason
from triton_operator.prepare.errors import PrepareError


class Credentials:
    """A mounted Secret."""

    def __init__(self, folder: str, field: str = "credentialsSecretRef") -> None:
        """Read from `folder`, "" if there is no Secret; messages name the `field` that refers to it."""
        self._folder = Path(folder) if folder else None
        self._field = field

    def __bool__(self) -> bool:
        return self._folder is not None

    def get(self, key: str) -> str:
        """The value of a key without surrounding whitespace, "" if the key does not exist; raises PrepareError."""
        if self._folder is None:
            return ""
        try:
            value = (self._folder / key).read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return ""
        except UnicodeDecodeError:
            value = "\0"
        if not value.isprintable():
            raise _unusable(
                f"{key} in the Secret of {self._field} contains characters that are not allowed in credentials"
            )
        return value

    def need(self, *keys: str) -> list[str]:
        """The values of required keys; raises PrepareError, which names the first missing key."""
        for key in keys:
            if not self.get(key):
                raise _unusable(f"the Secret of {self._field} has no {key}")
        return [self.get(key) for key in keys]


def _unusable(message: str) -> PrepareError:
    return PrepareError(Reason.ACCESS_DENIED, "", message)
