"""The folders of the machine that a plane hides under a tmpfs of its own. They have to exist, are
made when missing, marked as ours, and go with the last plane that uses them."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from purpleflea_sandbox.cluster import locks

_MARK = ".made-by-purpleflea-sandbox"
_LOCK_WAIT_S = 30.0


def make(points: Iterable[Path]) -> None:
    """Make those that are missing."""
    for point in points:
        with _alone(point):
            if not point.is_dir():
                point.mkdir()
                (point / _MARK).touch()


def remove(points: Iterable[Path]) -> None:
    """Remove those that we made and that no other plane has mounted."""
    for point in points:
        with _alone(point):
            if (point / _MARK).is_file() and not _is_mounted_anywhere(point):
                (point / _MARK).unlink()
                with contextlib.suppress(OSError):  # somebody put something into it: theirs now
                    point.rmdir()


def _alone(point: Path) -> contextlib.AbstractContextManager[None]:
    # The parent folder itself is the lock: nothing is left behind, and every user of the machine
    # meets at the same one.
    return locks.held(point.parent, timeout_s=_LOCK_WAIT_S, what=str(point.parent))


def _is_mounted_anywhere(point: Path) -> bool:
    """Removing a folder that is mounted on in another mount namespace would tear that mount away."""
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
