"""Builds image archives on demand.

If the cache contains an archive for the key of the current sources, it is used; the others are
built one at a time. This module does not depend on a cluster.
"""

import os
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from purpleflea_sandbox import paths
from purpleflea_sandbox.cluster import locks
from purpleflea_sandbox.cluster.progress import Progress
from purpleflea_sandbox.images import (
    archives,
    base,
    catalogue,
    context,
    docker,
    go_images,
    keys,
)
from purpleflea_sandbox.images.buildah import Buildah
from purpleflea_sandbox.images.catalogue import Image
from purpleflea_sandbox.images.docker import Docker
from purpleflea_sandbox.images.errors import ImageError
from purpleflea_sandbox.images.port import Builder

BUILDER_VARIABLE = "PURPLEFLEA_IMAGE_BUILDER"
"""Environment variable with the builder: docker, buildah, or auto (the default)."""
_LOCK_TIMEOUT_S = 1800
_EXPECTED_FIRST_S = 40
_EXPECTED_AGAIN_S = 10


def ensure(names: Iterable[str], progress: Progress, *, fresh: bool = False) -> dict[str, Path]:
    """Return the OCI archive of every named image (of all demo images if no name is given),
    building them if needed.

    If `fresh` is set, the base image and every named image are built again.
    """
    wanted = catalogue.chosen(names)
    images = tuple(image for image in wanted if not image.program)
    # These images need no builder and have no base image that could be rebuilt.
    ready = {i.name: go_images.archive(i, progress) for i in wanted if i.program}
    builders = _candidate_builders()
    ready |= {} if fresh else _cached(images, paths.checkout(), builders)
    if missing := _missing(images, ready):
        ready |= build_with(_usable_builder(builders), missing, progress, fresh=fresh)
    return {image.name: ready[image.name] for image in wanted}


def ensure_of(image: Image, checkout: Path, progress: Progress) -> Path:
    """Return the OCI archive of an image without a base, built from any checkout."""
    builders = _candidate_builders()
    ready = _cached([image], checkout, builders)
    if ready:
        return ready[image.name]
    builder = _usable_builder(builders)
    with _exclusively():
        builder.prepare(progress)
        with progress.step(f"build image {image.name}", expected_s=_EXPECTED_AGAIN_S):
            return _build_one(builder, image, checkout, None)


def _exclusively() -> AbstractContextManager[None]:
    """Only one run at a time builds on this machine."""
    return locks.held(
        archives.folder() / ".lock", timeout_s=_LOCK_TIMEOUT_S, what="the image builds"
    )


def build_with(
    builder: Builder, images: Sequence[Image], progress: Progress, *, fresh: bool = False
) -> dict[str, Path]:
    """Build the missing images with one builder. Only one run at a time builds on this machine."""
    checkout = paths.checkout()
    with _exclusively():
        if fresh:
            builder.discard_base()
        ready = {} if fresh else _cached(images, checkout, [builder])
        needed = catalogue.with_bases(_missing(images, ready))
        if not fresh:
            ready |= _cached(needed, checkout, [builder])
        missing = _missing(needed, ready)
        if missing:
            builder.prepare(progress)
        for number, image in enumerate(missing, start=1):
            expected_s = _EXPECTED_AGAIN_S if archives.has_any(image.name) else _EXPECTED_FIRST_S
            text = f"build image {image.name} ({number} of {len(missing)})"
            with progress.step(text, expected_s=expected_s):
                ready[image.name] = _build_one(builder, image, checkout, ready.get(image.base))
    return {image.name: ready[image.name] for image in images}


def _missing(images: Sequence[Image], ready: Mapping[str, Path]) -> tuple[Image, ...]:
    return tuple(image for image in images if image.name not in ready)


def _build_one(builder: Builder, image: Image, checkout: Path, base: Path | None) -> Path:
    with tempfile.TemporaryDirectory(prefix="purpleflea-image-") as scratch:
        sources = Path(scratch)
        context.snapshot(image, checkout, sources)
        key = keys.image_key(image, sources, _base_key(image, checkout, builder))
        with archives.publishing(image.name, key) as unfinished:
            builder.build(image, sources, unfinished, base=base)
    return archives.path(image.name, key)


def _base_key(image: Image, checkout: Path, builder: Builder) -> str:
    """Return the key of the base: the base of the builder, or the key of the project image that the
    image is built on.
    """
    if not image.base:
        return builder.base_key
    (base,) = catalogue.chosen([image.base])
    return keys.image_key(base, checkout, builder.base_key)


def _cached(
    images: Sequence[Image], checkout: Path, builders: Sequence[Builder]
) -> dict[str, Path]:
    """Return the cached archives of any builder. The lookup starts no process."""
    ready: dict[str, Path] = {}
    for image in images:
        for builder in builders:
            archive = archives.find(
                image.name, keys.image_key(image, checkout, _base_key(image, checkout, builder))
            )
            if archive is not None:
                ready.setdefault(image.name, archive)
    return ready


def _candidate_builders() -> tuple[Builder, ...]:
    return (Docker(), Buildah()) if base.codename() else (Docker(),)


def _usable_builder(builders: Sequence[Builder]) -> Builder:
    wanted = os.environ.get(BUILDER_VARIABLE) or "auto"
    if wanted not in ("auto", "docker", "buildah"):
        raise ImageError(f"{BUILDER_VARIABLE} is {wanted}; set it to docker, buildah or auto")
    if wanted != "buildah" and docker.is_available():
        return Docker()
    for builder in builders if wanted != "docker" else ():
        if isinstance(builder, Buildah) and sys.platform == "linux" and os.geteuid() == 0:
            return builder
    if wanted == "docker":
        raise ImageError(f"{BUILDER_VARIABLE} is docker, but no Docker engine answers")
    raise ImageError(
        "cannot build images: a Docker engine, or root on Debian or Ubuntu, is required; "
        "without images only a simulated cluster works (nothing runs in its pods)"
    )


def references(names: Iterable[str] = ()) -> Mapping[str, str]:
    """Return the reference that pods use for each image."""
    return {image.name: image.reference for image in catalogue.chosen(names)}
