"""Builds images with a Docker engine (docker build and docker save).

The base image is the default of the Dockerfiles.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from purpleflea_sandbox.cluster.progress import Progress
from purpleflea_sandbox.images import build_network, run_logged
from purpleflea_sandbox.images.catalogue import Image

_ANSWER_TIMEOUT_S = 2.0


class Docker:
    """Builder for machines on which a Docker engine responds."""

    def __init__(self) -> None:
        self._fresh = False

    @property
    def base_key(self) -> str:
        # The Dockerfiles contain the name of the base image and are part of every key.
        return "docker"

    def prepare(self, progress: Progress) -> None:
        del progress

    def discard_base(self) -> None:
        self._fresh = True

    def build(
        self, image: Image, sources: Path, archive: Path, *, base: Path | None = None
    ) -> None:
        log = run_logged.log_file(f"image-{image.name}")
        log.unlink(missing_ok=True)
        if base is not None:
            run_logged.run(
                ["docker", "load", f"--input={base}"], log=log, doing=f"loading {base.name}"
            )
        with tempfile.TemporaryDirectory() as scratch:
            options = (
                *(("--pull",) if self._fresh and base is None else ()),
                *build_network.secrets(Path(scratch)).options(),
                f"--tag={image.reference}",
                f"--file={sources / image.dockerfile}",
                str(sources / image.folder),
            )
            run_logged.run(
                ["docker", "build", "--progress=plain", *options],
                log=log,
                doing=f"building the image {image.name}",
                env={"DOCKER_BUILDKIT": "1"},
            )
        save = ["docker", "save", f"--output={archive}", image.reference]
        run_logged.run(save, log=log, doing=f"writing {archive.name}")


def is_available() -> bool:
    """Return whether a Docker engine can be reached."""
    if shutil.which("docker") is None:
        return False
    try:
        done = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"],
            capture_output=True,
            timeout=_ANSWER_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
