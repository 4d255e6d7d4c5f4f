"""Forward connections from a listening socket of the machine to the node's network.

Input: the number of an inherited listening socket, and "address:port". Output: none; it runs until it is terminated. A
socket belongs to the network namespace in which it was created. This socket was created on the machine's loopback
interface, and the program runs inside the node, so it accepts connections from the machine and opens connections inside
the node. The node has no other connection to the outside.

The program opens one connection per accepted connection, so kube-proxy balances them like those of a pod. `kubectl
port-forward` would use a single pod for all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys

_CHUNK = 256 * 1024


async def forward(listener: socket.socket, address: str, port: int) -> None:
    """Accept connections on `listener` until cancelled; forward each over a new connection to `address`:`port`."""
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
        # The client receives a reset, as from an address without a listener.
        writer.transport.abort()
        return
    await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
    for each in (writer, inner_writer):
        each.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Copy until the source ends, then close the target's write side: gRPC and `kubectl exec` close one side first."""
    with contextlib.suppress(OSError):
        while data := await source.read(_CHUNK):
            target.write(data)
            await target.drain()
        target.write_eof()
        return
    target.transport.abort()


def main() -> None:
    """Forward from the socket to the target, both given on the command line."""
    descriptor, target = int(sys.argv[1]), sys.argv[2]
    address, _, port = target.rpartition(":")
    listener = socket.socket(fileno=descriptor)
    listener.setblocking(False)
    asyncio.run(forward(listener, address, int(port)))


if __name__ == "__main__":
    main()
