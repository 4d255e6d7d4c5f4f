"""Chromium of Debian without a display: what it makes of a page, and which requests it sends.

The program is unpacked into the cache folder, like other programs of Debian (100 MB to download, one minute).
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hack.programs import debian

PACKAGE = "chromium-headless-shell"
_PROGRAM = Path("usr", "lib", "chromium", PACKAGE)
_PULSE_AUDIO = "usr/lib/*/pulseaudio"
"""The folder of a library that the program loads, although it plays nothing."""
_SECONDS = 120


@dataclass(frozen=True)
class Chromium:
    """A browser with an empty profile in `folder`. It resolves no names; only loopback can be reached."""

    root: Path
    folder: Path

    @classmethod
    def unpacked(cls, folder: Path) -> Chromium:
        """The browser; downloaded when it is first used."""
        return cls(debian.unpacked(PACKAGE), folder)

    def dom(self, page: Path) -> str:
        """The document after it has been loaded, as HTML."""
        return self._run(page, "--dump-dom")

    def screenshot(self, page: Path, *, dark: bool) -> Path:
        """A picture of the first screen, for somebody who prefers light or dark colors."""
        file = self.folder / f"{'dark' if dark else 'light'}.png"
        self._run(page, f"--screenshot={file}", f"--blink-settings=preferredColorScheme={0 if dark else 1}")
        return file

    def pdf(self, page: Path) -> bytes:
        """The page as it is printed."""
        file = self.folder / "page.pdf"
        self._run(page, f"--print-to-pdf={file}", "--no-pdf-header-footer")
        return file.read_bytes()

    def addresses(self) -> list[str]:
        """The URLs that the last run requested from the network."""
        return [str(each["params"]["url"]) for each in self._events() if "url" in each.get("params", {})]

    def _events(self) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = json.loads(self._log.read_text())["events"]
        return events

    @property
    def _log(self) -> Path:
        return self.folder / "requests.json"

    def _run(self, page: Path, *options: str) -> str:
        command = [
            str(self.root / _PROGRAM),
            "--no-sandbox",  # Its sandbox needs a user other than root, or permissions that CI does not have.
            "--disable-gpu",
            f"--user-data-dir={self.folder / 'profile'}",
            f"--log-net-log={self._log}",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            *options,
            page.as_uri(),
        ]
        libraries = ":".join([debian.library_path(self.root), *map(str, self.root.glob(_PULSE_AUDIO))])
        done = subprocess.run(
            command,
            env={**os.environ, "LD_LIBRARY_PATH": libraries},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
