"""Runs a command with a Docker engine: the one that answers on this machine, else one that is started for the command.

The images of the engine are kept in the cache. Its containers are not: if a run did not end properly, its data is
removed and the node image is loaded again.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from purpleflea_sandbox import paths
from purpleflea_sandbox.cluster import locks, packages, providers
from purpleflea_sandbox.cluster.errors import ClusterError
from purpleflea_sandbox.cluster.kind.provider import NODE_IMAGE_VARIABLE
from purpleflea_sandbox.cluster.progress import Progress
from purpleflea_sandbox.engine import debian, node_image, process
from purpleflea_sandbox.engine.process import Engine
from purpleflea_sandbox.images import base, build, run_logged
from purpleflea_sandbox.images.build import BUILDER_VARIABLE

_LOCK_LIMIT_S = 3600.0
_OLD = "unfinished-"


def run(command: Sequence[str], progress: Progress) -> int:
    """Run the command with DOCKER_HOST set, and return its exit code.

    Raises ClusterError if no engine answers and none can be started.
    """
    if providers.docker_is_available():
        return subprocess.call(list(command))
    if sys.platform != "linux" or os.geteuid() != 0 or not base.codename():
        raise ClusterError(
            "no Docker engine answers; start one, or run as root on Debian, where one is started for this command"
        )
    # Everything that needs a network comes first, because the engine has none.
    build.ensure((), progress)
    programs = node_image.programs(progress)
    packages.ensure(process.PACKAGES, progress)
    unpacked = debian.unpacked(progress)
    folder = paths.cache() / "engine"
    with locks.held(
        folder / ".lock", timeout_s=_LOCK_LIMIT_S, what="the Docker engine of the cache"
    ):
        image = node_image.archive(programs)
        if not image.is_file():
            _build_image(unpacked, node_image.NodeImage, image, progress)
        return _run(command, unpacked, image, progress)


def _build_image(
    unpacked: Path, build_of: type[node_image.NodeImage], image: Path, progress: Progress
) -> None:
    log = run_logged.log_file("kind-node-image")
    log.unlink(missing_ok=True)
    with node_image.temporary_folder() as scratch:
        folder = Path(scratch)
        work = build_of(node_image.programs(progress), folder, log)
        work.prepare(progress)
        with process.running(unpacked, folder / "data", log) as engine:
            work.build(engine, image, progress)
    for other in image.parent.glob("node-*.tar"):
        if other != image:
            other.unlink()


def _run(command: Sequence[str], unpacked: Path, image: Path, progress: Progress) -> int:
    data, log = image.parent / "data", run_logged.log_file("engine")
    log.unlink(missing_ok=True)
    loaded = image.parent / "loaded"
    is_loaded = loaded.is_file() and loaded.read_text() == image.name
    # The file is missing while the engine runs, so an unfinished run is noticed.
    loaded.unlink(missing_ok=True)
    if not is_loaded and data.exists():
        data.rename(Path(tempfile.mkdtemp(prefix=_OLD, dir=data.parent)) / data.name)
    with _old_data_removed(data.parent), process.running(unpacked, data, log) as engine:
        if not is_loaded:
            with progress.step("load the kind node image into the engine", expected_s=30):
                engine.docker("load", f"--input={image}", log=log)
        environment = {
            **engine.environment,
            NODE_IMAGE_VARIABLE: node_image.NAME,
            BUILDER_VARIABLE: "buildah",
        }
        code = subprocess.call(engine.inside(*command), env=environment)
        if _is_empty(engine):
            loaded.write_text(image.name)
    return code


@contextlib.contextmanager
def _old_data_removed(folder: Path) -> Iterator[None]:
    """Remove the data of unfinished runs meanwhile; some file systems need minutes for it."""
    old = [str(path) for path in folder.glob(f"{_OLD}*")]
    removing = subprocess.Popen(("rm", "-rf", "--", *old)) if old else None
    try:
        yield
    finally:
        if removing is not None:
            removing.wait()


def _is_empty(engine: Engine) -> bool:
    """Return whether the command has removed its containers."""
    argv = ("docker", "ps", "--all", "--quiet")
    answer = subprocess.run(argv, env=engine.environment, capture_output=True, check=False)
    return answer.returncode == 0 and not answer.stdout.strip()
