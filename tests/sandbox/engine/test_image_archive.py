import hashlib
import io
import json
import tarfile
from pathlib import Path

from purpleflea_sandbox.engine import image_archive
from purpleflea_sandbox.engine.image_archive import SmallImage


def test_the_names_come_first_and_each_layer_has_the_digest_of_its_configuration(
    tmp_path: Path,
) -> None:
    program = tmp_path / "program"
    program.write_text("content")
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "sh").write_text("shell")
    images = [
        SmallImage(reference="example.com/a/one:1", files={"/usr/local/bin/one": program}),
        SmallImage(
            reference="example.com:5000/two:2",
            files={"/two": program},
            root=root,
            entrypoint=("/two",),
        ),
    ]

    image_archive.write(images, tmp_path / "images.tar")

    with tarfile.open(tmp_path / "images.tar") as tar:
        names = tar.getnames()
        contents = {name: tar.extractfile(name).read() for name in names}  # type: ignore[union-attr]
    assert (names[0], names[-1]) == ("repositories", "manifest.json")
    repositories = json.loads(contents["repositories"])
    assert {name: list(tags) for name, tags in repositories.items()} == {
        "example.com/a/one": ["1"],
        "example.com:5000/two": ["2"],
    }
    one, two = json.loads(contents["manifest.json"])
    assert (one["RepoTags"], two["RepoTags"]) == (
        ["example.com/a/one:1"],
        ["example.com:5000/two:2"],
    )
    for item in (one, two):
        config = json.loads(contents[item["Config"]])
        (layer,) = item["Layers"]
        digest = hashlib.sha256(contents[layer]).hexdigest()
        assert config["rootfs"]["diff_ids"] == [f"sha256:{digest}"]
    assert json.loads(contents[two["Config"]])["config"]["Entrypoint"] == ["/two"]
    with tarfile.open(fileobj=io.BytesIO(contents[two["Layers"][0]])) as layer_tar:
        found = {item.name: item.mode for item in layer_tar if item.isfile()}
    assert found.keys() == {"./bin/sh", "two"}
    assert found["two"] == 0o755
