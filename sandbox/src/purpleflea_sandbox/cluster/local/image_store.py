"""Images of a running cluster, accessed through containerd's own client: list images and import the
missing images of OCI archives.

This module also writes the `pause` image that every pod needs.
"""

import hashlib
import io
import json
import platform
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from purpleflea_sandbox.cluster import packages
from purpleflea_sandbox.cluster.errors import ClusterError

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_NAME = "io.containerd.image.name"
_REFERENCE = "org.opencontainers.image.ref.name"
_FORMER = "-former"
_TRIES = 4
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class ImageStore:
    """Client of containerd at one socket."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def images(self) -> Mapping[str, str]:
        """Return the digest of every image by name."""
        rows = [line.split() for line in self._ctr("images", "list").splitlines()[1:]]
        return {
            row[0]: next(column for column in row if column.startswith("sha256:")) for row in rows
        }

    def load(self, archives: Sequence[Path]) -> tuple[str, ...]:
        """Import the archives that contain a new image; return the names of the imported images."""
        present = self.images()
        imported: list[str] = []
        for archive in archives:
            new = {
                name: digest
                for name, digest in contents(archive).items()
                if present.get(name) != digest
            }
            if new:
                self._replace(archive, [name for name in new if name in present])
                imported.extend(new)
        return tuple(imported)

    def _replace(self, archive: Path, former: Sequence[str]) -> None:
        """Import an archive, and keep the previous images of the same names until it is unpacked.

        Otherwise containerd garbage-collects their layers while it unpacks the layers that the new
        images share with them. The import then fails because a parent snapshot does not exist.
        """
        for name in former:
            self._ctr("images", "tag", "--force", name, f"{name}{_FORMER}")
        try:
            self._import(archive)
        finally:
            for name in former:
                self._ctr("images", "remove", f"{name}{_FORMER}")

    def _import(self, archive: Path) -> None:
        for left in range(_TRIES - 1, -1, -1):
            try:
                self._ctr("images", "import", str(archive))
                return
            except ClusterError as error:
                # The same garbage collection also removes the remains of an import that was killed,
                # so the import is retried.
                if not left or "does not exist" not in str(error):
                    raise

    def _ctr(self, *arguments: str) -> str:
        argv = [packages.program("ctr"), "--address", str(self._socket), "--namespace", "k8s.io"]
        done = subprocess.run(
            [*argv, *arguments],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode != 0:
            raise ClusterError(f"'ctr {' '.join(arguments)}' failed: {done.stderr.strip()[-300:]}")
        return done.stdout


def contents(archive: Path) -> Mapping[str, str]:
    """Return the digest of every named image in an OCI archive, by name.

    Raises ClusterError if the file is not an OCI archive.
    """
    try:
        with tarfile.open(archive) as tar:
            member = tar.extractfile("index.json")
            index = json.loads(member.read()) if member else {}
    except (OSError, KeyError, ValueError, tarfile.TarError) as error:
        raise ClusterError(
            f"{archive} is not an OCI image archive ({error}); build it again"
        ) from error
    named: dict[str, str] = {}
    for entry in index.get("manifests", ()):
        annotations = entry.get("annotations", {})
        if name := annotations.get(_NAME) or annotations.get(_REFERENCE):
            named[name] = entry["digest"]
    return named


def single_program_image(program: Path, archive: Path, *, name: str) -> None:
    """Write an OCI archive of an image that contains one static program and runs it."""
    blobs: dict[str, bytes] = {}
    layer = _tar({program.name: program.read_bytes()}, mode=0o755)
    layer_entry = _blob(blobs, layer, "application/vnd.oci.image.layer.v1.tar")
    config = {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {"Entrypoint": [f"/{program.name}"], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": [layer_entry["digest"]]},
        "history": [{"created_by": "purpleflea-sandbox"}],
    }
    config_entry = _blob(blobs, _json(config), "application/vnd.oci.image.config.v1+json")
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": config_entry,
        "layers": [layer_entry],
    }
    entry = _blob(blobs, _json(manifest), _MANIFEST)
    entry["annotations"] = {_NAME: name, _REFERENCE: name}
    files = {
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
        "index.json": _json({"schemaVersion": 2, "manifests": [entry]}),
        **{f"blobs/sha256/{digest}": content for digest, content in blobs.items()},
    }
    archive.write_bytes(_tar(files, mode=0o644))


def _blob(blobs: dict[str, bytes], content: bytes, media_type: str) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    blobs[digest] = content
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}


def _tar(files: Mapping[str, bytes], *, mode: int) -> bytes:
    # Members have no times and no owners, so the same program gives the same digest and is not
    # imported twice.
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
