"""Terminate TLS in front of a plain server, for HTTP/1.1 and gRPC: bytes are passed on unchanged."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_CHUNK = 1 << 16


@contextmanager
def tls_relay(context: ssl.SSLContext, target: str) -> Iterator[str]:
    """Yield the address `127.0.0.1:PORT` of a TLS server that passes everything to the plain server at `target`."""
    context.set_alpn_protocols(["h2", "http/1.1"])
    host, _, port = target.rpartition(":")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, int(port))
        try:
            await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))
        finally:
            await _close(back)
            await _close(writer)

    with _running(serve, context) as address:
        yield address


@contextmanager
def recorder() -> Iterator[tuple[str, bytearray]]:
    """Yield the address of a TCP server that only reads, and what it has received."""
    received = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            received.extend(await reader.read(_CHUNK))
        await _close(writer)

    with _running(serve, None) as address:
        yield address, received


@contextmanager
def _running(serve: object, context: ssl.SSLContext | None) -> Iterator[str]:
    """Run an asyncio server in a thread until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> asyncio.Server:
        return await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)  # type: ignore[arg-type]

    async def stop(server: asyncio.Server) -> None:
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await loop.shutdown_asyncgens()

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(stop(server), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, ssl.SSLError):
        while chunk := await source.read(_CHUNK):
            sink.write(chunk)
            await sink.drain()
    with suppress(ConnectionError):
        sink.close()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()  # A TLS connection would wait for the other side.
    with suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()
