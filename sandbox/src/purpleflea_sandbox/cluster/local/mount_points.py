"""Folders of the machine that a cluster hides under its own tmpfs.

Missing folders are created and marked. The last cluster that uses a marked folder removes it.
"""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from purpleflea_sandbox.cluster import locks

_MARK = ".made-by-purpleflea-sandbox"
_LOCK_WAIT_S = 30.0


def create(points: Iterable[Path]) -> None:
    """Create the missing folders."""
    for point in points:
        with _alone(point):
            if not point.is_dir():
                point.mkdir()
                (point / _MARK).touch()


def remove(points: Iterable[Path]) -> None:
    """Remove the folders that this module created and that no other cluster has mounted."""
    for point in points:
        with _alone(point):
            if (point / _MARK).is_file() and not _is_mounted_anywhere(point):
                (point / _MARK).unlink()
                with contextlib.suppress(
                    OSError
                ):  # it contains files of another program, so keep it
                    point.rmdir()


def _alone(point: Path) -> contextlib.AbstractContextManager[None]:
    # The parent folder is the lock. It leaves no lock file behind and is the same for all users of
    # the machine.
    return locks.held(point.parent, timeout_s=_LOCK_WAIT_S, what=str(point.parent))


def _is_mounted_anywhere(point: Path) -> bool:
    """Return whether any mount namespace has a mount on the folder, because removing the folder
    would detach that mount.
    """
    seen: set[str] = set()
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            namespace = os.readlink(f"/proc/{entry}/ns/mnt")
            if namespace in seen:
                continue
            seen.add(namespace)
            mounts = Path(f"/proc/{entry}/mountinfo").read_text()
        except OSError:
            continue
        if any(line.split()[4] == str(point) for line in mounts.splitlines()):
            return True
    return False
