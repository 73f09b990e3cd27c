"""The images and their inputs.

The COPY lines of a Dockerfile are the only list of its inputs. This module builds nothing.
"""

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from purpleflea_sandbox.images.errors import ImageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image: its short name, the reference that pods use, and its Dockerfile in the checkout.

    `folder` is the build context; an empty value means the checkout. `base` is the project image
    that the image is built on, if any. An image with a `program` has no Dockerfile: it contains
    only that program of the cluster's build specifications.
    """

    name: str
    reference: str
    dockerfile: str = ""
    folder: str = ""
    base: str = ""
    program: str = ""


IMAGES: tuple[Image, ...] = (
    Image(
        name="operator",
        reference="localhost/purpleflea-operator:0.1.0",
        dockerfile="operator/Dockerfile",
    ),
    Image(
        name="agent",
        reference="localhost/purpleflea-agent:0.1.0",
        dockerfile="agent_image/Dockerfile",
    ),
    Image(
        name="exchange",
        reference="localhost/purpleflea-exchange:0.1.0",
        dockerfile="sandbox/images/exchange/Dockerfile",
    ),
    # Charts and detection identify the node agent by the last component of its path and by its
    # version.
    Image(
        name="datadog",
        reference="localhost/purpleflea-datadog/agent:7.81.1",
        dockerfile="sandbox/images/datadog/Dockerfile",
    ),
)

EXAMPLES: tuple[Image, ...] = (
    Image(
        name="custom-agent",
        reference="localhost/purpleflea-custom-agent:1.0.0",
        dockerfile="examples/custom-agent/Dockerfile",
        folder="examples/custom-agent",
        base="agent",
    ),
)
"""Example images that users build on the project images.

They are not part of the demo and are built only by name.
"""

PROGRAMS: tuple[Image, ...] = (
    # Charts identify Datadog's CSI driver by the last component of its path.
    Image(
        name="csi-driver",
        reference="localhost/purpleflea-datadog/csi-driver:1.2.0",
        program="csi-driver",
    ),
)
"""Images of one static program each. They are not part of the demo and are built only by name."""


def chosen(names: Iterable[str]) -> tuple[Image, ...]:
    """Return the named images in catalogue sequence, or the images of the demo if no name is given.

    Raises ImageError if a name is unknown.
    """
    known = {image.name: image for image in (*IMAGES, *EXAMPLES, *PROGRAMS)}
    wanted = set(names) or {image.name for image in IMAGES}
    if unknown := sorted(wanted - known.keys()):
        raise ImageError(
            f"image '{unknown[0]}' does not exist; available images: {', '.join(known)}"
        )
    return tuple(image for image in known.values() if image.name in wanted)


def with_bases(images: Iterable[Image]) -> tuple[Image, ...]:
    """Return the images and their base images, in the sequence in which they can be built."""
    wanted = tuple(images)
    return chosen({image.name for image in wanted} | {image.base for image in wanted if image.base})


def inputs(image: Image, checkout: Path) -> tuple[Path, ...]:
    """Return the files and folders of the checkout that the image is built from, including its
    Dockerfile.

    Raises ImageError if one of them is missing.
    """
    dockerfile = checkout / image.dockerfile
    if not dockerfile.is_file():
        raise ImageError(
            f"{dockerfile} is missing; images are built from a checkout of the project, so run this command inside one"
        )
    context = checkout / image.folder
    files = (dockerfile, *(context / name for name in copied(dockerfile.read_text())))
    for path in files:
        if not path.exists():
            raise ImageError(f"{image.dockerfile} copies {path}, which does not exist")
    return files


def copied(dockerfile: str) -> Iterator[str]:
    """Yield the paths that the COPY lines take from the build context."""
    for line in dockerfile.splitlines():
        arguments = shlex.split(line, comments=True) if line.startswith("COPY ") else []
        if arguments and not any(argument.startswith("--from=") for argument in arguments):
            yield from (name for name in arguments[1:-1] if not name.startswith("--"))
