"""Whether an API server answers, asked over TLS as an administrator.

Input: its URL and the folder of certificates. Output: yes or no. Called by `controlplane` and by the native node while
they wait.
"""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from pathlib import Path

_SECONDS = 5.0


READY = "/readyz"
# Written by the controller manager: it is there once its controllers work.
FIRST_SERVICE_ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"


def api_answers(server: str, pki: Path, path: str = READY, seconds: float = _SECONDS) -> bool:
    """Whether `server`, an https URL, answers `path` with 200 within `seconds`; any failure to answer is a no."""
    context = ssl.create_default_context(cafile=pki / "ca.crt")
    context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
    try:
        with urllib.request.urlopen(f"{server}{path}", timeout=seconds, context=context):  # noqa: S310  (our URL)
            return True
    except (urllib.error.URLError, OSError):
        return False
