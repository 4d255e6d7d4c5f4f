"""Carry connections from a socket of the machine into the node's network.

Input: the number of an inherited listening socket and "address:port". Output: nothing, it runs until it is ended. A
socket always belongs to the network in which it was created. This one was created on the machine's loopback, and the
program runs inside the node. It therefore accepts connections from the machine and opens connections inside the node.
There is no other way in, and none out.

One dial for each accepted connection: kube-proxy balances them as it does a pod's own, which `kubectl port-forward`
(one pod for all) would not.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys

_CHUNK = 256 * 1024


async def forward(listener: socket.socket, address: str, port: int) -> None:
    """Serve `listener` until cancelled, each connection with one of its own to `address`:`port`."""
    pairs: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(_join(reader, writer, address, port))
        pairs.add(task)
        task.add_done_callback(pairs.discard)

    server = await asyncio.start_server(accept, sock=listener, limit=_CHUNK)
    await server.serve_forever()


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str, port: int) -> None:
    try:
        inner_reader, inner_writer = await asyncio.open_connection(address, port, limit=_CHUNK)
    except OSError:
        # The client sees a reset, as it would from an address nobody listens on.
        writer.transport.abort()
        return
    await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
    for each in (writer, inner_writer):
        each.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Copy until the source ends, then end the target's half too: gRPC and `kubectl exec` close one side first."""
    with contextlib.suppress(OSError):
        while data := await source.read(_CHUNK):
            target.write(data)
            await target.drain()
        target.write_eof()
        return
    target.transport.abort()


def main() -> None:
    """Serve the socket and target of the command line."""
    descriptor, target = int(sys.argv[1]), sys.argv[2]
    address, _, port = target.rpartition(":")
    listener = socket.socket(fileno=descriptor)
    listener.setblocking(False)
    asyncio.run(forward(listener, address, int(port)))


if __name__ == "__main__":
    main()
