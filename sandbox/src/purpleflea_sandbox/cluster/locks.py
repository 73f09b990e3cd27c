"""One at a time, between processes: a file lock that ends with its holder, whatever happens to it."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from purpleflea_sandbox.cluster.errors import ClusterError

_RETRY_S = 0.1


@contextmanager
def held(path: Path, *, timeout_s: float, what: str) -> Iterator[None]:
    """Hold the lock of a file (or of a folder that exists) for as long as the context lasts.

    The holder may remove the file: whoever waited for it starts over with a new one.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        descriptor = _open(path)
        try:
            _acquire(descriptor, deadline, what)
            if _is_current(descriptor, path):
                yield
                return
        finally:
            os.close(descriptor)


def _open(path: Path) -> int:
    if not path.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _is_current(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _acquire(descriptor: int, deadline: float, what: str) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise ClusterError(f"another run is busy with {what}; let it end first") from None
            time.sleep(_RETRY_S)
        else:
            return
