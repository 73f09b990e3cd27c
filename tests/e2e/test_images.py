"""The files of the built images: they have no package manager."""

import json
import re
import tarfile

import pytest

from purpleflea_sandbox.cluster.progress import TerminalProgress
from purpleflea_sandbox.images import build, catalogue

PACKAGE_MANAGER = re.compile(
    r"/bin/(apt|apt-\w+|dpkg|dpkg-\w+|pip[\d.]*|easy_install|uv|conda|apk|yum|dnf|rpm|npm)$"
    r"|^/usr/lib(exec)?/(apt|dpkg)/|/libapt-|^/etc/apt/"
    r"|/(pip|ensurepip|setuptools)/__init__\.py$|/(pip|setuptools)-[^/]*\.whl$"
)
INSTALLED_PACKAGES = "/var/lib/dpkg/status"
"""Scanners read it."""
DELETED = ".wh."


def blob(archive, digest):
    return archive.extractfile(f"blobs/{digest.replace(':', '/')}")


def layer_names(path, digest):
    """Return the paths of the files of a layer."""
    with (
        tarfile.open(path) as archive,
        tarfile.open(fileobj=blob(archive, digest), mode="r|*") as layer,
    ):
        return frozenset(f"/{item.name.removeprefix('./')}" for item in layer if not item.isdir())


def layers(path):
    with tarfile.open(path) as archive:
        (described,) = json.load(archive.extractfile("index.json"))["manifests"]
        manifest = json.load(blob(archive, described["digest"]))
    return [layer["digest"] for layer in manifest["layers"]]


@pytest.fixture(scope="module")
def images():
    """Return the files of each layer of each image."""
    archives = build.ensure((), TerminalProgress())
    places = {digest: path for path in archives.values() for digest in layers(path)}
    files = {digest: layer_names(path, digest) for digest, path in places.items()}
    return {
        name: {digest: files[digest] for digest in layers(path)} for name, path in archives.items()
    }


@pytest.mark.parametrize("name", [image.name for image in catalogue.IMAGES])
def test_an_image_has_no_package_manager_in_any_layer(images, name):
    found = set().union(*images[name].values())
    assert "/opt/venv/bin/python" in found
    assert INSTALLED_PACKAGES in found
    assert [file for file in sorted(found) if PACKAGE_MANAGER.search(file)] == []
    # No layer hides files of another one.
    assert [file for file in found if f"/{DELETED}" in file] == []


def test_the_images_share_the_layer_of_the_base(images):
    assert len({next(iter(layers)) for layers in images.values()}) == 1
