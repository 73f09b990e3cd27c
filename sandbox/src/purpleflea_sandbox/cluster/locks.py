"""Mutual exclusion between processes: a file lock that the kernel releases when its holder exits,
even after a crash.
"""

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
    """Hold the lock of a file (or of an existing folder) while the context is active.

    The holder may remove the file. A process that waited for the removed file retries with a new
    one.

    Raises ClusterError if the lock is not acquired within `timeout_s`.
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
                raise ClusterError(
                    f"another run is using {what}; wait until it has finished"
                ) from None
            time.sleep(_RETRY_S)
        else:
            return
