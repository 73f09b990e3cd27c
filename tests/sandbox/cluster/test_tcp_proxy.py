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
def relay_to(port: int) -> Iterator[int]:
    """The relay as the supervisor starts it: a program with an inherited listener."""
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
    """Serves one connection."""
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


def dial(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S)


def read_all(connection: socket.socket) -> bytes:
    received = b""
    while chunk := connection.recv(1 << 16):
        received += chunk
    return received


def test_bytes_pass_both_ways_unchanged() -> None:
    sent = bytes(range(256)) * 4096

    def echo(connection: socket.socket) -> None:
        received = b""
        while len(received) < len(sent):
            received += connection.recv(1 << 16)
        connection.sendall(received)

    with server(echo) as target, relay_to(target) as port, dial(port) as connection:
        connection.sendall(sent)

        assert read_all(connection) == sent


def test_the_end_of_the_caller_ends_the_other_side() -> None:
    ended = threading.Event()

    def note_end(connection: socket.socket) -> None:
        assert read_all(connection) == b"last words"
        ended.set()

    with server(note_end) as target, relay_to(target) as port:
        with dial(port) as connection:
            connection.sendall(b"last words")
        assert ended.wait(LIMIT_S)


def test_the_end_of_the_server_ends_the_caller() -> None:
    with (
        server(lambda connection: connection.sendall(b"bye")) as target,
        relay_to(target) as port,
        dial(port) as connection,
    ):
        assert read_all(connection) == b"bye"


def test_a_server_that_is_not_there_ends_the_connection_and_not_the_relay() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        nobody = unused.getsockname()[1]
    with relay_to(nobody) as port:
        for _ in range(2):
            with dial(port) as connection:
                assert read_all(connection) == b""
