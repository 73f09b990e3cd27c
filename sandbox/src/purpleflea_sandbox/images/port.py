"""The interface of a builder of images. No builder is known here."""

from pathlib import Path
from typing import Protocol

from purpleflea_sandbox.cluster.progress import Progress
from purpleflea_sandbox.images.catalogue import Image


class Builder(Protocol):
    """One way to make an archive of an image."""

    @property
    def base_key(self) -> str:
        """What the images stand on, as a part of their keys."""
        ...

    def prepare(self, progress: Progress) -> None:
        """Make what all images stand on, if it is not there."""
        ...

    def forget_base(self) -> None:
        """Drop what all images stand on, so that `prepare` makes it anew."""
        ...

    def build(
        self, image: Image, sources: Path, archive: Path, *, base: Path | None = None
    ) -> None:
        """Build one image from its files below `sources`, on the archive `base` where it names one, and write it as
        an OCI archive."""
        ...
