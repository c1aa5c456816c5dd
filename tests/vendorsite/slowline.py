"""A long way between two programs on one machine:  python -m tests.vendorsite.slowline --to PORT --rtt-ms 25

Passes TCP connections on to a port of loopback. What is sent arrives half a round trip later, and no more than
a window of bytes is on its way at a time on each connection, so that one connection brings at most window ÷
round trip, as on a real line with that window. Loss and slow start are not imitated. It prints the port it
listens on, and ends when its standard input is closed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
import sys

_CHUNK_BYTES = 64 << 10


class Line:
    """Half of a connection: bytes from one socket to the other, later."""

    def __init__(
        self, source: socket.socket, target: socket.socket, *, delay_s: float, window: int
    ):
        self._source, self._target = source, target
        self._delay_s, self._window = delay_s, window
        self._on_the_way = 0
        self._room = asyncio.Event()
        self._queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def run(self) -> None:
        """Pass on until either side has had enough."""
        sender = asyncio.create_task(self._send())
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while True:
                while self._on_the_way >= self._window:
                    self._room.clear()
                    await self._room.wait()
                data = await loop.sock_recv(self._source, _CHUNK_BYTES)
                self._on_the_way += len(data)
                self._queue.put_nowait((loop.time() + self._delay_s, data))
                if not data:
                    break
        await sender

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, data = await self._queue.get()
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            try:
                if not data:
                    self._target.shutdown(socket.SHUT_WR)
                    return
                await loop.sock_sendall(self._target, data)
            except OSError:
                with contextlib.suppress(OSError):
                    self._source.shutdown(socket.SHUT_RDWR)
                return
            loop.call_later(self._delay_s, self._acknowledge, len(data))

    def _acknowledge(self, count: int) -> None:
        self._on_the_way -= count
        self._room.set()


async def pass_on(client: socket.socket, port: int, *, rtt_s: float, window: int) -> None:
    """Connect one client to the port behind the line."""
    loop = asyncio.get_running_loop()
    server = socket.socket()
    with client, server:
        for each in (client, server):
            each.setblocking(False)
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.sleep(rtt_s)  # the handshake
        with contextlib.suppress(OSError):
            await loop.sock_connect(server, ("127.0.0.1", port))
            there = Line(client, server, delay_s=rtt_s / 2, window=window)
            back = Line(server, client, delay_s=rtt_s / 2, window=window)
            await asyncio.gather(there.run(), back.run())


async def main() -> None:
    """Listen until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--to", type=int, required=True)
    parser.add_argument("--rtt-ms", type=float, default=25)
    parser.add_argument("--window-kib", type=int, default=704)
    arguments = parser.parse_args()
    loop = asyncio.get_running_loop()
    ended = loop.run_in_executor(None, sys.stdin.read)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        print(listener.getsockname()[1], flush=True)
        running = set()
        while not ended.done():
            with contextlib.suppress(TimeoutError):
                client, _ = await asyncio.wait_for(loop.sock_accept(listener), 0.5)
                task = asyncio.create_task(
                    pass_on(
                        client,
                        arguments.to,
                        rtt_s=arguments.rtt_ms / 1000,
                        window=arguments.window_kib << 10,
                    )
                )
                running.add(task)
                task.add_done_callback(running.discard)
        for task in running:
            task.cancel()


if __name__ == "__main__":
    asyncio.run(main())
