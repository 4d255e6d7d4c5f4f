"""Write rendered configurations, one folder for each, and select the one that HAProxy loads.

Input: a Configuration. Output: files that only the proxy's user can read. A link selects a configuration, so HAProxy
never reads files of two configurations.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from triton_operator.files import create_file
from triton_operator.proxy.haproxy_config import CONFIGURATION, Configuration

_KEPT = 3
"""HAProxy may still read the previous configuration when the next is selected."""


class WorkFolder:
    """The folder of all rendered configurations."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._count = 0

    @property
    def selected(self) -> Path:
        """The configuration that HAProxy loads."""
        return self.root / CONFIGURATION

    def next_folder(self) -> Path:
        """The path of the next configuration's folder, which does not exist yet."""
        self._count += 1
        return self.root / f"configuration-{self._count}"

    def write(self, folder: Path, configuration: Configuration, pem: bytes, pem_file: Path) -> Path:
        """Write all files; returns the path of the configuration."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
        for name, text in configuration.files.items():
            create_file(folder / name, text.encode())
        create_file(pem_file, pem)
        return folder / CONFIGURATION

    def select(self, folder: Path) -> None:
        """Let HAProxy load this configuration at its next start or reload, and remove old ones."""
        draft = self.root / f"{CONFIGURATION}.new"
        draft.unlink(missing_ok=True)
        draft.symlink_to(folder / CONFIGURATION)
        draft.replace(self.selected)
        shutil.rmtree(self.root / f"configuration-{self._count - _KEPT}", ignore_errors=True)
