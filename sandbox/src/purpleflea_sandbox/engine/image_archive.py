"""Writes images of one layer each as one archive in the format of `docker save`.

kind reads only the first image of the manifest, unless the archive begins with the file `repositories`.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallImage:
    """An image: files of this machine by their paths in the image, and a folder to start from."""

    reference: str
    files: Mapping[str, Path]
    root: Path | None = None
    entrypoint: Sequence[str] = ()


@dataclass(slots=True)
class _Archive:
    tar: tarfile.TarFile
    manifest: list[dict[str, Any]] = field(default_factory=list)

    def add(self, name: str, content: bytes) -> None:
        item = tarfile.TarInfo(name)
        item.size = len(content)
        self.tar.addfile(item, io.BytesIO(content))


def write(images: Sequence[SmallImage], archive: Path) -> None:
    """Write the images to one archive."""
    with tarfile.open(archive, "w") as tar:
        written = _Archive(tar)
        written.add("repositories", json.dumps(_repositories(images)).encode())
        for image in images:
            _add(image, written)
        written.add("manifest.json", json.dumps(written.manifest).encode())


def _repositories(images: Sequence[SmallImage]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for image in images:
        name, _, tag = image.reference.rpartition(":")
        found.setdefault(name, {})[tag] = hashlib.sha256(image.reference.encode()).hexdigest()
    return found


def _add(image: SmallImage, archive: _Archive) -> None:
    layer = _layer(image)
    digest = hashlib.sha256(layer).hexdigest()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": [f"PATH={_PATH}"], "Entrypoint": list(image.entrypoint)},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created_by": "purpleflea-sandbox"}],
    }
    content = json.dumps(config, sort_keys=True).encode()
    name = f"{hashlib.sha256(content).hexdigest()}.json"
    archive.add(f"{digest}/layer.tar", layer)
    archive.add(name, content)
    archive.manifest.append(
        {"Config": name, "RepoTags": [image.reference], "Layers": [f"{digest}/layer.tar"]}
    )


def _layer(image: SmallImage) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        if image.root is not None:
            tar.add(image.root, arcname=".")
        for target, source in sorted(image.files.items()):
            item = tarfile.TarInfo(target.lstrip("/"))
            item.mode, item.size = 0o755, source.stat().st_size
            with source.open("rb") as content:
                tar.addfile(item, content)
    return buffer.getvalue()
