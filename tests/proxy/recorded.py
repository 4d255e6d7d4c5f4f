"""What arrived at Triton's place because of a test's requests."""

from __future__ import annotations

from collections.abc import Callable

from tests.proxy.clients import Client
from tests.proxy.http2 import Headers, connected, grpc_headers, request_headers
from tests.proxy.recording_backend import Arrived, Record

LAST_HTTP = "/v2/models/last/ready"
LAST_GRPC = "/inference.GRPCInferenceService/ServerLive"


class Recorded:
    """`client` sends to the proxy; `arrived` is the evidence of its requests. `headers` admit requests."""

    def __init__(self, client: Client, record: Record, headers: Callable[[], Headers] = list) -> None:
        self.client = client
        self._record = record
        self._headers = headers

    def arrived(self) -> list[Arrived]:
        """Everything that arrived since the last call.

        Two requests that are on the allow-list are sent now. They are the positive control, and what was sent before
        them has arrived by then.
        """
        with connected(self.client) as connection:
            assert connection.request(request_headers(LAST_HTTP, *self._headers())).admitted
            assert connection.request(grpc_headers(LAST_GRPC, *self._headers()), b"\0\0\0\0\0").admitted
        return self._record.take(LAST_HTTP, LAST_GRPC)
