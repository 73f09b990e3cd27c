"""Interface of an image builder. This module does not depend on any builder."""

from pathlib import Path
from typing import Protocol

from purpleflea_sandbox.cluster.progress import Progress
from purpleflea_sandbox.images.catalogue import Image


class Builder(Protocol):
    """Builds archives of images."""

    @property
    def base_key(self) -> str:
        """Return the key of the builder's base image, which is part of the image keys."""
        ...

    def prepare(self, progress: Progress) -> None:
        """Build the base image if it does not exist."""
        ...

    def discard_base(self) -> None:
        """Discard the base image, so that `prepare` builds it again."""
        ...

    def build(
        self, image: Image, sources: Path, archive: Path, *, base: Path | None = None
    ) -> None:
        """Build one image from its files below `sources` and write it as an OCI archive.

        If the image has a project image as its base, `base` is the archive of that image.
        """
        ...
