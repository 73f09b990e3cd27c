"""Runs a command with a Docker engine: the one that answers on this machine, else one that is started for the command.

The node image is in the cache as an archive, and is loaded into each engine.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from purpleflea_sandbox import paths
from purpleflea_sandbox.cluster import binaries, build_specs, locks, packages, providers
from purpleflea_sandbox.cluster.errors import ClusterError
from purpleflea_sandbox.cluster.kind.provider import NODE_IMAGE_VARIABLE
from purpleflea_sandbox.cluster.progress import Progress
from purpleflea_sandbox.engine import debian, node_image, process
from purpleflea_sandbox.images import base, build, run_logged
from purpleflea_sandbox.images.build import BUILDER_VARIABLE

_LOCK_LIMIT_S = 3600.0


class NoEngineError(ClusterError):
    """No engine answers, and none can be started without further steps."""


def run(command: Sequence[str], progress: Progress, *, built_only: bool = False) -> int:
    """Run the command with DOCKER_HOST set, and return its exit code. With `built_only`, no node image is built for it.

    Raises NoEngineError if no engine answers and none can be started.
    """
    if providers.docker_is_available():
        return subprocess.call(list(command))
    if sys.platform != "linux" or os.geteuid() != 0 or not base.codename():
        raise NoEngineError(
            "no Docker engine answers; start one, or run as root on Debian, where one is started for this command"
        )
    if built_only and not _is_built():
        raise NoEngineError(
            "the node image of kind is not built; `make test-kind` builds it from source (about 12 minutes)"
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


def _is_built() -> bool:
    programs = binaries.built(build_specs.KIND_NODE)
    return len(programs) == len(build_specs.KIND_NODE) and node_image.archive(programs).is_file()


def _build_image(
    unpacked: Path, build_of: type[node_image.NodeImage], image: Path, progress: Progress
) -> None:
    log = run_logged.log_file("kind-node-image")
    log.unlink(missing_ok=True)
    with node_image.temporary_folder() as scratch:
        folder = Path(scratch)
        work = build_of(node_image.programs(progress), folder, log)
        work.prepare(progress)
        with process.running(unpacked, folder, log) as engine:
            work.build(engine, image, progress)
    for other in image.parent.glob("node-*.tar"):
        if other != image:
            other.unlink()


def _run(command: Sequence[str], unpacked: Path, image: Path, progress: Progress) -> int:
    log = run_logged.log_file("engine")
    log.unlink(missing_ok=True)
    with process.running(unpacked, image.parent, log) as engine:
        with progress.step("load the kind node image into the engine", expected_s=10):
            engine.docker("load", f"--input={image}", log=log)
        environment = {
            **engine.environment,
            NODE_IMAGE_VARIABLE: node_image.NAME,
            BUILDER_VARIABLE: "buildah",
        }
        return subprocess.call(engine.inside(*command), env=environment)
