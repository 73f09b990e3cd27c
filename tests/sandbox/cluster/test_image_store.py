import io
import json
import tarfile
from pathlib import Path

import pytest

from purpleflea_sandbox.cluster.errors import ClusterError
from purpleflea_sandbox.cluster.local.image_store import contents, single_program_image


def image(folder: Path, content: bytes = b"\x7fELF", name: str = "localhost/pause:1") -> Path:
    program = folder / "pause"
    program.write_bytes(content)
    archive = folder / "image.tar"
    single_program_image(program, archive, name=name)
    return archive


def test_the_images_of_an_archive_are_listed(tmp_path: Path) -> None:
    [(name, digest)] = contents(image(tmp_path)).items()

    assert name == "localhost/pause:1"
    assert digest.startswith("sha256:")


def test_the_same_program_gives_the_same_digest(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    assert contents(image(tmp_path / "a")) == contents(image(tmp_path / "b"))
    assert contents(image(tmp_path, b"other")) != contents(image(tmp_path / "a"))


def test_every_blob_is_stored_under_its_digest_and_size(tmp_path: Path) -> None:
    with tarfile.open(image(tmp_path)) as tar:

        def read(digest: str) -> bytes:
            member = tar.extractfile("blobs/sha256/" + digest.removeprefix("sha256:"))
            assert member is not None
            return member.read()

        index = tar.extractfile("index.json")
        assert index is not None
        [entry] = json.loads(index.read())["manifests"]
        manifest = json.loads(read(entry["digest"]))
        for part in (entry, manifest["config"], *manifest["layers"]):
            assert len(read(part["digest"])) == part["size"]
        config = json.loads(read(manifest["config"]["digest"]))
        assert config["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]
        with tarfile.open(fileobj=io.BytesIO(read(manifest["layers"][0]["digest"]))) as layer:
            [program] = layer.getmembers()
            assert (program.name, program.mode) == ("pause", 0o755)


def test_all_named_images_of_an_archive_are_listed(tmp_path: Path) -> None:
    manifests = [
        {"digest": "sha256:1", "annotations": {"io.containerd.image.name": "localhost/a:1"}},
        {"digest": "sha256:2", "annotations": {"org.opencontainers.image.ref.name": "b:2"}},
        {"digest": "sha256:3"},
    ]
    content = json.dumps({"manifests": manifests}).encode()
    archive = tmp_path / "all.tar"
    with tarfile.open(archive, "w") as tar:
        member = tarfile.TarInfo("index.json")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))

    assert contents(archive) == {"localhost/a:1": "sha256:1", "b:2": "sha256:2"}


@pytest.mark.parametrize("content", [b"", b"no tar at all"])
def test_an_invalid_archive_is_an_error_with_its_name(tmp_path: Path, content: bytes) -> None:
    broken = tmp_path / "broken.tar"
    broken.write_bytes(content)

    with pytest.raises(ClusterError, match=r"broken\.tar is not an OCI image archive"):
        contents(broken)
