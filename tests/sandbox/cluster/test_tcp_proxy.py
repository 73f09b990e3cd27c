import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from purpleflea_sandbox.cluster.supervisor import LISTENER_FD

LIMIT_S = 20.0
Handler = Callable[[socket.socket], None]


@contextmanager
def proxy_to(port: int) -> Iterator[int]:
    """Start the proxy like the supervisor: a program with an inherited listener."""
    argv = (sys.executable, "-P", "-m", "purpleflea_sandbox.cluster.local.tcp_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        actions = [(os.POSIX_SPAWN_DUP2, listener.fileno(), LISTENER_FD)]
        pid = os.posix_spawn(argv[0], (*argv, str(port)), os.environ, file_actions=actions)
        address = listener.getsockname()[1]
    try:
        yield address
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@contextmanager
def server(handle: Handler) -> Iterator[int]:
    """Serve one connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                handle(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(LIMIT_S)
        assert not thread.is_alive()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S)


def read_all(connection: socket.socket) -> bytes:
    received = b""
    while chunk := connection.recv(1 << 16):
        received += chunk
    return received


def test_bytes_pass_unchanged_in_both_directions() -> None:
    sent = bytes(range(256)) * 4096

    def echo(connection: socket.socket) -> None:
        received = b""
        while len(received) < len(sent):
            received += connection.recv(1 << 16)
        connection.sendall(received)

    with server(echo) as target, proxy_to(target) as port, connect(port) as connection:
        connection.sendall(sent)

        assert read_all(connection) == sent


def test_the_end_of_the_client_ends_the_server_connection() -> None:
    ended = threading.Event()

    def record_end(connection: socket.socket) -> None:
        assert read_all(connection) == b"last bytes"
        ended.set()

    with server(record_end) as target, proxy_to(target) as port:
        with connect(port) as connection:
            connection.sendall(b"last bytes")
        assert ended.wait(LIMIT_S)


def test_the_end_of_the_server_ends_the_client_connection() -> None:
    with (
        server(lambda connection: connection.sendall(b"bye")) as target,
        proxy_to(target) as port,
        connect(port) as connection,
    ):
        assert read_all(connection) == b"bye"


def test_an_unreachable_server_ends_the_connection_but_not_the_proxy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        unused_port = unused.getsockname()[1]
    with proxy_to(unused_port) as port:
        for _ in range(2):
            with connect(port) as connection:
                assert read_all(connection) == b""
