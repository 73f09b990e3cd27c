"""Debian packages that the node and the image builds need.

A package is detected through the programs it contains. Missing packages are installed by apt-get if
the user is root; otherwise the error names the exact command. Installed packages are not changed.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from purpleflea_sandbox import paths
from purpleflea_sandbox.cluster.errors import ClusterError, with_log
from purpleflea_sandbox.cluster.progress import Progress

CNI_PLUGINS = Path("/usr/lib/cni")
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"

# Package -> programs whose presence shows that the package is installed.
_PROOFS: Mapping[str, tuple[str, ...]] = {
    "containerd": ("containerd", "ctr", "containerd-shim-runc-v2"),
    "runc": ("runc",),
    "containernetworking-plugins": tuple(
        str(CNI_PLUGINS / name) for name in ("bridge", "host-local", "loopback", "portmap")
    ),
    "iptables": ("iptables",),
    "nftables": ("nft",),
    "iproute2": ("ip",),
    "util-linux": ("unshare", "nsenter"),
    "mount": ("mount",),
    "mmdebstrap": ("mmdebstrap",),
    "buildah": ("buildah",),
}
NODE = (
    "containerd",
    "runc",
    "containernetworking-plugins",
    "iptables",
    "nftables",
    "iproute2",
    "util-linux",
    "mount",
)


def search_path() -> str:
    """Return PATH with the system folders that the shells of ordinary users omit."""
    return f"{os.environ.get('PATH', '/usr/bin:/bin')}:{_SBIN}"


def program(name: str) -> str:
    """Return the full path of a program of a package that `ensure` has checked."""
    path = shutil.which(name, path=search_path())
    if path is None:
        raise ClusterError(f"the program {name} is not on PATH; install its package and retry")
    return path


def missing(names: Sequence[str]) -> list[str]:
    """Return the packages that are not installed."""
    # A package without an entry is detected by a program with the name of the package.
    return [name for name in names if not all(map(_is_there, _PROOFS.get(name, (name,))))]


def ensure(names: Sequence[str], progress: Progress, *, is_root: bool | None = None) -> None:
    """Install the missing packages.

    Raises ClusterError with the command to run if this process cannot install them.
    """
    lacking = missing(names)
    if not lacking:
        return
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *lacking]
    apt = shutil.which("apt-get", path=search_path())
    if apt is None:
        raise ClusterError(
            f"required packages are missing: {', '.join(lacking)} (Debian names); "
            "apt-get is not available, so install them with your distribution's package manager"
        )
    if not (os.geteuid() == 0 if is_root is None else is_root):
        raise ClusterError(f"required packages are missing; run: sudo {' '.join(command)}")
    with progress.step(f"install Debian packages: {' '.join(lacking)}", expected_s=45):
        _apt([apt, "update"])
        _apt([apt, *command[1:]])
    if still := missing(lacking):
        raise ClusterError(
            f"apt-get succeeded, but these packages are not usable: {', '.join(still)}"
        )


def _is_there(proof: str) -> bool:
    return shutil.which(proof, path=search_path()) is not None


def _apt(argv: Sequence[str]) -> None:
    log = paths.cache() / "build-logs" / "apt.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        done = subprocess.run(
            list(argv),
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0 and "update" not in argv:
        raise with_log(f"'{' '.join(argv)}' failed", log)
