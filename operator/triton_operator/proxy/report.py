"""Report what the supervisor does: JSON lines on stdout, next to the audit lines, and the termination message.

Input: an event and a message. Output: one line per event. The kubelet shows the termination message in the pod's status
after the container has ended, where the operator reads it.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path


class Report:
    """The output of the supervisor."""

    def __init__(self, termination_log: Path) -> None:
        self._termination_log = termination_log

    def event(self, event: str, message: str = "") -> None:
        """Write one line."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"time": now, "proxy": event} | ({"message": message} if message else {})
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

    def last_words(self, message: str) -> None:
        """Write the termination message."""
        try:
            self._termination_log.write_text(json.dumps({"proxy": "failed", "message": message}) + "\n")
        except OSError as error:
            self.event("failed", f"the termination message cannot be written: {error}")
