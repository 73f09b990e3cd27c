"""Debian packages that are unpacked into the cache instead of being installed.

apt verifies them by the signed index of the distribution.
"""

import shutil
import tempfile
from pathlib import Path

from purpleflea_sandbox import paths
from purpleflea_sandbox.cluster import packages
from purpleflea_sandbox.cluster.progress import Progress
from purpleflea_sandbox.images import base, run_logged

UNPACKED = ("docker.io", "tini")


def unpacked(progress: Progress) -> Path:
    """Return the root of the unpacked packages, from the cache or downloaded now."""
    root = paths.cache() / "engine" / f"docker-{base.codename()}"
    if root.is_dir():
        return root
    log = run_logged.log_file("engine-packages")
    with progress.step(f"download and unpack {', '.join(UNPACKED)}", expected_s=15):
        root.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".docker-", dir=root.parent))
        try:
            _unpack(unfinished, log)
            (unfinished / "root").rename(root)
        finally:
            shutil.rmtree(unfinished)
    return root


def _unpack(folder: Path, log: Path) -> None:
    apt = [packages.program("apt-get"), "--option=APT::Sandbox::User=root"]
    run_logged.run([*apt, "update"], log=log, doing="reading the package lists")
    argv = ["env", f"--chdir={folder}", *apt, "download", *UNPACKED]
    run_logged.run(argv, log=log, doing="downloading the packages of the engine")
    for package in sorted(folder.glob("*.deb")):
        argv = [packages.program("dpkg"), "--extract", str(package), str(folder / "root")]
        run_logged.run(argv, log=log, doing=f"unpacking {package.name}")
