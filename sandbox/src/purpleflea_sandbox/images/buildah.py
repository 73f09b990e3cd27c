"""Builds images without a Docker engine: buildah as root, with its own storage below the cache and
a private mount namespace, so that no mount remains.

The isolation is chroot, because all steps are from Dockerfiles of this project.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from purpleflea_sandbox import paths
from purpleflea_sandbox.cluster import packages
from purpleflea_sandbox.cluster.progress import Progress
from purpleflea_sandbox.images import archives, base, build_network, run_logged
from purpleflea_sandbox.images.catalogue import Image

PACKAGES = ("mmdebstrap", "buildah", "util-linux")
STORE_LIMIT_BYTES = 8 * 1024**3
# buildah writes files into these folders even if another storage is configured.
_SYSTEM_FOLDERS = (Path("/var/lib/containers"), Path("/run/containers"))
# Mounts end with the mount namespace of each command, so the run root, which records them, must end
# with it too.
_HIDE = 'while [ "$1" != -- ]; do mount -t tmpfs tmpfs "$1" || exit; shift; done; shift; exec "$@"'
_BASE_DOCKERFILE = """\
FROM scratch
ADD {tar} /
ENV PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8
CMD ["python3"]
"""


class Buildah:
    """Builder for machines without a Docker engine (Debian or a derivative, root)."""

    def __init__(self) -> None:
        self._store = paths.cache() / "buildah"

    @property
    def base_key(self) -> str:
        return f"buildah-{base.key()}"

    def prepare(self, progress: Progress) -> None:
        packages.ensure(PACKAGES, progress)
        if _size(self._store) > STORE_LIMIT_BYTES:
            shutil.rmtree(self._store)
        log = _fresh_log("image-base")
        if archives.find(base.NAME, base.key()) is None:
            with progress.step(
                "build the base image from Debian packages", expected_s=base.EXPECTED_S
            ):
                base.build(log)
        if not self._marker.exists():
            with progress.step("import the base image into the build storage", expected_s=4):
                self._import_base(log)

    def discard_base(self) -> None:
        archives.path(base.NAME, base.key()).unlink(missing_ok=True)
        self._marker.unlink(missing_ok=True)

    def build(
        self, image: Image, sources: Path, archive: Path, *, base: Path | None = None
    ) -> None:
        log = _fresh_log(f"image-{image.name}")
        if base is not None:
            self._buildah(
                "pull", "--quiet", f"oci-archive:{base}", log=log, doing=f"importing {base.name}"
            )
        with tempfile.TemporaryDirectory() as scratch:
            options = (
                "--isolation=chroot",
                "--layers",
                "--pull-never",
                # Equal inputs give equal layers, so a cluster does not import a rebuilt archive as
                # a new image.
                "--timestamp=0",
                # An image on another project image sets BASE_IMAGE in its own Dockerfile.
                *(() if base else (f"--build-arg=BASE_IMAGE={self._base_reference}",)),
                *build_network.secrets(Path(scratch)).options(),
                f"--tag={image.reference}",
                f"--file={sources / image.dockerfile}",
                str(sources / image.folder),
            )
            self._buildah("bud", *options, log=log, doing=f"building the image {image.name}")
        target = f"oci-archive:{archive}:{image.reference}"
        self._buildah(
            "push", "--quiet", image.reference, target, log=log, doing=f"writing {archive.name}"
        )

    @property
    def _base_reference(self) -> str:
        return f"localhost/purpleflea-base:{base.key()}"

    @property
    def _marker(self) -> Path:
        return self._store / f"base-{base.key()}"

    def _import_base(self, log: Path) -> None:
        tar = base.build(log)
        with tempfile.TemporaryDirectory() as scratch:
            dockerfile = Path(scratch) / "Dockerfile"
            dockerfile.write_text(_BASE_DOCKERFILE.format(tar=tar.name))
            options = (
                "--isolation=chroot",
                "--timestamp=0",
                f"--tag={self._base_reference}",
                f"--file={dockerfile}",
                str(tar.parent),
            )
            self._buildah("bud", *options, log=log, doing="building the base image")
        self._marker.touch()

    def _buildah(self, command: str, *arguments: str, log: Path, doing: str) -> None:
        run_root = self._store / "run"
        run_root.mkdir(parents=True, exist_ok=True)
        argv = [
            *(packages.program("unshare"), "--mount", "--propagation", "private"),
            *("sh", "-c", _HIDE, "sh", *map(str, (*_SYSTEM_FOLDERS, run_root)), "--"),
            *(packages.program("buildah"), "--root", str(self._store), "--runroot", str(run_root)),
            *(command, *arguments),
        ]
        with _mount_points(_SYSTEM_FOLDERS):
            driver = os.environ.get("STORAGE_DRIVER", "overlay")
            run_logged.run(argv, log=log, doing=doing, env={"STORAGE_DRIVER": driver})


@contextmanager
def _mount_points(folders: tuple[Path, ...]) -> Iterator[None]:
    """Create the missing mount points; remove them at the end."""
    created = [folder for folder in folders if not folder.exists()]
    for folder in created:
        folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for folder in created:
            with suppress(OSError):
                folder.rmdir()


def _fresh_log(name: str) -> Path:
    log = run_logged.log_file(name)
    log.unlink(missing_ok=True)
    return log


def _size(folder: Path) -> int:
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            with suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_size
    return total
