"""The cgroup of the cluster in every hierarchy of the machine (version 1, 2 or both).

All pod cgroups are below it, so one name is sufficient to find and remove them.
"""

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from purpleflea_sandbox.cluster.errors import ClusterError

_MOUNTS = Path("/proc/self/mountinfo")
_RETRY_S = 0.05
_NEEDED = frozenset({"cpu", "memory", "pids"})
_INHERITED = ("cpuset.cpus", "cpuset.mems")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hierarchy:
    """One mounted cgroup hierarchy."""

    root: Path
    version: int


def hierarchies(mounts: Path = _MOUNTS) -> tuple[Hierarchy, ...]:
    """Return every mounted cgroup hierarchy once."""
    mounted: dict[Path, Hierarchy] = {}
    for line in mounts.read_text().splitlines():
        left, _, right = line.partition(" - ")
        kind = right.split()[0]
        if kind in ("cgroup", "cgroup2"):
            root = Path(left.split()[4])
            mounted[root] = Hierarchy(root=root, version=2 if kind == "cgroup2" else 1)
    return tuple(mounted.values())


def create(name: str, trees: tuple[Hierarchy, ...]) -> None:
    """Create the cgroup in every hierarchy with the controllers that pods need.

    Raises ClusterError if the cgroup file system is not usable.
    """
    if not trees:
        raise ClusterError("no cgroup hierarchy is mounted; mount one at /sys/fs/cgroup")
    for tree in trees:
        try:
            _create(tree, name)
        except OSError as error:
            raise ClusterError(
                f"cannot create the cgroup {name} in {tree.root} ({error.strerror}); "
                "the cgroup file system must be writable: a container needs --privileged"
            ) from error


def remove(name: str, trees: tuple[Hierarchy, ...], *, timeout_s: float = 10.0) -> None:
    """Remove the cgroup from every hierarchy; wait until the remaining processes have exited."""
    deadline = time.monotonic() + timeout_s
    for tree in trees:
        top = tree.root / name
        while top.is_dir():
            _remove_empty(top)
            if not top.is_dir():
                break
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"cgroup {top} is still in use; its cgroup.procs lists the processes"
                )
            time.sleep(_RETRY_S)


def _create(tree: Hierarchy, name: str) -> None:
    folder = tree.root / name
    folder.mkdir(exist_ok=True)
    if tree.version == 2:
        _delegate(tree.root)
        _require_controllers(tree.root, folder)
        _delegate(folder)
        return
    for file in _INHERITED:
        if (folder / file).is_file() and not (folder / file).read_text().strip():
            (folder / file).write_text((tree.root / file).read_text())


def _delegate(folder: Path) -> None:
    """Enable every available controller for the children.

    Each is enabled separately, because the kernel may reject some.
    """
    controllers = (folder / "cgroup.controllers").read_text().split()
    given = (folder / "cgroup.subtree_control").read_text().split()
    for controller in set(controllers) - set(given):
        with contextlib.suppress(OSError):
            (folder / "cgroup.subtree_control").write_text(f"+{controller}")


def _require_controllers(root: Path, folder: Path) -> None:
    available = set((root / "cgroup.controllers").read_text().split())
    given = set((folder / "cgroup.controllers").read_text().split())
    if lacking := sorted((_NEEDED & available) - given):
        # The kernel delegates controllers only from a cgroup without processes. The root cgroup of
        # the machine is exempt, but the root cgroup that a container sees is not.
        raise ClusterError(
            f"{root} does not delegate {', '.join(lacking)}, because it contains processes; "
            "move them into a child cgroup, or use a machine instead of a container"
        )


def _remove_empty(top: Path) -> None:
    folders = [top, *(path for path in top.rglob("*") if path.is_dir())]
    for folder in sorted(folders, key=lambda path: len(path.parts), reverse=True):
        with contextlib.suppress(OSError):
            folder.rmdir()
