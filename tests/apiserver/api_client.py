"""Plain HTTP to an API server, for tests that check its raw responses.

Input: a kubeconfig with a client certificate or a token. Output: JSON, or RequestRefusedError with the fields that the
server rejects. The operator's own client is tested elsewhere in this tier, so the tests do not rely on it.
"""

from __future__ import annotations

import base64
import http.client
import itertools
import json
import ssl
import tempfile
import time
import urllib.parse
from pathlib import Path
from typing import Any

import yaml

MOST_ATTEMPTS = 10
"""Of a request that the server cannot take now; client-go tries as often."""


class RequestRefusedError(Exception):
    """The server rejected the request: `code`, its message, and {field path: error}."""

    def __init__(self, status: dict[str, Any]) -> None:
        super().__init__(f"{status.get('code')} {status.get('reason')}: {status.get('message')}")
        self.code: int = status.get("code", 0)
        self.message: str = status.get("message", "")
        self.fields: dict[str, str] = {}
        for cause in status.get("details", {}).get("causes", ()):
            # "<nil>" says only that CEL rules were left out because the schema was violated already; and the check
            # of the scale subresource writes its path with a dot before it.
            if (field := cause.get("field", "<nil>").removeprefix(".")) != "<nil>":
                self.fields[field] = f"{self.fields.get(field, '')}; {cause['message']}".removeprefix("; ")


class Api:
    """Requests to one server, each on a new connection."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self._host = urllib.parse.urlsplit(cluster["server"]).netloc
        self._tls = ssl.create_default_context(cadata=_content(cluster, "certificate-authority").decode())
        self._headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        if self._headers:
            return
        with tempfile.NamedTemporaryFile() as pair:  # Python reads a key from files only.
            pair.write(_content(user, "client-certificate") + b"\n" + _content(user, "client-key"))
            pair.flush()
            self._tls.load_cert_chain(pair.name)

    def create(self, path: str, body: dict[str, Any], **query: str) -> dict[str, Any]:
        """POST to a collection."""
        return self._ask("POST", path, body, query)

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """GET an object or a list."""
        return self._ask("GET", path, None, query)

    def get_bytes(self, path: str) -> bytes:
        """GET a body that Python's decoder cannot read."""
        return self._send("GET", path, None, {}, "application/json")

    def merge(self, path: str, body: dict[str, Any], **query: str) -> dict[str, Any]:
        """PATCH with a JSON merge patch."""
        return self._ask("PATCH", path, body, query, "application/merge-patch+json")

    def apply(self, path: str, body: dict[str, Any], manager: str, **query: str) -> dict[str, Any]:
        """PATCH as server-side apply, forced."""
        query |= {"fieldManager": manager, "force": "true"}
        return self._ask("PATCH", path, body, query, "application/apply-patch+yaml")

    def put(self, path: str, body: dict[str, Any], **query: str) -> dict[str, Any]:
        """PUT an object."""
        return self._ask("PUT", path, body, query)

    def delete(self, path: str) -> dict[str, Any]:
        """DELETE an object."""
        return self._ask("DELETE", path, None, {})

    def code(self, verb: str, path: str, body: dict[str, Any] | None = None) -> int:
        """The status of the response to any request; `path` may have a query."""
        path, _, query = path.partition("?")
        content = None if body is None else json.dumps(body).encode()
        content_type = "application/merge-patch+json" if verb == "PATCH" else "application/json"
        return self._exchange(verb, path, content, dict(urllib.parse.parse_qsl(query)), content_type)[0]

    def create_from(self, path: str, content: bytes, **query: str) -> bytes:
        """POST a body that Python's encoder cannot write; returns the raw response."""
        return self._send("POST", path, content, query, "application/json")

    def _ask(
        self,
        verb: str,
        path: str,
        body: dict[str, Any] | None,
        query: dict[str, str],
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        content = None if body is None else json.dumps(body).encode()
        answer: dict[str, Any] = json.loads(self._send(verb, path, content, query, content_type))
        return answer

    def _send(self, verb: str, path: str, content: bytes | None, query: dict[str, str], content_type: str) -> bytes:
        """Send one request; retry it as the server requests: it answers 429 while it reloads its storage."""
        for attempt in itertools.count(1):
            status, retry_after, answer = self._exchange(verb, path, content, query, content_type)
            if status < http.HTTPStatus.BAD_REQUEST:
                return answer
            if status != http.HTTPStatus.TOO_MANY_REQUESTS or not retry_after or attempt == MOST_ATTEMPTS:
                break
            time.sleep(int(retry_after))
        raise RequestRefusedError(json.loads(answer))

    def _exchange(
        self, verb: str, path: str, content: bytes | None, query: dict[str, str], content_type: str
    ) -> tuple[int, str, bytes]:
        """Status, `Retry-After` ("" without) and body."""
        connection = http.client.HTTPSConnection(self._host, context=self._tls, timeout=30)
        try:
            headers = {"Content-Type": content_type, **self._headers}
            connection.request(verb, f"{path}?{urllib.parse.urlencode(query)}", content, headers)
            response = connection.getresponse()
            return response.status, response.headers.get("Retry-After", ""), response.read()
        finally:
            connection.close()


def _content(section: dict[str, str], key: str) -> bytes:
    """Content of a kubeconfig's entry, which is inline or in a file that the entry names."""
    if f"{key}-data" in section:
        return base64.b64decode(section[f"{key}-data"])
    return Path(section[key]).read_bytes()
