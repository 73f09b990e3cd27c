"""Wheels and charts whose bytes depend only on the commit.

Usage: python -m release.artifacts FOLDER [REGISTRY]     SOURCE_DATE_EPOCH is the time of the files; without it, that of
the commit. With a REGISTRY, such as ghcr.io/purpleflea, the images of the chart are there, and not in localhost.

`helm package` writes the time of the build into the archive, so the archive is written again.
"""

import gzip
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

WHEELS = ("contract", "sdk", "operator", "agent_image", "cli")
"""Folders of the distributions that are released. The sandbox is not."""
CHARTS = ("charts/purpleflea-operator", "charts/paper-exchange")
_MODE = 0o644
_LOCAL = re.compile(r"\blocalhost\b")
"""Registry of the images in the values of the chart in the repository."""


def commit_time(root: Path) -> int:
    """Return the time of the commit in seconds; SOURCE_DATE_EPOCH has priority."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    command = ["git", "log", "-1", "--format=%ct"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    return int(done.stdout)


def build(root: Path, folder: Path, *, epoch: int, registry: str = "") -> list[Path]:
    """Build all wheels and charts of a checkout into a folder, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in WHEELS:
        _wheel(root / name, folder, epoch)
    for name in CHARTS:
        chart(root / name, folder, epoch=epoch, registry=registry)
    return sorted(folder.iterdir())


def _wheel(project: Path, folder: Path, epoch: int) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    subprocess.run(command, cwd=project, env=environment, check=True, capture_output=True)


def chart(source: Path, folder: Path, *, epoch: int, registry: str = "") -> Path:
    """Package a chart into a folder, with the images in a registry if it is given, and return the path."""
    helm = shutil.which("helm", path=str(Path(sys.executable).parent)) or "helm"
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / source.name
        shutil.copytree(source, copy)
        if registry:
            values = copy / "values.yaml"
            text = values.read_text(encoding="utf-8")
            values.write_text(_LOCAL.sub(registry, text), encoding="utf-8")
        command = [helm, "package", "--destination", scratch, str(copy)]
        subprocess.run(command, check=True, capture_output=True)
        (package,) = Path(scratch).glob("*.tgz")
        target = folder / package.name
        target.write_bytes(repacked(package.read_bytes(), epoch))
        return target


def repacked(archive: bytes, epoch: int) -> bytes:
    """Return a compressed tar archive with sorted files, one time, and no owner."""
    content = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as source,
        tarfile.open(fileobj=content, mode="w", format=tarfile.USTAR_FORMAT) as target,
    ):
        for item in sorted((found for found in source if found.isfile()), key=lambda x: x.name):
            clean = tarfile.TarInfo(item.name)
            clean.size, clean.mtime, clean.mode = item.size, epoch, _MODE
            target.addfile(clean, source.extractfile(item))
    return gzip.compress(content.getvalue(), mtime=0)


def main(arguments: list[str]) -> int:
    """Build into a folder and print the paths."""
    if len(arguments) not in (1, 2):
        print(__doc__, file=sys.stderr)
        return 2
    root, registry = Path(__file__).parents[1], "".join(arguments[1:])
    for path in build(root, Path(arguments[0]), epoch=commit_time(root), registry=registry):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
