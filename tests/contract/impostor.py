"""Something that listens where a node should, and is none."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def impostor(greeting: bytes) -> Iterator[int]:
    """Greet the first connection, hear a little of it and hang up; yield the port."""

    def greet() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.sendall(greeting)
                connection.recv(10)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)
