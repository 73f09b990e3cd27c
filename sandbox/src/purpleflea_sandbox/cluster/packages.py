"""Debian packages that the node and the image builds need: seen by the programs they bring,
installed by apt-get when root, else named in one line with the exact command. Touches no package
that is there already."""

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

# Package -> programs that prove it is there.
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
    """PATH with the system folders that ordinary users' shells leave out."""
    return f"{os.environ.get('PATH', '/usr/bin:/bin')}:{_SBIN}"


def program(name: str) -> str:
    """The full path of a program that `ensure` has seen."""
    found = shutil.which(name, path=search_path())
    if found is None:
        raise ClusterError(f"the program {name} is not on PATH; install its package and try again")
    return found


def missing(names: Sequence[str]) -> list[str]:
    """Those of the packages that are not there."""
    # A package without known proofs is seen by a program of its own name.
    return [name for name in names if not all(map(_is_there, _PROOFS.get(name, (name,))))]


def ensure(names: Sequence[str], progress: Progress, *, is_root: bool | None = None) -> None:
    """Make the packages be there, or say in one line what has to be run."""
    lacking = missing(names)
    if not lacking:
        return
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *lacking]
    apt = shutil.which("apt-get", path=search_path())
    if apt is None:
        raise ClusterError(
            f"needed and not installed: {', '.join(lacking)} (names of Debian packages); "
            "there is no apt-get here: install them in your distribution's way"
        )
    if not (os.geteuid() == 0 if is_root is None else is_root):
        raise ClusterError(f"needed and not installed; run: sudo {' '.join(command)}")
    with progress.step(f"install Debian packages: {' '.join(lacking)}", expected_s=45):
        _apt([apt, "update"])
        _apt([apt, *command[1:]])
    if still := missing(lacking):
        raise ClusterError(f"apt-get ended well, yet these are not usable: {', '.join(still)}")


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
