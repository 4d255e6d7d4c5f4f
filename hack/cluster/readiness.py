"""Check whether an API server is ready, over TLS as an administrator.

Input: its URL and the folder of certificates. Output: a boolean. `controlplane` and the native node call it while they
wait.
"""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from pathlib import Path

_SECONDS = 5.0


READY = "/readyz"
# The controller manager creates this service account when its controllers run.
FIRST_SERVICE_ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"


def api_answers(server: str, pki: Path, path: str = READY, seconds: float = _SECONDS) -> bool:
    """Whether `server`, an https URL, responds to `path` with 200 within `seconds`; False for any error."""
    context = ssl.create_default_context(cafile=pki / "ca.crt")
    context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
    try:
        with urllib.request.urlopen(f"{server}{path}", timeout=seconds, context=context):  # noqa: S310  (https only)
            return True
    except (urllib.error.URLError, OSError):
        return False
