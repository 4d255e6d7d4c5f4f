"""A vault in the test's process: the login for Kubernetes and the transit engine, with OpenBao's responses.

The statuses and errors are those that OpenBao 2.6.2 has sent to the same requests. It uses TLS if a context is given.
`requests` contains the received paths, `answer` can replace the response to a path.
"""

from __future__ import annotations

import base64
import json
import secrets
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.web_server import serving

Answer = tuple[int, dict[str, Any]]
JWT = "eyJhbGciOiJub25lIn0.the-token-of-the-service-account.signature"
OWNER = "s.the-token-of-the-owner"
"""A token that may use every key."""


def failed(status: int, *errors: str) -> Answer:
    """The response to a request that fails."""
    return status, {"errors": list(errors)}


@dataclass
class VaultServer:
    """The state of the vault, which a test can change while it runs; a role may use one key.

    `tokens` has the key of each valid token of a role, `issued` all such tokens.
    `admits` decides whether a role admits a ServiceAccount's token; by default, each role admits JWT.
    """

    address: str = ""
    roles: dict[str, str] = field(default_factory=lambda: {"digits": "models"})
    keys: dict[str, AESGCM] = field(default_factory=lambda: {"models": AESGCM(AESGCM.generate_key(256))})
    tokens: dict[str, str] = field(default_factory=dict)
    issued: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    answer: Callable[[str], Answer | None] = lambda path: None
    admits: Callable[[str, str], bool] = lambda role, jwt: jwt == JWT

    def reply(self, path: str, token: str, body: dict[str, str]) -> Answer:
        """The response to a request."""
        self.requests.append(path)
        if answer := self.answer(path):
            return answer
        match path.removeprefix("/v1/").split("/"):
            case ["auth", "kubernetes", "login"]:
                return self._log_in(body["role"], body["jwt"])
            case ["auth", "token", "revoke-self"] if self.tokens.pop(token, ""):
                return 204, {}
            case ["transit", "encrypt" | "decrypt" as action, key]:
                if token == OWNER or self.tokens.get(token) == key:
                    return self._use_key(action, key, body)
                return failed(403, "1 error occurred:\n\t* permission denied\n\n")
        unknown = f'no handler for route "{path.removeprefix("/v1/")}". route entry not found.'
        return failed(404, unknown) if token == OWNER else failed(403, "permission denied")

    def _log_in(self, role: str, jwt: str) -> Answer:
        if role not in self.roles:
            return failed(400, f'invalid role name "{role}"')
        if not self.admits(role, jwt):
            return failed(403, "permission denied")
        token = f"s.{secrets.token_hex(12)}"
        self.tokens[token] = self.roles[role]
        self.issued.append(token)
        return 200, {"request_id": "r", "data": None, "auth": {"client_token": token, "policies": ["default"]}}

    def _use_key(self, action: str, name: str, body: dict[str, str]) -> Answer:
        if name not in self.keys:
            return failed(400, "encryption key not found")
        return (self._encrypt if action == "encrypt" else self._decrypt)(self.keys[name], body)

    @staticmethod
    def _encrypt(key: AESGCM, body: dict[str, str]) -> Answer:
        nonce = secrets.token_bytes(12)
        ciphertext = base64.b64encode(nonce + key.encrypt(nonce, base64.b64decode(body["plaintext"]), None)).decode()
        return 200, {"request_id": "r", "data": {"ciphertext": f"vault:v1:{ciphertext}", "key_version": 1}}

    @staticmethod
    def _decrypt(key: AESGCM, body: dict[str, str]) -> Answer:
        prefix, _, text = body["ciphertext"].rpartition(":")
        if prefix != "vault:v1":
            return failed(400, "invalid ciphertext: no prefix")
        content = base64.b64decode(text)
        try:
            plaintext = key.decrypt(content[:12], content[12:], None)
        except InvalidTag:
            return failed(400, "cipher: message authentication failed")
        return 200, {"request_id": "r", "data": {"plaintext": base64.b64encode(plaintext).decode()}}


@contextmanager
def vault_server(tls: ssl.SSLContext | None = None, listener: socket.socket | None = None) -> Iterator[VaultServer]:
    """Serve until the block ends, on loopback, or on a socket of the caller, which is closed then."""
    vault = VaultServer()
    listener = listener or socket.create_server(("127.0.0.1", 0))
    host, port = listener.getsockname()
    server = _Server((host, port), _handler(vault), bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    if tls:
        server.socket = tls.wrap_socket(listener, server_side=True, do_handshake_on_connect=False)
    vault.address = f"{'https' if tls else 'http'}://{host}:{port}"
    with serving(server):
        yield vault


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Print nothing if a client does not trust the certificate."""


def _handler(vault: VaultServer) -> type[BaseHTTPRequestHandler]:
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                status, answer = vault.reply(self.path, self.headers.get("X-Vault-Token", ""), body)
            content = json.dumps(answer).encode() if answer else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: Any) -> None:
            pass

    return Handler
