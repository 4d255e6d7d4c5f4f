"""What arrived at Triton's place because of a test's requests."""

from __future__ import annotations

from tests.proxy.clients import Client
from tests.proxy.http2 import connected, grpc_headers, request_headers
from tests.proxy.recording_backend import Arrived, Record

LAST_HTTP = "/v2/models/last/ready"
LAST_GRPC = "/inference.GRPCInferenceService/ServerLive"


class Recorded:
    """`client` sends to the proxy; `arrived` is the evidence of its requests."""

    def __init__(self, client: Client, record: Record) -> None:
        self.client = client
        self._record = record

    def arrived(self) -> list[Arrived]:
        """Everything that arrived since the last call.

        Two requests that are on the allow-list are sent now. They are the positive control, and what was sent before
        them has arrived by then.
        """
        with connected(self.client) as connection:
            assert connection.request(request_headers(LAST_HTTP)).admitted
            assert connection.request(grpc_headers(LAST_GRPC), b"\0\0\0\0\0").admitted
        return self._record.take(LAST_HTTP, LAST_GRPC)
